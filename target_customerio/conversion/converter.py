"""The door of the conversion: a record goes in, an operation comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from target_customerio.conversion.attributes import Cleaner
from target_customerio.conversion.calls import CALLS
from target_customerio.conversion.columns import DEFAULT_SEPARATOR
from target_customerio.conversion.event_ids import EventIds
from target_customerio.conversion.fields import CALL_KINDS
from target_customerio.conversion.json_attributes import JSONCleaner
from target_customerio.conversion.layout import Layout
from target_customerio.conversion.notices import Notices
from target_customerio.conversion.stream import ConversionSettings, Skipped, Stream
from target_customerio.errors import RejectedRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_customerio.conversion.fields import CallName
    from target_customerio.conversion.schema_types import DateTree
    from target_customerio.operations import JSON, Operation


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
