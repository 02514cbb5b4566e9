"""Conversion of times to Unix seconds.

Source: ``timestamp`` in the schemas ``identify_person`` and ``person_event``, and
"Conversion timestamps" in the destination's documentation.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.fields import is_blank

if TYPE_CHECKING:
    from target_customerio.track_api.operations import JSON


_DATE: Final = r"(\d{4}-\d{2}-\d{2})"
_TIME: Final = r"(\d{2}):(\d{2})(?::(\d{2})"
_OFFSET: Final = r"(Z|[+-]\d{2}(?::?\d{2})?)"

UNTYPED_DATE_TIME: Final = re.compile(
    rf"{_DATE}T{_TIME}(?:\.\d{{1,3}})?)?{_OFFSET}?", re.ASCII
)
"""An ISO-8601 date-time down to milliseconds: converted in any field."""

TYPED_DATE_TIME: Final = re.compile(
    rf"{_DATE}(?:[Tt ]{_TIME}(?:[.,]\d+)?)?\s?"
    r"([Zz]|UTC|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)?)?",
    re.ASCII,
)
"""A date or date-time of any precision: converted in typed fields."""

OUTSIDE_CALENDAR: Final = re.compile(
    r"(?:[+-]?\d{5,}|-\d{4}|0000)-\d{2}-\d{2}(?:[Tt ].*)?|\d{4,}-\d{2}-\d{2}.* BC",
    re.ASCII,
)
"""A date outside the years 1 to 9999."""

_DIGITS: Final = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_ZERO_DATE: Final = re.compile(r"0000-\d\d-\d\d|\d{4}-00-\d\d|\d{4}-\d\d-00", re.ASCII)
"""The beginning of a MySQL date with a year, month or day of zeros."""
_EIGHT_DIGITS: Final = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_SECONDS_A_DAY: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EPOCH_ORDINAL: Final = _EPOCH.toordinal()
_EARLIEST: Final = (date.min.toordinal() - _EPOCH_ORDINAL) * _SECONDS_A_DAY
_LATEST: Final = (date.max.toordinal() - _EPOCH_ORDINAL + 1) * _SECONDS_A_DAY - 1
_MILLISECONDS: Final = (10**12, 10**13)
"""Numbers of 13 digits: milliseconds from 2001 to 2286."""

_SECONDS: Final = {f"{second:02}": second for second in range(60)}
_ENDS: Final = frozenset({"", "Z"} | {f".{number:03}Z" for number in range(1000)})
"""What follows the seconds in the usual form."""


class OutOfRangeError(ValueError):
    """A time is outside the years 1 to 9999."""


@lru_cache(maxsize=8192)
def _unix_of_minute(text: str) -> int:
    """Return Unix seconds of the start of a minute like ``2023-05-18T22:51:``."""
    if text[10] != "T":
        raise ValueError("no such time of day")
    since = msgspec.convert(f"{text}00Z", datetime) - _EPOCH
    return since.days * _SECONDS_A_DAY + since.seconds


@lru_cache(maxsize=8192)
def _minute(day: str, hour: str, minute: str) -> int:
    """Return Unix seconds of the start of a minute; many events share one."""
    ordinal = date(int(day[:4]), int(day[5:7]), int(day[8:])).toordinal()
    hours, minutes = int(hour), int(minute)
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - limits of a clock
        raise ValueError("no such time of day")
    return (ordinal - _EPOCH_ORDINAL) * _SECONDS_A_DAY + hours * 3600 + minutes * 60


@lru_cache(maxsize=256)
def _offset_seconds(offset: str) -> int:
    if offset in {"Z", "z", "UTC"}:
        return 0
    digits = offset[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hours > 23 or minutes > 59 or seconds > 59:  # noqa: PLR2004 - limits of a clock
        raise ValueError("no such offset")
    seconds += hours * 3600 + minutes * 60
    return -seconds if offset[0] == "-" else seconds


def _unix_of(match: re.Match[str]) -> int:
    """Return Unix seconds, rounded down; without an offset, the time is UTC."""
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
            raise OutOfRangeError
    return seconds


def _unix_of_canonical(text: str) -> int | None:
    """Return Unix seconds of a text like ``2023-05-18T22:51:09.123Z``, else ``None``.

    Fast path for the usual form: a third of the instructions of :func:`_unix_of`.
    """
    second = _SECONDS.get(text[17:19])
    if second is None or text[19:] not in _ENDS:
        return None
    try:
        return _unix_of_minute(text[:17]) + second
    except ValueError:
        return None


def _unix_of_object(value: date) -> int:
    """Return Unix seconds of a date or datetime object, as read from Parquet files."""
    if not isinstance(value, datetime):
        return (value.toordinal() - _EPOCH_ORDINAL) * _SECONDS_A_DAY
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    return math.floor(value.timestamp())


def untyped_time(text: str) -> int | str:
    """Return Unix seconds of a date-time down to milliseconds, else the text."""
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
    """Return Unix seconds of a value that the schema types ``date-time`` or ``date``.

    Blank text and zero dates are ``None``; values out of range are not changed.
    """
    if not isinstance(value, str):
        return _typed_number(value)
    seconds = _unix_of_canonical(value)
    if seconds is not None:
        return seconds
    try:
        return _typed_text(value)
    except OutOfRangeError:
        return value
    except ValueError:
        raise RejectedRecord(
            "invalid_date",
            field,
            "not a date, but the stream's schema types this field as a date",
        ) from None


def _typed_text(text: str) -> int | None:
    """Return Unix seconds of text in a typed field, or ``None``."""
    if is_blank(text):
        return None
    match = TYPED_DATE_TIME.fullmatch(text)
    if match is not None:
        return None if _ZERO_DATE.match(text) else _unix_of(match)
    if _DIGITS.fullmatch(text):
        return _typed_digits(text)
    if OUTSIDE_CALENDAR.fullmatch(text):
        raise OutOfRangeError
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
    """Return Unix seconds of digits: a date like 20200101, else seconds."""
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
        raise OutOfRangeError
    return seconds


def is_deletion(value: JSON, field: str) -> bool:
    """Tell whether a column such as ``deleted_at`` says that its row is deleted.

    It does with a time or with true. Tables whose column cannot be null have 0, false,
    a zero date or blank text in rows that are not deleted. Other text is rejected: what
    is deleted by mistake cannot be restored.
    """
    with suppress(RejectedRecord):
        moment = typed_time(value, field)
        is_number = isinstance(moment, (int, float, Decimal)) and math.isfinite(moment)
        if moment is None or is_number or isinstance(moment, str):
            return bool(moment)
    raise RejectedRecord(
        "invalid_timestamp",
        field,
        "neither a time nor a boolean (text such as 'true' is not one), so whether the "
        "row is deleted is unknown",
    )


def call_time(value: JSON, field: str) -> int:
    """Return Unix seconds of a call's own time: a number, a date or a date-time."""
    if isinstance(value, str):
        seconds = _unix_of_canonical(value)
        if seconds is not None:
            return seconds
        match = UNTYPED_DATE_TIME.fullmatch(value) or TYPED_DATE_TIME.fullmatch(value)
        if match is not None:
            try:
                return _unix_of(match)
            except ValueError:
                raise _not_a_time(field) from None
        value = Decimal(value) if _DIGITS.fullmatch(value) else value
    if isinstance(value, date):
        return _unix_of_object(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _not_a_time(field)
    seconds = _seconds_of(value)
    if seconds is None:
        raise _not_a_time(field)
    return seconds


def _seconds_of(value: float | Decimal) -> int | None:
    """Return Unix seconds of a number of seconds, or of 13-digit milliseconds."""
    number = Decimal(value)
    if not number.is_finite():
        return None
    least, beyond = _MILLISECONDS
    if least <= number.copy_abs() < beyond:
        return math.floor(number) // 1000
    if not _EARLIEST <= number < _LATEST + 1:
        return None
    return math.floor(number)


def _not_a_time(field: str) -> RejectedRecord:
    return RejectedRecord(
        "invalid_timestamp",
        field,
        "not a time: expected Unix seconds, Unix milliseconds or an ISO-8601 date-time",
    )
