"""Guarantees that the SDK's default behaviour would break.

Each test fails without the part of ``singer.py`` that replaces the SDK's behaviour.
"""

from __future__ import annotations

import gzip
import json
import signal
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from support.command import wait_until
from support.customerio import Customerio, Reply, Request, accept
from support.singer import event, record, schema, state

if TYPE_CHECKING:
    from pathlib import Path

    from support.command import RunningTarget
    from support.singer import Message

    from .conftest import StartTarget

STREAMS = ("tracks", "pages", "screens", "identifies")


def call(number: int, person: str, stream: str) -> Message:
    content: dict[str, Any] = {"userId": person}
    if stream == "identifies":
        content["traits"] = {"n": number}
    else:
        content["properties"] = {"n": number}
        content["event" if stream == "tracks" else "name"] = "x"
    return record(stream, **content)


def finish(child: RunningTarget, *messages: Message | bytes) -> None:
    """Send messages, close the input, and assert exit code 0."""
    child.send(*messages)
    child.close_input()
    assert child.wait() == 0, child.stderr


def numbers_by_person(server: Customerio) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for each in server.taken:
        who = each["identifiers"]["id"]
        found.setdefault(who, []).append(each["attributes"]["n"])
    return found


def test_streams_do_not_overtake_each_other(
    start_target: StartTarget, server: Customerio
) -> None:
    """The SDK would deliver stream by stream."""
    child = start_target({"batch_size_rows": 20, "max_concurrent_requests": 4})
    calls = [
        call(number, f"p-{number % 7}", STREAMS[number % 4]) for number in range(600)
    ]
    finish(child, *map(schema, STREAMS), *calls)
    found = numbers_by_person(server)
    assert len(found) == 7
    for person, numbers in found.items():
        assert numbers == [each for each in range(600) if f"p-{each % 7}" == person]


def test_a_changed_schema_keeps_the_order(
    start_target: StartTarget, server: Customerio
) -> None:
    """The SDK would keep the old sink and deliver its records later."""
    child = start_target({"batch_size_rows": 50})
    text = {"type": "string", "format": "date-time"}
    messages: list[Message] = [schema("tracks"), schema("pages")]
    for number in range(100):
        if number % 10 == 5:
            properties = {"n": {}, f"new_{number}": text}
            body = {"properties": {"type": "object", "properties": properties}}
            messages.append(schema("tracks", body))
        messages.append(call(number, "ada", ("tracks", "pages")[number % 2]))
    finish(child, *messages, state({"done": True}))
    assert numbers_by_person(server) == {"ada": list(range(100))}
    assert child.states == [{"done": True}]


def test_a_changed_schema_applies_to_the_records_after_it(
    start_target: StartTarget, server: Customerio
) -> None:
    child = start_target()
    moment = "2026-03-01T00:00:00.123456Z"  # microseconds: not a date without a type
    row = {"user_id": "ada", "at": moment}
    typed = {"at": {"type": "string", "format": "date-time"}}
    finish(
        child,
        schema("identify"),
        record("identify", **row),
        schema("identify", typed),
        record("identify", **row),
    )
    found = [each["attributes"]["at"] for each in server.taken]
    assert found == [moment, 1772323200]


def test_state_is_written_while_no_input_arrives(
    start_target: StartTarget, server: Customerio
) -> None:
    """The SDK would write STATE only when another record arrives."""
    child = start_target()
    child.send(schema("tracks"), event(0), state({"sent": 1}))
    child.wait_for_state({"sent": 1})
    child.send(state({"sent": 2}))  # no record before it
    child.wait_for_state({"sent": 2})
    finish(child)
    assert server.taken_names == ["0"]


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 77])
def test_records_are_delivered_while_no_input_arrives(
    count: int, start_target: StartTarget, server: Customerio
) -> None:
    """The SDK would wait for a full batch or the end of the input."""
    child = start_target()
    child.send(schema("tracks"), *map(event, range(count)))
    wait_until(lambda: len(server.taken) == count)
    finish(child)


def test_rejected_records_are_written_in_the_order_of_arrival(
    start_target: StartTarget, server: Customerio
) -> None:
    """Both invalid records and operations that are too large."""
    child = start_target()
    large: dict[str, Any] = {
        "userId": "bo",
        "event": "x",
        "properties": {"text": "x" * 33_000},
    }
    bad = [large, {"userId": "cleo"}, large, {"event": "x"}, large]
    finish(
        child,
        schema("tracks"),
        *(message for row in bad for message in (event(0), record("tracks", **row))),
    )
    path = child.folder / "rejected.singer.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["record"] for each in lines if each["type"] == "RECORD"] == bad
    assert len(server.taken) == 5


def test_a_signal_during_the_final_drain_writes_no_state_for_unsent_records(
    start_target: StartTarget, server: Customerio
) -> None:
    """The SDK would start a second drain within the first and write the last STATE."""
    released = threading.Event()

    def script(request: Request) -> Reply:
        if request.method == "POST":
            server.hold(released)
            return Reply(401)
        return accept(request)

    server.script = script
    child = start_target({"batch_size_rows": 10})
    child.send(schema("tracks"))
    for number in range(30):
        child.send(event(number), state({"sent": number + 1}))
    child.close_input()
    wait_until(lambda: len(server.posts) >= 2)
    child.signal(signal.SIGTERM)
    wait_until(lambda: "stopped reading" in child.stderr)
    time.sleep(0.5)
    assert child.states == []
    released.set()
    assert child.wait() == 1
    assert child.states == []
    assert "site_id" in child.error


def test_state_keeps_decimals(start_target: StartTarget) -> None:
    """The SDK cannot encode the decimals that it decodes."""
    child = start_target()
    line = b'{"type": "STATE", "value": {"at": 1.10, "n": 123456789012345678901}}\n'
    finish(child, schema("tracks"), event(0), line)
    ((_, written),) = child.state_lines
    assert json.loads(written, parse_float=Decimal) == {
        "at": Decimal("1.10"),
        "n": 123456789012345678901,
    }
    assert "1.10" in written


def test_a_full_sink_is_not_drained_alone(
    start_target: StartTarget, server: Customerio
) -> None:
    """The SDK would send a stream's records as soon as they fill a batch."""
    child = start_target({"batch_size_rows": 1_000})
    messages = [call(0, "ada", "pages")]
    messages += [call(number, "ada", "tracks") for number in range(1, 1_000)]
    finish(child, schema("pages"), schema("tracks"), *messages)
    assert numbers_by_person(server) == {"ada": list(range(1_000))}
    assert len(server.posts) == 1


DATED = {
    "userId": {"type": "string"},
    "born": {"type": ["string", "null"], "format": "date-time"},
    "age": {"type": ["integer", "null"]},
}


@pytest.mark.parametrize(
    ("row", "rejected"),
    [
        ({"userId": "bo", "born": "last Tuesday"}, 1),
        ({"userId": "bo", "born": "0000-00-00T00:00:00Z"}, 0),
        ({"userId": "bo", "born": "99999-01-01T00:00:00Z"}, 0),
        ({"userId": "bo", "age": "old"}, 1),
        ({"age": 4}, 1),
    ],
    ids=["no date", "no day", "out of range", "not the schema's", "no key"],
)
def test_an_invalid_record_does_not_end_the_run(
    row: dict[str, Any], rejected: int, start_target: StartTarget, server: Customerio
) -> None:
    """The SDK would end the run."""
    child = start_target()
    finish(
        child,
        schema("identify", DATED, ["userId"]),
        record("identify", userId="ada"),
        record("identify", **row),
        record("identify", userId="cleo"),
        state({"sent": 3}),
    )
    found = [each["identifiers"]["id"] for each in server.taken]
    assert found == (["ada", "cleo"] if rejected else ["ada", "bo", "cleo"])
    assert child.states == [{"sent": 3}]
    assert child.rows_of("identify") == (3, rejected)
    assert child.errors == []


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_batch_files_are_handled_like_records(
    compression: str | None,
    start_target: StartTarget,
    server: Customerio,
    tmp_path: Path,
) -> None:
    """The SDK would not validate, map or order them."""

    def batch(name: str, rows: list[dict[str, Any]]) -> Message:
        path = tmp_path / name
        text = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(text) if compression else text)
        encoding = {"format": "jsonl"}
        if compression:
            encoding["compression"] = compression
        return {
            "type": "BATCH",
            "stream": "users",
            "encoding": encoding,
            "manifest": [str(path)],
        }

    def row(number: int, **more: Any) -> dict[str, Any]:
        return {"key": "ada", "n": number, **more}

    child = start_target(
        {
            "batch_size_rows": 7,
            "stream_calls": {"users": "identify"},
            "stream_maps": {"users": {"userId": "key", "key": None, "secret": None}},
        }
    )
    properties = {
        "key": {"type": "string"},
        "n": {"type": "integer"},
        "secret": {"type": "string"},
    }
    finish(
        child,
        schema("users", properties),
        schema("tracks"),
        record("users", **row(0)),
        call(1, "ada", "tracks"),
        batch("one", [row(number, secret="s") for number in range(2, 22)]),
        call(22, "ada", "tracks"),
        record("users", **row(23)),
        batch("two", [row(24), {"key": "ada", "n": "no number"}, row(25)]),
        call(26, "ada", "tracks"),
        state({"done": True}),
    )
    assert numbers_by_person(server) == {"ada": list(range(27))}
    users = [each for each in server.taken if each["action"] == "identify"]
    assert all(each["attributes"].keys() == {"n"} for each in users)
    assert child.rows_of("users") == (25, 1)
    assert child.states == [{"done": True}]
