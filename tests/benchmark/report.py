"""The results as tables: contenders, inputs and goals."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from measure import BARE_FLOOR, CHUNKS, CLIENT, PRODUCT, START
from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Callable

NOTHING = "-"
SEGMENT = "Segment's destination"
MOST_BYTES = 500_000
MOST_OPERATIONS = 1_000
MILLION = 1_000_000


def tables(results: dict[str, Any]) -> str:
    """Render everything that was measured.

    Args:
        results: The results of a suite, and the machine.

    Returns:
        Markdown.
    """
    return "\n\n".join(
        [
            results["made"],
            _contenders(results["figures"]),
            _loads(results["figures"]),
            _goals(results["figures"]),
        ]
    )


def records_a_second(figures: dict[str, Any]) -> float:
    """Return the records per second of a run, without start-up."""
    return MILLION / float(figures["microseconds"])


def _contenders(figures: dict[str, Any]) -> str:
    floor = figures["contenders"][BARE_FLOOR.title]
    rows = []
    for title, each in figures["contenders"].items():
        instructions = each["instructions"]
        rows.append(
            [
                title,
                *(
                    f"{records_a_second(one[title]):,.0f}" if title in one else NOTHING
                    for one in (figures["contenders"], *figures["latencies"].values())
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


def _loads(figures: dict[str, Any]) -> str:
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
        at_most: Whether the limit is a maximum.
        figure: Returns the measured figure, or ``None``.
    """

    what: str
    limit: float
    _: KW_ONLY
    at_most: bool
    figure: Callable[[dict[str, Any]], float | None]

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


def _times(title: str) -> Callable[[dict[str, Any]], float | None]:
    """Return the factor by which the target is faster."""

    def figure(figures: dict[str, Any]) -> float | None:
        rival = figures["contenders"].get(title)
        if rival is None:
            return None
        ours = figures["contenders"][PRODUCT.title]
        return float(rival["microseconds"] / ours["microseconds"])

    return figure


def _floors(key: str) -> Callable[[dict[str, Any]], float | None]:
    def figure(figures: dict[str, Any]) -> float | None:
        ours = figures["contenders"][PRODUCT.title][key]
        floor = figures["contenders"][BARE_FLOOR.title][key]
        return None if ours is None or floor is None else float(ours / floor)

    return figure


def _late(latency: int) -> Callable[[dict[str, Any]], float]:
    return lambda figures: float(
        figures["contenders"][PRODUCT.title]["microseconds"]
        / figures["latencies"][str(latency)][PRODUCT.title]["microseconds"]
    )


def _speed(load: str, other: str) -> Callable[[dict[str, Any]], float]:
    return lambda figures: float(
        figures["loads"][other]["microseconds"] / figures["loads"][load]["microseconds"]
    )


def _memory(figures: dict[str, Any]) -> float:
    return float(max(figures["loads"]["track, nested"]["peak_mb"], _long_mb(figures)))


def _long_mb(figures: dict[str, Any]) -> float:
    return float(figures["long"]["peak_mb"])


GOALS = (
    Goal("bare floors per record", 4.2, at_most=True, figure=_floors("microseconds")),
    Goal(
        "instructions, relative to the bare floor",
        3.3,
        at_most=True,
        figure=_floors("instructions"),
    ),
    Goal(
        f"speed, relative to: {CHUNKS.title}",
        4.5,
        at_most=False,
        figure=_times(CHUNKS.title),
    ),
    Goal(
        f"speed, relative to: {CLIENT.title}",
        60,
        at_most=False,
        figure=_times(CLIENT.title),
    ),
    Goal(f"speed, relative to: {SEGMENT}", 3, at_most=False, figure=_times(SEGMENT)),
    Goal("speed at 50 ms, relative to 0 ms", 0.9, at_most=False, figure=_late(50)),
    Goal(
        "speed at 200 ms with 8 connections, relative to 0 ms",
        0.8,
        at_most=False,
        figure=_late(200),
    ),
    Goal(
        "speed of six calls, relative to track alone",
        0.75,
        at_most=False,
        figure=_speed("six calls, nested", "track, nested"),
    ),
    Goal(
        "speed of flat rows, relative to nested ones",
        0.75,
        at_most=False,
        figure=_speed("track, flat", "track, nested"),
    ),
    Goal("peak MB, short and long run", 130, at_most=True, figure=_memory),
    Goal(
        "additional MB in the long run",
        15,
        at_most=True,
        figure=lambda figures: (
            _long_mb(figures) - figures["loads"]["track, nested"]["peak_mb"]
        ),
    ),
    Goal(
        "peak MB while no response arrives",
        130,
        at_most=True,
        figure=lambda figures: figures["stalled_mb"],
    ),
    Goal(
        "fill of the requests in the long run",
        0.9,
        at_most=False,
        figure=lambda figures: fill(figures["long"]),
    ),
    Goal(
        "cost per record in the long run, relative to the short one",
        1.05,
        at_most=True,
        figure=lambda figures: (
            figures["long"]["microseconds"]
            / figures["loads"]["track, nested"]["microseconds"]
        ),
    ),
    Goal(
        "memory for five times as many records of 10 KB",
        1.15,
        at_most=True,
        figure=lambda figures: (
            figures["loads"]["track, nested, 10 KB, more"]["peak_mb"]
            / figures["loads"]["track, nested, 10 KB"]["peak_mb"]
        ),
    ),
    Goal(
        "start-up, relative to an empty target",
        1.15,
        at_most=True,
        figure=lambda figures: (
            figures["start_up"][PRODUCT.title] / figures["start_up"][START.title]
        ),
    ),
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
