"""The call's own time."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

BASE: dict[str, Any] = {"userId": "1", "event": "x", "name": "x"}
BASE |= {"properties": {}, "traits": {}}
NOON = 1679407797
"""2023-03-21T14:09:57Z."""

TIMES = [
    (NOON, NOON),
    (0, 0),
    (1, 1),
    (-1, -1),
    (str(NOON), NOON),
    ("0", 0),
    (NOON * 1000, NOON),
    (NOON * 1000 + 999, NOON),
    (str(NOON * 1000 + 999), NOON),
    (1000000000000, 1000000000),
    (9999999999999, 9999999999),
    (float(NOON), NOON),
    (NOON + 0.9, NOON),
    (-0.5, -1),
    (Decimal("1679407797.999999999"), NOON),
    (Decimal("-1.1"), -2),
    ("1679407797.9", NOON),
    ("1679407797999.9", NOON),
    (Decimal("1679407797999.9"), NOON),
    ("1679407797999.99999999999999999999999999999", NOON),
    ("1679407797.99999999999999999999999999999", NOON),
    (Decimal("-1000000000000.5"), -1000000001),
    ("253402300799.9", 253402300799),
    ("2023-03-21T14:09:57Z", NOON),
    ("2023-03-21T14:09:57", NOON),
    ("2023-03-21 14:09:57", NOON),
    ("2023-03-21 14:09:57Z", NOON),
    ("2023-03-21T14:09:57.9Z", NOON),
    ("2023-03-21T14:09:57.999Z", NOON),
    ("2023-03-21T14:09:57.999999Z", NOON),
    ("2023-03-21 14:09:57.999999", NOON),
    ("2023-03-21T14:09:57.999999999+00:00", NOON),
    ("2023-03-21T14:09:57+00:00", NOON),
    ("2023-03-21T14:09:57+00", NOON),
    ("2023-03-21T14:09:57+0000", NOON),
    ("2023-03-21T19:39:57+05:30", NOON),
    ("2023-03-21T19:39:57+0530", NOON),
    ("2023-03-21T07:09:57-07", NOON),
    ("2023-03-21 07:09:57.123456-07:00", NOON),
    ("2023-03-22T00:09:57+10:00", NOON),
    ("1969-12-31T23:59:59.5Z", -1),
    ("2024-02-29T00:00:00Z", 1709164800),
    ("1970-01-01T00:00:00Z", 0),
]


@pytest.mark.parametrize(("value", "seconds"), TIMES)
@pytest.mark.parametrize("convert_timestamps", [True, False])
def test_the_call_s_time_is_always_made_unix_seconds(
    convert: Convert, value: Any, seconds: int, *, convert_timestamps: bool
) -> None:
    for call in ("track", "page", "screen", "identify"):
        for field in ("timestamp", "originalTimestamp", "original_timestamp"):
            operation = convert(
                call, {**BASE, field: value}, convert_timestamps=convert_timestamps
            )
            assert operation["timestamp"] == seconds
            assert type(operation["timestamp"]) is int


def test_timestamp_wins_over_original_timestamp(convert: Convert) -> None:
    record = {**BASE, "timestamp": 5, "originalTimestamp": 6}
    assert convert("track", record)["timestamp"] == 5
    for absent in (None, ""):
        record = {**BASE, "timestamp": absent, "originalTimestamp": 6}
        assert convert("track", record)["timestamp"] == 6


@pytest.mark.parametrize(
    "wrong",
    [
        "yesterday",
        "2023-13-01T00:00:00Z",
        "2023-02-30T00:00:00Z",
        "2023-03-21T25:00:00Z",
        "2023-03-21T14:60:00Z",
        "2023-03-21T14:09:57+99:00",
        "2023-03-21T14:09:57 o'clock",
        "T14:09:57Z",
        " ",
        "1e9",
        "NaN",
        "Infinity",
        True,
        False,
        [],
        {},
        [NOON],
        {"seconds": NOON},
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("-Infinity"),
    ],
)
@pytest.mark.parametrize("call", ["track", "page", "screen", "identify"])
def test_an_invalid_time_rejects_the_record(
    rejection: Callable[..., Any], call: str, wrong: Any
) -> None:
    assert rejection(call, {**BASE, "timestamp": wrong}).field == "timestamp"


@pytest.mark.parametrize(
    "wrong",
    [10**30, -(10**30), 10**400, "9" * 400, "9" * 5000, 1e300, Decimal("1E+400")],
    ids=["long", "below", "longer", "text", "endless", "float", "decimal"],
)
def test_a_time_out_of_range_rejects_only_its_record(
    rejection: Callable[..., Any], wrong: Any
) -> None:
    assert rejection("track", {**BASE, "timestamp": wrong}).field == "timestamp"


@pytest.mark.parametrize(
    "event", ["User Deleted", "User Suppressed", "User Unsuppressed", "Object Deleted"]
)
def test_actions_without_a_timestamp_field_carry_no_time(
    convert: Convert, event: str
) -> None:
    record = {**BASE, "event": event, "timestamp": NOON, "objectId": "acme"}
    assert "timestamp" not in convert("track", record)


def test_a_merge_carries_no_time(convert: Convert) -> None:
    record = {"userId": "a", "previousId": "b", "timestamp": NOON}
    assert "timestamp" not in convert("alias", record)


@pytest.mark.parametrize("power", [5, 6, 9])
def test_a_number_with_any_exponent_is_handled(power: int, rejection: Any) -> None:
    timestamp = Decimal(f"1e{10**power}")
    record = {"userId": "u", "event": "e", "timestamp": timestamp}
    assert rejection("track", record).reason == "invalid_timestamp"
