"""What relates people and objects, wherever a call says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType

from target_customerio.conversion.attributes import NO_DATES
from target_customerio.conversion.containers import lookup, opened
from target_customerio.conversion.fields import spellings
from target_customerio.conversion.happenings import NOTHING

if TYPE_CHECKING:
    from target_customerio.conversion.attributes import Cleaner
    from target_customerio.conversion.layout import Call
    from target_customerio.operations import JSON, Attributes

RELATION_KEYS: Final[frozenset[str]] = frozenset(
    spelling
    for field in ("objectId", "objectTypeId", "relationshipAttributes")
    for spelling in spellings(field)
)
"""Traits that describe a relationship and are no attributes."""


def found_in(call: Call, field: str) -> JSON:
    """Find a field in the body, on the record itself or in the context.

    Args:
        call: The call.
        field: The field, in the spec's spelling.

    Returns:
        The first that is neither null nor empty, or ``None``.
    """
    found = lookup(call.body, field)
    if found is None:
        found = call.fields.get(field)
    if found is None and call.context:
        found = lookup(call.context, field)
    return found


def relationship_attributes(call: Call, cleaner: Cleaner) -> Attributes | UnsetType:
    """Return what a call says of a relationship.

    Args:
        call: The call.
        cleaner: Prepares the values.

    Returns:
        The attributes, or ``UNSET`` where there are none.

    Raises:
        RejectedRecord: They are no object.
    """
    field = "relationshipAttributes"
    attributes = opened(found_in(call, field), field)
    if not attributes:
        return UNSET
    for spelling in spellings(field):
        dates = call.dates.get(spelling, NO_DATES)
        if isinstance(dates, dict) and dates:
            return cleaner.attributes(attributes, dates, NOTHING)
    return cleaner.attributes(attributes, NO_DATES, NOTHING)
