"""A record that is nested too deeply is one rejected record, wherever it comes from."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_customerio.json_codec import (
    KEPT_LEVELS,
    Decoding,
    decode_line,
    find_object,
    truncate_nesting,
)

if TYPE_CHECKING:
    from support.command import Outcome, Terminal
    from support.singer import Singer

DEPTHS = [700, 985, 995, 1_000, 30_000]
"""Around the limits of the decoders, which depend on the stack, and far beyond."""

SHAPES = {"lists": (b"[", b"]"), "objects": (b'{"a":', b"}")}
by_shape = pytest.mark.parametrize("shape", SHAPES)


def nested(levels: int, shape: str = "lists", core: bytes = b"1") -> bytes:
    opening, closing = SHAPES[shape]
    return opening * levels + core + closing * levels


def record(person: str, deep: bytes) -> bytes:
    return (
        b'{"type": "RECORD", "stream": "identifies", "record": {"userId": "%b",'
        b' "traits": {"deep": %b, "n": 1.10}}}' % (person.encode(), deep)
    )


def fed(singer: Singer, shape: str) -> list[Any]:
    return [
        singer.schema("identifies", ["userId"]),
        singer.record("identifies", userId="before"),
        *(record(f"deep-{levels}", nested(levels, shape)) for levels in DEPTHS),
        singer.record("identifies", userId="after"),
        singer.state(reached="the end"),
    ]


def assert_rejected(outcome: Outcome) -> None:
    assert outcome.code == 0
    assert outcome.errors == []
    assert outcome.states == [{"reached": "the end"}]
    assert list(outcome.workspace["people"]) == ["id:after", "id:before"]


def reasons_of(outcome: Outcome) -> list[str]:
    """Return the reasons, without decoding the records."""
    lines = [line for line in outcome.rejected_lines if b'"RECORD"' in line]
    return [
        json.loads(line[line.rindex(b',"rejection":') + 13 : -1])["reason"]
        for line in lines
    ]


def deep_parts(outcome: Outcome) -> list[bytes]:
    lines = [line for line in outcome.rejected_lines if b'"RECORD"' in line]
    return [line.split(b'"deep": ')[1].split(b', "n": 1.10}}')[0] for line in lines]


@by_shape
def test_records_nested_too_deeply_are_rejected_one_by_one(
    shape: str, terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(*fed(singer, shape), on_rejected="continue")
    assert_rejected(outcome)
    # The sandbox refuses what could be sent as too long.
    assert set(reasons_of(outcome)) <= {"too_deep", "too_long"}
    assert reasons_of(outcome).count("too_deep") >= 3
    expected = [nested(levels, shape) for levels in DEPTHS]
    assert sorted(deep_parts(outcome)) == sorted(expected)


@pytest.mark.parametrize(
    "rules",
    [{"type": "array"}, {"enum": [1]}, {"uniqueItems": True, "items": {"items": {}}}],
    ids=str,
)
def test_records_nested_too_deeply_for_the_validation_are_rejected(
    rules: dict[str, Any], terminal: Terminal, singer: Singer
) -> None:
    columns = {"traits": {"properties": {"deep": rules, "n": {"type": "number"}}}}
    messages = fed(singer, "lists")
    messages[0] = singer.schema("identifies", columns)
    outcome = terminal.run(*messages, on_rejected="continue")
    assert_rejected(outcome)
    assert set(reasons_of(outcome)) <= {"too_deep", "too_long", "schema"}
    assert reasons_of(outcome).count("too_deep") >= 2
    assert len(reasons_of(outcome)) == len(DEPTHS)


def test_a_record_nested_too_deeply_for_a_stream_map_is_rejected(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        *fed(singer, "objects"),
        stream_maps={"identifies": {"userId": "userId"}},
        on_rejected="continue",
    )
    assert_rejected(outcome)
    assert set(reasons_of(outcome)) <= {"too_deep", "too_long"}


def test_the_rejected_file_can_be_read_again(
    terminal: Terminal, singer: Singer
) -> None:
    # So many that the log gives advice, for which it reads the columns.
    deep = [record(f"p{n}", nested(1_000 + n)) for n in range(1, 14)]
    deep.append(record("nan", nested(2_000, core=b'NaN, "]\\"\\\\"')))
    outcome = terminal.run(
        singer.schema("identifies", ["userId"]), *deep, on_rejected="continue"
    )
    assert reasons_of(outcome) == ["too_deep"] * 14
    assert "Columns: traits, userId" in outcome.stderr
    kept = outcome.rejected_path.rename(terminal.folder / "kept.singer.jsonl")
    again = terminal.run(feed=kept, on_rejected="continue")
    assert (again.code, again.errors) == (0, [])
    assert reasons_of(again) == ["too_deep"] * 14
    assert deep_parts(again) == deep_parts(outcome)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_rows_of_batch_files_nested_too_deeply_are_rejected(
    compression: str, terminal: Terminal, singer: Singer
) -> None:
    rows = [b'{"userId": "before"}']
    rows += [b'{"userId": "d", "deep": %b}' % nested(levels) for levels in DEPTHS[-3:]]
    rows.append(b'{"userId": "after"}')
    pack = gzip.compress if compression == "gzip" else bytes
    (terminal.folder / "rows").write_bytes(pack(b"\n".join(rows)))
    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        {
            "type": "BATCH",
            "stream": "identifies",
            "encoding": {"format": "jsonl", "compression": compression},
            "manifest": [str(terminal.folder / "rows")],
        },
        singer.state(reached="the end"),
        on_rejected="continue",
    )
    assert_rejected(outcome)
    assert reasons_of(outcome) == ["too_deep"] * 3


def test_records_of_ignored_and_dropped_streams_are_skipped(
    terminal: Terminal, singer: Singer
) -> None:
    deep = record("deep", nested(2_000))
    outcome = terminal.run(
        singer.schema("invoices"),
        deep.replace(b"identifies", b"invoices"),
        singer.schema("dropped"),
        deep.replace(b"identifies", b"dropped"),
        stream_maps={"dropped": "__NULL__"},
        unmapped_streams="ignore",
    )
    assert (outcome.code, outcome.errors) == (0, [])
    for stream in ("invoices", "dropped"):
        assert list(outcome.table[stream]["skipped"].values()) == [1]


def test_a_record_that_excludes_customerio_is_skipped_however_deep(
    terminal: Terminal, singer: Singer
) -> None:
    line = b'{"integrations": {"All": false}, "deep": %b}' % nested(2_000)
    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        b'{"type": "RECORD", "stream": "identifies", "record": %b}' % line,
    )
    assert outcome.code == 0
    assert not outcome.rejected_path.exists()


@pytest.mark.parametrize("levels", [1_000, 100_000])
@pytest.mark.parametrize("stream", ["identifies", "tracks"])
def test_json_text_nested_too_deeply_is_rejected(
    stream: str, levels: int, terminal: Terminal, singer: Singer
) -> None:
    text = nested(levels, "objects").decode()
    content = {"traits": text, "properties": text, "event": "Bought"}
    outcome = terminal.run(
        singer.schema(stream),
        singer.record(stream, userId="ada", **content),
        singer.state(reached="the end"),
        on_rejected="continue",
    )
    assert (outcome.code, outcome.errors) == (0, [])
    assert reasons_of(outcome) == ["too_deep"]


@pytest.mark.parametrize(
    "message",
    [
        b'{"type": "SCHEMA", "stream": "a", "schema": {"x": %b}}',
        b'{"type": "STATE", "value": %b}',
        b'{"type": "NEWS", "value": %b}',
        b'{"type": "BATCH", "stream": "identifies", "manifest": %b, "encoding": {}}',
    ],
)
@pytest.mark.parametrize("levels", [1_000, 50_000])
def test_other_messages_nested_too_deeply_end_the_run_with_the_cause(
    message: bytes, levels: int, terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        singer.record("identifies", userId="before"),
        message % nested(levels),
    )
    kind = json.loads(message % b"[]")["type"]
    assert f"Line 3: the '{kind}' message is nested too deeply" in outcome.error
    assert list(outcome.workspace["people"]) == ["id:before"]


@pytest.mark.parametrize("levels", [150, 400, 470])
def test_a_deeply_nested_schema_is_used_as_far_as_possible(
    levels: int, terminal: Terminal, singer: Singer
) -> None:
    opening, closing = b'{"type":"object","properties":{"a":', b"}}"
    deep = opening * levels + b'{"format":"date-time"}' + closing * levels
    outcome = terminal.run(
        b'{"type":"SCHEMA","stream":"identifies","key_properties":[],"schema":'
        b'{"properties":{"userId":{},"deep":%b}}}' % deep,
        singer.record("identifies", userId="ada", deep={"a": {"a": {}}}),
        singer.state(reached="the end"),
    )
    assert (outcome.code, outcome.errors) == (0, [])
    assert list(outcome.workspace["people"]) == ["id:ada"]


@pytest.mark.parametrize("levels", [400, 900, 960])
def test_a_deeply_nested_state_is_written(levels: int, terminal: Terminal) -> None:
    outcome = terminal.run(b'{"type": "STATE", "value": %b}' % nested(levels))
    if outcome.code == 0:
        assert outcome.stdout.encode() == nested(levels) + b"\n"
    else:
        assert "nested too deeply" in outcome.error


@pytest.mark.parametrize(
    "text",
    [
        nested(1_000)[:-1],
        nested(1_000) + b"]",
        nested(1_000, core=b"1,"),
        nested(1_000, core=b'"'),
        nested(1_000, core=b"]["),
        b'{"a":' * 1_000,
        nested(1_000) + b"x",
        nested(1_000, core=b"\xff"),
    ],
)
def test_deeply_nested_text_that_is_not_json_is_not_taken_for_it(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any message
        decode_line(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON, st.integers(0, 3 * KEPT_LEVELS), st.sampled_from([*SHAPES]))
def test_only_what_is_too_deep_is_replaced(value: Any, levels: int, shape: str) -> None:
    core = json.dumps(value).encode()
    text = truncate_nesting(b'{"a":%b,"b":%b}' % (core, nested(levels, shape, core)))
    found = json.loads(text)
    assert found["a"] == value
    for _ in range(min(levels, KEPT_LEVELS - 1)):
        (found["b"],) = (
            found["b"] if isinstance(found["b"], list) else found["b"].values()
        )
    if levels < KEPT_LEVELS - 20:
        assert found["b"] == value
    if levels >= KEPT_LEVELS:
        assert found["b"] is None


@given(st.dictionaries(st.text(), JSON, min_size=1), st.booleans(), st.data())
def test_an_object_in_json_text_is_found(
    content: dict[str, Any],
    indented: bool,  # noqa: FBT001 - given by position
    data: Any,
) -> None:
    name = data.draw(st.sampled_from([*content]))
    content[name] = {"record": {"record": content[name]}}
    text = json.dumps(content, indent=1 if indented else None).encode()
    assert json.loads(find_object(text, name)) == content[name]


def test_a_line_nested_too_deeply_is_truncated() -> None:
    value, decoding = decode_line(b'{"n": 1.10, "deep": %b}' % nested(5_000))
    assert decoding is Decoding.TRUNCATED
    assert str(value["n"]) == "1.10"
