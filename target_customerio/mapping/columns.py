"""Classifies columns by their names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from msgspec import Struct

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
    is_customerio_entry,
    is_warehouse_row,
    spellings,
    spellings_of_column,
    squashed,
    trimmed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


DEFAULT_SEPARATOR: Final = "__"

FLATTENED: Final = {
    spelling: name
    for name in (*CONTAINERS, INTEGRATIONS)
    for spelling in spellings(name)
}
"""Spellings of the objects whose fields may be separate columns."""

RELATIONSHIP: Final = "relationshipAttributes"
FLATTENED_RELATIONSHIP: Final = dict.fromkeys(spellings(RELATIONSHIP), RELATIONSHIP)
"""Another such object, of people and objects only."""


OF_PEOPLE: Final = {
    squashed(name): name for name in ("anonymousId", "email", "phone", "userId")
}
"""Fields of people, by what is the same in all spellings."""


class Role(Enum):
    """How a column is used."""

    IGNORED = auto()
    FIELD = auto()
    BODY = auto()
    FIELD_AND_BODY = auto()
    CONTAINER = auto()
    FLATTENED = auto()
    OVERRIDE = auto()
    INTEGRATIONS = auto()


BODY_ROLES: Final = frozenset({Role.BODY, Role.FIELD_AND_BODY})
FIELD_ROLES: Final = frozenset({Role.FIELD, Role.FIELD_AND_BODY})
READ_ROLES: Final = FIELD_ROLES | {Role.CONTAINER, Role.FLATTENED, Role.INTEGRATIONS}


@dataclass(frozen=True)
class Column:
    """How a column with a given name is used, in streams of one call.

    Attributes:
        role: Its use.
        name: The spec's spelling of the field, or the container's name.
        rank: Precedence of the spelling; 0 is the spec's own and wins.
        path: For a flattened column, the path below the container.
        bookkeeping: Whether the column is ignored in rows of an event warehouse.
    """

    role: Role
    name: str = ""
    rank: int = 0
    path: tuple[str, ...] = ()
    bookkeeping: bool = False


class Columns:
    """Classifies the columns of one call's streams by their names."""

    def __init__(self, call: CallKind, separators: Iterable[str]) -> None:
        """Prepare the table of known names, and the separators of flattened ones."""
        self._name = call.name
        self._separators = tuple(separators)
        relationship = FLATTENED_RELATIONSHIP if call.body == "traits" else {}
        self._containers = {**FLATTENED, **relationship}
        self._named = _columns_by_name(call)

    def of(self, name: str) -> Column:
        """Return how a column is used."""
        known = self._named.get(name)
        if known is not None:
            return known
        if name.lower().startswith(METADATA_PREFIX):
            is_deletion = name.lower() == DELETED_AT
            return Column(Role.FIELD, DELETED_AT, rank=2) if is_deletion else _IGNORED
        return self._flattened(name) or _BODY

    def meant(self, name: str) -> str | None:
        """Return the field that a column is probably meant for, if it is not that.

        Some files have a byte order mark before the first name or a space after each
        comma, and some databases have names such as ``UserID``.
        """
        plain = trimmed(name)
        if plain != name:
            column = self.of(plain)
            if column.role in READ_ROLES:
                return column.name
            return RESERVED_ATTRIBUTES.get(plain.upper())
        field = OF_PEOPLE.get(squashed(name))
        return field if field is not None and self.of(name) is _BODY else None

    def misnamed(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return columns that are not the field that they are meant for, and it."""
        found = [(name, field) for name in names if (field := self.meant(name))]
        if not found:
            return []
        columns = map(self.of, names)
        known = {each.name for each in columns if each.role in READ_ROLES}
        for column, attribute in RESERVED_ATTRIBUTES.items():
            if column in names or attribute in names:
                known.add(attribute)
        if "userId" in known and self._name != "identify":
            known |= {"email", "phone"}  # they would only identify the person
        return [each for each in found if each[1] not in known]

    def _flattened(self, name: str) -> Column | None:
        """Recognize a column that is a field of a flattened object."""
        for separator in self._separators:
            start, found, rest = name.partition(separator)
            container = self._containers.get(start)
            if found and rest and container is not None:
                return _flattened_column(container, tuple(rest.split(separator)))
        start, _, rest = name.partition("_")
        if start in spellings("context") and rest:
            return _flattened_column("context", _context_path(rest))
        return None


_IGNORED: Final = Column(Role.IGNORED)
_BODY: Final = Column(Role.BODY)


def _flattened_column(container: str, path: tuple[str, ...]) -> Column | None:
    if container == INTEGRATIONS:
        # The separator may be part of the entry's name, like the dot in Customer.io.
        for entry in ((".".join(path),), path):
            if is_customerio_entry(entry[0]):
                return Column(Role.INTEGRATIONS, path=entry)
        return None
    if container == "context":
        if path[0] in spellings("traits"):
            path = ("traits", *path[1:])
        path = SQUASHED_CONTEXT_FIELDS.get(squashed("".join(path)), path)
    *parents, last = path
    if not parents or parents == ["traits"]:
        path = (*parents, RESERVED_ATTRIBUTES.get(last, last))
    return Column(Role.FLATTENED, container, path=path)


def _context_path(rest: str) -> tuple[str, ...]:
    """Split a column such as ``context_traits_plan``; only traits are split."""
    start, found, trait = rest.partition("_")
    if found and trait and start in spellings("traits"):
        return ("traits", trait)
    return (rest,)


def _columns_by_name(call: CallKind) -> dict[str, Column]:
    """Return the columns with a fixed name; later roles override earlier ones."""
    is_event = call.body == "properties"
    roles = (
        (Role.CONTAINER, CONTAINERS),
        (Role.OVERRIDE, MESSAGE_OVERRIDES if is_event else ()),
        (Role.FIELD_AND_BODY, LOOKED_UP),
        (Role.FIELD, (*SPEC_FIELDS, *call.fields)),
        (Role.INTEGRATIONS, (INTEGRATIONS,)),
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


NamedColumn = tuple[str, "Column"]


class Shape(Struct):
    """What all records with the same columns have in common; computed once.

    Attributes:
        fields: Field (spec's spelling) and column; the spelling that wins comes last.
        columns: The columns that are attributes of a flat row.
        reserved: Reserved attribute and the upper-case column that holds it.
        types: The columns of a flat row that hold a ``type``.
        overrides: Columns of a flat row that would redirect a message.
        others: Container and column, for all containers but the body.
        containers: The columns that may hold each container; the first wins.
        flattened: The flattened columns of each container with their paths; the first
            wins: the shorter path, then the spec's own spelling.
        integrations: The columns that may turn Customer.io off, with their paths below
            ``integrations``.
        left_out: Columns of a flat row that belong to a container the call ignores.
        misnamed: Columns with names that are nearly those of fields, and the fields.
        outside_body: Columns that are ignored in a record with a body; empty if there
            is a ``type``, because the record may be a call.
        may_be_call: Whether there is a ``type`` and a container, so that a record may
            be a call instead of a row.
        has_body: Whether there are columns for the body, nested or flattened.
        is_simple: Whether the body is one column with the spec's own name.
        is_of_warehouse: Whether a flat row comes from an event warehouse.
        is_checked: Whether all warnings about records of this shape have been issued.
    """

    fields: list[tuple[str, str]]
    columns: list[str]
    reserved: list[tuple[str, str]]
    types: list[str]
    overrides: list[str]
    others: list[tuple[str, str]]
    containers: dict[str, list[str]]
    flattened: dict[str, list[tuple[str, tuple[str, ...]]]]
    integrations: list[tuple[str, tuple[str, ...]]]
    left_out: list[str]
    misnamed: list[tuple[str, str]]
    outside_body: list[str]
    may_be_call: bool
    has_body: bool
    is_simple: bool
    is_of_warehouse: bool
    is_checked: bool = False

    def has(self, *fields: str) -> bool:
        """Tell whether there is a column for one of these fields (spec's spelling)."""
        return any(field in fields for field, _ in self.fields)


def shape_of(names: Sequence[str], columns: Columns, body: str) -> Shape:
    """Compute the shape of records with these columns; `body` names the container."""
    known = sorted(((name, columns.of(name)) for name in names), key=_rank)
    fields = [each for each in reversed(known) if each[1].role in FIELD_ROLES]
    containers, flattened = _containers(known), _flattened(known)
    is_of_warehouse = is_warehouse_row(names)
    has_body = body in containers or body in flattened
    has_type = any(column.name == "type" for _, column in fields)
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
            for container, names_of_container in containers.items()
            if container != body
            for name in names_of_container
        ],
        containers=containers,
        flattened=flattened,
        integrations=[
            (name, column.path)
            for name, column in known
            if column.role is Role.INTEGRATIONS
        ],
        left_out=_left_out(known, body),
        misnamed=columns.misnamed(names),
        outside_body=_outside_body(known) if has_body and not has_type else [],
        may_be_call=bool(containers) and has_type,
        has_body=has_body,
        is_simple=body not in flattened and containers.get(body, [body]) == [body],
        is_of_warehouse=is_of_warehouse,
    )


def _rank(named: NamedColumn) -> int:
    name, column = named
    is_upper = column.role is Role.FLATTENED and name.startswith(_UPPER_CONTAINERS)
    return 2 if is_upper else column.rank


_UPPER_CONTAINERS: Final = tuple(spellings(name)[-1] for name in CONTAINERS)


def _containers(known: Sequence[NamedColumn]) -> dict[str, list[str]]:
    """Return the columns that hold containers, by container."""
    found: dict[str, list[str]] = {}
    for name, column in known:
        if column.role is Role.CONTAINER:
            found.setdefault(column.name, []).append(name)
    return found


def _flattened(
    known: Sequence[NamedColumn],
) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Return the flattened columns with their paths, shorter ones first."""
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for name, column in sorted(known, key=lambda each: len(each[1].path)):
        if column.role is Role.FLATTENED:
            found.setdefault(column.name, []).append((name, column.path))
    return found


def _columns_of_row(
    names: Sequence[str], columns: Columns, *, is_of_warehouse: bool
) -> list[str]:
    """Return the columns that are attributes of a flat row, in the row's order."""
    found = ((name, columns.of(name)) for name in names)
    return [
        name
        for name, column in found
        if column.role in BODY_ROLES and not (is_of_warehouse and column.bookkeeping)
    ]


def _outside_body(known: Sequence[NamedColumn]) -> list[str]:
    return [
        name
        for name, column in known
        if column.role is Role.BODY and not column.bookkeeping
    ]


def _left_out(known: Sequence[NamedColumn], body: str) -> list[str]:
    return [
        name
        for name, column in known
        if column.role in {Role.CONTAINER, Role.FLATTENED}
        and column.name not in {body, "context", RELATIONSHIP}
    ]
