"""JSON in and out, with every digit kept."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


MOST_DIGITS: Final = 4_000
"""Digits of an integer above which it is read as a ``Decimal``."""

decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
"""Reads JSON: integers however long, other numbers as ``Decimal``.

Raises ``ValueError``, ``RecursionError`` or ``decimal.InvalidOperation``.
"""

encode: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Writes JSON compactly, as UTF-8.

Raises ``UnicodeEncodeError`` for half a surrogate pair, which has no UTF-8.
"""


def decode_leniently(
    text: bytes | str, not_finite: Callable[[str], Any], beyond: Callable[[str], Any]
) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON that the fast decoder refuses, with what is JSON in Python's eyes only.

    Args:
        text: The JSON text.
        not_finite: Makes the value of ``NaN``, ``Infinity`` and ``-Infinity``.
        beyond: Makes the value of a number that no ``Decimal`` can hold.

    Returns:
        The value; integers of thousands of digits are ``Decimal``.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """

    def number(digits: str) -> Any:  # noqa: ANN401 - whatever is made of it
        try:
            return Decimal(digits)
        except InvalidOperation:  # an exponent of nineteen digits
            return beyond(digits)

    def integer(digits: str) -> int | Decimal:
        # Python refuses integers of more digits, which take it forever.
        return int(digits) if len(digits) <= MOST_DIGITS else Decimal(digits)

    try:
        return json.loads(
            text, parse_float=number, parse_int=integer, parse_constant=not_finite
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


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
