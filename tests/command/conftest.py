"""The sample shop, and runs with a snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.loads import Loads

if TYPE_CHECKING:
    from support.command import Terminal
    from support.singer import Singer

SHOP = Path(__file__).parents[2] / "docs/examples/shop"


@pytest.fixture(scope="session")
def shop_folder() -> Path:
    return SHOP


@pytest.fixture
def loads(terminal: Terminal, singer: Singer) -> Loads:
    return Loads(terminal, singer)
