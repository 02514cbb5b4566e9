"""Values as text for people to read."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

INVISIBLE: Final = frozenset("\u061c\u200e\u200f\u2028\u2029\ufeff\ufffe\uffff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
"""Direction marks, separators and noncharacters, which distort the text around them."""

START_OF_1900: Final = -2_208_988_800
END_OF_2099: Final = 4_102_444_799
END_OF_9999: Final = 253_402_300_799
"""Bounds of times in Unix seconds. The views of a sandbox show numbers after 2099 as
they are, and Python has no later time than the last."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

NAMES_OF_TIMES: Final = re.compile(r"_at$|[a-z]At$|_date$|[a-z]Date$")
"""Names of attributes whose whole numbers are times, as in the views of a sandbox."""

WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,10}")

NAMES_OF_LIKELY_TIMES: Final = re.compile(
    r"(?:^|[_.\s-])(?:at|date|time|timestamp|since|until|up|on|in|seen|login|created|"
    r"updated|joined|renewed|expires|deadline)$|[a-z](?:Time|Since|Until|Up|On|Seen)$"
)
"""Names of attributes whose numbers are times if they look like recent Unix seconds."""

RECENT_SECONDS: Final = re.compile(r"[0-9]{9,10}")
"""Unix seconds between 1973 and 2286."""

KINDS: Final = {"event": "", "page": "Page view", "screen": "Screen view"}
"""Kinds of events in plain words; an event says what happened by its name."""

SECONDS_PER_MINUTE: Final = 60
MINUTES_PER_HOUR: Final = 60


def visible(text: str) -> str:
    """Return text with its invisible characters written as escapes."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in {"Cc", "Cs"} or character in INVISIBLE
    if not hidden or character == "\n":
        return character
    return character.encode("unicode_escape").decode()


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
    if seconds < SECONDS_PER_MINUTE:
        return f"{seconds:.1f} seconds"
    hours, minutes, rest = hours_and_less(seconds)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s"


def hours_and_less(seconds: float) -> tuple[int, int, int]:
    """Return a duration as hours, minutes and whole seconds."""
    minutes, rest = divmod(round(seconds), SECONDS_PER_MINUTE)
    return (*divmod(minutes, MINUTES_PER_HOUR), rest)


def instant(value: int | str) -> str:
    """Return Unix seconds or an ISO text as people write a time."""
    if isinstance(value, str):
        return moment(datetime.fromisoformat(value).astimezone(timezone.utc))
    if START_OF_1900 <= value <= END_OF_9999:
        return moment(EPOCH + timedelta(seconds=value))
    return str(value)


def time_of(name: str, value: str) -> str | None:
    """Return an attribute's number as a time; None if it is not likely to be one."""
    if NAMES_OF_TIMES.search(name):
        if WHOLE_NUMBER.fullmatch(value) and START_OF_1900 <= int(value) <= END_OF_2099:
            return instant(int(value))
    elif NAMES_OF_LIKELY_TIMES.search(name) and RECENT_SECONDS.fullmatch(value):
        return instant(int(value))
    return None


def kind(name: str) -> str:
    """Return the kind of an event in plain words."""
    return KINDS.get(name, name.replace("_", " "))


def used(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts that are not zero."""
    return {name: count for name, count in counts.items() if count}
