"""JSON decoding and encoding that keeps every digit."""

from __future__ import annotations

import json
import math
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


MOST_DIGITS: Final = 4_000
"""Digits above which an integer is decoded as a ``Decimal``."""

decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
"""Decodes JSON: integers of any length as ``int``, other numbers as ``Decimal``.

Raises one of :data:`DECODE_ERRORS`.
"""

DECODE_ERRORS: Final = (
    msgspec.DecodeError,
    UnicodeError,
    RecursionError,
    InvalidOperation,
)

encode: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Encodes compact JSON in UTF-8.

Raises ``UnicodeEncodeError`` for half a surrogate pair, which UTF-8 cannot encode.
"""


def decode_line(line: bytes | str) -> tuple[Any, bool]:
    """Decode a line of JSON; accept NaN, infinities and half surrogate pairs too.

    Args:
        line: The JSON text.

    Returns:
        The value, and whether the text is valid JSON. Numbers are ``int``, ``Decimal``,
        or in invalid JSON a ``float`` that is not finite.

    Raises:
        ValueError: The line is not JSON.
    """
    try:
        return decode(line), True
    except DECODE_ERRORS:
        return decode_leniently(line, float, beyond=lambda _: math.nan), False


def decode_leniently(
    text: bytes | str, not_finite: Callable[[str], Any], beyond: Callable[[str], Any]
) -> Any:  # noqa: ANN401 - any JSON value
    """Decode JSON that the fast decoder refuses but Python's own decoder accepts.

    Args:
        text: The JSON text.
        not_finite: Converts ``NaN``, ``Infinity`` and ``-Infinity``.
        beyond: Converts a number whose exponent is too large for a ``Decimal``.

    Returns:
        The value; integers of more than :data:`MOST_DIGITS` digits are ``Decimal``.

    Raises:
        ValueError: The text is not JSON, or is nested too deeply.
    """

    def number(digits: str) -> Any:  # noqa: ANN401 - whatever `beyond` returns
        try:
            return Decimal(digits)
        except InvalidOperation:  # an exponent of nineteen digits
            return beyond(digits)

    def integer(digits: str) -> int | Decimal:
        # Python refuses to convert longer integers, since that is very slow.
        return int(digits) if len(digits) <= MOST_DIGITS else Decimal(digits)

    try:
        return json.loads(
            text, parse_float=number, parse_int=integer, parse_constant=not_finite
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def encode_anything(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Encode any decoded JSON value; half surrogate pairs are written as escapes."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, default=_number).encode()


def _number(value: Decimal) -> float | str:
    """Convert a decimal to a float, or to text if a float would lose digits."""
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)
