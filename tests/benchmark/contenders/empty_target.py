"""An empty target: the start-up time of the SDK itself."""

from __future__ import annotations

from typing import Any, ClassVar

from singer_sdk import Target
from singer_sdk.sinks import RecordSink


class EmptySink(RecordSink):
    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Do nothing."""


class EmptyTarget(Target):
    name = "target-empty"
    config_jsonschema: ClassVar[dict[str, Any]] = {"properties": {}}
    default_sink_class = EmptySink


if __name__ == "__main__":
    EmptyTarget.cli()
