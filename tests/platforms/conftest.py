"""Platforms, each in a separate environment, and what they run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .project import ROOT, STATES, Copy

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def meltano(install: Callable[..., Path]) -> str:
    return str(install("meltano", "meltano~=4.4") / "meltano")


@pytest.fixture(scope="session")
def tap_jsonl(install: Callable[..., Path]) -> Path:
    """Return the folder of the tap's command."""
    return install("tap-jsonl", "tap-jsonl==0.3.1")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory, meltano: str) -> Copy:
    """Return a copy of the checkout in which Meltano installs plugins."""
    copy = Copy(tmp_path_factory.mktemp("checkout"), meltano)
    for name in ("pyproject.toml", "README.md", "LICENSE", "meltano.yml"):
        shutil.copy(ROOT / name, copy.folder)
    for name in ("target_customerio", "docs/examples/shop"):
        shutil.copytree(
            ROOT / name,
            copy.folder / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    return copy


@pytest.fixture
def project(tmp_path: Path, meltano: str) -> Copy:
    """Return a project like the checkout's, with a tap of lines and no installs.

    It uses the target under test; the tap resumes from STATE.
    """
    copy = Copy(tmp_path / "project", meltano)
    copy.folder.mkdir()
    copy.configure(with_tap_lines)
    states = {"uri": (copy.folder / STATES).as_uri()}
    copy.configure(lambda content: content.update(state_backend=states))
    return copy


def with_tap_lines(content: dict[str, Any]) -> None:
    here = Path(__file__).parent
    (loader,) = content["plugins"]["loaders"]
    del loader["pip_url"]
    loader["executable"] = Copy.command("target-customerio")
    content["plugins"]["extractors"] = [
        {
            "name": "tap-lines",
            "namespace": "tap_lines",
            "executable": str(here / "tap_lines.py"),
            "capabilities": ["state"],
            "settings": [{"name": "path"}],
            "config": {"path": "lines.jsonl"},
        }
    ]
    del content["jobs"]
    content.pop("schedules", None)
