"""The sample shop."""

from __future__ import annotations

from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "docs/examples/shop"


@pytest.fixture(scope="session")
def shop_folder() -> Path:
    return SHOP
