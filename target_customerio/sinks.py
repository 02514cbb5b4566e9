"""The sinks, one class per call, which convert records to operations.

A sink buffers nothing. The operations of all streams share one queue, since
records of a person are delivered in order across streams; the queue batches, throttles
and retries.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from singer_sdk.sinks import BatchSink
from ulid import ULID

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.call import Skipped
from target_customerio.mapping.converter import TURNED_OFF, converter_of
from target_customerio.mapping.notices import Notices
from target_customerio.pipeline import Pipeline
from target_customerio.records import OpenStream, Place
from target_customerio.results.recorder import MISSING_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from singer_sdk.target_base import Target

    from target_customerio.mapping.fields import StreamCall
    from target_customerio.records import IncomingRecord, MappedStream

    Transform = Callable[[dict[str, Any]], dict[str, Any] | None]

COUNTED_AT_ONCE = 100
"""Records after which the SDK's metric is updated."""

NO_KEY = "the stream has no key properties"
NULL_KEY = "a key property is null"
DOUBLES = (
    "events have no messageId, and {why}: if they are read again, they are sent again "
    "as new events. Give the stream key_properties in the tap, or set stream_maps with "
    '"messageId": "\'{stream}-\' + str(id)", where id is the column that identifies a '
    "row"
)


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

    def open(self, stream: MappedStream) -> OpenStream:
        """Prepare for the records of a mapped stream, which are not converted."""
        return OpenStream(stream.source)

    def load(self, incoming: IncomingRecord) -> None:
        """Process a record."""
        raise NotImplementedError

    def hold(
        self,
        stream: OpenStream,
        record: dict[str, Any],
        transform: Transform | None = None,
    ) -> None:
        """Note in the snapshot what a record names that is not sent."""

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

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the base class's
        """Create the sink of a stream.

        Args:
            arguments: The arguments of :class:`StreamSink`.
            options: The same, by name.
        """
        super().__init__(*arguments, **options)
        self._first_records = self._pipeline.recorder.first_records[self.stream_name]
        self._notices = Notices(self._warn)
        self._has_drawn = False

    def open(self, stream: MappedStream) -> OpenStream:
        """Prepare to convert the records of a mapped stream."""
        rule = self._pipeline.settings.streams.rule_of(self.stream_name)
        if rule is not None:
            self._pipeline.begin(stream.source, rule)
        converter = converter_of(
            self.call,
            stream=stream.source.name,
            mapped_stream=stream.unique_name,
            is_shared=stream.is_shared,
            schema=stream.schema,
            map_dates=stream.map_dates,
            key_properties=stream.key_properties,
            key_is_mapped=stream.key_is_mapped,
            settings=rule.conversion if rule else None,
            draw=partial(self._draw, NO_KEY if not stream.key_properties else NULL_KEY),
            notify=self._notices,
        )
        return OpenStream(stream.source, stream.key_properties, converter)

    def load(self, incoming: IncomingRecord) -> None:
        """Convert a record and queue its operation."""
        self._unmetered += 1
        if self._unmetered == COUNTED_AT_ONCE:
            self._meter()
        self._counts.read += 1
        stream = incoming.stream
        record = incoming.record
        try:
            for name in stream.key_properties:
                if name not in record:
                    raise _missing_key(name)
            operation = stream.converter.convert(  # type: ignore[union-attr]  # set by `open`
                record, from_json=incoming.from_json, arrived=incoming.arrived
            )
            if type(operation) is Skipped:  # isinstance takes twice as long
                self.hold(stream, record)
                self._counts.skipped[operation.reason] += 1
            else:
                self._pipeline.queue(
                    stream.source, incoming.line, operation, incoming.place
                )
        except RejectedRecord as error:
            self.hold(stream, record)
            self._reject(incoming, error)
        else:
            self._first_records.done = True

    def hold(
        self,
        stream: OpenStream,
        record: dict[str, Any],
        transform: Transform | None = None,
    ) -> None:
        """Note in the snapshot what a record names that is not sent.

        Args:
            stream: The stream of the record.
            record: The record.
            transform: The stream map, if it is not applied yet. What it leaves out is
                not in the table.
        """
        changes = self._pipeline.changes
        if changes is None or not changes.holds(stream.source):
            return
        mapped: dict[str, Any] | None = record
        if transform is not None:
            try:
                mapped = transform(record)
            except Exception:  # noqa: BLE001 - expressions raise anything
                changes.hold(stream.source, None)
                return
        converter = stream.converter
        if mapped is not None and converter is not None:
            changes.hold(stream.source, converter.named(mapped))

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
        converter = incoming.stream.converter
        if converter is not None and converter.turns_off(incoming.record):
            self._counts.skipped[TURNED_OFF.reason] += 1
            return
        self._pipeline.reject(
            incoming.stream.source, incoming.line, error, Place.of(incoming.place)
        )

    def _draw(self, why: str) -> str:
        """Return a random event id, which differs when the record is read again."""
        if not self._has_drawn:
            self._has_drawn = True
            self._warn(DOUBLES.format(why=why, stream=self.stream_name))
        return draw_ulid()

    def _warn(self, notice: str) -> None:
        """Log a warning about the stream."""
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
        """Count a record."""
        self._unmetered += 1
        self._pipeline.recorder.skip(self.stream_name, "unmapped stream")


def _missing_key(name: str) -> RejectedRecord:
    return RejectedRecord(MISSING_KEY, name, "a key property is missing")


def draw_ulid() -> str:
    """Return a new random ULID."""
    return str(ULID())


SINKS: Final[dict[StreamCall, type[CallSink]]] = {
    sink.call: sink for sink in CallSink.__subclasses__()
}
"""The sink class of each call."""
