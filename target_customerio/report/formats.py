"""Values as text for people to read."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

if TYPE_CHECKING:
    from datetime import datetime

INVISIBLE: Final = frozenset("\u061c\u200e\u200f\u2028\u2029\ufeff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
"""Characters that would change how the text around them is shown."""

MAX_CHARACTERS: Final = 300
"""Maximum characters of a value on the page."""

MINUTE: Final = 60
"""Seconds of a minute, and minutes of an hour."""


def visible(value: object) -> object:
    """Return text with its invisible characters written as escapes."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if value.isprintable():
        return value
    return "".join(map(_visible, value))


def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in {"Cc", "Cs"} or character in INVISIBLE
    if not hidden or character == "\n":
        return character
    return character.encode("unicode_escape").decode()


def shortened(text: str, characters: int = MAX_CHARACTERS) -> str:
    """Return the beginning of a text, and how long it is if that is not all of it."""
    if len(text) <= characters:
        return text
    return f"{text[:characters]}… ({len(text):,} characters)"


def as_json(value: object) -> str:
    """Return a value of the settings as JSON, text without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def number(value: float) -> str:
    """Return a number with separators for thousands."""
    return f"{value:,}"


def moment(value: datetime) -> str:
    """Return a time as people write it, in UTC."""
    return f"{value.day} {value:%b %Y, %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units."""
    if seconds < MINUTE:
        return f"{seconds:.1f} seconds"
    minutes, rest = divmod(round(seconds), MINUTE)
    hours, minutes = divmod(minutes, MINUTE)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s"
