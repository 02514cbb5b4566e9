"""The sinks, one for each call: a record goes in, an operation goes to the run.

A sink holds nothing. The operations of all streams share one queue, since the order of
a person's records across streams is part of the promise; it is the queue that batches,
throttles and tries again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec import Struct
from singer_sdk.sinks import BatchSink
from ulid import ULID

from target_customerio.accounts import MISSING_KEY
from target_customerio.errors import RejectedRecord
from target_customerio.mapping.converter import TURNED_OFF, converter_of
from target_customerio.mapping.settings import Skipped
from target_customerio.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from singer_sdk.target_base import Target

    from target_customerio.mapping.converter import Converter, ConverterByType
    from target_customerio.mapping.fields import StreamCall
    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.reader import Line
    from target_customerio.rejected import SourceStream

INFLOW, LINE, FROM_JSON, ARRIVED = "inflow", "line", "from_json", "arrived"
"""Where the context of a record holds its inflow, its line, whether the record is just
what a JSON decoder made of that line, and the record before stream maps changed it."""

COUNTED_AT_ONCE = 100
"""Records of which the SDK's metric learns at once."""

NO_KEY = "the stream has no key properties"
NULL_KEY = "a key property is null"
DOUBLES = (
    "events have no messageId, and {why}: if they are read again, they are sent again "
    "as new events. Give the stream a primary key in the tap, or set stream_maps with "
    '"messageId": "\'{stream}-\' + str(id)", where id is the column that identifies a '
    "row"
)


class Origin(Struct, frozen=True, eq=False):
    """What a sink knows about one of the tap's streams, as its last SCHEMA says.

    Attributes:
        stream: The stream.
        schema: Its JSON schema, before stream maps and flattening.
        key_properties: Its primary key; after stream maps where these set it.
        key_is_mapped: Whether stream maps set the primary key.
        mapped_name: The name after stream maps, different for each stream that the
            tap's stream is mapped to.
        is_shared: Whether the tap's stream is mapped to several streams.
        map_dates: Makes the dates of mapped records from those of the schema.
    """

    stream: SourceStream
    schema: Mapping[str, Any]
    key_properties: tuple[str, ...] = ()
    key_is_mapped: bool = False
    mapped_name: str = ""
    is_shared: bool = False
    map_dates: Callable[[DateTree], DateTree] | None = None


class Inflow(Struct, frozen=True, eq=False):
    """The way of one of the tap's streams into a sink.

    Attributes:
        stream: The stream.
        key_properties: Its primary key.
        converter: Converts its records.
    """

    stream: SourceStream
    key_properties: tuple[str, ...] = ()
    converter: Converter | ConverterByType | None = None


def run_of(target: Target) -> Run:
    """Return the run that a target's sinks share.

    Args:
        target: The target.

    Returns:
        The run.

    Raises:
        TypeError: The target has none.
    """
    run = getattr(target, "run", None)
    if not isinstance(run, Run):
        raise TypeError("sinks of this kind belong to a target that has a run")
    return run


class StreamSink(BatchSink):
    """What all sinks have in common: they count, and hold nothing."""

    include_sdc_metadata_properties = True
    """Lets ``_sdc_deleted_at`` through; the conversion leaves all of them out."""

    def __init__(
        self,
        target: Target,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        """Prepare to take the records of a stream.

        Args:
            target: The target.
            stream_name: The stream's name.
            schema: Its JSON schema.
            key_properties: Its primary key.
        """
        super().__init__(target, stream_name, schema, key_properties)
        self._run = run_of(target)
        self._counts = self._run.accounts.summary.streams[stream_name]
        self._unmetered = 0

    def open(self, origin: Origin) -> Inflow:
        """Prepare to take the records of one of the tap's streams.

        Args:
            origin: The stream.

        Returns:
            What the context of its records holds as :data:`INFLOW`.
        """
        return Inflow(origin.stream)

    def get_validator(self) -> None:
        """Check nothing: records are validated before stream maps."""

    def clean_up(self) -> None:
        """Let go of everything, once the metric is complete."""
        self._meter()
        super().clean_up()

    def _meter(self) -> None:
        self.record_counter_metric.increment(self._unmetered)
        self._unmetered = 0

    def process_batch(self, context: dict[str, Any]) -> None:  # noqa: ARG002 - the SDK's
        """Deliver what was taken in, from all streams.

        Args:
            context: Nothing is kept there.
        """
        self._run.drain()


class CallSink(StreamSink):
    """Takes the records of a stream whose records are calls."""

    call: ClassVar[StreamCall]

    def __init__(
        self,
        target: Target,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        """Prepare to convert the records of a stream.

        Args:
            target: The target.
            stream_name: The stream's name.
            schema: Its JSON schema.
            key_properties: Its primary key.
        """
        super().__init__(target, stream_name, schema, key_properties)
        self._first_records = self._run.accounts.first_records[stream_name]
        self._told: set[str] = set()
        self._has_drawn = False

    def open(self, origin: Origin) -> Inflow:
        """Prepare to convert the records of one of the tap's streams.

        Args:
            origin: The stream.

        Returns:
            What the context of its records holds as :data:`INFLOW`.
        """
        rule = self._run.settings.streams.rule_of(self.stream_name)
        converter = converter_of(
            self.call,
            stream=origin.stream.name,
            mapped_stream=origin.mapped_name,
            is_shared=origin.is_shared,
            schema=origin.schema,
            map_dates=origin.map_dates,
            key_properties=origin.key_properties,
            key_is_mapped=origin.key_is_mapped,
            settings=rule.conversion if rule else None,
            draw=partial(self._draw, NO_KEY if not origin.key_properties else NULL_KEY),
            notify=self._warn,
        )
        return Inflow(origin.stream, origin.key_properties, converter)

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Convert a record and hand the operation to the run.

        Args:
            record: The record, mapped.
            context: Says where the record comes from.
        """
        self._unmetered += 1
        if self._unmetered == COUNTED_AT_ONCE:
            self._meter()
        self._counts.read += 1
        inflow, line = context[INFLOW], context[LINE]
        try:
            _require(inflow.key_properties, record)
            operation = inflow.converter.convert(
                record, from_json=context[FROM_JSON], arrived=context.get(ARRIVED)
            )
            if isinstance(operation, Skipped):
                self._counts.skipped[operation.reason] += 1
            else:
                self._run.take(inflow.stream, line, operation)
        except RejectedRecord as error:
            self._put_aside(record, inflow, line, error)
        else:
            self._first_records.done = True

    def reject(
        self,
        record: Mapping[str, Any],
        inflow: Inflow,
        line: Line,
        error: RejectedRecord,
    ) -> None:
        """Put aside a record that did not come as far as its conversion.

        Args:
            record: The record as it arrived.
            inflow: Where it comes from.
            line: Its line.
            error: What is wrong with it.
        """
        self._unmetered += 1
        self._counts.read += 1
        self._put_aside(record, inflow, line, error)

    def _put_aside(
        self,
        record: Mapping[str, Any],
        inflow: Inflow,
        line: Line,
        error: RejectedRecord,
    ) -> None:
        """Reject a record, unless it is not meant for Customer.io."""
        converter = inflow.converter
        if converter is not None and converter.turns_off(record):
            self._counts.skipped[TURNED_OFF.reason] += 1
            return
        self._run.reject(inflow.stream, line, error)

    def _draw(self, why: str) -> str:
        """Draw the id of an event that will have another one when it is read again."""
        if not self._has_drawn:
            self._has_drawn = True
            self._warn(DOUBLES.format(why=why, stream=self.stream_name))
        return draw_ulid()

    def _warn(self, notice: str) -> None:
        """Tell the user something about the stream, once."""
        if notice in self._told:
            return
        self._told.add(notice)
        self.logger.warning("Stream '%s': %s", self.stream_name, notice)


class IdentifySink(CallSink):
    """People and their attributes."""

    call = "identify"


class TrackSink(CallSink):
    """Events, and the actions that some of them are."""

    call = "track"


class PageSink(CallSink):
    """Page views."""

    call = "page"


class ScreenSink(CallSink):
    """Screen views."""

    call = "screen"


class GroupSink(CallSink):
    """Objects and relationships."""

    call = "group"


class AliasSink(CallSink):
    """Merges."""

    call = "alias"


class SegmentSink(CallSink):
    """Members of manual segments."""

    call = "segment"


class ByTypeSink(CallSink):
    """Calls of all kinds, each of the kind that its ``type`` names."""

    call = "by_type"


class IgnoredSink(StreamSink):
    """Drops the records of a stream that no rule names, and counts them."""

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:  # noqa: ARG002 - the SDK's
        """Count a record.

        Args:
            record: The record.
            context: Says where it comes from.
        """
        self._unmetered += 1
        self._run.accounts.skip(self.stream_name, "unmapped stream")


def _require(names: Sequence[str], record: Mapping[str, Any]) -> None:
    for name in names:
        if name not in record:
            raise RejectedRecord(MISSING_KEY, name, "a key property is missing")


def draw_ulid() -> str:
    """Draw a ULID that no record will ever have again."""
    return str(ULID())


SINKS: Final[dict[StreamCall, type[CallSink]]] = {
    sink.call: sink for sink in CallSink.__subclasses__()
}
"""The sink of each call: every one above."""
