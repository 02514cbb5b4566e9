"""JSON as the sandbox stores it (all digits, sorted keys), and merging attributes."""

from __future__ import annotations

from decimal import DecimalException
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from target_customerio import json_codec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_customerio.track_api.operations import JSON, Attributes


ValidOperation: TypeAlias = "dict[str, Any]"
"""An operation, or a part of one, whose fields the rules have checked."""

encode: Final = msgspec.json.Encoder(
    decimal_format="number", order="deterministic"
).encode
"""Encodes compact JSON with sorted keys, as bytes."""

_DOTTED = "cio_subscription_preferences."
"""Prefix of attributes whose parts are addressed with dots.

Source: schema ``cio_subscription_preferences``. In other names a dot is just a dot.
"""


class NotJSONError(ValueError):
    """The text is not JSON, or too large or deep to decode."""


def decode(text: bytes | str) -> Any:  # noqa: ANN401 - the caller knows the type
    """Return the value of a JSON text; numbers are ``int`` or ``Decimal``."""
    try:
        return json_codec.decode(text)
    except (msgspec.DecodeError, RecursionError, DecimalException, ValueError) as error:
        raise NotJSONError from error


def encode_text(value: JSON) -> str:
    """Return compact JSON with sorted keys, as SQLite stores it."""
    return encode(value).decode()


def is_empty(value: JSON) -> bool:
    """Return whether a value removes its attribute.

    Source: ``null`` and an empty string do (schemas ``object_attributes`` and
    ``relationship_attributes``).
    """
    return value is None or value == ""


def merge(stored: Attributes, new: Mapping[str, JSON]) -> Attributes:
    """Return ``stored``, updated in place with the attributes of an operation."""
    for name, value in new.items():
        if name.startswith(_DOTTED):
            _merge_path(stored, name.split("."), value)
        elif is_empty(value):
            stored.pop(name, None)
        else:
            stored[name] = value
    return stored


def _merge_path(stored: Attributes, path: list[str], value: JSON) -> None:
    *parents, last = path
    inner: dict[str, Any] = stored
    for name in parents:
        if not isinstance(inner.get(name), dict):
            if is_empty(value):
                return
            inner[name] = {}
        inner = inner[name]
    merge(inner, {last: value})
