"""The terminal of standard error, if it is one: a live line below all other lines."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import contextmanager, nullcontext, suppress
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from target_customerio.live_line import LiveLine

STOP: Final = getattr(signal, "SIGTSTP", None)
"""The signal of Ctrl-Z, where there is one."""


class Terminal:
    """Keeps the live line apart from the log and from STATE.

    Log lines and STATE appear above the live line, also if standard output is the same
    terminal.
    """

    def __init__(self) -> None:
        """Draw nothing yet."""
        self._line: LiveLine | None = None
        self._has_stdout = False

    @contextmanager
    def live_line(self) -> Iterator[LiveLine | None]:
        """Show a live line while the block lasts.

        Yields:
            The line; None if standard error is no terminal that can show one.
        """
        stream = sys.stderr
        if self._line is not None or not _can_redraw(stream):
            yield None
            return
        # Only runs on a terminal need tqdm.
        from target_customerio.live_line import LiveLine  # noqa: PLC0415

        self._line = line = LiveLine(stream)
        self._has_stdout = _is_same_terminal(sys.stdout, stream)
        try:
            with _log_above(line, stream), self._stop_erased(line):
                yield line
        finally:
            self._line = None
            with suppress(OSError, ValueError):  # the terminal is gone
                line.close()

    def above(self) -> AbstractContextManager[None]:
        """Return a context in which a line can be written to standard output."""
        line = self._line
        return nullcontext() if line is None or not self._has_stdout else line.above()

    def erase(self) -> None:
        """Erase the line, since the process ends at once."""
        if self._line is not None:
            self._line.erase(for_good=True)

    @contextmanager
    def _stop_erased(self, line: LiveLine) -> Iterator[None]:
        """Erase the line when Ctrl-Z stops the process; `fg` draws it again."""

        def stop(number: int, _: object) -> None:
            line.erase()
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            # The process stops here.
            signal.signal(number, stop)

        if (
            STOP is None
            or current_thread() is not main_thread()
            or signal.getsignal(STOP) is not signal.SIG_DFL
        ):
            yield
            return
        signal.signal(STOP, stop)
        try:
            yield
        finally:
            signal.signal(STOP, signal.SIG_DFL)


class _Above:
    """A stream for a handler of the log, whose lines appear above the live line."""

    def __init__(self, stream: Any, line: LiveLine) -> None:  # noqa: ANN401 - a handler's
        self._stream = stream
        self._line = line

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the stream's
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        """Write whole lines."""
        with self._line.above():
            self._stream.write(text)
            self._stream.flush()

    def flush(self) -> None:
        """Do nothing: what is written has been flushed."""


@contextmanager
def _log_above(line: LiveLine, stream: TextIO) -> Iterator[None]:
    """Let the log appear above the line while the block lasts."""
    handlers = [
        (each, each.stream)
        for each in _handlers()
        if _is_same_terminal(each.stream, stream)
    ]
    for handler, before in handlers:
        handler.setStream(_Above(before, line))
    try:
        yield
    finally:
        for handler, before in handlers:
            handler.setStream(before)


def _handlers() -> Iterator[logging.StreamHandler[Any]]:
    """Yield the handlers of all loggers that write to a stream."""
    for logger in (
        logging.root,
        *map(logging.getLogger, [*logging.root.manager.loggerDict]),
    ):
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler):
                yield handler


def _can_redraw(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal that can redraw a line."""
    is_dumb = os.environ.get("TERM") in {None, "", "dumb"} and os.name == "posix"
    return not is_dumb and _is_same_terminal(stream, stream)


def _is_same_terminal(stream: Any, other: Any) -> bool:  # noqa: ANN401 - or no stream at all
    """Return whether two streams are the same terminal."""
    with suppress(OSError, ValueError, AttributeError):
        numbers = stream.fileno(), other.fileno()
        devices = {os.fstat(number).st_rdev for number in numbers}
        return all(map(os.isatty, numbers)) and len(devices) == 1
    return False


TERMINAL: Final = Terminal()
