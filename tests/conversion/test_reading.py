"""Reading a record: spellings, shapes and what wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

NO_OBJECTS = [[1], 7, 1.5, True, "no JSON", "{broken", "[1]", "7", '{"a": NaN}']


@pytest.mark.parametrize(
    ("call", "own", "snake", "reader"),
    [
        ("identify", "userId", "user_id", ("identifiers", "id")),
        ("track", "anonymousId", "anonymous_id", ("identifiers", "anonymous_id")),
        ("alias", "previousId", "previous_id", ("secondary", "id")),
        ("group", "groupId", "group_id", ("identifiers", "object_id")),
        ("group", "objectTypeId", "object_type_id", ("identifiers", "object_type_id")),
        ("track", "messageId", "message_id", ("id",)),
    ],
)
def test_a_field_is_found_in_both_spellings_and_the_spec_s_own_wins(
    convert: Convert, call: str, own: str, snake: str, reader: tuple[str, ...]
) -> None:
    first, second = "01ARZ3NDEKTSV4RRFFQ69G5FA1", "01ARZ3NDEKTSV4RRFFQ69G5FA2"
    record: dict[str, Any] = {"event": "x", "traits": {}, "properties": {}}
    needed = {"group": {"groupId": "g"}, "alias": {"userId": "p"}}
    record |= needed.get(call, {})
    if own not in {"userId", "anonymousId", "groupId", "objectTypeId"}:
        record["userId"] = "p"
    if own == "groupId":
        del record["groupId"]

    def read(fields: dict[str, Any]) -> Any:
        value: Any = convert(call, {**record, **fields})
        for step in reader:
            value = value[step]
        return value

    assert read({own: first}) == first
    assert read({snake: second}) == second
    assert read({own: first, snake: second}) == first
    assert read({snake: second, own: first}) == first
    assert read({own: None, snake: second}) == second
    assert read({snake: second, own: None}) == second
    assert read({own: first, snake: None}) == first


def test_an_empty_id_counts_as_absent_beside_the_other_spelling(
    convert: Convert,
) -> None:
    for record in ({"userId": "", "user_id": "p"}, {"user_id": "p", "userId": ""}):
        operation = convert("track", {**record, "event": "x", "properties": {}})
        assert operation["identifiers"] == {"id": "p"}


def test_the_original_timestamp_is_found_in_both_spellings(convert: Convert) -> None:
    base = {"userId": "1", "event": "x", "properties": {}}
    for record, expected in (
        ({"originalTimestamp": 5}, 5),
        ({"original_timestamp": 6}, 6),
        ({"originalTimestamp": 5, "original_timestamp": 6}, 5),
        ({"original_timestamp": 6, "originalTimestamp": None}, 6),
    ):
        assert convert("track", {**base, **record})["timestamp"] == expected


@pytest.mark.parametrize("call", ["identify", "track", "page", "screen", "group"])
@pytest.mark.parametrize("form", ["object", "text", "double", "flattened"])
def test_traits_and_properties_are_read_in_every_shape(
    convert: Convert, call: str, form: str
) -> None:
    body = "traits" if call in {"identify", "group"} else "properties"
    container: dict[str, Any] = {
        "object": {body: {"plan": "pro", "address": {"city": "Rome"}}},
        "text": {body: '{"plan": "pro", "address": {"city": "Rome"}}'},
        "double": {body: {"plan": "pro"}, f"{body}__address": {"city": "Rome"}},
        "flattened": {f"{body}__plan": "pro", f"{body}__address__city": "Rome"},
    }[form]
    record = {"userId": "1", "groupId": "g", "event": "x", "name": "x", **container}
    assert convert(call, record)["attributes"] == {
        "plan": "pro",
        "address": {"city": "Rome"},
    }


def test_a_nested_trait_wins_over_its_flattened_column(attributes_of: Convert) -> None:
    for record in (
        {"traits": {"plan": "nested"}, "traits__plan": "flat"},
        {"traits__plan": "flat", "traits": {"plan": "nested"}},
        {"traits__plan": "flat", "traits": '{"plan": "nested"}'},
    ):
        attributes = attributes_of("identify", {"userId": "1", **record})
        assert attributes == {"plan": "nested"}


def test_a_flattened_column_stands_in_for_a_nested_null(attributes_of: Convert) -> None:
    for record in (
        {"traits": {"plan": None}, "traits__plan": "flat"},
        {"traits": None, "traits__plan": "flat"},
        {"traits": "null", "traits__plan": "flat"},
    ):
        attributes = attributes_of("identify", {"userId": "1", **record})
        assert attributes == {"plan": "flat"}


def test_another_flattening_separator_can_be_set(attributes_of: Convert) -> None:
    record = {"userId": "1", "traits.plan": "pro", "traits.address.city": "Rome"}
    attributes = attributes_of("identify", record, flattening_separator=".")
    assert attributes == {"plan": "pro", "address": {"city": "Rome"}}


DEVICE = {"userId": "1", "event": "Application Opened", "properties": {}}


@pytest.mark.parametrize(
    "context",
    [
        {"context": {"device": {"token": "t", "type": "ios"}}},
        {"context": '{"device": {"token": "t", "type": "ios"}}'},
        {"context_device_token": "t", "context_device_type": "ios"},
        {"context__device__token": "t", "context__device__type": "ios"},
        {"context": {"device": {"type": "ios"}}, "context_device_token": "t"},
        {"context": {"device": {"token": None, "type": "ios"}}}
        | {"context__device__token": "t"},
        {"context": {"device": {"token": "t", "type": "ios"}}}
        | {"context_device_token": "other", "context__device__token": "other"},
        {"context_device_token": "t", "context__device__token": None}
        | {"context_device_type": "ios"},
    ],
)
def test_the_context_is_read_in_every_shape(
    convert: Convert, context: dict[str, Any]
) -> None:
    assert convert("track", {**DEVICE, **context})["device"] == {
        "token": "t",
        "platform": "ios",
        "attributes": {},
    }


@pytest.mark.parametrize("absent", [None, "null"])
def test_traits_that_are_null_count_as_absent(
    attributes_of: Convert, absent: Any
) -> None:
    record = {"userId": "1", "traits": absent, "plan": "pro"}
    assert attributes_of("identify", record) == {"plan": "pro"}


@pytest.mark.parametrize("call", ["identify", "track", "page", "screen", "group"])
def test_columns_beside_nested_traits_or_properties_stay_behind(
    convert: Convert, call: str
) -> None:
    body = "traits" if call in {"identify", "group"} else "properties"
    record = {"userId": "1", "groupId": "g", "event": "x", "name": "x", "beside": 1}
    operation = convert(call, {**record, body: {"plan": "pro"}})
    assert operation["attributes"] == {"plan": "pro"}


@pytest.mark.parametrize("wrong", NO_OBJECTS)
@pytest.mark.parametrize(
    ("call", "container"),
    [
        ("identify", "traits"),
        ("group", "traits"),
        ("track", "properties"),
        ("page", "properties"),
        ("screen", "properties"),
    ],
)
def test_a_container_that_is_no_object_rejects_the_record(
    rejection: Callable[..., Any], call: str, container: str, wrong: Any
) -> None:
    record = {"userId": "1", "groupId": "g", "event": "x", "name": "x"}
    assert rejection(call, {**record, container: wrong}).field == container


def test_numbers_in_json_text_are_exact(attributes_of: Convert) -> None:
    text = '{"price": 1.10, "long": 123456789012345678901234567890, "tiny": 1e-30}'
    attributes = attributes_of(
        "track", {"userId": "1", "event": "x", "properties": text}
    )
    assert str(attributes["price"]) == "1.10"
    assert attributes["long"] == 123456789012345678901234567890
    assert str(attributes["tiny"]) == "1E-30"


def test_duplicated_letters_of_case_are_other_columns(attributes_of: Convert) -> None:
    record = {"userId": "1", "Plan": "a", "plan": "b"}
    assert attributes_of("identify", record) == {"Plan": "a", "plan": "b"}
