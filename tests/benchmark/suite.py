"""What is measured, in parts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from measure import (
    BARE_FLOOR,
    CHUNKS,
    CLIENT,
    LATENCIES,
    PRODUCT,
    SDK_FLOOR,
    START,
    VERSION,
    Bench,
    Contender,
    segment,
    serving,
)
from records import Load
from rounds import Run, in_rounds
from snapshots import Snapshots

if TYPE_CHECKING:
    from pathlib import Path

PER_100_000 = 100_000

EVERYBODY_ONCE = "everybody once"
SOME_PEOPLE = "5,000 people, uniform"
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

LESS_OF_ONE_COMPANY = {0: 1, 50: 2, 200: 8}
"""One request at a time takes long: so many times fewer records, by latency."""

SHORT = "short"
LONG = "long"


def recurring(count: int, latency: int = 0) -> dict[str, Load]:
    """Return loads of people and companies that come once, often and very often.

    Loads are next to the one they are compared with. Those that show only what CPU
    allows are left out at a latency.
    """
    once = Load(count, size=400, people=None)
    loads = {
        SOME_PEOPLE: replace(once, people=5_000),
        FEW_PEOPLE: replace(once, people=500),
        ZIPF: replace(once, people=50_000, exponent=1.0),
        EVERYBODY_ONCE: once,
        STEEP_ZIPF: replace(once, people=50_000, exponent=1.2),
        MEMBERSHIPS: replace(once, calls="membership", companies=1),
        MEMBERSHIPS_ONCE: replace(once, calls="membership", companies=None),
        COMPANIES_ONCE: replace(once, calls="group", companies=None),
        ONE_COMPANY: replace(
            once,
            count=max(1, count // LESS_OF_ONE_COMPANY[latency]),
            calls="group",
            companies=1,
        ),
    }
    if latency:
        del loads[MEMBERSHIPS_ONCE], loads[COMPANIES_ONCE]
    return loads


IN_ROUNDS = ("contenders", "recurring", "loads", "snapshots")
"""Parts that are measured in :attr:`Extent.rounds` rounds."""


@dataclass(frozen=True)
class Extent:
    """The size of the measurement.

    Attributes:
        records: Records per run.
        many: Records of the long runs.
        rows: Rows per run with a snapshot.
        rounds: Rounds of most parts: single runs differ by a fifth.
        fewer: Rounds of the long run; a third of those of the start-up.
        counted: Records for counting instructions, which takes minutes; 0: do not.
        stall: Seconds for which the server does not respond, while memory is measured.
    """

    records: int = 110_000
    many: int = 1_000_000
    rows: int = 40_000
    rounds: int = 5
    fewer: int = 3
    counted: int = 2_500
    stall: int = 10

    def of(self, contender: Contender, latency: int = 0) -> int:
        """Return the number of records for a contender."""
        return max(5, self.records * contender.takes[latency] // PER_100_000)


PARTS = (
    "start_up",
    "contenders",
    "instructions",
    "recurring",
    "loads",
    "long",
    "stalled",
    "snapshots",
)
"""What is measured, one after the other."""


class Suite:
    """Measures one part after the other."""

    def __init__(self, extent: Extent, folder: Path, benches: dict[int, Bench]) -> None:
        """Prepare.

        Args:
            extent: The size of the measurement.
            folder: Folder of inputs and installations.
            benches: Servers by latency.
        """
        self._extent = extent
        self._folder = folder
        self._benches = benches
        self._nothing = Load(0).write(folder)
        self._rounds = {
            **dict.fromkeys(IN_ROUNDS, extent.rounds),
            "long": extent.fewer,
            "start_up": 3 * extent.fewer,
        }

    def part(self, name: str) -> dict[str, Any]:
        """Measure a part.

        Args:
            name: One of ``PARTS``.

        Returns:
            In how many ``rounds``, and its ``figures``.
        """
        measure = {
            "start_up": self._start_up,
            "contenders": self._contenders,
            "instructions": self._instructions,
            "recurring": self._recurring,
            "loads": self._loads,
            "long": self._long,
            "stalled": self._stalled,
            "snapshots": self._snapshots,
        }
        rounds = self._rounds.get(name, 1)
        return {"rounds": rounds, "figures": measure[name](rounds)}

    def _start_up(self, rounds: int) -> dict[str, list[float]]:
        """Compare the time of ``--version``."""
        taken: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            for contender in (VERSION, START):
                run = self._benches[0].run(contender, self._nothing)
                taken[contender.title].append(run.seconds)
        return taken

    def _contenders(self, rounds: int) -> dict[str, Any]:
        """Compare all contenders, and at latencies those that send."""
        floors = [BARE_FLOOR, SDK_FLOOR]
        others = [segment(self._folder), CLIENT]
        sending = [CHUNKS, PRODUCT, *(each for each in others if each is not None)]
        runs = {
            (latency, each.title): (each, Load(self._extent.of(each, latency)))
            for latency in LATENCIES
            for each in (sending if latency else [*floors, *sending])
        }
        return self._by_latency(runs, rounds)

    def _instructions(self, _rounds: int) -> dict[str, int]:
        """Count the instructions per record of all contenders, without start-up."""
        figures: dict[str, int] = {}
        if not self._extent.counted:
            return figures
        for contender in (PRODUCT, SDK_FLOOR, BARE_FLOOR, CHUNKS, CLIENT):
            many = self._extent.counted // (10 if contender is CLIENT else 1)
            few = many // 5
            first, last = (
                self._benches[0].instructions(
                    contender, Load(count).write(self._folder)
                )
                for count in (few, many)
            )
            if first is not None and last is not None:
                figures[contender.title] = round((last - first) / (many - few))
        return figures

    def _recurring(self, rounds: int) -> dict[str, Any]:
        """Compare people who come once with those who come often."""
        runs = {
            (latency, name): (PRODUCT, load)
            for latency in LATENCIES
            for name, load in recurring(self._extent.records, latency).items()
        }
        return self._by_latency(runs, rounds)

    def _loads(self, rounds: int) -> dict[str, Any]:
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
        return in_rounds(
            {name: self._run(PRODUCT, load) for name, load in loads.items()},
            rounds,
            self._nothing,
        )

    def _long(self, rounds: int) -> dict[str, Any]:
        """Compare a long run with a short one."""
        extent = self._extent
        loads = {SHORT: Load(extent.records), LONG: Load(extent.many)}
        return in_rounds(
            {name: self._run(PRODUCT, load) for name, load in loads.items()},
            rounds,
            self._nothing,
        )

    def _stalled(self, _rounds: int) -> dict[str, float]:
        """Return the peak memory while the server does not respond."""
        source = Load(self._extent.records // 4, size=10_000).write(self._folder)
        with serving(self._folder, 0, self._extent.stall) as bench:
            return {"peak_mb": bench.run(PRODUCT, source).peak_mb}

    def _snapshots(self, rounds: int) -> dict[str, Any]:
        """Compare runs with a snapshot with those without."""
        runs = Snapshots(self._folder, self._benches, self._nothing)
        return {
            "runs": runs.compared(self._extent.rows, rounds),
            "long": runs.long(self._extent.many),
        }

    def _run(self, contender: Contender, load: Load, latency: int = 0) -> Run:
        source = load.write(self._folder)
        return Run(self._benches[latency], contender, source, load.count)

    def _by_latency(
        self, loads: dict[tuple[int, str], tuple[Contender, Load]], rounds: int
    ) -> dict[str, Any]:
        runs = {key: self._run(*each, key[0]) for key, each in loads.items()}
        busiest = {
            load: load.busiest(self._folder)
            for load in {load for _, load in loads.values()}
        }
        measured = in_rounds(runs, rounds, self._nothing)
        figures: dict[str, Any] = defaultdict(dict)
        for (latency, name), each in measured.items():
            _, load = loads[latency, name]
            figures[str(latency)][name] = {**each, "busiest": busiest[load]}
        return figures
