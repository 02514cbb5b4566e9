"""Standard output and standard error, written as bytes and flushed before the exit.

Python itself flushes a full or closed stream once more when it exits, prints an error
and exits with 120. So nothing is left pending here.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from contextlib import suppress
from typing import TextIO


def write_line(line: bytes) -> None:
    """Write a line to standard output; into a file, whole or not at all.

    Args:
        line: The line without its end, written as it is whatever the stream's encoding.

    Raises:
        OSError: Standard output is closed or full, or the reader has exited.
        ValueError: This process has closed standard output.
    """
    stream = sys.stdout
    if stream is None:
        raise OSError("standard output is closed")
    stream.flush()
    try:
        number = stream.fileno()
    except OSError:  # not a file: a stream that a test has put there
        stream.write(line.decode() + "\n")
        stream.flush()
        return
    _write_all(number, line + b"\n")


def _write_all(number: int, content: bytes) -> None:
    before = os.fstat(number)
    rest = memoryview(content)
    try:
        while rest:
            rest = rest[_written(number, rest) :]
    except OSError:
        # The next run would start with half a line of STATE.
        if len(rest) < len(content) and stat.S_ISREG(before.st_mode):
            os.ftruncate(number, before.st_size)
        raise


def _written(number: int, content: memoryview) -> int:
    """Write as much as possible; return the number of bytes written."""
    try:
        return os.write(number, content)
    except BlockingIOError:  # another process has made the pipe non-blocking
        select.select([], [number], [])
        return 0


def flush_output() -> OSError | None:
    """Flush both streams for the last time; return why standard output failed."""
    _flush(sys.stderr)
    return _flush(sys.stdout)


def write_error(text: str) -> None:
    """Write a line to standard error, if that is possible."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{text}\n")
    flush_output()


def _flush(stream: TextIO | None) -> OSError | None:
    if stream is None:
        return None
    try:
        stream.flush()
    except OSError as error:
        # Discard what is pending, so that the interpreter does not try again.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        return error
    except ValueError:  # closed, with nothing pending
        return None
    return None
