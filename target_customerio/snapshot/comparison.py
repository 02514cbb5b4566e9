"""Compares attributes with what a snapshot knows of an entry."""

from __future__ import annotations

from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Raw, Struct

from target_customerio.json_codec import decode
from target_customerio.snapshot.effects import Effect, Names, Ticket
from target_customerio.snapshot.entries import Entries
from target_customerio.snapshot.entry import (
    MAX_ROWS,
    Entry,
    Hasher,
    encoded_values,
)
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
    """What is sent of an operation.

    Attributes:
        operation: What to send; None if nothing has changed.
        ticket: What it does to the snapshot; None if nothing.
        change: What becomes of what it names; ``other`` if that is not compared.
        entry: The number of the entry that it is about; 0 without one.
        identities: Further keys by which the operation has to be ordered.
        keys: All keys by which it has to be ordered; empty if they are those that the
            operation names and the further ones.
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
        named: Their numbers, and those of others that sending them makes unknown.
        stored: Their hashes, to store once they are delivered.
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
        """Compare attributes with what is known.

        Uncertain ones are always sent and never stored; forced ones are always sent.
        ``encoded`` are their values as JSON.
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
        """Return what else is known of preferences when some of them are sent."""
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

    def complete(self, effect: Effect, row: bytes = b"") -> None:
        """Give an effect the whole entry after delivery, if nothing is unanswered."""
        entry = effect.entry
        # Relationships of one object are answered in any order.
        only_exists = entry.kind == OBJECT and effect.named == ()
        if entry.unanswered or only_exists:
            return
        after = Entry(entry.number, entry.kind)
        after.flags, after.known_hashes = entry.flags, entry.hashes.copy()
        effect.apply(after, delivered=True)
        after.epoch = self.entries.epoch
        if row and effect.stored:
            after.rows = (row,)
        effect.data = after.packed()

    def note_row(self, entry: Entry | None, row: bytes) -> None:
        """Note that a row has no changes, so that it is not compared again."""
        if entry is None or entry.unanswered or row in entry.rows:
            return
        entry.rows = (*entry.rows, row)[-MAX_ROWS:]
        entry.epoch = self.entries.epoch
        self.refreshed[entry.number] = entry.packed()

    def take(self, ticket: Ticket) -> None:
        """Note that an operation is about to be sent."""
        effects = ticket.effects
        if len(effects) > 1 and len(effects) > len(
            {effect.entry.number for effect in effects}
        ):
            for effect in effects:
                effect.data = None  # each was made as if it were the only one
        if ticket.concerns_anyone:
            self.entries.make_unknown(ticket.unknown_everywhere)
        for effect in effects:
            self.refreshed.pop(effect.entry.number, None)
            self.entries.take(effect)


def by_topic(attributes: Attributes) -> Attributes:
    """Return attributes with subscription preferences in dotted form.

    So that a change of one topic restores no other. Names with dots cannot be told
    from paths: then the preferences stay one attribute.

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
