"""The floor of the SDK: this target's reader and validation, and idle sinks."""

from __future__ import annotations

from collections import Counter
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk import Target
from singer_sdk.exceptions import InvalidRecord
from singer_sdk.io_base import GenericSingerReader
from singer_sdk.sinks import BatchSink
from singer_sdk.sinks.core import BaseJSONSchemaValidator

from target_customerio.input.reader import MessageReader, standard_input
from target_customerio.validation import RecordValidator

if TYPE_CHECKING:
    from collections.abc import Callable


class Reader(GenericSingerReader[bytes]):
    """This target's reader, called by the SDK."""

    @property
    def default_input(self) -> IO[bytes]:
        return standard_input()

    def process_lines(
        self, file_input: IO[Any] | None, callbacks: dict[str, Callable[[Any], None]]
    ) -> Counter[str]:
        counts: Counter[str] = Counter()
        for messages in MessageReader().messages(file_input):
            for message in messages:
                callbacks[message.kind](message.content)
                counts[message.kind] += 1
        return counts

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        raise NotImplementedError


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
    message_reader_class = Reader
    default_sink_class = IdleSink


if __name__ == "__main__":
    IdleTarget.cli()
