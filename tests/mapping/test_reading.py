"""Reading a record: spellings, shapes and what wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.mapping.fields import spellings

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

VALUES: dict[str, tuple[Any, Any]] = {
    "email": ("ann@example.com", "bob@example.com"),
    "timestamp": (5, 6),
    "originalTimestamp": (5, 6),
}
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


def test_an_empty_id_counts_as_absent_next_to_the_other_spelling(
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


@pytest.mark.parametrize(
    ("call", "field", "reader"),
    [
        ("identify", "userId", ("identifiers", "id")),
        ("identify", "email", ("identifiers", "email")),
        ("track", "anonymousId", ("identifiers", "anonymous_id")),
        ("track", "event", ("name",)),
        ("track", "event_text", ("name",)),
        ("track", "timestamp", ("timestamp",)),
        ("track", "originalTimestamp", ("timestamp",)),
        ("page", "name", ("name",)),
        ("screen", "name", ("name",)),
        ("alias", "previousId", ("secondary", "id")),
        ("group", "groupId", ("identifiers", "object_id")),
        ("group", "objectTypeId", ("identifiers", "object_type_id")),
        ("segment", "segmentId", ("segment_id",)),
    ],
)
def test_a_field_is_found_in_every_spelling_and_null_counts_as_absent(
    convert: Convert, call: str, field: str, reader: tuple[str, ...]
) -> None:
    of_call: dict[str, dict[str, Any]] = {
        "identify": {"traits": {}},
        "track": {"properties": {}},
        "page": {"properties": {}},
        "screen": {"properties": {}},
        "group": {"groupId": "g", "traits": {}},
        "alias": {"userId": "p"},
        "segment": {"segmentId": "7"},
    }
    who = {} if field in {"userId", "email", "anonymousId"} else {"userId": "p"}
    what = {} if field in {"event", "event_text"} else {"event": "x"}
    name = {} if field == "name" else {"name": "x"}
    base = {**of_call[call], **who, **what, **name}
    base.pop(field, None)
    value, wrong = VALUES.get(field, ("5", "6"))

    def read(columns: dict[str, Any]) -> Any:
        found: Any = convert(call, {**base, **columns})
        for step in reader:
            found = found[step]
        return found

    names = spellings(field)
    for place, spelling in enumerate(names):
        assert read({spelling: value}) == value
        for other in names[place + 1 :]:
            for absent in (None, ""):
                assert read({spelling: absent, other: value}) == value
                assert read({other: value, spelling: absent}) == value
            assert read({spelling: value, other: wrong}) == value
            assert read({other: wrong, spelling: value}) == value


@pytest.mark.parametrize(
    ("column", "attribute", "value"),
    [
        ("EMAIL", "email", "ann@example.com"),
        ("PHONE", "phone", "+14155552671"),
        ("CREATED_AT", "created_at", 5),
        ("UNSUBSCRIBED", "unsubscribed", True),
    ],
)
def test_reserved_attributes_in_upper_case_get_their_real_names(
    attributes_of: Convert, column: str, attribute: str, value: Any
) -> None:
    for record in (
        {"USER_ID": "1", column: value},
        {"USER_ID": "1", column: value, attribute: None},
        {"USER_ID": "1", attribute: value, column: None},
        {"USER_ID": "1", attribute: value, column: "other"},
        {"USER_ID": "1", column: "other", attribute: value},
        {"USER_ID": "1", "TRAITS": {column: value}},
        {"USER_ID": "1", "TRAITS": {column: value, attribute: None}},
        {"USER_ID": "1", "traits": {column: "other", attribute: value}},
        {"USER_ID": "1", f"TRAITS__{column}": value},
        {"USER_ID": "1", f"CONTEXT_TRAITS_{column}": value},
        {"USER_ID": "1", "traits": {}, "context": {"traits": {column: value}}},
    ):
        assert attributes_of("identify", record) == {attribute: value}


@pytest.mark.parametrize("call", ["track", "page", "screen", "group"])
def test_reserved_columns_of_other_rows_get_the_same_names(
    attributes_of: Convert, call: str
) -> None:
    row = {"USER_ID": "1", "EVENT": "x", "NAME": "x", "GROUP_ID": "g"}
    attributes = attributes_of(call, {**row, "EMAIL": "ann@example.com"})
    assert attributes["email"] == "ann@example.com"
    assert "EMAIL" not in attributes


def test_other_upper_case_columns_keep_their_names(attributes_of: Convert) -> None:
    row = {"USER_ID": 1, "PLAN": "pro", "FIRST_NAME": "Ann"}
    assert attributes_of("identify", row) == {"PLAN": "pro", "FIRST_NAME": "Ann"}
    nested = {"USER_ID": 1, "TRAITS__SEATS": 5, "TRAITS__ADDRESS__CITY": "Rome"}
    assert attributes_of("identify", nested) == {
        "SEATS": 5,
        "ADDRESS": {"CITY": "Rome"},
    }


def test_an_upper_case_column_is_a_typed_date_under_its_new_name(
    attributes_of: Convert,
) -> None:
    date = {"type": ["null", "string"], "format": "date"}
    for columns in (
        {"CREATED_AT": "2023-03-21", "AT": "2023-03-21"},
        {"TRAITS__CREATED_AT": "2023-03-21", "TRAITS__AT": "2023-03-21"},
    ):
        schema = {"properties": dict.fromkeys(columns, date)}
        attributes = attributes_of("identify", {"USER_ID": 1, **columns}, schema=schema)
        assert attributes == {"created_at": 1679356800, "AT": 1679356800}
    row = {"USER_ID": 1, "TRAITS": {"CREATED_AT": "2023-03-21"}}
    nested = {"properties": {"TRAITS": {"properties": {"CREATED_AT": date}}}}
    assert attributes_of("identify", row, schema=nested) == {"created_at": 1679356800}


def test_a_row_marked_as_deleted_in_upper_case_is_deleted(convert: Convert) -> None:
    for name in ("_SDC_DELETED_AT", "_sdc_deleted_at", "_Sdc_Deleted_At"):
        row = {"USER_ID": "1", "PLAN": "pro", name: "2026-01-01T00:00:00Z"}
        assert convert("identify", row, hard_delete=True)["action"] == "delete"


@pytest.mark.parametrize("call", ["identify", "track", "page", "screen", "group"])
@pytest.mark.parametrize("empty", [[], "[]", {}, "{}", ()])
def test_an_empty_list_is_an_empty_object(
    convert: Convert, call: str, empty: Any
) -> None:
    notices: list[str] = []
    record = {"userId": "1", "groupId": "g", "event": "x", "name": "x", "plan": "pro"}
    for container in ("traits", "properties", "context"):
        convert(call, {**record, container: empty}, notify=notices.append)
    body = "traits" if call in {"identify", "group"} else "properties"
    assert convert(call, {**record, body: empty})["attributes"] == {}
    assert not any("context" in notice for notice in notices)


@pytest.mark.parametrize("call", ["identify", "track", "page", "screen", "group"])
@pytest.mark.parametrize("wrong", NO_OBJECTS)
def test_an_invalid_context_is_ignored_and_warned_of_once(
    converter: Callable[..., Any],
    as_json: Callable[..., dict[str, Any]],
    call: str,
    wrong: Any,
) -> None:
    notices: list[str] = []
    ours = converter(call, notify=notices.append)
    record = {"userId": "1", "groupId": "g", "event": "x", "name": "x", "plan": "pro"}
    expected = as_json(ours.convert(record))
    for spelling in ("context", "CONTEXT", "context"):
        assert as_json(ours.convert({**record, spelling: wrong})) == expected
    (notice,) = notices
    assert "context" in notice


def test_flattened_columns_count_next_to_an_invalid_context(
    convert: Convert,
) -> None:
    record = {**DEVICE, "context": "web", "context_device_token": "t"}
    device = convert("track", {**record, "context__device__type": "ios"})["device"]
    assert (device["token"], device["platform"]) == ("t", "ios")


@pytest.mark.parametrize(
    "context",
    [
        {"context": {"page": {"url": "https://example.com/"}}},
        {"context": '{"page": {"url": "https://example.com/"}}'},
        {"context": {"page": '{"url": "https://example.com/"}'}},
        {"context_page_url": "https://example.com/"},
        {"context__page__url": "https://example.com/"},
        {"CONTEXT_PAGE_URL": "https://example.com/"},
        {"properties": {}, "context": {"page": {"url": "https://example.com/"}}},
        {"name": " ", "url": None, "context_page_url": "https://example.com/"},
        {"URL": "https://example.com/", "context_page_url": "https://example.org/"},
        {"properties": {"url": "https://example.com/"}, "context": {"page": []}},
    ],
)
def test_a_page_without_a_name_uses_its_url(
    convert: Convert, context: dict[str, Any]
) -> None:
    operation = convert("page", {"userId": "1", **context})
    assert operation["name"] == "https://example.com/"


@pytest.mark.parametrize("url", [None, "", " ", {}])
def test_a_page_without_a_name_or_url_is_rejected(
    rejection: Callable[..., Any], url: Any
) -> None:
    rejection("page", {"userId": "1", "context": {"page": {"url": url}}})
    assert rejection("page", {"userId": "1", "context": {}}).reason == "required"


@pytest.mark.parametrize("call", ["identify", "track", "page", "screen", "group"])
@pytest.mark.parametrize("form", ["object", "text", "double", "flattened"])
def test_traits_and_properties_are_read_in_every_shape(
    convert: Convert, call: str, form: str
) -> None:
    body = "traits" if call in {"identify", "group"} else "properties"
    containers: dict[str, dict[str, Any]] = {
        "object": {body: {"plan": "pro", "address": {"city": "Rome"}}},
        "text": {body: '{"plan": "pro", "address": {"city": "Rome"}}'},
        "double": {body: {"plan": "pro"}, f"{body}__address": {"city": "Rome"}},
        "flattened": {f"{body}__plan": "pro", f"{body}__address__city": "Rome"},
    }
    record = {"userId": "1", "groupId": "g", "event": "x", "name": "x"}
    record |= containers[form]
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


def test_a_flattened_column_replaces_a_nested_null(attributes_of: Convert) -> None:
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
def test_columns_next_to_nested_traits_or_properties_are_ignored(
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
def test_a_container_that_is_not_an_object_rejects_the_record(
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


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (lambda empty: {"traits__a": empty, "traits__a__b": 1}, {"a": {"b": 1}}),
        (lambda empty: {"traits__a__b": 1, "traits__a": empty}, {"a": {"b": 1}}),
        (lambda empty: {"traits": {"a": empty}, "traits__a__b": 1}, {"a": {"b": 1}}),
        (
            lambda empty: {"traits__a__b": empty, "traits__a__b__c": ""},
            {"a": {"b": {"c": ""}}},
        ),
    ],
)
def test_the_fields_of_an_object_replace_its_empty_column(
    attributes_of: Convert, row: Any, expected: Any, nothing: Any
) -> None:
    assert attributes_of("identify", {"userId": "1", **row(nothing)}) == expected


def test_an_empty_column_stays_if_the_fields_of_the_object_are_null(
    attributes_of: Convert,
) -> None:
    row = {
        "userId": "1",
        "traits__a": "",
        "traits__a__b": None,
        "traits__a__c__d": None,
    }
    assert attributes_of("identify", row) == {"a": ""}


def test_a_column_with_text_wins_over_the_fields_of_an_object(
    attributes_of: Convert,
) -> None:
    row = {"userId": "1", "traits__a": "text", "traits__a__b": 1}
    assert attributes_of("identify", row) == {"a": "text"}


def test_an_empty_column_of_the_context_hides_no_device_token(
    convert: Convert,
) -> None:
    row = {
        "userId": "1",
        "event": "Application Opened",
        "properties": {},
        "context__device": "",
        "context__device__token": "t1",
        "context__os": "",
        "context__os__name": "iOS",
    }
    device = convert("track", row)["device"]
    assert (device["token"], device["platform"]) == ("t1", "ios")
