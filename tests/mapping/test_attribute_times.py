"""Dates in attributes: typed columns, and untyped JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

SECONDS = 1679407797
"""2023-03-21T14:09:57Z."""

CALLS = ["identify", "track", "page", "screen", "group"]
BODY = {"identify": "traits", "group": "traits"}
WHO = {"userId": "1", "groupId": "g", "event": "x", "name": "x"}
DATE_TIME = {"type": ["null", "string"], "format": "date-time"}
DATE = {"type": ["null", "string"], "format": "date"}
TEXT = {"type": ["null", "string"]}


def schema_of(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object."""
    return {"type": ["null", "object"], "properties": properties}


def row_of(call: str, **columns: Any) -> dict[str, Any]:
    """Return a row with all that the call needs, and these columns."""
    fields = {
        "track": ("userId", "event"),
        "identify": ("userId",),
        "group": ("groupId",),
    }
    return {
        **{name: WHO[name] for name in fields.get(call, ("userId", "name"))},
        **columns,
    }


UNTYPED = [
    "2023-03-21T14:09:57Z",
    "2023-03-21T14:09:57+00:00",
    "2023-03-21T14:09:57+00",
    "2023-03-21T14:09:57+0000",
    "2023-03-21T14:09:57",
    "2023-03-21T14:09:57.1Z",
    "2023-03-21T14:09:57.12Z",
    "2023-03-21T14:09:57.999Z",
    "2023-03-21T14:09:57.999",
    "2023-03-21T19:39:57+05:30",
    "2023-03-21T07:09:57.451-07:00",
]
ONLY_TYPED = [
    "2023-03-21T14:09:57.1234Z",
    "2023-03-21T14:09:57.999999Z",
    "2023-03-21T14:09:57.999999999Z",
    "2023-03-21T14:09:57.9999999+00:00",
    "2023-03-21 14:09:57",
    "2023-03-21 14:09:57.999999",
    "2023-03-21 14:09:57+00",
]


@pytest.mark.parametrize("text", UNTYPED)
@pytest.mark.parametrize("call", CALLS)
def test_an_untyped_date_time_down_to_milliseconds_is_converted_anywhere(
    attributes_of: Convert, call: str, text: str
) -> None:
    body = {
        "at": text,
        "list": [text, "other", [text], {"at": text}],
        "deep": {"er": {"at": text, "other": None}},
    }
    expected = {
        "at": SECONDS,
        "list": [SECONDS, "other", [SECONDS], {"at": SECONDS}],
        "deep": {"er": {"at": SECONDS, "other": None}},
    }
    assert attributes_of(call, row_of(call, **body)) == expected
    nested = row_of(call, **{BODY.get(call, "properties"): body})
    assert attributes_of(call, nested) == expected


def test_the_documented_examples_convert_or_do_not(attributes_of: Convert) -> None:
    traits = {
        "seconds": "2023-05-18T22:58:45+00:00",
        "milliseconds": "2025-08-13T15:45:17.451Z",
        "nanoseconds": "2025-08-13T02:08:40.1418726Z",
    }
    assert attributes_of("identify", {"userId": "1", "traits": traits}) == {
        "seconds": 1684450725,
        "milliseconds": 1755099917,
        "nanoseconds": "2025-08-13T02:08:40.1418726Z",
    }


@pytest.mark.parametrize(
    "text",
    [
        *ONLY_TYPED,
        "2023-03-21",
        "14:09:57",
        "1679407797",
        "2023",
        "not a date",
        "",
        "2023-03-21T14:09:57Z and more",
        " 2023-03-21T14:09:57Z",
        "2023-03-21T14:09:57Z\n",
        "2023-13-21T14:09:57Z",
        "2023-02-30T14:09:57Z",
        "2023-03-21T25:09:57Z",
        "2023-03-21T14:09:57+25:00",
        "Tue, 21 Mar 2023 14:09:57 GMT",
        "21/03/2023T14:09:57",
    ],
)
def test_any_other_untyped_text_stays_as_it_is(
    attributes_of: Convert, text: str
) -> None:
    body = {"at": text, "list": [text], "deep": {"at": text}}
    for record in (row_of("identify", **body), {"userId": "1", "traits": body}):
        assert attributes_of("identify", record) == body


def test_untyped_numbers_are_never_taken_for_dates(attributes_of: Convert) -> None:
    body = {"at": 1679407797123, "list": [1679407797123]}
    assert attributes_of("identify", {"userId": "1", "traits": body}) == body


@pytest.mark.parametrize("text", [*UNTYPED, *ONLY_TYPED])
@pytest.mark.parametrize("call", CALLS)
def test_a_typed_column_is_converted_at_any_precision(
    attributes_of: Convert, call: str, text: str
) -> None:
    row = row_of(call, at=text, other=text[:10])
    attributes = attributes_of(call, row, schema=schema_of(at=DATE_TIME, other=TEXT))
    assert attributes == {"at": SECONDS, "other": text[:10]}


@pytest.mark.parametrize("text", ONLY_TYPED)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("form", ["object", "text", "flattened"])
def test_a_typed_field_below_traits_or_properties_is_converted(
    attributes_of: Convert, call: str, text: str, form: str
) -> None:
    name = BODY.get(call, "properties")
    schema = schema_of(**{name: schema_of(at=DATE_TIME, deep=schema_of(at=DATE_TIME))})
    body: dict[str, Any] = {name: {"at": text, "deep": {"at": text}}}
    if form == "text":
        body = {name: f'{{"at": "{text}", "deep": {{"at": "{text}"}}}}'}
    elif form == "flattened":
        body = {f"{name}__at": text, f"{name}__deep__at": text}
        schema = schema_of(**dict.fromkeys(body, DATE_TIME))
    attributes = attributes_of(call, row_of(call, **body), schema=schema)
    assert attributes == {"at": SECONDS, "deep": {"at": SECONDS}}


def test_a_typed_bare_date_is_its_midnight(attributes_of: Convert) -> None:
    for field in (DATE, DATE_TIME):
        row = row_of("identify", born="2023-03-21")
        assert attributes_of("identify", row, schema=schema_of(born=field)) == {
            "born": 1679356800
        }


@pytest.mark.parametrize(
    "field",
    [
        {"anyOf": [DATE_TIME, {"type": "null"}]},
        {"anyOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]},
        {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        {"type": "string", "format": "date-time"},
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]},
    ],
)
def test_a_type_is_found_among_alternatives(
    attributes_of: Convert, field: dict[str, Any]
) -> None:
    row = row_of("identify", at=ONLY_TYPED[1])
    assert attributes_of("identify", row, schema=schema_of(at=field)) == {"at": SECONDS}


def test_a_text_that_need_not_be_a_date_may_be_any_text(attributes_of: Convert) -> None:
    field = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]}
    row = row_of("identify", at="whenever")
    attributes = attributes_of("identify", row, schema=schema_of(at=field))
    assert attributes == {"at": "whenever"}


@pytest.mark.parametrize(
    ("field", "value", "converted"),
    [
        (
            {"type": "array", "items": DATE_TIME},
            [ONLY_TYPED[0], None, ONLY_TYPED[1]],
            [SECONDS, None, SECONDS],
        ),
        (
            {"type": "array", "items": schema_of(at=DATE_TIME)},
            [{"at": ONLY_TYPED[0], "other": ONLY_TYPED[0]}],
            [{"at": SECONDS, "other": ONLY_TYPED[0]}],
        ),
        (
            {"anyOf": [{"type": "array", "items": DATE}, {"type": "null"}]},
            ["1970-01-02"],
            [86400],
        ),
        (
            {"anyOf": [schema_of(at=DATE_TIME), {"type": "null"}]},
            {"at": ONLY_TYPED[0]},
            {"at": SECONDS},
        ),
    ],
)
def test_typed_dates_are_converted_in_lists_and_alternatives(
    attributes_of: Convert, field: dict[str, Any], value: Any, converted: Any
) -> None:
    for record, schema in (
        (row_of("track", at=value), schema_of(at=field)),
        (
            {"userId": "1", "event": "x", "properties": {"at": value}},
            schema_of(properties=schema_of(at=field)),
        ),
    ):
        assert attributes_of("track", record, schema=schema) == {"at": converted}


@pytest.mark.parametrize("text", ["whenever", "21/03/2023", "14:09:57", "2023-03"])
@pytest.mark.parametrize("typed", [DATE_TIME, DATE], ids=["time", "date"])
def test_invalid_text_in_a_typed_date_column_rejects_the_record(
    rejection: Callable[..., Any], typed: dict[str, Any], text: str
) -> None:
    row = row_of("identify", born=text)
    assert rejection("identify", row, schema=schema_of(born=typed)).field == "born"


@pytest.mark.parametrize("value", [None, 1679407797, 0])
def test_a_typed_column_may_be_null_or_a_number_already(
    attributes_of: Convert, value: Any
) -> None:
    row = row_of("identify", at=value)
    attributes = attributes_of("identify", row, schema=schema_of(at=DATE_TIME))
    assert attributes == {"at": value}


@pytest.mark.parametrize("text", [*UNTYPED, *ONLY_TYPED, "2023-03-21", "whenever"])
@pytest.mark.parametrize("call", CALLS)
def test_without_the_setting_every_value_keeps_its_text(
    attributes_of: Convert, call: str, text: str
) -> None:
    body = {"at": text, "list": [text], "deep": {"at": text}}
    typed = {"at": DATE_TIME, "deep": schema_of(at=DATE_TIME)}
    attributes = attributes_of(
        call, row_of(call, **body), schema=schema_of(**typed), convert_timestamps=False
    )
    assert attributes == body


def test_a_typed_created_at_is_converted_at_any_precision(
    attributes_of: Convert,
) -> None:
    for name in ("created_at", "createdAt"):
        for record, schema in (
            ({name: ONLY_TYPED[1]}, schema_of(**{name: DATE_TIME})),
            ({"traits": {}, name: ONLY_TYPED[1]}, schema_of(**{name: DATE_TIME})),
            (
                {"traits": {name: ONLY_TYPED[1]}},
                schema_of(traits=schema_of(**{name: DATE_TIME})),
            ),
        ):
            attributes = attributes_of(
                "identify", {"userId": 1, **record}, schema=schema
            )
            assert attributes == {"created_at": SECONDS}
