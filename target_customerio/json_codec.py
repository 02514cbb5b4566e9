"""JSON decoding and encoding that keeps every digit."""

from __future__ import annotations

import json
import math
import re
import sys
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


MAX_INTEGER_DIGITS: Final = 4_000
"""Digits above which an integer is decoded as a ``Decimal``."""

MAX_LEVELS: Final = 975
"""Levels of nesting above which JSON is not decoded, whatever the Python version."""

KEPT_LEVELS: Final = 200
"""Levels that are kept of JSON with more than :data:`MAX_LEVELS`.

Every decoder accepts so many, even if the stack is already deep.
"""

_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
"""A string, or the start or end of an object or a list."""


def _tokens(text: bytes) -> Iterator[tuple[bytes, int, re.Match[bytes]]]:
    """Yield the first byte and the level of each token; brackets are in their own."""
    level = 0
    for token in _TOKEN.finditer(text):
        kind = token[0][:1]
        level += kind in b"[{"
        yield kind, level, token
        level -= kind in b"]}"


def _check_depth(text: bytes | str) -> None:
    """Raise ``RecursionError`` for JSON of more than :data:`MAX_LEVELS` levels."""
    if len(text) <= 2 * MAX_LEVELS:
        return
    if isinstance(text, str):
        text = text.encode(errors="surrogatepass")
    if text.count(b"[") + text.count(b"{") <= MAX_LEVELS:
        return
    if any(level > MAX_LEVELS for _, level, _ in _tokens(text)):
        raise RecursionError


_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode


def _decode_checked(text: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    _check_depth(text)
    return _decode(text)


decode: Final = _decode_checked if sys.version_info >= (3, 12) else _decode
"""Decodes JSON: integers of any length as ``int``, other numbers as ``Decimal``.

Raises one of :data:`DECODE_ERRORS`. Before Python 3.12, decoders stop at about
:data:`MAX_LEVELS` levels on their own.
"""

DECODE_ERRORS: Final = (
    msgspec.DecodeError,
    UnicodeError,
    RecursionError,
    InvalidOperation,
)

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")

encode: Final = _ENCODER.encode
"""Encodes compact JSON in UTF-8.

Raises ``UnicodeEncodeError`` for half a surrogate pair, which UTF-8 cannot encode.
"""

encode_lines: Final = _ENCODER.encode_lines
"""Encodes values likewise, each with a line feed after it."""


class Decoding(Enum):
    """How a JSON text was decoded."""

    STRICT = auto()
    """The text is valid JSON."""
    LENIENT = auto()
    """The text may have NaN, infinities or halves of surrogate pairs."""
    TRUNCATED = auto()
    """The text is nested too deeply; the deepest levels became null."""


STRICT: Final = Decoding.STRICT
"""An alias, because looking it up in the class costs time for each record."""


class NestedTooDeeplyError(ValueError):
    """JSON is nested too deeply for a decoder."""


def decode_line(line: bytes | str) -> tuple[Any, Decoding]:
    """Decode a line of JSON; accept NaN, infinities and half surrogate pairs too.

    Args:
        line: The JSON text.

    Returns:
        The value, and how it was decoded. Numbers are ``int`` or ``Decimal``; NaN and
        infinities are ``float``.

    Raises:
        ValueError: The line is not JSON.
    """
    try:
        return decode(line), Decoding.STRICT
    except DECODE_ERRORS:
        pass
    try:
        return decode_leniently(line, float, out_of_range=_nan), Decoding.LENIENT
    except NestedTooDeeplyError:
        text = truncate_nesting(line.encode() if isinstance(line, str) else line)
        return decode_leniently(text, float, out_of_range=_nan), Decoding.TRUNCATED


def _nan(_: str) -> float:
    return math.nan


def decode_leniently(
    text: bytes | str,
    not_finite: Callable[[str], Any],
    out_of_range: Callable[[str], Any],
) -> Any:  # noqa: ANN401 - any JSON value
    """Decode JSON with Python's decoder, which accepts more than the fast decoder.

    Args:
        text: The JSON text.
        not_finite: Converts ``NaN``, ``Infinity`` and ``-Infinity``.
        out_of_range: Converts a number whose exponent is too large for a ``Decimal``.

    Returns:
        The value. Integers of more than :data:`MAX_INTEGER_DIGITS` digits are
        ``Decimal``.

    Raises:
        NestedTooDeeplyError: The text is nested too deeply.
        ValueError: The text is not JSON.
    """

    def number(digits: str) -> Any:  # noqa: ANN401 - whatever `out_of_range` returns
        try:
            return Decimal(digits)
        except InvalidOperation:  # an exponent of nineteen digits
            return out_of_range(digits)

    def integer(digits: str) -> int | Decimal:
        # Python refuses to convert longer integers, since that is very slow.
        return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else Decimal(digits)

    try:
        _check_depth(text)
        return json.loads(
            text, parse_float=number, parse_int=integer, parse_constant=not_finite
        )
    except RecursionError:
        raise NestedTooDeeplyError from None


_COLON: Final = re.compile(rb"\s*:")


def truncate_nesting(text: bytes) -> bytes:
    """Replace objects and lists nested deeper than :data:`KEPT_LEVELS` with null.

    Raises:
        ValueError: The text is not JSON.
    """
    # Every so many levels, a part begins that is decoded on its own.
    parts: list[list[bytes]] = [[]]
    opened = end = 0
    for kind, level, token in _tokens(text):
        begins_part = level > 1 and level % KEPT_LEVELS == 1
        if kind in b"[{":
            opened += 1
            if begins_part:
                parts[-1].append(text[end : token.start()])
                parts.append([])
                end = token.start()
        elif kind in b"]}":
            opened -= 1
            if begins_part:
                part = b"".join([*parts.pop(), text[end : token.end()]])
                json.loads(part, parse_int=str)
                parts[-1].append(b"null")
                end = token.end()
            if opened < 0:
                break
    if opened:
        raise ValueError("brackets do not match")
    return b"".join([*parts[0], text[end:]])


def find_object(text: bytes, name: str) -> bytes:
    """Return the JSON text of an object under a name, nested to any depth.

    Args:
        text: The JSON text of the outer object.
        name: The name of the value.

    Raises:
        LookupError: There is no such object.
    """
    start, found = None, b""
    for kind, level, token in _tokens(text):
        if kind == b'"' and level == 1:
            if colon := _COLON.match(text, token.end()):
                start = colon.end() if json.loads(token[0]) == name else None
        elif kind in b"]}" and level == 2 and start is not None:  # noqa: PLR2004 - below the outer object
            found = text[start : token.end()].lstrip()
    if not found.startswith(b"{"):
        raise LookupError(name)
    return found


def encode_anything(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Encode any decoded JSON value; half surrogate pairs are written as escapes."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, default=_number).encode()


def _number(value: Decimal) -> float | str:
    """Convert a decimal to a float, or to text if a float would lose digits."""
    number = float(value)
    is_same = Decimal(repr(number)) == value or not value.is_finite()
    return number if is_same else str(value)
