"""With structured logging, all counts of summary and progress are fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Terminal
    from support.singer import Singer

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "singer_sdk.logging.StructuredFormatter"}},
    "handlers": {"err": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["err"]},
}


def logged(terminal: Terminal, run: Callable[[], Any]) -> list[dict[str, Any]]:
    """Run a command, and return its log."""
    (terminal.folder / "log.json").write_text(json.dumps(LOGGING))
    terminal.environment["SINGER_SDK_LOG_CONFIG"] = str(terminal.folder / "log.json")
    return [json.loads(line) for line in run().stderr.splitlines()]


@pytest.fixture(scope="module")
def log(new_terminal: Callable[[], Terminal], singer: Singer) -> list[dict[str, Any]]:
    terminal = new_terminal()
    return logged(
        terminal,
        lambda: terminal.run(
            singer.schema("identifies"),
            singer.schema("tracks"),
            singer.schema("ledger"),
            singer.record("identifies", userId="ada"),
            singer.record("identifies", userId="bo"),
            singer.record("identifies", anonymousId="visitor"),
            *[singer.record("identifies", userId=True)] * 12,
            singer.record("identifies"),
            singer.record("tracks", userId="ada", event="Cheered"),
            singer.record("ledger", total=1),
            unmapped_streams="ignore",
        ),
    )


def of_type(log: list[dict[str, Any]], event_type: str) -> list[dict[str, Any]]:
    return [line for line in log if line["extra"].get("event_type") == event_type]


def test_each_stream_has_its_counts_in_one_log_event(log: list[dict[str, Any]]) -> None:
    streams = {line["stream_name"]: line for line in of_type(log, "stream_summary")}
    assert list(streams) == ["identifies", "ledger", "tracks"]
    assert streams["identifies"]["message"].startswith("identifies ")
    extra = streams["identifies"]["extra"]
    (skipped,) = extra.pop("skipped_by_reason").values()
    assert skipped == 1
    assert extra == {
        "event_type": "stream_summary",
        "read": 16,
        "delivered": 2,
        "skipped": 1,
        "rejected": 13,
        "undelivered": 0,
        "delivered_by_operation": {"person identify": 2},
        "rejected_by_reason": {"invalid_type": 12, "no_identifier": 1},
    }


def test_the_run_has_its_counts_in_one_log_event(log: list[dict[str, Any]]) -> None:
    (line,) = of_type(log, "run_summary")
    figures = line["extra"]
    assert (figures["read"], figures["delivered"]) == (18, 3)
    assert (figures["skipped"], figures["rejected"]) == (2, 13)
    assert (figures["undelivered"], figures["recent_events"]) == (0, 1)
    assert figures["requests"] >= 2
    assert figures["bytes_sent"] > 100
    for name in ("retries", "seconds", "seconds_throttled"):
        assert isinstance(figures[name], int | float)


def test_a_rejection_has_its_reason_in_fields(log: list[dict[str, Any]]) -> None:
    rejections = of_type(log, "rejection")
    assert len(rejections) == 10 + 1 + 1
    assert {line["level"] for line in rejections} == {"warning"}
    assert rejections[0]["stream_name"] == "identifies"
    assert rejections[0]["extra"] == {
        "event_type": "rejection",
        "reason": "invalid_type",
        "field": "userId",
    }


def metrics(log: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return the sum of each counter by stream."""
    found: dict[str, dict[str, int]] = {}
    for line in log:
        if metric := line.get("metric_info"):
            assert metric["type"] == "counter"
            streams = found.setdefault(metric["metric"], {})
            stream = metric["tags"]["stream"]
            streams[stream] = streams.get(stream, 0) + metric["value"]
    return found


def test_metrics_count_records_by_outcome(log: list[dict[str, Any]]) -> None:
    assert metrics(log) == {
        "record_count": {"identifies": 16, "ledger": 1, "tracks": 1},
        "delivered_count": {"identifies": 2, "ledger": 0, "tracks": 1},
        "skipped_count": {"identifies": 1, "ledger": 1, "tracks": 0},
        "rejected_count": {"identifies": 13, "ledger": 0, "tracks": 0},
    }


def test_progress_is_logged_in_fields_and_metrics_are_not_counted_twice(
    terminal: Terminal,
    slow_input: str,
) -> None:
    terminal.write({"sandbox": "workspace.db", "unmapped_streams": "ignore"})
    log = logged(terminal, lambda: terminal.type("-c", slow_input, python=True))
    progress = of_type(log, "progress")
    assert progress
    assert progress[-1]["extra"].keys() == {
        *("event_type", "read", "delivered", "skipped", "rejected"),
        *("records_per_second", "requests", "retries", "bytes_sent"),
        *("seconds", "seconds_throttled"),
    }
    assert 1 <= progress[-1]["extra"]["read"] <= 4
    assert metrics(log)["skipped_count"] == {"ledger": 4}
    assert metrics(log)["delivered_count"] == {"ledger": 0}
