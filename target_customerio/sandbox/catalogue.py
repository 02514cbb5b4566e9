"""Every operation of the Track API: its validation rule and what applies it.

Source: the schemas of the API description with the operations' names, from
``identify_person`` to ``object_delete_relationships``; ``viewed_content`` and
``clicked_content`` are from the documentation of the Customer.io destination. Only the
operations that the target sends are here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from target_customerio.json_codec import encode
from target_customerio.sandbox import events, identity, objects, people
from target_customerio.sandbox.activity import SUPPRESSED, UNKNOWN_CIO_ID
from target_customerio.sandbox.identity import find, is_suppressed, normalize
from target_customerio.sandbox.rules import (
    OBJECT_IDENTIFIERS,
    ULID,
    FieldError,
    Rule,
    all_of,
    array_of,
    attributes,
    boolean,
    field_error,
    identifier,
    identifier_attribute,
    integer,
    object_with,
    one_of,
    optional,
    required,
    string,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from target_customerio.sandbox.workspace import Transaction, ValidOperation
    from target_customerio.track_api.operations import JSON


MAX_OPERATION_BYTES = 32_768
"""Source: "32kb or smaller" (``POST /api/v2/batch`` and "v2 API Limits")."""

MAX_ANONYMOUS_EVENT_NAME_BYTES = 100

Identifiers: TypeAlias = "Iterable[tuple[str, str]]"
"""Pairs of a kind of identifier and its value."""


class OperationType(NamedTuple):
    """How operations of one type and action are validated and applied."""

    rule: Rule
    apply: Callable[[Transaction, ValidOperation], None]
    identifiers: Callable[[ValidOperation], Identifiers]
    """The people that must be neither suppressed nor named by an unknown ``cio_id``;
    otherwise the operation is ignored."""


def apply(transaction: Transaction, operation: JSON) -> list[FieldError]:
    """Return what is wrong with an operation, after applying it if nothing is."""
    operation_type = _type_of(operation)
    if operation_type is None or not isinstance(operation, dict):
        return [field_error("invalid", "action", "unknown type or action")]
    if len(encode(operation)) > MAX_OPERATION_BYTES:
        message = f"must not exceed {MAX_OPERATION_BYTES} bytes"
        return [field_error("too_large", "", message)]
    if errors := list(operation_type.rule(operation, "")):
        return errors
    if not _is_ignored(transaction, operation_type, operation):
        operation_type.apply(transaction, operation)
    return []


def _type_of(operation: JSON) -> OperationType | None:
    if not isinstance(operation, dict):
        return None
    type_, action = operation.get("type"), operation.get("action")
    if isinstance(type_, str) and isinstance(action, str):
        return _TYPES.get((type_, action))
    return None


def _is_ignored(
    transaction: Transaction, operation_type: OperationType, operation: ValidOperation
) -> bool:
    """Return whether the operation names a suppressed person or an unknown cio_id."""
    person = operation.get("identifiers")
    for kind, value in operation_type.identifiers(operation):
        if is_suppressed(transaction, kind, value):
            named = person or {kind: value}
            transaction.log_activity(SUPPRESSED, named, kind, operation)
            return True
        if kind == "cio_id" and person and not find(transaction, kind, value):
            transaction.log_activity(UNKNOWN_CIO_ID, person, kind, operation)
            return True
    return False


def _none(_: ValidOperation) -> Identifiers:
    return ()


def _person(operation: ValidOperation) -> Identifiers:
    items: Identifiers = operation["identifiers"].items()
    return items


def _person_and_attributes(operation: ValidOperation) -> Iterator[tuple[str, str]]:
    """Yield the person's identifiers, without a phone number that others may share."""
    yield from operation["identifiers"].items()
    sent = operation.get("attributes") or {}
    for kind in people.FINDING_ATTRIBUTES:
        if value := sent.get(kind):
            yield kind, str(value)


def _merged_people(operation: ValidOperation) -> Iterator[tuple[str, str]]:
    yield from operation["primary"].items()
    yield from operation["secondary"].items()


def _different_people(operation: Any, _: str) -> Iterator[FieldError]:  # noqa: ANN401 - always an object
    """Check that a merge names two people (implied by the description, not stated)."""
    roles = operation.get("primary"), operation.get("secondary")
    if not all(isinstance(role, dict) for role in roles):
        return
    primary, secondary = (
        {kind: normalize(kind, str(value)) for kind, value in role.items()}
        for role in roles
    )
    if primary == secondary:
        yield field_error("invalid", "secondary", "must not be the primary person")


def _event_name(operation: Any, field: str) -> Iterator[FieldError]:  # noqa: ANN401 - always an object
    """Check the name of an event, which is shorter for anonymous people.

    Source: "Track API Event limits", which Customer.io applies to anonymous events.
    """
    person = operation.get("identifiers")
    is_anonymous = isinstance(person, dict) and "anonymous_id" in person
    yield from (_ANONYMOUS_EVENT_NAME if is_anonymous else _EVENT_NAME)(
        operation, field
    )


_EVENT_NAME = object_with(required("name", string()))
_ANONYMOUS_EVENT_NAME = object_with(
    required("name", string(MAX_ANONYMOUS_EVENT_NAME_BYTES))
)
_PERSON = required("identifiers", identifier("id", "email", "phone", "cio_id"))
_PERSON_OR_ANONYMOUS = required(
    "identifiers", identifier("id", "email", "phone", "cio_id", "anonymous_id")
)
_MERGEABLE = identifier("id", "email", "cio_id")
_OBJECT = required("identifiers", OBJECT_IDENTIFIERS)
_TIMESTAMP = optional("timestamp", integer)
_ID = optional("id", ULID)
_UNLIMITED_ATTRIBUTES = optional("attributes", object_with())
_OBJECT_ATTRIBUTES = optional("attributes", attributes)
_RELATIONSHIP_ATTRIBUTES = optional("relationship_attributes", attributes)
_PERSON_ATTRIBUTES = all_of(
    attributes,
    object_with(
        optional("_update", boolean),
        *(
            optional(name, identifier_attribute)
            for name in ("id", "email", "phone", "anonymous_id")
        ),
    ),
)
_DEVICE = object_with(
    required("token", string()),
    required("platform", one_of(("ios", "android"))),
    optional("last_used", integer),
    _UNLIMITED_ATTRIBUTES,
)
_RELATED_OBJECTS = array_of(object_with(_OBJECT, _RELATIONSHIP_ATTRIBUTES))
_RELATED_PEOPLE = array_of(
    object_with(required("identifiers", _MERGEABLE), _RELATIONSHIP_ATTRIBUTES)
)
_RELATED_ANONYMOUS = array_of(
    object_with(
        required("identifiers", identifier("anonymous_id")), _RELATIONSHIP_ATTRIBUTES
    )
)

_EVENT_FIELDS = object_with(
    _PERSON_OR_ANONYMOUS, _ID, _TIMESTAMP, _UNLIMITED_ATTRIBUTES
)
_CONTENT_REPORT = OperationType(
    all_of(_EVENT_FIELDS, object_with(optional("name", string()))),
    events.record_event,
    _person,
)
_EVENT = OperationType(all_of(_EVENT_FIELDS, _event_name), events.record_event, _person)

_TYPES: dict[tuple[str, str], OperationType] = {
    ("person", "identify"): OperationType(
        object_with(
            _PERSON,
            optional("attributes", _PERSON_ATTRIBUTES),
            _TIMESTAMP,
            optional("cio_relationships", _RELATED_OBJECTS),
        ),
        people.identify,
        _person_and_attributes,
    ),
    ("person", "delete"): OperationType(object_with(_PERSON), people.delete, _person),
    ("person", "event"): _EVENT,
    ("person", "page"): _EVENT,
    ("person", "screen"): _EVENT,
    ("person", "viewed_content"): _CONTENT_REPORT,
    ("person", "clicked_content"): _CONTENT_REPORT,
    ("person", "add_device"): OperationType(
        object_with(_PERSON, required("device", _DEVICE)), events.add_device, _person
    ),
    ("person", "delete_device"): OperationType(
        object_with(
            _PERSON, required("device", object_with(required("token", string())))
        ),
        events.delete_device,
        _person,
    ),
    ("person", "merge"): OperationType(
        all_of(
            object_with(
                required("primary", _MERGEABLE), required("secondary", _MERGEABLE)
            ),
            _different_people,
        ),
        people.merge_people,
        _merged_people,
    ),
    ("person", "suppress"): OperationType(
        object_with(_PERSON), identity.suppress, _none
    ),
    ("person", "unsuppress"): OperationType(
        object_with(_PERSON), identity.unsuppress, _none
    ),
    ("object", "identify"): OperationType(
        object_with(
            _OBJECT,
            _OBJECT_ATTRIBUTES,
            optional("cio_relationships", _RELATED_PEOPLE),
        ),
        objects.identify,
        _none,
    ),
    ("object", "identify_anonymous"): OperationType(
        object_with(
            _OBJECT,
            _OBJECT_ATTRIBUTES,
            optional("anonymous_id", string()),
            optional("cio_relationships", _RELATED_ANONYMOUS),
        ),
        objects.identify_anonymous,
        _none,
    ),
    ("object", "delete"): OperationType(object_with(_OBJECT), objects.delete, _none),
    ("object", "add_relationships"): OperationType(
        object_with(_OBJECT, required("cio_relationships", _RELATED_PEOPLE)),
        objects.add_relationships,
        _none,
    ),
    ("object", "delete_relationships"): OperationType(
        object_with(_OBJECT, required("cio_relationships", _RELATED_PEOPLE)),
        objects.delete_relationships,
        _none,
    ),
}

METRIC = object_with(
    required("delivery_id", string()),
    required("metric", one_of(events.METRICS)),
    optional("timestamp", integer),
    optional("metadata", object_with()),
)
"""The rule for the body of ``POST /api/v1/metrics``."""
