from __future__ import annotations

import re

import pytest

from target_customerio.delivery import Statistics
from target_customerio.summary import Summary


@pytest.fixture
def summary() -> Summary:
    summary = Summary()
    users = summary.streams["users"]
    users.read, users.rejected = 1_234, 4
    users.delivered.update({"person identify": 1_200, "person delete": 10})
    users.skipped.update({"anonymous": 20})
    orders = summary.streams["orders"]
    orders.read = 2
    orders.delivered.update({"person event": 2})
    return summary


def test_it_adds_up_over_streams(summary: Summary) -> None:
    assert (summary.read, summary.delivered, summary.rejected) == (1_236, 1_212, 4)


def test_progress_is_one_line_with_everything_in_it(summary: Summary) -> None:
    line = summary.progress(Statistics())
    assert "\n" not in line
    for part in ("1,236 records read", "1,212 operations delivered", "4 rejected"):
        assert part in line
    assert re.search(r"[\d,]+ records/s, 0 requests, 0 retries, 0 s throttled", line)


def test_a_stream_has_a_line_for_each_operation(summary: Summary) -> None:
    lines = list(summary.lines(Statistics()))
    rows = [line.split() for line in lines[2:5]]
    assert rows == [
        ["orders", "2", "person", "event", "2", "0"],
        ["users", "1,234", "person", "delete", "10", "anonymous", "20", "4"],
        ["person", "identify", "1,200"],
    ]


def test_nothing_is_said_of_skipping_where_nothing_was_skipped() -> None:
    summary = Summary()
    summary.streams["users"].read = 1
    assert "skipped" not in next(summary.lines(Statistics()))


def test_recent_events_are_told(summary: Summary) -> None:
    summary.recent_events = 1_500
    lines = list(summary.lines(Statistics()))
    assert any(line.startswith("1,500 ") and "72 hours" in line for line in lines)


def test_a_run_of_nothing_has_a_summary_too() -> None:
    lines = list(Summary().lines(Statistics()))
    assert lines[0].split()[0] == "stream"
    assert len(lines) == 4


def test_names_that_look_like_numbers_stay_as_they_are() -> None:
    summary = Summary()
    summary.streams["007"].read = 1
    summary.streams["1e5"].read = 2
    first = [line.split()[0] for line in summary.lines(Statistics())]
    assert first[2:4] == ["007", "1e5"]
