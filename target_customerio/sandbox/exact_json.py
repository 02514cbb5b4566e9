"""JSON as the sandbox keeps it: every digit, and the keys in order."""

from __future__ import annotations

from decimal import DecimalException
from typing import TYPE_CHECKING

import msgspec

from target_customerio import exact_json

if TYPE_CHECKING:
    from target_customerio.operations import JSON

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
        return exact_json.decode(text)
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
