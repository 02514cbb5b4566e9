"""The ``Retry-After`` header, in seconds or as a date."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 366 * 86_400.0
"""A year: as good as for ever, and nothing overflows."""

_SECONDS = re.compile(r"\d+(\.\d*)?", re.ASCII)


def wanted_seconds(headers: Mapping[str, str]) -> float | None:
    """Read how long a server wants its clients to wait.

    A date is compared to the server's own clock where the answer tells it.

    Args:
        headers: The headers of an answer.

    Returns:
        Seconds, no less than 0, or ``None`` when the server does not say.
    """
    value = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), LONGEST)
    then = _date(value)
    if then is None:
        return None
    now = _date(headers.get("Date", "")) or datetime.now(timezone.utc)
    return min(max((then - now).total_seconds(), 0.0), LONGEST)


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
