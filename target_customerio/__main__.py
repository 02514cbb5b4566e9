"""The command ``target-customerio``, also run by ``python -m target_customerio``."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

SWITCH_INTERVAL_SECONDS: Final = 0.001
"""Time after which the converting thread yields the interpreter to a sending thread.

A request needs the interpreter about ten times. With Python's default of 5 ms each,
sending a request would take longer than Customer.io takes to answer it.
"""


def main() -> None:
    """Run the target with the command-line arguments."""
    # While the program starts, Ctrl-C ends it like SIGTERM, without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Imported objects are almost never garbage. Not scanning them during the import
    # saves a good part of the startup time.
    gc.disable()
    from target_customerio.target import TargetCustomerIO  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    sys.exit(_exit_code_of(TargetCustomerIO.cli))


def _exit_code_of(command: Callable[[], object]) -> int | str | None:
    """Run the command and flush its output; return the exit code."""
    code: int | str | None = 0
    unwritten: OSError | None = None
    try:
        command()
    except SystemExit as end:
        code = end.code
    except OSError as error:  # raised by --help, --version and --about
        unwritten = error
    unwritten = flush_output() or unwritten
    if unwritten is None or code:
        return code
    write_error(f"Cannot write to standard output ({unwritten.strerror})")
    return 1


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


if __name__ == "__main__":
    main()
