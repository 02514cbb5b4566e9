"""Runs with a snapshot that are killed leave the workspace of runs without one.

``CRASH_SEEDS=100 pytest -m crash`` runs a hundred series of tables.
"""

from __future__ import annotations

import os
import random
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from support.command import RunningTarget, wait_until
from support.customerio import Customerio
from support.workspace import contents_of

from . import sabotages
from .equivalence import differences
from .faults import RandomFaults, SandboxOverHttp
from .tables import STREAM_CALLS, Table

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.crash

SEEDS = range(1, int(os.environ.get("CRASH_SEEDS", "3")) + 1)
ROUNDS = 8
MOST_RUNS = 60
SETTINGS = {
    "stream_calls": STREAM_CALLS,
    "batch_size_rows": 10,
    "max_concurrent_requests": 4,
    "request_timeout_seconds": 1,
    "max_retry_seconds": 120,
    "hard_delete": True,
}


@dataclass
class Series:
    """Runs of one table after the other, into one workspace, with one snapshot."""

    folder: Path
    seed: int
    target: type[RunningTarget] = RunningTarget
    faults: bool = True
    kills: int = 0
    resumed: int = 0
    unchanged: int = 0
    found: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.upstream = SandboxOverHttp(self.folder / "upstream.db")
        self.server = Customerio()
        self.server.script = (
            RandomFaults(self.upstream, self.seed) if self.faults else self.upstream
        )

    def close(self) -> None:
        self.server.close()
        self.upstream.close()

    def run(self) -> None:
        """Run all tables; the last one to its end."""
        for number in range(ROUNDS):
            table = Table(self.seed * 1000 + number)
            is_last = number == ROUNDS - 1
            if self._load(table, give_up=not is_last and self.draw.random() < 0.5):
                expected = alone(table, self.folder / f"table-{number}")
                self.found += differences(expected, self.upstream.contents())

    def _load(self, table: Table, *, give_up: bool) -> bool:
        """Load a table; return False if it is given up after a kill."""
        position = 0
        for _ in range(MOST_RUNS):
            kill = give_up or self.draw.random() < 0.5
            position, ended = self._start(table, position, kill=kill)
            if ended:
                return True
            self.kills += 1
            if give_up:
                return False
            self.resumed += 1
        raise AssertionError(f"{MOST_RUNS} runs were not enough (seed {self.seed})")

    def _start(self, table: Table, position: int, *, kill: bool) -> tuple[int, bool]:
        child = self.target(
            self.folder / "run",
            {"api_url": self.server.url, "snapshot": "snapshot.db", **SETTINGS},
        )
        try:
            states = random.Random(self.draw.random())
            child.send_in_background(table.messages(position, states))
            if kill:
                before = len(self.server.requests)
                count, pause = self.draw.randint(1, 25), self.draw.random() / 20
                wait_until(
                    lambda: (
                        not child.running or len(self.server.requests) - before >= count
                    ),
                    120,
                    "requests",
                )
                self.server.closing.wait(pause)
            else:
                child.wait(120)
            ended = not child.running
        finally:
            child.kill()
        self.server.wait_until_idle()
        self.unchanged += " unchanged " in child.text()
        if ended:
            assert child.process.returncode == 0, child.text()[-2000:]
        return max([position, *(each["sent"] for each in child.states)]), ended


def alone(table: Table, folder: Path) -> dict[str, Any]:
    """Return the workspace of a table, loaded without a snapshot and without faults."""
    settings = {**SETTINGS, "sandbox": "workspace.db", "max_concurrent_requests": 1}
    child = RunningTarget(folder, {**settings, "batch_size_rows": 1000})
    try:
        child.send_in_background(table.messages(0, random.Random(0)))
        assert child.wait(120) == 0, child.text()[-2000:]
    finally:
        child.kill()
    return contents_of(folder / "workspace.db")


@pytest.mark.parametrize("seed", SEEDS)
def test_kills_and_faults_make_no_difference_with_a_snapshot(
    seed: int, tmp_path: Path
) -> None:
    series = Series(tmp_path, seed)
    try:
        series.run()
    finally:
        series.close()
    assert series.found == [], "\n".join(series.found)
    assert series.kills >= 3, series
    assert series.unchanged, series


@pytest.mark.parametrize("sabotage", sabotages.SABOTAGES)
def test_the_comparison_finds_each_mistake_in_the_snapshot(
    sabotage: str, tmp_path: Path
) -> None:
    class Sabotaged(RunningTarget):
        command = (sys.executable, sabotages.__file__, sabotage)

    for seed in range(1, 6):
        (tmp_path / str(seed)).mkdir()
        series = Series(tmp_path / str(seed), seed, target=Sabotaged, faults=False)
        try:
            series.run()
        finally:
            series.close()
        if series.found:
            return
    raise AssertionError(f"{sabotage} was not found")
