"""A record as a call, the settings of its stream, and how its containers are read.

Traits, properties and context may be objects, JSON text, or flattened into separate
columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import InvalidOperation
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, final

from msgspec import UNSET, Struct, UnsetType

from target_customerio.errors import RejectedRecord
from target_customerio.json_codec import decode
from target_customerio.mapping.fields import DELETED_AT, spellings
from target_customerio.mapping.schema_types import resolve_patterns
from target_customerio.mapping.times import call_time, is_deletion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from target_customerio.mapping.columns import Shape
    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.mapping.values import Cleaner
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        Operation,
        PersonIdentifiers,
    )


def nested_container(
    record: Mapping[str, JSON], columns: Iterable[str], name: str
) -> Attributes | None:
    """Return a container from the first column that holds one, else ``None``."""
    for column in columns:
        value = record[column]
        if value is not None and value != "":
            found = parse_object(value, name)
            if found is not None:
                return found
    return None


def with_flattened(
    container: Attributes | None,
    record: Mapping[str, JSON],
    flattened: Iterable[tuple[str, Sequence[str]]],
) -> Attributes:
    """Return a new container with the flattened columns added; `container` wins."""
    result: Attributes = dict(container or {})
    for column, path in flattened:
        _merge(result, path, record[column])
    return result


def _merge(target: Attributes, path: Sequence[str], value: JSON) -> None:
    *parents, last = path
    for step in parents:
        below = target.get(step)
        is_free = below is None or (below == "" and value is not None)
        found = {} if is_free else as_object(below)
        if found is None:
            return
        branch = dict(found)
        target[step] = branch
        target = branch
    set_if_absent(target, last, value)


def set_if_absent(attributes: Attributes, name: str, value: JSON) -> None:
    """Set an attribute from another spelling, unless it already has a value."""
    known = attributes.get(name)
    if known is None or (known == "" and value):
        attributes[name] = value


def parse_json(value: JSON) -> JSON:
    """Return the content of a JSON text; return anything else unchanged."""
    if isinstance(value, str):
        try:
            return decode(value)
        except (ValueError, RecursionError, InvalidOperation):
            return value
    return value


def _is_too_deep(text: str) -> bool:
    try:
        decode(text)
    except RecursionError:
        return True
    except (ValueError, InvalidOperation):
        return False
    return False


def as_object(value: JSON) -> Attributes | None:
    """Return an object, also from JSON text or PHP's empty list, else ``None``."""
    value = parse_json(value)
    if isinstance(value, dict):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    return {} if isinstance(value, (list, tuple)) and not value else None


def parse_object(value: JSON, name: str) -> Attributes | None:
    """Return an object like :func:`as_object`; ``None`` for null, else reject."""
    found = as_object(value)
    if found is not None:
        return found
    content = parse_json(value)
    if content is None:
        return None
    if isinstance(content, str) and content == value:
        if _is_too_deep(content):
            raise RejectedRecord("too_deep", name, "the text is nested too deeply")
        raise RejectedRecord("invalid_json", name, "the text is not a JSON object")
    raise RejectedRecord(
        "invalid_type", name, "expected an object, or the JSON text of one"
    )


def lookup(container: Mapping[str, JSON], field: str) -> JSON:
    """Return a field under any spelling; ``None`` if missing, null or empty."""
    for spelling in spellings(field):
        found = container.get(spelling)
        if found is not None and found != "":
            return found
    return None


def lookup_in_context(context: Attributes, *path: str) -> JSON:
    """Return a field at a path below ``context``, under any spelling."""
    value: JSON = context
    field = "context"
    for step in path:
        container = parse_object(value, field)
        if container is None:
            return None
        value = lookup(container, step)
        field = f"{field}.{step}"
    return value


def container_of(
    record: Mapping[str, JSON], shape: Shape, name: str
) -> Attributes | None:
    """Return a container with its flattened columns, or ``None``."""
    found = nested_container(record, shape.containers.get(name, ()), name)
    flattened = shape.flattened.get(name)
    return with_flattened(found, record, flattened) if flattened else found


CREATED_AT: Final = spellings("createdAt")
"""The names of one attribute: if one has a value, the others are not added."""

TIME_FIELDS: Final = ("timestamp", "originalTimestamp")


class Call(Struct, gc=False):
    """One record, parsed.

    Attributes:
        fields: The record's own fields by the spec's names; none is null or empty.
        body: The traits or properties, or the attribute columns of a flat row.
        dates: The typed fields of the body.
        flat: Whether the record is a flat row.
        field_dates: The typed fields of the record itself.
        shape: What the record has in common with others of the same columns.
        record: The record itself.
        arrived: The record before stream maps, if these have changed it.
    """

    fields: dict[str, JSON]
    body: Attributes
    dates: DateTree
    flat: bool
    field_dates: DateTree
    shape: Shape
    record: Mapping[str, JSON]
    _containers: dict[str, Attributes]
    arrived: Mapping[str, JSON] | None = None

    def time(self) -> int | UnsetType:
        """Return the call's own time in Unix seconds, or ``UNSET``."""
        fields = self.fields
        for name in TIME_FIELDS:
            if name in fields:
                return call_time(fields[name], name)
        return UNSET

    @property
    def traits(self) -> Attributes:
        """The traits; in a flat identify or group row, its attribute columns."""
        return self._container("traits")

    @property
    def properties(self) -> Attributes:
        """The properties; in a flat event row, its attribute columns."""
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
        """The columns of a flat row that belong to a container the call ignores."""
        return self._present(self.shape.left_out)

    @property
    def outside_body(self) -> Attributes:
        """The columns that are ignored because of ``traits`` or ``properties``."""
        return {} if self.flat else self._of(self.shape.outside_body)

    def _present(self, columns: Iterable[str]) -> Attributes:
        return self._of(columns) if self.flat else {}

    def _of(self, columns: Iterable[str]) -> Attributes:
        found = {name: self.record[name] for name in columns}
        return {name: value for name, value in found.items() if value is not None}

    def _container(self, name: str) -> Attributes:
        found = self._containers.get(name)
        if found is None:
            found = container_of(self.record, self.shape, name) or {}
            self._containers[name] = found
        return found

    def add_traits(self, traits: Attributes, dates: DateTree) -> None:
        """Add traits that are missing in the body; nulls count as missing."""
        known = {name for name, value in self.body.items() if value is not None}
        if not known.isdisjoint(CREATED_AT):
            known.update(CREATED_AT)
        added = {
            name: value
            for name, value in traits.items()
            if value is not None and name not in known
        }
        own = resolve_patterns(self.dates, self.body)
        others = resolve_patterns(dates, added)
        self.replace_body(
            {**self.body, **added},
            {name: typed for name, typed in own.items() if name not in added}
            | {name: typed for name, typed in others.items() if name in added},
        )

    def replace_body(self, body: Attributes, dates: DateTree) -> None:
        """Replace the body of an identify call."""
        self.body = self._containers["traits"] = body
        self.dates = dates


@dataclass(frozen=True)
class ConversionSettings:
    """The settings that decide how records become operations.

    Attributes:
        user_id_type: The kind of identifier in ``userId``.
        screen_events: The operation of a screen call.
        anonymous_identify: How an identify with only an anonymous id is handled.
        convert_timestamps: Convert dates in traits and properties to Unix seconds.
        null_attributes: Send nulls, which clears attributes, or omit them.
        update_only: Never create a person.
        identify_timestamp: Send the record's time with an identify, or omit it.
        hard_delete: Delete the people and objects of rows marked as deleted.
        action_events: Action by event name.
        flattening_separator: The separator of flattened column names.
    """

    user_id_type: Literal["auto", "id", "email", "cio_id"] = "auto"
    screen_events: Literal["screen", "viewed_event"] = "screen"
    anonymous_identify: Literal["skip", "use_as_id"] = "skip"
    convert_timestamps: bool = True
    null_attributes: Literal["send", "omit"] = "send"
    update_only: bool = False
    identify_timestamp: Literal["record", "omit"] = "record"
    hard_delete: bool = False
    action_events: Mapping[str, str] = field(default_factory=dict)
    flattening_separator: str = "__"


@final
@dataclass(frozen=True)
class Skipped:
    """A record that is not sent, by a documented rule."""

    reason: str


ResolveUserId: TypeAlias = "Callable[[JSON, str], PersonIdentifiers | None]"
"""Returns the identifier in a user ID; takes the value and its field."""

EventId: TypeAlias = "Callable[[Call, str], str]"
"""Returns the ID of an event; takes its call, and a key like ``track:Signed Up``."""


@dataclass(frozen=True)
class StreamContext:
    """What the conversion of a stream's records needs besides the record.

    Attributes:
        settings: The settings of the stream.
        cleaner: Prepares attribute values.
        resolve: Returns the identifier in a user ID.
        event_id: Returns the ID of an event.
    """

    settings: ConversionSettings
    cleaner: Cleaner
    resolve: ResolveUserId
    event_id: EventId

    def deletes(self, call: Call) -> bool:
        """Tell whether a row is marked as deleted and deletions are enabled.

        Raises ``RejectedRecord`` if the mark cannot be read.
        """
        deleted_at = call.fields.get(DELETED_AT) if self.settings.hard_delete else None
        return deleted_at is not None and is_deletion(deleted_at, DELETED_AT)


Convert: TypeAlias = "Callable[[Call, StreamContext], Operation | Skipped]"
"""Converts a call to an operation."""

Act: TypeAlias = "Callable[[Call, StreamContext], Operation | None]"
"""Converts a track event to an action; ``None``: it is an ordinary event."""
