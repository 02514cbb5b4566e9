"""Values on their way out: dates made Unix seconds, nulls kept or left out.

Nothing that comes in is ever changed; containers are rebuilt.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from target_customerio.conversion.timestamps import typed_time, untyped_time
from target_customerio.errors import RejectedRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from msgspec import Raw

    from target_customerio.operations import JSON, Attributes


class Dated(Enum):
    """How sure a schema is that a field is a date."""

    ALWAYS = "every string is a date"
    SOMETIMES = "a string may be a date, or any text"


ALWAYS: Final = Dated.ALWAYS
"""By a name of its own, since to find it in its class takes time for each value."""

DateTree: TypeAlias = "Mapping[str, DateTree | Dated]"
"""Which fields a schema types as dates, and for an object or a list, those below it.

The items of a list stand under :data:`ITEMS`.
"""

ITEMS: Final = "[]"
SHORTER_THAN_A_DATE_TIME: Final = len("2023-05-18T22:5")
UNCHANGED: Final = frozenset({int, bool, type(None)})
NO_DATES: Final[DateTree] = {}

_DATE_FORMATS: Final = frozenset({"date", "date-time"})
_ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")


def dates_of_schema(schema: Mapping[str, Any]) -> dict[str, DateTree | Dated]:
    """Find the fields that a JSON schema types ``date-time`` or ``date``.

    Args:
        schema: The schema of an object.

    Returns:
        A tree that holds nothing but these fields and the way to them.
    """
    found: dict[str, DateTree | Dated] = {}
    for branch in _branches(schema):
        properties = branch.get("properties")
        if isinstance(properties, Mapping):
            for name, field in properties.items():
                _note(found, name, field)
        items = branch.get("items")
        if isinstance(items, Mapping):
            _note(found, ITEMS, items)
    return found


def _branches(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    branches = [schema]
    for keyword in _ALTERNATIVES:
        alternatives = schema.get(keyword)
        for branch in alternatives if isinstance(alternatives, list) else ():
            if isinstance(branch, Mapping):
                branches.extend(_branches(branch))
    return branches


def _note(found: dict[str, DateTree | Dated], name: str, field: Any) -> None:  # noqa: ANN401 - a schema is any JSON
    if not isinstance(field, Mapping):
        return
    texts = [branch for branch in _branches(field) if _is_text(branch)]
    dates = [branch for branch in texts if branch.get("format") in _DATE_FORMATS]
    if dates:
        found[name] = Dated.ALWAYS if len(dates) == len(texts) else Dated.SOMETIMES
    elif below := dates_of_schema(field):
        found[name] = below


def _is_text(branch: Mapping[str, Any]) -> bool:
    types = branch.get("type")
    return (
        "format" in branch
        or types == "string"
        or (isinstance(types, list) and "string" in types)
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
        if not self._convert:
            dates = NO_DATES
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
        for name, value in values.items():
            kind = type(value)
            if value is None:
                if not self._omit:
                    cleaned[name] = None
            elif dates and name in dates:
                cleaned[name] = self._dated(value, dates[name], field or name)
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

    def _list(self, value: JSON, dates: DateTree, field: str) -> JSON:
        if dates:
            item_dates = dates.get(ITEMS, NO_DATES)
            return [self._dated(item, item_dates, field) for item in value]
        return [
            item if type(item) in UNCHANGED else self.value(item, NO_DATES, field)
            for item in value
        ]

    @staticmethod
    def _decimal(value: Decimal, _dates: DateTree, field: str) -> JSON:
        if value.is_finite():
            return value
        raise _not_finite(field)

    def _dated(self, value: JSON, dates: DateTree | Dated, field: str) -> JSON:
        if not isinstance(dates, Dated):
            return self.value(value, dates, field)
        if isinstance(value, str) or dates is Dated.ALWAYS:
            try:
                value = typed_time(value, field)
            except RejectedRecord:
                if dates is Dated.ALWAYS:
                    raise
        return self.value(value, NO_DATES, field)

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
        raise RejectedRecord("invalid_type", field, "the value has no form in JSON")


def _not_finite(field: str) -> RejectedRecord:
    return RejectedRecord(
        "not_finite", field, "NaN and infinities have no place in JSON"
    )
