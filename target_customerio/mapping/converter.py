"""The door of the conversion: a record goes in, an operation comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.calls import CALLS
from target_customerio.mapping.columns import DEFAULT_SEPARATOR
from target_customerio.mapping.event_ids import EventIds
from target_customerio.mapping.fields import BY_TYPE, CALL_KINDS, SPEC_CALLS, spellings
from target_customerio.mapping.notices import Notices
from target_customerio.mapping.record import Layout
from target_customerio.mapping.settings import ConversionSettings, Skipped, Stream
from target_customerio.mapping.values import Cleaner, JSONCleaner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_customerio.mapping.fields import CallName, StreamCall
    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.track_api.operations import JSON, Operation


TURNED_OFF: Final = Skipped("integrations")
"""The record's own ``integrations`` turn Customer.io off."""


def _say_nothing(_notice: str) -> None:
    pass


class Converter:
    """Converts the records of one stream."""

    def __init__(  # noqa: PLR0913 - each is one thing that the records depend on
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
        notify: Notices | Callable[[str], None] = _say_nothing,
    ) -> None:
        """Decide all that can be decided once for a stream.

        Args:
            call: The call that the stream's records are.
            stream: The stream's name in the tap.
            mapped_stream: The stream's name after stream maps, if another.
            is_shared: Whether the tap's stream is mapped to several streams.
            schema: The stream's JSON schema, as the tap says it.
            map_dates: Makes the dates of mapped records from those of the schema.
            key_properties: The stream's primary key.
            key_is_mapped: Whether stream maps have set the primary key.
            settings: The settings; the defaults if left out.
            draw: Draws the id of an event that nothing is known by.
            notify: Is told, once each, what the user should know about the stream.
        """
        settings = settings or ConversionSettings()
        self._call: Final = call
        self._notices = notify if isinstance(notify, Notices) else Notices(notify)
        self._layout = Layout(
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
            Stream(
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
            from_json: Whether it is just what a JSON decoder made of valid JSON. If
                so, some of the operation's attributes may be encoded already.
            arrived: The record as it was before stream maps changed it.

        Returns:
            The operation that it becomes, or why it becomes none.

        Raises:
            RejectedRecord: It cannot become one.
        """
        try:
            call = self._layout.read(record)
            if call is None:
                return TURNED_OFF
            if arrived is not None:
                call.arrived = arrived
            stream = self._json_stream if from_json else self._stream
            operation = self._convert(call, stream)
        except RecursionError:
            raise RejectedRecord(
                "too_deep", "", "the record is nested too deeply"
            ) from None
        if call.flat and not call.shape.is_quiet:
            self._notices.about(self._call, call, operation)
        return operation

    def turns_off(self, record: Mapping[str, JSON]) -> bool:
        """Tell whether a record turns Customer.io off, whatever else it holds.

        Such a record is skipped, so that this is asked before it is rejected.

        Args:
            record: The record, which may have any columns.

        Returns:
            Whether it does.
        """
        return self._layout.turns_off(record)


TYPE: Final = spellings("type")


class ConverterByType:
    """Converts the records of one stream, each as the call that its ``type`` names."""

    def __init__(
        self,
        *,
        notify: Callable[[str], None],
        **options: Any,  # noqa: ANN401 - whatever a Converter takes
    ) -> None:
        """Decide what all calls of the stream have in common.

        Args:
            notify: Is told, once each, what the user should know about the stream.
            options: What a :class:`Converter` takes beside its call.
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
            from_json: Whether it is just what a JSON decoder made of valid JSON.
            arrived: The record as it was before stream maps changed it.

        Returns:
            The operation that it becomes, or why it becomes none.

        Raises:
            RejectedRecord: It cannot become one, or its ``type`` names no call.
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
            raise RejectedRecord("required", "type", "missing type of call")
        raise RejectedRecord(
            "wrong_call",
            "type",
            f"unknown type of call, expected one of {', '.join(SPEC_CALLS)}",
        )

    def turns_off(self, record: Mapping[str, JSON]) -> bool:
        """Tell whether a record turns Customer.io off, whatever else it holds.

        Args:
            record: The record, which may have any columns.

        Returns:
            Whether it does.
        """
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
    **options: Any,  # noqa: ANN401 - whatever a Converter takes
) -> Converter | ConverterByType:
    """Make the converter of a stream.

    Args:
        call: What the stream is mapped to.
        notify: Is told, once each, what the user should know about the stream.
        options: What else a :class:`Converter` takes.

    Returns:
        The converter.
    """
    if call == BY_TYPE:
        return ConverterByType(notify=notify, **options)
    return Converter(call, notify=notify, **options)


def _type_of(record: Mapping[str, JSON]) -> JSON:
    for spelling in TYPE:
        found = record.get(spelling)
        if found is not None and found != "":
            return found
    return None
