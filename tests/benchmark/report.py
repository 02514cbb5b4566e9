"""The results as Markdown: how they were made, contenders, loads, snapshots, goals."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from figures import fill, possible, records_a_second, relative, share
from goals import GOALS, NOTHING
from measure import (
    BARE_FLOOR,
    CHUNKS,
    CLIENT,
    DESTINATION,
    LATENCIES,
    PRODUCT,
    SDK_FLOOR,
)
from snapshots import ALL, CONVERSION, FIRST, ONE, UNCHANGED, WITHOUT
from suite import (
    COMPANIES_ONCE,
    EVERYBODY_ONCE,
    FEW_PEOPLE,
    LONG,
    MEMBERSHIPS,
    MEMBERSHIPS_ONCE,
    ONE_COMPANY,
    SOME_PEOPLE,
    STEEP_ZIPF,
    ZIPF,
)
from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Iterable

NOT_MEASURED = "Not measured."
MILLION = 1_000_000
CONTENDERS = (
    PRODUCT.title,
    SDK_FLOOR.title,
    BARE_FLOOR.title,
    CHUNKS.title,
    DESTINATION,
    CLIENT.title,
)
RECURRING = (
    EVERYBODY_ONCE,
    SOME_PEOPLE,
    FEW_PEOPLE,
    ZIPF,
    STEEP_ZIPF,
    COMPANIES_ONCE,
    ONE_COMPANY,
    MEMBERSHIPS_ONCE,
    MEMBERSHIPS,
)
SNAPSHOTS = (WITHOUT, FIRST, UNCHANGED, ONE, ALL)


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Render everything that was measured.

    Args:
        results: What is known of each part, by its name: how it was made, and its
            figures. Parts can be missing.

    Returns:
        Markdown by name: how it was ``made``, and five tables.
    """
    figures = {name: part["figures"] for name, part in results.items()}
    return {
        "made": made(results),
        "contenders": _contenders(figures),
        "recurring": _recurring(figures),
        "inputs": _inputs(figures),
        "goals": _goals(figures),
        "snapshots": _snapshots(figures),
    }


def made(results: dict[str, Any]) -> str:
    """Say when, where, with what and in how many rounds the parts were measured.

    What is the same for all parts is said once, otherwise by part.
    """
    if not results:
        return NOT_MEASURED
    alike = defaultdict(list)
    for name, part in results.items():
        alike[part["made"]].append(name)
    lines = [
        f"- {_spoken(names)}: {description}." for description, names in alike.items()
    ]
    if len(alike) == 1:
        lines = [f"{next(iter(alike))}."]
    rounds = [f"{_spoken([name])} {part['rounds']}" for name, part in results.items()]
    return "\n".join([*lines, "", f"Rounds: {', '.join(rounds)}."])


def _spoken(names: Iterable[str]) -> str:
    return ", ".join(name.replace("_", "-") for name in names)


def in_order(names: Iterable[str], known: tuple[str, ...]) -> list[str]:
    """Return the names in the order in which tables and charts show them."""
    return sorted(names, key=known.index)


def _contenders(figures: dict[str, Any]) -> str:
    if "contenders" not in figures:
        return NOT_MEASURED
    contenders = figures["contenders"]
    at_once = contenders["0"]
    counted = figures.get("instructions", {})
    rows = []
    for title in in_order(at_once, CONTENDERS):
        each = at_once[title]
        instructions = counted.get(title)
        rows.append(
            [
                title,
                *(_speed(contenders[str(latency)], title) for latency in LATENCIES),
                f"{relative(at_once[BARE_FLOOR.title], each):.1f}",
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


def _speed(runs: dict[str, Any], name: str) -> str:
    return f"{records_a_second(runs[name]):,.0f}" if name in runs else NOTHING


def _recurring(figures: dict[str, Any]) -> str:
    if "recurring" not in figures:
        return NOT_MEASURED
    runs = figures["recurring"]
    rows = [
        [name, *(_of_possible(runs, name, latency) for latency in LATENCIES)]
        for name in in_order(runs["0"], RECURRING)
    ]
    head = [f"at {latency} ms, of possible" for latency in LATENCIES]
    return _table(["records/s", *head], rows)


def _of_possible(runs: dict[str, Any], name: str, latency: int) -> str:
    if name not in runs[str(latency)]:
        return NOTHING
    speed = records_a_second(runs[str(latency)][name])
    most = possible(runs, name, latency)
    return f"{speed:,.0f} of {most:,.0f} ({share(runs, name, latency):.0%})"


def _inputs(figures: dict[str, Any]) -> str:
    every = {**figures.get("loads", {})}
    if "long" in figures:
        long = figures["long"][LONG]
        every[f"track, nested, {long['records']:,} records"] = long
    if not every:
        return NOT_MEASURED
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


def _snapshots(figures: dict[str, Any]) -> str:
    if "snapshots" not in figures:
        return NOT_MEASURED
    runs, long = figures["snapshots"]["runs"], figures["snapshots"]["long"]["runs"]
    rows = [
        [
            name,
            *(_of_without(runs[str(latency)], name) for latency in LATENCIES),
            *_sent(runs["0"][name]),
        ]
        for name in SNAPSHOTS
    ]
    rows += [
        [
            f"{name}, {long[name]['records']:,} rows",
            _speed(long, name),
            *[NOTHING] * (len(LATENCIES) - 1),
            *_sent(long[name]),
        ]
        for name in (FIRST, UNCHANGED, CONVERSION.title)
    ]
    head = [f"at {latency} ms" for latency in LATENCIES]
    return _table(["rows/s", *head, "operations", "MB out", "peak MB"], rows)


def _sent(run: dict[str, Any]) -> list[str]:
    return [
        f"{run['operations']:,}",
        f"{run['bytes'] / MILLION:.1f}",
        f"{run['peak_mb']:.0f}",
    ]


def _of_without(runs: dict[str, Any], name: str) -> str:
    speed = _speed(runs, name)
    if name == WITHOUT or name not in runs:
        return speed
    return f"{speed} ({relative(runs[WITHOUT], runs[name]):.2f} times as long)"


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
