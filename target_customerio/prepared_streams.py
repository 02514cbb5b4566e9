"""Prepares streams for their records: stream maps, sinks and validation."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from singer_sdk.exceptions import MappingError
from singer_sdk.mapper import RemoveRecordTransform

from target_customerio.errors import SettingsError, shown_name, shown_stream
from target_customerio.flattening import flatten_without_loss, outline
from target_customerio.records import SourceStream, is_stream_name
from target_customerio.sinks import CallSink, StreamSink
from target_customerio.stream_maps import (
    changes_nothing,
    definitions_of,
    mapped_stream,
    replacing_pattern,
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

MAX_LOGGED_PATHS: Final = 10
"""Maximum paths of a schema that one warning names."""

MAX_PROBLEM_CHARACTERS: Final = 200
"""Maximum characters of the SDK's message, which has the name of a column."""

MISSING_KEY_HINT: Final = (
    "; add the column to the entry, or set __key_properties__ to columns that it has"
)

MAX_REPORTED_PATHS: Final = 1_000
"""Paths in the schemas of a stream after which warnings stop."""

MEMORY_PER_SCHEMA_BYTE: Final = 25
"""Approximate bytes of memory of a prepared stream per byte of its SCHEMA message."""

MAX_CACHE_BYTES: Final = 16 << 20
"""Approximate memory limit of the prepared streams whose SCHEMA was replaced."""


class StreamMapping(NamedTuple):
    """One of the streams that stream maps make of a source stream.

    Attributes:
        transform: Applies the stream map; ``None`` if it changes nothing.
        stream: The stream as its sink has opened it.
        sink: The sink.
    """

    transform: Transform | None
    stream: OpenStream
    sink: StreamSink


class PreparedStream(NamedTuple):
    """A stream that is ready for its records, until its SCHEMA changes.

    Attributes:
        name: Its name before stream maps.
        schema: Its SCHEMA message as it arrived.
        mappings: The streams that stream maps make of it.
        check: Validates a record; ``None`` if records are not validated.
    """

    name: str
    schema: Line
    mappings: list[StreamMapping]
    check: Check | None


def _check_alias(alias: object, stream: str) -> None:
    """Refuse a name that no stream can have."""
    if not is_stream_name(alias):
        raise SettingsError(
            f"stream_maps: the name of stream {shown_stream(stream)} must be printable "
            f"text; it is {alias!r}"
        )


class StreamPreparer:
    """Prepares streams for their records."""

    def __init__(self, target: Target) -> None:
        """Take the target, which has the configuration and creates the sinks."""
        self._target = target
        self._left_out: dict[str, set[int]] = {}
        self._known: set[str] = set()

    def prepare(
        self, name: str, schema: dict[str, Any], keys: Sequence[str] | None, line: Line
    ) -> PreparedStream:
        """Prepare a stream, as described by a SCHEMA message.

        Raises:
            SettingsError: Stream maps cannot be applied to it.
            UnmappedStreamError: It is not mapped to a call.
        """
        mapper = self._target.mapper
        definitions = definitions_of(name, mapper.stream_maps_dict)
        self._warn_of_replaced_entry(name, mapper.stream_maps_dict)
        options = mapper.flattening_options
        levels = max(0, options.max_level) if options.enabled else 0
        try:
            mapper.register_raw_stream_schema(
                name, outline(schema, keys or (), definitions, levels), keys
            )
        except MappingError as error:
            problem = str(error).rstrip(".")  # names keys and expressions
            if problem.startswith("Invalid key properties"):
                problem += MISSING_KEY_HINT
            raise SettingsError(
                f"stream_maps: cannot be applied to stream {shown_stream(name)}: "
                f"{problem}"
            ) from error
        except ValueError as error:  # two columns would get one name
            raise SettingsError(
                f"flattening_enabled: stream {shown_stream(name)} cannot be flattened: "
                f"{shown_name(str(error), MAX_PROBLEM_CHARACTERS)}; set another "
                "flattening_separator, or raise flattening_max_key_length"
            ) from error
        mappings = self._mappings_of(name, schema, line, definitions)
        return PreparedStream(
            name, line, mappings, self._check_of(name, schema, mappings)
        )

    def _mappings_of(
        self,
        stream: str,
        schema: dict[str, Any],
        line: Line,
        definitions: list[Definition],
    ) -> list[StreamMapping]:
        """Return the mappings of a stream, each with its sink."""
        stream_maps = self._target.mapper.stream_maps[stream]
        for each in stream_maps:
            _check_alias(each.stream_alias, stream)
            flatten_without_loss(each)
        kept = [
            (stream_map, definition, self._sink_of(stream_map.stream_alias))
            for stream_map, definition in zip(stream_maps, definitions, strict=True)
            if not isinstance(stream_map, RemoveRecordTransform)
        ]
        is_shared = sum(isinstance(sink, CallSink) for *_, sink in kept) > 1
        names: list[str] = []
        mappings: list[StreamMapping] = []
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
            mappings.append(StreamMapping(transform, sink.open(mapped), sink))
        return mappings

    def _check_of(
        self, stream: str, schema: dict[str, Any], mappings: list[StreamMapping]
    ) -> Check | None:
        """Return the validation of a stream's records, if they are validated."""
        is_read = any(isinstance(sink, CallSink) for *_, sink in mappings)
        if not is_read or not self._target.config.get("validate_records", True):
            return None
        validator = RecordValidator(schema)
        self._warn_of_left_out(stream, validator.left_out)
        return validator.rejection_of

    def _warn_of_left_out(self, stream: str, paths: Sequence[str]) -> None:
        """Warn of the parts of a schema that cannot be compiled, each once a stream."""
        reported = self._left_out.setdefault(stream, set())
        new = [path for path in paths if hash(path) not in reported]
        if not new or len(reported) >= MAX_REPORTED_PATHS:
            return
        reported.update(map(hash, new[:MAX_REPORTED_PATHS]))
        more = len(new) - MAX_LOGGED_PATHS
        self._target.logger.warning(
            "Stream '%s': parts of the schema cannot be compiled; records are not "
            "validated against them: %s%s",
            stream,
            ", ".join(shown_name(path, 200) for path in new[:MAX_LOGGED_PATHS]),
            f" and {more} more" if more > 0 else "",
        )

    def _warn_of_replaced_entry(self, stream: str, maps: Mapping[str, Any]) -> None:
        """Warn once if a stream's own entry in ``stream_maps`` has no effect."""
        if stream in self._known:
            return
        self._known.add(stream)
        pattern = replacing_pattern(stream, maps)
        if pattern is not None:
            self._target.logger.warning(
                "Stream '%s': its entry in stream_maps has no effect, since the later "
                "entry '%s' applies to it too and replaces it; move it to the end",
                stream,
                pattern,
            )

    def _sink_of(self, name: str) -> StreamSink:
        """Return the sink of a stream; it is kept when the schema changes."""
        sink = self._target.get_sink(name, schema={"properties": {}}, key_properties=[])
        assert isinstance(sink, StreamSink)  # noqa: S101 - there are no other sinks
        return sink


class PreparedStreamCache:
    """Keeps streams whose SCHEMA was replaced: some taps alternate between a few.

    Attributes:
        dropped_bytes: Bytes of the SCHEMA messages that were dropped. Records in the
            queue may still refer to them.
    """

    def __init__(self, max_bytes: int = MAX_CACHE_BYTES) -> None:
        """Start empty; ``max_bytes`` is the approximate memory limit."""
        self.dropped_bytes = 0
        self._max_bytes = max_bytes
        self._bytes = 0
        self._streams: OrderedDict[tuple[str, Line], PreparedStream] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of prepared streams."""
        return len(self._streams)

    def pop(self, name: str, line: Line) -> PreparedStream | None:
        """Remove and return the stream that was prepared for a SCHEMA message."""
        prepared = self._streams.pop((name, line), None)
        if prepared is not None:
            self._bytes -= MEMORY_PER_SCHEMA_BYTE * len(line)
        return prepared

    def add(self, name: str, prepared: PreparedStream) -> None:
        """Add a stream; drop the least recently used ones if memory is short."""
        self._streams[name, prepared.schema] = prepared
        self._bytes += MEMORY_PER_SCHEMA_BYTE * len(prepared.schema)
        while self._bytes > self._max_bytes:
            (_, dropped), _ = self._streams.popitem(last=False)
            self._bytes -= MEMORY_PER_SCHEMA_BYTE * len(dropped)
            self.dropped_bytes += len(dropped)
