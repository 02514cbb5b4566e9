"""Runs in rounds: what is compared runs one after the other, several times."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from measure import Bench, Contender, Result

Key = TypeVar("Key", str, tuple[int, str])


SHORTEST_SECONDS = 0.0001
"""Start-up varies by more than a short input takes: the difference may be negative."""


def without_start_up(seconds: float, start_up: float) -> float:
    """Return how long a run took without its start-up, in seconds; more than 0."""
    return max(SHORTEST_SECONDS, seconds - start_up)


def ready() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Run:
    """A contender, its input, and the server that it delivers to.

    Attributes:
        bench: The server.
        contender: The contender.
        source: Its input.
        records: The number of records in it.
        start: The contender whose start-up is subtracted, if it is another one.
        prepare: What is done before the run.
    """

    bench: Bench
    contender: Contender
    source: Path
    records: int
    start: Contender | None = None
    prepare: Callable[[], None] = ready

    @property
    def starting(self) -> tuple[Bench, Contender]:
        """What has the start-up that is subtracted."""
        return self.bench, self.start or self.contender


def in_rounds(
    runs: dict[Key, Run], rounds: int, nothing: Path
) -> dict[Key, dict[str, Any]]:
    """Run everything once in each round, in every second round in reverse.

    So a speed of the machine that changes steadily favours none of them.

    Args:
        runs: The runs, those that are compared with each other side by side.
        rounds: The number of rounds.
        nothing: An input without records, for measuring start-up.

    Returns:
        The figures of each run. Their seconds are those of each round, without the
        start-up in that round.
    """
    seconds: dict[Key, list[float]] = defaultdict(list)
    results: dict[Key, list[Result]] = defaultdict(list)
    for turn in range(rounds):
        empty = {
            (bench, contender): bench.run(contender, nothing).seconds
            for bench, contender in dict.fromkeys(run.starting for run in runs.values())
        }
        for key, run in list(runs.items())[:: -1 if turn % 2 else 1]:
            run.prepare()
            result = run.bench.run(run.contender, run.source)
            results[key].append(result)
            seconds[key].append(without_start_up(result.seconds, empty[run.starting]))
    return {
        key: _figures(run.records, seconds[key], results[key])
        for key, run in runs.items()
    }


def _figures(
    records: int, seconds: list[float], results: list[Result]
) -> dict[str, Any]:
    last = results[-1]
    return {
        "records": records,
        "seconds": [round(each, 4) for each in seconds],
        "server_seconds": [round(each.cpu_seconds, 4) for each in results],
        "peak_mb": max(each.peak_mb for each in results),
        "peaks_mb": [round(each.peak_mb, 1) for each in results],
        "requests": last.requests,
        "bytes": last.bytes,
        "operations": last.operations,
    }
