"""``created_at`` is read like a call's own time, in any place."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

SECONDS = 1577934245
"""2020-01-02T03:04:05Z."""

DATE_TIME = {"type": ["null", "string"], "format": "date-time"}
TIMES = [
    (SECONDS, SECONDS),
    (str(SECONDS), SECONDS),
    (1577934245123, SECONDS),
    ("1577934245123", SECONDS),
    (Decimal("1577934245.9"), SECONDS),
    ("1577934245.9", SECONDS),
    ("2020-01-02T03:04:05Z", SECONDS),
    ("2020-01-02T03:04:05", SECONDS),
    ("2020-01-02T03:04:05.123456Z", SECONDS),
    ("2020-01-02 03:04:05", SECONDS),
    ("2020-01-02 05:04:05+02", SECONDS),
    ("2020-01-02", 1577923200),
    ("20200102", 20200102),
    (0, 0),
]
NO_TIMES = [
    "soon",
    "0000-00-00 00:00:00",
    "10000-01-01",
    "2020-13-01",
    " ",
    10**30,
    "9" * 30,
    True,
    [],
    {"a": 1},
]
PLACES: list[Callable[[Any], dict[str, Any]]] = [
    lambda value: {"traits": {"created_at": value}},
    lambda value: {"traits": {"createdAt": value}},
    lambda value: {"traits": {}, "created_at": value},
    lambda value: {"traits": {}, "createdAt": value},
    lambda value: {"created_at": value},
    lambda value: {"createdAt": value},
    lambda value: {"CREATED_AT": value},
    lambda value: {"traits__created_at": value},
    lambda value: {"context": {"traits": {"createdAt": value}}},
]
place = pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))


@pytest.mark.parametrize(("value", "seconds"), TIMES)
@pytest.mark.parametrize("convert_timestamps", [True, False])
@place
def test_a_time_becomes_unix_seconds_under_one_name(
    attributes_of: Convert,
    place: Any,
    value: Any,
    seconds: int,
    *,
    convert_timestamps: bool,
) -> None:
    attributes = attributes_of(
        "identify",
        {"userId": "1", **place(value)},
        convert_timestamps=convert_timestamps,
    )
    assert attributes == {"created_at": seconds}
    assert type(attributes["created_at"]) is int


@pytest.mark.parametrize("value", NO_TIMES, ids=str)
@pytest.mark.parametrize("convert_timestamps", [True, False])
@place
def test_text_that_is_not_a_time_stays(
    attributes_of: Convert, place: Any, value: Any, *, convert_timestamps: bool
) -> None:
    attributes = attributes_of(
        "identify",
        {"userId": "1", **place(value)},
        convert_timestamps=convert_timestamps,
    )
    assert attributes == {"created_at": value}


@pytest.mark.parametrize("name", ["created_at", "createdAt"])
@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("empty", ["", None])
def test_empty_text_counts_as_null(
    attributes_of: Convert, name: str, empty: Any, *, nested: bool
) -> None:
    fields = {name: empty}
    record = {"userId": "1", **({"traits": fields} if nested else fields)}
    assert attributes_of("identify", record) == {"created_at": None}
    assert attributes_of("identify", record, null_attributes="omit") == {}


SCHEMAS: list[Callable[[Any], dict[str, Any]]] = [
    lambda field: {"properties": {"created_at": field}},
    lambda field: {"properties": {"traits": {"properties": {"created_at": field}}}},
]
RECORDS: list[Callable[[Any], dict[str, Any]]] = [
    lambda value: {"userId": "1", "created_at": value},
    lambda value: {"userId": "1", "traits": {"created_at": value}},
]
typed = pytest.mark.parametrize(
    ("schema", "record"),
    list(zip(SCHEMAS, RECORDS, strict=True)),
    ids=["flat", "nested"],
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20200102", 1577923200),
        ("0000-00-00 00:00:00", None),
        ("2020-00-02", None),
        (" ", None),
        ("2020-01-02 03:04:05.123456", SECONDS),
        ("1577934245123", SECONDS),
        ("soon", "soon"),
        ("10000-01-01", "10000-01-01"),
    ],
)
@typed
def test_a_typed_column_is_read_by_its_type_first(
    attributes_of: Convert, schema: Any, record: Any, value: Any, expected: Any
) -> None:
    options = {"schema": schema(DATE_TIME)}
    assert attributes_of("identify", record(value), **options) == {
        "created_at": expected
    }
    omitted = attributes_of(
        "identify", record(value), null_attributes="omit", **options
    )
    assert omitted == ({"created_at": expected} if expected is not None else {})


@typed
def test_a_decimal_is_a_time_too(
    attributes_of: Convert, schema: Any, record: Any
) -> None:
    field = {"type": "string", "format": "singer.decimal"}
    attributes = attributes_of("identify", record("1577934245.5"), schema=schema(field))
    assert attributes == {"created_at": SECONDS}


def test_created_at_of_other_calls_is_like_any_attribute(
    attributes_of: Convert,
) -> None:
    for call, body in (("track", "properties"), ("group", "traits")):
        record = {
            "userId": "1",
            "groupId": "g",
            "event": "x",
            body: {"created_at": "1"},
        }
        assert attributes_of(call, record) == {"created_at": "1"}
