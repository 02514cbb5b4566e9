"""JSON as the sandbox keeps it: every digit, and the keys in order."""

from __future__ import annotations

from decimal import DecimalException
from typing import TYPE_CHECKING

import msgspec

from target_customerio import json_codec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_customerio.track_api.operations import JSON, Attributes


_encoder = msgspec.json.Encoder(decimal_format="number", order="deterministic")


class NotJSONError(ValueError):
    """The text is not JSON, or holds what no program could work with."""


def decode(text: bytes | str) -> JSON:
    """Read JSON; numbers become ``int`` or ``Decimal``.

    Args:
        text: The JSON text.

    Returns:
        The value.

    Raises:
        NotJSONError: When the text is malformed or nested beyond measure.
    """
    try:
        return json_codec.decode(text)
    except (msgspec.DecodeError, RecursionError, DecimalException, ValueError) as error:
        raise NotJSONError from error


def encode(value: JSON) -> bytes:
    """Write JSON compactly, with the keys of every object in order.

    Args:
        value: What :func:`decode` returned.

    Returns:
        The JSON text.
    """
    return _encoder.encode(value)


def text(value: JSON) -> str:
    """Write JSON as SQLite keeps it.

    Args:
        value: What :func:`decode` returned.

    Returns:
        The JSON text.
    """
    return _encoder.encode(value).decode()


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
