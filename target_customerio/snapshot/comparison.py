"""Compares attributes with what a snapshot knows of an entry."""

from __future__ import annotations

from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Raw, Struct

from target_customerio.json_codec import decode
from target_customerio.snapshot.effects import Effect, Names, Ticket
from target_customerio.snapshot.entries import Entries
from target_customerio.snapshot.entry import MAX_ROW_HASHES, Entry
from target_customerio.snapshot.hashing import Hasher, encoded_values
from target_customerio.snapshot.identities import PersonMatch, PersonMatcher
from target_customerio.snapshot.tables import OBJECT, PERSON
from target_customerio.track_api.operations import PREFERENCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from target_customerio.snapshot.file import SnapshotFile
    from target_customerio.track_api.operations import JSON, Attributes, Operation


_NO_NUMBER: Final = -1

Change: TypeAlias = Literal["created", "changed", "unchanged", "other"]


class Decision(Struct, eq=False, gc=False):
    """Which part of an operation is sent, and in which order with others.

    Attributes:
        operation: What to send; None if nothing has changed.
        ticket: What the operation does to the snapshot; None if nothing.
        change: What becomes of the person or object, for a plan; ``other`` if the
            operation is not compared.
        entry: The number of the entry of that person or object; 0 without one.
        identities: Keys that order the operation beside those that it names itself.
        keys: All keys that order the operation; empty if they are those that it names
            itself and ``identities``.
    """

    operation: Operation | None
    ticket: Ticket | None = None
    change: Change = "other"
    entry: int = 0
    identities: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def unchanged(entry: int) -> Decision:
    """Return the decision to send nothing about an entry."""
    return Decision(None, None, "unchanged", entry)


class Diff(Struct, gc=False):
    """Attributes that have to be sent.

    Attributes:
        sent: The attributes.
        named: The numbers of their names.
        stored: Their hashes, to store on delivery, by these numbers.
    """

    sent: Attributes
    named: tuple[int, ...]
    stored: dict[int, int]


class Comparison:
    """Compares with one snapshot.

    Attributes:
        entries: Finds its entries.
        names: The numbers of attributes' names.
        hasher: Hashes values.
        people: Finds people by identifiers.
        refreshed: Entries to write although no operation is sent: a row was compared.
    """

    def __init__(self, file: SnapshotFile) -> None:
        """Compare with a file."""
        self.entries = Entries(file)
        self.names = Names(file.reader)
        self.hasher = Hasher(file.key)
        self.people = PersonMatcher(self.entries, self.hasher)
        self.refreshed: dict[int, bytes] = {}

    def diff(
        self,
        entry: Entry | None,
        attributes: Attributes,
        uncertain: frozenset[str] = frozenset(),
        *,
        is_certain: bool = True,
        forced: frozenset[str] = frozenset(),
        encoded: Sequence[bytes] | None = None,
    ) -> Diff:
        """Compare attributes with the known hashes of an entry.

        Args:
            entry: The entry; None if the snapshot cannot tell which one it is.
            attributes: The attributes.
            uncertain: Attributes that are always sent and never stored.
            is_certain: Whether Customer.io applies the operation to this entry; if
                not, all attributes are sent and none is stored.
            forced: Attributes that are always sent.
            encoded: The values as JSON, if they are encoded already.
        """
        if encoded is None:
            _, encoded = encoded_values(attributes)
        hashes = self.hasher.values(encoded)
        keys = self.names.layout(attributes).numbers
        if not is_certain or entry is None:
            return Diff({**attributes}, tuple(key for key in keys if key >= 0), {})
        known = entry.known()
        before = map(known.get, keys)
        always = uncertain | forced
        if not known:
            changed: Sequence[int] = range(len(keys))
        elif always:
            changed = [
                at
                for at, (name, old, new) in enumerate(
                    zip(attributes, before, hashes, strict=True)
                )
                if old != new or name in always
            ]
        else:
            changed = [*compress(range(len(keys)), map(ne, before, hashes))]
        return _picked(attributes, keys, hashes, changed, uncertain)

    def overlapping(self, entry: Entry, names: Mapping[str, JSON]) -> tuple[int, ...]:
        """Return the preferences of an entry that sent ones overlap.

        Sending all preferences as an object makes each topic unknown, and the reverse.
        """
        if not self.names.layout(names).has_preferences:
            return ()
        texts = self.names.texts
        if PREFERENCES in names:
            return tuple(
                each
                for each in (*entry.hashes, *entry.pending)
                if texts[each].startswith(f"{PREFERENCES}.")
            )
        whole = self.names.number(PREFERENCES)
        return () if whole is None else (whole,)

    def complete(self, effect: Effect, row_hash: bytes = b"") -> None:
        """Set the stored form of the entry after delivery, if that can be told yet."""
        entry = effect.entry
        # Operations that only relate people to an object are answered in any order.
        only_exists = entry.kind == OBJECT and effect.named == ()
        if entry.unanswered or only_exists:
            return
        after = Entry(entry.number, entry.kind)
        after.flags, after.known_hashes = entry.flags, entry.hashes.copy()
        effect.apply(after, delivered=True)
        after.epoch = self.entries.epoch
        if row_hash and effect.stored:
            after.row_hashes = (row_hash,)
        effect.data = after.packed()

    def note_row(self, entry: Entry | None, row_hash: bytes) -> None:
        """Add the hash of an unchanged row to an entry, where the next run finds it."""
        if entry is None or entry.unanswered or row_hash in entry.row_hashes:
            return
        entry.row_hashes = (*entry.row_hashes, row_hash)[-MAX_ROW_HASHES:]
        entry.epoch = self.entries.epoch
        self.refreshed[entry.number] = entry.packed()

    def take(self, ticket: Ticket) -> None:
        """Note that an operation is about to be sent."""
        effects = ticket.effects
        if len(effects) > 1 and len(effects) > len(
            {effect.entry.number for effect in effects}
        ):
            for effect in effects:
                # Each was computed as if it were the only effect on its entry.
                effect.data = None
        if ticket.concerns_anyone:
            self.entries.make_unknown(ticket.unknown_everywhere)
        for effect in effects:
            self.refreshed.pop(effect.entry.number, None)
            self.entries.take(effect)


def by_topic(attributes: Attributes) -> Attributes:
    """Return attributes with subscription preferences in dotted form, topic by topic.

    A change of one topic then restores no other. The preferences stay one attribute if
    a topic's name has a dot, since it would look like a path.

    Source: schema ``cio_subscription_preferences``.
    """
    preferences = attributes.get(PREFERENCES)
    if isinstance(preferences, Raw):
        preferences = decode(bytes(preferences))
    if not isinstance(preferences, dict):
        return attributes
    topics = preferences.get("topics")
    dotted: Attributes = {}
    for name, value in preferences.items():
        if name != "topics" or not isinstance(topics, dict):
            dotted[name] = value
    if isinstance(topics, dict):
        dotted.update((f"topics\0{name}", value) for name, value in topics.items())
    if not dotted or any("." in name for name in dotted):
        return attributes
    rest = {name: value for name, value in attributes.items() if name != PREFERENCES}
    return rest | {
        f"{PREFERENCES}.{name.replace(chr(0), '.')}": value
        for name, value in dotted.items()
    }


def _picked(
    attributes: Attributes,
    keys: Sequence[int],
    hashes: Sequence[int],
    changed: Sequence[int],
    uncertain: frozenset[str],
) -> Diff:
    """Return the attributes at these positions."""
    if len(changed) == len(keys) and not uncertain and _NO_NUMBER not in keys:
        return Diff(attributes, tuple(keys), dict(zip(keys, hashes, strict=True)))
    names = [*attributes]
    sent = {names[at]: attributes[names[at]] for at in changed}
    numbered = [at for at in changed if keys[at] != _NO_NUMBER]
    stored = {keys[at]: hashes[at] for at in numbered if names[at] not in uncertain}
    return Diff(sent, tuple(keys[at] for at in numbered), stored)


def identities_of(person: PersonMatch) -> tuple[str, ...]:
    """Return the keys of the people that order an operation on a person."""
    return keys_of(person.everyone)


def keys_of(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the keys of people that order operations."""
    keys: list[str] = []
    for each in entries:
        if each.kind == PERSON:
            keys += [f"id:{each.key}"] if each.key is not None else []
            keys += [f"email:{each.other_key}"] if each.other_key is not None else []
    return tuple(keys)
