"""What is measured, and how runs are combined into results."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from pathlib import Path

CONNECTIONS = {0: 4, 50: 4, 200: 8}
"""The target's concurrent requests, by latency in milliseconds."""

LESS_WHEN_LATE = {0: 1, 50: 10, 200: 50}
"""Contenders that send one request at a time get this many times fewer records."""

INSTRUCTIONS_BETWEEN = (500, 2_500)
STALL_SECONDS = 10
PER_100_000 = 100_000


@dataclass(frozen=True)
class Extent:
    """The size of the measurement.

    Attributes:
        records: Records per run.
        many: Records of the long run.
        rounds: Runs of each contender, for the median.
        instructions: Whether to count instructions, which takes some minutes.
    """

    records: int = 100_000
    many: int = 1_000_000
    rounds: int = 5
    instructions: bool = True

    def of(self, contender: Contender, latency: int = 0) -> int:
        """Return the number of records for a contender."""
        share = contender.takes / PER_100_000
        if contender not in (PRODUCT, SDK_FLOOR, BARE_FLOOR):
            share /= LESS_WHEN_LATE[latency]
        return max(20, int(self.records * share))


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
        return {
            "start_up": self.start_up(),
            "contenders": self.contenders(),
            "latencies": {
                str(latency): self.at(latency) for latency in CONNECTIONS if latency
            },
            "loads": self.loads(),
            "long": self.long(),
            "stalled_mb": self.stalled(),
        }

    def start_up(self) -> dict[str, float]:
        """Compare the time of ``--version``."""
        taken: dict[str, list[float]] = defaultdict(list)
        nothing = Load(0).write(self._folder)
        with serving(0) as server:
            bench = Bench(server)
            for _ in range(self._extent.rounds * 3):
                for contender in (VERSION, START):
                    result = bench.run(contender, nothing)
                    taken[contender.title].append(result.seconds)
            bench.close()
        return {title: statistics.median(each) for title, each in taken.items()}

    def contenders(self) -> dict[str, Any]:
        """Compare all contenders, with a server without latency."""
        everybody = [PRODUCT, SDK_FLOOR, BARE_FLOOR, *self._rivals]
        figures = self._compare(everybody, 0)
        with serving(0) as server:
            bench = Bench(server)
            for contender in everybody:
                figures[contender.title]["instructions"] = self._instructions(
                    bench, contender
                )
            bench.close()
        return figures

    def at(self, latency: int) -> dict[str, Any]:
        """Compare the contenders that send, with a server with latency."""
        return self._compare([PRODUCT, *self._rivals], latency)

    def loads(self) -> dict[str, Any]:
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
        with serving(0) as server:
            return self._measure(
                Bench(server), {name: (PRODUCT, load) for name, load in loads.items()}
            )

    def long(self) -> dict[str, Any]:
        """Deliver ten times as much, in fewer rounds."""
        fewer = replace(self._extent, rounds=min(3, self._extent.rounds))
        runs = {"": (PRODUCT, Load(self._extent.many))}
        with serving(0) as server:
            figures: dict[str, Any] = self._measure(Bench(server), runs, fewer)[""]
        return figures

    def stalled(self) -> float:
        """Return the peak memory while the server does not respond."""
        with serving(0, STALL_SECONDS) as server:
            bench = Bench(server)
            source = Load(self._extent.records // 2, size=10_000).write(self._folder)
            result = bench.run(PRODUCT, source)
            bench.close()
        return result.peak_mb

    def _compare(self, contenders: list[Contender], latency: int) -> dict[str, Any]:
        runs = {
            each.title: (each, Load(self._extent.of(each, latency)))
            for each in contenders
        }
        with serving(latency) as server:
            return self._measure(Bench(server, CONNECTIONS[latency]), runs)

    def _measure(
        self,
        bench: Bench,
        runs: dict[str, tuple[Contender, Load]],
        extent: Extent | None = None,
    ) -> dict[str, Any]:
        """Run everything in turn, several times, with start-up subtracted."""
        empty: dict[str, list[float]] = defaultdict(list)
        results: dict[str, list[Result]] = defaultdict(list)
        for _ in range((extent or self._extent).rounds):
            for name, (contender, load) in runs.items():
                nothing = replace(load, count=0).write(self._folder)
                empty[name].append(bench.run(contender, nothing).seconds)
                results[name].append(bench.run(contender, load.write(self._folder)))
        bench.close()
        return {
            name: _figures(load.count, results[name], statistics.median(empty[name]))
            for name, (_, load) in runs.items()
        }

    def _instructions(self, bench: Bench, contender: Contender) -> int | None:
        """Count the instructions per record, without start-up."""
        if not self._extent.instructions:
            return None
        counts = [
            bench.instructions(contender, Load(count).write(self._folder))
            for count in INSTRUCTIONS_BETWEEN
        ]
        first, last = counts
        if first is None or last is None:
            return None
        few, many = INSTRUCTIONS_BETWEEN
        return round((last - first) / (many - few))


def _figures(count: int, results: list[Result], empty: float) -> dict[str, Any]:
    median = statistics.median(each.seconds for each in results) - empty
    last = results[-1]
    return {
        "records": count,
        "microseconds": median / count * 1_000_000,
        "peak_mb": max(each.peak_mb for each in results),
        "requests": last.requests,
        "bytes": last.bytes,
        "operations": last.operations,
    }
