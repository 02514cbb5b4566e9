"""What a column is for, by its name alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from target_customerio.mapping.containers import is_switch
from target_customerio.mapping.fields import (
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
    is_warehouse_row,
    spellings,
    spellings_of_column,
    squashed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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


FIELD_ROLES: Final = frozenset({Role.FIELD, Role.FIELD_AND_BODY})

NamedColumn = tuple[str, "Column"]


class Shape(Struct):
    """What all records with the same columns have in common.

    Attributes:
        fields: The record's own fields by the spec's names, and the columns that hold
            them; of two spellings the spec's own comes last, and wins.
        columns: The columns that are the body of a flat row.
        reserved: Columns of a flat row that become reserved attributes: the attribute
            and the column.
        types: The columns of a flat row that hold a ``type``.
        overrides: Columns of a flat row that would redirect a message.
        others: The containers that stand in the record whole, but for the body, and
            the column of each.
        wholes: The columns that may hold a container whole, the one that wins first.
        parts: The flattened columns of each container, and the way to each; what wins
            comes first: the shorter way, then the spec's own spelling.
        switches: The columns that may turn Customer.io off, and for each the way from
            ``integrations`` to it.
        left_out: The columns of a flat row that belong to a container which is neither
            its body nor the context.
        may_be_call: Whether there are a ``type`` and a container, so that a record may
            be a call rather than a row.
        has_body: Whether there are columns for the body, whole or flattened.
        is_simple: Whether the body is under its own name, and nothing of it flattened.
        is_of_warehouse: Whether a flat row of this shape comes from an event warehouse.
        is_quiet: Whether nothing is left to be said about records of this shape.
    """

    fields: list[tuple[str, str]]
    columns: list[str]
    reserved: list[tuple[str, str]]
    types: list[str]
    overrides: list[str]
    others: list[tuple[str, str]]
    wholes: dict[str, list[str]]
    parts: dict[str, list[tuple[str, tuple[str, ...]]]]
    switches: list[tuple[str, tuple[str, ...]]]
    left_out: list[str]
    may_be_call: bool
    has_body: bool
    is_simple: bool
    is_of_warehouse: bool
    is_quiet: bool = False

    def has(self, *fields: str) -> bool:
        """Tell whether there is a column for one of some fields.

        Args:
            fields: The fields, in the spec's spelling.

        Returns:
            Whether there is.
        """
        return any(field in fields for field, _ in self.fields)


def shape_of(names: Sequence[str], columns: Columns, body: str) -> Shape:
    """Work out a shape.

    Args:
        names: The names of the columns.
        columns: Knows what each is for.
        body: The container that is the body.

    Returns:
        The shape.
    """
    known = sorted(((name, columns.of(name)) for name in names), key=_rank)
    fields = [each for each in reversed(known) if each[1].role in FIELD_ROLES]
    parts: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for name, column in sorted(known, key=lambda each: len(each[1].path)):
        if column.role is Role.PART:
            parts.setdefault(column.name, []).append((name, column.path))
    wholes: dict[str, list[str]] = {}
    for name, column in known:
        if column.role is Role.CONTAINER:
            wholes.setdefault(column.name, []).append(name)
    is_of_warehouse = is_warehouse_row(names)
    in_row = _columns_of_row(names, columns, is_of_warehouse=is_of_warehouse)
    return Shape(
        fields=[(column.name, name) for name, column in fields],
        columns=[name for name in in_row if name not in RESERVED_ATTRIBUTES],
        reserved=[
            (RESERVED_ATTRIBUTES[name], name)
            for name in in_row
            if name in RESERVED_ATTRIBUTES
        ],
        types=[name for name in in_row if name in spellings("type")],
        overrides=[name for name, column in known if column.role is Role.OVERRIDE],
        others=[
            (container, name)
            for container, its_columns in wholes.items()
            if container != body
            for name in its_columns
        ],
        wholes=wholes,
        parts=parts,
        switches=[
            (name, column.path) for name, column in known if column.role is Role.SWITCH
        ],
        left_out=_left_out(known, body),
        may_be_call=bool(wholes) and any(column.name == "type" for _, column in fields),
        has_body=body in wholes or body in parts,
        is_simple=body not in parts and wholes.get(body, [body]) == [body],
        is_of_warehouse=is_of_warehouse,
    )


def _rank(named: NamedColumn) -> int:
    name, column = named
    is_upper = column.role is Role.PART and name.startswith(_UPPER_CONTAINERS)
    return 2 if is_upper else column.rank


_UPPER_CONTAINERS: Final = tuple(
    spellings(name)[-1] for name in ("traits", "properties", "context")
)


def _columns_of_row(
    names: Sequence[str], columns: Columns, *, is_of_warehouse: bool
) -> list[str]:
    """List the columns that are the body of a flat row, in the row's order."""
    found = ((name, columns.of(name)) for name in names)
    return [
        name
        for name, column in found
        if column.role in BODY_ROLES and not (is_of_warehouse and column.bookkeeping)
    ]


def _left_out(known: Sequence[NamedColumn], body: str) -> list[str]:
    return [
        name
        for name, column in known
        if column.role in {Role.CONTAINER, Role.PART}
        and column.name not in {body, "context"}
    ]
