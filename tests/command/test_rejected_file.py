"""The rejected-records file: Singer messages, private, exact, ready to be replayed."""

from __future__ import annotations

import json
import os
import stat
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.command import RunningTarget, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.command import Outcome, Terminal
    from support.forks import ForkServer
    from support.singer import Singer

ODD = (
    b'{ "userId" :true,\t"a":1.10, "b": 1e5,"c":123456789012345678901234567890,'
    b' "d":"\\u00e9\\/", "e": "\xc3\xa9", "f":-0.0, "g":[ ] ,"a2": 1E+2 }'
)
OLD = b'{"type": "SCHEMA", "stream": "tracks", "schema": {"properties": {"a": {}}}}'
NEW = b'{"type": "SCHEMA", "stream": "tracks", "schema": {"properties": {"b": {}}}}'
OTHER = b'{"type": "SCHEMA", "stream": "pages", "schema": {"properties": {}}}'


def record(stream: bytes, text: bytes = b'{"userId":"ada"}') -> bytes:
    return b'{"type": "RECORD", "stream": "%b", "record": %b}' % (stream, text)


def record_text(line: bytes) -> bytes:
    start = line.index(b'"record":') + len(b'"record":')
    return line[start : line.rindex(b',"rejection":')]


@pytest.fixture(scope="module")
def outcome(new_terminal: Callable[[], Terminal]) -> Outcome:
    return new_terminal().run(
        OLD,
        OTHER,
        record(b"tracks", ODD),
        record(b"pages"),
        OLD,
        record(b"tracks"),
        NEW,
        record(b"tracks"),
        record(b"pages"),
        record(b"tracks", b'{"userId": "ada", "event": "A", "a": NaN, "b": -Infinity}'),
        on_rejected="continue",
    )


def test_the_file_is_readable_only_by_its_owner(outcome: Outcome) -> None:
    assert stat.S_IMODE(outcome.rejected_path.stat().st_mode) == 0o600


def test_a_schema_precedes_its_records_and_is_repeated_when_it_changes(
    outcome: Outcome,
) -> None:
    lines = [
        line if b'"SCHEMA"' in line else json.loads(line)["stream"]
        for line in outcome.rejected_lines
    ]
    expected = [OLD, "tracks", OTHER, "pages", "tracks", NEW, "tracks", "pages"]
    assert lines == [*expected, "tracks"]


def test_a_record_is_written_byte_for_byte_as_received(outcome: Outcome) -> None:
    assert record_text(outcome.rejected_lines[1]) == ODD


def test_non_finite_numbers_are_written_as_text(outcome: Outcome) -> None:
    kept = outcome.rejected[-1]["record"]
    assert kept == {"userId": "ada", "event": "A", "a": "NaN", "b": "-Infinity"}


def test_the_rejection_is_written_next_to_the_record(outcome: Outcome) -> None:
    for each in outcome.rejected:
        assert each.keys() == {"type", "stream", "record", "rejection"}
        assert each["rejection"].keys() == {"reason", "field", "message", "at", "run"}


def test_the_rejection_has_a_time(outcome: Outcome) -> None:
    at = datetime.fromisoformat(outcome.rejected[0]["rejection"]["at"])
    assert at.utcoffset() is not None
    assert abs((datetime.now(timezone.utc) - at).total_seconds()) < 600


def test_an_existing_file_is_appended_to_and_line_numbers_continue(
    terminal: Terminal, singer: Singer
) -> None:
    path = terminal.folder / "rejected.singer.jsonl"
    path.write_bytes(b'{"type":"STATE","value":"kept"}\n{"half a line": ')
    outcome = terminal.run(singer.schema("tracks"), singer.record("tracks"))
    lines = path.read_bytes().split(b"\n")
    assert lines[:2] == [b'{"type":"STATE","value":"kept"}', b'{"half a line": ']
    assert [json.loads(line)["type"] for line in lines[2:4]] == ["SCHEMA", "RECORD"]
    (warning,) = [line for line in outcome.lines("WARNING") if "rejected" in line]
    assert "line 4 of rejected.singer.jsonl" in warning


def test_no_file_is_created_when_nothing_is_rejected(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"), singer.record("identifies", userId="ada")
    )
    assert outcome.code == 0
    assert not outcome.rejected_path.exists()


def test_replaying_the_unchanged_file_rejects_each_record_once(
    terminal: Terminal, singer: Singer
) -> None:
    first = terminal.run(singer.schema("tracks"), *[singer.record("tracks")] * 3)
    again = terminal.run(feed=first.rejected_path, timeout=60)
    assert again.rejection_error
    assert len(again.rejected) == 6
    assert again.table["tracks"]["rejected"] == 3


def test_a_replay_warns_once_that_records_may_be_old(
    terminal: Terminal, singer: Singer
) -> None:
    first = terminal.run(singer.schema("tracks"), *[singer.record("tracks")] * 3)
    assert "older" not in first.stderr
    corrected = first.rejected_path.rename(terminal.folder / "corrected.singer.jsonl")

    again = terminal.run(feed=corrected)

    warnings = [line for line in again.lines("WARNING") if "may be older" in line]
    assert len(warnings) == 1


def test_replaying_the_unchanged_file_twice_terminates(
    terminal: Terminal, singer: Singer
) -> None:
    first = terminal.run(singer.schema("tracks"), singer.record("tracks"))
    terminal.run(feed=first.rejected_path, timeout=60)
    again = terminal.run(feed=first.rejected_path, timeout=60)
    assert len(again.rejected) == 4


def test_replaying_the_corrected_file_delivers_everything(
    terminal: Terminal, singer: Singer
) -> None:
    first = terminal.run(
        singer.schema("tracks", ["userId"]),
        singer.record("tracks", userId="ada", properties={"total": 5}),
        singer.record("tracks", userId="bo", properties={"total": 6}),
        on_rejected="continue",
    )
    corrected = terminal.folder / "corrected.jsonl"
    text = first.rejected_path.read_bytes()
    corrected.write_bytes(text.replace(b'"record":{', b'"record":{"event":"Bought",'))
    first.rejected_path.unlink()
    again = terminal.run(feed=corrected)
    assert again.code == 0
    assert not again.rejected_path.exists()
    bought = [(each["person"], each["name"]) for each in again.workspace["events"]]
    assert sorted(bought) == [("id:ada", "Bought"), ("id:bo", "Bought")]


def test_a_file_corrected_in_place_is_delivered(
    terminal: Terminal, singer: Singer
) -> None:
    first = terminal.run(singer.schema("tracks"), singer.record("tracks", userId="ada"))
    text = first.rejected_path.read_bytes()
    first.rejected_path.write_bytes(
        text.replace(b'"record":{', b'"record":{"event":"Bought",')
    )
    again = terminal.run(feed=first.rejected_path, timeout=60)
    assert again.code == 0
    assert [each["name"] for each in again.workspace["events"]] == ["Bought"]


def test_a_corrected_record_is_loaded_whenever_it_was_rejected(
    terminal: Terminal, singer: Singer
) -> None:
    """Its time may lie within this run: another run goes on, or a clock is wrong."""
    first = terminal.run(singer.schema("tracks"), singer.record("tracks", userId="ada"))
    now = datetime.now(timezone.utc)
    feed = [first.rejected_lines[0]]
    for seconds in range(-1, 30):
        message = first.rejected[0]
        message["record"] |= {"event": f"Bought {seconds}"}
        at = now + timedelta(seconds=seconds)
        message["rejection"]["at"] = at.isoformat(timespec="microseconds")
        feed.append(json.dumps(message).encode())
    again = terminal.run(*feed)
    assert again.code == 0
    assert again.table["tracks"]["skipped"] == {}
    assert len(again.workspace["events"]) == 31


def test_records_are_found_after_the_file_was_moved_away_during_the_run(
    start: Callable[[dict[str, Any]], RunningTarget], singer: Singer, tmp_path: Path
) -> None:
    child = start({"sandbox": "workspace.db"})
    path = child.folder / "rejected.singer.jsonl"
    child.send(singer.schema("tracks"), singer.record("tracks", userId="ada", n=1))
    wait_until(path.exists)
    wait_until(lambda: path.read_bytes().count(b"\n") == 2)
    path.rename(tmp_path / "moved.singer.jsonl")
    child.send(singer.record("tracks", userId="ada", n=2), singer.state(reached=2))
    child.wait_for_state({"reached": 2})
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [each["type"] for each in lines] == ["SCHEMA", "RECORD"]
    assert lines[1]["record"]["n"] == 2
    assert child.text().count("see line 2 of rejected.singer.jsonl") == 2
    child.close_input()
    assert child.wait() == 0


@pytest.fixture
def start(
    tmp_path: Path, forks: ForkServer
) -> Iterator[Callable[[dict[str, Any]], RunningTarget]]:
    children: list[RunningTarget] = []

    def start(settings: dict[str, Any]) -> RunningTarget:
        children.append(RunningTarget(tmp_path / "run", settings, forks=forks))
        return children[-1]

    yield start
    for each in children:
        each.kill()


def bad_between_good(singer: Singer) -> list[Any]:
    return [
        singer.schema("identifies"),
        singer.record("identifies", userId="before"),
        singer.state(reached="before"),
        singer.record("identifies", userId=True),
        singer.record("identifies", userId="after"),
        singer.state(reached="after"),
    ]


def test_on_rejected_fail_delivers_the_others_and_writes_state_first(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(*bad_between_good(singer), on_rejected="fail")
    assert "1 record was rejected" in outcome.rejection_error
    assert list(outcome.workspace["people"]) == ["id:after", "id:before"]
    assert outcome.states[-1] == {"reached": "after"}


def test_on_rejected_continue_exits_with_0(terminal: Terminal, singer: Singer) -> None:
    outcome = terminal.run(*bad_between_good(singer), on_rejected="continue")
    assert (outcome.code, outcome.errors) == (0, [])
    assert list(outcome.workspace["people"]) == ["id:after", "id:before"]
    assert outcome.states[-1] == {"reached": "after"}
    assert len(outcome.rejected) == 1


def test_on_rejected_abort_stops_at_the_first(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(*bad_between_good(singer), on_rejected="abort")
    assert "on_rejected" in outcome.rejection_error
    assert list(outcome.workspace["people"]) == ["id:before"]
    assert outcome.states == [{"reached": "before"}]
    assert len(outcome.rejected) == 1


REFUSED = {"batch_index": 0, "reason": "invalid", "field": "id", "message": "No."}


@pytest.mark.parametrize(
    ("settings", "error", "states"),
    [
        ({}, "1 record was rejected", [{"reached": "ada"}]),
        ({"on_rejected": "abort"}, "on_rejected", None),
    ],
)
def test_a_record_rejected_by_customerio_exits_with_3(
    terminal: Terminal,
    singer: Singer,
    stand_in: Any,
    settings: dict[str, Any],
    error: str,
    states: list[Any] | None,
) -> None:
    server = stand_in(200, {"region": "us", "errors": [REFUSED]})
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="ada"),
        singer.state(reached="ada"),
        sandbox=None,
        api_url=server.url,
        site_id="site",
        api_key="key",
        **settings,
    )
    assert error in outcome.rejection_error
    assert len(outcome.rejected) == 1
    if states is not None:
        assert outcome.states == states


@pytest.mark.parametrize("on_rejected", ["fail", "abort"])
def test_a_record_without_its_key_exits_with_3(
    terminal: Terminal, singer: Singer, on_rejected: str
) -> None:
    outcome = terminal.run(
        singer.schema("identifies", ["row", "userId"], keys=["row"]),
        singer.record("identifies", userId="ada"),
        on_rejected=on_rejected,
    )
    assert "rejected" in outcome.rejection_error
    assert outcome.reasons == [("missing_key", "row")]


@pytest.mark.parametrize("on_rejected", ["fail", "continue"])
def test_an_outage_exits_with_1_even_with_rejected_records(
    terminal: Terminal, singer: Singer, stand_in: Any, on_rejected: str
) -> None:
    server = stand_in(401, greets=True)
    outcome = terminal.run(
        *bad_between_good(singer),
        sandbox=None,
        api_url=server.url,
        site_id="site",
        api_key="key",
        on_rejected=on_rejected,
    )
    assert "check `site_id` and `api_key`" in outcome.error
    assert len(outcome.rejected) <= 1


@pytest.mark.parametrize("on_rejected", ["fail", "continue"])
def test_invalid_input_exits_with_1_even_with_rejected_records(
    terminal: Terminal, singer: Singer, on_rejected: str
) -> None:
    outcome = terminal.run(
        *bad_between_good(singer), "no Singer", on_rejected=on_rejected
    )
    assert "Line 7" in outcome.error
    assert len(outcome.rejected) == 1


@pytest.mark.parametrize("path", ["missing/rejected.jsonl", ".", "config.json/x"])
def test_an_unwritable_path_causes_a_one_line_error(
    terminal: Terminal, singer: Singer, path: str
) -> None:
    outcome = terminal.run(*bad_between_good(singer), rejected_records_path=path)
    assert path in outcome.error
    assert "rejected_records_path" in outcome.error
    assert {"reached": "after"} not in outcome.states


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_causes_a_one_line_error_and_no_state(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        *bad_between_good(singer),
        rejected_records_path="/dev/full",
        on_rejected="continue",
    )
    assert "/dev/full" in outcome.error
    assert {"reached": "after"} not in outcome.states


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_unwritable_state_causes_a_one_line_error(
    terminal: Terminal, singer: Singer
) -> None:
    with Path("/dev/full").open("wb") as full:
        outcome = terminal.run(
            singer.schema("identifies"),
            singer.record("identifies", userId="ada"),
            singer.state(reached="ada"),
            stdout=full,
        )
    assert "STATE" in outcome.error


def test_a_closed_state_pipe_causes_a_one_line_error(
    terminal: Terminal, singer: Singer
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        outcome = terminal.run(
            singer.schema("identifies"),
            singer.record("identifies", userId="ada"),
            singer.state(reached="ada"),
            stdout=closed,
        )
    assert "STATE" in outcome.error


def test_the_path_may_begin_in_the_home_folder(
    terminal: Terminal, singer: Singer
) -> None:
    terminal.environment["HOME"] = str(terminal.folder)
    outcome = terminal.run(
        singer.schema("tracks", ["userId"]),
        singer.record("tracks", userId="ada"),
        rejected_records_path="~/rejected.singer.jsonl",
    )
    assert outcome.reasons == [("required", "event")]
    assert f"see line 2 of {outcome.rejected_path}" in outcome.stderr
