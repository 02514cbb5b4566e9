"""The floor of the SDK: this target's reader and validation, and idle sinks."""

from __future__ import annotations

from typing import Any, ClassVar

from singer_sdk import Target
from singer_sdk.sinks import BatchSink

from target_customerio.reader import MessageReader
from target_customerio.validation import RecordValidator


class IdleSink(BatchSink):
    """Takes records, and does nothing with them."""

    def get_validator(self) -> RecordValidator:
        return RecordValidator(self.schema)

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Do nothing."""

    def process_batch(self, context: dict[str, Any]) -> None:
        """Do nothing."""


class IdleTarget(Target):
    name = "target-idle"
    config_jsonschema: ClassVar[dict[str, Any]] = {"properties": {}}
    message_reader_class = MessageReader
    default_sink_class = IdleSink


if __name__ == "__main__":
    IdleTarget.cli()
