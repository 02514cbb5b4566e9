"""Entry point of the mapping: converts the records of a stream to operations.

It also warns of columns that are not sent, once per stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from target_customerio.errors import RejectedRecord, nested_too_deeply, shown_name
from target_customerio.mapping import events, naming, people
from target_customerio.mapping.call import (
    ConversionSettings,
    Skipped,
    StreamContext,
    lookup,
)
from target_customerio.mapping.columns import DEFAULT_SEPARATOR
from target_customerio.mapping.events import EventIds
from target_customerio.mapping.fields import BY_TYPE, CALL_KINDS, SPEC_CALLS
from target_customerio.mapping.groups import group
from target_customerio.mapping.identity import USER_ID_TYPES
from target_customerio.mapping.record import RecordReader
from target_customerio.mapping.values import Cleaner, JSONCleaner
from target_customerio.track_api.operations import (
    ObjectIdentify,
    ObjectIdentifyAnonymous,
    PersonActivity,
    PersonIdentify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from target_customerio.mapping.call import Call, Convert
    from target_customerio.mapping.columns import Shape
    from target_customerio.mapping.fields import CallName, StreamCall
    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.track_api.operations import JSON, Operation


CALLS: Final[dict[CallName, Convert]] = {
    "identify": people.identify,
    "track": events.track,
    "page": events.page,
    "screen": events.screen,
    "group": group,
    "alias": people.alias,
    "segment": people.segment,
}
"""The function that converts each call."""

BAD_CONTEXT: Final = "context is not an object and is ignored"
OVERRIDES_LEFT_OUT: Final = (
    "the columns {} are left out of event properties, where they would redirect a "
    "campaign's messages; put them into an object named properties to send them"
)
ID_LEFT_OUT: Final = (
    "the column id is left out: people are identified by userId or user_id, or else by "
    'their email; if id identifies them, set stream_maps to {"userId": "id"}'
)
CONTAINER_LEFT_OUT: Final = (
    "the columns {} are left out: a row of this call has its attributes in columns of "
    "its own or in {}; rename them in stream_maps to send them"
)
OUTSIDE_BODY_LEFT_OUT: Final = (
    "the columns {} are left out of records that have {}; in stream_maps, put them "
    "into {} to send them, or set them to __NULL__"
)

WITH_ATTRIBUTES: Final = (
    PersonActivity,
    PersonIdentify,
    ObjectIdentify,
    ObjectIdentifyAnonymous,
)
WITHOUT_ATTRIBUTES: Final = frozenset({"alias", "segment"})


class Notices:
    """Issues each warning about a stream once."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        """Start without any warning issued; `notify` receives each one."""
        self._notify = notify
        self._issued: set[str] = set()

    @classmethod
    def of(cls, notify: Notices | Callable[[str], None]) -> Notices:
        """Return notices that are shared with other converters, or new ones."""
        return notify if isinstance(notify, Notices) else cls(notify)

    def warn_once(self, kind: str, notice: str) -> None:
        """Issue a warning, unless one of its kind has been issued."""
        if kind not in self._issued:
            self._issued.add(kind)
            self._notify(notice)

    def bad_context(self) -> None:
        """Warn that a ``context`` is not an object."""
        self.warn_once("context", BAD_CONTEXT)

    def check_row(
        self, name: CallName, row: Call, operation: Operation | Skipped
    ) -> None:
        """Warn of the columns of a record that are not sent."""
        for kind, notice in _left_out(name, row, operation):
            self.warn_once(kind, notice)
        row.shape.is_checked = self._issued.issuperset(_possible_kinds(name, row.shape))


def _left_out(
    name: CallName, row: Call, operation: Operation | Skipped
) -> Iterator[tuple[str, str]]:
    if isinstance(operation, PersonActivity) and row.overrides:
        yield "overrides", OVERRIDES_LEFT_OUT.format(_listed(row.overrides))
    if isinstance(operation, PersonIdentify) and _ignores_id(row):
        yield "id", ID_LEFT_OUT
    body = CALL_KINDS[name].body
    if isinstance(operation, WITH_ATTRIBUTES) and row.left_out:
        yield "containers", CONTAINER_LEFT_OUT.format(_listed(row.left_out), body)
    if isinstance(operation, WITH_ATTRIBUTES) and row.outside_body:
        yield (
            "outside body",
            OUTSIDE_BODY_LEFT_OUT.format(_listed(row.outside_body), body, body),
        )


def _possible_kinds(name: CallName, shape: Shape) -> Iterator[str]:
    """Yield the kinds of warnings that rows of this shape may cause."""
    if shape.overrides:
        yield "overrides"
    if name == "identify" and _has_only_id(shape):
        yield "id"
    if name not in WITHOUT_ATTRIBUTES:
        if shape.left_out:
            yield "containers"
        if shape.outside_body:
            yield "outside body"


def _ignores_id(row: Call) -> bool:
    return row.flat and "id" in row.fields and _has_only_id(row.shape)


def _has_only_id(shape: Shape) -> bool:
    """Tell whether a table of people has an ``id`` but no user ID column."""
    return shape.has("id") and not shape.has("userId", "anonymousId")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(shown_name, sorted(names)))


TURNED_OFF: Final = Skipped("integrations")
"""The record turns Customer.io off in its ``integrations``."""


def _ignore(_notice: str) -> None:
    pass


class Converter:
    """Converts the records of one stream."""

    def __init__(  # noqa: PLR0913 - each affects the conversion
        self,
        call: CallName,
        *,
        stream: str = "",
        mapped_stream: str | None = None,
        is_shared: bool = False,
        schema: Mapping[str, Any] | None = None,
        map_dates: Callable[[DateTree], DateTree] | None = None,
        key_properties: Sequence[str] = (),
        key_is_mapped: bool = False,
        settings: ConversionSettings | None = None,
        draw: Callable[[], str],
        notify: Notices | Callable[[str], None] = _ignore,
    ) -> None:
        """Prepare the conversion of a stream.

        Args:
            call: The call that the stream is mapped to.
            stream: The stream's name in the tap.
            mapped_stream: The stream's name after stream maps, if different.
            is_shared: Whether the tap's stream is mapped to several streams.
            schema: The stream's JSON schema as sent by the tap.
            map_dates: Returns the typed fields after stream maps.
            key_properties: The stream's primary key.
            key_is_mapped: Whether stream maps have set the primary key.
            settings: The settings; defaults to :class:`ConversionSettings`.
            draw: Returns a random ULID, for events without a message ID or key.
            notify: Receives each warning about the stream, once; notices are shared
                by the converters of a stream whose schema changes.
        """
        settings = settings or ConversionSettings()
        self._call: Final = call
        self._notices = Notices.of(notify)
        self._reader = RecordReader(
            CALL_KINDS[call],
            schema or {},
            map_dates=map_dates,
            separators=dict.fromkeys(
                (DEFAULT_SEPARATOR, settings.flattening_separator)
            ),
            on_bad_context=self._notices.bad_context,
        )
        event_ids = EventIds(
            stream,
            key_properties,
            draw,
            mapped_stream=mapped_stream,
            is_shared=is_shared,
            key_is_mapped=key_is_mapped,
        )
        self._stream, self._json_stream = (
            StreamContext(
                settings=settings,
                cleaner=cleaner(
                    convert_timestamps=settings.convert_timestamps,
                    omit_nulls=settings.null_attributes == "omit",
                ),
                resolve=USER_ID_TYPES[settings.user_id_type],
                event_id=event_ids.of,
            )
            for cleaner in (Cleaner, JSONCleaner)
        )
        self._convert: Final = CALLS[call]

    def convert(
        self,
        record: Mapping[str, JSON],
        *,
        from_json: bool = False,
        arrived: Mapping[str, JSON] | None = None,
    ) -> Operation | Skipped:
        """Convert a record.

        Args:
            record: The record; it is not changed.
            from_json: Whether the record was decoded from valid JSON. If so, some of
                the operation's attributes may be encoded already.
            arrived: The record before stream maps, if these have changed it.

        Returns:
            The operation, or the reason why the record is not sent.

        Raises:
            RejectedRecord: The record cannot be converted.
        """
        try:
            call = self._reader.read(record, arrived)
            if call is None:
                return TURNED_OFF
            stream = self._json_stream if from_json else self._stream
            operation = self._convert(call, stream)
        except RecursionError:
            raise nested_too_deeply() from None
        if (call.flat or call.shape.outside_body) and not call.shape.is_checked:
            self._notices.check_row(self._call, call, operation)
        return operation

    def named(self, record: Mapping[str, JSON]) -> Operation | None:
        """Return an operation on what a record names; see :func:`naming.named`."""
        return naming.named(self._call, record, self._reader.read, self._stream)

    def turns_off(self, record: Mapping[str, JSON]) -> bool:
        """Tell whether a record turns Customer.io off in its ``integrations``.

        Such a record is skipped, so call this before rejecting a record.

        Args:
            record: The record, valid or not.

        Returns:
            Whether the record is to be skipped.
        """
        return self._reader.turns_off(record)


class ConverterByType:
    """Converts the records of one stream, each as the call in its ``type``."""

    def __init__(
        self,
        *,
        notify: Notices | Callable[[str], None],
        **options: Any,  # noqa: ANN401 - arguments of Converter
    ) -> None:
        """Prepare the conversion of a stream.

        Args:
            notify: Receives each warning about the stream, once; notices are shared
                by the converters of a stream whose schema changes.
            options: The other arguments of :class:`Converter`.
        """
        self._options = {**options, "notify": Notices.of(notify)}
        self._converters: dict[CallName, Converter] = {}

    def convert(
        self,
        record: Mapping[str, JSON],
        *,
        from_json: bool = False,
        arrived: Mapping[str, JSON] | None = None,
    ) -> Operation | Skipped:
        """Convert a record as its ``type``; see :meth:`Converter.convert`."""
        name = lookup(record, "type")
        call = SPEC_CALLS.get(name.lower()) if isinstance(name, str) else None
        if call is not None:
            return self._converter(call).convert(
                record, from_json=from_json, arrived=arrived
            )
        if self.turns_off(record):
            return TURNED_OFF
        if name is None:
            raise RejectedRecord("required", "type", "missing type")
        raise RejectedRecord(
            "wrong_call",
            "type",
            f"unknown type, expected one of {', '.join(SPEC_CALLS)}",
        )

    def named(self, record: Mapping[str, JSON]) -> Operation | None:
        """Return an operation on what a record names; see :meth:`Converter.named`."""
        name = lookup(record, "type")
        call = SPEC_CALLS.get(name.lower()) if isinstance(name, str) else None
        return None if call is None else self._converter(call).named(record)

    def turns_off(self, record: Mapping[str, JSON]) -> bool:
        """Tell whether a record turns Customer.io off in its ``integrations``."""
        return self._converter("identify").turns_off(record)

    def _converter(self, call: CallName) -> Converter:
        converter = self._converters.get(call)
        if converter is None:
            converter = Converter(call, **self._options)
            self._converters[call] = converter
        return converter


def converter_of(
    call: StreamCall,
    *,
    notify: Notices | Callable[[str], None],
    **options: Any,  # noqa: ANN401 - arguments of Converter
) -> Converter | ConverterByType:
    """Return the converter of a stream that is mapped to `call`."""
    if call == BY_TYPE:
        return ConverterByType(notify=notify, **options)
    return Converter(call, notify=notify, **options)
