"""The objects of a record (traits, properties, context), whole or in pieces.

Warehouses hand them out as JSON text, or flattened into columns of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import InvalidOperation
from typing import TYPE_CHECKING, Final

from target_customerio.errors import RejectedRecord
from target_customerio.json_codec import decode
from target_customerio.mapping.fields import spellings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_customerio.track_api.operations import JSON, Attributes


def whole(
    record: Mapping[str, JSON], columns: Iterable[str], name: str
) -> Attributes | None:
    """Return a container that stands in a record as one object.

    Args:
        record: The record; it is not changed.
        columns: The columns that may hold it, the one that wins first.
        name: The container's name.

    Returns:
        The container, or ``None`` where the record has none.

    Raises:
        RejectedRecord: It is neither an object nor the JSON text of one.
    """
    for column in columns:
        value = record[column]
        if value is not None and value != "":
            found = opened(value, name)
            if found is not None:
                return found
    return None


def merged(
    container: Attributes | None,
    record: Mapping[str, JSON],
    parts: Iterable[tuple[str, Sequence[str]]],
) -> Attributes:
    """Add the flattened columns of a container to what stands in it whole.

    Args:
        container: The container, which wins; it is not changed.
        record: The record.
        parts: The flattened columns, and the way to each.

    Returns:
        A new container.
    """
    result: Attributes = dict(container or {})
    for column, path in parts:
        _merge(result, path, record[column])
    return result


def _merge(merged: Attributes, path: Sequence[str], value: JSON) -> None:
    *way, last = path
    for step in way:
        below = merged.get(step)
        found = {} if below is None else as_object(below)
        if found is None:
            return
        branch = dict(found)
        merged[step] = branch
        merged = branch
    add(merged, last, value)


def add(attributes: Attributes, name: str, value: JSON) -> None:
    """Add what another spelling of an attribute says, unless it has a value already.

    Args:
        attributes: The attributes, which are changed.
        name: The attribute's name.
        value: The value under the other spelling.
    """
    known = attributes.get(name)
    if known is None or (known == "" and value):
        attributes[name] = value


def parsed(value: JSON) -> JSON:
    """Return what a JSON text holds; anything that is not JSON text stays as it is.

    Args:
        value: Any value.

    Returns:
        The value, or what its text holds.
    """
    if isinstance(value, str):
        try:
            return decode(value)
        except (ValueError, RecursionError, InvalidOperation):
            return value
    return value


def as_object(value: JSON) -> Attributes | None:
    """Return an object that may have come as JSON text or as PHP's empty list.

    Args:
        value: Any value.

    Returns:
        The object, or ``None`` where the value is anything else.
    """
    value = parsed(value)
    if isinstance(value, dict):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    return {} if isinstance(value, (list, tuple)) and not value else None


def opened(value: JSON, name: str) -> Attributes | None:
    """Return an object that may have come as JSON text.

    Args:
        value: An object, or the text of one; warehouses hand out JSON columns as text.
            An empty list is an empty object, since PHP encodes one so.
        name: The field's name, for the rejection.

    Returns:
        The object, or ``None`` where the value or its text is null.

    Raises:
        RejectedRecord: It is anything else.
    """
    found = as_object(value)
    if found is not None:
        return found
    content = parsed(value)
    if content is None:
        return None
    if isinstance(content, str) and content == value:
        raise RejectedRecord("invalid_json", name, "the text is no JSON object")
    raise RejectedRecord(
        "invalid_type", name, "expected an object, or the JSON text of one"
    )


def lookup(container: Attributes, field: str) -> JSON:
    """Find a field of the spec in a container, under any of its names.

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


NAMES: Final = frozenset({"customerio", "customerioactions", "actionscustomerio"})
"""The names of Customer.io's destinations, by their letters alone."""

EVERYTHING: Final = "all"


def is_switch(name: str) -> bool:
    """Tell whether an entry of ``integrations`` concerns Customer.io.

    Args:
        name: The entry's name, such as ``Customer.io (Actions)`` or ``All``.

    Returns:
        Whether it does.
    """
    letters = _letters(name)
    return letters in NAMES or letters == EVERYTHING


def turns_off(
    record: Mapping[str, JSON], switches: Iterable[tuple[str, Sequence[str]]]
) -> bool:
    """Tell whether columns of a record turn Customer.io off.

    Args:
        record: The record.
        switches: The columns, and for each the way from ``integrations`` to it; none
            for a column that is the whole object.

    Returns:
        Whether they do.
    """
    entries: list[tuple[str, JSON]] = []
    for column, path in switches:
        value = record[column]
        if path:
            # Of an entry that is an object, the fields are columns of their own.
            entries.append((path[0], value if len(path) == 1 else {path[1]: value}))
        else:
            value = parsed(value)
            if isinstance(value, Mapping):
                entries += value.items()
    own = [value for name, value in entries if _letters(name) in NAMES]
    if any(value is False for value in own):
        return True
    if any(value is True or isinstance(value, Mapping) for value in own):
        return False
    return any(
        value is False for name, value in entries if _letters(name) == EVERYTHING
    )


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name)).lower()
