"""Source streams, prepared for their records: stream maps, sinks and validation."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from singer_sdk.exceptions import MappingError
from singer_sdk.mapper import RemoveRecordTransform

from target_customerio.errors import SettingsError, shown_name
from target_customerio.reader import LONGEST_NAME
from target_customerio.records import SourceStream
from target_customerio.sinks import CallSink, StreamSink
from target_customerio.stream_maps import (
    changes_nothing,
    definitions_of,
    mapped_stream,
    outline,
)
from target_customerio.validation import RecordValidator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from singer_sdk.target_base import Target

    from target_customerio.errors import RejectedRecord
    from target_customerio.records import Line, OpenStream
    from target_customerio.stream_maps import Definition

    Transform = Callable[[dict[str, Any]], dict[str, Any] | None]
    Check = Callable[[Mapping[str, Any]], RejectedRecord | None]

MOST_PATHS: Final = 10
"""Maximum parts of a schema that a warning names."""

MOST_TOLD: Final = 1_000
"""Parts of a stream's schemas after which no more are warned of."""

INTAKE_MEMORY: Final = 25
"""Approximate memory of a compiled schema for each byte of its SCHEMA message."""

MAX_EARLIER_BYTES: Final = 16 << 20
"""Approximate memory limit of compiled schemas that were replaced."""


class Mapped(NamedTuple):
    """One of the streams that a source stream is mapped to."""

    transform: Transform | None
    stream: OpenStream
    sink: StreamSink


class Intake(NamedTuple):
    """A source stream, until its SCHEMA changes."""

    schema: Line
    mappings: list[Mapped]
    check: Check | None


class Intakes:
    """Prepares source streams."""

    def __init__(self, target: Target) -> None:
        """Take the target, which has the configuration and creates the sinks."""
        self._target = target
        self._left_out: dict[str, set[int]] = {}

    def prepare(
        self, name: str, schema: dict[str, Any], keys: Sequence[str] | None, line: Line
    ) -> Intake:
        """Prepare a stream.

        Args:
            name: The stream's name before stream maps.
            schema: Its JSON schema.
            keys: Its key properties.
            line: Its SCHEMA message, for the file of rejected records.

        Returns:
            Its intake.

        Raises:
            SettingsError: Stream maps cannot be applied to it.
            UnmappedStreamError: It is not mapped to a call.
        """
        mapper = self._target.mapper
        definitions = definitions_of(name, mapper.stream_maps_dict)
        options = mapper.flattening_options
        levels = max(0, options.max_level) if options.enabled else 0
        try:
            mapper.register_raw_stream_schema(
                name, outline(schema, keys or (), definitions, levels), keys
            )
        except (MappingError, ValueError) as error:
            problem = str(error).rstrip(".")  # names keys and expressions
            raise SettingsError(
                f"stream_maps: cannot be applied to stream {name[:LONGEST_NAME]!r}: "
                f"{problem}"
            ) from error
        mappings = self._mappings_of(name, schema, line, definitions)
        return Intake(line, mappings, self._check_of(name, schema, mappings))

    def _mappings_of(
        self,
        stream: str,
        schema: dict[str, Any],
        line: Line,
        definitions: list[Definition],
    ) -> list[Mapped]:
        """Return the mappings of a stream, each with its sink."""
        stream_maps = self._target.mapper.stream_maps[stream]
        kept = [
            (stream_map, definition, self._sink_of(stream_map.stream_alias))
            for stream_map, definition in zip(stream_maps, definitions, strict=True)
            if not isinstance(stream_map, RemoveRecordTransform)
        ]
        is_shared = sum(isinstance(sink, CallSink) for *_, sink in kept) > 1
        names: list[str] = []
        mappings: list[Mapped] = []
        for stream_map, definition, sink in kept:
            name = stream_map.stream_alias
            mapped = mapped_stream(
                SourceStream(stream, line, name),
                schema,
                stream_map,
                definition,
                # Two expressions may give one stream the same name.
                unique_name="\0".join([name] * (names.count(name) + 1)),
                is_shared=is_shared,
            )
            names.append(name)
            is_same = changes_nothing(stream_map) or not isinstance(sink, CallSink)
            transform = None if is_same else stream_map.transform
            mappings.append(Mapped(transform, sink.open(mapped), sink))
        return mappings

    def _check_of(
        self, stream: str, schema: dict[str, Any], mappings: list[Mapped]
    ) -> Check | None:
        """Return the validation of a stream's records, if they are validated."""
        is_read = any(isinstance(sink, CallSink) for *_, sink in mappings)
        if not is_read or not self._target.config.get("validate_records", True):
            return None
        validator = RecordValidator(schema)
        told = self._left_out.setdefault(stream, set())
        left_out = [path for path in validator.left_out if hash(path) not in told]
        if left_out and len(told) < MOST_TOLD:
            told.update(map(hash, left_out[:MOST_TOLD]))
            more = len(left_out) - MOST_PATHS
            self._target.logger.warning(
                "Stream '%s': parts of the schema cannot be compiled; records are not "
                "validated against them: %s%s",
                stream,
                ", ".join(shown_name(path, 200) for path in left_out[:MOST_PATHS]),
                f" and {more} more" if more > 0 else "",
            )
        return validator.rejection_of

    def _sink_of(self, name: str) -> StreamSink:
        """Return the sink of a stream; it is kept when the schema changes."""
        sink = self._target.get_sink(name, schema={"properties": {}}, key_properties=[])
        assert isinstance(sink, StreamSink)  # noqa: S101 - there are no other sinks
        return sink


class EarlierIntakes:
    """Intakes whose SCHEMA was replaced, since some taps send a few in turn.

    Attributes:
        forgotten_bytes: Bytes of the SCHEMA messages that were dropped. The queue may
            still hold them, with the records that they belong to.
    """

    def __init__(self, max_bytes: int = MAX_EARLIER_BYTES) -> None:
        """Keep intakes of about ``max_bytes`` of memory, those used last."""
        self.forgotten_bytes = 0
        self._max_bytes = max_bytes
        self._bytes = 0
        self._intakes: OrderedDict[tuple[str, Line], Intake] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of intakes."""
        return len(self._intakes)

    def take(self, name: str, line: Line) -> Intake | None:
        """Return the intake of a SCHEMA message and keep it no longer."""
        intake = self._intakes.pop((name, line), None)
        if intake is not None:
            self._bytes -= INTAKE_MEMORY * len(line)
        return intake

    def keep(self, name: str, intake: Intake) -> None:
        """Add an intake; drop those used first if it does not fit."""
        self._intakes[name, intake.schema] = intake
        self._bytes += INTAKE_MEMORY * len(intake.schema)
        while self._bytes > self._max_bytes:
            (_, dropped), _ = self._intakes.popitem(last=False)
            self._bytes -= INTAKE_MEMORY * len(dropped)
            self.forgotten_bytes += len(dropped)
