"""The simple way: the SDK's batch sink, with 500 KB per request."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, ClassVar

import requests
from singer_sdk import Target
from singer_sdk.sinks import BatchSink

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BYTES = 500_000


class ChunkSink(BatchSink):
    def __init__(
        self,
        target: Target,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._session = requests.Session()
        self._session.auth = ("made-up", "made-up")

    def process_batch(self, context: dict[str, Any]) -> None:
        chunk: list[str] = []
        size = 0
        for record in context["records"]:
            operation = json.dumps(_operation(record), default=float)
            if chunk and size + len(operation) > MOST_BYTES:
                self._send(chunk)
                chunk, size = [], 0
            chunk.append(operation)
            size += len(operation) + 1
        if chunk:
            self._send(chunk)

    def _send(self, chunk: list[str]) -> None:
        answer = self._session.post(
            os.environ["LOOPBACK"] + "/api/v2/batch",
            data='{"batch":[' + ",".join(chunk) + "]}",
            headers={"Content-Type": "application/json"},
            timeout=30,
        )
        answer.raise_for_status()


def _operation(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "person",
        "action": "event",
        "identifiers": {"id": record["userId"]},
        "id": record["messageId"],
        "name": record["event"],
        "timestamp": int(record["timestamp"].timestamp()),
        "attributes": record["properties"],
    }


class ChunkTarget(Target):
    name = "target-chunks"
    config_jsonschema: ClassVar[dict[str, Any]] = {"properties": {}}
    default_sink_class = ChunkSink


if __name__ == "__main__":
    ChunkTarget.cli()
