"""Runs that are killed and restarted, and the comparison of workspaces."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from support.command import RunningTarget, wait_until
from support.workspace import contents_of

if TYPE_CHECKING:
    from pathlib import Path

    from support.customerio import Customerio

    from .random_records import RandomRecords

SETTINGS = {
    "batch_size_rows": 250,
    "max_concurrent_requests": 4,
    "request_timeout_seconds": 1,
    "max_retry_seconds": 120,
    "hard_delete": True,
}
MAX_RUNS = 12

Contents = dict[str, Any]


@dataclass
class Figures:
    """Figures of the runs that deliver the records."""

    runs: int
    kills: int
    resent: int
    """Records that were sent more than once."""


def deliver(
    source: RandomRecords,
    server: Customerio,
    folder: Path,
    seed: int,
    kills: int = 0,
    **settings: Any,
) -> Figures:
    """Pipe records into the target, killing and restarting it.

    Args:
        source: The records.
        server: The fake Customer.io.
        folder: Working directory of the target.
        seed: Seed of the random moments.
        kills: Number of kills.
        settings: Further settings of the target.

    Returns:
        The figures.
    """
    draw = random.Random(seed)
    figures = Figures(0, 0, 0)
    position = sent = 0
    while figures.runs < MAX_RUNS:
        figures.runs += 1
        child = RunningTarget(folder, {"api_url": server.url, **SETTINGS, **settings})
        feed = _Feed(source, position, random.Random(draw.random()))
        try:
            child.send_in_background(feed)
            if figures.kills < kills:
                # Few enough requests to leave some for the other kills.
                requests = draw.randint(2, 100 // kills)
                pause = draw.random() / 20
                _wait_for_requests(child, server, requests, pause)
            else:
                child.wait(240)
            killed = child.running
            child.kill()
        finally:
            child.kill()
        states = [each["sent"] for each in child.states]
        assert states == sorted(states), f"STATE goes back (seed {seed})"
        sent = max(sent, feed.sent)
        position = max([position, *states])
        if not killed:
            assert child.process.returncode == 0, child.stderr[-2000:]
            assert position == len(source.records), f"STATE is missing (seed {seed})"
            return figures
        figures.kills += 1
        figures.resent += max(0, feed.sent - position)
        server.wait_until_idle()
    raise AssertionError(f"{MAX_RUNS} runs were not enough (seed {seed})")


class _Feed:
    """A tap that counts the records it sent."""

    def __init__(
        self, source: RandomRecords, position: int, states: random.Random
    ) -> None:
        self.sent = position
        self._messages = source.messages(position, states)

    def __iter__(self) -> Any:
        for message in self._messages:
            self.sent += message["type"] == "RECORD"
            yield message


def _wait_for_requests(
    child: RunningTarget, server: Customerio, count: int, pause: float
) -> None:
    before = len(server.requests)
    wait_until(
        lambda: not child.running or len(server.requests) - before >= count,
        120,
        "requests",
    )
    # Kill at a random moment, not only at the start of a request.
    server.closing.wait(pause)


def undisturbed(source: RandomRecords, folder: Path) -> Contents:
    """Deliver records to a sandbox, one request after the other."""
    settings = {**SETTINGS, "sandbox": "workspace.db", "max_concurrent_requests": 1}
    child = RunningTarget(folder, {**settings, "batch_size_rows": 1000})
    try:
        child.send_in_background(source.messages(0, random.Random(0)))
        assert child.wait(120) == 0, child.stderr[-2000:]
    finally:
        child.kill()
    return contents_of(folder / "workspace.db")


def differences(expected: Contents, found: Contents, most: int = 5) -> list[str]:
    """Compare two workspaces row for row.

    Delivery reports have no id, so a replay may double them: they are compared as a
    set.

    Args:
        expected: The workspace after a run without faults.
        found: The workspace after a run with faults.
        most: Maximum number of rows listed per kind.

    Returns:
        One line per different row.
    """
    lines: list[str] = []
    for part in sorted(expected.keys() | found.keys()):
        rows, others = _rows(expected[part]), _rows(found[part])
        if part == "deliveries":
            rows, others = Counter(set(rows)), Counter(set(others))
        lacking, having = (rows - others).elements(), (others - rows).elements()
        lines += [f"{part}: lacks {row}" for row in islice(lacking, most)]
        lines += [f"{part}: has {row}" for row in islice(having, most)]
    return lines


def _rows(part: Any) -> Counter[str]:
    if isinstance(part, dict):
        part = [{"": name, **row} for name, row in part.items()]
    return Counter(json.dumps(row, sort_keys=True, default=str) for row in part)


def events_in(contents: Contents) -> list[int]:
    """Return the numbers of the events, as the records have them."""
    return sorted(int(each["attributes"]["n"]) for each in contents["events"])


def rejected_in(folder: Path) -> set[str]:
    """Return the rejected records of all runs in a folder."""
    path = folder / "rejected.singer.jsonl"
    messages = map(json.loads, path.read_bytes().splitlines())
    return {
        json.dumps([each["stream"], each["record"]], sort_keys=True)
        for each in messages
        if each["type"] == "RECORD"
    }
