"""Run the target with ``python -m target_customerio``."""

from __future__ import annotations

from target_customerio.target import TargetCustomerIO

if __name__ == "__main__":
    TargetCustomerIO.cli()
