"""Standard output and standard error: written as bytes, and left with nothing pending.

What Python still holds for a full or closed stream when it ends would be tried once
more by the interpreter itself, which prints what went wrong and exits with 120.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from contextlib import suppress
from typing import TextIO


def write_line(line: bytes) -> None:
    """Write a line to standard output, whole or not at all where that is a file.

    Args:
        line: The line, which is written as it is, whatever the encoding of the stream.

    Raises:
        OSError: Standard output is closed or full, or its reader is gone.
        ValueError: It was closed by this process.
    """
    stream = sys.stdout
    if stream is None:
        raise OSError("standard output is closed")
    stream.flush()
    try:
        number = stream.fileno()
    except OSError:  # not a file, but what stands for one in a test
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
        # Half a line would be the STATE that the next run begins with.
        if len(rest) < len(content) and stat.S_ISREG(before.st_mode):
            os.ftruncate(number, before.st_size)
        raise


def _written(number: int, content: memoryview) -> int:
    """Write what fits, and tell how many bytes that are."""
    try:
        return os.write(number, content)
    except BlockingIOError:  # another process has made the pipe non-blocking
        select.select([], [number], [])
        return 0


def settle() -> OSError | None:
    """Flush standard output and standard error for the last time.

    Returns:
        Why standard output has not taken everything, or ``None`` if it has.
    """
    _settled(sys.stderr)
    return _settled(sys.stdout)


def complain(text: str) -> None:
    """Write a line to standard error, if anything takes it.

    Args:
        text: The line.
    """
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{text}\n")
    settle()


def _settled(stream: TextIO | None) -> OSError | None:
    if stream is None:
        return None
    try:
        stream.flush()
    except OSError as error:
        # What is pending goes nowhere, in place of the interpreter's own last attempt.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return error
    except ValueError:  # it is closed, and nothing is pending
        return None
    return None
