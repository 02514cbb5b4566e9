"""Reading a record: whatever its shape, one :class:`Call` comes out.

What the columns mean is worked out once for each set of them and remembered; reading a
record is then a matter of picking up the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from target_customerio.conversion.attributes import (
    NO_DATES,
    Dated,
    DateTree,
    dates_of_schema,
)
from target_customerio.conversion.columns import (
    DEFAULT_SEPARATOR,
    Columns,
    Role,
)
from target_customerio.conversion.containers import container

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.conversion.fields import CallKind
    from target_customerio.operations import JSON, Attributes

MOST_SHAPES: Final = 4096
"""Shapes that are remembered; the records of a stream rarely have more than a few."""

FIELD_ROLES: Final = frozenset({Role.FIELD, Role.FIELD_AND_BODY})
BODY_ROLES: Final = frozenset({Role.BODY, Role.FIELD_AND_BODY})


class Shape(Struct):
    """What all records with the same columns have in common.

    Attributes:
        fields: The record's own fields by the spec's names, and the columns that hold
            them; of two spellings the spec's own comes last, and wins.
        columns: The columns that are the body of a flat row.
        overrides: Columns of a flat row that would redirect a message.
        containers: The containers that stand in the record whole, but for the body.
        parts: The flattened columns of each container, and the way to each.
    """

    fields: list[tuple[str, str]]
    columns: list[str]
    overrides: list[str]
    containers: list[str]
    parts: dict[str, list[tuple[str, tuple[str, ...]]]]

    @property
    def is_easily_overlooked(self) -> bool:
        """Whether there are columns that may be left out to somebody's surprise."""
        return bool(self.overrides) or any(field == "id" for field, _ in self.fields)


class Call(Struct, gc=False):
    """One record, read.

    Attributes:
        fields: The record's own fields by the spec's names; none is null or empty.
        body: The traits or properties, or the columns of a flat row.
        dates: Which of the body the schema types as dates.
        flat: Whether the body is made of the row's columns.
        field_dates: Which of the record's own fields the schema types as dates.
        shape: What the record has in common with others.
        record: The record itself.
    """

    fields: dict[str, JSON]
    body: Attributes
    dates: DateTree
    flat: bool
    field_dates: DateTree
    shape: Shape
    record: Mapping[str, JSON]
    _opened: dict[str, Attributes]

    @property
    def traits(self) -> Attributes:
        """The traits, of which a flat identify or group row is made."""
        return self._container("traits")

    @property
    def properties(self) -> Attributes:
        """The properties, of which a flat event row is made."""
        return self._container("properties")

    @property
    def context(self) -> Attributes:
        """The context."""
        return self._container("context")

    @property
    def overrides(self) -> Attributes:
        """The columns of a flat row that would redirect a message."""
        if not self.flat:
            return {}
        left_out = {name: self.record[name] for name in self.shape.overrides}
        return {name: value for name, value in left_out.items() if value is not None}

    def has_column(self, *fields: str) -> bool:
        """Tell whether the record has a column for one of some fields, even if null.

        Args:
            fields: The fields, in the spec's spelling.

        Returns:
            Whether it has.
        """
        return any(field in fields for field, _ in self.shape.fields)

    def _container(self, name: str) -> Attributes:
        found = self._opened.get(name)
        if found is None:
            found = container(self.record, self.shape.parts, name) or {}
            self._opened[name] = found
        return found


class Layout:
    """Knows how the records of one stream are laid out."""

    def __init__(
        self,
        call: CallKind,
        schema: Mapping[str, Any],
        *,
        separators: Iterable[str] = (DEFAULT_SEPARATOR,),
    ) -> None:
        """Learn a stream's layout.

        Args:
            call: The call that the stream's records are.
            schema: The stream's JSON schema.
            separators: What joins the names of flattened columns.
        """
        self._body = call.body
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._columns = Columns(call, separators)
        self._dates = dates_of_schema(schema)
        self._body_dates = self._dates_of_body()

    def read(self, record: Mapping[str, JSON]) -> Call:
        """Read a record.

        Args:
            record: The record; it is not changed.

        Returns:
            The call in it.

        Raises:
            RejectedRecord: A container is neither an object nor the JSON text of one.
        """
        names = tuple(record)
        shape = self._shapes.get(names)
        if shape is None:
            shape = self._learn(names)
        fields = {}
        for field, name in shape.fields:
            value = record[name]
            if value or (value is not None and value != ""):
                fields[field] = value
        body = record.get(self._body)
        if type(body) is not dict or shape.parts:
            body = container(record, shape.parts, self._body)
        for name in shape.containers:
            if type(record[name]) is not dict:
                container(record, shape.parts, name)
        flat = body is None
        if body is None:
            body = {name: record[name] for name in shape.columns}
        return Call(
            fields,
            body,
            self._dates if flat else self._body_dates,
            flat,
            self._dates,
            shape,
            record,
            {self._body: body},
        )

    def _learn(self, names: tuple[str, ...]) -> Shape:
        """Work out a shape, and remember it unless there are too many."""
        columns = [(name, self._columns.of(name)) for name in names]
        parts: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        for name, column in columns:
            if column.role is Role.PART:
                parts.setdefault(column.name, []).append((name, column.path))
        fields = [each for each in columns if each[1].role in FIELD_ROLES]
        fields.sort(key=lambda each: each[1].own)
        shape = Shape(
            fields=[(column.name, name) for name, column in fields],
            columns=[name for name, column in columns if column.role in BODY_ROLES],
            overrides=[
                name for name, column in columns if column.role is Role.OVERRIDE
            ],
            containers=[
                name
                for name, column in columns
                if column.role is Role.CONTAINER and name != self._body
            ],
            parts=parts,
        )
        if len(self._shapes) < MOST_SHAPES:
            self._shapes[names] = shape
        return shape

    def _dates_of_body(self) -> DateTree:
        """Gather the typed dates of the container and of its flattened columns."""
        nested = self._dates.get(self._body)
        dates: dict[str, Any] = dict(nested) if isinstance(nested, Mapping) else {}
        for name, dated in self._dates.items():
            column = self._columns.of(name)
            if column.role is Role.PART and column.name == self._body:
                _place(dates, column.path, dated)
        return dates or NO_DATES


def _place(
    tree: dict[str, Any], path: tuple[str, ...], value: DateTree | Dated
) -> None:
    *way, last = path
    for step in way:
        below = tree.get(step)
        branch = dict(below) if isinstance(below, Mapping) else {}
        tree[step] = branch
        tree = branch
    tree.setdefault(last, value)
