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
    """Delete the person; needs one that is named."""
    return PersonDelete(identifiers=_person.require(call))


def suppress(call: Call, _stream: Stream) -> PersonSuppress:
    """Delete the person and refuse the identifiers; needs one that is named."""
    return PersonSuppress(identifiers=_person.require(call))


def unsuppress(call: Call, _stream: Stream) -> PersonUnsuppress:
    """Accept the person's identifiers again; needs one that is named."""
    return PersonUnsuppress(identifiers=_person.require(call))
