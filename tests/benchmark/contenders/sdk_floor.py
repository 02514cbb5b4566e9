"""The floor of the SDK: this target's reader and validation, and idle sinks."""

from __future__ import annotations

from typing import Any, ClassVar

from singer_sdk import Target
from singer_sdk.exceptions import InvalidRecord
from singer_sdk.sinks import BatchSink
from singer_sdk.sinks.core import BaseJSONSchemaValidator

from target_customerio.reader import MessageReader
from target_customerio.validation import RecordValidator


class Validator(BaseJSONSchemaValidator):
    """This target's validator, called by the SDK."""

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__(schema)
        self._validator = RecordValidator(schema)

    def validate(self, record: dict[str, Any]) -> None:
        rejection = self._validator.rejection_of(record)
        if rejection is not None:
            raise InvalidRecord(rejection.message, {})


class IdleSink(BatchSink):
    """Accepts records and discards them."""

    def get_validator(self) -> Validator:
        return Validator(self.schema)

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
