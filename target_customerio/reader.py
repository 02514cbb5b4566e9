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
from collections import Counter
from contextlib import closing
from functools import partial
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias

from singer_sdk.io_base import GenericSingerReader

from target_customerio.errors import InputError
from target_customerio.json_codec import DECODE_ERRORS, decode, decode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    _Callback: TypeAlias = Callable[[dict[str, Any]], None]

Line: TypeAlias = str | bytes
Batch: TypeAlias = list[tuple[Line, Any]]
"""Lines, each with its value; ``None`` if the fast decoder refuses the line."""

BLOCK_BYTES: Final = 1 << 18
"""Maximum bytes per read of a file or a pipe.

Each read releases the interpreter, and the sending threads may keep it for a while, so
that many small reads are slow.
"""

BATCH_LINES: Final = 32
"""Maximum lines per batch: decoding several at once is faster than one by one."""

LONGEST_NAME: Final = 100
"""Maximum characters of a name from the input that an error message shows."""


class StopReading(BaseException):
    """Waiting for input is to be aborted."""


class MessageReader(GenericSingerReader[bytes]):
    """Reads Singer messages until the input ends or it is told to stop.

    Attributes:
        line: The line that is being processed, as it arrived.
        line_number: Its number, from 1.
        line_is_valid: Whether it is valid JSON.
        stopped: Whether :meth:`stop` was called.
    """

    def __init__(self, on_idle: Callable[[], None] | None = None) -> None:
        """Start before the first line.

        Args:
            on_idle: Called when everything read has been processed and the reader is
                about to wait for more input.
        """
        super().__init__()
        self.line: Line = b""
        self.line_number = 0
        self.line_is_valid = True
        self.stopped = False
        self._on_idle = on_idle
        self._waiting = False
        self._alarm: Alarm | None = None

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input, as bytes.

        Raises:
            InputError: It is closed.
        """
        if sys.stdin is None:
            raise InputError("Standard input is closed: pipe a tap into the target")
        return sys.stdin.buffer

    def stop(self) -> None:
        """Read no further; to be called by a signal handler in the reading thread.

        Lines that were read but not processed yet are dropped.

        Raises:
            StopReading: The reader is waiting for input; this aborts it.
        """
        self.stopped = True
        if self._waiting:
            raise StopReading

    def wake(self) -> None:
        """Abort waiting for input, now or the next time; callable by any thread."""
        if self._alarm is not None:
            self._alarm.ring()

    def process_lines(
        self,
        file_input: IO[Any] | None,
        callbacks: dict[str, _Callback],
    ) -> Counter[str]:
        """Read every message and pass it to the callback of its type.

        Args:
            file_input: The input; default is standard input.
            callbacks: The callbacks by message type.

        Returns:
            The number of messages of each type.

        Raises:
            InputError: A line is not a Singer message.
        """
        source = self.default_input if file_input is None else file_input
        counts = dict.fromkeys(callbacks, 0)
        with closing(self.batches(getattr(source, "buffer", source))) as batches:
            for batch in batches:
                if batch:
                    self._process(batch, callbacks, counts)
                elif self._on_idle is not None:
                    self._on_idle()
        return Counter({kind: count for kind, count in counts.items() if count})

    def batches(self, source: IO[Any]) -> Generator[Batch]:
        """Read the lines of an input.

        Args:
            source: The input.

        Yields:
            The lines in order, in batches; an empty batch before each read that may
            block.

        Raises:
            InputError: The input cannot be read.
        """
        alarm = self._alarm = Alarm()
        try:
            if _is_file(source):
                yield from self._blocks(source, alarm)
            else:
                yield from self._lines(source)
        except StopReading:
            pass
        finally:
            alarm.close()

    def _process(
        self, batch: Batch, callbacks: dict[str, _Callback], counts: dict[str, int]
    ) -> None:
        """Pass the messages of a batch to their callbacks, in order."""
        for self.line, message in batch:
            if self.stopped:
                return
            self.line_number += 1
            try:
                kind = message["type"]
                callback = callbacks[kind]
            except (KeyError, TypeError):
                if not self.line or self.line.isspace():
                    continue
                message = self.deserialize_json(self.line)  # noqa: PLW2901 - same line
                kind = message["type"]
                callback = self._callback_for(kind, callbacks)
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
            InputError: The line is not a Singer message.
        """
        try:
            message, self.line_is_valid = decode_line(line)
        except ValueError:
            raise InputError(
                f"Line {self.line_number}: not JSON; everything before it was "
                "delivered. Make sure that only the tap writes to the pipe"
            ) from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise InputError(
                f"Line {self.line_number}: not a Singer message, `type` is missing; "
                "make sure that only the tap writes to the pipe"
            )
        return message

    def _callback_for(self, kind: str, callbacks: dict[str, _Callback]) -> _Callback:
        if kind in callbacks:
            return callbacks[kind]
        raise InputError(
            f"Line {self.line_number}: unknown message type {kind[:LONGEST_NAME]!r} "
            "(bug in the tap)"
        )

    def _lines(self, source: IO[Any]) -> Iterator[Batch]:
        """Yield the lines of any stream, each in a batch of its own."""
        while not self.stopped:
            yield []
            line = self._awaited(source.readline)
            if not line:
                return
            yield _decoded([line])

    def _blocks(self, source: IO[Any], alarm: Alarm) -> Iterator[Batch]:
        """Yield the lines of a file or a pipe, which is read in large blocks."""
        file = source.fileno()
        if source.seekable():
            os.lseek(file, source.tell(), os.SEEK_SET)
        unfinished: list[bytes] = []
        while not self.stopped:
            yield []
            block: bytes = self._awaited(partial(_read_block, file, alarm))
            first, *lines = block.split(b"\n")
            unfinished.append(first)
            if block and not lines:
                continue
            lines = [b"".join(unfinished), *lines]
            # What follows the last newline is the start of the next line.
            unfinished = [lines.pop()] if block else []
            for start in range(0, len(lines), BATCH_LINES):
                yield _decoded(lines[start : start + BATCH_LINES])
            if not block:
                return

    def _awaited(self, read: Callable[[], Any]) -> Any:  # noqa: ANN401 - text or bytes
        """Call a function that reads; :meth:`stop` can interrupt it."""
        self._waiting = True
        try:
            if self.stopped:
                raise StopReading
            return read()
        except OSError as error:
            raise InputError(
                f"Cannot read the input after line {self.line_number} "
                f"({error.strerror}); everything before it was delivered. "
                "Run the tap again"
            ) from error
        finally:
            self._waiting = False


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


def _decoded(lines: Iterable[Line]) -> Batch:
    batch: Batch = []
    for line in lines:
        try:
            batch.append((line, decode(line)))
        except DECODE_ERRORS:  # noqa: PERF203 - each line may be invalid on its own
            batch.append((line, None))
    return batch


CAN_BE_WOKEN: Final = os.name == "posix"
"""Whether waiting for a pipe can be aborted: elsewhere only sockets are selectable."""


class Alarm:
    """Lets any thread abort waiting for input."""

    def __init__(self) -> None:
        """Open the pipe that wakes the waiting thread."""
        self._heard, self._rung = os.pipe()
        self._lock = Lock()
        self._closed = False

    def ring(self) -> None:
        """Abort the current or the next wait; does nothing once closed."""
        with self._lock:
            if not self._closed:
                os.write(self._rung, b"!")

    def wait_for(self, file: int) -> None:
        """Wait until a file is readable; raise ``StopReading`` after :meth:`ring`."""
        if CAN_BE_WOKEN:
            ready, _, _ = select.select([file, self._heard], [], [])
            if self._heard in ready:
                raise StopReading

    def close(self) -> None:
        """Close the pipe."""
        with self._lock:
            self._closed = True
            os.close(self._heard)
            os.close(self._rung)
