"""The command ``target-customerio``, also as ``python -m target_customerio``."""

from __future__ import annotations

import gc
import sys
from typing import Final

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
    TargetCustomerIO.cli()


if __name__ == "__main__":
    main()
