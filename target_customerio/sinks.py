"""The sinks, one for each call: a record goes in, an operation goes to the run.

A sink holds nothing. The operations of all streams share one queue, since the order of
a person's records across streams is part of the promise; it is the queue that batches,
throttles and tries again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from singer_sdk.sinks import BatchSink
from ulid import ULID

from target_customerio.accounts import MISSING_KEY
from target_customerio.conversion.by_type import converter_of
from target_customerio.conversion.converter import TURNED_OFF
from target_customerio.conversion.fields import METADATA_PREFIX
from target_customerio.conversion.stream import Skipped
from target_customerio.errors import RejectedRecord
from target_customerio.misfit import FirstRecords
from target_customerio.run import Run
from target_customerio.validation import RecordValidator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from singer_sdk.target_base import Target

    from target_customerio.conversion.fields import StreamCall
    from target_customerio.reading import Line
    from target_customerio.rejected import SourceStream

STREAM, LINE, FROM_JSON = "stream", "line", "from_json"
"""Where the context of a record holds its stream's source and its line, and whether the
record is just what a JSON decoder made of that line."""

COUNTED_AT_ONCE = 100
"""Records of which the SDK's metric learns at once."""


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

    def reject(self, stream: SourceStream, line: Line, error: RejectedRecord) -> None:
        """Put aside a record that could not be mapped.

        Args:
            stream: The record's stream.
            line: The record as it arrived.
            error: What is wrong with it.
        """
        self._counts.read += 1
        self._run.reject(stream, line, error)

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
        self._keys = tuple(self.key_properties)
        self._first_records = FirstRecords(stream_name)
        rule = self._run.settings.streams.rule_of(stream_name)
        self._converter = converter_of(
            self.call,
            stream=stream_name,
            schema=self.schema,
            key_properties=self.key_properties,
            settings=rule.conversion if rule else None,
            draw=draw_ulid,
            notify=self._warn,
        )

    def get_validator(self) -> RecordValidator | None:
        """Compile the stream's schema, unless records are not to be validated."""
        self._record_validator = (
            RecordValidator(self.stream_name, _without_metadata(self.schema))
            if self.validate_schema
            else None
        )
        return self._record_validator

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
        stream, line = context[STREAM], context[LINE]
        try:
            self._check(record)
            operation = self._converter.convert(record, from_json=context[FROM_JSON])
            if isinstance(operation, Skipped):
                self._counts.skipped[operation.reason] += 1
            else:
                self._run.take(stream, line, operation)
        except RejectedRecord as error:
            if self._converter.turns_off(record):
                self._counts.skipped[TURNED_OFF.reason] += 1
                return
            self._run.reject(stream, line, error)
            self._help(record, error)
        else:
            self._first_records.done = True

    def _check(self, record: Mapping[str, Any]) -> None:
        for name in self._keys:
            if name not in record:
                raise RejectedRecord(MISSING_KEY, name, "a key property is missing")
        if self._record_validator is not None:
            error = self._record_validator.rejection_of(record)
            if error is not None:
                raise error

    def _help(self, record: Mapping[str, Any], error: RejectedRecord) -> None:
        if not self._first_records.done:
            advice = self._first_records.reject(record, error)
            if advice is not None:
                self._warn(advice)

    def _warn(self, notice: str) -> None:
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

    def get_validator(self) -> None:
        """Check nothing."""

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:  # noqa: ARG002 - the SDK's
        """Count a record.

        Args:
            record: The record.
            context: Says where it comes from.
        """
        self._unmetered += 1
        self._run.accounts.skip(self.stream_name, "unmapped stream")


def draw_ulid() -> str:
    """Draw a ULID that no record will ever have again."""
    return str(ULID())


def _without_metadata(schema: dict[str, Any]) -> dict[str, Any]:
    """Let any ``_sdc_`` column pass, also where a schema admits no others.

    Taps add them as they please, and nothing of them is sent.
    """
    properties = schema.get("properties") or {}
    return {
        **schema,
        "properties": {
            name: rule
            for name, rule in properties.items()
            if not name.startswith(METADATA_PREFIX)
        },
        "patternProperties": {
            **(schema.get("patternProperties") or {}),
            f"^{METADATA_PREFIX}": {},
        },
    }


SINKS: Final[dict[StreamCall, type[CallSink]]] = {
    sink.call: sink for sink in CallSink.__subclasses__()
}
"""The sink of each call: every one above."""
