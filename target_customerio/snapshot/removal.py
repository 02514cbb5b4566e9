"""Finds the missing entries to remove, and the operations that remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from target_customerio.snapshot.entries import stored_entry
from target_customerio.snapshot.entry import ALIASES, MERGED, SUPPRESSED
from target_customerio.snapshot.hashing import Hasher
from target_customerio.snapshot.missing import (
    KINDS_OF_CALLS,
    REMOVAL_ORDER,
    Missing,
    Removal,
    limit_of,
    why_too_many,
    why_unusable,
)
from target_customerio.snapshot.tables import MEMBERSHIP, OBJECT, PERSON
from target_customerio.track_api.operations import (
    ObjectDelete,
    ObjectDeleteRelationships,
    PersonDelete,
    Relationship,
    SegmentRemove,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from target_customerio.snapshot.entry import Entry
    from target_customerio.snapshot.holds import BitSet
    from target_customerio.snapshot.missing import Candidate
    from target_customerio.snapshot.snapshot import Snapshot
    from target_customerio.snapshot.streams import Stream
    from target_customerio.track_api.operations import (
        ObjectIdentifiers,
        Operation,
        PersonIdentifiers,
    )


class RemovalFinder:
    """Finds which missing entries of streams have to be removed."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Find them in a snapshot, whose streams have ended."""
        self._database = snapshot.file.reader
        self._streams = snapshot.streams
        self._alias = Hasher(snapshot.file.key).alias
        self._update_only: set[int] = set()

    def find(self, mapped: Sequence[Candidate]) -> list[Removal]:
        """Return what the removal of the streams that ask for it would do.

        A refused stream goes on holding what it held before its last run, so that no
        other stream removes it. What two streams miss is removed once.

        Args:
            mapped: All streams of the snapshot that are mapped to a call.
        """
        self._update_only = {each.stream.number for each in mapped if each.update_only}
        candidates = [each for each in mapped if each.remove_missing]
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
        for kind in REMOVAL_ORDER:
            for removal in removals:
                for number in removal.to_remove(kind):
                    entry = self._entry(number)
                    operation = None if entry is None else self._operation(entry)
                    if operation is not None:
                        yield removal.stream, operation

    def _drop_removed(self) -> None:
        """Release what was removed by a run that was killed before it wrote that."""
        for stream in self._streams:
            for kind, missing in enumerate(stream.holds.missing):
                for number in [*missing]:
                    if self._entry(number) is None:
                        stream.holds.release(kind, number)

    def _removal(
        self, candidate: Candidate, refused: frozenset[int], taken: set[int]
    ) -> Removal:
        if problem := why_unusable(candidate):
            return Removal(candidate.stream, problem)
        kinds = {
            kind: self._missing(candidate, kind, refused, taken)
            for kind in KINDS_OF_CALLS[candidate.call]
        }
        return Removal(
            candidate.stream, why_too_many(kinds, candidate.max_deletions), kinds
        )

    def _missing(
        self, candidate: Candidate, kind: int, refused: frozenset[int], taken: set[int]
    ) -> Missing:
        """Return what is missing of a kind, and add what is removed to ``taken``."""
        stream = candidate.stream
        held_before = stream.held_before[kind]
        found = Missing(held_before, limit_of(candidate.max_deletions, held_before))
        kept = found.kept
        protected = self._protected(stream, kind, refused)
        for number in stream.holds.missing[kind]:
            entry = self._entry(number)
            if entry is None or number in taken:
                continue
            if candidate.update_only:
                kept.update_only += 1
            elif holders := self._holders(entry, protected):
                kept.held += 1
                kept.holders.update(holders)
            elif self._operation(entry) is None:
                kept.unremovable += 1
            else:
                found.to_remove.append(number)
        taken.update(found.to_remove)
        return found

    def _protected(
        self, stream: Stream, kind: int, refused: frozenset[int]
    ) -> list[tuple[str, BitSet]]:
        """Return the entries that streams protect from the removal of a stream."""
        protected = []
        for each in self._streams:
            is_update_only = each.update_only or each.number in self._update_only
            if is_update_only or each.number in refused:
                entries = each.holds.ever_held(kind)
            elif each is stream:
                entries = each.holds.held[kind]
            else:
                entries = each.protected(kind)
            if entries.chunks:
                protected.append((each.title, entries))
        return protected

    def _holders(
        self, entry: Entry, protected: Sequence[tuple[str, BitSet]]
    ) -> list[str]:
        """Return the streams that hold an entry, or one that may be the same thing."""
        numbers = (entry.number, *self._same(entry))
        return [
            stream
            for stream, entries in protected
            if any(number in entries for number in numbers)
        ]

    def _same(self, entry: Entry) -> Iterable[int]:
        """Return other entries that may be the same thing in Customer.io.

        A person known by an address alone, and a person with an id who has or claims
        that address, may be one person. So may their relationships and memberships.
        """
        if entry.kind == PERSON:
            same = self._with_address(entry)
            if entry.key is not None:
                same += self._numbers("a", PERSON, entry.key)
            return same
        if entry.kind == OBJECT:
            return ()
        owner, _, number = str(entry.key).partition(":")
        person = self._entry(int(number))
        keys = (
            f"{owner}:{other}"
            for other in (() if person is None else self._with_address(person))
        )
        return [each for key in keys for each in self._numbers("a", entry.kind, key)]

    def _with_address(self, person: Entry) -> list[int]:
        """Return the people who may be a person with whom they share an address.

        Two people with different ids are different people, so one of them has no id.
        """
        read = self._database.execute
        claimed = {
            alias
            for (alias,) in read(_CLAIMED, (ALIASES.index("email"), person.number))
        }
        same: list[int] = []
        if isinstance(person.other_key, str):
            claimed.add(self._alias("email", person.other_key))
            same += self._numbers("b", PERSON, person.other_key)
        for alias in claimed:
            same += [number for (number,) in read(_CLAIMING, (alias,))]
        if person.key is None:
            return same
        return [each for each in same if _has_no_id(self._entry(each))]

    def _numbers(self, column: str, kind: int, key: str) -> list[int]:
        rows = self._database.execute(
            f"SELECT number FROM entries WHERE kind = ? AND {column} = ?",  # noqa: S608 - constants
            (kind, key),
        ).fetchall()
        return [number for (number,) in rows]

    def _entry(self, number: int) -> Entry | None:
        return stored_entry(self._database, number)

    def _operation(self, entry: Entry) -> Operation | None:
        """Return what removes an entry; None if its person cannot be named."""
        if entry.kind == OBJECT:
            return ObjectDelete(identifiers=_object(str(entry.key)))
        if entry.kind == PERSON:
            named = _person(entry)
            return None if named is None else PersonDelete(identifiers=named)
        owner, _, number = str(entry.key).partition(":")
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
            identifiers=_object(str(related.key)),
            cio_relationships=[Relationship(identifiers=named)],
        )


_CLAIMED: Final = "SELECT alias FROM aliases WHERE alias & 3 = ? AND number = ?"
_CLAIMING: Final = "SELECT number FROM aliases WHERE alias = ?"


def _has_no_id(entry: Entry | None) -> bool:
    return entry is not None and entry.key is None


def _person(entry: Entry) -> PersonIdentifiers | None:
    """Return the identifier by which a person is removed; None without one."""
    if entry.flags & (MERGED | SUPPRESSED):
        return None
    if entry.key is not None:
        return {"id": entry.key}
    return None if entry.other_key is None else {"email": str(entry.other_key)}


def _object(key: str) -> ObjectIdentifiers:
    object_type_id, _, object_id = key.partition(":")
    return {"object_type_id": object_type_id, "object_id": object_id}
