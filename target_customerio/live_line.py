"""A line at the bottom of a terminal that is drawn again and again, by tqdm.

Most runs have no terminal, so this module is imported only where there is one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, Final, TextIO

from tqdm import tqdm
from tqdm.utils import disp_trim

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

ERASE: Final = "\r\033[K"
"""Goes to the start of the line and erases it."""

LOCK_SECONDS: Final = 0.5
"""Maximum wait of a signal handler for the lock."""

USUAL_COLUMNS: Final = 80
"""Width assumed for a terminal that does not report one."""

ANY_ROWS: Final = 20
"""Height given to tqdm, which hides bars where it finds one of 0 to 2 lines."""


class LiveLine(tqdm):  # type: ignore[type-arg] # it iterates over nothing
    """A progress bar of tqdm that is only a text.

    tqdm changes no mode of the terminal: whatever ends the process, there is nothing to
    restore but the line itself.

    Attributes:
        lock: Is held while something is written to the terminal.
    """

    monitor_interval = 0  # no thread of tqdm's own
    lock: Final = RLock()

    def __init__(self, stream: TextIO) -> None:
        """Draw nothing yet on a terminal."""
        self.set_lock(self.lock)
        self._stream = stream
        self._text = ""
        self._drawn = 0
        super().__init__(file=stream, leave=False, nrows=ANY_ROWS)

    def show(self, text: str) -> None:
        """Draw a text instead of the last one.

        Args:
            text: The text, which is cut to the width of the terminal.
        """
        self._text = text
        self.refresh()

    def above(self) -> AbstractContextManager[None]:
        """Hide the line while a block writes whole lines."""
        return self.external_write_mode(self._stream)

    def erase(self, *, for_good: bool = False) -> None:
        """Erase what is drawn, from a handler of signals.

        Args:
            for_good: Whether to draw nothing more.
        """
        # A thread that draws may wait for the terminal, which Ctrl-S stops.
        is_locked = self.lock.acquire(timeout=LOCK_SECONDS)
        with suppress(OSError):
            if self._drawn and self._is_in_foreground:
                # Not through the stream, in which the signal may have come.
                os.write(self._stream.fileno(), ERASE.encode())
        if is_locked and not for_good:
            self.lock.release()

    def display(  # type: ignore[override] # its stubs lack what it returns
        self, msg: str | None = None, pos: int | None = None
    ) -> bool:
        """Draw the text, unless another program has the terminal; for tqdm.

        Args:
            msg: What to draw instead of the text.
            pos: Which line of several it is, always 0.

        Returns:
            Whether it is drawn.
        """
        if not self._is_in_foreground:
            return False
        columns = self._columns - 1  # terminals wrap after the last one
        if columns < self._drawn:
            # tqdm would replace the longer text with spaces, which would wrap.
            self._stream.write(ERASE)
            self.sp = self.status_printer(self.fp)
        text = str(disp_trim(self._text if msg is None else msg, columns))
        self._drawn = len(text)
        return bool(super().display(text, pos))

    @property
    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or USUAL_COLUMNS
        except OSError:
            return USUAL_COLUMNS

    @property
    def _is_in_foreground(self) -> bool:
        """Whether the terminal is ours; not after `bg` in a shell."""
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except (OSError, AttributeError):  # no job control
            return True
