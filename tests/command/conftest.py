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
import io, sys, threading
import target_customerio.progress
from target_customerio.__main__ import main
from target_customerio.pipeline import Pipeline

logged = threading.Event()
log_progress = Pipeline.log_progress

def log(pipeline):
    log_progress(pipeline)
    logged.set()

class Slow(io.BytesIO):
    def readline(self, size):
        line = super().readline(size)
        if not line:
            logged.clear()
            assert logged.wait(60)
        return line

Pipeline.log_progress = log
target_customerio.progress.LOG_SECONDS = 0.05
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
    """Return a program whose input ends once progress after four records is logged."""
    return SLOWLY
