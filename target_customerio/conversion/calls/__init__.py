"""The six calls and the members of segments, one file each, and their table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.conversion.calls import (
    alias,
    group,
    identify,
    page,
    screen,
    segment,
    track,
)

if TYPE_CHECKING:
    from target_customerio.conversion.fields import CallName
    from target_customerio.conversion.stream import Convert

CALLS: dict[CallName, Convert] = {
    "identify": identify.convert,
    "track": track.convert,
    "page": page.convert,
    "screen": screen.convert,
    "group": group.convert,
    "alias": alias.convert,
    "segment": segment.convert,
}
