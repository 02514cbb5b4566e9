"""What events, page views and screen views have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import UNSET, UnsetType

from target_customerio.conversion.identifiers import PersonFinder
from target_customerio.conversion.timestamps import call_time
from target_customerio.errors import RejectedRecord
from target_customerio.operations import PersonHappening

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream
    from target_customerio.operations import JSON

NOTHING: Final[frozenset[str]] = frozenset()
ANONYMOUS_NAME_BYTES: Final = 100
"""Most bytes of an anonymous event's name (destination's documentation)."""

TIME_FIELDS: Final = ("timestamp", "originalTimestamp")

_anybody: Final = PersonFinder(anonymous=True)

_Happening = TypeVar("_Happening", bound=PersonHappening)


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
