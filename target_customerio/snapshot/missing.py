"""What is missing from the last run of a stream, and how much of it may be removed."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from target_customerio.snapshot.streams import STATUSES
from target_customerio.snapshot.tables import (
    KINDS,
    MEMBERSHIP,
    OBJECT,
    PERSON,
    RELATIONSHIP,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_customerio.snapshot.streams import Stream


KINDS_OF_CALLS: Final = {
    "identify": (RELATIONSHIP, PERSON),
    "group": (RELATIONSHIP, OBJECT),
    "segment": (MEMBERSHIP,),
}
"""What is removed for the streams of a call: only what the stream is the table of.

A person who leaves a segment is not deleted, although the segment's stream held them.
"""

REMOVAL_ORDER: Final = (MEMBERSHIP, RELATIONSHIP, OBJECT, PERSON)
"""What refers to others is removed before them."""

_RUN_AGAIN: Final = "run the pipeline again"
_RUN_FIRST: Final = "run the pipeline first"
_WHAT_TO_DO: Final = {
    "running": _RUN_AGAIN,
    "failed": _RUN_AGAIN,
    "incremental": "let the tap read the whole table (FULL_TABLE), or leave out "
    "remove_missing",
    "unreadable": f"correct these rows, which were rejected, and {_RUN_AGAIN}",
}
"""What a user can do about a stream that is refused, by how its last run ended."""

_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)
_PERCENT: Final = 100


class Candidate(Struct):
    """A stream of the snapshot that is mapped to a call, with its present settings.

    Attributes:
        stream: The stream.
        call: Its call.
        update_only: Whether its identifies create no people.
        remove_missing: Whether it asks for removal.
        max_deletions: How many may be removed, of each kind: a number, or a share such
            as ``10%``.
    """

    stream: Stream
    call: str
    update_only: bool
    remove_missing: bool
    max_deletions: int | str


class Kept(Struct):
    """How many missing entries are kept, by reason.

    Attributes:
        held: Those that other streams hold.
        holders: The names of these streams.
        update_only: Those of a stream that is ``update_only``.
        unremovable: Those that no operation can remove: people without an id or
            address, merged or suppressed, and what relates to them.
    """

    held: int = 0
    holders: set[str] = set()
    update_only: int = 0
    unremovable: int = 0

    @property
    def total(self) -> int:
        """How many are kept, for any reason."""
        return self.held + self.update_only + self.unremovable

    def add(self, other: Kept) -> None:
        """Add what is kept of another kind or stream."""
        self.held += other.held
        self.holders |= other.holders
        self.update_only += other.update_only
        self.unremovable += other.unremovable


class Missing(Struct):
    """What is missing of one kind from the last run of a stream.

    Attributes:
        held_before: How many entries the stream held before its last run, with those
            that awaited removal.
        limit: How many of them may be removed.
        to_remove: The numbers of the missing entries that would be removed.
        kept: The missing entries that would not.
    """

    held_before: int
    limit: int
    to_remove: list[int] = []
    kept: Kept = field(default_factory=Kept)

    @property
    def missing(self) -> int:
        """How many entries are missing and not removed yet."""
        return len(self.to_remove) + self.kept.total


class Removal(Struct):
    """What the removal of a stream would do.

    Attributes:
        stream: The stream.
        refusal: Why nothing is removed; empty if something may be.
        kinds: What is missing, by kind, in the order of removal.
    """

    stream: Stream
    refusal: str = ""
    kinds: dict[int, Missing] = {}

    def to_remove(self, kind: int) -> Sequence[int]:
        """Return the numbers of the entries of a kind that are removed."""
        missing = self.kinds.get(kind)
        return () if missing is None or self.refusal else missing.to_remove

    @property
    def total(self) -> int:
        """How many entries are removed."""
        return sum(len(self.to_remove(kind)) for kind in self.kinds)


def limit_of(max_deletions: int | str, held: int) -> int:
    """Return how many entries of a kind may be removed.

    Args:
        max_deletions: A number, or a share such as ``10%``.
        held: How many there were before the last run, or awaited removal.

    Returns:
        The number; a share is rounded down, at least 1 and never all.
    """
    if isinstance(max_deletions, int):
        return max_deletions
    share = _SHARE.fullmatch(max_deletions)
    if share is None:
        return int(max_deletions)
    part = Decimal(share[1]) / _PERCENT
    return max(0, min(max(1, int(held * part)), held - 1)) if part else 0


def why_unusable(candidate: Candidate) -> str:
    """Return why a last run does not show what is missing; empty if it does."""
    stream = candidate.stream
    if stream.status != "complete":
        return f"{STATUSES[stream.status]}; {_WHAT_TO_DO[stream.status]}"
    if stream.call != candidate.call:
        return (
            f"its call was {stream.call} in its last run and is {candidate.call} now; "
            f"{_RUN_FIRST}"
        )
    if stream.update_only != candidate.update_only:
        before, now = ("", "not ") if stream.update_only else ("not ", "")
        return (
            f"it was {before}update_only in its last run and is {now}now; {_RUN_FIRST}"
        )
    return ""


def why_too_many(kinds: Mapping[int, Missing], max_deletions: int | str) -> str:
    """Return why more would be removed than the settings allow; empty if not."""
    for kind, found in kinds.items():
        count = len(found.to_remove)
        if count > found.limit:
            return (
                f"{count:,} of {found.held_before:,} {KINDS[kind]} would be removed, "
                f"and max_deletions ({max_deletions}) allows {found.limit:,}; "
                f"if that is right, set max_deletions to {count} for this stream"
            )
    return ""
