"""Reading a record: whatever its shape, one :class:`Call` comes out.

What the columns mean is worked out once for each set of them and remembered; reading a
record is then a matter of picking up the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.columns import (
    DEFAULT_SEPARATOR,
    Columns,
    Role,
    Shape,
    shape_of,
)
from target_customerio.mapping.containers import (
    add,
    as_object,
    lookup,
    merged,
    opened,
    parsed,
    turns_off,
    whole,
)
from target_customerio.mapping.fields import RESERVED_ATTRIBUTES, SPEC_CALLS, spellings
from target_customerio.mapping.schema_types import (
    NO_DATES,
    DateTree,
    Typed,
    dates_of_schema,
    of_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from target_customerio.mapping.fields import CallKind
    from target_customerio.track_api.operations import JSON, Attributes


MOST_SHAPES: Final = 4096
"""Shapes that are remembered; the records of a stream rarely have more than a few."""

CREATED_AT: Final = spellings("createdAt")
"""The names of one attribute, which is not taken from two places."""


def _say_nothing() -> None:
    pass


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
        arrived: The record before stream maps, where these have changed it.
    """

    fields: dict[str, JSON]
    body: Attributes
    dates: DateTree
    flat: bool
    field_dates: DateTree
    shape: Shape
    record: Mapping[str, JSON]
    _opened: dict[str, Attributes]
    arrived: Mapping[str, JSON] | None = None

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
        return self._present(self.shape.overrides)

    @property
    def left_out(self) -> Attributes:
        """The columns of a flat row that are a container of another kind of call."""
        return self._present(self.shape.left_out)

    def _present(self, columns: Iterable[str]) -> Attributes:
        if not self.flat:
            return {}
        found = {name: self.record[name] for name in columns}
        return {name: value for name, value in found.items() if value is not None}

    def _container(self, name: str) -> Attributes:
        found = self._opened.get(name)
        if found is None:
            found = _container(self.record, self.shape, name) or {}
            self._opened[name] = found
        return found

    def add_traits(self, traits: Attributes, dates: DateTree) -> None:
        """Add traits that the call's own body lacks.

        Args:
            traits: The other traits; nulls count as absent.
            dates: Which of them the schema types as dates.
        """
        known = {name for name, value in self.body.items() if value is not None}
        if not known.isdisjoint(CREATED_AT):
            known.update(CREATED_AT)
        added = {
            name: value
            for name, value in traits.items()
            if value is not None and name not in known
        }
        own = of_object(self.dates, self.body)
        others = of_object(dates, added)
        self.replace_body(
            {**self.body, **added},
            {name: typed for name, typed in own.items() if name not in added}
            | {name: typed for name, typed in others.items() if name in added},
        )

    def replace_body(self, body: Attributes, dates: DateTree) -> None:
        """Put another body in the place of the call's.

        Args:
            body: The traits.
            dates: Which of them the schema types as dates.
        """
        self.body = self._opened["traits"] = body
        self.dates = dates


class Layout:
    """Knows how the records of one stream are laid out."""

    def __init__(
        self,
        call: CallKind,
        schema: Mapping[str, Any],
        *,
        map_dates: Callable[[DateTree], DateTree] | None = None,
        separators: Iterable[str] = (DEFAULT_SEPARATOR,),
        on_bad_context: Callable[[], None] = _say_nothing,
    ) -> None:
        """Learn a stream's layout.

        Args:
            call: The call that the stream's records are.
            schema: The stream's JSON schema, as the tap says it.
            map_dates: Makes the dates of mapped records from those of the schema.
            separators: What joins the names of flattened columns.
            on_bad_context: Is called where a ``context`` is no object.
        """
        self._call = call
        self._body = call.body
        self._on_bad_context = on_bad_context
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._columns = Columns(call, separators)
        dates: DateTree = dates_of_schema(schema)
        self._dates = _with_reserved(dates if map_dates is None else map_dates(dates))
        self._body_dates = self._dates_of(self._body)
        traits = next(
            filter(None, map(self._dates_of("context").get, spellings("traits"))), None
        )
        self._trait_dates = _with_reserved(
            traits if isinstance(traits, Mapping) else NO_DATES
        )

    def turns_off(self, record: Mapping[str, JSON]) -> bool:
        """Tell whether a record turns Customer.io off.

        Args:
            record: The record, which may have any columns.

        Returns:
            Whether it does.
        """
        return turns_off(record, self._shape_of(tuple(record)).switches)

    def read(self, record: Mapping[str, JSON]) -> Call | None:
        """Read a record.

        Args:
            record: The record; it is not changed.

        Returns:
            The call in it, or ``None`` where the record turns Customer.io off.

        Raises:
            RejectedRecord: The traits or the properties are neither an object nor the
                JSON text of one, or the record is another call than its stream's.
        """
        names = tuple(record)
        shape = self._shapes.get(names) or self._shape_of(names)
        if shape.switches and turns_off(record, shape.switches):
            return None
        fields = {}
        for field, name in shape.fields:
            value = record[name]
            if value or (value is not None and value != ""):
                fields[field] = value
        if shape.may_be_call and fields.get("type") != self._call.name:
            self._check_type(record, shape, fields.get("type"))
        body = record.get(self._body)
        if shape.has_body and (type(body) is not dict or not shape.is_simple):
            body = _container(record, shape, self._body)
        containers = self._containers(record, shape) if shape.others else {}
        flat = body is None and not (
            shape.may_be_call and self._is_call(record, shape, fields.get("type"))
        )
        if body is None:
            body = self._row(record, shape) if flat else {}
        containers[self._body] = body
        call = Call(
            fields,
            body,
            self._dates if flat else self._body_dates,
            flat,
            self._dates,
            shape,
            record,
            containers,
        )
        if self._call.name == "identify":
            self._complete(call)
        return call

    def _containers(
        self, record: Mapping[str, JSON], shape: Shape
    ) -> dict[str, Attributes]:
        """Open the other containers that are not plain objects."""
        found: dict[str, Attributes] = {}
        for container, name in shape.others:
            if type(record[name]) is not dict:
                found[container] = self._opened(record, shape, container)
        return found

    def _opened(
        self, record: Mapping[str, JSON], shape: Shape, container: str
    ) -> Attributes:
        try:
            return _container(record, shape, container) or {}
        except RejectedRecord:
            if container != "context":
                raise
        self._on_bad_context()
        return merged(None, record, shape.parts.get(container, ()))

    def _check_type(self, record: Mapping[str, JSON], shape: Shape, kind: JSON) -> None:
        """Reject a record that is another call than its stream's."""
        name = _call_name(kind)
        if name in SPEC_CALLS and name != self._call.name and _is_nested(record, shape):
            raise RejectedRecord(
                "wrong_call",
                "type",
                f"the record is another call than the stream's ({self._call.name}); "
                "set stream_calls to by_type for a stream of several calls, or leave "
                "out type in stream_maps",
            )

    def _is_call(self, record: Mapping[str, JSON], shape: Shape, kind: JSON) -> bool:
        """Tell whether a record without a body is a call rather than a row."""
        return _call_name(kind) == self._call.name and _is_nested(record, shape)

    def _row(self, record: Mapping[str, JSON], shape: Shape) -> Attributes:
        """Return the columns that are the body of a flat row."""
        body = {name: record[name] for name in shape.columns}
        for attribute, name in shape.reserved:
            add(body, attribute, record[name])
        for name in shape.types:
            if _call_name(record[name]) == self._call.name:
                del body[name]
        for name, path in shape.switches:
            if not path and not isinstance(parsed(record[name]), Mapping):
                body[name] = record[name]
        return body

    def _complete(self, call: Call) -> None:
        """Give an identify its reserved attributes, and the traits of its context."""
        if not call.flat and not call.body.keys().isdisjoint(RESERVED_ATTRIBUTES):
            call.replace_body(_reserved(call.body), call.dates)
        shape = call.shape
        if "context" not in shape.wholes and "context" not in shape.parts:
            return
        if call.flat or _is_empty(call.body, is_flattened="traits" in shape.parts):
            self._take_context_traits(call)

    def _take_context_traits(self, call: Call) -> None:
        traits = opened(lookup(call.context, "traits"), "context.traits")
        if not traits:
            return
        traits = _reserved(traits)
        if call.body or "context" in call.shape.parts:
            call.add_traits(traits, self._trait_dates)
        else:
            call.replace_body(traits, self._trait_dates)

    def _shape_of(self, names: tuple[str, ...]) -> Shape:
        """Work out a shape, and remember it unless there are too many."""
        shape = self._shapes.get(names)
        if shape is None:
            shape = shape_of(names, self._columns, self._body)
            if len(self._shapes) < MOST_SHAPES:
                self._shapes[names] = shape
        return shape

    def _dates_of(self, container: str) -> DateTree:
        """Gather the typed dates of a container and of its flattened columns."""
        dates: dict[str, Any] = {}
        for spelling in spellings(container):
            nested = self._dates.get(spelling)
            if isinstance(nested, Mapping):
                dates = {**nested, **dates}
        for name, dated in self._dates.items():
            column = self._columns.of(name)
            if column.role is Role.PART and column.name == container:
                _place(dates, column.path, dated)
        return _with_reserved(dates) or NO_DATES


def _container(
    record: Mapping[str, JSON], shape: Shape, name: str
) -> Attributes | None:
    """Return a container: what stands in the record whole, and its flattened columns.

    Raises:
        RejectedRecord: It is neither an object nor the JSON text of one.
    """
    found = whole(record, shape.wholes.get(name, ()), name)
    parts = shape.parts.get(name)
    return merged(found, record, parts) if parts else found


def _is_empty(body: Attributes, *, is_flattened: bool) -> bool:
    """Tell whether there are no traits; flattened, absent ones are nulls."""
    if not is_flattened:
        return not body
    return all(value is None for value in body.values())


def _call_name(kind: JSON) -> str | None:
    return kind.lower() if isinstance(kind, str) else None


def _is_nested(record: Mapping[str, JSON], shape: Shape) -> bool:
    """Tell whether one of the record's containers is an object."""
    return any(
        as_object(record[name]) is not None
        for columns in shape.wholes.values()
        for name in columns
    )


def _reserved(body: Attributes) -> Attributes:
    """Give reserved attributes in upper case their real names."""
    found = {name: value for name, value in body.items() if name in RESERVED_ATTRIBUTES}
    body = {name: value for name, value in body.items() if name not in found}
    for name, value in found.items():
        add(body, RESERVED_ATTRIBUTES[name], value)
    return body


def _with_reserved(dates: DateTree) -> dict[str, Any]:
    """Add the real names of reserved attributes in upper case."""
    return {
        **{
            attribute: dates[name]
            for name, attribute in RESERVED_ATTRIBUTES.items()
            if name in dates
        },
        **dates,
    }


def _place(
    tree: dict[str, Any], path: tuple[str, ...], value: DateTree | Typed
) -> None:
    *way, last = path
    for step in way:
        below = tree.get(step)
        branch = dict(below) if isinstance(below, Mapping) else {}
        tree[step] = branch
        tree = branch
    tree.setdefault(last, value)
