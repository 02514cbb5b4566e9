"""Entry point of the mapping: converts the records of a stream to operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from target_customerio.errors import RejectedRecord, nested_too_deeply
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
from target_customerio.mapping.notices import Notices
from target_customerio.mapping.record import RecordReader
from target_customerio.mapping.values import Cleaner, JSONCleaner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_customerio.mapping.call import Convert
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
            notices=self._notices,
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
        converter = self._converter_of(record)
        if converter is not None:
            return converter.convert(record, from_json=from_json, arrived=arrived)
        if self.turns_off(record):
            return TURNED_OFF
        if lookup(record, "type") is None:
            raise RejectedRecord("required", "type", "missing type")
        raise RejectedRecord(
            "wrong_call",
            "type",
            f"unknown type, expected one of {', '.join(SPEC_CALLS)}",
        )

    def named(self, record: Mapping[str, JSON]) -> Operation | None:
        """Return an operation on what a record names; see :meth:`Converter.named`."""
        converter = self._converter_of(record)
        return None if converter is None else converter.named(record)

    def turns_off(self, record: Mapping[str, JSON]) -> bool:
        """Tell whether a record turns Customer.io off in its ``integrations``."""
        return self._converter("identify").turns_off(record)

    def _converter_of(self, record: Mapping[str, JSON]) -> Converter | None:
        """Return the converter of the call that a record's ``type`` names, if any."""
        name = lookup(record, "type")
        call = SPEC_CALLS.get(name.lower()) if isinstance(name, str) else None
        return None if call is None else self._converter(call)

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
