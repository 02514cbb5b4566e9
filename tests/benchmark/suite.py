"""What is measured, and how runs are combined into results."""

from __future__ import annotations

import statistics
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from measure import (
    BARE_FLOOR,
    CHUNKS,
    CLIENT,
    PRODUCT,
    SDK_FLOOR,
    START,
    VERSION,
    Bench,
    Contender,
    Result,
    segment,
    serving,
)
from records import Load
from snapshots import Snapshots

if TYPE_CHECKING:
    from pathlib import Path

Key = TypeVar("Key", str, tuple[int, str])

LATENCIES = (0, 50, 200)
"""Response times of the server in milliseconds."""

LESS_WHEN_LATE = {0: 1, 50: 10, 200: 50}
"""Contenders that send one request at a time get this many times fewer records."""

PER_100_000 = 100_000

EVERYBODY_ONCE = "everybody once"
FEW_PEOPLE = "500 people, uniform"
ZIPF = "50,000 people, Zipf 1.0"
STEEP_ZIPF = "50,000 people, Zipf 1.2"
COMPANIES_ONCE = "group calls, every company once"
ONE_COMPANY = "one company in every group call"
MEMBERSHIPS_ONCE = "memberships, every company once"
MEMBERSHIPS = "memberships of one company"

ONCE = {
    **dict.fromkeys((COMPANIES_ONCE, ONE_COMPANY), COMPANIES_ONCE),
    **dict.fromkeys((MEMBERSHIPS_ONCE, MEMBERSHIPS), MEMBERSHIPS_ONCE),
}
"""The same kind of record, with everybody once, where that is not an event."""


def recurring(count: int) -> dict[str, Load]:
    """Return loads of people and companies that come once, often and very often."""
    once = Load(count, size=400, people=None)
    return {
        EVERYBODY_ONCE: once,
        "5,000 people, uniform": replace(once, people=5_000),
        FEW_PEOPLE: replace(once, people=500),
        ZIPF: replace(once, people=50_000, exponent=1.0),
        STEEP_ZIPF: replace(once, people=50_000, exponent=1.2),
        COMPANIES_ONCE: replace(once, calls="group", companies=None),
        ONE_COMPANY: replace(once, calls="group", companies=1),
        MEMBERSHIPS_ONCE: replace(once, calls="membership", companies=None),
        MEMBERSHIPS: replace(once, calls="membership", companies=1),
    }


class Run(NamedTuple):
    """A contender, its input, and the server that it delivers to."""

    bench: Bench
    contender: Contender
    load: Load


@dataclass(frozen=True)
class Extent:
    """The size of the measurement.

    Attributes:
        records: Records per run.
        many: Records of the long run.
        rounds: Runs of each contender, for the median.
        counted: Records for counting instructions, which takes minutes; 0: do not.
        stall: Seconds for which the server does not respond, while memory is measured.
    """

    records: int = 100_000
    many: int = 1_000_000
    rounds: int = 3
    counted: int = 2_500
    stall: int = 10

    def of(self, contender: Contender, latency: int = 0) -> int:
        """Return the number of records for a contender."""
        share = contender.takes / PER_100_000
        if contender not in (PRODUCT, SDK_FLOOR, BARE_FLOOR):
            share /= LESS_WHEN_LATE[latency]
        return max(5, int(self.records * share))


class Suite:
    """Measures everything, one thing after the other."""

    def __init__(self, extent: Extent, folder: Path) -> None:
        """Install what is missing.

        Args:
            extent: The size of the measurement.
            folder: Folder of inputs and installations.
        """
        self._extent = extent
        self._folder = folder
        others = [CHUNKS, segment(folder), CLIENT]
        self._rivals = [each for each in others if each is not None]

    def figures(self) -> dict[str, Any]:
        """Measure everything."""
        with ExitStack() as stack:
            benches = {
                latency: stack.enter_context(serving(self._folder, latency))
                for latency in LATENCIES
            }
            at_once = benches[0]
            return {
                "start_up": self.start_up(at_once),
                "contenders": self.contenders(benches),
                "instructions": self.instructions(at_once),
                "recurring": self.recurring(benches),
                "loads": self.loads(at_once),
                "long": self.long(at_once),
                "stalled_mb": self.stalled(),
                "snapshots": self.snapshots(benches),
            }

    def start_up(self, bench: Bench) -> dict[str, float]:
        """Compare the time of ``--version``."""
        taken: dict[str, list[float]] = defaultdict(list)
        nothing = Load(0).write(self._folder)
        for _ in range(self._extent.rounds * 3):
            for contender in (VERSION, START):
                taken[contender.title].append(bench.run(contender, nothing).seconds)
        return {title: statistics.median(each) for title, each in taken.items()}

    def contenders(self, benches: dict[int, Bench]) -> dict[str, Any]:
        """Compare all contenders, and at latencies those that send."""
        runs = {}
        for latency, bench in benches.items():
            for each in [PRODUCT, *self._rivals] if latency else self._everybody:
                load = Load(self._extent.of(each, latency))
                runs[latency, each.title] = Run(bench, each, load)
        return self._by_latency(runs)

    def instructions(self, bench: Bench) -> dict[str, int]:
        """Count the instructions per record of all contenders, without start-up."""
        figures: dict[str, int] = {}
        if not self._extent.counted:
            return figures
        for contender in self._everybody:
            many = self._extent.counted // (10 if contender is CLIENT else 1)
            few = many // 5
            first, last = (
                bench.instructions(contender, Load(count).write(self._folder))
                for count in (few, many)
            )
            if first is not None and last is not None:
                figures[contender.title] = round((last - first) / (many - few))
        return figures

    def recurring(self, benches: dict[int, Bench]) -> dict[str, Any]:
        """Compare people who come once with those who come often."""
        loads = recurring(self._extent.records)
        runs = {
            (latency, name): Run(bench, PRODUCT, load)
            for latency, bench in benches.items()
            for name, load in loads.items()
        }
        return self._by_latency(runs)

    def loads(self, bench: Bench) -> dict[str, Any]:
        """Compare loads for the target."""
        count = self._extent.records
        loads = {
            "track, nested": Load(count),
            "track, flat": Load(count, rows="flat"),
            "six calls, nested": Load(count, calls="mixed"),
            "six calls, flat": Load(count, calls="mixed", rows="flat"),
            "track, nested, 0.3 KB": Load(count, size=300),
            "track, nested, 1 KB": Load(count, size=1_000),
            "track, nested, 10 KB": Load(count // 10, size=10_000),
            "track, nested, 10 KB, more": Load(count // 2, size=10_000),
        }
        return self._measure(
            {name: Run(bench, PRODUCT, load) for name, load in loads.items()}
        )

    def long(self, bench: Bench) -> dict[str, Any]:
        """Deliver ten times as much."""
        run = Run(bench, PRODUCT, Load(self._extent.many))
        return self._measure({"": run})[""]

    def stalled(self) -> float:
        """Return the peak memory while the server does not respond."""
        source = Load(self._extent.records // 2, size=10_000).write(self._folder)
        with serving(self._folder, 0, self._extent.stall) as bench:
            return bench.run(PRODUCT, source).peak_mb

    def snapshots(self, benches: dict[int, Bench]) -> dict[str, Any]:
        """Compare runs with a snapshot with those without."""
        extent = self._extent
        runs = Snapshots(self._folder, extent.records, extent.many, extent.rounds)
        return runs.figures(benches)

    @property
    def _everybody(self) -> list[Contender]:
        return [PRODUCT, SDK_FLOOR, BARE_FLOOR, *self._rivals]

    def _by_latency(self, runs: dict[tuple[int, str], Run]) -> dict[str, Any]:
        busiest = {load: load.busiest for load in {run.load for run in runs.values()}}
        figures: dict[str, Any] = defaultdict(dict)
        for (latency, name), each in self._measure(runs).items():
            load = runs[latency, name].load
            figures[str(latency)][name] = {**each, "busiest": busiest[load]}
        return figures

    def _measure(self, runs: dict[Key, Run]) -> dict[Key, dict[str, Any]]:
        """Run everything in turn, several times, with start-up subtracted."""
        empty: dict[Contender, list[float]] = defaultdict(list)
        results: dict[Key, list[Result]] = defaultdict(list)
        nothing = Load(0).write(self._folder)
        bench = next(iter(runs.values())).bench
        for _ in range(self._extent.rounds):
            for contender in dict.fromkeys(run.contender for run in runs.values()):
                empty[contender].append(bench.run(contender, nothing).seconds)
            for key, run in runs.items():
                source = run.load.write(self._folder)
                results[key].append(run.bench.run(run.contender, source))
        return {
            key: _figures(
                run.load.count, results[key], statistics.median(empty[run.contender])
            )
            for key, run in runs.items()
        }


def _figures(count: int, results: list[Result], empty: float) -> dict[str, Any]:
    median = statistics.median(each.seconds for each in results)
    last = results[-1]
    return {
        "records": count,
        "microseconds": (median - empty) / count * 1_000_000,
        "peak_mb": max(each.peak_mb for each in results),
        "requests": last.requests,
        "bytes": last.bytes,
        "operations": last.operations,
        "server_microseconds": last.cpu_seconds / count * 1_000_000,
    }
