"""Actions on people: delete, suppress, unsuppress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from target_customerio.conversion.identifiers import PersonFinder
from target_customerio.operations import PersonDelete, PersonSuppress, PersonUnsuppress

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream

_person: Final = PersonFinder(property_email=True)


def delete(call: Call, _stream: Stream) -> PersonDelete:
    """Delete a person.

    Args:
        call: The call; it needs somebody who is named.

    Returns:
        The operation on the person.

    Raises:
        RejectedRecord: The event names nobody.
    """
    return PersonDelete(identifiers=_person.require(call))


def suppress(call: Call, _stream: Stream) -> PersonSuppress:
    """Delete a person, and refuse their identifiers from now on.

    Args:
        call: The call; it needs somebody who is named.

    Returns:
        The operation on the person.

    Raises:
        RejectedRecord: The event names nobody.
    """
    return PersonSuppress(identifiers=_person.require(call))


def unsuppress(call: Call, _stream: Stream) -> PersonUnsuppress:
    """Accept a suppressed person's identifiers again.

    Args:
        call: The call; it needs somebody who is named.

    Returns:
        The operation on the person.

    Raises:
        RejectedRecord: The event names nobody.
    """
    return PersonUnsuppress(identifiers=_person.require(call))
