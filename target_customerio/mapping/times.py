"""Times: whatever the source calls a time, Customer.io takes Unix seconds.

Source: ``timestamp`` in the schemas ``identify_person`` and ``person_event``, and
"Conversion timestamps" in the destination's documentation.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from target_customerio.errors import RejectedRecord

if TYPE_CHECKING:
    from target_customerio.track_api.operations import JSON


_DATE: Final = r"(\d{4}-\d{2}-\d{2})"
_TIME: Final = r"(\d{2}):(\d{2})(?::(\d{2})"
_OFFSET: Final = r"(Z|[+-]\d{2}(?::?\d{2})?)"

UNTYPED_DATE_TIME: Final = re.compile(
    rf"{_DATE}T{_TIME}(?:\.\d{{1,3}})?)?{_OFFSET}?", re.ASCII
)
"""An ISO-8601 date-time down to milliseconds: converted wherever it stands."""

TYPED_DATE_TIME: Final = re.compile(
    rf"{_DATE}(?:[Tt ]{_TIME}(?:[.,]\d+)?)?\s?"
    r"([Zz]|UTC|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)?)?",
    re.ASCII,
)
"""A date or date-time at any precision: converted where the schema says so."""

BEYOND_THE_CALENDAR: Final = re.compile(
    r"(?:[+-]?\d{5,}|-\d{4}|0000)-\d{2}-\d{2}(?:[Tt ].*)?|\d{4,}-\d{2}-\d{2}.* BC",
    re.ASCII,
)
"""A date whose year lies outside 1 to 9999."""

_DIGITS: Final = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_ZERO_DATE: Final = re.compile(r"0000-\d\d-\d\d|\d{4}-00-\d\d|\d{4}-\d\d-00", re.ASCII)
"""The beginning of a date of MySQL's that lacks a year, a month or a day."""
_EIGHT_DIGITS: Final = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_SECONDS_A_DAY: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EPOCH_ORDINAL: Final = _EPOCH.toordinal()
_EARLIEST: Final = (date.min.toordinal() - _EPOCH_ORDINAL) * _SECONDS_A_DAY
_LATEST: Final = (date.max.toordinal() - _EPOCH_ORDINAL + 1) * _SECONDS_A_DAY - 1
_MILLISECONDS: Final = (10**12, 10**13)
"""Thirteen digits: milliseconds from 2001 to 2286."""


_SECONDS: Final = {f"{second:02}": second for second in range(60)}
_ENDS: Final = frozenset({"", "Z"} | {f".{number:03}Z" for number in range(1000)})
"""What follows the seconds in the form that most sources write."""


class OutOfRange(ValueError):  # noqa: N818 - a fact rather than a fault
    """A time lies outside the years 1 to 9999."""


@lru_cache(maxsize=8192)
def _unix_of_minute(text: str) -> int:
    """Compute the Unix seconds at which a minute of UTC begins; many events share one.

    Args:
        text: A text of 17 characters, for instance ``2023-05-18T22:51:``.

    Returns:
        Unix seconds.

    Raises:
        ValueError: The text is nothing of the kind.
    """
    if text[10] != "T":
        raise ValueError("no such time of day")
    since = msgspec.convert(f"{text}00Z", datetime) - _EPOCH
    return since.days * _SECONDS_A_DAY + since.seconds


@lru_cache(maxsize=8192)
def _minute(day: str, hour: str, minute: str) -> int:
    """Compute the Unix seconds at which a minute begins; many events share one.

    Raises:
        ValueError: There is no such day or time of day.
    """
    ordinal = date(int(day[:4]), int(day[5:7]), int(day[8:])).toordinal()
    hours, minutes = int(hour), int(minute)
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - a clock's own
        raise ValueError("no such time of day")
    return (ordinal - _EPOCH_ORDINAL) * _SECONDS_A_DAY + hours * 3600 + minutes * 60


@lru_cache(maxsize=256)
def _offset_seconds(offset: str) -> int:
    if offset in {"Z", "z", "UTC"}:
        return 0
    digits = offset[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hours > 23 or minutes > 59 or seconds > 59:  # noqa: PLR2004 - a clock's own
        raise ValueError("no such offset")
    seconds += hours * 3600 + minutes * 60
    return -seconds if offset[0] == "-" else seconds


def _unix_of(match: re.Match[str]) -> int:
    """Compute Unix seconds; a time without an offset is UTC, fractions are floored.

    Raises:
        ValueError: There is no such day or time of day.
        OutOfRange: It lies outside the years 1 to 9999.
    """
    day, hour, minute, second, offset = match.groups()
    if hour is None:
        return _minute(day, "00", "00")
    seconds = _minute(day, hour, minute)
    if second is not None:
        seconds += int(second)
        if second > "60":  # leap seconds exist
            raise ValueError("no such time of day")
    if offset is not None and offset != "Z":
        seconds -= _offset_seconds(offset)
        if not _EARLIEST <= seconds <= _LATEST:
            raise OutOfRange
    return seconds


def _unix_of_canonical(text: str) -> int | None:
    """Compute Unix seconds of a date-time as most sources write it.

    That takes a third of the time, and is done several times a record.

    Args:
        text: Any text.

    Returns:
        Unix seconds, or ``None`` where the text has to be looked at more closely.
    """
    second = _SECONDS.get(text[17:19])
    if second is None or text[19:] not in _ENDS:
        return None
    try:
        return _unix_of_minute(text[:17]) + second
    except ValueError:
        return None


def _unix_of_object(value: date) -> int:
    """Compute Unix seconds of a date or datetime object, as Parquet files hold them."""
    if not isinstance(value, datetime):
        return (value.toordinal() - _EPOCH_ORDINAL) * _SECONDS_A_DAY
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    return math.floor(value.timestamp())


def untyped_time(text: str) -> int | str:
    """Convert a string that is an ISO-8601 date-time down to milliseconds.

    Args:
        text: Any string in untyped JSON.

    Returns:
        Unix seconds, or the string itself where it is anything else.
    """
    seconds = _unix_of_canonical(text)
    if seconds is not None:
        return seconds
    match = UNTYPED_DATE_TIME.fullmatch(text)
    if match is None:
        return text
    try:
        return _unix_of(match)
    except ValueError:
        return text


def typed_time(value: JSON, field: str) -> JSON:
    """Convert a value that the stream's schema types ``date-time`` or ``date``.

    Args:
        value: The value, usually a string.
        field: Its name, for the rejection.

    Returns:
        Unix seconds; ``None`` for blank text and a zero date; the value itself where
        it is null or lies outside the years 1 to 9999.

    Raises:
        RejectedRecord: The value is text, but not a date.
    """
    if not isinstance(value, str):
        return _typed_number(value)
    seconds = _unix_of_canonical(value)
    if seconds is not None:
        return seconds
    try:
        return _typed_text(value)
    except OutOfRange:
        return value
    except ValueError:
        raise RejectedRecord(
            "invalid_date",
            field,
            "the stream's schema types this field as a date, but its text is not one",
        ) from None


def _typed_text(text: str) -> int | None:
    """Read the text of a typed field.

    Raises:
        ValueError: It is not a date.
        OutOfRange: It lies outside the years 1 to 9999.
    """
    if not text or text.isspace():
        return None
    match = TYPED_DATE_TIME.fullmatch(text)
    if match is not None:
        return None if _ZERO_DATE.match(text) else _unix_of(match)
    if _DIGITS.fullmatch(text):
        return _typed_digits(text)
    if BEYOND_THE_CALENDAR.fullmatch(text):
        raise OutOfRange
    raise ValueError("not a date")


def _typed_number(value: JSON) -> JSON:
    if isinstance(value, date):
        return _unix_of_object(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return value
    if isinstance(value, int) and abs(value) < _MILLISECONDS[0]:
        return _typed_digits(str(value)) if 10**7 <= value < 10**8 else value
    seconds = _seconds_of(value)
    return value if seconds is None else seconds


def _typed_digits(text: str) -> int | None:
    """Read digits as a date (20200101), else as a number of seconds.

    Raises:
        OutOfRange: They lie outside the years 1 to 9999.
    """
    digits = _EIGHT_DIGITS.fullmatch(text)
    if digits is not None:
        as_date = "-".join(digits.groups())
        try:
            return _minute(as_date, "00", "00")
        except ValueError:
            if _ZERO_DATE.match(as_date) and as_date[5:] <= "12-31":
                return None
    seconds = _seconds_of(Decimal(text))
    if seconds is None:
        raise OutOfRange
    return seconds


def call_time(value: JSON, field: str) -> int:
    """Convert the call's own time, which Customer.io takes as Unix seconds only.

    Args:
        value: Digits in seconds or (13 of them) milliseconds, or an ISO-8601 date or
            date-time.
        field: Its name, for the rejection.

    Returns:
        Unix seconds.

    Raises:
        RejectedRecord: The value is no time.
    """
    if isinstance(value, str):
        seconds = _unix_of_canonical(value)
        if seconds is not None:
            return seconds
        match = UNTYPED_DATE_TIME.fullmatch(value) or TYPED_DATE_TIME.fullmatch(value)
        if match is not None:
            try:
                return _unix_of(match)
            except ValueError:
                raise _no_time(field) from None
        value = Decimal(value) if _DIGITS.fullmatch(value) else value
    if isinstance(value, date):
        return _unix_of_object(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _no_time(field)
    seconds = _seconds_of(value)
    if seconds is None:
        raise _no_time(field)
    return seconds


def _seconds_of(value: float | Decimal) -> int | None:
    """Read a number of Unix seconds or, if it has 13 digits, milliseconds.

    Returns:
        Unix seconds, or ``None`` where they lie outside the years 1 to 9999.
    """
    number = Decimal(value)
    if not number.is_finite():
        return None
    least, beyond = _MILLISECONDS
    if least <= number.copy_abs() < beyond:
        return math.floor(number) // 1000
    if not _EARLIEST <= number < _LATEST + 1:
        return None
    return math.floor(number)


def _no_time(field: str) -> RejectedRecord:
    return RejectedRecord(
        "invalid_timestamp",
        field,
        "not a time: expected Unix seconds, Unix milliseconds or an ISO-8601 date-time",
    )
