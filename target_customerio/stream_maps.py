"""What stream maps and flattening mean for a stream's key and dates.

The SDK applies both to the records. It also guesses a type for each expression, and
flattens schemas in a way that fails on many; its guesses are not used. Records are
validated before stream maps, and their dates are followed through them here.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
)

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.schema_types import (
    ITEMS,
    NO_DATES,
    OTHERS,
    Typed,
    of_object,
)
from target_customerio.schemas import branches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from singer_sdk.mapper import StreamMap

    from target_customerio.mapping.schema_types import DateTree

    _Dates: TypeAlias = DateTree | Typed

Definition: TypeAlias = "Mapping[str, Any]"
"""What the setting says of one stream: an expression for each column, and options."""

OPTIONS: Final = frozenset(
    {
        MAPPER_ALIAS_OPTION,
        MAPPER_ELSE_OPTION,
        MAPPER_FILTER_OPTION,
        MAPPER_KEY_PROPERTIES_OPTION,
        MAPPER_SOURCE_OPTION,
    }
)
UNTYPED: Final[DateTree] = {ITEMS: NO_DATES}
"""The type of a column of which the schema says nothing, whatever its patterns say."""

WHOLE_RECORD: Final = frozenset({"record", "_"})
"""What an expression calls the record as it arrived."""


def outline(
    schema: Mapping[str, Any], keys: Iterable[str], definitions: Iterable[Definition]
) -> dict[str, Any]:
    """Say of a schema only what the SDK needs to apply stream maps and flattening.

    Args:
        schema: The stream's schema, which may be anything that taps write.
        keys: The stream's primary key.
        definitions: What the setting says of the stream.

    Returns:
        A schema that knows the columns, and which of them are objects with columns.
    """
    found = _outline(schema, schema, depth=0)
    columns = found.setdefault("properties", {})
    if not columns:  # any column may come, also one that stream maps make the key
        for definition in definitions:
            keys = [*keys, *(definition.get(MAPPER_KEY_PROPERTIES_OPTION) or ())]
    for key in keys:
        columns.setdefault(key, {"type": "string"})
    return found


def _outline(
    schema: Any,  # noqa: ANN401 - a schema is any JSON
    root: Mapping[str, Any],
    depth: int,
) -> dict[str, Any]:
    columns = {
        name: _outline(column, root, depth + 1)
        for branch in (branches(schema, root) if depth < DEEPEST else ())
        if isinstance(branch.get("properties"), dict)
        for name, column in branch["properties"].items()
    }
    if columns or not depth:
        return {"type": "object", "properties": columns}
    return {"type": "string"}


DEEPEST: Final = 30
"""Levels of objects that are outlined; schemas may refer to themselves."""


def definitions_of(stream: str, stream_maps: Mapping[str, Any]) -> list[Definition]:
    """Find what the setting says of a stream, as the SDK does.

    Args:
        stream: The stream's name in the tap.
        stream_maps: The setting.

    Returns:
        One definition for each stream that it is mapped to, in the SDK's order.
    """
    found: list[Definition] = [{}]
    for name, value in stream_maps.items():
        definition = value if isinstance(value, dict) else {}
        source = definition.get(MAPPER_SOURCE_OPTION, name)
        if not (stream == source or fnmatch(stream, source)):
            continue
        if MAPPER_SOURCE_OPTION in definition:
            found.append(definition)
        else:
            found[0] = definition
    return found


class DateMap:
    """Follows dates through the stream map of one stream, and through flattening."""

    def __init__(self, definition: Definition, stream_map: StreamMap) -> None:
        """Learn what happens to the records.

        Args:
            definition: What the setting says of the stream.
            stream_map: What the SDK makes of it.
        """
        self._columns = {
            name: expression
            for name, expression in definition.items()
            if name not in OPTIONS
        }
        self._keeps_others = MAPPER_ELSE_OPTION not in definition
        self._keys = stream_map.transformed_key_properties or ()
        self._stream_map = stream_map

    def __call__(self, dates: DateTree) -> DateTree:
        """Return the dates of mapped records.

        Args:
            dates: The dates of the records as they arrive.

        Returns:
            A tree of the same kind.
        """
        if self._keeps_others:
            mapped = dict(dates)
        else:
            mapped = {**of_object(dates, self._keys)}
            mapped.pop(OTHERS, None)
        for column, expression in self._columns.items():
            found = _dates_of(_parsed(expression), dates, column)
            mapped[column] = found or UNTYPED
        options = self._stream_map.flattening_options
        if self._stream_map.flattening_enabled and options is not None:
            nested = _named(mapped, options.max_level)
            flat = self._stream_map.flatten_record(nested)
            mapped |= {
                name: typed for name, typed in flat.items() if isinstance(typed, Typed)
            }
        return mapped


def _named(dates: DateTree, depth: int) -> dict[str, Any]:
    """Keep of a tree the named fields, to a depth; a tree may contain itself."""
    return {
        name: typed if isinstance(typed, Typed) else _named(typed, depth - 1)
        for name, typed in (dates.items() if depth >= 0 else ())
        if not name.startswith("\0")
    }


def _parsed(expression: object) -> ast.expr | None:
    if not isinstance(expression, str):
        return None
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError:
        return None


def _dates_of(node: ast.expr | None, dates: DateTree, column: str) -> _Dates | None:
    """Return the dates in what an expression gives, where it only picks out fields."""
    match node:
        case ast.Name(id=name):
            if name in WHOLE_RECORD and name not in dates:
                return dates
            return _below(dates, column if name == "self" else name)
        case (
            ast.Subscript(value=value, slice=ast.Constant(value=str(name)))
            | ast.Attribute(value=value, attr=name)
            | ast.Call(
                func=ast.Attribute(value=value, attr="get"),
                args=[ast.Constant(value=str(name)), *_],
            )
        ):
            return _below(_dates_of(value, dates, column), name)
        case ast.Dict(keys=keys, values=values):
            found = {
                key.value: below
                for key, value in zip(keys, values, strict=True)
                if isinstance(key, ast.Constant)
                and isinstance(key.value, str)
                and (below := _dates_of(value, dates, column))
            }
            return found or None
        case _:
            return None


def _below(dates: _Dates | None, name: str) -> _Dates | None:
    """Return the type of a field, by its name or else by a pattern."""
    if not dates or isinstance(dates, Typed):
        return None
    return of_object(dates, (name,)).get(name)


LONGEST: Final = 100
"""Most characters of a name or an expression that are shown."""

UNKNOWN_NAME: Final = "NameNotDefined"
QUOTE_NO_VALUE: Final = {
    "AttributeDoesNotExist",
    "FeatureNotAvailable",
    "FunctionNotDefined",
    "OperatorNotDefined",
    "TypeError",
    "ZeroDivisionError",
}
"""Errors of Python, and of the ``simpleeval`` that the SDK uses, whose text holds no
values: it names types, functions and parts of the expression at most."""

FILTER: Final = "__filter__"


def unmappable(error: Exception) -> RejectedRecord:
    """Say which expression fails, and why.

    Args:
        error: What applying a stream map to a record has raised.

    Returns:
        The rejection of the record.
    """
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    place = _place(error.__traceback__)
    if place is None:
        return RejectedRecord(
            "stream_map", "", f"stream_maps cannot be applied to it: {_why(cause, '')}"
        )
    key, expression = place
    where = f"the expression {expression[:LONGEST]!r} for {key[:LONGEST]!r}"
    if type(cause).__name__ == UNKNOWN_NAME:
        name = str(getattr(cause, "name", ""))[:LONGEST]
        return RejectedRecord(
            "stream_map",
            name,
            f"in stream_maps, {where} has a name that the record does not have: "
            f"{name!r}; put text into quotes, or let the tap send nulls too",
        )
    why = _why(cause, expression)
    return RejectedRecord("stream_map", key, f"in stream_maps, {where} fails: {why}")


def _place(traceback: TracebackType | None) -> tuple[str, str] | None:
    """Find the field and the expression that the SDK was evaluating.

    They are in no exception, only among the variables of the SDK's function.
    """
    for frame, _ in walk_tb(traceback):
        names = frame.f_locals
        expression = names.get("expr")
        if "property_name" in names and isinstance(expression, str):
            return str(names["property_name"] or FILTER), expression
    return None


def _why(error: Exception, expression: str) -> str:
    name = type(error).__name__
    if name in QUOTE_NO_VALUE:
        return f"{name}: {str(error).rstrip('.')}"
    key = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(key, str) and repr(key) in expression:
        return f"there is no {key!r}"
    return name
