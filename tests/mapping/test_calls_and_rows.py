"""Records that are calls, the traits of their context, and switched-off records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.call import ConversionSettings, Skipped
from target_customerio.mapping.converter import ConverterByType

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]
    Rejection = Callable[..., RejectedRecord]

CALLS = ["identify", "track", "page", "screen", "group", "alias"]
TRAITS = {"email": "ann@example.com", "plan": "pro"}
RUDDERSTACK = {
    "type": "identify",
    "userId": "u1",
    "request_ip": "203.0.113.9",
    "rudderId": "r",
}
NEEDED: dict[str, Any] = {
    "userId": "1",
    "event": "x",
    "name": "x",
    "groupId": "g",
    "previousId": "2",
}
OBJECTS: list[Any] = [{}, {"a": 1}, [], "{}", '{"a": 1}', "[]"]


# --- traits of the context


@pytest.mark.parametrize(
    "fields",
    [
        {"context": {"traits": TRAITS}},
        {"context": {"traits": TRAITS}, "traits": None},
        {"context": {"traits": TRAITS}, "traits": {}},
        {"context": {"traits": TRAITS}, "traits": "{}"},
        {"context": {"traits": TRAITS}, "traits": []},
        {"context": {"traits": TRAITS}, "traits": "null"},
        {"context": {"traits": json.dumps(TRAITS)}},
        {"context": json.dumps({"traits": TRAITS})},
        {"CONTEXT": json.dumps({"traits": TRAITS})},
        {"context": {}, "context_traits": json.dumps(TRAITS)},
        {
            "context": {},
            "context__traits__plan": "pro",
            "context_traits_email": "ann@example.com",
        },
        {
            "traits": {},
            "CONTEXT_TRAITS_EMAIL": "ann@example.com",
            "context_traits_plan": "pro",
            "context_traits_age": None,
        },
        {
            "traits__plan": None,
            "traits__email": None,
            "context__traits__plan": "pro",
            "context__traits__email": "ann@example.com",
        },
    ],
)
def test_an_identify_without_traits_takes_those_of_its_context(
    convert: Convert, fields: dict[str, Any]
) -> None:
    operation = convert("identify", {**RUDDERSTACK, **fields})
    assert operation["identifiers"] == {"id": "u1"}
    assert operation["attributes"] == TRAITS


def test_own_traits_win_over_those_of_the_context(attributes_of: Convert) -> None:
    record = {**RUDDERSTACK, "traits": {"a": None}, "context": {"traits": TRAITS}}
    assert attributes_of("identify", record) == {"a": None}


def test_a_null_in_the_traits_of_a_context_clears_the_attribute(
    attributes_of: Convert,
) -> None:
    record = {**RUDDERSTACK, "context": {"traits": {"plan": None}}}
    assert attributes_of("identify", record) == {"plan": None}


@pytest.mark.parametrize(
    "context",
    [
        {"context": {"traits": {**TRAITS, "a": 2, "b": None}}},
        {"context": {"traits": json.dumps({**TRAITS, "a": 2, "b": None})}},
        {
            "context__traits__plan": "pro",
            "context_traits_email": "ann@example.com",
            "context_traits_a": 2,
            "context_traits_b": None,
        },
        {
            "CONTEXT_TRAITS_plan": "pro",
            "CONTEXT_TRAITS_EMAIL": "ann@example.com",
            "context_traits": '{"a": 2}',
        },
    ],
)
def test_in_a_row_the_traits_of_the_context_add_what_the_row_lacks(
    attributes_of: Convert, context: dict[str, Any]
) -> None:
    row = {"user_id": "u1", "a": 1, "email": None, "c": None, **context}
    assert attributes_of("identify", row) == {"a": 1, **TRAITS, "c": None}


@pytest.mark.parametrize("own", ["created_at", "createdAt", "CREATED_AT"])
@pytest.mark.parametrize("other", ["created_at", "createdAt"])
def test_a_row_s_own_creation_wins_whatever_its_spelling(
    attributes_of: Convert, own: str, other: str
) -> None:
    row = {"user_id": "1", own: 5, "context": {"traits": {other: 6}}}
    assert attributes_of("identify", row) == {"created_at": 5}


@pytest.mark.parametrize(
    ("fields", "schema"),
    [
        (
            {"type": "identify", "context": {"traits": {"at": "2023-03-21"}}},
            {"context": {"properties": {"traits": {"properties": {"at": "DATE"}}}}},
        ),
        (
            {"b": 1, "context": {"traits": {"at": "2023-03-21"}}},
            {"context": {"properties": {"traits": {"properties": {"at": "DATE"}}}}},
        ),
        (
            {"b": 1, "context": {"traits": {"at": "2023-03-21"}}},
            {
                "context": {
                    "properties": {
                        "traits": {"patternProperties": {"^a": "DATE", "^b": "DATE"}}
                    }
                }
            },
        ),
        ({"context_traits_at": "2023-03-21"}, {"context_traits_at": "DATE"}),
        ({"context__traits__at": "2023-03-21"}, {"context__traits__at": "DATE"}),
    ],
)
def test_typed_dates_among_the_traits_of_the_context_are_converted(
    attributes_of: Convert, fields: dict[str, Any], schema: dict[str, Any]
) -> None:
    date = '{"type": ["null", "string"], "format": "date"}'
    typed = json.loads(json.dumps(schema).replace('"DATE"', date))
    attributes = attributes_of(
        "identify", {"userId": "1", **fields}, schema={"properties": typed}
    )
    assert attributes["at"] == 1679356800


def test_a_text_column_stays_text_if_the_context_types_a_date(
    attributes_of: Convert,
) -> None:
    schema = {"properties": {"context_traits_at": {"type": "string", "format": "date"}}}
    row = {"user_id": "1", "at": "2023-03-21", "context_traits_at": "2022-01-01"}
    assert attributes_of("identify", row, schema=schema) == {"at": "2023-03-21"}


@pytest.mark.parametrize("call", ["track", "page", "screen", "group"])
@pytest.mark.parametrize(
    "context", [{"context": {"traits": TRAITS}}, {"context_traits_plan": "pro"}]
)
def test_in_other_calls_context_traits_are_not_attributes(
    attributes_of: Convert, call: str, context: dict[str, Any]
) -> None:
    body = "traits" if call == "group" else "properties"
    shapes: list[dict[str, Any]] = [{}, {body: {}}, {"type": call, body: None}]
    for shape in shapes:
        attributes = attributes_of(call, {**NEEDED, **shape, **context})
        assert not attributes.keys() & TRAITS.keys()


# --- calls


@pytest.mark.parametrize("call", ["identify", "track", "page", "screen", "group"])
@pytest.mark.parametrize("container", ["context", "traits", "properties"])
@pytest.mark.parametrize("written", [str.lower, str.upper])
def test_a_call_without_a_body_has_no_attributes(
    attributes_of: Convert, call: str, container: str, written: Callable[[str], str]
) -> None:
    record = {
        **NEEDED,
        "type": written(call),
        "rudderId": "r",
        "request_ip": "203.0.113.9",
        "_metadata": {"nodeVersion": "1"},
        "channel": "web",
        "projectId": "p",
    }
    empties: list[Any] = [{}, [], "{}", "[]"]
    for empty in empties:
        assert attributes_of(call, {**record, container: empty}) == {}


@pytest.mark.parametrize("container", [None, 7, "text", "null", "7", [1], True])
def test_a_row_without_an_object_is_not_a_call(
    attributes_of: Convert, container: Any
) -> None:
    row = {"userId": "1", "type": "identify", "plan": "p", "context": container}
    assert attributes_of("identify", row) == {"plan": "p"}


@pytest.mark.parametrize("kind", [None, "", "customer", 7, ["identify"], "segment"])
def test_a_row_with_another_type_is_not_a_call(
    attributes_of: Convert, kind: Any
) -> None:
    row = {"userId": "1", "type": kind, "plan": "p", "context": {}}
    assert attributes_of("identify", row) == {"plan": "p", "type": kind}


@pytest.mark.parametrize("call", [*CALLS, "segment"])
@pytest.mark.parametrize("container", ["context", "traits", "properties"])
def test_a_call_of_another_kind_than_its_stream_is_rejected(
    rejection: Rejection, call: str, container: str
) -> None:
    for other in CALLS:
        if other != call:
            for found in OBJECTS:
                record = {**NEEDED, "type": other, container: found}
                rejected = rejection(call, record)
                assert (rejected.reason, rejected.field) == ("wrong_call", "type")


@pytest.mark.parametrize("spelling", ["type", "TYPE"])
@pytest.mark.parametrize("name", ["track", "Track", "TRACK"])
def test_the_type_of_a_call_is_read_in_any_spelling(
    rejection: Rejection, spelling: str, name: str
) -> None:
    record = {**NEEDED, spelling: name, "PROPERTIES": "{}"}
    assert rejection("identify", record).reason == "wrong_call"


def test_a_row_with_the_name_of_another_call_and_no_object_is_a_row(
    attributes_of: Convert,
) -> None:
    row = {"user_id": "1", "type": "track", "plan": "pro"}
    assert attributes_of("identify", row) == {"type": "track", "plan": "pro"}


# --- integrations

OFF: list[Any] = [
    {"All": False},
    {"all": False},
    {"Customer.io": False},
    {"All": True, "Customer.io": False},
    {"All": True, "Customer.io (Actions)": False},
    {"All": True, "Actions Customerio": False},
    {"customer-io": False},
    {"CUSTOMERIO": False},
    {"Customer.io": True, "Actions Customerio": False},
    {"All": False, "Customer.io": None},
    {"All": False, "Customer.io": "yes"},
    {"All": False, "Segment.io": True},
]
ON: list[Any] = [
    {},
    {"All": True},
    {"All": None},
    {"All": "false"},
    {"Segment.io": False},
    {"Customer.io Reverse": False},
    {"All": False, "Customer.io": True},
    {"All": False, "Customer.io (Actions)": {}},
    {"All": False, "Actions Customerio": {"convertTimestamp": False}},
]


@pytest.mark.parametrize("call", [*CALLS, "segment"])
@pytest.mark.parametrize("integrations", OFF)
def test_a_record_that_turns_customer_io_off_is_skipped(
    converter: Callable[..., Any], call: str, integrations: Any
) -> None:
    for written in (integrations, json.dumps(integrations)):
        records: list[dict[str, Any]] = [
            {**NEEDED, "integrations": written},
            {**NEEDED, "INTEGRATIONS": written, "traits": {}, "properties": {}},
            {"integrations": written, "traits": 7, "type": "track", "context": {}},
            {"integrations": None, "INTEGRATIONS": written, "userId": 1.5},
        ]
        for record in records:
            assert converter(call).convert(record) == Skipped("integrations")
            assert converter("identify").turns_off(record)


@pytest.mark.parametrize("integrations", ON)
@pytest.mark.parametrize("call", ["identify", "track", "group"])
def test_other_integrations_are_ignored_and_not_attributes(
    attributes_of: Convert, call: str, integrations: Any
) -> None:
    for written in (integrations, json.dumps(integrations)):
        row = {**NEEDED, "integrations": written}
        expected = attributes_of(call, NEEDED)
        assert attributes_of(call, row) == expected
        del row["integrations"]
        assert attributes_of(call, {**row, "INTEGRATIONS": written}) == expected


@pytest.mark.parametrize("value", [None, 5, False, "slack", "false", "[1]", ["a"], []])
def test_in_a_row_anything_else_of_that_name_is_a_column(
    attributes_of: Convert, value: Any
) -> None:
    row = {"user_id": "1", "integrations": value}
    assert attributes_of("identify", row) == {"integrations": value}


@pytest.mark.parametrize(
    ("columns", "is_off"),
    [
        ({"integrations__All": False}, True),
        ({"integrations__Customer.io": False}, True),
        ({"integrations__All": False, "integrations__Customer.io": True}, False),
        ({"integrations__All": False, "integrations__Customer.io__a": 1}, False),
        ({"INTEGRATIONS__ALL": False}, True),
        ({"integrations__Slack": False}, False),
    ],
)
def test_flattened_integrations_are_honoured(
    converter: Callable[..., Any], columns: dict[str, Any], *, is_off: bool
) -> None:
    outcome = converter("track").convert({**NEEDED, "properties": {}, **columns})
    assert isinstance(outcome, Skipped) == is_off


def test_integrations_are_flattened_with_the_separator_that_is_set(
    converter: Callable[..., Any],
) -> None:
    identify = converter("identify", flattening_separator=".")
    assert identify.turns_off({"integrations.Customer.io": False})
    assert not identify.turns_off({"integrations.Customer.io": True})


# --- by type


def by_type(**options: Any) -> ConverterByType:
    return ConverterByType(
        settings=ConversionSettings(),
        draw=lambda: "drawn",
        **{"notify": lambda _: None, **options},
    )


@pytest.mark.parametrize("spelling", ["type", "TYPE"])
@pytest.mark.parametrize("written", [str.lower, str.upper, str.title])
@pytest.mark.parametrize(
    ("call", "label"),
    [
        ("identify", "person identify"),
        ("track", "person event"),
        ("page", "person page"),
        ("screen", "person screen"),
        ("group", "object identify"),
        ("alias", "person merge"),
    ],
)
def test_by_type_each_record_is_the_call_that_its_type_names(
    call: str, label: str, written: Callable[[str], str], spelling: str
) -> None:
    ours = by_type()
    shapes: list[dict[str, Any]] = [
        {},
        {"context": {}},
        {"traits": {}, "properties": {}},
    ]
    for shape in shapes:
        record = {**NEEDED, **shape, spelling: written(call)}
        operation = ours.convert(record)
        assert not isinstance(operation, Skipped)
        assert operation.label == label
        if hasattr(operation, "attributes") and isinstance(operation.attributes, dict):
            assert spelling not in operation.attributes


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (None, "required"),
        ("", "required"),
        ("segment", "wrong_call"),
        ("by_type", "wrong_call"),
        ("delete", "wrong_call"),
        (" ", "wrong_call"),
        (7, "wrong_call"),
        ({}, "wrong_call"),
        (["track"], "wrong_call"),
    ],
)
def test_by_type_a_missing_or_unknown_type_rejects(kind: Any, reason: str) -> None:
    shapes: list[dict[str, Any]] = [{}, {"context": {}}]
    for shape in shapes:
        with pytest.raises(RejectedRecord) as caught:
            by_type().convert({**NEEDED, **shape, "type": kind})
        assert (caught.value.reason, caught.value.field) == (reason, "type")


def test_by_type_turned_off_records_are_skipped_whatever_their_type() -> None:
    record = {"integrations": {"All": False}}
    assert by_type().convert(record) == Skipped("integrations")
    assert by_type().convert({**record, "type": "track"}) == Skipped("integrations")


def test_by_type_each_warning_is_issued_once_per_stream() -> None:
    notices: list[str] = []
    ours = by_type(notify=notices.append)
    for call in ("track", "page", "screen"):
        ours.convert({**NEEDED, "type": call, "recipient": "ann@example.com"})
    assert len(notices) == 1
