"""Waiting for input, which a signal or the end of the delivery may cut short."""

from __future__ import annotations

import io
import os
import select
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    _Awaited = Callable[[Callable[[], Any]], Any]

CAN_BE_WOKEN: Final = os.name == "posix"
"""Whether a wait for a pipe can be cut short; elsewhere only sockets are selected."""


class StopReading(BaseException):
    """There is no use in waiting for more input."""


class Alarm:
    """Cuts a wait for input short, from any thread."""

    def __init__(self) -> None:
        """Make the pipe by which the waiting thread is woken."""
        self._heard, self._rung = os.pipe()
        self._lock = Lock()
        self._closed = False

    def ring(self) -> None:
        """Wake whoever waits now, or will wait next; nobody does once it is closed."""
        with self._lock:
            if not self._closed:
                os.write(self._rung, b"!")

    def wait_for(self, file: io.FileIO) -> None:
        """Wait until something can be read from a file.

        Args:
            file: The file.

        Raises:
            StopReading: The alarm has been rung.
        """
        if CAN_BE_WOKEN:
            watched: list[Any] = [file, self._heard]
            ready, _, _ = select.select(watched, [], [])
            if self._heard in ready:
                raise StopReading

    def close(self) -> None:
        """Let go of the pipe."""
        with self._lock:
            self._closed = True
            os.close(self._heard)
            os.close(self._rung)


class AwaitedFile(io.FileIO):
    """A file or a pipe of which somebody is told before it is waited for."""

    def __init__(self, descriptor: int, awaited: _Awaited, alarm: Alarm) -> None:
        """Open nothing: the descriptor stays its owner's.

        Args:
            descriptor: The open file.
            awaited: Is given what reads, and calls it.
            alarm: Cuts the wait short.
        """
        super().__init__(descriptor, closefd=False)
        self._awaited = awaited
        self._alarm = alarm

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        """Wait for bytes, and read them.

        Args:
            buffer: Where they go.

        Returns:
            How many there were; 0 at the end.

        Raises:
            StopReading: There is no use in waiting.
        """
        count: int | None = self._awaited(partial(self._read_into, buffer))
        return count

    def _read_into(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        count = None
        # Who shares the pipe may have made it one that does not block: then nothing
        # read yet is not the end.
        while count is None:
            self._alarm.wait_for(self)
            count = super().readinto(buffer)
        return count
