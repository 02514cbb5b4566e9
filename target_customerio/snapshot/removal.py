"""Which people, objects, relationships and memberships are gone from their sources."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from target_customerio.snapshot.entry import MERGED, SUPPRESSED, Entry, Hasher
from target_customerio.snapshot.file import (
    KINDS,
    MEMBERSHIP,
    OBJECT,
    PERSON,
    RELATIONSHIP,
)
from target_customerio.snapshot.streams import STATUSES, held_by_others
from target_customerio.track_api.operations import (
    ObjectDelete,
    ObjectDeleteRelationships,
    PersonDelete,
    Relationship,
    SegmentRemove,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_customerio.snapshot.file import SnapshotFile
    from target_customerio.snapshot.holds import BitSet
    from target_customerio.snapshot.streams import Stream, Streams
    from target_customerio.track_api.operations import (
        ObjectIdentifiers,
        Operation,
        PersonIdentifiers,
    )


SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)
_PERCENT: Final = 100
ORDER: Final = (MEMBERSHIP, RELATIONSHIP, OBJECT, PERSON)
"""What refers to others goes first."""


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
    return min(max(1, int(held * float(share[1]) / _PERCENT)), held - 1)


class Removal(Struct):
    """What the removal of a stream would do.

    Attributes:
        stream: The stream.
        refusal: Why nothing is removed; empty if it is.
        going: The numbers of the entries that go, by kind.
        kept: How many are missing but stay, since another stream holds them, or since
            the person was merged, is suppressed or has neither id nor address.
    """

    stream: Stream
    refusal: str = ""
    going: dict[int, list[int]] = {}
    kept: int = 0


class Remover:
    """Finds what has to be removed."""

    def __init__(self, file: SnapshotFile, streams: Streams) -> None:
        """Look into a snapshot."""
        self._database = file.reader
        self._streams = streams
        self._alias = Hasher(file.key).alias

    def plan(self, stream: Stream, max_deletions: int | str) -> Removal:
        """Return what the removal of a stream would do.

        Args:
            stream: The stream.
            max_deletions: How many may go, of each kind.
        """
        if stream.status != "complete":
            return Removal(stream, f"{STATUSES[stream.status]}; nothing is removed")
        removal = Removal(stream, going={})
        for kind in ORDER:
            missing = [*stream.holds.missing[kind]]
            if missing:
                removal.going[kind] = self._going(stream, kind, missing)
                removal.kept += len(missing) - len(removal.going[kind])
        removal.refusal = _refusal(removal, max_deletions)
        return removal

    def operations(self, removal: Removal) -> Iterator[Operation]:
        """Yield the operations of a removal that is not refused."""
        for kind in ORDER:
            for number in removal.going.get(kind, ()):
                entry = self._entry(number)
                operation = None if entry is None else self._operation(entry)
                if operation is not None:
                    yield operation

    def _going(self, stream: Stream, kind: int, missing: Sequence[int]) -> list[int]:
        held = held_by_others(self._streams, stream, kind)
        going = []
        for number in missing:
            entry = None if number in held else self._entry(number)
            if entry is not None and self._may_go(entry, held):
                going.append(number)
        return going

    def _may_go(self, entry: Entry, held: BitSet) -> bool:
        if entry.kind == OBJECT:
            return True
        if entry.kind in (RELATIONSHIP, MEMBERSHIP):
            return self._operation(entry) is not None
        if entry.flags & (MERGED | SUPPRESSED):
            return False
        if entry.a is not None:
            return True
        return entry.b is not None and not self._address_is_held(entry, held)

    def _address_is_held(self, entry: Entry, held: BitSet) -> bool:
        """Tell whether a stream holds anyone with the address of an entry."""
        alias = self._alias("email", str(entry.b))
        others = [
            *self._database.execute(
                "SELECT number FROM entries WHERE kind = ? AND b = ?", (PERSON, entry.b)
            ),
            *self._database.execute(
                "SELECT number FROM aliases WHERE alias = ?", (alias,)
            ),
        ]
        return any(number in held for (number,) in others)

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
        named = None if person is None or person.flags & MERGED else _person(person)
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


def _person(entry: Entry) -> PersonIdentifiers | None:
    if entry.a is not None:
        return {"id": entry.a}
    return None if entry.b is None else {"email": str(entry.b)}


def _object(key: str) -> ObjectIdentifiers:
    object_type_id, _, object_id = key.partition(":")
    return {"object_type_id": object_type_id, "object_id": object_id}


def _refusal(removal: Removal, max_deletions: int | str) -> str:
    """Return why a removal is refused; empty if it is not."""
    for kind, going in removal.going.items():
        held = removal.stream.held_before[kind]
        limit = limit_of(max_deletions, held)
        if len(going) > limit:
            return (
                f"{len(going):,} of {held:,} {KINDS[kind]} would be removed, and "
                f"max_deletions ({max_deletions}) allows {max(limit, 0):,}; if that is "
                f"right, set max_deletions to {len(going)} for this stream"
            )
    return ""
