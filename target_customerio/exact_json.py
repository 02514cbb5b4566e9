"""JSON in and out, with every digit kept."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import msgspec

decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
"""Reads JSON: integers however long, other numbers as ``Decimal``.

Raises ``ValueError``, ``RecursionError`` or ``decimal.InvalidOperation``.
"""

encode: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Writes JSON compactly, as UTF-8.

Raises ``UnicodeEncodeError`` for half a surrogate pair, which has no UTF-8.
"""


def encode_anything(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Write JSON, half surrogate pairs included: those are escaped.

    Args:
        value: What a JSON decoder has made.

    Returns:
        The JSON text.
    """
    try:
        return encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, default=_number).encode()


def _number(value: Decimal) -> float | str:
    """Put a decimal where only floats can be; as text where that would lose digits."""
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)
