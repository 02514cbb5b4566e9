from __future__ import annotations

import logging
import re

import pytest

from target_customerio.delivery import RequestStatistics
from target_customerio.results.counters import RECENT_EVENTS
from target_customerio.results.summary import Summary


def texts(summary: Summary) -> list[str]:
    return [entry.text for entry in summary.lines(RequestStatistics())]


@pytest.fixture
def summary() -> Summary:
    summary = Summary()
    users = summary.streams["users"]
    users.read = 1_234
    users.rejected.update({"blank": 4})
    users.delivered.update({"person identify": 1_200, "person delete": 10})
    users.skipped.update({"anonymous": 20})
    orders = summary.streams["orders"]
    orders.read = 2
    orders.delivered.update({"person event": 2})
    return summary


def test_totals_are_summed_over_streams(summary: Summary) -> None:
    assert summary.totals == {
        "read": 1_236,
        "delivered": 1_212,
        "skipped": 20,
        "rejected": 4,
        "undelivered": 0,
    }
    assert (summary.delivered, summary.rejected) == (1_212, 4)


def test_progress_is_one_line(summary: Summary) -> None:
    line = summary.progress(RequestStatistics()).text
    assert "\n" not in line
    for part in ("1,236 records read", "1,212 operations delivered", "4 rejected"):
        assert part in line
    assert re.search(r"[\d,]+ records/s, 0 requests, 0 retries, 0 s throttled", line)


def test_one_of_anything_is_not_in_the_plural() -> None:
    summary = Summary()
    summary.streams["orders"].read = 1
    summary.streams["orders"].delivered["person event"] = 1
    one = RequestStatistics(1, 1, 1, 0.0)
    assert summary.progress(one).text.startswith("1 record read, 1 operation delivered")
    assert "1 request, 1 retry, " in summary.progress(one).text
    assert summary.cost(one).startswith("1 request, 1 retry, 1 byte, ")
    assert summary.live_text(one, 1).startswith("1 record, 1 delivered")


def test_the_progress_of_a_plan_does_not_say_that_anything_is_delivered() -> None:
    summary = Summary(is_plan=True)
    summary.streams["orders"].read = 5
    summary.streams["orders"].delivered["person event"] = 4
    summary.streams["orders"].rejected["blank"] = 1
    entry = summary.progress(RequestStatistics())
    assert "5 records read, 4 operations to send, 1 to reject" in entry.text
    assert entry.fields["to_send"] == 4
    assert "delivered" not in entry.fields
    live = summary.live_text(RequestStatistics(), 5)
    assert live.startswith("5 records, 4 to send, 1 to reject, 5 records/s")


def test_a_stream_has_a_line_for_each_operation(summary: Summary) -> None:
    lines = texts(summary)
    rows = [line.split() for line in lines[2:5]]
    assert rows == [
        ["orders", "2", "person", "event", "2", "0"],
        ["users", "1,234", "person", "delete", "10", "anonymous", "20", "blank", "4"],
        ["person", "identify", "1,200"],
    ]


def test_no_skip_counts_when_nothing_was_skipped() -> None:
    summary = Summary()
    summary.streams["users"].read = 1
    assert "skipped" not in texts(summary)[0]


def test_recent_events_are_reported(summary: Summary) -> None:
    summary.figures[RECENT_EVENTS] = 1_500
    lines = texts(summary)
    assert any(line.startswith("1,500 ") and "72 hours" in line for line in lines)


def test_zero_counts_are_omitted_unless_they_matter(summary: Summary) -> None:
    before = texts(summary)
    summary.figures.update(moved_addresses=1, changed_addresses=2, old_identifies=3_000)
    lines = [line for line in texts(summary) if line not in before][:3]
    assert [line.split(":")[0] for line in lines] == [
        "1 e-mail address moved from one id to another",
        "2 ids changed their e-mail addresses",
        "3,000 profile updates have times older than a day",
    ]


def test_an_empty_run_has_a_summary() -> None:
    empty, requests = texts(Summary())
    assert empty == "No streams were loaded"
    assert requests.startswith("0 requests, ")


def test_names_that_look_like_numbers_are_not_changed() -> None:
    summary = Summary()
    summary.streams["007"].read = 1
    summary.streams["1e5"].read = 2
    first = [line.split()[0] for line in texts(summary)]
    assert first[2:4] == ["007", "1e5"]


def test_rejections_are_listed_by_reason(summary: Summary) -> None:
    summary.streams["orders"].read += 3
    summary.streams["orders"].rejected.update({"required": 2, "blank": 1})
    rows = [" ".join(line.split()) for line in texts(summary)[2:5]]
    assert rows == [
        "orders 5 person event 2 blank 1",
        "required 2",
        "users 1,234 person delete 10 anonymous 20 blank 4",
    ]


def test_undelivered_records_have_a_column(summary: Summary) -> None:
    assert "undelivered" not in texts(summary)[0]
    summary.streams["orders"].read += 7
    header, _, orders, users, _ = texts(summary)[:5]
    assert header.endswith("undelivered")
    assert (orders.split()[-1], users.split()[-1]) == ("7", "0")


def test_the_first_line_of_a_stream_has_its_counts(summary: Summary) -> None:
    summary.streams["users"].read += 1
    fields = [entry.fields for entry in summary.lines(RequestStatistics())]
    assert [each.get("stream_name") for each in fields[:5]] == [
        *(None, None, "orders", "users", None)
    ]
    assert fields[3] == {
        "event_type": "stream_summary",
        "stream_name": "users",
        "read": 1_235,
        "delivered": 1_210,
        "skipped": 20,
        "rejected": 4,
        "undelivered": 1,
        "delivered_by_operation": {"person identify": 1_200, "person delete": 10},
        "skipped_by_reason": {"anonymous": 20},
        "rejected_by_reason": {"blank": 4},
    }


def test_the_last_line_has_the_counts_of_the_run(summary: Summary) -> None:
    summary.figures[RECENT_EVENTS] = 5
    statistics = RequestStatistics(3, 1, 1_000, 0.25)
    *_, last = summary.lines(statistics)
    seconds = last.fields.pop("seconds")
    assert 0 <= seconds < 60
    assert last.fields == {
        "event_type": "run_summary",
        **summary.totals,
        "recent_events": 5,
        "moved_addresses": 0,
        "changed_addresses": 0,
        "old_identifies": 0,
        "requests": 3,
        "retries": 1,
        "bytes_sent": 1_000,
        "seconds_throttled": 0.25,
    }


def test_no_field_has_the_name_of_a_log_record_attribute(summary: Summary) -> None:
    record = logging.makeLogRecord({})
    taken = {*vars(record), "message", "asctime", "event", "timestamp", "level"}
    statistics = RequestStatistics()
    entries = [*summary.lines(statistics), summary.progress(statistics)]
    for entry in entries:
        assert not taken & entry.fields.keys()
