"""Numbers, nulls and other attribute values."""

from __future__ import annotations

from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

WHO = {"userId": "1", "groupId": "g", "event": "x", "name": "x"}
BODY = {
    "identify": "traits",
    "group": "traits",
    "track": "properties",
    "page": "properties",
    "screen": "properties",
}
NOT_FINITE = [
    float("nan"),
    float("inf"),
    float("-inf"),
    Decimal("NaN"),
    Decimal("Infinity"),
    Decimal("-Infinity"),
]
PLACES: list[Callable[[Any], Any]] = [
    lambda value: value,
    lambda value: {"deep": {"er": value}},
    lambda value: [1, value],
    lambda value: [{"deep": [[value]]}],
]


@pytest.mark.parametrize(
    "number",
    [0, -1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**64), 10**40, 123456789012345678901],
)
@pytest.mark.parametrize("call", BODY)
def test_an_integer_stays_an_integer_however_long(
    attributes_of: Convert, call: str, number: int
) -> None:
    value = attributes_of(call, {**WHO, BODY[call]: {"a": number, "b": [number]}})
    assert value == {"a": number, "b": [number]}
    assert type(value["a"]) is int


@pytest.mark.parametrize(
    "digits",
    [
        "1.10",
        "0.00",
        "0.1",
        "-0.30",
        "12345678901234567890.123456789",
        "1E+400",
        "1E-9",
    ],
)
@pytest.mark.parametrize("place", PLACES, ids=["top", "object", "list", "deep"])
def test_a_decimal_keeps_its_digits(
    attributes_of: Convert, digits: str, place: Callable[[Any], Any]
) -> None:
    body = {"a": place(Decimal(digits))}
    for record in ({"userId": "1", "traits": body}, {"userId": "1", **body}):
        assert str(attributes_of("identify", record)) == str(body)


@pytest.mark.parametrize("number", NOT_FINITE, ids=repr)
@pytest.mark.parametrize("place", PLACES, ids=["top", "object", "list", "deep"])
@pytest.mark.parametrize("call", BODY)
def test_nan_and_infinities_are_rejected_at_any_depth(
    rejection: Callable[..., Any],
    call: str,
    number: Any,
    place: Callable[[Any], Any],
) -> None:
    rejection(call, {**WHO, BODY[call]: {"amount": place(number)}})
    row = {**WHO, "amount": place(number)}
    assert rejection(call, row).field == "amount"


@pytest.mark.parametrize("number", NOT_FINITE, ids=repr)
def test_nan_and_infinities_are_rejected_outside_the_traits_too(
    rejection: Callable[..., Any], number: Any
) -> None:
    relationship = {"objectId": "acme", "relationshipAttributes": {"a": number}}
    rejection("identify", {"userId": "1", "traits": relationship})
    rejection("group", {"groupId": "g", "userId": "1", "traits": relationship})
    rejection("identify", {"userId": "1", "traits": {}, "created_at": number})
    report = {"deliveryId": "d", "metric": "clicked", "actionValue": number}
    rejection("track", {"event": "Report Delivery Event", "properties": report})


@pytest.mark.parametrize("number", NOT_FINITE, ids=repr)
def test_a_record_s_own_email_that_is_nan_is_rejected(
    rejection: Callable[..., Any], number: Any
) -> None:
    rejection("identify", {"userId": "1", "email": number, "traits": {}})


@pytest.mark.parametrize("number", NOT_FINITE, ids=repr)
def test_a_device_version_that_is_nan_is_rejected(
    rejection: Callable[..., Any], number: Any
) -> None:
    context = {"device": {"token": "t", "type": "ios"}, "app": {"version": number}}
    record = {"userId": "1", "event": "Application Opened", "context": context}
    rejection("track", record)


@pytest.mark.parametrize("value", [True, False, "", " ", "text", [], {}, 1.5, None])
@pytest.mark.parametrize("call", BODY)
def test_values_of_every_kind_pass_as_they_are(
    attributes_of: Convert, call: str, value: Any
) -> None:
    body = {"a": value, "b": [value], "c": {"d": value}}
    attributes = attributes_of(call, {**WHO, BODY[call]: body})
    assert attributes == body
    assert type(attributes["a"]) is type(value) or value == 1.5


NULLS = {
    "gone": None,
    "kept": 1,
    "deep": {"gone": None, "er": {"gone": None, "kept": 0}},
    "list": [None, 1, {"gone": None, "kept": ""}, [None]],
}
NULLS_OMITTED = {
    "kept": 1,
    "deep": {"er": {"kept": 0}},
    "list": [None, 1, {"kept": ""}, [None]],
}


@pytest.mark.parametrize("call", BODY)
def test_nulls_are_sent_which_clears_attributes(
    attributes_of: Convert, call: str
) -> None:
    record = {**WHO, BODY[call]: NULLS}
    assert attributes_of(call, record) == NULLS
    assert attributes_of(call, record, null_attributes="send") == NULLS


@pytest.mark.parametrize("call", BODY)
def test_nulls_can_be_left_out_of_objects_but_not_of_lists(
    attributes_of: Convert, call: str
) -> None:
    record = {**WHO, BODY[call]: NULLS}
    assert attributes_of(call, record, null_attributes="omit") == NULLS_OMITTED


def test_nulls_of_a_row_follow_the_setting(attributes_of: Convert) -> None:
    row = {"user_id": 1, "plan": None, "seats": 5, "email": None}
    assert attributes_of("identify", row) == {"plan": None, "seats": 5, "email": None}
    assert attributes_of("identify", row, null_attributes="omit") == {"seats": 5}


def test_a_cleared_created_at_follows_the_setting(attributes_of: Convert) -> None:
    for name in ("created_at", "createdAt"):
        record = {"userId": "1", "traits": {name: None}}
        assert attributes_of("identify", record) == {"created_at": None}
        assert attributes_of("identify", record, null_attributes="omit") == {}


class Moment(datetime):
    """A date-time of a library, such as pandas."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2026, 3, 1), "2026-03-01"),
        (time(1, 2, 3), "01:02:03"),
        (datetime(2026, 3, 1, 1, tzinfo=timezone.utc), "2026-03-01T01:00:00+00:00"),
        (Moment(2026, 3, 1, 1, 2, 3, 4), "2026-03-01T01:02:03.000004"),
    ],
)
def test_dates_and_times_of_stream_maps_become_text(
    attributes_of: Callable[..., dict[str, Any]], value: Any, text: str
) -> None:
    record = {"userId": "1", "event": "x", "properties": {"at": value, "in": [value]}}
    attributes = attributes_of("track", record, convert_timestamps=False)
    assert attributes == {"at": text, "in": [text]}
