"""Decides on operations on people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from target_customerio.json_codec import encode
from target_customerio.snapshot.comparison import (
    Decision,
    by_topic,
    identities_of,
    keys_of,
    unchanged,
)
from target_customerio.snapshot.effects import Effect, Ticket
from target_customerio.snapshot.entry import (
    EXISTED,
    EXISTS,
    LOST_BY_DELETION,
    MERGED,
    SUPPRESSED,
    UNLINKED,
)
from target_customerio.snapshot.hashing import encoded_values
from target_customerio.snapshot.objects import hold_all
from target_customerio.track_api.operations import UPDATE_ONLY, PersonIdentify

if TYPE_CHECKING:
    from target_customerio.snapshot.comparison import Change, Comparison, Diff
    from target_customerio.snapshot.entry import Entry
    from target_customerio.snapshot.holds import StreamHolds
    from target_customerio.snapshot.identities import PersonMatch
    from target_customerio.snapshot.objects import ObjectDecider
    from target_customerio.track_api.operations import (
        Operation,
        PersonDelete,
        PersonMerge,
        PersonSuppress,
        PersonUnsuppress,
    )


_LINKING: Final = frozenset({"id", "email"})
"""Identifiers that are sent even if unchanged when they link an id and an address."""


class PersonDecider:
    """Decides on operations on people."""

    def __init__(self, compare: Comparison, objects: ObjectDecider) -> None:
        """Compare with a snapshot."""
        self._compare = compare
        self._objects = objects

    def identify(
        self, operation: PersonIdentify, stream: StreamHolds | None, row_hash: bytes
    ) -> Decision:
        """Decide on a person's attributes and relationships."""
        attributes = {**operation.attributes}
        update_only = attributes.pop(UPDATE_ONLY, None)
        attributes = by_topic(attributes)
        try:  # first of all: whoever is found may be given an identifier
            _, encoded = encoded_values(attributes)
            encode(operation.cio_relationships or ())
        except (UnicodeEncodeError, RecursionError):
            return Decision(operation)  # it is rejected when it is encoded
        person = self._compare.people.find(
            operation.identifiers, attributes, self._compare.names.numbers
        )
        applies = operation.timestamp is UNSET and update_only is None
        is_certain = applies and person.is_certain
        entry = person.entry
        diff = self._compare.diff(
            entry,
            attributes,
            person.uncertain,
            is_certain=is_certain,
            forced=_LINKING if person.links else frozenset(),
            encoded=encoded,
        )
        ticket = Ticket([])
        relationships = self._objects.related_objects(
            ticket, operation, person, stream, applies=applies
        )
        hold_all(person.held, stream)
        has_changes = diff.sent or relationships or person.aliases
        if entry is not None and entry.exists and is_certain and not has_changes:
            if row_hash and not operation.cio_relationships:
                self._compare.note_row(entry, row_hash)
            return unchanged(entry.number)
        change: Change = "changed" if entry is None or entry.may_exist else "created"
        if update_only is not None:
            diff.sent[UPDATE_ONLY] = update_only
        self._person_effects(ticket, person, diff, applies=applies, row_hash=row_hash)
        return Decision(
            PersonIdentify(
                identifiers=operation.identifiers,
                attributes=diff.sent,
                timestamp=operation.timestamp,
                cio_relationships=relationships or UNSET,
            ),
            ticket,
            change,
            entry.number if entry is not None else 0,
            identities_of(person),
        )

    def _person_effects(
        self,
        ticket: Ticket,
        person: PersonMatch,
        diff: Diff,
        *,
        applies: bool,
        row_hash: bytes,
    ) -> None:
        """Add what an identify does to the people whom it may concern."""
        entry = person.entry
        if entry is None:  # any person, who may get another id or address
            renames = not _LINKING.isdisjoint(diff.sent)
            ticket.unknown_everywhere = None if renames else diff.named
        else:
            named = (*diff.named, *self._compare.overlapping(entry, diff.sent))
            # An identify with a time creates a person, but may not change one.
            creates = UPDATE_ONLY not in diff.sent and person.is_certain
            applied = applies and person.is_certain
            effect = Effect(
                entry,
                None if person.is_contested else named,
                diff.stored if applied else {},
                gained=EXISTS if creates else 0,
                aliases=person.aliases,
                moves=person.links,
                needs_link=person.needs_link,
            )
            if "email" in person.uncertain:
                effect.gained |= UNLINKED
            elif applied and (
                "email" in diff.sent or None in {entry.key, entry.other_key}
            ):
                effect.lost = UNLINKED
            all_known = len(diff.stored) == len(diff.sent)
            self._compare.complete(effect, row_hash if all_known else b"")
            if person.links and not entry.is_new:
                self._objects.doubt_related(ticket, entry)
            ticket.effects.append(effect)
        ticket.effects += [Effect(each, None) for each in person.others]
        if person.is_contested:  # identifiers may have moved between these people
            for each in (entry, *person.others):
                if each is not None:
                    self._objects.forget_related(ticket, each, drops=False)

    def delete(
        self, operation: PersonDelete, _stream: StreamHolds | None, _row_hash: bytes
    ) -> Decision:
        """Decide on a deletion, which is always sent."""
        person = self._compare.people.find(operation.identifiers)
        return self._forgetting(operation, [person], drops=True)

    def suppress(
        self, operation: PersonSuppress, _stream: StreamHolds | None, _row_hash: bytes
    ) -> Decision:
        """Decide on a suppression, which is always sent."""
        person = self._compare.people.find(operation.identifiers)
        return self._forgetting(operation, [person], gained=SUPPRESSED)

    def unsuppress(
        self, operation: PersonUnsuppress, _stream: StreamHolds | None, _row_hash: bytes
    ) -> Decision:
        """Decide on the end of a suppression, which is always sent."""
        person = self._compare.people.find(operation.identifiers)
        return self._forgetting(operation, [person], lost=SUPPRESSED)

    def merge(
        self, operation: PersonMerge, _stream: StreamHolds | None, _row_hash: bytes
    ) -> Decision:
        """Decide on a merge, which is always sent."""
        people = [self._compare.people.find(operation.primary)]
        second = self._compare.people.find(operation.secondary)
        decision = self._forgetting(operation, [*people, second])
        if decision.ticket is not None and second.entry is not None:
            for effect in decision.ticket.effects:
                if effect.entry is second.entry:
                    effect.gained, effect.lost = MERGED, EXISTED
                    self._compare.complete(effect)
        return decision

    def _forgetting(
        self,
        operation: Operation,
        people: list[PersonMatch],
        *,
        drops: bool = False,
        gained: int = 0,
        lost: int = 0,
    ) -> Decision:
        """Decide on an operation after which the people are unknown or dropped."""
        ticket = Ticket([])
        touched: dict[int, Entry] = {}
        for person in people:
            if person.entry is None:
                ticket.unknown_everywhere = None
            for each in (*person.others, *([person.entry] if person.entry else [])):
                touched[each.number] = each
        named = {each.entry.number for each in people if each.entry is not None}
        for entry in [*touched.values()]:
            if drops and entry.number in named:
                self._share_address(entry, touched)
        for number, entry in touched.items():
            is_named = number in named
            effect = Effect(
                entry,
                None,
                gained=gained if is_named else 0,
                lost=LOST_BY_DELETION if drops and is_named else lost,
                drops=drops and is_named,
            )
            if effect.gained:
                effect.lost |= EXISTED
            self._compare.complete(effect)
            ticket.effects.append(effect)
            self._objects.forget_related(ticket, entry, drops=drops and is_named)
        return Decision(operation, ticket, identities=keys_of(touched.values()))

    def _share_address(self, entry: Entry, touched: dict[int, Entry]) -> None:
        """Add the people who share the address of a deleted person to ``touched``."""
        if isinstance(entry.other_key, str):
            alias = self._compare.hasher.alias("email", entry.other_key)
            for each in self._compare.entries.by_email(entry.other_key, alias):
                touched[each.number] = each
