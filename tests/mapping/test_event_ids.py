"""Event ids: the same record, the same id."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from target_customerio.mapping.converter import Converter
from target_customerio.sinks import draw_ulid
from target_customerio.track_api.operations import PersonEvent

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
def test_otherwise_the_id_is_derived_from_stream_and_key(
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


WAREHOUSE = {"user_id": 1, "event": "order_done", "event_text": "Order Done"}


@pytest.mark.parametrize("key", ["4vl6zh", A_ULID, "42"])
def test_the_key_of_a_row_of_an_event_warehouse_serves_as_its_message_id(
    convert: Convert, drawn: str, key: str
) -> None:
    rows = [
        {**WAREHOUSE, "id": key},
        {**WAREHOUSE, "id": key, "total": 5},
        {
            "user_id": 1,
            "event": "Order Done",
            "received_at": "2026-01-01T00:00:00Z",
            "uuid_ts": "2026-01-01T00:00:00Z",
            "id": key,
        },
    ]
    ids = {
        convert("track", row, stream=stream, key_properties=["id"])["id"]
        for row, stream in zip(rows, ("tracks", "order_done", "rudder"), strict=True)
    }
    assert len(ids) == 1
    message = {**BASE, "event": "Order Done", "messageId": key}
    if key != A_ULID:
        assert ids == {convert("track", message)["id"]}
    assert ids.isdisjoint({key, drawn})


@pytest.mark.parametrize(
    "more",
    [
        {"event_text": "x"},
        {"received_at": 1, "original_timestamp": 1},
        {"received_at": 1, "uuid_ts": 1},
        {"received_at": 1, "loaded_at": 1},
        {"RECEIVED_AT": 1, "LOADED_AT": 1},
    ],
)
def test_what_makes_a_row_one_of_an_event_warehouse(
    convert: Convert, more: dict[str, Any]
) -> None:
    row = {"user_id": 1, "event": "x", "id": "a", **more}
    ids = {
        convert("track", row, stream=stream, key_properties=["id"])["id"]
        for stream in ("tracks", "x")
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    "more", [{}, {"received_at": 1}, {"uuid_ts": 1, "loaded_at": 1}, {"sent_at": 1}]
)
@pytest.mark.parametrize("key", ["4vl6zh", A_ULID])
def test_equal_text_keys_of_two_other_tables_are_two_events(
    convert: Convert, drawn: str, key: str, more: dict[str, Any]
) -> None:
    row = {"user_id": 1, "event": "x", "id": key, **more}
    ids = {
        convert("track", row, stream=stream, key_properties=["id"])["id"]
        for stream in ("orders", "refunds")
    }
    assert len(ids - {key, drawn}) == 2


def test_an_id_column_is_a_message_id_only_as_the_only_key(
    convert: Convert, drawn: str
) -> None:
    row = {**WAREHOUSE, "id": A_ULID, "part": 1}
    assert convert("track", row, key_properties=[])["id"] == drawn
    made = [
        convert("track", row, stream=stream, key_properties=["id", "part"])["id"]
        for stream in ("a", "b")
    ]
    assert len({*made, A_ULID, drawn}) == 4


def test_a_message_id_wins_over_the_key(convert: Convert) -> None:
    row = {**WAREHOUSE, "id": "4vl6zh", "message_id": "m-1"}
    made = convert("track", row, key_properties=["id"])["id"]
    assert made == convert("track", {**row, "id": "other"})["id"]


@pytest.mark.parametrize("message_id", [A_ULID, "m-1", 42])
def test_a_flat_row_whose_event_changes_is_another_event(
    convert: Convert, message_id: Any
) -> None:
    row = {"user_id": 1, "messageId": message_id}
    ids = [
        convert("track", {**row, "event": event})["id"]
        for event in ("Order placed", "Order shipped", "Order placed")
    ]
    assert ids[0] == ids[2] != ids[1]
    assert message_id not in ids


@pytest.mark.parametrize("call", CALLS)
def test_a_row_read_again_with_another_name_is_another_event(
    convert: Convert, call: str
) -> None:
    def made(name: str) -> Any:
        row = {"user_id": 1, "event": name, "name": name, "id": 5}
        return convert(call, row, key_properties=["id"])["id"]

    assert made("Order placed") == made("Order placed") != made("Order shipped")


@pytest.mark.parametrize("more", [{"id": 5}, {"messageId": "m-1"}])
def test_the_same_name_in_another_call_is_another_event(
    convert: Convert, more: dict[str, Any]
) -> None:
    row = {"user_id": 1, "event": "x", "name": "x", **more}
    ids = {convert(call, row, key_properties=["id"])["id"] for call in CALLS}
    assert len(ids) == len(CALLS)


def test_a_view_and_a_click_of_one_row_are_two_events(convert: Convert) -> None:
    def made(action: str) -> Any:
        row = {
            "user_id": 1,
            "event": "Report Content Event",
            "properties": {"actionType": action},
            "id": 5,
        }
        return convert("track", row, key_properties=["id"])["id"]

    viewed, clicked = made("viewed_content"), made("clicked_content")
    assert viewed == made("viewed_content") != clicked


def test_a_screen_s_id_does_not_depend_on_what_screens_become(convert: Convert) -> None:
    row = {"user_id": 1, "name": "Start", "messageId": "m-1"}
    ids = {
        convert("screen", row, screen_events=setting)["id"]
        for setting in ("screen", "viewed_event")
    }
    assert len(ids) == 1


def test_names_that_agree_in_their_first_bytes_are_different_events(
    convert: Convert,
) -> None:
    def made(name: str) -> Any:
        event = {"anonymousId": "v", "messageId": "m-1", "properties": {}}
        return convert("track", {**event, "event": name})

    first, second = made("x" * 100 + "a"), made("x" * 100 + "b")
    assert first["name"] == second["name"]
    assert first["id"] != second["id"]


def test_the_order_of_the_key_properties_is_irrelevant(convert: Convert) -> None:
    row = {**BASE, "a": 1, "b": 2}
    ids = {
        convert("track", row, key_properties=keys)["id"]
        for keys in (["a", "b"], ["b", "a"])
    }
    assert len(ids) == 1


def test_the_names_of_the_key_properties_are_relevant(convert: Convert) -> None:
    row = {**BASE, "a": 1, "b": 2, "c": 1}
    keys = (["a", "b"], ["b", "c"], ["a"], ["c"])
    ids = {convert("track", row, key_properties=each)["id"] for each in keys}
    assert len(ids) == len(keys)


@pytest.mark.parametrize(
    "alike",
    [(1, Decimal("1.0")), (10**30, Decimal("1e30")), (Decimal("1.5"), Decimal("1.50"))],
)
def test_a_key_of_the_same_number_is_the_same_key(
    converter: Callable[..., Any], alike: tuple[Any, Any]
) -> None:
    ours = converter("track", key_properties=["k"])
    first, second = (ours.convert({**BASE, "k": key}).id for key in alike)
    assert first == second


def test_keys_of_different_types_or_values_are_different_keys(
    converter: Callable[..., Any], drawn: str
) -> None:
    keys = [1, "1", "1.0", 10, 100, Decimal("1.5"), Decimal("0.15"), 0, -1, True, [1]]
    keys += [Decimal("1e-30"), Decimal("1e300"), Decimal("1e301"), 10**40 + 1]
    ours = converter("track", key_properties=["k"])
    ids = {ours.convert({**BASE, "k": key}).id for key in keys}
    assert len(ids - {drawn}) == len(keys)


@given(
    events=st.lists(
        st.tuples(
            st.text("ab:1", max_size=4),
            st.text("ab:1", max_size=4),
            st.text("ab:1", min_size=1, max_size=4),
            st.text("ab:1", max_size=4) | st.integers(),
        ),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_no_characters_in_names_and_keys_cause_a_collision(
    events: list[tuple[str, str, str, Any]],
) -> None:
    def made(stream: str, mapped: str, name: str, key: Any) -> Any:
        ours = Converter(
            "track",
            stream=stream,
            mapped_stream=mapped,
            key_properties=["k"],
            draw=draw_ulid,
        )
        operation = ours.convert({**BASE, "event": name, "k": key})
        assert isinstance(operation, PersonEvent)
        return operation.id

    first, second = (made(*event) for event in events)
    assert first != second


@given(
    events=st.lists(
        st.tuples(*[st.text("abm:1", min_size=1, max_size=4)] * 3),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_no_characters_in_message_ids_cause_a_collision(
    events: list[tuple[str, str, str]],
) -> None:
    def made(mapped: str, name: str, message_id: str) -> Any:
        ours = Converter(
            "track", mapped_stream=mapped, is_shared=True, draw=lambda: "drawn"
        )
        operation = ours.convert({**BASE, "event": name, "messageId": message_id})
        assert isinstance(operation, PersonEvent)
        return operation.id

    first, second = (made(*event) for event in events)
    assert first != second


def test_two_streams_aliased_to_one_name_never_share_an_id(convert: Convert) -> None:
    row = {**BASE, "id": 1}
    ids = {
        convert("track", row, stream=s, mapped_stream=m, key_properties=["id"])["id"]
        for s in ("clicks", "orders")
        for m in ("tracks", "tracks-2")
    }
    assert len(ids) == 4


@pytest.mark.parametrize("message_id", [A_ULID, "m-1"])
def test_one_stream_mapped_to_several_makes_an_event_of_each(
    convert: Convert, message_id: str
) -> None:
    row = {**BASE, "messageId": message_id}
    ids = {
        convert("track", row, mapped_stream=mapped, is_shared=True)["id"]
        for mapped in ("placed", "shipped", "placed")
    }
    assert len(ids - {message_id}) == 2


def test_an_alias_alone_leaves_a_message_id_alone(convert: Convert) -> None:
    row = {**BASE, "messageId": A_ULID}
    assert convert("track", row, stream="a", mapped_stream="b")["id"] == A_ULID
    row["messageId"] = "m-1"
    made = convert("track", row, stream="a", mapped_stream="b")["id"]
    assert made == convert("track", row)["id"]


def test_the_key_is_read_from_the_record_as_it_arrived(
    converter: Callable[..., Any],
) -> None:
    ours = converter("track", key_properties=["id"])
    ids = {
        ours.convert({**BASE, "id": "the same"}, arrived={"id": key}).id
        for key in (1, 2, 3)
    }
    assert len(ids) == 3


def test_the_key_is_read_from_the_mapped_record_where_stream_maps_set_it(
    converter: Callable[..., Any],
) -> None:
    ours = converter("track", key_properties=["id"], key_is_mapped=True)
    ids = {
        ours.convert({**BASE, "id": key}, arrived={"id": "the same"}).id
        for key in (1, 2, 3)
    }
    assert len(ids) == 3


@pytest.mark.parametrize("arrived", [{}, {"id": None}])
def test_a_key_that_only_an_expression_gives_is_taken(
    converter: Callable[..., Any], drawn: str, arrived: dict[str, Any]
) -> None:
    ours = converter("track", key_properties=["id"])
    assert ours.convert({**BASE, "id": 1}, arrived=arrived).id != drawn


def test_a_key_expression_with_an_invalid_result_rejects_the_record(
    rejection: Callable[..., Any],
) -> None:
    found = rejection("track", {**BASE, "k": object()}, key_properties=["k"])
    assert (found.reason, found.field) == ("invalid_type", "k")


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
def test_an_event_without_message_id_and_key_gets_a_random_id(
    converter: Callable[..., Any], call: str
) -> None:
    ids = [str(ULID()) for _ in range(3)]
    drawing = iter(ids)
    ours = converter(call, draw=lambda: next(drawing))
    assert [ours.convert(BASE).id for _ in ids] == ids


def test_random_ids_are_ulids(
    converter: Callable[..., Any],
) -> None:
    ours = converter("track", draw=draw_ulid)
    ids = {ours.convert(BASE).id for _ in range(100)}
    assert len(ids) == 100
    assert all(is_ulid(each) for each in ids)
