"""Actions on people, for which it is enough that one is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from target_customerio.conversion.identifiers import PersonFinder
from target_customerio.operations import PersonDelete, PersonSuppress, PersonUnsuppress

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream

_person: Final = PersonFinder(property_email=True)

_Kind = TypeVar("_Kind", PersonDelete, PersonSuppress, PersonUnsuppress)


def _on_the_person(kind: type[_Kind]) -> Callable[[Call, Stream], _Kind]:
    def act(call: Call, stream: Stream) -> _Kind:
        return kind(identifiers=_person.require(call, stream))

    return act


delete: Final = _on_the_person(PersonDelete)
"""Deletes the person; an event without one is rejected."""

suppress: Final = _on_the_person(PersonSuppress)
"""Deletes the person, and refuses their identifiers from now on."""

unsuppress: Final = _on_the_person(PersonUnsuppress)
"""Accepts a suppressed person's identifiers again."""
