"""The goals: figures to reach."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from figures import busy, fill, median_of_ratios, relative, share
from measure import CHUNKS, CLIENT, DESTINATION, LATENCIES, PRODUCT, START
from snapshots import CONVERSION, ONE, UNCHANGED, WITHOUT
from suite import (
    EVERYBODY_ONCE,
    FEW_PEOPLE,
    LONG,
    MEMBERSHIPS,
    ONCE,
    SHORT,
    STEEP_ZIPF,
    ZIPF,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NOTHING = "-"


@dataclass(frozen=True)
class Goal:
    """A target figure.

    Attributes:
        what: The quantity compared.
        limit: The figure to reach.
        figure: Returns the measured figure, or ``None``, from the figures of the part
            (or of all parts).
        part: The part that measures it, if it is one.
        at_most: Whether the limit is a maximum.
    """

    what: str
    limit: float
    figure: Callable[[dict[str, Any]], float | None]
    part: str | None = None
    _: KW_ONLY
    at_most: bool

    def row(self, figures: dict[str, Any]) -> list[str]:
        """Compare the figure with the limit."""
        measured = self._measured(figures)
        if measured is None:
            return [self.what, self._limit, NOTHING, "not measured"]
        reached = measured <= self.limit if self.at_most else measured >= self.limit
        return [
            self.what,
            self._limit,
            f"{measured:.3g}",
            "reached" if reached else "missed",
        ]

    def _measured(self, figures: dict[str, Any]) -> float | None:
        if self.part is None:
            return self.figure(figures)
        return self.figure(figures[self.part]) if self.part in figures else None

    @property
    def _limit(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.limit:g}"


AT_LEAST = partial(Goal, at_most=False)
AT_MOST = partial(Goal, at_most=True)


def _times(title: str, at_least: float) -> Goal:
    """Require the factor by which the target is faster than a contender."""

    def figure(contenders: dict[str, Any]) -> float | None:
        runs = contenders["0"]
        return relative(runs[PRODUCT.title], runs[title]) if title in runs else None

    return AT_LEAST(f"speed, relative to: {title}", at_least, figure, "contenders")


def _thousand_instructions(instructions: dict[str, int]) -> float | None:
    counted = instructions.get(PRODUCT.title)
    return None if counted is None else counted / 1_000


def _of_allowed(latency: int, at_least: float) -> Goal:
    return AT_LEAST(
        f"speed at {latency} ms, relative to what CPU and connections allow",
        at_least,
        lambda contenders: share(contenders, PRODUCT.title, latency),
        "contenders",
    )


def _of_once(name: str, at_least: float) -> Goal:
    return AT_LEAST(
        f"{name}, at 200 ms, relative to {EVERYBODY_ONCE}",
        at_least,
        lambda runs: relative(runs["200"][name], runs["200"][EVERYBODY_ONCE]),
        "recurring",
    )


def slowest(recurring: dict[str, Any]) -> float | None:
    """Return the least speed at 0 ms, relative to the same records of everybody once.

    None if a figure that others are compared with is missing.
    """
    runs = recurring["0"]
    once = {name: ONCE.get(name, EVERYBODY_ONCE) for name in runs}
    if not runs.keys() >= {*once.values()}:
        return None
    return min(relative(runs[name], runs[other]) for name, other in once.items())


def _server(figures: dict[str, Any]) -> float | None:
    """Return the greatest share that the server was busy, of the runs at 0 ms."""
    runs = [*figures.get("loads", {}).values()]
    if "contenders" in figures:
        runs.append(figures["contenders"]["0"][PRODUCT.title])
    if "recurring" in figures:
        runs += figures["recurring"]["0"].values()
    return max(map(busy, runs), default=None)


def _of_load(load: str, other: str, at_least: float, what: str) -> Goal:
    return AT_LEAST(
        what, at_least, lambda loads: relative(loads[load], loads[other]), "loads"
    )


def _with_snapshot(latency: int) -> Goal:
    return AT_MOST(
        f"time of a run at {latency} ms in which {ONE}, relative to {WITHOUT}",
        1.3,
        lambda snapshots: relative(
            snapshots["runs"][str(latency)][WITHOUT],
            snapshots["runs"][str(latency)][ONE],
        ),
        "snapshots",
    )


def _unchanged(figure: str) -> Callable[[dict[str, Any]], float]:
    return lambda snapshots: snapshots["long"]["runs"][UNCHANGED][figure]


GOALS = (
    AT_MOST(
        "1,000 instructions per record", 130, _thousand_instructions, "instructions"
    ),
    _times(CHUNKS.title, 5.5),
    _times(CLIENT.title, 50),
    _times(DESTINATION, 3),
    _of_allowed(50, 0.85),
    _of_allowed(200, 0.85),
    AT_LEAST(
        "slowest of the recurring people, at 0 ms, relative to the same kind of record"
        " with everybody once",
        0.9,
        slowest,
        "recurring",
    ),
    _of_once(FEW_PEOPLE, 0.75),
    _of_once(ZIPF, 0.8),
    _of_once(STEEP_ZIPF, 0.55),
    _of_once(MEMBERSHIPS, 0.75),
    _of_load(
        "six calls, nested",
        "track, nested",
        0.75,
        "speed of six calls, relative to track alone",
    ),
    _of_load(
        "track, flat",
        "track, nested",
        0.75,
        "speed of flat rows, relative to nested ones",
    ),
    AT_MOST(
        "peak MB, short and long run",
        130,
        lambda runs: max(runs[SHORT]["peak_mb"], runs[LONG]["peak_mb"]),
        "long",
    ),
    AT_MOST(
        "additional MB in the long run",
        15,
        lambda runs: runs[LONG]["peak_mb"] - runs[SHORT]["peak_mb"],
        "long",
    ),
    AT_MOST(
        "peak MB while no response arrives",
        130,
        lambda run: run["peak_mb"],
        "stalled",
    ),
    AT_LEAST(
        "fill of the requests in the long run",
        0.9,
        lambda runs: fill(runs[LONG]),
        "long",
    ),
    AT_MOST(
        "cost per record in the long run, relative to the short one",
        1.05,
        lambda runs: relative(runs[SHORT], runs[LONG]),
        "long",
    ),
    AT_MOST(
        "memory for five times as many records of 10 KB",
        1.15,
        lambda loads: median_of_ratios(
            loads["track, nested, 10 KB, more"]["peaks_mb"],
            loads["track, nested, 10 KB"]["peaks_mb"],
        ),
        "loads",
    ),
    AT_MOST(
        "start-up, relative to an empty target",
        1.15,
        lambda taken: median_of_ratios(taken[PRODUCT.title], taken[START.title]),
        "start_up",
    ),
    *map(_with_snapshot, LATENCIES),
    AT_LEAST(
        f"speed if {UNCHANGED}, relative to {CONVERSION.title}",
        0.5,
        lambda snapshots: relative(
            snapshots["long"]["runs"][UNCHANGED],
            snapshots["long"]["runs"][CONVERSION.title],
        ),
        "snapshots",
    ),
    AT_MOST(
        f"operations sent if {UNCHANGED}", 0, _unchanged("operations"), "snapshots"
    ),
    AT_MOST(
        f"peak MB of a long run if {UNCHANGED}",
        130,
        _unchanged("peak_mb"),
        "snapshots",
    ),
    AT_MOST(
        "bytes of the snapshot for a person with 20 attributes",
        600,
        lambda snapshots: snapshots["long"]["bytes_per_person"],
        "snapshots",
    ),
    AT_MOST("share of the time in which the loopback server was busy", 0.5, _server),
)
