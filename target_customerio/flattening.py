"""Flattening of records by the SDK: what it is told, and what it would lose.

The SDK fails to flatten many schemas of taps, so it gets an outline of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from singer_sdk.mapper import MAPPER_KEY_PROPERTIES_OPTION

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.schema_types import alternatives_of
from target_customerio.mapping.values import check_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from singer_sdk.mapper import StreamMap

    from target_customerio.stream_maps import Definition

_EMPTY: Final = (None, "")


def outline(
    schema: Mapping[str, Any],
    keys: Iterable[str],
    definitions: Iterable[Definition],
    levels: int = 0,
) -> dict[str, Any]:
    """Return a minimal schema for the SDK's stream maps and flattening.

    It has the columns, and tells which of them are objects with columns, down to the
    level to which records are flattened. Schemas may refer to themselves.
    """
    found = _outline(schema, schema, levels + 1)
    found["type"] = "object"
    columns = found.setdefault("properties", {})
    if not columns:  # any column is allowed, also a key of stream maps
        for definition in definitions:
            keys = [*keys, *(definition.get(MAPPER_KEY_PROPERTIES_OPTION) or ())]
    for key in keys:
        columns.setdefault(key, {"type": "string"})
    return found


def _outline(
    schema: Any,  # noqa: ANN401 - a schema is any JSON
    root: Mapping[str, Any],
    levels: int,
) -> dict[str, Any]:
    columns = {
        name: _outline(column, root, levels - 1)
        for branch in (alternatives_of([schema], root) if levels else ())
        if isinstance(branch.get("properties"), dict)
        for name, column in branch["properties"].items()
    }
    if columns:
        return {"type": "object", "properties": columns}
    return {"type": "string"}


class Flattening:
    """Flattens records like the SDK, but rejects those that it would change silently.

    The SDK writes nested NaN as null, and of two values under one name keeps the last.
    """

    def __init__(self, flatten: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Take the SDK's function, which treats each column by itself."""
        self._flatten = flatten

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a flattened record; raise ``RejectedRecord`` if that loses a value."""
        flattened: dict[str, Any] = {}
        for column, value in record.items():
            if isinstance(value, (dict, list)):
                check_finite(value, column)
            for name, part in self._flatten({column: value}).items():
                known = flattened.setdefault(name, part)
                if known in _EMPTY:
                    flattened[name] = part
                elif part not in _EMPTY and part != known:
                    raise RejectedRecord(
                        "same_name",
                        name,
                        "flattening gives two of its values this name; set another "
                        "flattening_separator, or raise flattening_max_key_length",
                    )
        return flattened


def flatten_without_loss(stream_map: StreamMap) -> None:
    """Let a stream map of the SDK use :class:`Flattening`."""
    flatten = stream_map.flatten_record
    if stream_map.flattening_enabled and not isinstance(flatten, Flattening):
        # It has no other place to change what the SDK does after the expressions.
        stream_map.flatten_record = Flattening(flatten)  # type: ignore[method-assign]
