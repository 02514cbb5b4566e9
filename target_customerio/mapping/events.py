"""Events, page views and screen views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import UNSET, UnsetType

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.containers import lookup, lookup_in_context
from target_customerio.mapping.identity import PersonFinder
from target_customerio.mapping.times import call_time
from target_customerio.track_api.operations import (
    PersonActivity,
    PersonEvent,
    PersonPage,
    PersonScreen,
)

if TYPE_CHECKING:
    from target_customerio.mapping.record import Call
    from target_customerio.mapping.settings import StreamContext
    from target_customerio.track_api.operations import JSON


NOTHING: Final[frozenset[str]] = frozenset()
ANONYMOUS_NAME_BYTES: Final = 100
"""Maximum length of an anonymous event's name (the destination's documentation)."""

TIME_FIELDS: Final = ("timestamp", "originalTimestamp")

_person: Final = PersonFinder(anonymous=True)

_Event = TypeVar("_Event", bound=PersonActivity)


def time_of(call: Call) -> int | UnsetType:
    """Return a call's time in Unix seconds, or ``UNSET``."""
    fields = call.fields
    for field in TIME_FIELDS:
        if field in fields:
            return call_time(fields[field], field)
    return UNSET


def name_of(value: JSON, field: str) -> str | None:
    """Return the name of an event, page or screen; ``None`` if blank."""
    if isinstance(value, str):
        return None if not value or value.isspace() else value
    if value is None:
        return None
    raise RejectedRecord("invalid_type", field, "the name must be text")


def event_operation(
    kind: type[_Event],
    name: str,
    call: Call,
    stream: StreamContext,
    event_key: str,
) -> _Event:
    """Return the operation of an event or view; its ID depends on `event_key`."""
    person = _person.find(call, stream) or _person.require(call, stream)
    return kind(
        identifiers=person,
        id=stream.event_ids.of(call, event_key),
        name=_cut(name) if "anonymous_id" in person else name,
        timestamp=time_of(call),
        attributes=stream.cleaner.encoded(call.body, call.dates),
    )


def _cut(name: str) -> str:
    """Cut a name to the maximum of an anonymous event, between characters."""
    encoded = name.encode(errors="surrogatepass")
    if len(encoded) <= ANONYMOUS_NAME_BYTES:
        return name
    return encoded[:ANONYMOUS_NAME_BYTES].decode(errors="ignore")


def page(call: Call, stream: StreamContext) -> PersonPage:
    """Convert a page call."""
    name = (
        name_of(call.fields.get("name"), "name")
        or name_of(lookup(call.body, "url"), "properties.url")
        or name_of(lookup_in_context(call.context, "page", "url"), "context.page.url")
    )
    if name is None:
        raise RejectedRecord("required", "name", "missing name or URL of the page view")
    return event_operation(PersonPage, name, call, stream, f"page:{name}")


VIEWED_EVENT = "Viewed {} Screen"
NAMELESS = "Undefined"


def screen(call: Call, stream: StreamContext) -> PersonScreen | PersonEvent:
    """Convert a screen call to a screen view, or to an event by the setting."""
    name = (
        name_of(call.fields.get("name"), "name")
        or name_of(call.fields.get("event"), "event")
        or name_of(lookup(call.body, "name"), "properties.name")
    )
    event_key = f"screen:{name or NAMELESS}"
    if stream.settings.screen_events == "viewed_event":
        viewed = VIEWED_EVENT.format(name or NAMELESS)
        return event_operation(PersonEvent, viewed, call, stream, event_key)
    if name is None:
        raise RejectedRecord("required", "name", "missing name of the screen view")
    return event_operation(PersonScreen, name, call, stream, event_key)
