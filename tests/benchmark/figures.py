"""What follows from the runs of all rounds: speeds, ratios and what is possible.

A ratio is formed within each round, and its median is taken.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from measure import CONNECTIONS
from suite import EVERYBODY_ONCE, ONCE

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_BYTES = 500_000
MOST_OPERATIONS = 1_000


def speeds(run: dict[str, Any]) -> list[float]:
    """Return the records per second of each round."""
    records: int = run["records"]
    return [records / seconds for seconds in run["seconds"]]


def records_a_second(run: dict[str, Any]) -> float:
    """Return the median of the records per second."""
    return median(speeds(run))


def relative(run: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the speed of a run, relative to another one's."""
    return median_of_ratios(speeds(run), speeds(other))


def median_of_ratios(ours: Iterable[float], others: Iterable[float]) -> float:
    return median(our / other for our, other in zip(ours, others, strict=True))


def possible(runs: dict[str, Any], name: str, latency: int) -> float:
    """Return the records per second that CPU, connections and order allow.

    Args:
        runs: Figures of several runs, by latency and name.
        name: A name of a load or contender.
        latency: The response time of the server in milliseconds.

    Returns:
        The least of three: full requests on all connections; full requests, one after
        the other, for the person or company that has most operations; and the speed
        without latency (that of everybody once in the same kind of record, if it is
        higher).
    """
    return median(_possible(runs, name, latency))


def _possible(runs: dict[str, Any], name: str, latency: int) -> list[float]:
    """Return what is possible in each round."""
    run = runs[str(latency)][name]
    at_once = runs["0"]
    alike = (name, _once(name, at_once))
    measured = [speeds(at_once[each]) for each in alike if each in at_once]
    cpu = [max(each_round) for each_round in zip(*measured, strict=True)]
    if not latency:
        return cpu
    full = min(MOST_OPERATIONS, MOST_BYTES / run["bytes"] * run["operations"])
    requests = max(run["busiest"], run["operations"] / CONNECTIONS) / full
    waiting = run["operations"] / requests / latency * 1_000
    return [min(waiting, each_round) for each_round in cpu]


def _once(name: str, runs: dict[str, Any]) -> str:
    """Return the name of the same kind of record with everybody once, if it was run."""
    once = ONCE.get(name, EVERYBODY_ONCE)
    return once if once in runs else EVERYBODY_ONCE


def share(runs: dict[str, Any], name: str, latency: int) -> float:
    """Return which share of the possible speed was reached."""
    run = runs[str(latency)][name]
    return median_of_ratios(speeds(run), _possible(runs, name, latency))


def fill(run: dict[str, Any]) -> float:
    """Return how full requests are, by the limit reached first."""
    size, operations = run["bytes"] / MOST_BYTES, run["operations"] / MOST_OPERATIONS
    return float(max(size, operations) / run["requests"])


def busy(run: dict[str, Any]) -> float:
    """Return the share of the time in which the server was busy."""
    return median_of_ratios(run["server_seconds"], run["seconds"])
