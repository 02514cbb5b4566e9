"""The command ``target-customerio``, also as ``python -m target_customerio``."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Final

from target_customerio.output import complain, settle

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_TURN_SECONDS: Final = 0.001
"""How long the thread that converts keeps the interpreter from those that send.

A request needs it some ten times. With Python's own five milliseconds each, it takes
longer to be sent than Customer.io takes to answer.
"""


def main() -> None:
    """Run the target with the arguments of the command line."""
    # Next to nothing of what is imported is ever garbage; to look for some again and
    # again takes a good part of the time until the first record is read.
    gc.disable()
    from target_customerio.target import TargetCustomerIO  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    sys.setswitchinterval(LONGEST_TURN_SECONDS)
    sys.exit(_exit_code_of(TargetCustomerIO.cli))


def _exit_code_of(command: Callable[[], object]) -> int | str | None:
    """Run the command; what it has printed has to arrive too."""
    code: int | str | None = 0
    unwritten: OSError | None = None
    try:
        command()
    except SystemExit as end:
        code = end.code
    except OSError as error:  # of --help, --version and --about
        unwritten = error
    unwritten = settle() or unwritten
    if unwritten is None or code:
        return code
    complain(f"Standard output cannot be written ({unwritten.strerror})")
    return 1


if __name__ == "__main__":
    main()
