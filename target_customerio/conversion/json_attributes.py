"""Values that came out of JSON text on their way out, in a fraction of the time.

Such values are of a few known types, and finite. An object or a list among them is not
walked through but encoded on the spot, which it has to be anyway, and the dates in it
are replaced in the encoded text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from target_customerio.conversion.attributes import SHORTER_THAN_A_DATE_TIME, Cleaner
from target_customerio.conversion.schema_types import (
    NO_DATES,
    OTHERS,
    Typed,
    of_object,
)
from target_customerio.conversion.timestamps import typed_time, untyped_time
from target_customerio.exact_json import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_customerio.conversion.schema_types import DateTree
    from target_customerio.operations import JSON, Attributes


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
