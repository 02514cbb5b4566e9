"""Which part of an operation has to be sent, and what its answer makes known.

Before an operation is queued, :meth:`Decider.decide` compares it with the snapshot and
returns what to send with a ticket. The ticket says what the operation makes unknown
before it is sent, and what is known once it is delivered (:mod:`.journal`).
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, TypeAlias

from msgspec import UNSET

from target_customerio.snapshot.comparison import (
    Comparison,
    Decision,
    keys_of,
)
from target_customerio.snapshot.entry import ALIASES
from target_customerio.snapshot.identities import normalized
from target_customerio.snapshot.objects import ObjectDecider, object_key
from target_customerio.snapshot.people import PersonDecider
from target_customerio.snapshot.rows import RowDecider
from target_customerio.snapshot.tables import MEMBERSHIP, OBJECT, PERSON, RELATIONSHIP
from target_customerio.track_api.operations import (
    IDENTIFYING_ATTRIBUTES,
    ObjectAddRelationships,
    ObjectDelete,
    ObjectDeleteRelationships,
    ObjectIdentify,
    ObjectIdentifyAnonymous,
    PersonDelete,
    PersonIdentify,
    PersonMerge,
    PersonOperation,
    PersonSuppress,
    PersonUnsuppress,
    Relationship,
    SegmentAdd,
    SegmentRemove,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from target_customerio.snapshot.entry import (
        Entry,
    )
    from target_customerio.snapshot.holds import StreamHolds
    from target_customerio.track_api.operations import (
        ObjectIdentifiers,
        Operation,
    )

    _OtherIdentifier: TypeAlias = tuple[str, str, int]
    """The kind of an identifier, its normalized value, and the hash of this value."""


class Decider:
    """Compares operations with a snapshot; used by the reading thread alone."""

    def __init__(self, compare: Comparison) -> None:
        """Compare with a snapshot."""
        self._compare = compare
        self._rows = RowDecider(compare)
        objects = ObjectDecider(compare)
        people = PersonDecider(compare, objects)
        self._decide: dict[type, Callable[..., Decision]] = {
            PersonIdentify: people.identify,
            PersonDelete: people.delete,
            PersonSuppress: people.suppress,
            PersonUnsuppress: people.unsuppress,
            PersonMerge: people.merge,
            ObjectIdentify: objects.identify,
            ObjectIdentifyAnonymous: objects.identify,
            ObjectAddRelationships: objects.identify,
            ObjectDelete: objects.delete,
            ObjectDeleteRelationships: objects.delete_relationships,
            SegmentAdd: objects.add_to_segment,
            SegmentRemove: objects.remove_from_segment,
        }

    def decide(
        self, operations: Sequence[tuple[Operation, StreamHolds | None]]
    ) -> list[Decision]:
        """Decide what to send of the next operations.

        Args:
            operations: The operations, in order, each with what its stream holds; None
                for streams of events, which hold nothing.

        Returns:
            A decision for each of them.
        """
        rows = [
            self._rows.row(each) if isinstance(each, PersonIdentify) else None
            for each, _ in operations
        ]
        compared = [
            row is not None or (type(each) in self._decide and is_unicode(each))
            for (each, _), row in zip(operations, rows, strict=True)
        ]
        self._look_up(each for each, _ in compress(operations, compared))
        others = [
            None if is_compared else self._other_identifier(each)
            for (each, _), is_compared in zip(operations, compared, strict=True)
        ]
        self._look_up_others([each for each in others if each is not None])
        decisions = []
        for (operation, stream), row, is_compared, other in zip(
            operations, rows, compared, others, strict=True
        ):
            if not is_compared:
                decisions.append(self._uncompared(operation, other))
                continue
            decision = None if row is None else self._rows.decide(row, stream)
            if decision is None:
                decide = self._decide[type(operation)]
                decision = decide(operation, stream, b"" if row is None else row.hash)
            if decision.ticket is not None:
                self._compare.take(decision.ticket)
            decisions.append(decision)
        return decisions

    def _other_identifier(self, operation: Operation) -> _OtherIdentifier | None:
        """Return a person's e-mail address, phone number or anonymous id; else None."""
        if not isinstance(operation, PersonOperation):
            return None
        ((kind, value),) = operation.identifiers.items()
        if kind not in ALIASES or not _can_be_encoded((value,)):
            return None
        value = normalized(kind, value)
        return kind, value, self._compare.hasher.alias(kind, value)

    def _look_up_others(self, others: Sequence[_OtherIdentifier]) -> None:
        """Look up people by their identifiers in a few statements."""
        entries = self._compare.entries
        entries.look_up_emails([value for kind, value, _ in others if kind == "email"])
        entries.look_up_aliases([alias for _, _, alias in others])

    def _uncompared(
        self, operation: Operation, other: _OtherIdentifier | None
    ) -> Decision:
        """Send an operation as it is, after those that name the same person by ``id``.

        An identify that names both identifiers would order them, but may be left out as
        unchanged.
        """
        if other is None:
            return Decision(operation)
        kind, value, alias = other
        entries = self._compare.entries
        people = (
            entries.by_email(value, alias)
            if kind == "email"
            else entries.by_alias(alias)
        )
        return Decision(operation, identities=keys_of(people))

    def hold(self, operation: Operation, stream: StreamHolds) -> None:
        """Hold what an operation names, as far as it is known, although it is not sent.

        Args:
            operation: An operation of a person, an object or a segment.
            stream: What its stream holds.
        """
        self._compare.entries.start({})
        if isinstance(operation, PersonIdentify):
            everyone = self._compare.people.named(
                operation.identifiers, operation.attributes
            )
            related = operation.cio_relationships or ()
            self._hold_related(
                [self._known_object(each.identifiers) for each in related],
                everyone,
                stream,
            )
        elif isinstance(operation, ObjectIdentify):
            everyone = [
                person
                for each in operation.cio_relationships or ()
                for person in self._compare.people.named(each.identifiers)
            ]
            self._hold_related(
                [self._known_object(operation.identifiers)], everyone, stream
            )
        elif isinstance(operation, SegmentAdd):
            for each in self._compare.people.named(operation.identifiers):
                stream.hold(PERSON, each.number)
                self._hold_key(
                    MEMBERSHIP, f"{operation.segment_id}:{each.number}", stream
                )

    def _known_object(self, identifiers: ObjectIdentifiers) -> Entry | None:
        return self._compare.entries.by_key(OBJECT, object_key(identifiers))

    def _hold_related(
        self,
        objects: Iterable[Entry | None],
        people: Sequence[Entry],
        stream: StreamHolds,
    ) -> None:
        """Hold objects, people and the relationships between them."""
        for person in people:
            stream.hold(PERSON, person.number)
        for owner in objects:
            if owner is not None:
                stream.hold(OBJECT, owner.number)
                for person in people:
                    key = f"{owner.number}:{person.number}"
                    self._hold_key(RELATIONSHIP, key, stream)

    def _hold_key(self, kind: int, key: str, stream: StreamHolds) -> None:
        entry = self._compare.entries.by_key(kind, key)
        if entry is not None:
            stream.hold(kind, entry.number)

    def _look_up(self, operations: Iterable[Operation]) -> None:
        """Look up entries in a few statements."""
        people: list[str] = []
        objects: list[str] = []
        emails: list[str] = []
        addresses: list[tuple[str, str]] = []
        for operation in operations:
            if isinstance(operation, PersonIdentify):
                ((kind, value),) = operation.identifiers.items()
                if kind == "email":
                    emails.append(value.lower())
                elif kind == "id":
                    people.append(value)
                    email = operation.attributes.get("email")
                    if isinstance(email, str):
                        addresses.append((value, email.lower()))
            elif isinstance(operation, (ObjectIdentify, ObjectAddRelationships)):
                objects.append(object_key(operation.identifiers))
        entries = self._compare.entries
        entries.start({PERSON: people, OBJECT: objects}, emails)
        entries.look_up_others(addresses)


def names_alone(operation: Operation) -> Operation:
    """Return an operation that names the same people and objects, and nothing else."""
    related = getattr(operation, "cio_relationships", None) or ()
    relationships = [Relationship(identifiers=each.identifiers) for each in related]
    if isinstance(operation, PersonIdentify):
        named = {
            name: value
            for name, value in operation.attributes.items()
            if name in IDENTIFYING_ATTRIBUTES
        }
        return PersonIdentify(
            identifiers=operation.identifiers,
            # An address or a phone number that is not text identifies no person.
            attributes=named if _can_be_encoded(map(str, named.values())) else {},
            cio_relationships=relationships,
        )
    if isinstance(operation, (ObjectIdentify, ObjectAddRelationships)):
        return ObjectIdentify(
            identifiers=operation.identifiers,
            attributes={},
            cio_relationships=relationships,
        )
    return operation


def is_unicode(operation: Operation) -> bool:
    """Tell whether a snapshot can store what an operation names."""
    return _can_be_encoded(_texts(operation))


def _can_be_encoded(texts: Iterable[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _texts(operation: Operation) -> Iterator[str]:
    """Yield the identifiers in an operation, and the names of its attributes."""
    yield from operation.identities()
    attributes = getattr(operation, "attributes", None)
    if attributes:
        yield from attributes
    for each in getattr(operation, "cio_relationships", None) or ():
        if each.relationship_attributes is not UNSET:
            yield from each.relationship_attributes
