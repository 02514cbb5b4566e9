"""Compare the target's speed with others: ``python tests/benchmark``.

It takes about 25 minutes on a quiet machine. Everything runs here, on loopback,
with made-up records; only the contenders' packages are downloaded. With ``--keep``, the
figures become those of the documentation.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import fields
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chart import draw
from measure import SEGMENT
from report import tables
from suite import Extent, Suite

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
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
        f"{extent.rounds} interleaved rounds of {extent.records:,} records, start-up "
        "subtracted."
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


def keep(results: dict[str, Any], folder: Path) -> None:
    """Write the results and the charts; in this folder, update the documentation."""
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8")
    draw(results["figures"], folder)
    if folder == HERE:
        subprocess.run([sys.executable, ROOT / "docs/generate.py"], check=True)


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(prog="python tests/benchmark")
    for each in fields(Extent):
        parser.add_argument(f"--{each.name}", type=int, default=each.default)
    parser.add_argument(
        "--keep",
        type=Path,
        nargs="?",
        const=HERE,
        metavar="FOLDER",
        help="keep results and charts, by default for the documentation",
    )
    parser.add_argument("--show", type=Path, help="measure nothing; show this file")
    chosen = parser.parse_args()
    if chosen.show:
        results = json.loads(chosen.show.read_text(encoding="utf-8"))
    else:
        extent = Extent(*(getattr(chosen, each.name) for each in fields(Extent)))
        # Otherwise the first start of each program would include compiling it.
        for folder in (sysconfig.get_path("purelib"), ROOT / "target_customerio"):
            compileall.compile_dir(folder, quiet=2)
        with tempfile.TemporaryDirectory() as folder:
            figures = Suite(extent, Path(folder)).figures()
        results = {"made": made(extent), "figures": figures}
    if chosen.keep:
        keep(results, chosen.keep)
    print("\n\n".join(tables(results).values()))


if __name__ == "__main__":
    main()
