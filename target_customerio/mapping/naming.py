"""Whom and what a record names, whether or not it becomes an operation.

A row that is rejected or skipped still says that its person, object or membership
exists.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from target_customerio.errors import RejectedRecord
from target_customerio.mapping import groups, people
from target_customerio.mapping.fields import CONTAINERS
from target_customerio.track_api.operations import (
    ObjectIdentify,
    PersonIdentify,
    Relationship,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from target_customerio.mapping.call import Call, StreamContext
    from target_customerio.mapping.fields import CallName
    from target_customerio.track_api.operations import JSON, Attributes, Operation


_NOT_IDENTIFIERS: Final = ("integrations", "type")


def identify(call: Call, stream: StreamContext) -> PersonIdentify:
    """Return an identify of the person whom a record names."""
    email = call.body.get("email") or call.fields.get("email")
    attributes: Attributes = {"email": email} if isinstance(email, str) else {}
    related = people.related_object(call)
    return PersonIdentify(
        identifiers=people.named_person(call, stream),
        attributes=attributes,
        cio_relationships=(
            UNSET if related is None else [Relationship(identifiers=related)]
        ),
    )


def group(call: Call, stream: StreamContext) -> ObjectIdentify:
    """Return an identify of the object and the person that a record names."""
    person = groups.named_member(call, stream)
    return ObjectIdentify(
        identifiers=groups.named_object(call),
        attributes={},
        cio_relationships=(
            UNSET if person is None else [Relationship(identifiers=person)]
        ),
    )


NAMING: Final[dict[CallName, Callable[[Call, StreamContext], Operation]]] = {
    "identify": identify,
    "group": group,
    "segment": people.named_member,
}
"""The calls whose records say that what they name exists."""


def named(
    call: CallName,
    record: Mapping[str, JSON],
    read: Callable[[Mapping[str, JSON]], Call | None],
    stream: StreamContext,
) -> Operation | None:
    """Return an operation on whom and what a record names; it is not to be sent.

    Args:
        call: The call.
        record: The record, which need not be one that can be converted.
        read: Parses a record.
        stream: The settings of its stream.

    Returns:
        The operation; ``None`` if the identifiers cannot be read.
    """
    name = NAMING.get(call)
    if name is None:
        return None
    for part in _readable(record):
        with suppress(RejectedRecord, RecursionError):
            found = read(part)
            if found is not None:
                return name(found, stream)
    return None


def _readable(record: Mapping[str, JSON]) -> Iterator[dict[str, JSON]]:
    """Yield a record without what does not identify anything, with less each time."""
    rest = {
        name: value
        for name, value in record.items()
        if not name.lower().startswith(_NOT_IDENTIFIERS)
    }
    yield rest
    yield {
        name: value for name, value in rest.items() if name.lower() not in CONTAINERS
    }
