"""Handlers of Singer messages, which replace parts of the SDK.

The SDK (0.54) buffers each stream's records separately, drains the buffers in parallel,
writes STATE only when another record arrives, ends the run at the first record that
does not match its schema, and lets a signal start a drain within a drain. This target
guarantees order across streams, timely STATE and rejected records instead. All replaced
names are listed in :data:`REPLACED`, other private names in :data:`USED`; tests check
that the SDK still has them.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from singer_sdk.exceptions import MappingError
from singer_sdk.mapper import (
    MAPPER_KEY_PROPERTIES_OPTION,
    RemoveRecordTransform,
    SameRecordTransform,
)
from singer_sdk.target_base import Target

from target_customerio.batch_files import rows_of
from target_customerio.config import complete, unknown_settings
from target_customerio.errors import (
    InputError,
    RecordBeforeSchemaError,
    RejectedRecord,
    SettingsError,
)
from target_customerio.reader import LONGEST_NAME, Line, MessageReader
from target_customerio.rejected import SourceStream
from target_customerio.sinks import (
    CallSink,
    IncomingRecord,
    Inflow,
    Origin,
    StreamSink,
)
from target_customerio.stream_maps import DateMap, definitions_of, outline, unmappable
from target_customerio.validation import RecordValidator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from singer_sdk.mapper import StreamMap

    from target_customerio.batch_files import Row
    from target_customerio.pipeline import Pipeline
    from target_customerio.stream_maps import Definition

    _Transform = Callable[[dict[str, Any]], dict[str, Any] | None]
    _Mapping = tuple[_Transform | None, Inflow, StreamSink]
    _Check = Callable[[Mapping[str, Any]], RejectedRecord | None]

REPLACED: Final = (
    "_handle_termination",
    "_process_activate_version_message",
    "_process_batch_message",
    "_process_record_message",
    "_process_schema_message",
    "_process_state_message",
    "_validate_config",
)
"""Private names of the SDK that are overridden here."""

USED: Final = ("_config",)
"""Private names of the SDK that are used here."""

FILTERED: Final = "left out by stream_maps"

MOST_PATHS: Final = 10
"""Maximum parts of a schema that a warning names."""


class SingerTarget(Target):
    """A target whose streams share one ordered queue."""

    pipeline: Pipeline
    message_reader: MessageReader
    message_reader_class = MessageReader

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own
        """Create the target.

        Args:
            options: The options of the SDK's target.
        """
        self._schemas: dict[str, Line] = {}
        self._mappings: dict[str, list[_Mapping]] = {}
        self._checks: dict[str, _Check | None] = {}
        self._left_out: dict[str, set[str]] = {}
        self._versions_ignored = False
        self._file_and_row = (0, 0)
        super().__init__(message_reader=MessageReader(self._flush), **options)
        # The sinks buffer nothing that the SDK could drain in parallel.
        self.max_parallelism = 1

    def _flush(self) -> None:
        """Queue what has been read for delivery, before waiting for more input."""
        self.pipeline.flush()

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Validate the settings without quoting values, and fill in the defaults."""
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        errors = []
        for name, meant in unknown_settings(self._config, schema).items():
            if meant is None:
                self.logger.warning("Ignoring unknown setting %r", name)
            else:
                # A misspelt sandbox would send to production.
                errors.append(f"Unknown setting {name!r} (did you mean {meant!r}?)")
        errors += complete(self._config, schema)
        if errors and raise_errors:
            raise SettingsError(*errors, schema=schema)
        return errors

    def setup_mapper(self) -> None:
        """Parse the setting ``stream_maps``.

        Raises:
            SettingsError: It is invalid.
        """
        try:
            super().setup_mapper()
        except (MappingError, AttributeError, TypeError) as error:
            raise SettingsError(
                "stream_maps: expected an object of expressions for each stream"
            ) from error

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        """Register a stream and create its sinks."""
        stream, schema = message_dict.get("stream"), message_dict.get("schema")
        keys = message_dict.get("key_properties")
        if not (isinstance(stream, str) and stream.isprintable()):
            raise self._invalid("SCHEMA", "`stream` must be a printable string")
        if not isinstance(schema, dict):
            raise self._invalid("SCHEMA", "`schema` must be an object")
        if not isinstance(schema.get("properties") or {}, dict):
            raise self._invalid("SCHEMA", "`schema.properties` must be an object")
        if not _is_list_of_names(keys or []):
            raise self._invalid("SCHEMA", "`key_properties` must be a list of strings")
        line = self.message_reader.line
        if self._schemas.get(stream) == line:
            return
        definitions = definitions_of(stream, self.mapper.stream_maps_dict)
        try:
            self.mapper.register_raw_stream_schema(
                stream, outline(schema, keys or (), definitions), keys
            )
        except (MappingError, ValueError) as error:
            raise SettingsError(
                f"stream_maps: cannot be applied to stream {stream[:LONGEST_NAME]!r}: "
                f"{_without_stop(error)}"
            ) from error
        self._mappings[stream] = self._mappings_of(stream, schema, line, definitions)
        self._checks[stream] = self._check_of(stream, schema)
        self._schemas[stream] = line

    def _mappings_of(
        self,
        stream: str,
        schema: dict[str, Any],
        line: Line,
        definitions: list[Definition],
    ) -> list[_Mapping]:
        """Return the mappings of a stream, each with its sink."""
        stream_maps = self.mapper.stream_maps[stream]
        kept = [
            (stream_map, definition, self._sink_of(stream_map.stream_alias))
            for stream_map, definition in zip(stream_maps, definitions, strict=True)
            if not isinstance(stream_map, RemoveRecordTransform)
        ]
        is_shared = sum(isinstance(sink, CallSink) for *_, sink in kept) > 1
        names: list[str] = []
        mappings: list[_Mapping] = []
        for stream_map, definition, sink in kept:
            name = stream_map.stream_alias
            origin = _origin(
                SourceStream(stream, line, name),
                schema,
                stream_map,
                definition,
                # Two expressions may give one stream the same name.
                mapped_name="\0".join([name] * (names.count(name) + 1)),
                is_shared=is_shared,
            )
            names.append(name)
            is_same = _changes_nothing(stream_map) or not isinstance(sink, CallSink)
            transform = None if is_same else stream_map.transform
            mappings.append((transform, sink.open(origin), sink))
        return mappings

    def _check_of(self, stream: str, schema: dict[str, Any]) -> _Check | None:
        """Return the validation of a stream's records, if they are validated."""
        is_read = any(isinstance(sink, CallSink) for *_, sink in self._mappings[stream])
        if not is_read or not self.config.get("validate_records", True):
            return None
        validator = RecordValidator(schema)
        told = self._left_out.setdefault(stream, set())
        left_out = [path for path in validator.left_out if path not in told]
        if left_out:
            told.update(left_out)
            more = len(left_out) - MOST_PATHS
            self.logger.warning(
                "Stream '%s': parts of the schema cannot be compiled; records are not "
                "validated against them: %s%s",
                stream,
                ", ".join(left_out[:MOST_PATHS]),
                f" and {more} more" if more > 0 else "",
            )
        return validator.rejection_of

    def stream_names(self) -> tuple[list[str], list[str]]:
        """Return the streams of the input so far, as named by the tap and as mapped.

        A stream that stream maps drop is among the mapped ones under its own name.
        """
        mapped: list[str] = []
        for name, mappings in self._mappings.items():
            mapped += [inflow.stream.title for _, inflow, _ in mappings] or [name]
        return list(self._mappings), mapped

    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        """Process a record, unless it was rejected and written out by this run."""
        stream, record = message_dict.get("stream"), message_dict.get("record")
        # Saves a call for almost every record.
        if not isinstance(stream, str) or stream not in self._mappings:
            stream = self._known_stream(message_dict)
        if not isinstance(record, dict):
            raise self._invalid("RECORD", "`record` must be an object")
        if "rejection" in message_dict:
            recorder = self.pipeline.recorder
            if recorder.was_rejected_by_this_run(message_dict):
                recorder.skip(stream, "rejected in this run")
                return
        reader = self.message_reader
        self._take(stream, record, reader.line, from_json=reader.line_is_valid)

    def _take(
        self, name: str, record: dict[str, Any], line: Line, *, from_json: bool
    ) -> None:
        """Validate and map a record, and pass it to its sinks."""
        mappings = self._mappings[name]
        if not mappings:
            self.pipeline.recorder.skip(name, FILTERED)
            return
        check = self._checks[name]
        if check is not None:
            error = check(record)
            if error is not None:
                self._reject(mappings, record, line, error)
                return
        for transform, inflow, sink in mappings:
            incoming = IncomingRecord(record, inflow, line, from_json)
            if transform is None:
                sink.load(incoming)
            else:
                self._map(incoming, transform, sink)

    def _map(
        self, incoming: IncomingRecord, transform: _Transform, sink: StreamSink
    ) -> None:
        """Apply a stream map to a record and pass the result to a sink."""
        try:
            mapped = transform(incoming.record)
        except Exception as error:  # noqa: BLE001 - expressions raise anything
            assert isinstance(sink, CallSink)  # noqa: S101 - others have no stream map
            sink.reject(incoming, unmappable(error))
            return
        if mapped is None:
            self.pipeline.recorder.skip(incoming.inflow.stream.title, FILTERED)
            return
        incoming.arrived, incoming.record = incoming.record, mapped
        incoming.from_json = False
        sink.load(incoming)

    @staticmethod
    def _reject(
        mappings: list[_Mapping],
        record: dict[str, Any],
        line: Line,
        error: RejectedRecord,
    ) -> None:
        """Reject a record that does not match its schema, once however it is mapped.

        If it were in the file of rejected records twice, it would be loaded twice.
        """
        for _, inflow, sink in mappings:
            if isinstance(sink, CallSink):
                sink.reject(
                    IncomingRecord(record, inflow, line, from_json=False), error
                )
                return

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Write the state once everything before it is delivered or rejected."""
        if "value" not in message_dict:
            raise self._invalid("STATE", "`value` is missing")
        self.pipeline.checkpoint(message_dict["value"])

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Ignore the message: it concerns the versions of tables."""
        if not {"stream", "version"} <= message_dict.keys():
            raise self._invalid(
                "ACTIVATE_VERSION", "`stream` and `version` are required"
            )
        if not self._versions_ignored:
            self._versions_ignored = True
            self.logger.info("Ignoring ACTIVATE_VERSION messages")

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        """Process the records in the files of a batch like RECORD messages."""
        stream = self._known_stream(message_dict)
        manifest, encoding = message_dict.get("manifest"), message_dict.get("encoding")
        if not isinstance(manifest, list) or not isinstance(encoding, dict):
            raise self._invalid(
                "BATCH", "`manifest` must be a list and `encoding` an object"
            )
        for file, path in enumerate(manifest, 1):
            for row, (record, line, from_json) in enumerate(
                self._rows_of(str(path), encoding), 1
            ):
                if self.message_reader.stopped:
                    return
                self._file_and_row = file, row
                line_of_record = b'{"record":%b}' % line
                self._take(stream, record, line_of_record, from_json=from_json)
        self._file_and_row = 0, 0

    def _rows_of(self, path: str, encoding: dict[str, Any]) -> Iterator[Row]:
        """Yield the rows of a batch file; errors name the line of the message."""
        try:
            yield from rows_of(path, encoding)
        except InputError as error:
            raise InputError(f"{self._line()}: {error}") from error

    def place(self) -> str:
        """Return where in the input the current record is, as text for the log."""
        line = f"line {self.message_reader.line_number}"
        file, row = self._file_and_row
        return f"row {row} of file {file} ({line})" if row else line

    def _handle_termination(
        self,
        signum: int,
        frame: FrameType | None,  # noqa: ARG002 - the SDK's
    ) -> None:
        """Stop reading at the first signal; exit at once at the second."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _exit_at_once)
        self.logger.warning(
            "Signal %d: stopped reading, delivering what was read; a second signal "
            "exits at once",
            signum,
        )
        self.message_reader.stop()

    def _sink_of(self, name: str) -> StreamSink:
        """Return the sink of a stream; it is kept when the schema changes."""
        sink = self.get_sink(name, schema={"properties": {}}, key_properties=[])
        assert isinstance(sink, StreamSink)  # noqa: S101 - there are no other sinks
        return sink

    def _line(self) -> str:
        return f"Line {self.message_reader.line_number}"

    def _invalid(self, kind: str, problem: str) -> InputError:
        """Return the error for an invalid message."""
        return InputError(f"{self._line()}: invalid {kind}: {problem} (bug in the tap)")

    def _known_stream(self, message: Mapping[str, Any]) -> str:
        stream = message.get("stream")
        if not isinstance(stream, str):
            raise self._invalid(message["type"], "`stream` must be a string")
        if stream not in self._schemas:
            raise RecordBeforeSchemaError(
                f"{self._line()}: {message['type']} precedes the SCHEMA of its stream "
                f"{stream[:LONGEST_NAME]!r} (bug in the tap)"
            )
        return stream


def _without_stop(error: Exception) -> str:
    """Return the text of an error of the SDK, which names keys and expressions."""
    return str(error).rstrip(".")


def _changes_nothing(stream_map: StreamMap) -> bool:
    return (
        isinstance(stream_map, SameRecordTransform)
        and not stream_map.flattening_enabled
    )


def _origin(
    stream: SourceStream,
    schema: Mapping[str, Any],
    stream_map: StreamMap,
    definition: Definition,
    **names: Any,  # noqa: ANN401 - fields of Origin
) -> Origin:
    """Return what a sink needs to know about a source stream."""
    keys = stream_map.transformed_key_properties or ()
    return Origin(
        stream=stream,
        schema=schema,
        key_properties=tuple(keys),
        key_is_mapped=MAPPER_KEY_PROPERTIES_OPTION in definition,
        map_dates=(
            None if _changes_nothing(stream_map) else DateMap(definition, stream_map)
        ),
        **names,
    )


def _is_list_of_names(keys: object) -> bool:
    return isinstance(keys, list) and all(isinstance(key, str) for key in keys)


def _exit_at_once(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a handler
    sys.stderr.flush()
    os._exit(128 + signum)
