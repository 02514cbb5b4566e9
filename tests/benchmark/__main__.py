"""Compare the target's speed with others: ``python tests/benchmark``.

It takes about 25 minutes on a quiet machine. Everything runs here, on loopback,
with made-up records; only the contenders' packages are downloaded. With ``--keep``, the
figures become those of the documentation, each part as soon as it is measured.
"""

from __future__ import annotations

import argparse
import compileall
import signal
import sys
import sysconfig
import tempfile
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from measure import LATENCIES, serving
from report import tables
from results import HERE, ROOT, Results, stored
from suite import PARTS, Extent, Suite

if TYPE_CHECKING:
    from collections.abc import Sequence


def measure(results: Results, names: Sequence[str], extent: Extent) -> None:
    """Measure these parts."""
    # Otherwise the first start of each program would include compiling it.
    for folder in (sysconfig.get_path("purelib"), ROOT / "target_customerio"):
        compileall.compile_dir(folder, quiet=2)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        benches = {
            latency: stack.enter_context(serving(folder, latency))
            for latency in LATENCIES
        }
        results.measure(names, Suite(extent, folder, benches).part)


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(prog="python tests/benchmark")
    for each in fields(Extent):
        parser.add_argument(f"--{each.name}", type=int, default=each.default)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=PARTS,
        metavar="NAME",
        help=f"measure only these, and keep the others: {', '.join(PARTS)}",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        nargs="?",
        const=HERE,
        metavar="FOLDER",
        help="keep results and charts after each part, by default for the docs",
    )
    parser.add_argument("--show", type=Path, help="measure nothing; show this file")
    return parser.parse_args()


def main() -> None:
    """Measure, and print the results."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and stop the servers
    chosen = arguments()
    if chosen.show:
        results = Results(stored(chosen.show), chosen.keep)
        results.keep()
    else:
        before = stored(chosen.keep / "results.json") if chosen.keep else {}
        results = Results(before, chosen.keep)
        extent = Extent(*(getattr(chosen, each.name) for each in fields(Extent)))
        measure(results, chosen.parts, extent)
    print("\n\n".join(tables(results.parts).values()))


if __name__ == "__main__":
    main()
