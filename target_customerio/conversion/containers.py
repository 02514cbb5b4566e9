"""The objects of a record (traits, properties, context), whole or in pieces.

Warehouses hand them out as JSON text, or flattened into columns of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import InvalidOperation
from typing import TYPE_CHECKING

from target_customerio.conversion.fields import spellings
from target_customerio.errors import RejectedRecord
from target_customerio.exact_json import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_customerio.operations import JSON, Attributes


def container(
    record: Mapping[str, JSON],
    flattened: Mapping[str, Sequence[tuple[str, tuple[str, ...]]]],
    name: str,
) -> Attributes | None:
    """Return a container whole: its own object, and its flattened columns below it.

    Args:
        record: The record; it is not changed.
        flattened: The flattened columns of each container, and the way to each.
        name: The container's name.

    Returns:
        The container, or ``None`` where the record has none.

    Raises:
        RejectedRecord: It is neither an object nor the JSON text of one.
    """
    whole = record.get(name)
    parts = flattened.get(name)
    if type(whole) is not dict:
        whole = None if whole is None or whole == "" else opened(whole, name)
    if not parts:
        return whole
    merged: Attributes = dict(whole or {})
    for column, path in parts:
        _merge(merged, path, record[column])
    return merged


def _merge(merged: Attributes, path: tuple[str, ...], value: JSON) -> None:
    *way, last = path
    for step in way:
        below = merged.get(step)
        if below is not None and not isinstance(below, Mapping):
            return
        branch = dict(below or {})
        merged[step] = branch
        merged = branch
    if merged.get(last) is None or (merged[last] == "" and value):
        merged[last] = value


def opened(value: JSON, name: str) -> Attributes | None:
    """Return an object that may have come as JSON text.

    Args:
        value: An object, or the text of one; warehouses hand out JSON columns as text.
        name: The field's name, for the rejection.

    Returns:
        The object, or ``None`` where the text is ``null``.

    Raises:
        RejectedRecord: It is anything else.
    """
    if isinstance(value, str):
        try:
            value = decode(value)
        except (ValueError, RecursionError, InvalidOperation):
            raise RejectedRecord(
                "invalid_json", name, "the text is no JSON object"
            ) from None
    if value is None or isinstance(value, dict):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    raise RejectedRecord(
        "invalid_type", name, "expected an object, or the JSON text of one"
    )


def lookup(container: Attributes, field: str) -> JSON:
    """Find a field of the spec in a container, under either of its names.

    Args:
        container: The traits, properties or context.
        field: The field, in the spec's spelling.

    Returns:
        The value, or ``None`` where it is missing, null or empty.
    """
    for spelling in spellings(field):
        found = container.get(spelling)
        if found is not None and found != "":
            return found
    return None


def lookup_in_context(context: Attributes, *path: str) -> JSON:
    """Find a field of the spec in the context or in an object there.

    Args:
        context: The context.
        path: The way to the field, in the spec's spelling.

    Returns:
        The value, or ``None`` where it is missing, null or empty.

    Raises:
        RejectedRecord: Something on the way is no object.
    """
    value: JSON = context
    way = "context"
    for step in path:
        container = opened(value, way)
        if container is None:
            return None
        value = lookup(container, step)
        way = f"{way}.{step}"
    return value
