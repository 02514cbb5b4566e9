"""The results as tables: contenders, recurring people, inputs and goals."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from measure import BARE_FLOOR, CHUNKS, CLIENT, CONNECTIONS, PRODUCT, START
from snapshots import CONVERSION, ONE, UNCHANGED, WITHOUT
from suite import (
    EVERYBODY_ONCE,
    FEW_PEOPLE,
    LATENCIES,
    MEMBERSHIPS,
    ONCE,
    STEEP_ZIPF,
    ZIPF,
)
from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Callable

NOTHING = "-"
SEGMENT = "Segment's destination"
MOST_BYTES = 500_000
MOST_OPERATIONS = 1_000
MILLION = 1_000_000


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Render everything that was measured.

    Args:
        results: The results of a suite, and the machine.

    Returns:
        Markdown by name: on what it was ``made``, and five tables.
    """
    figures = results["figures"]
    return {
        "made": results["made"],
        "contenders": _contenders(figures),
        "recurring": _recurring(figures),
        "inputs": _inputs(figures),
        "goals": _goals(figures),
        "snapshots": _snapshots(figures.get("snapshots")),
    }


def records_a_second(figures: dict[str, Any]) -> float:
    """Return the records per second of a run, without start-up."""
    return MILLION / float(figures["microseconds"])


def possible(figures: dict[str, Any], name: str, latency: int) -> float:
    """Return the records per second that CPU, connections and order allow.

    Args:
        figures: Figures of several runs, by latency and name.
        name: A name of a load or contender.
        latency: The response time of the server in milliseconds.

    Returns:
        The least of three: full requests on all connections; full requests, one after
        the other, for the person or company that has most operations; and the speed
        without latency (that of everybody once in the same kind of record, if it is
        higher).
    """
    run = figures[str(latency)][name]
    at_once = figures["0"]
    cpu = max(
        records_a_second(at_once[each])
        for each in (name, _once(name, at_once))
        if each in at_once
    )
    full = min(MOST_OPERATIONS, MOST_BYTES / run["bytes"] * run["operations"])
    requests = max(run["busiest"], run["operations"] / CONNECTIONS) / full
    return min(cpu, run["operations"] / requests / latency * 1_000) if latency else cpu


def _once(name: str, runs: dict[str, Any]) -> str:
    """Return the name of the same kind of record with everybody once, if it was run."""
    once = ONCE.get(name, EVERYBODY_ONCE)
    return once if once in runs else EVERYBODY_ONCE


def share(figures: dict[str, Any], name: str, latency: int) -> float:
    """Return which share of the possible speed was reached."""
    speed = records_a_second(figures[str(latency)][name])
    return speed / possible(figures, name, latency)


def _contenders(figures: dict[str, Any]) -> str:
    at_once, *late = figures["contenders"].values()
    floor = at_once[BARE_FLOOR.title]
    rows = []
    for title, each in at_once.items():
        instructions = figures["instructions"].get(title)
        rows.append(
            [
                title,
                *(
                    f"{records_a_second(one[title]):,.0f}" if title in one else NOTHING
                    for one in (at_once, *late)
                ),
                f"{each['microseconds'] / floor['microseconds']:.1f}",
                NOTHING if instructions is None else f"{instructions / 1_000:,.0f}",
                f"{each['peak_mb']:.0f}",
                _each(each["operations"], each["requests"]),
            ]
        )
    return _table(
        [
            "",
            "records/s",
            "at 50 ms",
            "at 200 ms",
            "bare floors",
            "1,000 instructions",
            "peak MB",
            "records per request",
        ],
        rows,
    )


def _recurring(figures: dict[str, Any]) -> str:
    recurring = figures["recurring"]
    rows = [
        [name, *(_of_possible(recurring, name, latency) for latency in LATENCIES)]
        for name in recurring["0"]
    ]
    head = [f"at {latency} ms, of possible" for latency in LATENCIES]
    return _table(["records/s", *head], rows)


def _of_possible(figures: dict[str, Any], name: str, latency: int) -> str:
    speed = records_a_second(figures[str(latency)][name])
    most = possible(figures, name, latency)
    return f"{speed:,.0f} of {most:,.0f} ({speed / most:.0%})"


def _inputs(figures: dict[str, Any]) -> str:
    every = {
        **figures["loads"],
        f"track, nested, {figures['long']['records']:,} records": figures["long"],
    }
    rows = [
        [
            name,
            f"{each['records']:,}",
            f"{records_a_second(each):,.0f}",
            f"{each['bytes'] / each['records'] * records_a_second(each) / MILLION:.0f}",
            f"{each['peak_mb']:.0f}",
            f"{fill(each):.0%}",
        ]
        for name, each in every.items()
    ]
    return _table(
        ["input", "records", "records/s", "MB/s out", "peak MB", "fill"], rows
    )


def _snapshots(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "Not measured."
    runs = figures["runs"]
    rows = [
        [
            name,
            *(_of_without(runs[str(latency)], name) for latency in LATENCIES),
            f"{each['operations']:,}",
            f"{each['bytes'] / MILLION:.1f}",
            f"{each['peak_mb']:.0f}",
        ]
        for name, each in runs["0"].items()
    ]
    for name in (UNCHANGED, CONVERSION.title):
        each = figures["long"][name]
        rows.append(
            [
                f"{name}, {each['records']:,} rows",
                f"{records_a_second(each):,.0f}",
                *[NOTHING] * (len(LATENCIES) - 1),
                f"{each['operations']:,}",
                f"{each['bytes'] / MILLION:.1f}",
                f"{each['peak_mb']:.0f}",
            ]
        )
    head = [f"at {latency} ms" for latency in LATENCIES]
    return _table(["rows/s", *head, "operations", "MB out", "peak MB"], rows)


def _of_without(runs: dict[str, Any], name: str) -> str:
    speed = f"{records_a_second(runs[name]):,.0f}"
    if name == WITHOUT:
        return speed
    return f"{speed} ({_relative(runs, WITHOUT, name):.2f} times as long)"


def fill(figures: dict[str, Any]) -> float:
    """Return how full requests are, by the limit reached first."""
    requests = figures["requests"]
    return max(
        figures["bytes"] / requests / MOST_BYTES,
        figures["operations"] / requests / MOST_OPERATIONS,
    )


@dataclass(frozen=True)
class Goal:
    """A target figure.

    Attributes:
        what: The quantity compared.
        limit: The figure to reach.
        figure: Returns the measured figure, or ``None``.
        at_most: Whether the limit is a maximum.
    """

    what: str
    limit: float
    figure: Callable[[dict[str, Any]], float | None]
    _: KW_ONLY
    at_most: bool

    def row(self, figures: dict[str, Any]) -> list[str]:
        """Compare the figure with the limit."""
        measured = self.figure(figures)
        if measured is None:
            return [self.what, self._limit, NOTHING, "not measured"]
        reached = measured <= self.limit if self.at_most else measured >= self.limit
        return [
            self.what,
            self._limit,
            f"{measured:.3g}",
            "reached" if reached else "missed",
        ]

    @property
    def _limit(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.limit:g}"


AT_LEAST = partial(Goal, at_most=False)
AT_MOST = partial(Goal, at_most=True)


def _times(title: str) -> Callable[[dict[str, Any]], float | None]:
    """Return the factor by which the target is faster."""

    def figure(figures: dict[str, Any]) -> float | None:
        at_once = figures["contenders"]["0"]
        if title not in at_once:
            return None
        return _relative(at_once, PRODUCT.title, title)

    return figure


def _relative(runs: dict[str, Any], name: str, other: str) -> float:
    """Return the speed of a run, relative to another one's."""
    return float(runs[other]["microseconds"] / runs[name]["microseconds"])


def _thousand_instructions(figures: dict[str, Any]) -> float | None:
    instructions = figures["instructions"].get(PRODUCT.title)
    return None if instructions is None else instructions / 1_000


def _of_allowed(latency: int, at_least: float) -> Goal:
    return AT_LEAST(
        f"speed at {latency} ms, relative to what CPU and connections allow",
        at_least,
        lambda figures: share(figures["contenders"], PRODUCT.title, latency),
    )


def _of_once(name: str, at_least: float) -> Goal:
    return AT_LEAST(
        f"{name}, at 200 ms, relative to {EVERYBODY_ONCE}",
        at_least,
        lambda figures: _relative(figures["recurring"]["200"], name, EVERYBODY_ONCE),
    )


def slowest(figures: dict[str, Any]) -> float | None:
    """Return the least speed at 0 ms, relative to the same records of everybody once.

    None if a figure that others are compared with is missing.
    """
    runs = figures["recurring"]["0"]
    once = {name: ONCE.get(name, EVERYBODY_ONCE) for name in runs}
    if not runs.keys() >= {*once.values()}:
        return None
    return min(_relative(runs, name, other) for name, other in once.items())


def _server(figures: dict[str, Any]) -> float:
    runs = [figures["contenders"]["0"][PRODUCT.title], *figures["loads"].values()]
    runs += figures["recurring"]["0"].values()
    return float(
        max(each["server_microseconds"] / each["microseconds"] for each in runs)
    )


def _speed(load: str, other: str) -> Callable[[dict[str, Any]], float]:
    return lambda figures: _relative(figures["loads"], load, other)


def _memory(figures: dict[str, Any]) -> float:
    return float(max(figures["loads"]["track, nested"]["peak_mb"], _long_mb(figures)))


def _long_mb(figures: dict[str, Any]) -> float:
    return float(figures["long"]["peak_mb"])


def _time_with_snapshot(latency: str, figures: dict[str, Any]) -> float | None:
    if "snapshots" not in figures:
        return None
    return _relative(figures["snapshots"]["runs"][latency], WITHOUT, ONE)


def _of_long(
    figure: Callable[[dict[str, Any]], float],
) -> Callable[[dict[str, Any]], float | None]:
    """Return what a figure is in the long run with a snapshot, if it was measured."""

    def found(figures: dict[str, Any]) -> float | None:
        return figure(figures["snapshots"]["long"]) if "snapshots" in figures else None

    return found


GOALS = (
    AT_MOST("1,000 instructions per record", 130, _thousand_instructions),
    AT_LEAST(f"speed, relative to: {CHUNKS.title}", 5.5, _times(CHUNKS.title)),
    AT_LEAST(f"speed, relative to: {CLIENT.title}", 50, _times(CLIENT.title)),
    AT_LEAST(f"speed, relative to: {SEGMENT}", 3, _times(SEGMENT)),
    _of_allowed(50, 0.85),
    _of_allowed(200, 0.85),
    AT_LEAST(
        "slowest of the recurring people, at 0 ms, relative to the same kind of record"
        " with everybody once",
        0.9,
        slowest,
    ),
    _of_once(FEW_PEOPLE, 0.75),
    _of_once(ZIPF, 0.8),
    _of_once(STEEP_ZIPF, 0.55),
    _of_once(MEMBERSHIPS, 0.75),
    AT_LEAST(
        "speed of six calls, relative to track alone",
        0.75,
        _speed("six calls, nested", "track, nested"),
    ),
    AT_LEAST(
        "speed of flat rows, relative to nested ones",
        0.75,
        _speed("track, flat", "track, nested"),
    ),
    AT_MOST("peak MB, short and long run", 130, _memory),
    AT_MOST(
        "additional MB in the long run",
        15,
        lambda figures: (
            _long_mb(figures) - figures["loads"]["track, nested"]["peak_mb"]
        ),
    ),
    AT_MOST(
        "peak MB while no response arrives", 130, lambda figures: figures["stalled_mb"]
    ),
    AT_LEAST(
        "fill of the requests in the long run",
        0.9,
        lambda figures: fill(figures["long"]),
    ),
    AT_MOST(
        "cost per record in the long run, relative to the short one",
        1.05,
        lambda figures: (
            figures["long"]["microseconds"]
            / figures["loads"]["track, nested"]["microseconds"]
        ),
    ),
    AT_MOST(
        "memory for five times as many records of 10 KB",
        1.15,
        lambda figures: (
            figures["loads"]["track, nested, 10 KB, more"]["peak_mb"]
            / figures["loads"]["track, nested, 10 KB"]["peak_mb"]
        ),
    ),
    AT_MOST(
        "start-up, relative to an empty target",
        1.15,
        lambda figures: (
            figures["start_up"][PRODUCT.title] / figures["start_up"][START.title]
        ),
    ),
    *(
        AT_MOST(
            f"time of a run at {latency} ms in which {ONE}, relative to {WITHOUT}",
            1.3,
            partial(_time_with_snapshot, str(latency)),
        )
        for latency in LATENCIES
    ),
    AT_LEAST(
        f"speed if {UNCHANGED}, relative to {CONVERSION.title}",
        0.5,
        _of_long(lambda long: _relative(long, UNCHANGED, CONVERSION.title)),
    ),
    AT_MOST(
        f"operations sent if {UNCHANGED}",
        0,
        _of_long(lambda long: float(long[UNCHANGED]["operations"])),
    ),
    AT_MOST(
        f"peak MB of a long run if {UNCHANGED}",
        130,
        _of_long(lambda long: float(long[UNCHANGED]["peak_mb"])),
    ),
    AT_MOST(
        "bytes of the snapshot for a person with 20 attributes",
        600,
        _of_long(lambda long: float(long["bytes_per_person"])),
    ),
    AT_MOST("share of the time in which the loopback server was busy", 0.5, _server),
)


def _goals(figures: dict[str, Any]) -> str:
    return _table(
        ["goal", "limit", "measured", ""], [goal.row(figures) for goal in GOALS]
    )


def _each(operations: int, requests: int) -> str:
    return f"{operations / requests:,.0f}" if requests else NOTHING


def _table(head: list[str], rows: list[list[str]]) -> str:
    numbers = ["left", *["right"] * (len(head) - 1)]
    return tabulate(
        rows, head, tablefmt="pipe", colalign=numbers, disable_numparse=True
    )
