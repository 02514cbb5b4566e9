"""Dates out of range stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

DATE_TIME = {"type": ["null", "string"], "format": "date-time"}
DATE = {"type": ["null", "string"], "format": "date"}
TEXT = {"type": ["null", "string"]}


@pytest.mark.parametrize(
    "text",
    [
        "10000-01-01T00:00:00Z",
        "+10000-01-01T00:00:00Z",
        "99999-12-31",
        "0044-03-15 BC",
        "0044-03-15 00:00:00 BC",
        "-0044-03-15T00:00:00Z",
        "0001-01-01T00:00:00+05:30",
        "9999-12-31T23:59:59-05:30",
    ],
)
@pytest.mark.parametrize("typed", [DATE_TIME, DATE, TEXT], ids=["time", "date", "text"])
def test_a_date_out_of_range_stays_as_it_is(
    attributes_of: Convert, typed: dict[str, Any], text: str
) -> None:
    schema = {"properties": {"at": typed}}
    row = {"userId": "1", "at": text}
    assert attributes_of("identify", row, schema=schema) == {"at": text}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0001-01-01T00:00:00Z", -62135596800),
        ("9999-12-31T23:59:59Z", 253402300799),
        ("1969-12-31T23:59:59.5Z", -1),
    ],
)
def test_the_first_and_the_last_second_are_in_range(
    attributes_of: Convert, text: str, seconds: int
) -> None:
    for field in (DATE_TIME, TEXT):
        row = {"userId": "1", "at": text}
        assert attributes_of("identify", row, schema={"properties": {"at": field}}) == {
            "at": seconds
        }
