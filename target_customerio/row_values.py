"""Values of Python and Spark as JSON, as taps built with the SDK write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timezone
from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import Any, Final, TypeAlias
from uuid import UUID

from target_customerio.errors import shown_name
from target_customerio.input.reader import MAX_LINE_BYTES, TOO_LONG
from target_customerio.json_codec import encode_anything

MAX_ROW_LEVELS: Final = 100
"""Maximum levels of nesting of a row: its conversion needs more stack than decoding."""

Path: TypeAlias = tuple[str, ...]
"""Names that lead to a value in a row."""

MAX_DATE_COLUMNS: Final = 1_000
"""Maximum columns that are typed as dates because of their values."""

ITEMS: Final = ""
"""The step of a path from a list to its items."""


def schema_of(dates: Mapping[Path, str]) -> dict[str, Any]:
    """Return a schema that types dates, at any depth, and allows everything else."""
    schema: dict[str, Any] = {"properties": {}}
    for path, kind in dates.items():
        node = schema
        for step in path:
            if step is ITEMS:
                node = node.setdefault("items", {})
            else:
                node = node.setdefault("properties", {}).setdefault(step, {})
        node["anyOf"] = [{"type": "string", "format": kind}, {}]
    return schema


class UnsupportedValueError(Exception):
    """A row holds a value that cannot be written as JSON."""


def _float(value: float) -> float | Decimal:
    """Keep NaN and infinities as decimals: encoded as such, they differ from null."""
    return value if isfinite(value) else Decimal(str(value))


def _decimal(value: Decimal) -> Decimal:
    return Decimal("NaN") if value.is_nan() else value


def _moment(value: datetime) -> str:
    """Write a time as taps of the SDK do, in UTC."""
    if value != value:  # noqa: PLR0124 - what pandas has for a missing time
        raise UnsupportedValueError("NaT is not supported; use None")
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    elif value.tzinfo is not timezone.utc:
        with suppress(OverflowError):  # in the year 1 or 9999
            value = value.astimezone(timezone.utc)
    return value.isoformat("T", timespec="microseconds")


_PLAIN: Final = frozenset({str, int, bool, NoneType})
"""Types of values that are JSON values as they are."""

_SCALARS: Final[dict[type, Callable[[Any], Any]]] = {
    float: _float,
    Decimal: _decimal,
    time: str,
    UUID: str,
    bytes: bytes.hex,
    bytearray: bytearray.hex,
}
"""How other scalar values become JSON values, by their type."""

_DERIVED: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),  # an enumeration's value
    (int, int),
    (float, lambda value: _float(float(value))),
    *(each for each in _SCALARS.items() if each[0] is not float),
)
"""The same for types derived from these."""

_DATES: Final[tuple[tuple[type, str, Callable[[Any], str]], ...]] = (
    (datetime, "date-time", _moment),
    (date, "date", date.isoformat),  # a datetime is a date too
)


class RowEncoder:
    """Encodes rows as JSON.

    Attributes:
        dates: The formats of the dates and times found so far, by path.
        was_truncated: Whether the last row was nested too deeply; the deepest levels
            became null.
    """

    def __init__(self) -> None:
        """Start without any dates."""
        self.dates: dict[Path, str] = {}
        self.was_truncated = False

    def line_of(self, row: Mapping[str, Any]) -> bytes:
        """Encode a row; raise ``UnsupportedValueError`` if that is impossible."""
        self.was_truncated = False
        fields = row if type(row) is dict else _fields_of(row)
        if fields is None:
            raise UnsupportedValueError(f"expected a mapping, got {type(row).__name__}")
        values = self._object(fields, ())
        line = encode_anything(values)
        if len(line) > MAX_LINE_BYTES:
            raise UnsupportedValueError(TOO_LONG)
        return line

    def _object(self, fields: Mapping[Any, Any], path: Path) -> dict[str, Any]:
        converted = {}
        for name, value in fields.items():
            kind = type(value)
            if not isinstance(name, str):
                raise UnsupportedValueError(
                    f"{_shown(path)}: expected text for names, got "
                    f"{type(name).__name__}"
                )
            if kind in _PLAIN:
                converted[name] = value
            elif kind in _SCALARS:
                converted[name] = _SCALARS[kind](value)
            else:
                converted[name] = self._converted(value, (*path, name))
        return converted

    def _converted(self, value: Any, path: Path) -> Any:  # noqa: ANN401 - any value
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is dict or kind is list:
            return self._container(value, path)
        for types, form, convert in _DATES:
            if isinstance(value, types):
                if path not in self.dates and len(self.dates) < MAX_DATE_COLUMNS:
                    self.dates[path] = form
                return convert(value)
        for types, convert in _DERIVED:
            if isinstance(value, types):
                return convert(value)
        return self._container(value, path)

    def _container(self, value: Any, path: Path) -> Any:  # noqa: ANN401 - any value
        if len(path) > MAX_ROW_LEVELS:
            self.was_truncated = True
            return None
        fields = value if type(value) is dict else _fields_of(value)
        if fields is not None:
            return self._object(fields, path)
        if isinstance(value, (list, tuple)):
            inner = (*path, ITEMS)
            return [self._converted(each, inner) for each in value]
        raise UnsupportedValueError(
            f"{_shown(path)}: values of type {type(value).__name__} are not supported; "
            "convert them to text or numbers"
        )


def _fields_of(value: object) -> Mapping[Any, Any] | None:
    """Return the fields of a mapping, a named tuple or a row of Spark."""
    if isinstance(value, Mapping):
        return value
    for name in ("asDict", "_asdict"):
        method = getattr(value, name, None)
        if callable(method) and isinstance(value, tuple):
            fields: Mapping[Any, Any] = method()
            return fields
    return None


def _shown(path: Path) -> str:
    return shown_name(".".join(step for step in path if step)) or "the row"
