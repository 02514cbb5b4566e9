"""Taps and databases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.postgres import Database, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAP = "meltanolabs-tap-postgres==0.10.0"
RECIPES = Path(__file__).parents[2] / "docs/examples/recipes"


@pytest.fixture(scope="session")
def recipes() -> Path:
    return RECIPES


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    with running_server() as database:
        yield database


@pytest.fixture(scope="session")
def tap_postgres(install: Callable[..., Path]) -> str:
    return str(install("tap-postgres", TAP) / "tap-postgres")
