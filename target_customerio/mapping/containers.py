"""Reads the containers of a record: traits, properties, context, integrations.

They may be objects, JSON text, or flattened into separate columns.
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


def nested_container(
    record: Mapping[str, JSON], columns: Iterable[str], name: str
) -> Attributes | None:
    """Return a container from the first column that holds one, else ``None``."""
    for column in columns:
        value = record[column]
        if value is not None and value != "":
            found = parse_object(value, name)
            if found is not None:
                return found
    return None


def with_flattened(
    container: Attributes | None,
    record: Mapping[str, JSON],
    flattened: Iterable[tuple[str, Sequence[str]]],
) -> Attributes:
    """Return a new container with the flattened columns added; `container` wins."""
    result: Attributes = dict(container or {})
    for column, path in flattened:
        _merge(result, path, record[column])
    return result


def _merge(target: Attributes, path: Sequence[str], value: JSON) -> None:
    *parents, last = path
    for step in parents:
        below = target.get(step)
        found = {} if below is None else as_object(below)
        if found is None:
            return
        branch = dict(found)
        target[step] = branch
        target = branch
    set_if_absent(target, last, value)


def set_if_absent(attributes: Attributes, name: str, value: JSON) -> None:
    """Set an attribute from another spelling, unless it already has a value."""
    known = attributes.get(name)
    if known is None or (known == "" and value):
        attributes[name] = value


def parse_json(value: JSON) -> JSON:
    """Return the content of a JSON text; return anything else unchanged."""
    if isinstance(value, str):
        try:
            return decode(value)
        except (ValueError, RecursionError, InvalidOperation):
            return value
    return value


def as_object(value: JSON) -> Attributes | None:
    """Return an object, also from JSON text or PHP's empty list, else ``None``."""
    value = parse_json(value)
    if isinstance(value, dict):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    return {} if isinstance(value, (list, tuple)) and not value else None


def parse_object(value: JSON, name: str) -> Attributes | None:
    """Return an object like :func:`as_object`; ``None`` for null, else reject."""
    found = as_object(value)
    if found is not None:
        return found
    content = parse_json(value)
    if content is None:
        return None
    if isinstance(content, str) and content == value:
        raise RejectedRecord("invalid_json", name, "the text is not a JSON object")
    raise RejectedRecord(
        "invalid_type", name, "expected an object, or the JSON text of one"
    )


def lookup(container: Attributes, field: str) -> JSON:
    """Return a field under any spelling; ``None`` if missing, null or empty."""
    for spelling in spellings(field):
        found = container.get(spelling)
        if found is not None and found != "":
            return found
    return None


def lookup_in_context(context: Attributes, *path: str) -> JSON:
    """Return a field at a path below ``context``, under any spelling."""
    value: JSON = context
    field = "context"
    for step in path:
        container = parse_object(value, field)
        if container is None:
            return None
        value = lookup(container, step)
        field = f"{field}.{step}"
    return value


CUSTOMERIO: Final = frozenset({"customerio", "customerioactions", "actionscustomerio"})
"""Names of the Customer.io destinations, reduced to their letters."""

EVERYTHING: Final = "all"


def is_customerio_entry(name: str) -> bool:
    """Tell whether an entry of ``integrations`` applies to Customer.io."""
    letters = _letters(name)
    return letters in CUSTOMERIO or letters == EVERYTHING


def turns_off(
    record: Mapping[str, JSON], columns: Iterable[tuple[str, Sequence[str]]]
) -> bool:
    """Tell whether the ``integrations`` of a record turn Customer.io off."""
    entries: list[tuple[str, JSON]] = []
    for column, path in columns:
        value = record[column]
        if path:
            # The fields of an entry that is an object are separate columns.
            entries.append((path[0], value if len(path) == 1 else {path[1]: value}))
        else:
            value = parse_json(value)
            if isinstance(value, Mapping):
                entries += value.items()
    own = [value for name, value in entries if _letters(name) in CUSTOMERIO]
    if any(value is False for value in own):
        return True
    if any(value is True or isinstance(value, Mapping) for value in own):
        return False
    return any(
        value is False for name, value in entries if _letters(name) == EVERYTHING
    )


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name)).lower()
