"""The usual way: the official client, called once per record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from customerio import CustomerIO
from singer_sdk import Target
from singer_sdk.sinks import RecordSink

if TYPE_CHECKING:
    from collections.abc import Sequence


class ClientSink(RecordSink):
    def __init__(
        self,
        target: Target,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._client = CustomerIO("made-up", "made-up")
        self._client.base_url = os.environ["LOOPBACK"] + "/api/v1"

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:  # noqa: ARG002 - the SDK's
        self._client.track(
            record["userId"],
            record["event"],
            _without_decimals(record["properties"]),
            id=record["messageId"],
            timestamp=int(record["timestamp"].timestamp()),
        )


def _without_decimals(properties: dict[str, Any]) -> dict[str, Any]:
    """Convert the SDK's decimals, which ``requests`` cannot encode."""
    return {
        name: _plain(value) for name, value in properties.items() if value is not None
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value if isinstance(value, (str, int, bool)) else float(value)


class ClientTarget(Target):
    name = "target-official-client"
    config_jsonschema: ClassVar[dict[str, Any]] = {"properties": {}}
    default_sink_class = ClientSink


if __name__ == "__main__":
    ClientTarget.cli()
