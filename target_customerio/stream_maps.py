"""Derives the typed fields of a stream after stream maps and flattening.

The SDK applies both to the records. Its schema handling is not used: it guesses the
type of each expression. Records are validated before stream maps.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from itertools import dropwhile
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from singer_sdk.mapper import (
    MAPPER_ELSE_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    SameRecordTransform,
)

from target_customerio.errors import RejectedRecord, nested_too_deeply
from target_customerio.mapping.schema_types import (
    ITEMS,
    NO_DATES,
    OTHERS,
    Typed,
    resolve_patterns,
)
from target_customerio.records import MappedStream
from target_customerio.settings.stream_maps import MAX_SHOWN, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from singer_sdk.mapper import StreamMap

    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.records import SourceStream

    _Dates: TypeAlias = DateTree | Typed

Definition: TypeAlias = "Mapping[str, Any]"
"""One entry of the setting: an expression for each column, and options."""

UNTYPED: Final[DateTree] = {ITEMS: NO_DATES}
"""The type of a column without a type, which no pattern of the schema applies to."""

WHOLE_RECORD: Final = frozenset({"record", "_"})
"""Names of the whole record in an expression."""


def definitions_of(stream: str, stream_maps: Mapping[str, Any]) -> list[Definition]:
    """Return the definitions of `stream_maps` for a stream, in the SDK's order."""
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


def replacing_pattern(stream: str, stream_maps: Mapping[str, Any]) -> str | None:
    """Return the pattern in `stream_maps` that replaces a stream's own entry, if any.

    Of several entries that apply to a stream, the SDK uses the last one alone.
    """
    if stream not in stream_maps:
        return None
    _, *later = dropwhile(lambda name: name != stream, stream_maps)
    replacing = [
        name
        for name in later
        if fnmatch(stream, name)
        and MAPPER_SOURCE_OPTION not in (stream_maps[name] or {})
    ]
    return replacing[-1] if replacing else None


class DateMap:
    """Maps the typed fields of a stream to those after stream maps and flattening."""

    def __init__(self, definition: Definition, stream_map: StreamMap) -> None:
        """Take the stream's definition in `stream_maps`, and the SDK's stream map."""
        self._columns = {
            name: expression
            for name, expression in definition.items()
            if name not in OPTIONS
        }
        self._keeps_others = MAPPER_ELSE_OPTION not in definition
        self._keys = stream_map.transformed_key_properties or ()
        self._stream_map = stream_map

    def __call__(self, dates: DateTree) -> DateTree:
        """Return the typed fields of mapped records."""
        if self._keeps_others:
            mapped = dict(dates)
        else:
            mapped = {**resolve_patterns(dates, self._keys)}
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
    """Return the named fields of a tree to a depth; a tree may contain itself."""
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
    """Return the typed fields of an expression that only selects fields."""
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
    """Return the type of a field, by its name or a pattern."""
    if not dates or isinstance(dates, Typed):
        return None
    return resolve_patterns(dates, (name,)).get(name)


def changes_nothing(stream_map: StreamMap) -> bool:
    """Return whether the records of a stream stay as they are."""
    return (
        isinstance(stream_map, SameRecordTransform)
        and not stream_map.flattening_enabled
    )


def mapped_stream(
    source: SourceStream,
    schema: Mapping[str, Any],
    stream_map: StreamMap,
    definition: Definition,
    **names: Any,  # noqa: ANN401 - fields of MappedStream
) -> MappedStream:
    """Return what a sink needs to know about a stream."""
    keys = stream_map.transformed_key_properties or ()
    return MappedStream(
        source=source,
        schema=schema,
        key_properties=tuple(keys),
        key_is_mapped=MAPPER_KEY_PROPERTIES_OPTION in definition,
        map_dates=(
            None if changes_nothing(stream_map) else DateMap(definition, stream_map)
        ),
        **names,
    )


UNKNOWN_NAME: Final = "NameNotDefined"
WITHOUT_VALUES: Final = {
    "AttributeDoesNotExist",
    "FeatureNotAvailable",
    "FunctionNotDefined",
    "OperatorNotDefined",
    "TypeError",
    "ZeroDivisionError",
}
"""Errors of Python and of ``simpleeval`` whose text never contains values.

It contains only names of types and functions, and parts of the expression.
"""

FILTER: Final = "__filter__"

NULL_HINT: Final = '; a value in it is null: append "if COLUMN is not None else None"'
"""Not "if COLUMN": a 0, a false and an empty text would become null as well."""


def unmappable(error: Exception) -> RejectedRecord:
    """Return the rejection of a record to which a stream map cannot be applied.

    It has the expression, if that is what failed.
    """
    if isinstance(error, RejectedRecord):
        return error
    if isinstance(error, RecursionError):
        return nested_too_deeply()
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    place = _place(error.__traceback__)
    if place is None:
        return RejectedRecord(
            "stream_map", "", f"stream_maps cannot be applied to it: {_why(cause, '')}"
        )
    key, expression = place
    where = f"the expression {expression[:MAX_SHOWN]!r} for {key[:MAX_SHOWN]!r}"
    if type(cause).__name__ == UNKNOWN_NAME:
        name = str(getattr(cause, "name", ""))[:MAX_SHOWN]
        return RejectedRecord(
            "stream_map",
            name,
            f"in stream_maps, {where} has a name that the record does not have: "
            f"{name!r}. Text has to be in quotes; for a column that is not in every "
            "record, write record.get('COLUMN')",
        )
    why = _why(cause, expression)
    return RejectedRecord("stream_map", key, f"in stream_maps, {where} fails: {why}")


def _place(traceback: TracebackType | None) -> tuple[str, str] | None:
    """Return the key and expression that the SDK was evaluating.

    The exception does not contain them, only the local variables of the SDK's function.
    """
    for frame, _ in walk_tb(traceback):
        names = frame.f_locals
        expression = names.get("expr")
        if "property_name" in names and isinstance(expression, str):
            return str(names["property_name"] or FILTER), expression
    return None


def _why(error: Exception, expression: str) -> str:
    """Return why an expression fails, without values of the record."""
    hint = NULL_HINT if _is_about_null(error) else ""
    name = type(error).__name__
    if name in WITHOUT_VALUES:
        return _without_expression(error) + hint
    key = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(key, str) and repr(key) in expression:
        return f"missing key {key!r}"
    return name + hint


def _without_expression(error: Exception) -> str:
    """Return the text of an error; that of ``simpleeval`` ends in the expression."""
    text = str(error).rstrip(".")
    expression = getattr(error, "expression", None)
    if expression is None:
        return f"{type(error).__name__}: {text}"
    text = text.removesuffix(f"'{expression}'")
    return text.removesuffix(" in expression ").removesuffix(", for expression ")


def _is_about_null(error: Exception) -> bool:
    """Return whether an expression fails since a value in it is null."""
    if type(error).__name__ == "AttributeDoesNotExist":
        # Its text does not tell the type of the value.
        *_, (frame, _) = walk_tb(error.__traceback__)
        return frame.f_locals.get("node_evaluated", error) is None
    text = str(error)
    return "NoneType" in text or (isinstance(error, TypeError) and "None" in text)
