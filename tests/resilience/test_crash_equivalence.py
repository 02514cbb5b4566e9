"""A run with network faults and kills leaves the same workspace as one without.

``CRASH_SEEDS=100 pytest -m crash`` runs a hundred streams, each with other faults.
``story.py`` lists what the streams leave out, and why.
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
from .front import Doubling, Dropping, Faults, Swapping, Upstream
from .story import Story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .equivalence import Snapshot, Told

pytestmark = pytest.mark.crash

RECORDS = 20_000
SMALL = 4_000
SEEDS = range(1, int(os.environ.get("CRASH_SEEDS", "3")) + 1)
AT_ONCE = 3


@dataclass
class Comparison:
    """Workspaces after a run without faults and one with faults."""

    story: Story
    expected: Snapshot
    expected_rejected: set[str]
    found: Snapshot
    found_rejected: set[str]
    told: Told
    faults: dict[str, int]
    requests: int

    @property
    def description(self) -> str:
        return (
            f"seed {self.story.seed}: {self.told}, {self.requests} requests, "
            f"faults: {self.faults}"
        )


def compare(seed: int, folder: Path) -> Comparison:
    """Deliver a story twice: without faults, and with faults and kills."""
    story = Story(seed, RECORDS)
    expected = undisturbed(story, folder / "undisturbed")
    upstream = Upstream(folder / "upstream.db")
    server = Customerio()
    server.script = faults = Faults(upstream, seed)
    try:
        told = deliver(story, server, folder / "disturbed", seed, kills_of(seed))
        found = upstream.snapshot()
    finally:
        server.close()
        upstream.close()
    return Comparison(
        story,
        expected,
        rejected_in(folder / "undisturbed"),
        found,
        rejected_in(folder / "disturbed"),
        told,
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
    events = sorted(done.story.events)
    assert events_in(done.expected) == events, done.description
    assert sum(done.faults.values()) >= 0.15 * done.requests, done.description
    assert done.told.kills == kills_of(seed), done.description
    assert differences(done.expected, done.found) == [], done.description
    assert events_in(done.found) == events, done.description
    assert done.found_rejected == done.expected_rejected, done.description
    assert len(done.found_rejected) == done.story.rejected, done.description


@dataclass
class Small:
    """A short story, and the workspace after a run without faults."""

    story: Story
    reference: Snapshot


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    story = Story(0, SMALL)
    return Small(story, undisturbed(story, tmp_path_factory.mktemp("small")))


@pytest.mark.parametrize(
    ("sabotage", "done", "traces"),
    [
        pytest.param(lambda upstream: upstream, None, set(), id="nothing"),
        pytest.param(Swapping, "swaps", {"people"}, id="updates are swapped"),
        pytest.param(
            lambda upstream: Dropping(upstream, "event", 200),
            "dropped",
            {"events"},
            id="an event is dropped",
        ),
        pytest.param(
            lambda upstream: Dropping(upstream, "merge", 0),
            "dropped",
            {"people"},
            id="a merge is dropped",
        ),
        pytest.param(
            lambda upstream: Doubling(upstream, 200),
            "doubled",
            {"events"},
            id="an event is doubled",
        ),
    ],
)
def test_the_comparison_finds_each_deliberate_fault(
    sabotage: Callable[[Upstream], Any],
    done: str | None,
    traces: set[str],
    small: Small,
    tmp_path: Path,
) -> None:
    upstream = Upstream(tmp_path / "upstream.db")
    server = Customerio()
    server.script = script = sabotage(upstream)
    try:
        deliver(small.story, server, tmp_path / "run", seed=0)
        if isinstance(script, Swapping):
            upstream.apply(script.held)
        found = differences(small.reference, upstream.snapshot())
    finally:
        server.close()
        upstream.close()
    assert done is None or getattr(script, done) >= 1
    assert traces <= {each.partition(":")[0] for each in found}, found
    assert bool(found) == bool(traces), found


def test_the_story_has_every_kind_of_record() -> None:
    story = Story(1, RECORDS)
    assert len(story.records) >= RECORDS
    assert story.people >= 500
    streams = {each["stream"] for each in story.records}
    assert streams == {
        *("identifies", "crm.identify", "tracks", "pages"),
        *("screens", "groups", "aliases"),
    }
    actions = [each["record"].get("event") for each in story.records]
    for action in ("User Deleted", "User Suppressed", "User Unsuppressed"):
        assert actions.count(action) >= 10, action
    assert story.rejected >= 100
