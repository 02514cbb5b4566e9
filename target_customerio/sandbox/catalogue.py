"""Every operation of the Track API: how it is checked, and what applies it.

Source: the schemas of the API description that carry the operations' names, from
``identify_person`` to ``delivery_operations``; ``viewed_content`` and
``clicked_content`` are those of the Customer.io destination's documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from target_customerio.sandbox import events, identity, objects, people
from target_customerio.sandbox.identity import comparable
from target_customerio.sandbox.rules import (
    OBJECT,
    ULID,
    Fault,
    Rule,
    boolean,
    each,
    every,
    fault,
    identifiers,
    integer,
    limited,
    naming_attribute,
    one_of,
    optional,
    required,
    shape,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from target_customerio.sandbox.store import Transaction
    from target_customerio.track_api.operations import JSON


Names: TypeAlias = "Iterable[tuple[str, str]]"
"""Kinds and values of identifiers."""

LONGEST_ANONYMOUS_EVENT_NAME = 100


class Kind(NamedTuple):
    """One kind of operation."""

    rule: Rule
    apply: Callable[[Transaction, JSON], None]
    names: Callable[[JSON], Names]
    """Whom it names: it is ignored when one of them is suppressed, or is a ``cio_id``
    that does not exist."""


def kind_of(operation: JSON) -> Kind | None:
    """Look an operation up.

    Args:
        operation: The operation as sent.

    Returns:
        Its kind, or None when there is no such operation.
    """
    if not isinstance(operation, dict):
        return None
    type_, action = operation.get("type"), operation.get("action")
    if isinstance(type_, str) and isinstance(action, str):
        return KINDS.get((type_, action))
    return None


def _nobody(_: JSON) -> Names:
    return ()


def _person(operation: JSON) -> Names:
    names: Names = operation["identifiers"].items()
    return names


def _person_and_attributes(operation: JSON) -> Iterator[tuple[str, str]]:
    """Name the person; a phone number among the attributes is shared by many."""
    yield from operation["identifiers"].items()
    attributes = operation.get("attributes") or {}
    for kind in people.UNIQUE:
        if value := attributes.get(kind):
            yield kind, str(value)


def _both(operation: JSON) -> Iterator[tuple[str, str]]:
    yield from operation["primary"].items()
    yield from operation["secondary"].items()


def _two_people(operation: JSON, _: str) -> Iterator[Fault]:
    """Hold that a merge names two people (not said by the description, but meant)."""
    roles = operation.get("primary"), operation.get("secondary")
    if not all(isinstance(role, dict) for role in roles):
        return
    one, other = (
        {kind: comparable(kind, str(value)) for kind, value in role.items()}
        for role in roles
    )
    if one == other:
        yield fault("invalid", "secondary", "Must be another person than primary.")


def _event_name(operation: JSON, field: str) -> Iterator[Fault]:
    """Hold that an event has a name, and a nameless person's a short one.

    Source: "Track API Event limits", which Customer.io applies to anonymous events.
    """
    identifiers_ = operation.get("identifiers")
    is_anonymous = isinstance(identifiers_, dict) and "anonymous_id" in identifiers_
    yield from (_NAMED_SHORTLY if is_anonymous else _NAMED)(operation, field)


_NAMED = shape(required("name", text()))
_NAMED_SHORTLY = shape(required("name", text(LONGEST_ANONYMOUS_EVENT_NAME)))
_PERSON = required("identifiers", identifiers("id", "email", "phone", "cio_id"))
_ANYBODY = required(
    "identifiers", identifiers("id", "email", "phone", "cio_id", "anonymous_id")
)
_MERGEABLE = identifiers("id", "email", "cio_id")
_OBJECT = required("identifiers", OBJECT)
_TIMESTAMP = optional("timestamp", integer)
_ID = optional("id", ULID)
_ANY_ATTRIBUTES = optional("attributes", shape())
_RELATIONSHIP_ATTRIBUTES = optional("relationship_attributes", limited)
_PERSON_ATTRIBUTES = every(
    limited,
    shape(
        optional("_update", boolean),
        *(
            optional(name, naming_attribute)
            for name in ("id", "email", "phone", "anonymous_id")
        ),
    ),
)
_DEVICE = shape(
    required("token", text()),
    required("platform", one_of(("ios", "android"))),
    optional("last_used", integer),
    _ANY_ATTRIBUTES,
)
_RELATED_OBJECTS = each(shape(_OBJECT, _RELATIONSHIP_ATTRIBUTES))
_RELATED_PEOPLE = each(
    shape(required("identifiers", _MERGEABLE), _RELATIONSHIP_ATTRIBUTES)
)
_RELATED_STRANGERS = each(
    shape(
        required("identifiers", identifiers("anonymous_id")), _RELATIONSHIP_ATTRIBUTES
    )
)


_HAPPENING = shape(_ANYBODY, _ID, _TIMESTAMP, _ANY_ATTRIBUTES)
_CONTENT = Kind(
    every(_HAPPENING, shape(optional("name", text()))), events.record_event, _person
)
_EVENT = Kind(every(_HAPPENING, _event_name), events.record_event, _person)

KINDS: dict[tuple[str, str], Kind] = {
    ("person", "identify"): Kind(
        shape(
            _PERSON,
            optional("attributes", _PERSON_ATTRIBUTES),
            _TIMESTAMP,
            optional("cio_relationships", _RELATED_OBJECTS),
        ),
        people.identify,
        _person_and_attributes,
    ),
    ("person", "delete"): Kind(shape(_PERSON), people.delete, _person),
    ("person", "event"): _EVENT,
    ("person", "page"): _EVENT,
    ("person", "screen"): _EVENT,
    ("person", "viewed_content"): _CONTENT,
    ("person", "clicked_content"): _CONTENT,
    ("person", "add_relationships"): Kind(
        shape(_PERSON, required("cio_relationships", _RELATED_OBJECTS)),
        objects.add_to_person,
        _person,
    ),
    ("person", "delete_relationships"): Kind(
        shape(_PERSON, required("cio_relationships", _RELATED_OBJECTS)),
        objects.delete_from_person,
        _person,
    ),
    ("person", "add_device"): Kind(
        shape(_PERSON, required("device", _DEVICE)), events.add, _person
    ),
    ("person", "delete_device"): Kind(
        shape(_PERSON, required("device", shape(required("token", text())))),
        events.delete,
        _person,
    ),
    ("person", "merge"): Kind(
        every(
            shape(required("primary", _MERGEABLE), required("secondary", _MERGEABLE)),
            _two_people,
        ),
        people.merge_people,
        _both,
    ),
    ("person", "suppress"): Kind(shape(_PERSON), identity.suppress, _nobody),
    ("person", "unsuppress"): Kind(shape(_PERSON), identity.unsuppress, _nobody),
    ("object", "identify"): Kind(
        shape(
            _OBJECT,
            optional("attributes", limited),
            optional("cio_relationships", _RELATED_PEOPLE),
        ),
        objects.identify,
        _nobody,
    ),
    ("object", "identify_anonymous"): Kind(
        shape(
            _OBJECT,
            optional("attributes", limited),
            optional("anonymous_id", text()),
            optional("cio_relationships", _RELATED_STRANGERS),
        ),
        objects.identify_anonymous,
        _nobody,
    ),
    ("object", "delete"): Kind(shape(_OBJECT), objects.delete, _nobody),
    ("object", "add_relationships"): Kind(
        shape(_OBJECT, required("cio_relationships", _RELATED_PEOPLE)),
        objects.add_to_object,
        _nobody,
    ),
    ("object", "delete_relationships"): Kind(
        shape(_OBJECT, required("cio_relationships", _RELATED_PEOPLE)),
        objects.delete_from_object,
        _nobody,
    ),
    ("delivery", "event"): Kind(
        shape(
            required("identifiers", shape(required("id", text()))),
            required("name", one_of(events.BATCHED_METRICS)),
            required("attributes", shape(required("device_token", text()))),
            _TIMESTAMP,
        ),
        events.record_delivery,
        _nobody,
    ),
}
