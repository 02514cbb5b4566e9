"""Prepares attribute values: converts dates to Unix seconds and omits nulls.

Input is never changed; objects and lists are copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import msgspec

from target_customerio.errors import RejectedRecord
from target_customerio.json_codec import encode
from target_customerio.mapping.schema_types import (
    DECIMAL,
    ITEMS,
    NO_DATES,
    OTHERS,
    POSITION,
    SELF,
    Typed,
    resolve_patterns,
)
from target_customerio.mapping.times import call_time, typed_time, untyped_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from msgspec import Raw

    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.track_api.operations import JSON, Attributes


BELOW_DATE_TIME: Final = len("2023-05-18T22:5")
"""Length of text that is too short for a date-time."""

UNCHANGED: Final = frozenset({int, bool, type(None)})

_NOT_FINITE: Final = re.compile(
    r"\s*[+-]?(?:s?nan\d*|inf(?:inity)?)\s*", re.ASCII | re.IGNORECASE
)


class Cleaner:
    """Prepares values for Customer.io."""

    def __init__(self, *, convert_timestamps: bool, omit_nulls: bool) -> None:
        """Set whether dates are converted, and whether nulls in objects are omitted."""
        self._convert = convert_timestamps
        self._omit = omit_nulls
        self._by_type: Final[dict[type, Callable[[Any, DateTree, str], JSON]]] = {
            str: self._text,
            dict: self._object,
            list: self._list,
            Decimal: self._decimal,
        }

    def attributes(
        self,
        values: Mapping[str, JSON],
        dates: DateTree = NO_DATES,
        without: frozenset[str] = frozenset(),
    ) -> Attributes:
        """Return the prepared traits or properties, except those in `without`."""
        if without:
            values = {
                name: value for name, value in values.items() if name not in without
            }
        return self._object(values, dates, "")

    def encoded(self, values: Mapping[str, JSON], dates: DateTree) -> Attributes | Raw:
        """Return prepared properties, or their JSON text if that is faster."""
        return self.attributes(values, dates)

    def value(self, value: JSON, dates: DateTree, field: str) -> JSON:
        """Return a prepared value; `field` is the attribute, for the rejection."""
        prepare = self._by_type.get(type(value))
        if prepare is not None:
            return prepare(value, dates, field)
        if type(value) in UNCHANGED:
            return value
        return self._unusual(value, dates, field)

    def _text(self, text: str, _dates: DateTree, _field: str) -> JSON:
        return untyped_time(text) if self._convert else text

    def _object(
        self, values: Mapping[str, Any], dates: DateTree, field: str
    ) -> Attributes:
        """Return a prepared object; common types are handled without a call."""
        cleaned: Attributes = {}
        if dates:
            values = self._with_typed(values, dates, field)
        for name, value in values.items():
            kind = type(value)
            if value is None:
                if not self._omit:
                    cleaned[name] = None
            elif kind is str:
                if len(value) > BELOW_DATE_TIME and value[10] == "T":
                    cleaned[name] = self._text(value, NO_DATES, name)
                else:
                    cleaned[name] = value
            elif kind in UNCHANGED:
                cleaned[name] = value
            else:
                cleaned[name] = self.value(value, NO_DATES, field or name)
        return cleaned

    def _with_typed(
        self, values: Mapping[str, JSON], dates: DateTree, field: str
    ) -> Mapping[str, JSON]:
        """Return the values, with the typed fields converted."""
        if OTHERS in dates:
            dates = resolve_patterns(dates, values)
        converted = {
            name: self._typed(values[name], typed, field or name)
            for name, typed in dates.items()
            if name in values
        }
        return {**values, **converted}

    def _list(self, value: Sequence[JSON], dates: DateTree, field: str) -> JSON:
        if dates:
            rest = dates.get(ITEMS, NO_DATES)
            return [
                self._typed(item, dates.get(f"{POSITION}{index}", rest), field)
                for index, item in enumerate(value)
            ]
        return [
            item if type(item) in UNCHANGED else self.value(item, NO_DATES, field)
            for item in value
        ]

    @staticmethod
    def _decimal(value: Decimal, _dates: DateTree, field: str) -> JSON:
        if value.is_finite():
            return value
        raise _not_finite(field)

    def time_or_value(
        self, value: JSON, typed: DateTree | Typed | None, field: str
    ) -> JSON:
        """Return Unix seconds if the value reads as a call's time, else the value."""
        if self._convert and isinstance(typed, Typed) and typed is not Typed.DECIMAL:
            value = self._date(value, Typed.DATE_OR_TEXT, field)
        try:
            return call_time(value, field)
        except RejectedRecord:
            return self.value(value, NO_DATES, field)

    def _typed(self, value: JSON, typed: DateTree | Typed, field: str) -> JSON:
        """Return a prepared value of a typed field."""
        if not isinstance(typed, Typed):
            own = typed.get(SELF)
            if not isinstance(own, Typed) or isinstance(value, (Mapping, list, tuple)):
                return self.value(value, typed, field)
            typed = own
        if typed is Typed.DECIMAL:
            value = _exact_number(value, field)
        elif self._convert:
            value = self._date(value, typed, field)
        return self.value(value, NO_DATES, field)

    @staticmethod
    def _date(value: JSON, typed: Typed, field: str) -> JSON:
        try:
            return typed_time(value, field)
        except RejectedRecord:
            if typed is Typed.DATE:
                raise
            return value

    def _unusual(self, value: JSON, dates: DateTree, field: str) -> JSON:
        """Return a prepared value of a type that only stream maps give.

        Dates and times become text here, because msgspec encodes no subclasses of them.
        """
        if isinstance(value, float):
            if isfinite(value):
                return value
            raise _not_finite(field)
        if isinstance(value, Mapping):
            return self._object(value, dates, field)
        if isinstance(value, (list, tuple)):
            return self._list(value, dates, field)
        if isinstance(value, date):
            return typed_time(value, field) if self._convert else value.isoformat()
        if isinstance(value, time):
            return value.isoformat()
        if isinstance(value, (str, int)):
            return value
        raise RejectedRecord(
            "invalid_type", field, "the value cannot be written as JSON"
        )


def _exact_number(value: JSON, field: str) -> JSON:
    """Return the number in a text; other text is not changed."""
    if not isinstance(value, str):
        return value
    if DECIMAL.fullmatch(value):
        try:
            return Decimal(value)
        except InvalidOperation:  # the exponent is out of range
            return value
    if _NOT_FINITE.fullmatch(value):
        raise _not_finite(field)
    return value


def check_finite(value: JSON, field: str) -> None:
    """Reject a value that contains a NaN or an infinity at any depth."""
    if isinstance(value, (float, Decimal)):
        if not isfinite(value):
            raise _not_finite(field)
    elif isinstance(value, Mapping):
        for each in value.values():
            check_finite(each, field)
    elif isinstance(value, (list, tuple)):
        for each in value:
            check_finite(each, field)


def _not_finite(field: str) -> RejectedRecord:
    return RejectedRecord("not_finite", field, "NaN and infinity are not valid in JSON")


_DATE: Final = Typed.DATE
"""An alias, because looking it up in the class costs time for each value."""

MAY_HOLD_DATES: Final = frozenset({str, dict, list})

_T: Final = ord("T")
"""As a number: ten times as fast to find in bytes as a text of one character."""

_DAY: Final = len('"2023-05-18')
_MAY_BE_A_DATE_TIME: Final = re.compile(
    rb'T(?<=[:,\[]"\d{4}-\d\d-\d\dT)\d\d:\d\d[^"\\]*"(?=[,\]}])'
)
"""A string in compact JSON that may be a date-time and is not the name of a field.

Quotes within text are escaped, so a quote after a colon, comma or bracket opens a
string, or closes one and is not followed by a digit. The pattern begins with its
rarest character, which makes the search fast.
"""


class JSONCleaner(Cleaner):
    """Prepares values that were decoded from JSON; faster than :class:`Cleaner`."""

    def attributes(
        self,
        values: Mapping[str, JSON],
        dates: DateTree = NO_DATES,
        without: frozenset[str] = frozenset(),
    ) -> Attributes:
        """Return prepared traits or properties; objects and lists may be encoded."""
        if self._omit:
            return super().attributes(values, dates, without)
        cleaned = {**values}
        for name in without:
            cleaned.pop(name, None)
        if dates:
            dates = self._convert_typed(cleaned, dates)
        if self._convert:
            _convert_untyped(cleaned, dates)
        return cleaned

    def encoded(
        self, values: Mapping[str, JSON], dates: DateTree
    ) -> Attributes | msgspec.Raw:
        """Return the JSON text of prepared properties, or the properties."""
        if self._omit or not self._convert:
            return self.attributes(values, dates)
        if dates:
            values = {**values}
            self._convert_typed(values, dates)
        return _encoded(values)

    def _convert_typed(self, values: Attributes, dates: DateTree) -> DateTree:
        """Convert the typed fields; return their types."""
        if OTHERS in dates:
            dates = resolve_patterns(dates, values)
        for name, typed in dates.items():
            value = values.get(name)
            if type(value) is str and typed is _DATE and self._convert:
                values[name] = typed_time(value, name)
            elif value is not None:
                values[name] = self._typed(value, typed, name)
        return dates


def _convert_untyped(values: dict[str, Any], dates: DateTree) -> None:
    for name, value in values.items():
        kind = type(value)
        if kind not in MAY_HOLD_DATES or name in dates:
            continue
        if kind is not str:
            values[name] = _encoded(value)
        elif len(value) > BELOW_DATE_TIME and value[10] == "T":
            values[name] = untyped_time(value)


def _encoded(value: JSON) -> msgspec.Raw:
    """Return the JSON text of a value, with date-times as Unix seconds."""
    text = encode(value)
    if _T not in text or _MAY_BE_A_DATE_TIME.search(text) is None:
        return msgspec.Raw(text)
    parts: list[bytes] = []
    end = 0
    for found in _MAY_BE_A_DATE_TIME.finditer(text):
        start = found.start() - _DAY
        seconds = untyped_time(text[start + 1 : found.end() - 1].decode())
        if not isinstance(seconds, str):
            parts += text[end:start], b"%d" % seconds
            end = found.end()
    parts.append(text[end:])
    return msgspec.Raw(b"".join(parts))
