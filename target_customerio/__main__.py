"""The command ``target-customerio``, also run by ``python -m target_customerio``."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Final

from target_customerio.output import flush_output, write_error

if TYPE_CHECKING:
    from collections.abc import Callable

SWITCH_INTERVAL_SECONDS: Final = 0.001
"""Time after which the converting thread yields the interpreter to a sending thread.

A request needs the interpreter about ten times. With Python's default of 5 ms each,
sending a request would take longer than Customer.io takes to answer it.
"""


def main() -> None:
    """Run the target with the command-line arguments."""
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


if __name__ == "__main__":
    main()
