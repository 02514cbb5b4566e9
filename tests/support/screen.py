"""A terminal with a screen that tests can read: a pseudo-terminal and an emulator."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import termios
import threading
from typing import TYPE_CHECKING, Any

import pyte

from .command import wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

MARK = b"\0"
"""What tells how far the terminal is read; terminals ignore it."""


class Screen:
    """A terminal.

    What is read of it is what all programs have written before.

    Attributes:
        descriptor: The end of the terminal for programs.
    """

    def __init__(self, columns: int = 120, rows: int = 60) -> None:
        """Open it."""
        self._ours, self.descriptor = pty.openpty()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._raw = b""
        self._marks_sent = self._marks_read = 0
        self.resize(columns, rows)
        self._ended = threading.Event()
        self._modes = termios.tcgetattr(self.descriptor)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        os.close(self.descriptor)

    def resize(self, columns: int, rows: int = 60) -> None:
        """Change the size; a terminal can be without one, which is 0."""
        with self._lock:
            self._screen.resize(rows or 60, columns or 80)
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, size)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def hang_up(self) -> None:
        """Close the terminal, while programs may still have it."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            os.close(self._ours)

    @property
    def raw(self) -> bytes:
        """What programs have written."""
        self._catch_up()
        return self._raw

    @property
    def lines(self) -> list[str]:
        """The lines on the screen without empty ones."""
        self._catch_up()
        with self._lock:
            return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def last(self) -> str:
        """The last line on the screen."""
        return ["", *self.lines][-1]

    def has(self, line: str) -> bool:
        """Return whether a line is on the screen."""
        return line in self.lines

    def ends_with(self, text: str, columns: int) -> bool:
        """Return whether the last line starts with a text and has fewer columns."""
        return self.last.startswith(text) and len(self.last) < columns

    @property
    def is_as_before(self) -> bool:
        """Whether the modes are those of the start, and the cursor is seen."""
        self._catch_up()
        modes: list[Any] = termios.tcgetattr(self.descriptor)
        return modes == self._modes and not self._screen.cursor.hidden

    def _catch_up(self) -> None:
        """Wait until everything is read that was written before."""
        while not self._ended.is_set():
            self._marks_sent += 1
            os.write(self.descriptor, MARK)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: self._marks_read >= self._marks_sent, 1)
                return
            # Ctrl-C and Ctrl-Z discard what was not read yet.
            self._marks_sent = self._marks_read

    def _read(self) -> None:
        while not self._ended.is_set():
            if select.select([self._ours], [], [], 0.02)[0]:
                content = os.read(self._ours, 65_536)
                shown = content.replace(MARK, b"")
                with self._lock:
                    self._raw += shown
                    self._stream.feed(shown)
                    self._marks_read += len(content) - len(shown)
