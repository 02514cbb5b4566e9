"""Taps and databases."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.postgres import Database, programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAP = "meltanolabs-tap-postgres==0.10.0"
REQUIRED = "CI_REQUIRES_POSTGRES"
RECIPES = Path(__file__).parents[2] / "docs/examples/recipes"


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
def tap_postgres(install: Callable[..., Path]) -> str:
    return str(install("tap-postgres", TAP) / "tap-postgres")
