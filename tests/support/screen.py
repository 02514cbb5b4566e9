"""A terminal with a screen that tests can read: a pseudo-terminal and an emulator."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import threading
from typing import TYPE_CHECKING, Any

import pyte

if TYPE_CHECKING:
    from typing_extensions import Self


class Screen:
    """A terminal.

    Attributes:
        descriptor: The end of the terminal for programs.
        raw: What programs have written to it.
    """

    def __init__(self, columns: int = 120, rows: int = 60) -> None:
        """Open it."""
        self._ours, self.descriptor = pty.openpty()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.raw = b""
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
    def lines(self) -> list[str]:
        """The lines on the screen without empty ones."""
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
        modes: list[Any] = termios.tcgetattr(self.descriptor)
        return modes == self._modes and not self._screen.cursor.hidden

    def _read(self) -> None:
        while not self._ended.is_set():
            if select.select([self._ours], [], [], 0.02)[0]:
                content = os.read(self._ours, 65_536)
                with self._lock:
                    self.raw += content
                    self._stream.feed(content)
