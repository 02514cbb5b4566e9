"""Values of Python become the JSON that a tap would have written."""

from __future__ import annotations

import enum
import json
import math
from collections import namedtuple
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.helpers._typing import to_json_compatible

from target_customerio.json_codec import Decoding, decode_line
from target_customerio.row_values import (
    MAX_DATE_COLUMNS,
    MAX_ROW_LEVELS,
    RowEncoder,
    UnsupportedValueError,
    schema_of,
)

INDIA = timezone(timedelta(hours=5, minutes=30))


class Plan(str, enum.Enum):
    PRO = "pro"


class Level(enum.IntEnum):
    HIGH = 3


class SparkRow(tuple[Any, ...]):
    """Has what is used of a row of Spark."""

    __slots__ = ()

    def asDict(self) -> dict[str, Any]:  # noqa: N802 - Spark's name
        return dict(self)


Point = namedtuple("Point", ["x", "y"])  # noqa: PYI024 - untyped on purpose

VALUES = {
    "none": (None, "null"),
    "boolean": (True, "true"),
    "integer": (42, "42"),
    "long integer": (10**30, "1" + "0" * 30),
    "float": (0.1, "0.1"),
    "decimal": (Decimal("19.90"), "19.90"),
    "decimal with an exponent": (Decimal("1E+3"), "1E+3"),
    "text": ("é", '"é"'),
    "UUID": (UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
    "bytes": (b"\x00\xff", '"00ff"'),
    "byte array": (bytearray(b"\x01"), '"01"'),
    "date": (date(2024, 2, 29), '"2024-02-29"'),
    "time": (time(9, 30), '"09:30:00"'),
    "naive time": (
        datetime(2024, 2, 29, 12),  # noqa: DTZ001 - the case
        '"2024-02-29T12:00:00.000000+00:00"',
    ),
    "time with an offset": (
        datetime(2024, 2, 29, 12, 0, 0, 5, tzinfo=INDIA),
        '"2024-02-29T06:30:00.000005+00:00"',
    ),
    "the first time": (
        datetime(1, 1, 1, tzinfo=INDIA),
        '"0001-01-01T00:00:00.000000+05:30"',
    ),
    "enumeration of texts": (Plan.PRO, '"pro"'),
    "enumeration of integers": (Level.HIGH, "3"),
    "tuple": ((1, "a"), '[1,"a"]'),
    "named tuple": (Point(1, UUID(int=0)), f'{{"x":1,"y":"{UUID(int=0)}"}}'),
    "row of Spark": (SparkRow([("a", Decimal("1.0"))]), '{"a":1.0}'),
    "nested": ({"a": [{"b": Decimal("0.10")}]}, '{"a":[{"b":0.10}]}'),
}


def encoded(value: Any) -> str:
    return RowEncoder().line_of({"value": value}).decode()


@pytest.mark.parametrize("name", VALUES)
def test_a_value_becomes_json(name: str) -> None:
    value, expected = VALUES[name]
    assert encoded(value) == f'{{"value":{expected}}}'


@pytest.mark.parametrize("name", ["naive time", "UUID"])
def test_a_value_is_what_a_tap_of_the_sdk_writes(name: str) -> None:
    value, expected = VALUES[name]
    assert json.loads(expected) == to_json_compatible(value)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON_VALUES))
def test_a_row_of_json_values_is_read_like_its_json(row: dict[str, Any]) -> None:
    record, decoding = decode_line(RowEncoder().line_of(row))
    expected, form_of_json = decode_line(json.dumps(row))
    assert (repr(record), decoding) == (repr(expected), form_of_json)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [float, Decimal])
def test_a_number_that_is_not_finite_does_not_become_null(
    number: float, kind: type
) -> None:
    record, decoding = decode_line(RowEncoder().line_of({"value": kind(number)}))
    assert decoding is Decoding.LENIENT
    assert not math.isfinite(record["value"])


def test_half_a_surrogate_pair_is_kept() -> None:
    record, decoding = decode_line(RowEncoder().line_of({"value": "\ud800"}))
    assert (record, decoding) == ({"value": "\ud800"}, Decoding.LENIENT)


class NotATime(datetime):
    """Like the missing time of pandas, which differs from itself."""

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = datetime.__hash__


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "value: values of type object are not supported"),
        ({1, 2}, "value: values of type set are not supported"),
        (timedelta(1), "value: values of type timedelta are not supported"),
        ({"a": [1, 1j]}, "value.a: values of type complex are not supported"),
        ({"a": {1: 2}}, "value.a: expected text for names, got int"),
        (NotATime(2024, 1, 1, tzinfo=timezone.utc), "NaT is not supported"),
        ("x" * (16 << 20), "longer than 16 MiB"),
    ],
)
def test_an_unsupported_value_is_named_by_its_column(value: Any, message: str) -> None:
    with pytest.raises(UnsupportedValueError, match=message):
        RowEncoder().line_of({"value": value})


@pytest.mark.parametrize("row", [None, "text", 5, ("a", "tuple"), ["a"]])
def test_a_row_must_be_a_mapping(row: Any) -> None:
    with pytest.raises(UnsupportedValueError, match="expected a mapping, got"):
        RowEncoder().line_of(row)


@pytest.mark.parametrize("kind", ["object", "list"])
def test_a_value_nested_too_deeply_becomes_null(kind: str) -> None:
    encoder = RowEncoder()
    value: Any = 1
    for _ in range(10 * MAX_ROW_LEVELS):
        value = {"a": value} if kind == "object" else [value]
    encoder.line_of({"value": value})
    assert encoder.was_truncated
    encoder.line_of({"value": 1})
    assert not encoder.was_truncated


def test_columns_with_dates_are_typed_at_any_depth() -> None:
    encoder = RowEncoder()
    moment, day = datetime(2024, 1, 1, tzinfo=timezone.utc), date(2024, 1, 1)
    encoder.line_of({"at": None, "on": day, "plan": "pro"})
    encoder.line_of({"at": moment, "on": "x", "properties": {"due": [[day]]}})
    when = [{"type": "string", "format": "date-time"}, {}]
    a_day = [{"type": "string", "format": "date"}, {}]
    assert schema_of(encoder.dates) == {
        "properties": {
            "at": {"anyOf": when},
            "on": {"anyOf": a_day},
            "properties": {
                "properties": {"due": {"items": {"items": {"anyOf": a_day}}}}
            },
        }
    }


def test_the_number_of_typed_columns_is_bounded() -> None:
    encoder = RowEncoder()
    day = date(2024, 1, 1)
    encoder.line_of({str(number): day for number in range(MAX_DATE_COLUMNS + 10)})
    assert len(encoder.dates) == MAX_DATE_COLUMNS
