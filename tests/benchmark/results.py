"""The results: a file that has each part as soon as it is measured."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chart import draw
from measure import SEGMENT
from suite import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VERSIONS = ("singer-sdk", "msgspec", "requests", "customerio")


class Results:
    """What is known of each part, by its name.

    Attributes:
        parts: How each part was measured, and its figures.
    """

    def __init__(self, parts: dict[str, Any], folder: Path | None = None) -> None:
        """Begin with parts that were measured before.

        Args:
            parts: These parts.
            folder: Where to keep results and charts, if anywhere.
        """
        self.parts = parts
        self._folder = folder

    def measure(
        self, names: Iterable[str], measured: Callable[[str], dict[str, Any]]
    ) -> None:
        """Measure parts, and keep each when it is done.

        Args:
            names: Their names.
            measured: Measures a part; returns its rounds and figures.
        """
        for name in names:
            print(f"{name}: ", end="", file=sys.stderr, flush=True)
            started = time.monotonic()
            part = measured(name)
            taken = round(time.monotonic() - started)
            print(f"{taken} s", file=sys.stderr, flush=True)
            every = {**self.parts, name: {"made": made(), "seconds": taken, **part}}
            self.parts = {each: every[each] for each in PARTS if each in every}
            self.keep()

    def keep(self) -> None:
        """Write results and charts; in this folder, update the documentation."""
        if self._folder is None:
            return
        path = self._folder / "results.json"
        new = path.with_suffix(".new")
        text = json.dumps(self.parts, indent=2, ensure_ascii=False) + "\n"
        new.write_text(text, encoding="utf-8")
        new.replace(path)
        figures = {name: part["figures"] for name, part in self.parts.items()}
        draw(figures, self._folder)
        if self._folder == HERE:
            subprocess.run([sys.executable, ROOT / "docs/generate.py"], check=True)


def stored(path: Path) -> dict[str, Any]:
    """Return the parts in a file; none if it does not exist."""
    if not path.exists():
        return {}
    parts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return parts


def made() -> str:
    """Say the date, the machine and the versions."""
    versions = [*(f"{name} {version(name)}" for name in VERSIONS), *_versions_of_node()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores "
        f"({platform.machine()}), {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}, {', '.join(versions)}"
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
