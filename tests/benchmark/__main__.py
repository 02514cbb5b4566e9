"""Compare the target's speed with others: ``python tests/benchmark``.

It takes a quarter of an hour on a quiet machine. Everything runs here, on loopback,
with made-up records; only the contenders' packages are downloaded.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from chart import draw
from measure import SEGMENT
from report import tables
from suite import Extent, Suite

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "target_customerio"
VERSIONS = ("singer-sdk", "msgspec", "requests", "customerio")


def made(extent: Extent) -> str:
    """Describe when, on which machine and with which versions it was measured."""
    versions = ", ".join(
        [*(f"{name} {version(name)}" for name in VERSIONS), *_versions_of_node()]
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores "
        f"({platform.machine()}), {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}, {versions}; medians of "
        f"{extent.rounds} interleaved rounds, start-up subtracted."
    )


def _versions_of_node() -> list[str]:
    """Return the versions of Node.js and its packages, if installed."""
    node = shutil.which("node")
    if node is None:
        return []
    asked = subprocess.run([node, "--version"], check=True, capture_output=True)
    package = json.loads((SEGMENT / "package.json").read_text(encoding="utf-8"))
    return [
        f"Node.js {asked.stdout.decode().strip().removeprefix('v')}",
        *(f"{name} {exactly}" for name, exactly in package["dependencies"].items()),
    ]


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(prog="python tests/benchmark")
    parser.add_argument("--records", type=int, default=Extent.records)
    parser.add_argument("--many", type=int, default=Extent.many)
    parser.add_argument("--rounds", type=int, default=Extent.rounds)
    parser.add_argument("--without-instructions", action="store_true")
    parser.add_argument("--results", type=Path, help="where to keep the figures")
    parser.add_argument("--chart", type=Path, help="where to draw them")
    parser.add_argument("--show", type=Path, help="show the figures that are kept here")
    chosen = parser.parse_args()
    if chosen.show:
        results = json.loads(chosen.show.read_text(encoding="utf-8"))
    else:
        extent = Extent(
            chosen.records,
            chosen.many,
            chosen.rounds,
            instructions=not chosen.without_instructions,
        )
        # Otherwise the first start of each program would include compiling it.
        for folder in (sysconfig.get_path("purelib"), PACKAGE):
            compileall.compile_dir(folder, quiet=2)
        with tempfile.TemporaryDirectory() as folder:
            figures = Suite(extent, Path(folder)).figures()
        results = {"made": made(extent), "figures": figures}
    if chosen.results:
        text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
        chosen.results.write_text(text, encoding="utf-8")
    if chosen.chart:
        draw(results["figures"], chosen.chart)
    print(tables(results))


if __name__ == "__main__":
    main()
