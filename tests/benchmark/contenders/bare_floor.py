"""The bare floor: decodes each line, encodes one operation, nothing else."""

from __future__ import annotations

import sys

import msgspec

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode

for line in sys.stdin.buffer:
    message = decode(line)
    if message["type"] == "RECORD":
        record = message["record"]
        encode(
            {
                "type": "person",
                "action": "event",
                "identifiers": {"id": record["userId"]},
                "id": record["messageId"],
                "name": record["event"],
                "timestamp": record["timestamp"],
                "attributes": record["properties"],
            }
        )
