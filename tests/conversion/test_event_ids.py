"""Event ids: the same record, the same id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ulid import ULID

from target_customerio.sinks import draw_ulid

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

CALLS = ["track", "page", "screen"]
BASE = {"userId": "1", "event": "x", "name": "x", "properties": {}}
A_ULID = "01HQZX3V8N5T7KJ4M2P6W9R0YB"


def is_ulid(text: Any) -> bool:
    """Tell whether a text is what Customer.io takes as an event's id."""
    return (
        isinstance(text, str) and len(text) == 26 and str(ULID.from_str(text)) == text
    )


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("spelling", ["messageId", "message_id"])
def test_a_message_id_that_is_a_ulid_is_kept(
    convert: Convert, call: str, spelling: str
) -> None:
    assert convert(call, {**BASE, spelling: A_ULID})["id"] == A_ULID


@pytest.mark.parametrize(
    "message_id",
    [
        "4vl6zh",
        "ajs-next-1679407797-7fa9",
        "b2e4c8d6-9d0f-4c0e-9f56-2f6a1d9e8b11",
        42,
        "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "01HQZX3V8N5T7KJ4M2P6W9R0Y",
        "01HQZX3V8N5T7KJ4M2P6W9R0YBB",
        "01HQZX3V8N5T7KJ4M2P6W9R0YU",
        "01HQZX3V8N5T7KJ4M2P6W9R0Y!",
        "é" * 26,
        "é" * 13,
    ],
)
@pytest.mark.parametrize("call", CALLS)
def test_another_message_id_makes_a_ulid_that_is_always_the_same(
    convert: Convert, drawn: str, call: str, message_id: Any
) -> None:
    record = {**BASE, "messageId": message_id}
    made = convert(call, record)["id"]
    assert is_ulid(made)
    assert made not in {drawn, message_id}
    assert convert(call, record, stream="other", key_properties=["k"])["id"] == made
    later = {**record, "properties": {"a": 1}, "_sdc_batched_at": "2024-01-01"}
    assert convert(call, later)["id"] == made


def test_other_message_ids_make_other_ulids(convert: Convert) -> None:
    ids = {convert("track", {**BASE, "messageId": f"m-{n}"})["id"] for n in range(50)}
    assert len(ids) == 50


def test_an_integer_message_id_is_the_same_as_its_text(convert: Convert) -> None:
    number = convert("track", {**BASE, "messageId": 42})["id"]
    assert number == convert("track", {**BASE, "messageId": "42"})["id"]


@pytest.mark.parametrize("absent", [{}, {"messageId": None}, {"messageId": ""}])
@pytest.mark.parametrize("call", CALLS)
def test_an_event_is_else_known_by_its_stream_and_key(
    convert: Convert, drawn: str, call: str, absent: dict[str, Any]
) -> None:
    def made(stream: str = "s", **key: Any) -> Any:
        record = {**BASE, **absent, **key}
        return convert(call, record, stream=stream, key_properties=["a", "b"])["id"]

    first = made(a=1, b="x")
    assert is_ulid(first)
    assert first == made(a=1, b="x") == made(a=1, b="x", other=5)
    others = [made(a=2, b="x"), made(a=1, b="y"), made("other", a=1, b="x")]
    assert len({first, drawn, *others}) == 5
    assert made(a=1, b=None) == made(a=1) == drawn


def test_parts_of_a_key_are_kept_apart(convert: Convert) -> None:
    keys = [("ab", "c"), ("a", "bc"), ("abc", ""), ("a,b", "c"), ('a","b', "c")]
    ids = {
        convert("track", {**BASE, "a": a, "b": b}, key_properties=["a", "b"])["id"]
        for a, b in keys
    }
    assert len(ids) == len(keys)


@pytest.mark.parametrize("key", ["2024-01-01T00:00:00Z", 10**40, 1.5, True, "\ud800"])
def test_a_key_may_be_of_any_kind(
    converter: Callable[..., Any], drawn: str, key: Any
) -> None:
    ours = converter("track", key_properties=["k"])
    made = ours.convert({**BASE, "k": key}).id
    assert is_ulid(made)
    assert made != drawn


def test_a_row_s_only_key_serves_as_its_message_id(convert: Convert) -> None:
    row = {"user_id": 1, "event": "x", "id": A_ULID}
    assert convert("track", row, key_properties=["id"])["id"] == A_ULID
    row = {**row, "id": "4vl6zh"}
    message = {**BASE, "messageId": "4vl6zh"}
    made = convert("track", row, key_properties=["id"])["id"]
    assert made == convert("track", message)["id"]


def test_a_row_s_id_is_no_message_id_where_it_is_not_the_only_key(
    convert: Convert, drawn: str
) -> None:
    row = {"user_id": 1, "event": "x", "id": A_ULID, "part": 1}
    assert convert("track", row, key_properties=[])["id"] == drawn
    made = convert("track", row, key_properties=["id", "part"])["id"]
    assert made not in {A_ULID, drawn}


def test_a_message_id_goes_before_a_row_s_key(convert: Convert) -> None:
    row = {"user_id": 1, "event": "x", "id": "4vl6zh", "message_id": A_ULID}
    assert convert("track", row, key_properties=["id"])["id"] == A_ULID


def test_rows_of_two_tables_are_two_events_even_if_their_numbers_agree(
    convert: Convert,
) -> None:
    row = {"user_id": 1, "event": "x", "id": 1}
    ids = {
        convert("track", row, stream=stream, key_properties=["id"])["id"]
        for stream in ("clicks", "clicks", "orders")
    }
    assert len(ids) == 2


@pytest.mark.parametrize("call", CALLS)
def test_an_event_that_nothing_is_known_by_draws_its_id(
    converter: Callable[..., Any], call: str
) -> None:
    ids = [str(ULID()) for _ in range(3)]
    drawing = iter(ids)
    ours = converter(call, draw=lambda: next(drawing))
    assert [ours.convert(BASE).id for _ in ids] == ids


def test_ids_drawn_without_further_ado_are_ulids(
    converter: Callable[..., Any],
) -> None:
    ours = converter("track", draw=draw_ulid)
    ids = {ours.convert(BASE).id for _ in range(100)}
    assert len(ids) == 100
    assert all(is_ulid(each) for each in ids)
