"""What events, page views and screen views have in common."""

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
    from target_customerio.mapping.settings import Stream
    from target_customerio.track_api.operations import JSON


NOTHING: Final[frozenset[str]] = frozenset()
ANONYMOUS_NAME_BYTES: Final = 100
"""Most bytes of an anonymous event's name (destination's documentation)."""

TIME_FIELDS: Final = ("timestamp", "originalTimestamp")

_anybody: Final = PersonFinder(anonymous=True)

_Happening = TypeVar("_Happening", bound=PersonActivity)


def time_of(call: Call) -> int | UnsetType:
    """Return a call's own time in Unix seconds, if it has one.

    Args:
        call: The call.

    Returns:
        Unix seconds, or ``UNSET``.

    Raises:
        RejectedRecord: It is no time.
    """
    fields = call.fields
    for field in TIME_FIELDS:
        if field in fields:
            return call_time(fields[field], field)
    return UNSET


def name_of(value: JSON, field: str) -> str | None:
    """Read the name of an event, a page or a screen.

    Args:
        value: The name.
        field: Where it stands, for the rejection.

    Returns:
        The name, or ``None`` where there is none.

    Raises:
        RejectedRecord: It is no text.
    """
    if isinstance(value, str):
        return None if not value or value.isspace() else value
    if value is None:
        return None
    raise RejectedRecord("invalid_type", field, "a name must be text")


def happening(
    kind: type[_Happening],
    name: str,
    call: Call,
    stream: Stream,
    known_as: str,
) -> _Happening:
    """Make the operation of something that somebody did.

    Args:
        kind: Event, page view or screen view.
        name: Its name.
        call: The call.
        stream: The stream that the record belongs to.
        known_as: What the event's id depends on: the call, and the name in it.

    Returns:
        The operation.

    Raises:
        RejectedRecord: The call cannot become one.
    """
    person = _anybody.find(call, stream) or _anybody.require(call, stream)
    return kind(
        identifiers=person,
        id=stream.event_ids.of(call, known_as),
        name=_cut(name) if "anonymous_id" in person else name,
        timestamp=time_of(call),
        attributes=stream.cleaner.encoded(call.body, call.dates),
    )


def _cut(name: str) -> str:
    """Cut a name to the bytes that an anonymous event may have, between characters."""
    encoded = name.encode(errors="surrogatepass")
    if len(encoded) <= ANONYMOUS_NAME_BYTES:
        return name
    return encoded[:ANONYMOUS_NAME_BYTES].decode(errors="ignore")


def page(call: Call, stream: Stream) -> PersonPage:
    """Convert a page call.

    Args:
        call: The call.
        stream: The stream that the record belongs to.

    Returns:
        The page view.

    Raises:
        RejectedRecord: The call cannot become one.
    """
    name = (
        name_of(call.fields.get("name"), "name")
        or name_of(lookup(call.body, "url"), "properties.url")
        or name_of(lookup_in_context(call.context, "page", "url"), "context.page.url")
    )
    if name is None:
        raise RejectedRecord("required", "name", "missing name or URL of the page view")
    return happening(PersonPage, name, call, stream, f"page:{name}")


VIEWED_EVENT = "Viewed {} Screen"
NAMELESS = "Undefined"


def screen(call: Call, stream: Stream) -> PersonScreen | PersonEvent:
    """Convert a screen call.

    Args:
        call: The call.
        stream: The stream that the record belongs to.

    Returns:
        The screen view, or the event.

    Raises:
        RejectedRecord: The call cannot become either.
    """
    name = (
        name_of(call.fields.get("name"), "name")
        or name_of(call.fields.get("event"), "event")
        or name_of(lookup(call.body, "name"), "properties.name")
    )
    known_as = f"screen:{name or NAMELESS}"
    if stream.settings.screen_events == "viewed_event":
        viewed = VIEWED_EVENT.format(name or NAMELESS)
        return happening(PersonEvent, viewed, call, stream, known_as)
    if name is None:
        raise RejectedRecord("required", "name", "missing name of the screen view")
    return happening(PersonScreen, name, call, stream, known_as)
