"""One run: streams and their records in, operations to the pipeline, a summary out.

The command passes the messages of a tap to it, the function ``deliver`` its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from target_customerio.errors import (
    RejectedRecord,
    TargetError,
    nested_too_deeply,
)
from target_customerio.json_codec import STRICT, Decoding
from target_customerio.pipeline import CLOSE_TIMEOUT_SECONDS
from target_customerio.prepared_streams import PreparedStreamCache, StreamPreparer
from target_customerio.records import IncomingRecord
from target_customerio.settings.similar_names import unmatched_names
from target_customerio.sinks import CallSink
from target_customerio.stream_maps import unmappable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from singer_sdk.target_base import Target
    from typing_extensions import Self

    from target_customerio.pipeline import Pipeline
    from target_customerio.prepared_streams import (
        PreparedStream,
        StreamMapping,
        Transform,
    )
    from target_customerio.records import Line, Place
    from target_customerio.results.summary import Summary
    from target_customerio.sinks import StreamSink

FILTERED: Final = "left out by stream_maps"
"""The reason for which these records are skipped."""

MAX_HELD_SCHEMAS: Final = 8 << 20
"""Maximum bytes of dropped SCHEMA messages that queued records may refer to."""


class Run:
    """Takes streams and records, and delivers them.

    As a context manager it delivers after an error what was taken before it, and closes
    the pipeline in any case.

    Attributes:
        pipeline: Queues the operations and records the results.
        streams: The streams that were added, by their names before stream maps.
    """

    def __init__(self, target: Target, pipeline: Pipeline) -> None:
        """Create a run without streams.

        Args:
            target: The target, which has the configuration and creates the sinks.
            pipeline: The pipeline that its sinks share.
        """
        self.pipeline = pipeline
        self._target = target
        self._logger = target.logger
        self.streams: dict[str, PreparedStream] = {}
        self._replaced = PreparedStreamCache()
        self._prepare = StreamPreparer(target).prepare

    def __enter__(self) -> Self:
        """Start the pipeline.

        Raises:
            SnapshotError: The snapshot cannot be used.
        """
        try:
            self.pipeline.start()
        except BaseException:
            self.pipeline.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Deliver what was taken before an error, then end the run.

        Raises:
            TargetError: Delivery failed, which matters more than the first error.
        """
        try:
            if isinstance(error, Exception):
                self._deliver_after(error)
        finally:
            self.pipeline.end(timeout_seconds=CLOSE_TIMEOUT_SECONDS)

    def _deliver_after(self, error: Exception) -> None:
        try:
            self.pipeline.drain()
        except TargetError as undelivered:
            # If delivery had failed before, it raises the same error again.
            if undelivered is not error:
                raise undelivered from error

    def add_stream(
        self, name: str, schema: dict[str, Any], keys: Sequence[str] | None, line: Line
    ) -> None:
        """Add a stream, or replace its schema.

        Args:
            name: The stream's name before stream maps.
            schema: Its JSON schema.
            keys: Its key properties.
            line: Its SCHEMA message, for the file of rejected records.

        Raises:
            SettingsError: Stream maps cannot be applied to it.
            UnmappedStreamError: It is not mapped to a call.
        """
        known = self.streams.get(name)
        if known is not None and known.schema == line:
            return
        prepared = self._replaced.pop(name, line)
        if known is not None:
            self._replaced.add(name, known)
            self._release_schemas()
        self.streams[name] = prepared or self._prepare(name, schema, keys, line)

    def _release_schemas(self) -> None:
        """Deliver what is queued if it may refer to many SCHEMA messages."""
        if self._replaced.dropped_bytes > MAX_HELD_SCHEMAS:
            self.pipeline.drain()
            self._replaced.dropped_bytes = 0

    def load(
        self,
        prepared: PreparedStream,
        record: dict[str, Any],
        line: Line,
        place: Place | int,
        decoding: Decoding,
    ) -> None:
        """Validate and map a record, and pass it to its sinks.

        Args:
            prepared: Its stream, one of :attr:`streams`.
            record: The record.
            line: Its RECORD message, for the file of rejected records.
            place: Where in the input it is.
            decoding: How the text of that message was decoded.

        Raises:
            TargetError: Delivery has failed, or the record was rejected and
                ``on_rejected`` is ``abort``.
        """
        name, _, mappings, check = prepared
        if not mappings:
            self.pipeline.recorder.skip(name, FILTERED)
            return
        from_json = decoding is STRICT
        if not from_json and decoding is Decoding.TRUNCATED:
            check = _too_deep
        if check is not None:
            error = check(record)
            if error is not None and _reject(mappings, record, line, place, error):
                return
        for transform, stream, sink in mappings:
            incoming = IncomingRecord(record, stream, line, place, from_json)
            if transform is None:
                sink.load(incoming)
            else:
                self._map(incoming, transform, sink)

    def flush(self) -> None:
        """Queue what was taken for delivery; to be called before waiting for more.

        Raises:
            TargetError: Delivery has failed.
        """
        self.pipeline.flush()

    def finish(
        self, *, is_complete: bool = True, has_all_streams: bool = True
    ) -> Summary:
        """Deliver what is still queued, and log the summary.

        Args:
            is_complete: Whether the input was read to its end.
            has_all_streams: Whether names in the settings that match no stream are to
                be reported.

        Returns:
            What happened to the records.

        Raises:
            TargetError: Delivery has failed.
        """
        self._target.drain_all(is_endofpipe=True)  # the SDK's metrics
        self.pipeline.drain()
        self.pipeline.complete(is_complete=is_complete)
        recorder = self.pipeline.recorder
        # A file of rejected records has only some of the streams.
        if has_all_streams and is_complete and not recorder.reads_rejected:
            self._log_unmatched_names()
        self.pipeline.end()
        return recorder.summary

    def _map(
        self, incoming: IncomingRecord, transform: Transform, sink: StreamSink
    ) -> None:
        """Apply a stream map to a record and pass the result to a sink."""
        try:
            mapped = transform(incoming.record)
        except Exception as error:  # noqa: BLE001 - expressions raise anything
            assert isinstance(sink, CallSink)  # noqa: S101 - others have no stream map
            sink.hold(incoming.stream, incoming.record, transform)
            sink.reject(incoming, unmappable(error))
            return
        if mapped is None:
            self.pipeline.recorder.skip(incoming.stream.source.title, FILTERED)
            return
        incoming.arrived, incoming.record = incoming.record, mapped
        incoming.from_json = False
        sink.load(incoming)

    def _log_unmatched_names(self) -> None:
        """Log the names in the settings that matched no stream of the input."""
        calls = self.pipeline.settings.streams.names
        maps = self._target.config.get("stream_maps") or {}
        mapped: list[str] = []
        for name, (_, _, mappings, _) in self.streams.items():
            # A stream that stream maps drop counts under its own name.
            mapped += [each.stream.source.title for each in mappings] or [name]
        for level, line in unmatched_names(calls, maps, list(self.streams), mapped):
            self._logger.log(level, "%s", line)


def _reject(
    mappings: list[StreamMapping],
    record: dict[str, Any],
    line: Line,
    place: Place | int,
    error: RejectedRecord,
) -> bool:
    """Reject a record before stream maps, once even if it is mapped to several streams.

    In the file of rejected records twice, it would be loaded twice. Returns false if
    all streams that it is mapped to are ignored.
    """
    for transform, stream, sink in mappings:
        sink.hold(stream, record, transform)
    for _, stream, sink in mappings:
        if isinstance(sink, CallSink):
            sink.reject(
                IncomingRecord(record, stream, line, place, from_json=False), error
            )
            return True
    return False


def _too_deep(_: Mapping[str, Any]) -> RejectedRecord:
    """Reject any record: the check of records that were truncated."""
    return nested_too_deeply()
