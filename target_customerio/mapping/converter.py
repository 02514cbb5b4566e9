"""Entry point of the mapping: converts a record to an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.calls import CALLS
from target_customerio.mapping.columns import DEFAULT_SEPARATOR
from target_customerio.mapping.event_ids import EventIds
from target_customerio.mapping.fields import BY_TYPE, CALL_KINDS, SPEC_CALLS, spellings
from target_customerio.mapping.notices import Notices
from target_customerio.mapping.record import RecordReader
from target_customerio.mapping.settings import (
    ConversionSettings,
    Skipped,
    StreamContext,
)
from target_customerio.mapping.values import Cleaner, JSONCleaner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_customerio.mapping.fields import CallName, StreamCall
    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.track_api.operations import JSON, Operation


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
            notify: Receives each warning about the stream, once.
        """
        settings = settings or ConversionSettings()
        self._call: Final = call
        self._notices = notify if isinstance(notify, Notices) else Notices(notify)
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
                event_ids=event_ids,
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
            raise RejectedRecord(
                "too_deep", "", "the record is nested too deeply"
            ) from None
        if (call.flat or call.shape.beside) and not call.shape.is_checked:
            self._notices.check_row(self._call, call, operation)
        return operation

    def turns_off(self, record: Mapping[str, JSON]) -> bool:
        """Tell whether a record turns Customer.io off in its ``integrations``.

        Such a record is skipped, so call this before rejecting a record.

        Args:
            record: The record, valid or not.

        Returns:
            Whether the record is to be skipped.
        """
        return self._reader.turns_off(record)


TYPE: Final = spellings("type")


class ConverterByType:
    """Converts the records of one stream, each as the call in its ``type``."""

    def __init__(
        self,
        *,
        notify: Callable[[str], None],
        **options: Any,  # noqa: ANN401 - arguments of Converter
    ) -> None:
        """Prepare the conversion of a stream.

        Args:
            notify: Receives each warning about the stream, once.
            options: The other arguments of :class:`Converter`.
        """
        self._options = {**options, "notify": Notices(notify)}
        self._converters: dict[CallName, Converter] = {}

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
            from_json: Whether the record was decoded from valid JSON.
            arrived: The record before stream maps, if these have changed it.

        Returns:
            The operation, or the reason why the record is not sent.

        Raises:
            RejectedRecord: The record cannot be converted, or ``type`` is not a call.
        """
        name = _type_of(record)
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
    notify: Callable[[str], None],
    **options: Any,  # noqa: ANN401 - arguments of Converter
) -> Converter | ConverterByType:
    """Return the converter of a stream that is mapped to `call`."""
    if call == BY_TYPE:
        return ConverterByType(notify=notify, **options)
    return Converter(call, notify=notify, **options)


def _type_of(record: Mapping[str, JSON]) -> JSON:
    for spelling in TYPE:
        found = record.get(spelling)
        if found is not None and found != "":
            return found
    return None
