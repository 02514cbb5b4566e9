"""What all records with the same columns have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from target_customerio.conversion.columns import BODY_ROLES, Role
from target_customerio.conversion.fields import (
    RESERVED_ATTRIBUTES,
    is_warehouse_row,
    spellings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_customerio.conversion.columns import Column, Columns

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
