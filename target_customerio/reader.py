"""Reading Singer messages: exactly, interruptibly, and without quoting them.

Numbers keep all their digits. A line that the fast decoder refuses only because of a
NaN, an infinity or half a surrogate pair is decoded by the standard library, so that
the record in it can be rejected instead of ending the run.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections import Counter
from functools import partial
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from singer_sdk.io_base import GenericSingerReader

from target_customerio.errors import InputError
from target_customerio.json_codec import DECODE_ERRORS, decode, decode_line

if TYPE_CHECKING:
    from collections.abc import Callable

    _Callback: TypeAlias = Callable[[dict[str, Any]], None]
    _Awaited = Callable[[Callable[[], Any]], Any]

_Read = TypeVar("_Read")
Line: TypeAlias = str | bytes

BUFFER_BYTES: Final = 1 << 18
LINES_TOGETHER: Final = 32
"""Most lines that are decoded before they are handed on, which takes less time than to
do the one and the other for each line. A piece of :data:`BUFFER_BYTES` may be fewer."""

LONGEST_NAME: Final = 100
"""Most characters of a name out of the input that an error message repeats."""


class MessageReader(GenericSingerReader[bytes]):
    """Reads Singer messages until the input ends or it is told to stop."""

    def __init__(self) -> None:
        """Start at the first line."""
        super().__init__()
        self.line: Line = b""
        self.line_is_valid = True
        self.stopped = False
        self.before_waiting: Callable[[], None] = _nothing
        """Called when everything that has been read is handed on, and more is waited
        for."""
        self._waiting = False
        self._alarm: Alarm | None = None
        self._line_number = 0
        self._read: list[tuple[Line, Any]] = []
        self._callbacks: dict[str, _Callback] = {}
        self._counts: dict[str, int] = {}

    @property
    def line_number(self) -> int:
        """The number of the line that is being handed on."""
        return self._line_number

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input, as bytes.

        Raises:
            InputError: It is closed.
        """
        if sys.stdin is None:
            raise InputError(
                "Standard input is closed: pipe a tap into target-customerio"
            )
        return sys.stdin.buffer

    def stop(self) -> None:
        """Read no further.

        Called by a signal handler in the thread that reads. A line that was read but
        not handed on yet is dropped: nothing that depends on it has happened.

        Raises:
            StopReading: The reader is waiting for input, and must be woken.
        """
        self.stopped = True
        if self._waiting:
            raise StopReading

    def wake(self) -> None:
        """Stop waiting for input, or do not start: the run has ended.

        May be called by any thread.
        """
        if self._alarm is not None:
            self._alarm.ring()

    def process_lines(
        self,
        file_input: IO[Any] | None,
        callbacks: dict[str, _Callback],
    ) -> Counter[str]:
        """Read every message and hand it on.

        Args:
            file_input: The input; standard input if left out.
            callbacks: What handles the messages, by their type.

        Returns:
            The number of messages of each type.

        Raises:
            InputError: A line is no Singer message.
        """
        source = self.default_input if file_input is None else file_input
        alarm = self._alarm = Alarm()
        self._callbacks, self._counts = callbacks, dict.fromkeys(callbacks, 0)
        read = self._read
        try:
            read_line = self._line_reader(getattr(source, "buffer", source), alarm)
            while not self.stopped and (line := read_line()):
                try:
                    read.append((line, decode(line)))
                except DECODE_ERRORS:
                    read.append((line, None))
                if len(read) == LINES_TOGETHER:
                    self._hand_on()
            self._hand_on()
        except StopReading:
            pass
        finally:
            alarm.close()
        return Counter({kind: count for kind, count in self._counts.items() if count})

    def _hand_on(self) -> None:
        """Hand on the messages that were read, in order."""
        lines = [*self._read]
        self._read.clear()
        callbacks, counts = self._callbacks, self._counts
        for self.line, message in lines:
            if self.stopped:
                return
            self._line_number += 1
            try:
                kind = message["type"]
                callback = callbacks[kind]
            except (KeyError, TypeError):
                if self.line.isspace():
                    continue
                message = self.deserialize_json(self.line)  # noqa: PLW2901 - mended
                kind, callback = self._callback_for(message)
            callback(message)
            self.line_is_valid = True
            counts[kind] += 1

    def deserialize_json(self, line: Line) -> dict[str, Any]:
        """Decode a line that holds a Singer message.

        Args:
            line: The line.

        Returns:
            The message.

        Raises:
            InputError: It holds none.
        """
        try:
            message = decode(line)
            self.line_is_valid = True
        except DECODE_ERRORS:
            message = self._decoded_or_refused(line)
            self.line_is_valid = False
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise InputError(
                f"Line {self._line_number}: not a Singer message, `type` is missing; "
                "make sure that only the tap writes to the pipe"
            )
        return message

    def _decoded_or_refused(self, line: Line) -> Any:  # noqa: ANN401 - a line holds any JSON
        try:
            return decode_line(line)[0]
        except ValueError:
            raise InputError(
                f"Line {self._line_number}: not JSON; everything before it was "
                "delivered. Make sure that only the tap writes to the pipe"
            ) from None

    def _line_reader(self, source: IO[Any], alarm: Alarm) -> Callable[[], Line]:
        """Choose what reads the next line.

        A file or a pipe is read in large pieces: each time that the thread asks for
        more it lets go of the interpreter, and gets it back only when the threads that
        send are done with it.
        """
        if not (
            isinstance(source, io.BufferedReader) and isinstance(source.raw, io.FileIO)
        ):
            return partial(self._awaited, source.readline)
        file = AwaitedFile(source.fileno(), self._awaited, alarm)
        larger = io.BufferedReader(file, BUFFER_BYTES)
        if source.seekable():
            larger.seek(source.tell())
        return larger.readline

    def _awaited(self, read: Callable[[], _Read]) -> _Read:
        """Wait for input, which a signal may interrupt."""
        self._hand_on()
        self.before_waiting()
        self._waiting = True
        try:
            if self.stopped:
                raise StopReading
            return read()
        except OSError as error:
            raise InputError(
                f"Cannot read the input after line {self._line_number} "
                f"({error.strerror}); everything before it was delivered. "
                "Run the tap again"
            ) from error
        finally:
            self._waiting = False

    def _callback_for(self, message: dict[str, Any]) -> tuple[str, _Callback]:
        kind: str = message["type"]
        if kind in self._callbacks:
            return kind, self._callbacks[kind]
        raise InputError(
            f"Line {self._line_number}: unknown message type {kind[:LONGEST_NAME]!r} "
            "(bug in the tap)"
        )


def _nothing() -> None:
    pass


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
