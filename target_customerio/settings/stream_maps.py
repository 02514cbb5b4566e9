"""The setting ``stream_maps`` as it is given: names with dots, and checks at the start.

The SDK parses an expression only when its stream arrives. It takes an option that it
does not know for a column, and it ignores an assignment, so that a misspelt or
mistyped ``__filter__`` would let all records pass.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
)

from target_customerio.errors import shown_name, shown_stream
from target_customerio.settings.similar_names import closest_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OPTIONS: Final = (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
)
"""The names in a stream's entry that are not columns."""

_OPTION_PREFIX: Final = "__"

_PATTERN_SIGNS: Final = frozenset("*?[")
_NULLABLE_OPTIONS: Final = (MAPPER_FILTER_OPTION, MAPPER_KEY_PROPERTIES_OPTION)
_NULLS: Final = (None, NULL_STRING)
_ALWAYS_TRUE: Final = (ast.JoinedStr, ast.Tuple, ast.List, ast.Set, ast.Dict)

MAX_SHOWN: Final = 100
"""Maximum characters of a name or an expression in a message."""

NULL_SHOWN: Final = "null (in Meltano __NULL__)"
"""What messages call null."""


def joined_maps(maps: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``stream_maps`` with dotted names: Meltano nests them as objects.

    An expression belongs to the stream named by the objects around it, and an object
    beside expressions continues the name. ``__NULL__`` in an object drops the column of
    that name, or else the stream: Meltano turns ``{"analytics.tracks": "__NULL__"}``
    into ``{"analytics": {"tracks": "__NULL__"}}``.
    """
    joined: dict[str, Any] = {}
    for name, value in maps.items():
        if isinstance(value, dict):
            joined |= _maps(value, name)
        else:
            joined[name] = value
    return joined


def _maps(stream_map: Mapping[str, Any], stream: str) -> dict[str, Any]:
    own = {
        name: value for name, value in stream_map.items() if not isinstance(value, dict)
    }
    joined: dict[str, Any] = {}
    if own or not stream_map:
        joined[stream] = _with_nulls(own)
    for name, value in stream_map.items():
        whole = f"{stream}.{name}"
        if isinstance(value, dict):
            joined |= _maps(value, whole)
        elif value == NULL_STRING and _may_be_a_stream(whole, name):
            joined[whole] = value
    return joined


def _with_nulls(stream_map: dict[str, Any]) -> dict[str, Any]:
    """Convert ``__NULL__`` to null in the options where the SDK does not."""
    nulls = {
        name: None for name in _NULLABLE_OPTIONS if stream_map.get(name) == NULL_STRING
    }
    return {**stream_map, **nulls}


def _may_be_a_stream(whole: str, name: str) -> bool:
    return not name.startswith(_OPTION_PREFIX) and _PATTERN_SIGNS.isdisjoint(whole)


def map_errors(maps: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each error in ``stream_maps`` that needs no stream to be found.

    Args:
        maps: The setting, with dotted names.
    """
    for stream, definition in maps.items():
        if isinstance(definition, dict) and not stream.startswith(_OPTION_PREFIX):
            problems = [_entry_problem(*entry) for entry in definition.items()]
        else:
            problems = [_stream_problem(stream, definition)]
        for problem in filter(None, problems):
            yield f"stream_maps: stream {shown_stream(stream)}: {problem}"


def _stream_problem(name: str, value: object) -> str | None:
    """Return what is wrong with an entry that is not a stream with expressions."""
    if name.startswith(_OPTION_PREFIX) and name != MAPPER_ELSE_OPTION:
        return "no stream may begin with __; move an option into the entry of a stream"
    if value in _NULLS:
        return None
    if name == MAPPER_ELSE_OPTION:
        return f"expected {NULL_SHOWN}, which drops other streams"
    return f"expected an object of expressions, or {NULL_SHOWN} to drop the stream"


def _entry_problem(name: str, value: object) -> str | None:
    """Return what is wrong with an entry of a stream."""
    check = _OPTION_CHECKS.get(name)
    if check is not None:
        return check(value)
    meant = closest_name(name, OPTIONS) if name.startswith(_OPTION_PREFIX) else None
    if meant is not None and not _is_column(name, meant):
        return f"unknown option {shown_name(name)!r} (did you mean {meant!r}?)"
    if value in _NULLS:
        return None
    return _expression_problem(name, value)


def _is_column(name: str, option: str) -> bool:
    """Return whether a name only begins like an option: Debezium's ``__source_db``."""
    word = option.removesuffix(_OPTION_PREFIX)
    return name.startswith(f"{word}_") and not name.endswith("_")


def _expression_problem(name: str, value: object) -> str | None:
    """Return why a value is not an expression, if it is not."""
    key = shown_name(name)
    if not isinstance(value, str):
        return (
            f'{key!r} is not text; write constants as text too, such as "5" or '
            "\"'shop'\""
        )
    if not value.strip():
        return (
            f"the expression for {key!r} is empty; an empty text is \"''\", and "
            f"{NULL_SHOWN} leaves a column out"
        )
    shown = f"the expression {value[:MAX_SHOWN]!r} for {key!r}"
    statements = _parsed(value)
    if statements is None:
        return (
            f"{shown} cannot be parsed as a Python expression; a column whose name is "
            "not a plain word is record['COLUMN'], and several lines need parentheses"
        )
    if len(statements) != 1 or not isinstance(statements[0], ast.Expr):
        is_assignment = any(isinstance(each, ast.Assign) for each in statements)
        return f"{shown} is not one expression" + (
            "; to compare, write ==" if is_assignment else ""
        )
    return None


def _parsed(text: str) -> list[ast.stmt] | None:
    """Parse a text as the SDK does; None if that is impossible."""
    try:
        return ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _alias_problem(value: object) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return f"{MAPPER_ALIAS_OPTION!r}: expected the name of a stream, as text"
    if _parsed(value) is None:
        return (
            f"{MAPPER_ALIAS_OPTION!r}: a name that is not a plain word has to be in "
            "quotes within the quotes, such as \"'eu users'\""
        )
    return None


def _else_problem(value: object) -> str | None:
    if value in _NULLS:
        return None
    return (
        f"{MAPPER_ELSE_OPTION!r}: expected {NULL_SHOWN}, which leaves other columns out"
    )


def _filter_problem(value: object) -> str | None:
    if value is None:
        return None
    problem = _expression_problem(MAPPER_FILTER_OPTION, value)
    if problem is None and _is_no_condition(str(value)):
        return (
            f"the expression {str(value)[:MAX_SHOWN]!r} for "
            f"{MAPPER_FILTER_OPTION!r} is not a condition, and would let all records "
            "pass; remove the quotes, brackets or comma around it"
        )
    return problem


def _is_no_condition(text: str) -> bool:
    """Return whether an expression is a literal that is true for every record."""
    nodes = [each.value for each in _parsed(text) or () if isinstance(each, ast.Expr)]
    return any(
        isinstance(node.value, str)
        if isinstance(node, ast.Constant)
        else isinstance(node, _ALWAYS_TRUE)
        for node in nodes
    )


def _keys_problem(value: object) -> str | None:
    if value is None or (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    ):
        return None
    return f"{MAPPER_KEY_PROPERTIES_OPTION!r}: expected a list of columns"


def _source_problem(value: object) -> str | None:
    if isinstance(value, str) and value:
        return None
    return f"{MAPPER_SOURCE_OPTION!r}: expected the name of a stream, as text"


_OPTION_CHECKS: Final[dict[str, Callable[[object], str | None]]] = {
    MAPPER_ALIAS_OPTION: _alias_problem,
    MAPPER_ELSE_OPTION: _else_problem,
    MAPPER_FILTER_OPTION: _filter_problem,
    MAPPER_KEY_PROPERTIES_OPTION: _keys_problem,
    MAPPER_SOURCE_OPTION: _source_problem,
}
