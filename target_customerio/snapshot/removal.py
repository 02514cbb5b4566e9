"""Which people, objects, relationships and memberships are gone from their sources."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from target_customerio.snapshot.entry import (
    ALIASES,
    MERGED,
    SUPPRESSED,
    Entry,
    Hasher,
)
from target_customerio.snapshot.file import (
    KINDS,
    MEMBERSHIP,
    OBJECT,
    PERSON,
    RELATIONSHIP,
)
from target_customerio.snapshot.streams import STATUSES
from target_customerio.track_api.operations import (
    ObjectDelete,
    ObjectDeleteRelationships,
    PersonDelete,
    Relationship,
    SegmentRemove,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from target_customerio.snapshot.holds import BitSet
    from target_customerio.snapshot.snapshot import Snapshot
    from target_customerio.snapshot.streams import Stream
    from target_customerio.track_api.operations import (
        ObjectIdentifiers,
        Operation,
        PersonIdentifiers,
    )


SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)
_PERCENT: Final = 100

KINDS_OF_CALLS: Final = {
    "identify": (RELATIONSHIP, PERSON),
    "group": (RELATIONSHIP, OBJECT),
    "segment": (MEMBERSHIP,),
}
"""What is removed for the streams of a call: only what the stream is the table of.

A person who leaves a segment is not deleted, although the segment's stream held them.
"""

AGAIN: Final = "run the pipeline again"
FIRST: Final = "run the pipeline first"
WHAT_TO_DO: Final = {
    "running": AGAIN,
    "failed": AGAIN,
    "incremental": "let the tap read the whole table (FULL_TABLE), or leave out "
    "remove_missing",
    "unreadable": f"correct these rows, which were rejected, and {AGAIN}",
}
"""What a user can do about a stream that is refused, by how its last run ended."""

ORDER: Final = (MEMBERSHIP, RELATIONSHIP, OBJECT, PERSON)
"""The order of removal: what refers to others comes first."""


def limit_of(max_deletions: int | str, held: int) -> int:
    """Return how many entries of a kind may go.

    Args:
        max_deletions: A number, or a share such as ``10%``.
        held: How many there were before the last run, or awaited removal.

    Returns:
        The number; a share is rounded down, at least 1 and never all.
    """
    if isinstance(max_deletions, int):
        return max_deletions
    share = SHARE.fullmatch(max_deletions)
    if share is None:
        return int(max_deletions)
    part = float(share[1]) / _PERCENT
    return max(0, min(max(1, int(held * part)), held - 1)) if part else 0


class Candidate(Struct):
    """A stream, and what the settings say about it now.

    Attributes:
        stream: The stream.
        call: Its call.
        update_only: Whether its identifies create no people.
        asks: Whether it asks for removal.
        max_deletions: How many may go, of each kind.
    """

    stream: Stream
    call: str
    update_only: bool
    asks: bool
    max_deletions: int | str


class Missing(Struct):
    """What a stream held of one kind, and what is missing.

    Attributes:
        held_before: How many it held before its last run, or awaited removal.
        missing: How many of them were not in its last run and are not removed yet.
        going: The numbers of the entries that are removed.
        held_by: How many stay since another stream holds them, by its name.
        held: How many stay since another stream holds them.
        limit: How many may go.
    """

    held_before: int
    limit: int
    missing: int = 0
    going: list[int] = []
    held_by: dict[str, int] = {}
    held: int = 0

    @property
    def others(self) -> int:
        """How many stay for another reason: they cannot be named, or were merged."""
        return self.missing - len(self.going) - self.held


class Removal(Struct):
    """What the removal of a stream would do.

    Attributes:
        stream: The stream.
        refusal: Why nothing is removed; empty if it is.
        kinds: What is missing, by kind, in the order of removal.
    """

    stream: Stream
    refusal: str = ""
    kinds: dict[int, Missing] = {}

    def going(self, kind: int) -> Sequence[int]:
        """Return the numbers of the entries of a kind that are removed."""
        missing = self.kinds.get(kind)
        return () if missing is None or self.refusal else missing.going

    @property
    def total(self) -> int:
        """How many entries are removed."""
        return sum(len(self.going(kind)) for kind in self.kinds)


class Remover:
    """Finds what has to be removed."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Look into a snapshot."""
        self._database = snapshot.file.reader
        self._streams = snapshot.streams
        self._alias = Hasher(snapshot.file.key).alias
        self._update_only: set[int] = set()

    def plan(
        self, removal_of: Callable[[str], tuple[str, bool, bool, int | str] | None]
    ) -> list[Removal]:
        """Return what the removal of the streams that ask for it would do.

        A refused stream holds what it held before its last run: that is not removed
        for another stream either. What two streams miss is removed once.

        Args:
            removal_of: Returns the other attributes of a :class:`Candidate` by the
                name of its stream; None if it is mapped to no call.
        """
        mapped = [
            Candidate(stream, *known)
            for stream in self._streams
            if (known := removal_of(stream.name)) is not None
        ]
        self._update_only = {each.stream.number for each in mapped if each.update_only}
        candidates = [each for each in mapped if each.asks]
        self._drop_removed()
        found = [self._removal(each, frozenset(), set()) for each in candidates]
        refused = {each.stream.number for each in found if each.refusal}
        taken: set[int] = set()
        return [
            first if first.refusal else self._removal(each, frozenset(refused), taken)
            for each, first in zip(candidates, found, strict=True)
        ]

    def operations(
        self, removals: Sequence[Removal]
    ) -> Iterator[tuple[Stream, Operation]]:
        """Yield the removals of streams that are not refused, each with its stream."""
        for kind in ORDER:
            for removal in removals:
                for number in removal.going(kind):
                    entry = self._entry(number)
                    operation = None if entry is None else self._operation(entry)
                    if operation is not None:
                        yield removal.stream, operation

    def _drop_removed(self) -> None:
        """Forget what was removed by a run that was killed before it noted that."""
        for stream in self._streams:
            for kind, missing in enumerate(stream.holds.missing):
                for number in [*missing]:
                    if self._entry(number) is None:
                        stream.holds.release(kind, number)

    def _removal(
        self, candidate: Candidate, refused: frozenset[int], taken: set[int]
    ) -> Removal:
        if problem := _unusable(candidate):
            return Removal(candidate.stream, problem)
        kinds = {
            kind: self._missing(candidate, kind, refused, taken)
            for kind in KINDS_OF_CALLS[candidate.call]
        }
        return Removal(
            candidate.stream, _refusal(kinds, candidate.max_deletions), kinds
        )

    def _missing(
        self, candidate: Candidate, kind: int, refused: frozenset[int], taken: set[int]
    ) -> Missing:
        stream = candidate.stream
        held_before = stream.held_before[kind]
        found = Missing(held_before, limit_of(candidate.max_deletions, held_before))
        found.going, found.held_by = [], {}
        holders = self._holders(stream, kind, refused)
        for number in stream.holds.missing[kind]:
            entry = self._entry(number)
            if entry is None or number in taken:
                continue
            found.missing += 1
            by = self._holding(entry, holders)
            for name in by:
                found.held_by[name] = found.held_by.get(name, 0) + 1
            if by:
                found.held += 1
            elif self._operation(entry) is not None:
                found.going.append(number)
        taken.update(found.going)
        return found

    def _holders(
        self, stream: Stream, kind: int, refused: frozenset[int]
    ) -> list[tuple[str, BitSet]]:
        """Return what must not be removed, by the stream that holds it."""
        holders = []
        for each in self._streams:
            is_update_only = each.update_only or each.number in self._update_only
            if is_update_only or each.number in refused:
                holding = each.holds.ever_held(kind)
            elif each is stream:
                holding = each.holds.held[kind]
            else:
                holding = each.holding(kind)
            if holding.chunks:
                holders.append((each.title, holding))
        return holders

    def _holding(
        self, entry: Entry, holders: Sequence[tuple[str, BitSet]]
    ) -> list[str]:
        """Return the streams that hold an entry or what may be the same thing."""
        numbers = (entry.number, *self._same(entry))
        return [
            name
            for name, holding in holders
            if any(number in holding for number in numbers)
        ]

    def _same(self, entry: Entry) -> Iterable[int]:
        """Return other entries that may be the same thing in Customer.io.

        Somebody known by an address alone may be whoever has or claims the address, and
        whoever has or claims it may be them. The same holds for their relationships and
        memberships.
        """
        if entry.kind == PERSON:
            same = self._with_address(entry)
            if entry.a is not None:
                same += self._numbers("a", PERSON, entry.a)
            return same
        if entry.kind == OBJECT:
            return ()
        owner, _, number = str(entry.a).partition(":")
        person = self._entry(int(number))
        keys = (
            f"{owner}:{other}"
            for other in (() if person is None else self._with_address(person))
        )
        return [each for key in keys for each in self._numbers("a", entry.kind, key)]

    def _with_address(self, person: Entry) -> list[int]:
        """Return who shares an address with a person; one of them has no id."""
        read = self._database.execute
        claimed = {
            alias
            for (alias,) in read(_CLAIMED, (ALIASES.index("email"), person.number))
        }
        same: list[int] = []
        if isinstance(person.b, str):
            claimed.add(self._alias("email", person.b))
            same += self._numbers("b", PERSON, person.b)
        for alias in claimed:
            same += [number for (number,) in read(_CLAIMING, (alias,))]
        if person.a is None:
            return same
        return [each for each in same if _has_no_id(self._entry(each))]

    def _numbers(self, column: str, kind: int, key: str) -> list[int]:
        rows = self._database.execute(
            f"SELECT number FROM entries WHERE kind = ? AND {column} = ?",  # noqa: S608 - constants
            (kind, key),
        ).fetchall()
        return [number for (number,) in rows]

    def _entry(self, number: int) -> Entry | None:
        row = self._database.execute(
            "SELECT kind, a, b, data FROM entries WHERE number = ?", (number,)
        ).fetchone()
        if row is None:
            return None
        kind, a, b, data = row
        return Entry(number, kind, a, b).unpack(data)

    def _operation(self, entry: Entry) -> Operation | None:
        """Return what removes an entry; None if its person cannot be named."""
        if entry.kind == OBJECT:
            return ObjectDelete(identifiers=_object(str(entry.a)))
        if entry.kind == PERSON:
            named = _person(entry)
            return None if named is None else PersonDelete(identifiers=named)
        owner, _, number = str(entry.a).partition(":")
        person = self._entry(int(number))
        named = None if person is None else _person(person)
        if named is None:
            return None
        if entry.kind == MEMBERSHIP:
            return SegmentRemove(segment_id=owner, identifiers=named)
        related = self._entry(int(owner))
        if related is None:
            return None
        return ObjectDeleteRelationships(
            identifiers=_object(str(related.a)),
            cio_relationships=[Relationship(identifiers=named)],
        )


_CLAIMED: Final = "SELECT alias FROM aliases WHERE alias & 3 = ? AND number = ?"
_CLAIMING: Final = "SELECT number FROM aliases WHERE alias = ?"


def _has_no_id(entry: Entry | None) -> bool:
    return entry is not None and entry.a is None


def _person(entry: Entry) -> PersonIdentifiers | None:
    """Return the identifier by which a person is removed; None without one."""
    if entry.flags & (MERGED | SUPPRESSED):
        return None
    if entry.a is not None:
        return {"id": entry.a}
    return None if entry.b is None else {"email": str(entry.b)}


def _object(key: str) -> ObjectIdentifiers:
    object_type_id, _, object_id = key.partition(":")
    return {"object_type_id": object_type_id, "object_id": object_id}


def _unusable(candidate: Candidate) -> str:
    """Return why the last run of a stream does not tell what is gone, if that is so."""
    stream = candidate.stream
    if stream.status != "complete":
        return f"{STATUSES[stream.status]}; {WHAT_TO_DO[stream.status]}"
    if stream.call != candidate.call:
        return (
            f"its call was {stream.call} in its last run and is {candidate.call} now; "
            f"{FIRST}"
        )
    if stream.update_only != candidate.update_only:
        before, now = ("", "not ") if stream.update_only else ("not ", "")
        return f"it was {before}update_only in its last run and is {now}now; {FIRST}"
    return ""


def _refusal(kinds: Mapping[int, Missing], max_deletions: int | str) -> str:
    """Return why a removal is refused; empty if it is not."""
    for kind, found in kinds.items():
        going = len(found.going)
        if going > found.limit:
            return (
                f"{going:,} of {found.held_before:,} {KINDS[kind]} would be removed, "
                f"and max_deletions ({max_deletions}) allows {found.limit:,}; "
                f"if that is right, set max_deletions to {going} for this stream"
            )
    return ""
