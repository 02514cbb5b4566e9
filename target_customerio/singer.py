"""Handlers of Singer messages, which replace parts of the SDK.

The SDK (0.54) buffers each stream's records separately, drains the buffers in parallel,
writes STATE only when another record arrives, ends the run at the first record that
does not match its schema, and lets a signal start a drain within a drain. This target
guarantees order across streams, timely STATE and rejected records instead. All replaced
names that the SDK does not mean to be overridden are listed in :data:`OVERRIDDEN`,
other private names in :data:`USED_PRIVATE` and :data:`IMPORTED_PRIVATE`; tests check
that the SDK still has them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from contextlib import closing
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

from singer_sdk.exceptions import MappingError
from singer_sdk.target_base import Target

from target_customerio.errors import (
    InputError,
    RecordBeforeSchemaError,
    SettingsError,
    shown_stream,
)
from target_customerio.input.batch_files import rows_of
from target_customerio.input.reader import Message, MessageReader
from target_customerio.json_codec import STRICT, decode_leniently
from target_customerio.records import Place, is_stream_name
from target_customerio.settings.config import complete, unknown_settings
from target_customerio.settings.schema import REMOVED_SETTINGS
from target_customerio.terminal import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from target_customerio.prepared_streams import PreparedStream
    from target_customerio.records import Row
    from target_customerio.run import Run

OVERRIDDEN: Final = (
    "_handle_termination",
    "_process_activate_version_message",
    "_process_batch_message",
    "_process_record_message",
    "_process_schema_message",
    "_process_state_message",
    "_setup_signal_handlers",
    "_validate_config",
    "process_lines",
)
"""Private and final names of the SDK that are overridden here."""

USED_PRIVATE: Final = ("_config",)
"""Private attributes of the SDK's classes that the package uses."""

IMPORTED_PRIVATE: Final = ("_ConfigInput",)
"""Private names that the package imports from the SDK: the type of the option
``--config``, in :mod:`.target` and :mod:`.command_line`."""


class SingerTarget(Target):
    """A target whose streams share one ordered queue.

    Attributes:
        run: The run.
        when_stopped: What it does after a signal, for the log.
    """

    run: Run
    when_stopped = "stopped reading, delivering what was read"

    def __init__(self, *, handles_signals: bool = True, **options: Any) -> None:  # noqa: ANN401 - the SDK's own
        """Create the target.

        Args:
            handles_signals: Whether signals stop the reader.
            options: The options of the SDK's target.
        """
        self._handles_signals = handles_signals
        # The SDK installs signal handlers, which stop the reader.
        self.reader = MessageReader()
        self._message = Message("", {}, b"", 0, STRICT)
        self._versions_ignored = False
        super().__init__(**options)
        # The sinks buffer nothing that the SDK could drain in parallel.
        self.max_parallelism = 1

    # Final in the SDK, whose readers know only callbacks for messages.
    def process_lines(self, file_input: IO[Any] | None) -> Counter[str]:  # type: ignore[misc]
        """Process the messages of the input, in order.

        Before the reader waits for more input, what was read is queued for delivery.

        Args:
            file_input: The input; default is standard input.

        Returns:
            The number of messages of each type.

        Raises:
            InputError: The input is not valid Singer.
            TargetError: Delivery has failed.
        """
        handlers = {
            "RECORD": self._process_record_message,
            "STATE": self._process_state_message,
            "SCHEMA": self._process_schema_message,
            "BATCH": self._process_batch_message,
            "ACTIVATE_VERSION": self._process_activate_version_message,
        }
        reader = self.reader
        counts = dict.fromkeys(handlers, 0)
        with closing(reader.messages(file_input)) as batches:
            for messages in batches:
                if not messages:
                    self.run.flush()
                for message in messages:
                    if reader.stopped:
                        return Counter(counts)
                    self._message = message
                    kind = message.kind
                    handler = handlers.get(kind) or self._fail_unknown
                    handler(message.content)
                    counts[kind] += 1
        return Counter(counts)

    def _fail_unknown(self, message_dict: dict[str, Any]) -> None:
        """Fail, since the type of the message is unknown."""
        raise InputError(
            f"{self._line()}: unknown message type "
            f"{shown_stream(message_dict['type'])} (bug in the tap)"
        )

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Validate the settings without quoting values, and fill in the defaults."""
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        errors = []
        for name, meant in unknown_settings(self._config, schema).items():
            if name.lower() in REMOVED_SETTINGS:
                errors.append(
                    f"{name}: no longer a setting; {REMOVED_SETTINGS[name.lower()]}"
                )
            elif meant is None:
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
        if not is_stream_name(stream):
            raise self._invalid("SCHEMA", "`stream` must be a printable string")
        if not isinstance(schema, dict):
            raise self._invalid("SCHEMA", "`schema` must be an object")
        if not isinstance(schema.get("properties") or {}, dict):
            raise self._invalid("SCHEMA", "`schema.properties` must be an object")
        if not _is_list_of_names(keys or []):
            raise self._invalid("SCHEMA", "`key_properties` must be a list of strings")
        self.run.add_stream(stream, schema, keys, self._message.line)

    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        """Process a record, unless it was rejected and written out by this run."""
        stream, record = message_dict.get("stream"), message_dict.get("record")
        # Saves a call for almost every record.
        prepared = self.run.streams.get(stream) if isinstance(stream, str) else None
        if prepared is None:
            prepared = self._known_stream(message_dict)
        if not isinstance(record, dict):
            raise self._invalid("RECORD", "`record` must be an object")
        if "rejection" in message_dict:
            recorder = self.run.pipeline.recorder
            if recorder.was_rejected_by_this_run(message_dict):
                recorder.skip(prepared.name, "rejected in this run")
                return
        message = self._message
        self.run.load(prepared, record, message.line, message.number, message.decoding)

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Write the state once everything before it is delivered or rejected."""
        if "value" not in message_dict:
            raise self._invalid("STATE", "`value` is missing")
        value = message_dict["value"]
        if self._message.decoding is not STRICT:
            # The tap has to get back what it wrote: a NaN, not null.
            message = decode_leniently(self._message.line, Decimal, out_of_range=str)
            value = message["value"]
        self.run.pipeline.checkpoint(value)

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Ignore the message: it concerns the versions of tables."""
        if not {"stream", "version"} <= message_dict.keys():
            raise self._invalid(
                "ACTIVATE_VERSION", "`stream` and `version` are required"
            )
        if not self._versions_ignored:
            self._versions_ignored = True
            self.logger.info(
                "Ignoring ACTIVATE_VERSION messages; what is gone from a table is "
                "removed by --remove-missing, after the pipeline (docs/removal.md)"
            )

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        """Process the records in the files of a batch like RECORD messages."""
        prepared = self._known_stream(message_dict)
        manifest, encoding = message_dict.get("manifest"), message_dict.get("encoding")
        if not isinstance(manifest, list) or not isinstance(encoding, dict):
            raise self._invalid(
                "BATCH", "`manifest` must be a list and `encoding` an object"
            )
        for file, path in enumerate(manifest, 1):
            rows = self.reader.interruptible(self._rows_of(str(path), encoding))
            for row, (record, line, decoding) in enumerate(rows, 1):
                self.run.load(
                    prepared,
                    record,
                    b'{"record":%b}' % line,
                    Place(self._message.number, file, row),
                    decoding,
                )

    def _rows_of(self, path: str, encoding: dict[str, Any]) -> Iterator[Row]:
        """Yield the rows of a batch file; errors name the line of the message."""
        is_sandboxed = self.run.pipeline.settings.connection.sandbox is not None
        try:
            yield from rows_of(path, encoding, local_only=is_sandboxed)
        except InputError as error:
            raise InputError(f"{self._line()}: {error}") from error

    def _setup_signal_handlers(self) -> None:
        """Handle signals, unless that is left to the program that loads rows."""
        if self._handles_signals:
            super()._setup_signal_handlers()

    def _handle_termination(
        self,
        signum: int,
        frame: FrameType | None,  # noqa: ARG002 - the SDK's
    ) -> None:
        """Stop reading at the first signal; exit at once at the second."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _exit_at_once)
        self.logger.warning(
            "%s: %s; a second signal exits at once",
            signal.Signals(signum).name,
            self.when_stopped,
        )
        self.reader.stop()

    def _line(self) -> str:
        return f"Line {self._message.number}"

    def _invalid(self, kind: str, problem: str) -> InputError:
        """Return the error for an invalid message."""
        return InputError(f"{self._line()}: invalid {kind}: {problem} (bug in the tap)")

    def _known_stream(self, message: Mapping[str, Any]) -> PreparedStream:
        stream = message.get("stream")
        if not isinstance(stream, str):
            raise self._invalid(message["type"], "`stream` must be a string")
        prepared = self.run.streams.get(stream)
        if prepared is None:
            raise RecordBeforeSchemaError(
                f"{self._line()}: {message['type']} precedes the SCHEMA of its stream "
                f"{shown_stream(stream)} (bug in the tap)"
            )
        return prepared


def _is_list_of_names(keys: object) -> bool:
    return isinstance(keys, list) and all(isinstance(key, str) for key in keys)


def _exit_at_once(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a handler
    sys.stderr.flush()
    TERMINAL.erase()
    os._exit(128 + signum)
