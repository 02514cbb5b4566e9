"""What a column is for, by its name alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from target_customerio.conversion.fields import (
    BOOKKEEPING,
    CONTAINERS,
    LOOKED_UP,
    MESSAGE_OVERRIDES,
    METADATA_PREFIX,
    SPEC_FIELDS,
    SQUASHED_CONTEXT_FIELDS,
    CallKind,
    spellings,
    squashed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_SEPARATOR: Final = "__"


class Role(Enum):
    """What a column is for."""

    IGNORED = auto()
    FIELD = auto()
    BODY = auto()
    FIELD_AND_BODY = auto()
    CONTAINER = auto()
    PART = auto()
    OVERRIDE = auto()


@dataclass(frozen=True)
class Column:
    """What a column of one name is for, in one stream.

    Attributes:
        role: What it is for.
        name: The field's name as the spec spells it, or the container's.
        own: Whether the column bears the spec's own spelling, which wins.
        path: For a part of a container, the way to it.
    """

    role: Role
    name: str = ""
    own: bool = True
    path: tuple[str, ...] = ()


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
        if name.startswith(METADATA_PREFIX):
            return Column(Role.IGNORED)
        for separator in self._separators:
            container, found, rest = name.partition(separator)
            if found and rest and container in CONTAINERS:
                return self._part(container, tuple(rest.split(separator)))
        if name.startswith("context_"):
            return self._part("context", (name.removeprefix("context_"),))
        return Column(Role.BODY)

    @staticmethod
    def _part(container: str, path: tuple[str, ...]) -> Column:
        if container == "context":
            path = SQUASHED_CONTEXT_FIELDS.get(squashed("".join(path)), path)
        return Column(Role.PART, container, path=path)


def _columns_by_name(call: CallKind) -> dict[str, Column]:
    """List the columns that are known by their whole name; of two roles the last."""
    is_event = call.body == "properties"
    roles = (
        (Role.CONTAINER, CONTAINERS),
        (Role.IGNORED, BOOKKEEPING),
        (Role.OVERRIDE, MESSAGE_OVERRIDES if is_event else ()),
        (Role.FIELD_AND_BODY, LOOKED_UP),
        (Role.FIELD, (*SPEC_FIELDS, *call.fields)),
    )
    return {
        spelling: Column(role, name, own=spelling == name)
        for role, names in roles
        for name in names
        for spelling in reversed(spellings(name))
    }
