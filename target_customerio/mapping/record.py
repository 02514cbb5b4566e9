"""Reads a record, nested or flat, into a :class:`~.call.Call`.

The meaning of the columns is computed once for each set of columns and cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.call import (
    Call,
    as_object,
    container_of,
    lookup,
    parse_json,
    parse_object,
    set_if_absent,
    with_flattened,
)
from target_customerio.mapping.columns import (
    DEFAULT_SEPARATOR,
    Columns,
    Role,
    Shape,
    shape_of,
)
from target_customerio.mapping.fields import (
    CUSTOMERIO,
    EVERYTHING,
    IDENTIFIERS,
    RESERVED_ATTRIBUTES,
    SPEC_CALLS,
    letters,
    spellings,
)
from target_customerio.mapping.identity import check_decimals
from target_customerio.mapping.notices import Notices
from target_customerio.mapping.schema_types import (
    NO_DATES,
    DateTree,
    Typed,
    dates_of_schema,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from target_customerio.mapping.fields import CallKind
    from target_customerio.track_api.operations import JSON, Attributes


MAX_SHAPE_BYTES: Final = 16 << 20
"""Approximate memory limit of the shapes that are cached for all streams."""

_COLUMN_BYTES: Final = 50
"""Approximate memory of a column in a shape, in addition to its name."""


def _ignore(_notice: str) -> None:
    pass


class ShapeMemory:
    """Limits the memory of the shapes that readers cache.

    When it is used up, all readers forget all shapes, which is rare and costs little.
    """

    def __init__(self, max_bytes: int = MAX_SHAPE_BYTES) -> None:
        """Start empty; ``max_bytes`` is the approximate memory limit."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._readers: WeakSet[RecordReader] = WeakSet()

    def reserve(self, reader: RecordReader, names: Sequence[str]) -> bool:
        """Make room for a shape with these columns; False if it is too large."""
        size = _COLUMN_BYTES * len(names) + sum(map(getsizeof, names))
        if size > self._max_bytes:
            return False
        if self._bytes + size > self._max_bytes:
            for each in self._readers:
                each.forget_shapes()
            self._bytes = 0
        self._readers.add(reader)
        self._bytes += size
        return True


_MEMORY: Final = ShapeMemory()


class RecordReader:
    """Reads the records of one stream."""

    def __init__(
        self,
        call: CallKind,
        schema: Mapping[str, Any],
        *,
        map_dates: Callable[[DateTree], DateTree] | None = None,
        separators: Iterable[str] = (DEFAULT_SEPARATOR,),
        notices: Notices | None = None,
        memory: ShapeMemory = _MEMORY,
    ) -> None:
        """Read the stream's schema.

        Args:
            call: The call that the stream is mapped to.
            schema: The stream's JSON schema as sent by the tap.
            map_dates: Returns the typed fields after stream maps.
            separators: The separators of flattened column names.
            notices: Issues warnings about the stream.
            memory: Limits the shapes that are cached.
        """
        self._memory = memory
        self._call = call
        self._body = call.body
        self._notices = notices or Notices(_ignore)
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._columns = Columns(call, separators)
        dates: DateTree = dates_of_schema(schema)
        self._dates = _with_reserved(dates if map_dates is None else map_dates(dates))
        self._body_dates = self._dates_of(self._body)
        self._decimals = {
            name: column.name
            for name, typed in self._dates.items()
            if typed is Typed.DECIMAL
            and (column := self._columns.of(name)).name in IDENTIFIERS
        }
        traits = next(
            filter(None, map(self._dates_of("context").get, spellings("traits"))), None
        )
        self._trait_dates = _with_reserved(
            traits if isinstance(traits, Mapping) else NO_DATES
        )

    def turns_off(self, record: Mapping[str, JSON]) -> bool:
        """Tell whether a record turns Customer.io off."""
        return _turns_off(record, self._shape_of(tuple(record)).integrations)

    def read(
        self,
        record: Mapping[str, JSON],
        arrived: Mapping[str, JSON] | None = None,
    ) -> Call | None:
        """Return a record as a call; ``None`` if it turns Customer.io off."""
        names = tuple(record)
        shape = self._shapes.get(names) or self._shape_of(names)
        if shape.integrations and _turns_off(record, shape.integrations):
            return None
        fields = {}
        for field, name in shape.fields:
            value = record[name]
            if value or (value is not None and value != ""):
                fields[field] = value
        kind = fields.get("type")
        if self._decimals or (shape.may_be_call and kind != self._call.name):
            self._check(record, shape, kind)
        body: Any = record.get(self._body)
        if shape.has_body and (type(body) is not dict or not shape.is_simple):
            body = container_of(record, shape, self._body)
        containers = self._containers(record, shape) if shape.others else {}
        flat = body is None and not (
            shape.may_be_call and self._is_call(record, shape, kind)
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
            arrived,
        )
        if self._call.name == "identify":
            self._complete(call)
        return call

    def _containers(
        self, record: Mapping[str, JSON], shape: Shape
    ) -> dict[str, Attributes]:
        """Return the other containers that are not plain objects, parsed."""
        found: dict[str, Attributes] = {}
        for container, name in shape.others:
            if type(record[name]) is not dict:
                found[container] = self._parsed(record, shape, container)
        return found

    def _parsed(
        self, record: Mapping[str, JSON], shape: Shape, container: str
    ) -> Attributes:
        """Return a container; a ``context`` that is not an object is ignored."""
        try:
            return container_of(record, shape, container) or {}
        except RejectedRecord:
            if container != "context":
                raise
        self._notices.bad_context()
        return with_flattened(None, record, shape.flattened.get(container, ()))

    def _check(self, record: Mapping[str, JSON], shape: Shape, kind: JSON) -> None:
        """Reject a record with a wrong identifier, or the ``type`` of another call."""
        check_decimals(record, self._decimals)
        name = _call_name(kind)
        if name in SPEC_CALLS and name != self._call.name and _is_nested(record, shape):
            raise RejectedRecord(
                "wrong_call",
                "type",
                f"the type is another call than the stream's ({self._call.name}); in "
                "stream_calls, map a stream of several calls to by_type, or remove the "
                "type in stream_maps",
            )

    def _is_call(self, record: Mapping[str, JSON], shape: Shape, kind: JSON) -> bool:
        """Tell whether a record without a body is a call, not a row."""
        return _call_name(kind) == self._call.name and _is_nested(record, shape)

    def _row(self, record: Mapping[str, JSON], shape: Shape) -> Attributes:
        """Return the attribute columns of a flat row."""
        body = {name: record[name] for name in shape.columns}
        for attribute, name in shape.reserved:
            set_if_absent(body, attribute, record[name])
        for name in shape.types:
            if _call_name(record[name]) == self._call.name:
                del body[name]
        for name, path in shape.integrations:
            if not path and not isinstance(parse_json(record[name]), Mapping):
                body[name] = record[name]
        return body

    def _complete(self, call: Call) -> None:
        """Add reserved attributes and ``context.traits`` to an identify call."""
        if not call.flat and not call.body.keys().isdisjoint(RESERVED_ATTRIBUTES):
            call.replace_body(_reserved(call.body), call.dates)
        shape = call.shape
        if "context" not in shape.containers and "context" not in shape.flattened:
            return
        if call.flat or _is_empty(call.body, is_flattened="traits" in shape.flattened):
            self._add_context_traits(call)

    def _add_context_traits(self, call: Call) -> None:
        """Add ``context.traits`` to the traits."""
        traits = parse_object(lookup(call.context, "traits"), "context.traits")
        if not traits:
            return
        traits = _reserved(traits)
        if call.body or "context" in call.shape.flattened:
            call.add_traits(traits, self._trait_dates)
        else:
            call.replace_body(traits, self._trait_dates)

    def _shape_of(self, names: tuple[str, ...]) -> Shape:
        """Return the shape of a record with these columns, from the cache if there."""
        shape = self._shapes.get(names)
        if shape is None:
            shape = shape_of(names, self._columns, self._body)
            if shape.misnamed:
                self._notices.misnamed(shape.misnamed)
            if self._memory.reserve(self, names):
                self._shapes[names] = shape
        return shape

    def forget_shapes(self) -> None:
        """Empty the cache of shapes."""
        self._shapes.clear()

    def _dates_of(self, container: str) -> DateTree:
        """Return the typed fields of a container, nested and flattened."""
        dates: dict[str, Any] = {}
        for spelling in spellings(container):
            nested = self._dates.get(spelling)
            if isinstance(nested, Mapping):
                dates = {**nested, **dates}
        for name, dated in self._dates.items():
            column = self._columns.of(name)
            if column.role is Role.FLATTENED and column.name == container:
                _place(dates, column.path, dated)
        return _with_reserved(dates) or NO_DATES


def _turns_off(
    record: Mapping[str, JSON], columns: Iterable[tuple[str, Sequence[str]]]
) -> bool:
    """Tell whether the ``integrations`` of a record turn Customer.io off."""
    entries: list[tuple[str, JSON]] = []
    for column, path in columns:
        value = record[column]
        if path:
            # The fields of an entry that is an object are separate columns.
            entries.append((path[0], value if len(path) == 1 else {path[1]: value}))
        else:
            value = parse_json(value)
            if isinstance(value, Mapping):
                entries += value.items()
    own = [value for name, value in entries if letters(name) in CUSTOMERIO]
    if any(value is False for value in own):
        return True
    if any(value is True or isinstance(value, Mapping) for value in own):
        return False
    return any(value is False for name, value in entries if letters(name) == EVERYTHING)


def _is_empty(body: Attributes, *, is_flattened: bool) -> bool:
    """Tell whether there are no traits; flattened ones may be null."""
    if not is_flattened:
        return not body
    return all(value is None for value in body.values())


def _call_name(kind: JSON) -> str | None:
    return kind.lower() if isinstance(kind, str) else None


def _is_nested(record: Mapping[str, JSON], shape: Shape) -> bool:
    """Tell whether one of the record's containers is an object."""
    return any(
        as_object(record[name]) is not None
        for columns in shape.containers.values()
        for name in columns
    )


def _reserved(body: Attributes) -> Attributes:
    """Rename upper-case columns to the reserved attributes."""
    found = {name: value for name, value in body.items() if name in RESERVED_ATTRIBUTES}
    body = {name: value for name, value in body.items() if name not in found}
    for name, value in found.items():
        set_if_absent(body, RESERVED_ATTRIBUTES[name], value)
    return body


def _with_reserved(dates: DateTree) -> dict[str, Any]:
    """Add the types of upper-case columns under their reserved names."""
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
    *parents, last = path
    for step in parents:
        below = tree.get(step)
        branch = dict(below) if isinstance(below, Mapping) else {}
        tree[step] = branch
        tree = branch
    tree.setdefault(last, value)
