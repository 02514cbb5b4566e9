"""Taps that send a SCHEMA before each record, with the columns of that record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.singer import record, schema

from target_customerio import prepared_streams, run
from target_customerio.json_codec import Decoding
from target_customerio.prepared_streams import (
    MEMORY_PER_SCHEMA_BYTE,
    PreparedStream,
    PreparedStreamCache,
)
from target_customerio.records import Place
from target_customerio.target import TargetCustomerIO
from target_customerio.validation import RecordValidator

if TYPE_CHECKING:
    from pathlib import Path

    from support.command import Terminal

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


class Tap:
    """Sends schemas and records to a target of this process."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        sandbox = str(folder / "workspace.db")
        rejected = str(folder / "rejected.jsonl")
        self.target = TargetCustomerIO(
            config={
                "sandbox": sandbox,
                "rejected_records_path": rejected,
                "on_rejected": "continue",
                **settings,
            }
        )
        self.run = self.target.run
        self.summary = self.run.pipeline.recorder.summary

    def send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode()
        name = message["stream"]
        if message["type"] == "SCHEMA":
            keys = message["key_properties"]
            self.run.add_stream(name, message["schema"], keys, line)
        else:
            prepared = self.run.streams[name]
            self.run.load(prepared, message["record"], line, Place(1), Decoding.STRICT)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The schemas that were compiled."""
    found: list[Any] = []

    class Counted(RecordValidator):
        def __init__(self, schema: dict[str, Any]) -> None:
            found.append(schema)
            super().__init__(schema)

    monkeypatch.setattr(prepared_streams, "RecordValidator", Counted)
    return found


@pytest.mark.parametrize("streams", [["identify"], ["identify", "b-identify"]])
def test_each_distinct_schema_is_compiled_once(
    streams: list[str], compiled: list[Any], tmp_path: Path
) -> None:
    tap = Tap(tmp_path)
    for number in range(30):
        for stream in streams:
            columns = {"userId": TEXT, "n": [TEXT, NUMBER, {}][number % 3]}
            tap.send(schema(stream, columns))
            tap.send(record(stream, userId="ann", n=number))
    assert len(compiled) == 3 * len(streams)
    tap.run.finish()
    for stream in streams:
        counts = tap.summary.streams[stream]
        assert counts.read == 30
        assert dict(counts.rejected) == {"schema": 10}


def test_each_record_is_handled_by_the_schema_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation, keys and dates follow the schema, also when it comes back."""
    tap = Tap(tmp_path)
    text = schema("tracks", {"key": TEXT, "at": TEXT}, ["key"])
    date = schema("tracks", {"key": TEXT, "at": {"format": "date-time"}}, ["key"])
    other = schema("tracks", {"key": NUMBER}, ["number"])
    found: list[Any] = []
    queue = tap.run.pipeline.queue

    def kept(stream: Any, line: Any, operation: Any, place: Any) -> None:
        found.append(operation)
        queue(stream, line, operation, place)

    monkeypatch.setattr(tap.run.pipeline, "queue", kept)
    content = {"key": "k", "at": "2026-01-02T03:04:05.123456Z", "userId": "ann"}
    for each in (text, date, other, text, date, text):
        tap.send(each)
        tap.send(record("tracks", event="e", **content))
    tap.run.finish()
    times = [json.loads(bytes(each.attributes))["at"] for each in found]
    assert times == [
        content["at"],
        1767323045,
        content["at"],
        1767323045,
        content["at"],
    ]
    assert len({each.id for each in found}) == 1
    assert dict(tap.summary.streams["tracks"].rejected) == {"schema": 1}


LINES = st.integers(0, 9).map(lambda n: b"%d" % n * (n + 1))


@given(st.lists(st.tuples(st.sampled_from("ab"), LINES), max_size=60))
def test_streams_of_replaced_schemas_are_bounded_in_bytes(
    drawn: list[tuple[str, bytes]],
) -> None:
    limit = 25 * MEMORY_PER_SCHEMA_BYTE
    cache = PreparedStreamCache(limit)
    used: list[tuple[str, bytes]] = []
    dropped = 0
    for name, line in drawn:
        found = cache.pop(name, line)
        assert found is None or found.schema == line
        assert (found is not None) == ((name, line) in used)
        if found is not None:
            used.remove((name, line))
        used.append((name, line))
        while sum(len(text) for _, text in used) * MEMORY_PER_SCHEMA_BYTE > limit:
            dropped += len(used.pop(0)[1])
        cache.add(name, found or PreparedStream(name, line, [], None))
        assert len(cache) == len(used)
        assert cache.dropped_bytes == dropped


def test_records_in_the_queue_hold_few_replaced_schemas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "MAX_HELD_SCHEMAS", 50_000)
    monkeypatch.setattr(PreparedStreamCache.__init__, "__defaults__", (100_000,))
    tap = Tap(tmp_path)
    for number in range(150):
        columns = {f"column_{number}_{index}": TEXT for index in range(50)}
        tap.send(schema("identify", columns))
        # Nothing is delivered unless the run waits for it.
        monkeypatch.setattr(tap.run.pipeline, "_batch", 10_000)
        tap.send(record("identify", userId=f"{number}"))
        queued = tap.run.pipeline._pending  # noqa: SLF001 - what it holds
        schemas = {stream.schema for _, stream, *_ in queued}
        assert (
            sum(map(len, schemas)) < 50_000 + 100_000 // MEMORY_PER_SCHEMA_BYTE + 10_000
        )
    tap.run.finish()
    assert tap.summary.streams["identify"].read == 150


def test_a_changing_schema_is_metered_and_warned_of_like_one_that_stays(
    terminal: Terminal,
) -> None:
    def messages(kinds: int) -> list[dict[str, Any]]:
        found = []
        for number in range(60):
            column = f"column_{number % kinds}"
            found.append(schema("tracks", ["userId", "event", "properties", column]))
            row = {"userId": "ann", "event": "e", "properties": {}, column: "x"}
            found.append(record("tracks", **row))
        return found

    same = terminal.run(*messages(1))
    changing = terminal.run(*messages(30))
    for outcome in (same, changing):
        assert outcome.code == 0, outcome.stderr
        assert outcome.table["tracks"]["read"] == 60
        assert outcome.stderr.count("are left out of records") == 1
    assert changing.stderr.count("METRIC") == same.stderr.count("METRIC")


def test_warnings_of_schemas_that_do_not_compile_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_streams, "MAX_REPORTED_PATHS", 5)
    tap = Tap(tmp_path)
    for number in range(20):
        column = {f"column_{number}": {"pattern": r"a\Z"}}
        tap.send(schema("identify", column))
    assert len([text for text in caplog.messages if "cannot be compiled" in text]) == 5
