"""Taps, databases and a prompt."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .database import Database, installed, programs

if TYPE_CHECKING:
    from collections.abc import Iterator

TAP = "meltanolabs-tap-postgres==0.10.0"
REQUIRED = "CI_REQUIRES_POSTGRES"
RECIPES = Path(__file__).parents[2] / "docs/examples/recipes"


def _prompt() -> Any:
    """Load the prompt of tests/command, which is the users' own."""
    name = "prompt_of_taps"
    path = Path(__file__).parents[1] / "command/conftest.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_PROMPT = _prompt()
Outcome = _PROMPT.Outcome
Terminal = _PROMPT.Terminal
compiled = _PROMPT.compiled
new_terminal = _PROMPT.new_terminal
singer = _PROMPT.singer
terminal = _PROMPT.terminal


@pytest.fixture(scope="session")
def recipes() -> Path:
    return RECIPES


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    found = programs()
    if found is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"no PostgreSQL is installed, and {REQUIRED} is set")
        pytest.skip("no PostgreSQL is installed (Debian's package postgresql has it)")
    database = Database.start(found)
    yield database
    database.stop()


@pytest.fixture(scope="session")
def tap_postgres(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tap-postgres") / "environment"
    return installed(folder, TAP, "tap-postgres")
