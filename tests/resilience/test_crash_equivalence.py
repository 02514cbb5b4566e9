"""A run with network faults and kills leaves the same workspace as one without.

``CRASH_SEEDS=100 pytest -m crash`` runs a hundred streams, each with other faults.
``random_records.py`` lists what the streams leave out, and why.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support.customerio import Customerio

from .equivalence import (
    deliver,
    differences,
    events_in,
    rejected_in,
    undisturbed,
)
from .faults import (
    EventTwice,
    LostOperation,
    RandomFaults,
    SandboxOverHttp,
    UpdatesOutOfOrder,
)
from .random_records import RandomRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .equivalence import Contents, Figures

pytestmark = pytest.mark.crash

RECORDS = 20_000
SMALL = 4_000
SEEDS = range(1, int(os.environ.get("CRASH_SEEDS", "3")) + 1)
AT_ONCE = 3


@dataclass
class Comparison:
    """Workspaces after a run without faults and one with faults."""

    source: RandomRecords
    expected: Contents
    expected_rejected: set[str]
    found: Contents
    found_rejected: set[str]
    figures: Figures
    faults: dict[str, int]
    requests: int

    @property
    def description(self) -> str:
        return (
            f"seed {self.source.seed}: {self.figures}, {self.requests} requests, "
            f"faults: {self.faults}"
        )


def compare(seed: int, folder: Path, **settings: Any) -> Comparison:
    """Deliver records twice: without faults, and with faults, kills and settings."""
    source = RandomRecords(seed, RECORDS)
    expected = undisturbed(source, folder / "undisturbed")
    upstream = SandboxOverHttp(folder / "upstream.db")
    server = Customerio()
    server.script = faults = RandomFaults(upstream, seed)
    try:
        figures = deliver(
            source, server, folder / "disturbed", seed, kills_of(seed), **settings
        )
        found = upstream.contents()
    finally:
        server.close()
        upstream.close()
    return Comparison(
        source,
        expected,
        rejected_in(folder / "undisturbed"),
        found,
        rejected_in(folder / "disturbed"),
        figures,
        faults.injected,
        len(server.requests),
    )


def kills_of(seed: int) -> int:
    """Return how often the target is killed; 0 for every third seed."""
    return (0, 4, 3)[(seed - 1) % 3]


@pytest.fixture(scope="module")
def comparisons(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[int, Future[Comparison]]]:
    """Run all seeds, some of them at the same time, since they mostly wait."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            seed: pool.submit(compare, seed, tmp_path_factory.mktemp(f"seed-{seed}"))
            for seed in SEEDS
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_and_kills_make_no_difference(
    seed: int, comparisons: dict[int, Future[Comparison]]
) -> None:
    done = comparisons[seed].result()
    events = sorted(done.source.events)
    assert events_in(done.expected) == events, done.description
    assert sum(done.faults.values()) >= 0.15 * done.requests, done.description
    assert done.figures.kills == kills_of(seed), done.description
    assert differences(done.expected, done.found) == [], done.description
    assert events_in(done.found) == events, done.description
    assert done.found_rejected == done.expected_rejected, done.description
    assert len(done.found_rejected) == done.source.rejected, done.description


@pytest.mark.parametrize("seed", SEEDS)
def test_nor_do_they_with_a_snapshot(seed: int, tmp_path: Path) -> None:
    done = compare(seed, tmp_path, snapshot="snapshot.db")
    assert differences(done.expected, done.found) == [], done.description
    assert events_in(done.found) == sorted(done.source.events), done.description


@dataclass
class Small:
    """A few records, and the workspace after a run without faults."""

    source: RandomRecords
    reference: Contents


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    source = RandomRecords(0, SMALL)
    return Small(source, undisturbed(source, tmp_path_factory.mktemp("small")))


@pytest.mark.parametrize(
    ("sabotage", "done", "traces"),
    [
        pytest.param(lambda upstream: upstream, None, set(), id="nothing"),
        pytest.param(UpdatesOutOfOrder, "swaps", {"people"}, id="updates are swapped"),
        pytest.param(
            lambda upstream: LostOperation(upstream, "event", 200),
            "dropped",
            {"events"},
            id="an event is dropped",
        ),
        pytest.param(
            lambda upstream: LostOperation(upstream, "merge", 0),
            "dropped",
            {"people"},
            id="a merge is dropped",
        ),
        pytest.param(
            lambda upstream: EventTwice(upstream, 200),
            "doubled",
            {"events"},
            id="an event is doubled",
        ),
    ],
)
def test_the_comparison_finds_each_deliberate_fault(
    sabotage: Callable[[SandboxOverHttp], Any],
    done: str | None,
    traces: set[str],
    small: Small,
    tmp_path: Path,
) -> None:
    upstream = SandboxOverHttp(tmp_path / "upstream.db")
    server = Customerio()
    server.script = script = sabotage(upstream)
    try:
        deliver(small.source, server, tmp_path / "run", seed=0)
        if isinstance(script, UpdatesOutOfOrder):
            upstream.apply(script.held)
        found = differences(small.reference, upstream.contents())
    finally:
        server.close()
        upstream.close()
    assert done is None or getattr(script, done) >= 1
    assert traces <= {each.partition(":")[0] for each in found}, found
    assert bool(found) == bool(traces), found


def test_the_random_records_are_of_every_kind() -> None:
    source = RandomRecords(1, RECORDS)
    assert len(source.records) >= RECORDS
    assert source.people >= 500
    streams = {each["stream"] for each in source.records}
    assert streams == {
        *("identifies", "crm.identify", "tracks", "pages"),
        *("screens", "groups", "aliases"),
    }
    actions = [each["record"].get("event") for each in source.records]
    for action in ("User Deleted", "User Suppressed", "User Unsuppressed"):
        assert actions.count(action) >= 10, action
    assert source.rejected >= 100
