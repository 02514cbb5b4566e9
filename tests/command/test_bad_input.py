"""Invalid input: a one-line error, after the records before it are delivered."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Outcome, Terminal
    from support.customerio import Customerio
    from support.singer import Singer

SECRET = "ada-lovelace-4711"
"""Part of every invalid line; must never be shown."""

FAULTS: dict[str, tuple[bytes, list[str]]] = {
    "a line that is not JSON": (
        b'{"type": "RECORD", "stream": "tracks", "record": {"userId": "' + b"SECRET",
        ["Line 4", "not JSON"],
    ),
    "a line that is not UTF-8": (b"\xff\xfe SECRET", ["Line 4", "not JSON"]),
    "JSON nested too deeply": (
        b'{"type": "RECORD", "a": ' + b"[" * 100_000,
        ["Line 4"],
    ),
    "JSON that is not an object": (b'["SECRET"]', ["Line 4", "Singer"]),
    "a message without a type": (b'{"stream": "tracks", "record": {}}', ["Line 4"]),
    "a message of an unknown type": (
        b'{"type": "RECROD", "record": "SECRET"}',
        ["Line 4", "RECROD"],
    ),
    "a RECORD before its SCHEMA": (
        b'{"type": "RECORD", "stream": "tracks", "record": {"userId": "SECRET"}}',
        ["Line 4", "'tracks'", "SCHEMA"],
    ),
    "a RECORD whose stream is not a string": (
        b'{"type": "RECORD", "stream": {"SECRET": 1}, "record": {}}',
        ["Line 4", "RECORD"],
    ),
    "a RECORD without a record": (
        b'{"type": "RECORD", "stream": "identifies"}',
        ["Line 4", "RECORD"],
    ),
    "a RECORD whose record is not an object": (
        b'{"type": "RECORD", "stream": "identifies", "record": ["SECRET"]}',
        ["Line 4", "RECORD"],
    ),
    "a SCHEMA without a schema": (
        b'{"type": "SCHEMA", "stream": "a"}',
        ["Line 4", "schema"],
    ),
    "a SCHEMA without a stream": (
        b'{"type": "SCHEMA", "schema": {"properties": {}}}',
        ["Line 4", "stream"],
    ),
    "a SCHEMA whose properties are not an object": (
        b'{"type": "SCHEMA", "stream": "tracks", "schema": {"properties": ["SECRET"]}}',
        ["Line 4", "SCHEMA"],
    ),
    "a SCHEMA whose key_properties are not a list": (
        (
            b'{"type": "SCHEMA", "stream": "tracks", "key_properties": 5,'
            b'"schema": {"properties": {}}}'
        ),
        ["Line 4", "SCHEMA"],
    ),
    "a STATE without a value": (b'{"type": "STATE"}', ["Line 4", "STATE", "value"]),
    "a BATCH without a manifest": (
        b'{"type": "BATCH", "stream": "identifies", "encoding": {"format": "jsonl"}}',
        ["Line 4", "BATCH"],
    ),
    "a BATCH before its SCHEMA": (
        (
            b'{"type": "BATCH", "stream": "tracks", "manifest": ["SECRET.jsonl"],'
            b'"encoding": {"format": "jsonl"}}'
        ),
        ["Line 4", "'tracks'", "SCHEMA"],
    ),
    "a BATCH whose file is missing": (
        (
            b'{"type": "BATCH", "stream": "identifies", "manifest": ["missing.jsonl"],'
            b'"encoding": {"format": "jsonl"}}'
        ),
        ["Line 4", "missing.jsonl"],
    ),
    "an unmapped stream": (
        b'{"type": "SCHEMA", "stream": "invoices", "schema": {"properties": {}}}',
        [
            "'invoices'",
            *("identify", "track", "page", "screen", "group", "alias"),
            "stream_calls",
        ],
    ),
}


@dataclass(frozen=True)
class Fault:
    outcome: Outcome
    clues: list[str]


@pytest.fixture(scope="module")
def faults(new_terminal: Callable[[], Terminal], singer: Singer) -> dict[str, Fault]:
    def play(name: str) -> tuple[str, Fault]:
        line, clues = FAULTS[name]
        outcome = new_terminal().run(
            singer.schema("identifies", ["userId"]),
            singer.record("identifies", userId="before"),
            singer.state(reached="before"),
            line.replace(b"SECRET", SECRET.encode()),
            singer.schema("identifies", ["userId"]),
            singer.record("identifies", userId="after"),
            singer.state(reached="after"),
        )
        return name, Fault(outcome, clues)

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(play, FAULTS))


@pytest.fixture(params=FAULTS, ids=lambda name: name.replace(" ", "_"))
def fault(request: pytest.FixtureRequest, faults: dict[str, Fault]) -> Fault:
    return faults[request.param]


def test_the_run_fails_with_a_one_line_error(fault: Fault) -> None:
    for clue in fault.clues:
        assert clue in fault.outcome.error
    assert "Unexpected" not in fault.outcome.error


def test_only_records_before_the_invalid_line_are_delivered(fault: Fault) -> None:
    assert list(fault.outcome.workspace["people"]) == ["id:before"]


def test_state_covers_only_records_before_the_invalid_line(fault: Fault) -> None:
    assert fault.outcome.states == [{"reached": "before"}]


def test_no_input_value_is_logged(fault: Fault) -> None:
    assert SECRET not in fault.outcome.stderr + fault.outcome.stdout


def test_the_summary_is_still_logged(fault: Fault) -> None:
    assert fault.outcome.table["identifies"]["delivered"] == {"person identify": 1}


def test_unmapped_streams_can_be_ignored_and_are_counted(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        singer.schema("invoices", {"total": {"type": "integer"}}, keys=["number"]),
        singer.record("invoices", total="not even valid"),
        singer.record("identifies", userId="ada"),
        singer.record("invoices"),
        singer.state(reached="the end"),
        unmapped_streams="ignore",
    )
    assert outcome.code == 0
    assert outcome.errors == []
    assert list(outcome.workspace["people"]) == ["id:ada"]
    assert outcome.states == [{"reached": "the end"}]
    invoices = outcome.table["invoices"]
    assert (invoices["read"], invoices["rejected"]) == (2, 0)
    assert list(invoices["skipped"].values()) == [2]


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"properties": None}])
@pytest.mark.parametrize("stream", ["identifies", "invoices"])
def test_a_schema_without_properties_is_valid(
    stream: str, schema: dict[str, Any], terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": []},
        singer.record(stream, userId="ada"),
        unmapped_streams="ignore",
    )
    assert (outcome.code, outcome.errors) == (0, [])
    people = {"identifies": ["id:ada"], "invoices": []}[stream]
    assert list(outcome.workspace["people"]) == people


def test_a_schema_without_properties_can_be_mapped_and_have_keys(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        {
            "type": "SCHEMA",
            "stream": "users",
            "schema": {"type": "object"},
            "key_properties": ["id"],
        },
        singer.record("users", id="ada", plan="pro"),
        stream_calls={"users": "identify"},
        stream_maps={"users": {"userId": "id"}},
    )
    assert (outcome.code, outcome.errors) == (0, [])
    assert list(outcome.workspace["people"]) == ["id:ada"]


def test_invalid_parts_of_a_schema_are_ignored_with_one_warning(
    terminal: Terminal, singer: Singer
) -> None:
    columns = {
        "userId": {"type": "string"},
        "a": {"type": SECRET},
        "b": {"$ref": f"https://example.com/{SECRET}.json"},
        "c": {"pattern": rf"{SECRET}\Z"},
    }
    more = {**columns, "d": {"pattern": f"(?P<x>{SECRET})"}}
    outcome = terminal.run(
        singer.schema("identifies", columns),
        singer.record("identifies", userId="ada", a=1, b=1, c="1"),
        singer.record("identifies", userId=5),
        singer.schema("identifies", columns, keys=["userId"]),
        singer.record("identifies", userId="bo"),
        singer.schema("identifies", more),
        singer.record("identifies", userId="cleo", d="2"),
        on_rejected="continue",
    )
    assert list(outcome.workspace["people"]) == ["id:ada", "id:bo", "id:cleo"]
    assert [each["record"] for each in outcome.rejected] == [{"userId": 5}]
    first, second = [
        line for line in outcome.lines("WARNING") if "cannot be compiled" in line
    ]
    paths = "properties.a.type, properties.b.$ref, properties.c.pattern"
    assert "Stream 'identifies'" in first
    assert first.endswith(f": {paths}")
    assert second.endswith(": properties.d.pattern")
    assert SECRET not in outcome.stderr


def test_blank_lines_and_activate_version_are_ignored(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        b"",
        singer.schema("identifies", ["userId"]),
        {"type": "ACTIVATE_VERSION", "stream": "identifies", "version": 1},
        b"   ",
        singer.record("identifies", userId="ada"),
        singer.state(reached="the end"),
    )
    assert outcome.code == 0
    assert list(outcome.workspace["people"]) == ["id:ada"]
    assert outcome.states == [{"reached": "the end"}]


def test_empty_input_succeeds_without_requests(terminal: Terminal) -> None:
    outcome = terminal.run()
    assert (outcome.code, outcome.errors, outcome.states) == (0, [], [])
    assert not outcome.rejected_path.exists()


def test_state_without_a_record_before_it_is_written(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(singer.state(bookmarks={"a": 1}))
    assert (outcome.code, outcome.states) == (0, [{"bookmarks": {"a": 1}}])


def test_a_last_line_without_a_newline_is_read(terminal: Terminal) -> None:
    feed = (
        b'{"type":"SCHEMA","stream":"identify","schema":{"properties":{}},'
        b'"key_properties":[]}\n'
        b'{"type":"RECORD","stream":"identify","record":{"userId":"ada"}}'
    )
    outcome = terminal.run(feed=feed)
    assert outcome.code == 0
    assert list(outcome.workspace["people"]) == ["id:ada"]


def test_state_keeps_all_digits_of_numbers(terminal: Terminal) -> None:
    outcome = terminal.run(b'{"type":"STATE","value":{"at":1.10,"id":%d}}' % 10**30)
    assert outcome.stdout == f'{{"at":1.10,"id":{10**30}}}\n'


@pytest.mark.parametrize(
    ("written", "state"),
    [
        ('{"at":NaN,"id":1.10}', '{"at":NaN,"id":1.10}'),
        ('{"at":[Infinity,-Infinity]}', '{"at":[Infinity,-Infinity]}'),
        ('{"at":NaN,"text":"\\ud800"}', '{"at": NaN, "text": "\\ud800"}'),
    ],
)
def test_state_keeps_numbers_that_are_not_finite(
    written: str, state: str, terminal: Terminal
) -> None:
    """Taps in Python write and read them; with null the bookmark would be lost."""
    outcome = terminal.run(f'{{"type":"STATE","value":{written}}}')
    assert outcome.stdout == f"{state}\n"


def test_a_delivery_failure_takes_precedence_over_invalid_input(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        singer.record("identifies", userId="ada"),
        singer.state(reached="before"),
        b"no JSON",
        sandbox=None,
        site_id="a",
        api_key="b",
        api_url=stand_in(503, greets=True).url,
        max_retry_seconds=0.1,
    )
    assert "could not be delivered" in outcome.error
    assert "was delivered" not in outcome.stderr
    assert outcome.states == []


def test_a_long_message_type_is_truncated(terminal: Terminal) -> None:
    outcome = terminal.run(b'{"type": "%s"}' % (b"X" * 5_000))
    assert "unknown message type 'XXX" in outcome.error
    assert len(outcome.error) < 300


@pytest.mark.parametrize(
    ("stream_map", "clue"),
    [
        ({"userId": "Email Address"}, "'Email Address' for 'userId' cannot be parsed"),
        ({"__filter__": "plan ="}, "'plan =' for '__filter__' cannot be parsed"),
        ({"key": None}, "Removing key property 'key' is not permitted"),
        ({"__key_properties__": ["nr"]}, "Property 'nr' was not detected in schema"),
        ({"userId": "key", "__else__": None}, "'key' was not detected in schema; add "),
        ({"__alias__": "'two\\nlines'"}, "be printable text; it is 'two\\nlines'"),
        ({"__alias__": "5"}, "must be printable text; it is 5"),
    ],
)
def test_a_stream_map_error_quotes_the_expression(
    stream_map: dict[str, Any], clue: str, terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("people", ["key"], keys=["key"]),
        stream_calls={"people": "identify"},
        stream_maps={"people": stream_map},
    )
    assert outcome.error.startswith("stream_maps: ")
    assert "'people" in outcome.error
    assert clue in outcome.error
    assert not outcome.error.endswith(".")


@pytest.mark.parametrize(
    "name",
    [
        "顧客\u3000一覧",  # the space of Japanese
        "My\u00a0Sheet",
        "Users \N{WOMAN}\u200d\N{PERSONAL COMPUTER}",
        "new \U000e0fff",  # as a character that a version of Python does not know yet
        "Kunden äöü",
    ],
)
def test_a_sheet_with_an_unusual_name_is_a_stream(
    name: str, terminal: Terminal, singer: Singer
) -> None:
    lines = [singer.schema(name, ["userId"]), singer.record(name, userId="ada")]
    error = terminal.run(*lines).error
    settings = json.loads(re.findall(r"for example (\{.*\})\.", error)[0])
    assert settings == {"stream_calls": {name: "identify"}}
    outcome = terminal.run(*lines, **settings)
    assert (outcome.code, outcome.reasons) == (0, [])
    assert list(outcome.workspace["people"]) == ["id:ada"]


@pytest.mark.parametrize("name", ["two\nlines", "two\u2028lines", "a\x1b[2J", "\ud800"])
def test_a_stream_whose_name_would_garble_the_log_is_refused(
    name: str, terminal: Terminal, singer: Singer
) -> None:
    assert "`stream` must be" in terminal.run(singer.schema(name, ["userId"])).error


def test_an_unexpected_error_names_the_variable_that_shows_the_traceback(
    terminal: Terminal,
) -> None:
    """The variable is the one that the SDK reads."""
    script = """
from target_customerio import __main__
from target_customerio.singer import SingerTarget

def fail(*_):
    raise LookupError("ada")

SingerTarget._process_state_message = fail
__main__.main()
"""
    (terminal.folder / "script.py").write_text(script)
    config = terminal.write({"sandbox": "workspace.db"})
    feed = b'{"type":"STATE","value":{}}\n'
    outcome = terminal.type("script.py", "--config", config, feed=feed, python=True)
    assert "TARGET_CUSTOMERIO_LOGLEVEL=DEBUG" in outcome.error
    terminal.environment["TARGET_CUSTOMERIO_LOGLEVEL"] = "DEBUG"
    outcome = terminal.type("script.py", "--config", config, feed=feed, python=True)
    assert "Traceback (most recent call last)" in outcome.stderr
