"""How new attributes change those that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_customerio.operations import JSON, Attributes

DOTTED = ("cio_subscription_preferences.",)
"""Attributes whose parts are addressed with dots.

Source: schema ``cio_subscription_preferences``. A dot in any other name is part of it.
"""


def removes(value: JSON) -> bool:
    """Tell whether a value removes the attribute.

    Source: ``null`` or an empty string does (schemas ``object_attributes`` and
    ``relationship_attributes``).

    Args:
        value: The attribute's new value.

    Returns:
        True for ``null`` and the empty string.
    """
    return value is None or value == ""


def merge(present: Attributes, new: Mapping[str, JSON]) -> Attributes:
    """Apply new attributes to those present, in place.

    Args:
        present: The attributes as they are.
        new: The attributes as sent.

    Returns:
        ``present``, changed.
    """
    for name, value in new.items():
        if name.startswith(DOTTED):
            _merge_path(present, name.split("."), value)
        elif removes(value):
            present.pop(name, None)
        else:
            present[name] = value
    return present


def _merge_path(present: Attributes, path: list[str], value: JSON) -> None:
    *parents, last = path
    inside = present
    for name in parents:
        if not isinstance(inside.get(name), dict):
            if removes(value):
                return
            inside[name] = {}
        inside = inside[name]
    merge(inside, {last: value})
