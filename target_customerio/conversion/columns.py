"""What a column is for, by its name alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from target_customerio.conversion.fields import (
    BOOKKEEPING,
    CONTAINERS,
    DELETED_AT,
    INTEGRATIONS,
    LOOKED_UP,
    MESSAGE_OVERRIDES,
    METADATA_PREFIX,
    RESERVED_ATTRIBUTES,
    SPEC_FIELDS,
    SQUASHED_CONTEXT_FIELDS,
    CallKind,
    spellings,
    spellings_of_column,
    squashed,
)
from target_customerio.conversion.integrations import is_switch

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_SEPARATOR: Final = "__"

FLATTENED: Final = {
    spelling: name
    for name in (*CONTAINERS, INTEGRATIONS)
    for spelling in spellings(name)
}
"""The objects whose fields may be columns of their own, by each spelling."""


class Role(Enum):
    """What a column is for."""

    IGNORED = auto()
    FIELD = auto()
    BODY = auto()
    FIELD_AND_BODY = auto()
    CONTAINER = auto()
    PART = auto()
    OVERRIDE = auto()
    SWITCH = auto()


BODY_ROLES: Final = frozenset({Role.BODY, Role.FIELD_AND_BODY})


@dataclass(frozen=True)
class Column:
    """What a column of one name is for, in one stream.

    Attributes:
        role: What it is for.
        name: The field's name as the spec spells it, or the container's.
        rank: Which spelling of the field the column bears; the spec's own is 0.
        path: For a part of a container, the way to it.
        bookkeeping: Whether the column is none of the body in a warehouse's rows.
    """

    role: Role
    name: str = ""
    rank: int = 0
    path: tuple[str, ...] = ()
    bookkeeping: bool = False


class Columns:
    """Knows what the columns of one call's streams are for."""

    def __init__(self, call: CallKind, separators: Iterable[str]) -> None:
        """Learn the names that are known whole.

        Args:
            call: The call.
            separators: What joins the names of flattened columns.
        """
        self._separators = tuple(separators)
        self._named = _columns_by_name(call)

    def of(self, name: str) -> Column:
        """Tell what a column is for.

        Args:
            name: The column's name.

        Returns:
            What it is for.
        """
        known = self._named.get(name)
        if known is not None:
            return known
        if name.lower().startswith(METADATA_PREFIX):
            is_deletion = name.lower() == DELETED_AT
            return Column(Role.FIELD, DELETED_AT, rank=2) if is_deletion else _IGNORED
        return self._part(name) or _BODY

    def _part(self, name: str) -> Column | None:
        """Recognize a column that is a field of a flattened object."""
        for separator in self._separators:
            start, found, rest = name.partition(separator)
            container = FLATTENED.get(start)
            if found and rest and container is not None:
                return _part_of(container, tuple(rest.split(separator)))
        start, _, rest = name.partition("_")
        if start in spellings("context") and rest:
            return _part_of("context", _context_path(rest))
        return None


_IGNORED: Final = Column(Role.IGNORED)
_BODY: Final = Column(Role.BODY)


def _part_of(container: str, path: tuple[str, ...]) -> Column | None:
    if container == INTEGRATIONS:
        # A separator may be part of the entry's name, such as the dot in Customer.io.
        for entry in ((".".join(path),), path):
            if is_switch(entry[0]):
                return Column(Role.SWITCH, path=entry)
        return None
    if container == "context":
        if path[0] in spellings("traits"):
            path = ("traits", *path[1:])
        path = SQUASHED_CONTEXT_FIELDS.get(squashed("".join(path)), path)
    *way, last = path
    if not way or way == ["traits"]:
        path = (*way, RESERVED_ATTRIBUTES.get(last, last))
    return Column(Role.PART, container, path=path)


def _context_path(rest: str) -> tuple[str, ...]:
    """Read a column such as ``context_traits_plan``, of which only traits are split."""
    start, found, trait = rest.partition("_")
    if found and trait and start in spellings("traits"):
        return ("traits", trait)
    return (rest,)


def _columns_by_name(call: CallKind) -> dict[str, Column]:
    """List the columns that are known by their whole name; of two roles the last."""
    is_event = call.body == "properties"
    roles = (
        (Role.CONTAINER, CONTAINERS),
        (Role.OVERRIDE, MESSAGE_OVERRIDES if is_event else ()),
        (Role.FIELD_AND_BODY, LOOKED_UP),
        (Role.FIELD, (*SPEC_FIELDS, *call.fields)),
        (Role.SWITCH, (INTEGRATIONS,)),
    )
    columns = {
        spelling: Column(role, name, rank=rank)
        for role, names in roles
        for name in names
        for rank, spelling in enumerate(spellings(name))
    }
    for name in BOOKKEEPING:
        for spelling in spellings_of_column(name):
            column = columns.get(spelling, _BODY)
            if column.role in BODY_ROLES:
                columns[spelling] = replace(column, bookkeeping=True)
    return columns
