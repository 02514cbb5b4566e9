"""The sample shop, runs with a snapshot, and a run whose input comes slowly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.loads import Loads

if TYPE_CHECKING:
    from support.command import Terminal
    from support.singer import Singer

SHOP = Path(__file__).parents[2] / "docs/examples/shop"

SLOWLY = """
import io, sys, time
import target_customerio.progress
from target_customerio.__main__ import main

class Slow(io.BytesIO):
    def readline(self, size):
        time.sleep(0.2)
        return super().readline(size)

target_customerio.progress.LOG_SECONDS = 0.25
schema = b'{"type":"SCHEMA","stream":"ledger","schema":{"properties":{}}}'
record = b'{"type":"RECORD","stream":"ledger","record":{}}'
sys.stdin = io.TextIOWrapper(Slow(b"\\n".join([schema, *[record] * 4])))
sys.argv = ["target-customerio", "--config", "config.json"]
main()
"""


@pytest.fixture(scope="session")
def shop_folder() -> Path:
    return SHOP


@pytest.fixture
def loads(terminal: Terminal, singer: Singer) -> Loads:
    return Loads(terminal, singer)


@pytest.fixture
def slow_input() -> str:
    """Return a program that reads four records of one stream in a second."""
    return SLOWLY
