"""Relationships between people and objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType

from target_customerio.mapping.columns import RELATIONSHIP
from target_customerio.mapping.containers import lookup, parse_object, with_flattened
from target_customerio.mapping.events import NOTHING
from target_customerio.mapping.fields import spellings
from target_customerio.mapping.schema_types import NO_DATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.mapping.record import Call
    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.mapping.values import Cleaner
    from target_customerio.track_api.operations import JSON, Attributes


RELATION_KEYS: Final[frozenset[str]] = frozenset(
    spelling
    for field in ("objectId", "objectTypeId", "relationshipAttributes")
    for spelling in spellings(field)
)
"""Traits that describe a relationship and are not attributes."""


def find_field(call: Call, field: str) -> JSON:
    """Return a field of the body, else of the record, else of the context."""
    found = lookup(call.body, field)
    if found is None:
        found = call.fields.get(field)
    if found is None and call.context:
        found = lookup(call.context, field)
    return found


def relationship_attributes(call: Call, cleaner: Cleaner) -> Attributes | UnsetType:
    """Return the attributes of a call's relationship, or ``UNSET``."""
    field = RELATIONSHIP
    attributes = parse_object(find_field(call, field), field)
    dates = _dates_of(call, field)
    columns = call.shape.flattened.get(field)
    if columns:
        attributes = with_flattened(attributes, call.record, columns)
        dates = {**_dates_of_columns(call, columns), **dates}
    if not attributes:
        return UNSET
    return cleaner.attributes(attributes, dates, NOTHING) or UNSET


def _dates_of_columns(
    call: Call, columns: Iterable[tuple[str, tuple[str, ...]]]
) -> DateTree:
    """Return the typed fields among flattened columns, those in objects aside."""
    return {
        path[0]: call.field_dates[column]
        for column, path in columns
        if len(path) == 1 and column in call.field_dates
    }


def _dates_of(call: Call, field: str) -> DateTree:
    """Return the typed fields of a container field, where that is found."""
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
