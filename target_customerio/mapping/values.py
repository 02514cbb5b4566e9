"""Values on their way out: dates made Unix seconds, nulls kept or left out.

Nothing that comes in is ever changed; containers are rebuilt.
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
    ITEMS,
    NO_DATES,
    OTHERS,
    POSITION,
    SELF,
    Typed,
    of_object,
)
from target_customerio.mapping.times import call_time, typed_time, untyped_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from msgspec import Raw

    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.track_api.operations import JSON, Attributes


SHORTER_THAN_A_DATE_TIME: Final = len("2023-05-18T22:5")
UNCHANGED: Final = frozenset({int, bool, type(None)})

_DECIMAL: Final = re.compile(
    r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII
)
_NOT_FINITE: Final = re.compile(
    r"\s*[+-]?(?:s?nan\d*|inf(?:inity)?)\s*", re.ASCII | re.IGNORECASE
)


class Cleaner:
    """Prepares values for Customer.io by the two settings that concern them."""

    def __init__(self, *, convert_timestamps: bool, omit_nulls: bool) -> None:
        """Fix the settings.

        Args:
            convert_timestamps: Make Unix seconds of dates.
            omit_nulls: Leave out nulls in objects, at any depth; lists keep theirs.
        """
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
        """Prepare the traits or properties of a call.

        Args:
            values: The traits or properties as they came.
            dates: Those that the schema types as dates.
            without: Names that are left out.

        Returns:
            A new object.

        Raises:
            RejectedRecord: A value is no JSON, or a typed date is none.
        """
        if without:
            values = {
                name: value for name, value in values.items() if name not in without
            }
        return self._object(values, dates, "")

    def encoded(self, values: Mapping[str, JSON], dates: DateTree) -> Attributes | Raw:
        """Prepare properties that nobody will look into any more.

        Args:
            values: The properties as they came.
            dates: Those that the schema types as dates.

        Returns:
            A new object, or the JSON text of one where that comes more easily.

        Raises:
            RejectedRecord: A value is no JSON, or a typed date is none.
        """
        return self.attributes(values, dates)

    def value(self, value: JSON, dates: DateTree, field: str) -> JSON:
        """Prepare one value of any kind.

        Args:
            value: The value.
            dates: The dates below it.
            field: The attribute that it belongs to, for the rejection.

        Returns:
            The value, or a new one.

        Raises:
            RejectedRecord: The value is no JSON, or a typed date is none.
        """
        prepare = self._by_type.get(type(value))
        if prepare is not None:
            return prepare(value, dates, field)
        if type(value) in UNCHANGED:
            return value
        return self._unusual(value, dates, field)

    def _text(self, text: str, _dates: DateTree, _field: str) -> JSON:
        return untyped_time(text) if self._convert else text

    def _object(
        self, values: Mapping[str, JSON], dates: DateTree, field: str
    ) -> Attributes:
        """Prepare an object; the commonest values are dealt with on the spot."""
        cleaned: Attributes = {}
        if dates:
            values = self._with_typed(values, dates, field)
        for name, value in values.items():
            kind = type(value)
            if value is None:
                if not self._omit:
                    cleaned[name] = None
            elif kind is str:
                if len(value) > SHORTER_THAN_A_DATE_TIME and value[10] == "T":
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
        """Return the values with those converted that the schema types."""
        if OTHERS in dates:
            dates = of_object(dates, values)
        converted = {
            name: self._typed(values[name], typed, field or name)
            for name, typed in dates.items()
            if name in values
        }
        return {**values, **converted}

    def _list(self, value: JSON, dates: DateTree, field: str) -> JSON:
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

    def moment(self, value: JSON, typed: DateTree | Typed | None, field: str) -> JSON:
        """Prepare a value that is a time if it can be read as a call's own time.

        Args:
            value: The value.
            typed: What the schema says of it.
            field: The attribute, for the rejection.

        Returns:
            Unix seconds, or the value where it is no time.

        Raises:
            RejectedRecord: The value has no form in JSON.
        """
        if self._convert and isinstance(typed, Typed) and typed is not Typed.DECIMAL:
            value = self._date(value, Typed.DATE_OR_TEXT, field)
        try:
            return call_time(value, field)
        except RejectedRecord:
            return self.value(value, NO_DATES, field)

    def _typed(self, value: JSON, typed: DateTree | Typed, field: str) -> JSON:
        """Prepare a value of which the schema says what it is."""
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
        """Prepare what JSON text never holds, but a stream map or Parquet may."""
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
    """Make a number of text that is one."""
    if not isinstance(value, str):
        return value
    if _DECIMAL.fullmatch(value):
        try:
            return Decimal(value)
        except InvalidOperation:  # an exponent beyond all numbers
            return value
    if _NOT_FINITE.fullmatch(value):
        raise _not_finite(field)
    return value


def _not_finite(field: str) -> RejectedRecord:
    return RejectedRecord("not_finite", field, "NaN and infinity are not valid in JSON")


_DATE: Final = Typed.DATE
"""By a name of its own, since to find it in its class takes time for each value."""

MAY_HOLD_DATES: Final = frozenset({str, dict, list})

_T: Final = ord("T")
"""As a number, which is found ten times as fast as the text of one character."""

_DAY: Final = len('"2023-05-18')
_MAY_BE_A_DATE_TIME: Final = re.compile(
    rb'T(?<=[:,\[]"\d{4}-\d\d-\d\dT)\d\d:\d\d[^"\\]*"(?=[,\]}])'
)
"""A whole string of compact JSON that may be a date-time, and is no name of a field.

In text, a quotation mark stands behind a backslash; so one that follows a colon, a
comma or a bracket opens a string, unless it closes one, and then no digit follows. The
pattern begins with the one character that is rare, for which it is searched.
"""


class JSONCleaner(Cleaner):
    """Prepares values that a JSON decoder has made."""

    def attributes(
        self,
        values: Mapping[str, JSON],
        dates: DateTree = NO_DATES,
        without: frozenset[str] = frozenset(),
    ) -> Attributes:
        """Prepare the traits or properties of a call.

        Args:
            values: The traits or properties, as a JSON decoder made them.
            dates: Those that the schema types as dates.
            without: Names that are left out.

        Returns:
            A new object; those in it and the lists may be encoded already.

        Raises:
            RejectedRecord: A typed date is none.
        """
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
        """Prepare properties that nobody will look into any more.

        Args:
            values: The properties, as a JSON decoder made them.
            dates: Those that the schema types as dates.

        Returns:
            The JSON text of a new object, or the object.

        Raises:
            RejectedRecord: A typed date is none.
        """
        if self._omit or not self._convert:
            return self.attributes(values, dates)
        if dates:
            values = {**values}
            self._convert_typed(values, dates)
        return _encoded(values)

    def _convert_typed(self, values: Attributes, dates: DateTree) -> DateTree:
        """Convert the fields that the schema types, and return which they are."""
        if OTHERS in dates:
            dates = of_object(dates, values)
        for name, typed in dates.items():
            value = values.get(name)
            if type(value) is str and typed is _DATE and self._convert:
                values[name] = typed_time(value, name)
            elif value is not None:
                values[name] = self._typed(value, typed, name)
        return dates


def _convert_untyped(values: Attributes, dates: DateTree) -> None:
    for name, value in values.items():
        kind = type(value)
        if kind not in MAY_HOLD_DATES or name in dates:
            continue
        if kind is not str:
            values[name] = _encoded(value)
        elif len(value) > SHORTER_THAN_A_DATE_TIME and value[10] == "T":
            values[name] = untyped_time(value)


def _encoded(value: JSON) -> msgspec.Raw:
    """Encode an object or a list with Unix seconds for the date-times in it."""
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
