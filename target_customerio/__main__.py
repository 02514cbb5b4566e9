"""The command ``target-customerio``, also as ``python -m target_customerio``."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the target with the arguments of the command line."""
    # Next to nothing of what is imported is ever garbage; to look for some again and
    # again takes a good part of the time until the first record is read.
    gc.disable()
    from target_customerio.target import TargetCustomerIO  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    TargetCustomerIO.cli()


if __name__ == "__main__":
    main()
