"""Decides on operations on objects and segments, and on relationships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from target_customerio.snapshot.comparison import Decision, identities_of, unchanged
from target_customerio.snapshot.effects import Effect, Ticket
from target_customerio.snapshot.entry import EXISTS, LOST_BY_DELETION, Entry
from target_customerio.snapshot.tables import MEMBERSHIP, OBJECT, PERSON, RELATIONSHIP
from target_customerio.track_api.operations import ObjectAddRelationships

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.snapshot.comparison import Change, Comparison
    from target_customerio.snapshot.holds import StreamHolds
    from target_customerio.snapshot.identities import PersonMatch
    from target_customerio.track_api.operations import (
        Attributes,
        ObjectDelete,
        ObjectDeleteRelationships,
        ObjectIdentifiers,
        ObjectIdentify,
        ObjectIdentifyAnonymous,
        PersonIdentifiers,
        PersonIdentify,
        Relationship,
        SegmentAdd,
        SegmentRemove,
    )


class ObjectDecider:
    """Decides on operations on objects and segments, and on relationships."""

    def __init__(self, compare: Comparison) -> None:
        """Compare with a snapshot."""
        self._compare = compare

    def related_objects(
        self,
        ticket: Ticket,
        operation: PersonIdentify,
        person: PersonMatch,
        stream: StreamHolds | None,
        *,
        applies: bool,
    ) -> list[Relationship]:
        """Return the relationships of an identify that have to be sent."""
        if operation.cio_relationships is UNSET:
            return []
        sent = []
        for each in operation.cio_relationships:
            owner = self._object(each.identifiers, stream)
            is_certain = applies and person.is_certain and not person.needs_link
            entry = person.entry if is_certain else None
            if not is_certain:
                hold_all(self._may_relate(owner, person), stream)
            changed = self._relate(ticket, owner, entry, each, stream)
            if changed is None:
                continue
            sent.append(changed)
            self._object_exists(ticket, owner, is_certain=is_certain)
            if not is_certain:
                self._forget_relationship(ticket, owner, person)
        return sent

    def _object(
        self, identifiers: ObjectIdentifiers, stream: StreamHolds | None
    ) -> Entry:
        key = object_key(identifiers)
        entry = self._compare.entries.by_key(OBJECT, key) or self._compare.entries.new(
            OBJECT, key
        )
        if stream is not None:
            stream.hold(OBJECT, entry.number)
        return entry

    def _object_exists(self, ticket: Ticket, owner: Entry, *, is_certain: bool) -> None:
        """Add the effect that an object exists, if it is not known to exist."""
        if not owner.exists:
            effect = Effect(owner, (), gained=EXISTS if is_certain else 0)
            self._compare.complete(effect)
            ticket.effects.append(effect)

    def _relate(
        self,
        ticket: Ticket,
        owner: Entry,
        person: Entry | None,
        relationship: Relationship,
        stream: StreamHolds | None,
    ) -> Relationship | None:
        """Return a relationship with its changed attributes; None if unchanged."""
        if person is None:
            return relationship
        key = f"{owner.number}:{person.number}"
        entry = self._compare.entries.by_key(RELATIONSHIP, key)
        entry = entry or self._compare.entries.new(RELATIONSHIP, key, person.number)
        if stream is not None:
            stream.hold(RELATIONSHIP, entry.number)
        attributes = relationship.relationship_attributes
        diff = self._compare.diff(entry, {} if attributes is UNSET else attributes)
        if (
            entry.exists
            and not diff.sent
            and not (owner.is_in_doubt or person.is_in_doubt)
        ):
            return None
        effect = Effect(entry, diff.named, diff.stored, gained=EXISTS)
        self._compare.complete(effect)
        ticket.effects.append(effect)
        return msgspec.structs.replace(
            relationship,
            relationship_attributes=UNSET if attributes is UNSET else diff.sent,
        )

    def identify(
        self,
        operation: ObjectIdentify | ObjectIdentifyAnonymous | ObjectAddRelationships,
        stream: StreamHolds | None,
        _row_hash: bytes,
    ) -> Decision:
        """Decide on an object's attributes and relationships."""
        ticket = Ticket([])
        owner = self._object(operation.identifiers, stream)
        attributes: Attributes = getattr(operation, "attributes", {})
        try:
            diff = self._compare.diff(owner, attributes)
            relationships, people = self._related_people(
                ticket, owner, operation, stream
            )
        except (UnicodeEncodeError, RecursionError):
            return Decision(operation)
        if owner.exists and not diff.sent and not relationships:
            return unchanged(owner.number)
        change: Change = "changed" if owner.may_exist else "created"
        changed: dict[str, Any] = {"cio_relationships": relationships or UNSET}
        if isinstance(operation, ObjectAddRelationships):
            is_created = any(each.is_certain for each in people)
        else:
            is_created = True
            changed["attributes"] = diff.sent
        gained = EXISTS if is_created else 0
        effect = Effect(owner, diff.named, diff.stored, gained=gained)
        self._compare.complete(effect)
        ticket.effects.append(effect)
        return Decision(
            msgspec.structs.replace(operation, **changed),
            ticket,
            change,
            owner.number,
            tuple(each for person in people for each in identities_of(person)),
        )

    def _related_people(
        self,
        ticket: Ticket,
        owner: Entry,
        operation: ObjectIdentify | ObjectIdentifyAnonymous | ObjectAddRelationships,
        stream: StreamHolds | None,
    ) -> tuple[list[Relationship], list[PersonMatch]]:
        """Return the relationships that have to be sent, and the people."""
        sent: list[Relationship] = []
        people = []
        for each in operation.cio_relationships or ():
            person = self._person(each.identifiers, stream)
            people.append(person)
            entry = person.entry if person.is_certain else None
            if not person.is_certain:
                hold_all(self._may_relate(owner, person), stream)
            changed = self._relate(ticket, owner, entry, each, stream)
            if changed is None:
                continue
            sent.append(changed)
            if not person.is_certain:
                self._forget_relationship(ticket, owner, person)
            elif person.entry is not None and not person.entry.exists:
                is_person = "anonymous_id" not in each.identifiers
                effect = Effect(
                    person.entry,
                    (),
                    gained=EXISTS if is_person else 0,
                    aliases=person.aliases,
                )
                self._compare.complete(effect)
                ticket.effects.append(effect)
        return sent, people

    def _forget_relationship(
        self, ticket: Ticket, owner: Entry, person: PersonMatch
    ) -> None:
        """Make a relationship unknown for all people whom the operation may concern."""
        found = self._may_relate(owner, person)
        ticket.effects += [Effect(each, None) for each in found]

    def _may_relate(self, owner: Entry, person: PersonMatch) -> list[Entry]:
        """Return the relationships of an object that an operation may concern."""
        if person.entry is None:
            return self._compare.entries.of_object(RELATIONSHIP, owner.number)
        return self._known(RELATIONSHIP, str(owner.number), person)

    def _known(self, kind: int, of: str, person: PersonMatch) -> list[Entry]:
        """Return the relationships or memberships that are known of people."""
        people = [*person.others]
        if person.entry is not None:
            people.append(person.entry)
        keys = (f"{of}:{each.number}" for each in people)
        found = (self._compare.entries.by_key(kind, key) for key in keys)
        return [each for each in found if each is not None]

    def forget_related(self, ticket: Ticket, entry: Entry, *, drops: bool) -> None:
        """Drop what relates to a person or object, or make it unknown.

        These are relationships and, of a person, memberships of segments.
        """
        for each in self._related(entry):
            effect = Effect(each, None, lost=LOST_BY_DELETION, drops=drops)
            self._compare.complete(effect)
            ticket.effects.append(effect)

    def doubt_related(self, ticket: Ticket, person: Entry) -> None:
        """Forget relationships and memberships if a new identifier is refused."""
        ticket.effects += [
            Effect(each, (), moves=True) for each in self._related(person)
        ]

    def _related(self, entry: Entry) -> list[Entry]:
        """Return the relationships and memberships of a person or an object."""
        if entry.kind == OBJECT:
            return self._compare.entries.of_object(RELATIONSHIP, entry.number)
        return [
            *self._compare.entries.of_person(RELATIONSHIP, entry.number),
            *self._compare.entries.of_person(MEMBERSHIP, entry.number),
        ]

    def delete(
        self, operation: ObjectDelete, _stream: StreamHolds | None, _row_hash: bytes
    ) -> Decision:
        """Decide on the deletion of an object, which is always sent."""
        owner = self._object(operation.identifiers, None)
        ticket = Ticket([Effect(owner, None, lost=LOST_BY_DELETION, drops=True)])
        self.forget_related(ticket, owner, drops=True)
        return Decision(operation, ticket, entry=owner.number)

    def delete_relationships(
        self,
        operation: ObjectDeleteRelationships,
        stream: StreamHolds | None,
        _row_hash: bytes,
    ) -> Decision:
        """Decide on the end of relationships, which is always sent."""
        owner = self._object(operation.identifiers, stream)
        ticket = Ticket([])
        identities: tuple[str, ...] = ()
        for each in operation.cio_relationships or ():
            person = self._person(each.identifiers, stream)
            start = len(ticket.effects)
            self._forget_relationship(ticket, owner, person)
            if person.is_certain:
                for effect in ticket.effects[start:]:
                    effect.drops, effect.lost = True, LOST_BY_DELETION
            identities += identities_of(person)
        return Decision(operation, ticket, identities=identities)

    def _person(
        self, identifiers: PersonIdentifiers, stream: StreamHolds | None
    ) -> PersonMatch:
        person = self._compare.people.find(identifiers)
        if person.needs_link:
            person.is_certain = False
        if stream is not None and person.entry is not None:
            stream.hold(PERSON, person.entry.number)
        return person

    def add_to_segment(
        self, operation: SegmentAdd, stream: StreamHolds | None, _row_hash: bytes
    ) -> Decision:
        """Decide on a membership, which only known people can get."""
        person = self._person(operation.identifiers, stream)
        entry, identities = person.entry, identities_of(person)
        ticket = Ticket([])
        if entry is None:
            return Decision(operation)
        is_certain = person.is_certain and entry.exists
        if not person.is_certain:
            hold_all(self._known(MEMBERSHIP, operation.segment_id, person), stream)
        if entry.is_new or not is_certain:
            ticket.effects.append(Effect(entry, (), aliases=person.aliases))
        key = f"{operation.segment_id}:{entry.number}"
        member = self._compare.entries.by_key(MEMBERSHIP, key)
        member = member or self._compare.entries.new(MEMBERSHIP, key, entry.number)
        if stream is not None:
            stream.hold(MEMBERSHIP, member.number)
        if is_certain and member.exists:
            return unchanged(member.number)
        change: Change = "created"
        effect = Effect(member, None, gained=EXISTS if is_certain else 0)
        self._compare.complete(effect)
        ticket.effects.append(effect)
        return Decision(operation, ticket, change, member.number, identities)

    def remove_from_segment(
        self, operation: SegmentRemove, stream: StreamHolds | None, _row_hash: bytes
    ) -> Decision:
        """Decide on the end of a membership, which is always sent."""
        person = self._person(operation.identifiers, stream)
        ticket = Ticket([])
        for member in self._known(MEMBERSHIP, operation.segment_id, person):
            effect = Effect(member, None, lost=LOST_BY_DELETION, drops=True)
            ticket.effects.append(effect)
        return Decision(operation, ticket, identities=identities_of(person))


def hold_all(entries: Iterable[Entry], stream: StreamHolds | None) -> None:
    """Let a stream hold entries; without a stream, do nothing."""
    if stream is not None:
        for each in entries:
            stream.hold(each.kind, each.number)


def object_key(identifiers: ObjectIdentifiers) -> str:
    """Return the key of an object in the snapshot."""
    return f"{identifiers['object_type_id']}:{identifiers['object_id']}"
