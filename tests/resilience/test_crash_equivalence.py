"""Whatever the network does, and whenever the target is killed, the result is one.

``CRASH_SEEDS=100 pytest -m crash`` tries a hundred
streams, each with faults of its own. What the streams leave out, and why, is said in
``story.py``.
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
    """What an undisturbed and a disturbed run of one story leave."""

    story: Story
    expected: Snapshot
    expected_rejected: set[str]
    found: Snapshot
    found_rejected: set[str]
    told: Told
    faults: dict[str, int]
    requests: int

    @property
    def how(self) -> str:
        return (
            f"seed {self.story.seed}: {self.told}, {self.requests} requests, "
            f"faults: {self.faults}"
        )


def compare(seed: int, folder: Path) -> Comparison:
    """Deliver a story twice, to a workspace that works and to one that hardly does."""
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
    """Tell how often the target is killed: never in every third run."""
    return (0, 4, 3)[(seed - 1) % 3]


@pytest.fixture(scope="module")
def comparisons(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[int, Future[Comparison]]]:
    """Run all seeds, a few at a time, since most of what they do is to wait."""
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
    assert events_in(done.expected) == events, done.how
    assert sum(done.faults.values()) >= 0.15 * done.requests, done.how
    assert done.told.kills == kills_of(seed), done.how
    assert differences(done.expected, done.found) == [], done.how
    assert events_in(done.found) == events, done.how
    assert done.found_rejected == done.expected_rejected, done.how
    assert len(done.found_rejected) == done.story.rejected, done.how


@dataclass
class Small:
    """A short story, and what an undisturbed run of it leaves."""

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
def test_the_comparison_tells_what_is_broken_on_purpose(
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


def test_the_stream_is_as_mixed_as_it_is_meant_to_be() -> None:
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
