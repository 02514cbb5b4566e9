"""The sinks, one class per call, which convert records to operations.

A sink buffers nothing. The operations of all streams share one queue, since
records of a person are delivered in order across streams; the queue batches, throttles
and retries.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec import Struct
from singer_sdk.sinks import BatchSink
from ulid import ULID

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.call import Skipped
from target_customerio.mapping.converter import TURNED_OFF, converter_of
from target_customerio.pipeline import Pipeline
from target_customerio.recorder import MISSING_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from singer_sdk.target_base import Target

    from target_customerio.mapping.converter import Converter, ConverterByType
    from target_customerio.mapping.fields import StreamCall
    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.reader import Line
    from target_customerio.rejected import SourceStream

COUNTED_AT_ONCE = 100
"""Records after which the SDK's metric is updated."""

NO_KEY = "the stream has no key properties"
NULL_KEY = "a key property is null"
DOUBLES = (
    "events have no messageId, and {why}: if they are read again, they are sent again "
    "as new events. Give the stream a primary key in the tap, or set stream_maps with "
    '"messageId": "\'{stream}-\' + str(id)", where id is the column that identifies a '
    "row"
)


class Origin(Struct, frozen=True, eq=False):
    """A source stream as described by its last SCHEMA message.

    Attributes:
        stream: The stream.
        schema: Its JSON schema, before stream maps and flattening.
        key_properties: Its primary key; after stream maps if they set it.
        key_is_mapped: Whether stream maps set the primary key.
        mapped_name: The name after stream maps; unique per mapped stream.
        is_shared: Whether the source stream is mapped to several streams.
        map_dates: Converts the date fields of the schema to those of mapped records.
    """

    stream: SourceStream
    schema: Mapping[str, Any]
    key_properties: tuple[str, ...] = ()
    key_is_mapped: bool = False
    mapped_name: str = ""
    is_shared: bool = False
    map_dates: Callable[[DateTree], DateTree] | None = None


class Inflow(Struct, frozen=True, eq=False):
    """What a sink needs to convert the records of one source stream.

    Attributes:
        stream: The stream.
        key_properties: Its primary key.
        converter: Converts its records; ``None`` if they are ignored.
    """

    stream: SourceStream
    key_properties: tuple[str, ...] = ()
    converter: Converter | ConverterByType | None = None


class IncomingRecord(Struct, eq=False, gc=False):
    """A record with its source.

    Attributes:
        record: The record after stream maps.
        inflow: The stream that it belongs to.
        line: The record as it arrived.
        from_json: Whether ``record`` is exactly what a JSON decoder returns for
            ``line``.
        arrived: The record before stream maps, if they were applied.
    """

    record: dict[str, Any]
    inflow: Inflow
    line: Line
    from_json: bool
    arrived: dict[str, Any] | None = None


def pipeline_of(target: Target) -> Pipeline:
    """Return the pipeline that the sinks of a target share."""
    pipeline = getattr(target, "pipeline", None)
    if not isinstance(pipeline, Pipeline):
        raise TypeError("these sinks require a target with a pipeline")
    return pipeline


class StreamSink(BatchSink):
    """Base class of the sinks: counts records and buffers nothing."""

    include_sdc_metadata_properties = True
    """Keeps ``_sdc_deleted_at``; the conversion omits these columns from attributes."""

    def __init__(
        self,
        target: Target,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        """Create the sink of a stream.

        Args:
            target: The target.
            stream_name: The stream's name after stream maps.
            schema: Not used; see :meth:`open`.
            key_properties: Not used; see :meth:`open`.
        """
        super().__init__(target, stream_name, schema, key_properties)
        self._pipeline = pipeline_of(target)
        self._counts = self._pipeline.recorder.summary.streams[stream_name]
        self._unmetered = 0

    def open(self, origin: Origin) -> Inflow:
        """Prepare for records of a source stream.

        Args:
            origin: The source stream.

        Returns:
            The inflow of its records.
        """
        return Inflow(origin.stream)

    def load(self, incoming: IncomingRecord) -> None:
        """Process a record.

        Args:
            incoming: The record.
        """
        raise NotImplementedError

    def get_validator(self) -> None:
        """Return no validator: records are validated before stream maps."""

    def clean_up(self) -> None:
        """Complete the SDK's metric, then clean up."""
        self._meter()
        super().clean_up()

    def _meter(self) -> None:
        self.record_counter_metric.increment(self._unmetered)
        self._unmetered = 0

    def process_batch(self, context: dict[str, Any]) -> None:  # noqa: ARG002 - the SDK's
        """Deliver the queued operations of all streams.

        Args:
            context: Not used.
        """
        self._pipeline.drain()


class CallSink(StreamSink):
    """Converts the records of a stream to operations."""

    call: ClassVar[StreamCall]

    def __init__(
        self,
        target: Target,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        """Create the sink of a stream.

        Args:
            target: The target.
            stream_name: The stream's name after stream maps.
            schema: Not used; see :meth:`open`.
            key_properties: Not used; see :meth:`open`.
        """
        super().__init__(target, stream_name, schema, key_properties)
        self._first_records = self._pipeline.recorder.first_records[stream_name]
        self._told: set[str] = set()
        self._has_drawn = False

    def open(self, origin: Origin) -> Inflow:
        """Prepare to convert the records of a source stream.

        Args:
            origin: The source stream.

        Returns:
            The inflow of its records.
        """
        rule = self._pipeline.settings.streams.rule_of(self.stream_name)
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

    def load(self, incoming: IncomingRecord) -> None:
        """Convert a record and queue its operation.

        Args:
            incoming: The record.
        """
        self._unmetered += 1
        if self._unmetered == COUNTED_AT_ONCE:
            self._meter()
        self._counts.read += 1
        inflow = incoming.inflow
        record = incoming.record
        try:
            _require(inflow.key_properties, record)
            operation = inflow.converter.convert(  # type: ignore[union-attr]  # set by `open`
                record, from_json=incoming.from_json, arrived=incoming.arrived
            )
            if isinstance(operation, Skipped):
                self._counts.skipped[operation.reason] += 1
            else:
                self._pipeline.queue(inflow.stream, incoming.line, operation)
        except RejectedRecord as error:
            self._reject(incoming, error)
        else:
            self._first_records.done = True

    def reject(self, incoming: IncomingRecord, error: RejectedRecord) -> None:
        """Reject a record before its conversion.

        Args:
            incoming: The record as it arrived.
            error: What is wrong with it.
        """
        self._unmetered += 1
        self._counts.read += 1
        self._reject(incoming, error)

    def _reject(self, incoming: IncomingRecord, error: RejectedRecord) -> None:
        """Reject a record unless its ``integrations`` exclude Customer.io."""
        inflow = incoming.inflow
        converter = inflow.converter
        if converter is not None and converter.turns_off(incoming.record):
            self._counts.skipped[TURNED_OFF.reason] += 1
            return
        self._pipeline.reject(inflow.stream, incoming.line, error)

    def _draw(self, why: str) -> str:
        """Return a random event id, which differs when the record is read again."""
        if not self._has_drawn:
            self._has_drawn = True
            self._warn(DOUBLES.format(why=why, stream=self.stream_name))
        return draw_ulid()

    def _warn(self, notice: str) -> None:
        """Log a warning about the stream, once."""
        if notice in self._told:
            return
        self._told.add(notice)
        self.logger.warning("Stream '%s': %s", self.stream_name, notice)


class IdentifySink(CallSink):
    """People and their attributes."""

    call = "identify"


class TrackSink(CallSink):
    """Events, and the actions that some events trigger."""

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
    """Membership of manual segments."""

    call = "segment"


class ByTypeSink(CallSink):
    """Calls of any kind; the record's ``type`` names its call."""

    call = "by_type"


class IgnoredSink(StreamSink):
    """Drops and counts the records of an unmapped stream."""

    def load(self, incoming: IncomingRecord) -> None:  # noqa: ARG002 - only counted
        """Count a record.

        Args:
            incoming: The record.
        """
        self._unmetered += 1
        self._pipeline.recorder.skip(self.stream_name, "unmapped stream")


def _require(names: Sequence[str], record: Mapping[str, Any]) -> None:
    for name in names:
        if name not in record:
            raise RejectedRecord(MISSING_KEY, name, "a key property is missing")


def draw_ulid() -> str:
    """Return a new random ULID."""
    return str(ULID())


SINKS: Final[dict[StreamCall, type[CallSink]]] = {
    sink.call: sink for sink in CallSink.__subclasses__()
}
"""The sink class of each call."""
