"""What relates people and objects, wherever a call says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType

from target_customerio.mapping.containers import lookup, opened
from target_customerio.mapping.events import NOTHING
from target_customerio.mapping.fields import spellings
from target_customerio.mapping.schema_types import NO_DATES

if TYPE_CHECKING:
    from target_customerio.mapping.record import Call
    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.mapping.values import Cleaner
    from target_customerio.track_api.operations import JSON, Attributes


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
    return cleaner.attributes(attributes, _dates_of(call, field), NOTHING)


def _dates_of(call: Call, field: str) -> DateTree:
    """Return the typed dates in a field, in the place where it is found."""
    if lookup(call.body, field) is not None:
        dates = call.dates
    elif field in call.fields:
        dates = call.field_dates
    else:
        dates = _branch(call.field_dates, "context")
    return next(
        filter(None, (_branch(dates, each) for each in spellings(field))), NO_DATES
    )


def _branch(dates: DateTree, name: str) -> DateTree:
    below = dates.get(name)
    return below if isinstance(below, Mapping) else NO_DATES
