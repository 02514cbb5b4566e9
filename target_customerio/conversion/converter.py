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
from target_customerio.conversion.stream import ConversionSettings, Skipped, Stream
from target_customerio.errors import RejectedRecord
from target_customerio.operations import PersonHappening, PersonIdentify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_customerio.conversion.fields import CallName
    from target_customerio.conversion.layout import Call, Shape
    from target_customerio.operations import JSON, Operation


OVERRIDES_LEFT_OUT: Final = (
    "what stands in {} is left out: in an event it would redirect a campaign's "
    "messages; put it into properties if that is what you want"
)
ID_LEFT_OUT: Final = (
    "the column id is left out: people are named by userId or user_id, and by their "
    'e-mail address without one; set stream_maps with "userId": "id" if it is theirs'
)


def _say_nothing(_notice: str) -> None:
    pass


class Converter:
    """Converts the records of one stream."""

    def __init__(  # noqa: PLR0913 - each is one thing that the records depend on
        self,
        call: CallName,
        *,
        stream: str = "",
        schema: Mapping[str, Any] | None = None,
        key_properties: Sequence[str] = (),
        settings: ConversionSettings | None = None,
        draw: Callable[[], str],
        notify: Callable[[str], None] = _say_nothing,
    ) -> None:
        """Decide all that can be decided once for a stream.

        Args:
            call: The call that the stream's records are.
            stream: The stream's name.
            schema: The stream's JSON schema.
            key_properties: The stream's primary key.
            settings: The settings; the defaults if left out.
            draw: Draws the id of an event that nothing is known by.
            notify: Is told, once, what the user should know about the stream.
        """
        settings = settings or ConversionSettings()
        self._layout = Layout(
            CALL_KINDS[call],
            schema or {},
            separators=dict.fromkeys(
                (DEFAULT_SEPARATOR, settings.flattening_separator)
            ),
        )
        event_ids = EventIds(stream, key_properties, draw)
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
        self._notify = notify
        self._quiet_shape: Shape | None = None
        self._has_notified = False

    def convert(
        self, record: Mapping[str, JSON], *, from_json: bool = False
    ) -> Operation | Skipped:
        """Convert a record.

        Args:
            record: The record; it is not changed.
            from_json: Whether it is just what a JSON decoder made of valid JSON. If
                so, some of the operation's attributes may be encoded already.

        Returns:
            The operation that it becomes, or why it becomes none.

        Raises:
            RejectedRecord: It cannot become one.
        """
        try:
            call = self._layout.read(record)
            stream = self._json_stream if from_json else self._stream
            operation = self._convert(call, stream)
        except RecursionError:
            raise RejectedRecord(
                "too_deep", "", "the record is nested too deeply"
            ) from None
        if call.shape is not self._quiet_shape:
            self._tell(call, operation)
        return operation

    def _tell(self, call: Call, operation: Operation | Skipped) -> None:
        """Say once what is easily overlooked."""
        if self._has_notified or not call.shape.is_easily_overlooked:
            self._quiet_shape = call.shape
            return
        if isinstance(operation, PersonHappening) and call.overrides:
            notice = OVERRIDES_LEFT_OUT.format(", ".join(sorted(call.overrides)))
        elif isinstance(operation, PersonIdentify) and _leaves_an_id(call):
            notice = ID_LEFT_OUT
        else:
            return
        self._has_notified = True
        self._notify(notice)


def _leaves_an_id(call: Call) -> bool:
    """Tell whether a table of people, rather than of events, names nobody."""
    if not call.flat or "id" not in call.fields:
        return False
    return not call.has_column("userId", "anonymousId")
