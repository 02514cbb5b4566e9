"""The summary at the end: a table by stream, requests and bytes."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Outcome, Terminal
    from support.singer import Singer

DAY = 86_400
RECENT, OLD = 3, 4


@pytest.fixture(scope="module")
def outcome(new_terminal: Callable[[], Terminal], singer: Singer) -> Outcome:
    now = int(time.time())
    young = datetime.fromtimestamp(now - 3 * DAY + 600, timezone.utc).isoformat()
    ada = {"userId": "ada"}
    return new_terminal().run(
        singer.schema("identifies"),
        singer.schema("eu-tracks"),
        singer.schema("pages"),
        singer.schema("ledger"),
        singer.schema("aliases"),
        singer.record("identifies", **ada),
        singer.record("identifies", anonymousId="visitor"),
        singer.record("identifies", anonymousId="visitor-2"),
        singer.record("identifies", userId=1.5),
        singer.record("eu-tracks", **ada, event="without a time"),
        singer.record("eu-tracks", **ada, event="young", timestamp=young),
        singer.record("pages", **ada, name="young", timestamp=now - DAY),
        singer.record("eu-tracks", **ada, event="old", timestamp=now - 3 * DAY - 600),
        singer.record(
            "eu-tracks", **ada, event="old", timestamp="2020-01-01T00:00:00Z"
        ),
        singer.record("pages", **ada, name="old", timestamp=(now - 9 * DAY) * 1000),
        singer.record("eu-tracks", **ada, event="old", original_timestamp="2020-01-01"),
        singer.record("eu-tracks", userId="bo", event="User Suppressed"),
        singer.record("eu-tracks", event="names nobody"),
        singer.record("ledger", total=1),
        singer.state(reached="the end"),
        unmapped_streams="ignore",
        on_rejected="continue",
    )


def test_every_stream_has_a_row(outcome: Outcome) -> None:
    streams = ["aliases", "eu-tracks", "identifies", "ledger", "pages"]
    assert list(outcome.table) == streams


def test_every_record_is_delivered_skipped_or_rejected(outcome: Outcome) -> None:
    for row in outcome.table.values():
        delivered = sum(row["delivered"].values())
        skipped = sum(row["skipped"].values())
        assert row["read"] == delivered + skipped + row["rejected"]


def test_deliveries_are_counted_by_operation(outcome: Outcome) -> None:
    assert outcome.table["eu-tracks"]["delivered"] == {
        "person event": 5,
        "person suppress": 1,
    }
    assert outcome.table["pages"]["delivered"] == {"person page": 2}
    assert outcome.table["aliases"]["read"] == 0


def test_skipped_records_are_counted_by_reason(outcome: Outcome) -> None:
    ((reason, count),) = outcome.table["identifies"]["skipped"].items()
    assert count == 2
    assert "anonymous" in reason
    ((reason, count),) = outcome.table["ledger"]["skipped"].items()
    assert count == 1
    assert "unmapped" in reason


def test_rejections_are_counted(outcome: Outcome) -> None:
    assert outcome.table["identifies"]["rejected"] == 1
    assert outcome.table["eu-tracks"]["rejected"] == 1
    assert len(outcome.rejected) == 2


def test_events_that_can_trigger_campaigns_are_counted(outcome: Outcome) -> None:
    (line,) = [each for each in outcome.lines("INFO") if "72 hours" in each]
    assert int(line.split()[0]) == RECENT
    times = [event["timestamp"] for event in outcome.workspace["events"]]
    assert len(times) == RECENT + OLD


def test_requests_and_bytes_are_reported(outcome: Outcome) -> None:
    line = outcome.lines("INFO")[-1]
    cost = re.fullmatch(
        r"([\d,]+) requests, ([\d,]+) retries, ([\d,]+) bytes, ([\d.]+) seconds.*", line
    )
    assert cost is not None
    assert int(cost[1]) >= 2
    assert int(cost[2]) == 0
    assert int(cost[3].replace(",", "")) > 500
    assert 0 <= float(cost[4]) < 60


def test_the_metrics_of_the_sdk_count_the_same(outcome: Outcome) -> None:
    metrics = [
        json.loads(line.removeprefix("METRIC: "))
        for line in outcome.lines("INFO")
        if "record_count" in line
    ]
    counted = {each["tags"]["stream"]: each["value"] for each in metrics}
    assert counted == {stream: row["read"] for stream, row in outcome.table.items()}


@pytest.mark.parametrize("feed", [b"", b"\n\n", b'{"type":"STATE","value":{"a":1}}\n'])
def test_an_input_without_streams_is_summarized_in_a_line(
    feed: bytes, terminal: Terminal
) -> None:
    outcome = terminal.run(feed=feed)
    assert outcome.code == 0
    shown = [line for line in outcome.lines("INFO") if "METRIC" not in line]
    completed = [line.startswith("Reader ") for line in shown].index(True)
    assert shown[completed + 1 : -1] == ["No streams were loaded"]
    assert shown[-1].startswith("0 requests, ")


def test_a_plain_log_repeats_no_figures_before_the_summary(outcome: Outcome) -> None:
    names = re.findall(r'METRIC: {"type":"counter","metric":"(\w+)"', outcome.stderr)
    assert {*names} == {"record_count"}
    assert len(names) == len(outcome.table)


def test_a_stream_without_records_has_a_row(terminal: Terminal, singer: Singer) -> None:
    outcome = terminal.run(singer.schema("identifies"))
    assert outcome.table["identifies"]["read"] == 0


def test_progress_is_logged_before_anything_is_delivered(
    terminal: Terminal, slow_input: str
) -> None:
    terminal.write({"sandbox": "workspace.db", "unmapped_streams": "ignore"})
    outcome = terminal.type("-c", slow_input, python=True)
    assert outcome.code == 0
    logged = [line for line in outcome.lines("INFO") if " records read, " in line]
    assert any("0 operations delivered" in line for line in logged)


def test_events_without_a_time_cause_one_warning_per_stream(outcome: Outcome) -> None:
    warned = [each for each in outcome.lines("WARNING") if "no timestamp" in each]
    assert len(warned) == 1
    assert "'eu-tracks'" in warned[0]
