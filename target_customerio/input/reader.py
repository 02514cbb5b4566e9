"""Reads Singer messages in batches, with exact numbers, until the input ends.

The reader never quotes the input in an error. A line that the fast decoder refuses only
because of a NaN, an infinity or half a surrogate pair is decoded by the standard
library, so that its record can be rejected instead of ending the run.
"""

from __future__ import annotations

import io
import os
import select
import sys
from functools import partial
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct

from target_customerio.errors import InputError, shown_stream
from target_customerio.json_codec import (
    DECODE_ERRORS,
    STRICT,
    Decoding,
    decode,
    decode_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from target_customerio.records import Line

BLOCK_BYTES: Final = 1 << 18
"""Maximum bytes per read of a file or a pipe.

Each read releases the interpreter, and the sending threads may keep it for a while, so
that many small reads are slow.
"""

BATCH_LINES: Final = 32
"""Maximum lines per batch: decoding several at once is faster than one by one."""

MAX_LINE_BYTES: Final = 16 << 20
"""Maximum bytes of a line, without its end."""

TOO_LONG: Final = f"longer than {MAX_LINE_BYTES >> 20} MiB"

ONLY_THE_TAP: Final = (
    "Make sure that only the tap writes to the pipe, or that --input names a file of "
    "Singer messages"
)


_Item = TypeVar("_Item")


class StopReading(BaseException):
    """Waiting for input is to be aborted."""


class Message(Struct, eq=False, gc=False):
    """A Singer message.

    Attributes:
        kind: Its type.
        content: The message.
        line: Its line as it arrived.
        number: The number of that line.
        decoding: How the line was decoded.
    """

    kind: str
    content: dict[str, Any]
    line: Line
    number: int
    decoding: Decoding


class MessageReader:
    """Reads Singer messages until the input ends or it is told to stop.

    Attributes:
        stopped: Whether :meth:`stop` was called; what was read before is not processed.
    """

    def __init__(self) -> None:
        """Start before the first line."""
        self.stopped = False
        self._lines_read = 0
        self._waiting = False
        self._alarm: Alarm | None = None

    def stop(self) -> None:
        """Read no further; to be called by a signal handler in the reading thread.

        Lines that were read but not processed yet are dropped.

        Raises:
            StopReading: The reader is waiting for input; this aborts it.
        """
        self.stopped = True
        if self._waiting:
            raise StopReading

    def interruptible(self, items: Iterator[_Item]) -> Iterator[_Item]:
        """Yield items that are read one by one; :meth:`stop` can interrupt it.

        Args:
            items: Reads an item whenever the next one is asked for.

        Yields:
            The items, until there are no more or reading is to stop.
        """
        while not self.stopped:
            self._waiting = True
            try:
                item = next(items)
            except (StopIteration, StopReading):
                return
            finally:
                self._waiting = False
            yield item

    def wake(self) -> None:
        """Abort waiting for input, now or the next time; callable by any thread."""
        if self._alarm is not None:
            self._alarm.ring()

    def messages(self, source: IO[Any] | None = None) -> Generator[list[Message]]:
        """Read the messages of an input.

        Args:
            source: The input; default is standard input.

        Yields:
            The messages in order, in lists; an empty list before each read that may
            block, when everything before it can be passed on.

        Raises:
            InputError: The input cannot be read, or a line is not a Singer message.
        """
        given = standard_input() if source is None else source
        file: IO[Any] = getattr(given, "buffer", given)
        alarm = self._alarm = Alarm()
        try:
            batches = self._blocks(file, alarm) if _is_file(file) else self._lines(file)
            for lines in batches:
                if lines:
                    yield from self._decoded(lines)
                else:
                    yield []
        except StopReading:
            pass
        finally:
            alarm.close()

    def _decoded(self, lines: Sequence[Line]) -> Iterator[list[Message]]:
        """Yield the messages before the first invalid line, then raise its error."""
        messages: list[Message] = []
        error: InputError | None = None
        for number, line in enumerate(lines, self._lines_read + 1):
            try:
                message = _message(line, number)
            except InputError as found:
                error = found
                break
            if message is not None:
                messages.append(message)
        self._lines_read += len(lines)
        if messages:
            yield messages
        if error is not None:
            raise error

    def _lines(self, source: IO[Any]) -> Iterator[Sequence[Line]]:
        """Yield the lines of any stream, each in a batch of its own."""
        # One more for the newline.
        read = partial(source.readline, MAX_LINE_BYTES + 1)
        while not self.stopped:
            yield []
            line = self._interruptible(read)
            if not line:
                return
            if len(line) > MAX_LINE_BYTES and line[-1] not in {"\n", ord("\n")}:
                raise self._too_long()
            yield [line]

    def _blocks(self, source: IO[Any], alarm: Alarm) -> Iterator[Sequence[Line]]:
        """Yield the lines of a file or a pipe, which is read in large blocks."""
        file = source.fileno()
        if source.seekable():
            os.lseek(file, source.tell(), os.SEEK_SET)
        splitter = LineSplitter()
        while not self.stopped:
            yield []
            block: bytes = self._interruptible(partial(_read_block, file, alarm))
            try:
                lines = splitter.split(block)
            except LineTooLongError:
                raise self._too_long() from None
            for start in range(0, len(lines), BATCH_LINES):
                yield lines[start : start + BATCH_LINES]
            if not block:
                return

    def _too_long(self) -> InputError:
        """Return the error for the line after those that have been processed."""
        return InputError(
            f"Line {self._lines_read + 1}: {TOO_LONG}. Make sure that the tap ends "
            "each message with a newline"
        )

    def _interruptible(self, read: Callable[[], Any]) -> Any:  # noqa: ANN401 - text or bytes
        """Call a function that reads; :meth:`stop` can interrupt it."""
        self._waiting = True
        try:
            if self.stopped:
                raise StopReading
            return read()
        except OSError as error:
            raise InputError(
                f"Cannot read the input after line {self._lines_read} "
                f"({error.strerror}). Run the tap again"
            ) from error
        finally:
            self._waiting = False


def standard_input() -> IO[bytes]:
    """Return standard input as bytes; raise ``InputError`` if it is closed."""
    if sys.stdin is None:
        raise InputError("Standard input is closed: pipe a tap into the target")
    return sys.stdin.buffer


def _message(line: Line, number: int) -> Message | None:
    """Decode a line; an empty one has no message."""
    try:
        content = decode(line)
        kind = content["type"]
    except (*DECODE_ERRORS, KeyError, TypeError):
        kind = None
    if isinstance(kind, str):
        return Message(kind, content, line, number, STRICT)
    if not line or line.isspace():
        return None
    try:
        content, decoding = decode_line(line)
    except ValueError:
        raise InputError(
            f"Line {number}: not JSON, so not a Singer message. {ONLY_THE_TAP}"
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        raise InputError(
            f"Line {number}: not a Singer message, `type` is missing. {ONLY_THE_TAP}"
        )
    kind = content["type"]
    if decoding is Decoding.TRUNCATED and kind != "RECORD":
        raise InputError(
            f"Line {number}: the {shown_stream(kind)} message is nested too deeply "
            "(bug in the tap)"
        )
    return Message(kind, content, line, number, decoding)


class LineTooLongError(Exception):
    """A line is longer than allowed."""


class LineSplitter:
    """Splits blocks of bytes into lines, of which it holds the unfinished one."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        """Allow lines of ``max_bytes``; blocks must not be larger than that."""
        self._max_bytes = max_bytes
        self._unfinished: list[bytes] = []
        self._size = 0

    def split(self, block: bytes) -> list[bytes]:
        """Return the lines that end in a block; an empty block ends the last one.

        Lines keep their newline: to remove it, each would have to be copied. Raises
        ``LineTooLongError`` once the unfinished line is longer than allowed.
        """
        first, *lines = io.BytesIO(block).readlines() or [b""]
        self._unfinished.append(first)
        self._size += len(first)
        is_finished = first.endswith(b"\n")
        if self._size - is_finished > self._max_bytes:
            raise LineTooLongError
        if block and not is_finished:
            return []
        lines = [b"".join(self._unfinished), *lines]
        has_rest = bool(block) and not lines[-1].endswith(b"\n")
        self._unfinished = [lines.pop()] if has_rest else []
        self._size = sum(map(len, self._unfinished))
        return lines


def _read_block(file: int, alarm: Alarm) -> bytes:
    """Wait for a block of bytes; it is empty at the end of the input."""
    while True:
        alarm.wait_for(file)
        try:
            return os.read(file, BLOCK_BYTES)
        except BlockingIOError:  # another process has made the pipe non-blocking
            continue


def _is_file(source: IO[Any]) -> bool:
    return isinstance(source, io.BufferedReader) and isinstance(source.raw, io.FileIO)


CAN_BE_WOKEN: Final = os.name == "posix"
"""Whether waiting for a pipe can be aborted: elsewhere only sockets are selectable."""


class Alarm:
    """Lets any thread abort waiting for input."""

    def __init__(self) -> None:
        """Open the pipe that wakes the waiting thread."""
        self._read_end, self._write_end = os.pipe()
        self._lock = Lock()
        self._closed = False

    def ring(self) -> None:
        """Abort the current or the next wait; does nothing once closed."""
        with self._lock:
            if not self._closed:
                os.write(self._write_end, b"!")

    def wait_for(self, file: int) -> None:
        """Wait until a file is readable; raise ``StopReading`` after :meth:`ring`."""
        if CAN_BE_WOKEN:
            poll = select.poll()  # `select` takes no number above 1,023
            for each in (file, self._read_end):
                poll.register(each, select.POLLIN)
            if any(ready == self._read_end for ready, _ in poll.poll()):
                raise StopReading

    def close(self) -> None:
        """Close the pipe."""
        with self._lock:
            self._closed = True
            os.close(self._read_end)
            os.close(self._write_end)
