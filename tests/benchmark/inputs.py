"""How fast the same records are read as lines and as batch files of each kind.

``python tests/benchmark/inputs.py [RECORDS] [ROUNDS]`` makes track records of 0.4 KB
from a seed, has the real command deliver them to a server on loopback that takes
everything at once, once for each kind of input in every round, and prints medians. The
time that the command takes for an empty input is subtracted.
"""

from __future__ import annotations

import gzip
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process, Queue
from pathlib import Path
from typing import Any

SEED = 20260301
REGION = b'{"url":"https://track.customer.io","region":"us","environment_id":1}'
SCHEMA = {
    "type": "SCHEMA",
    "stream": "tracks",
    "key_properties": ["messageId"],
    "schema": {
        "type": "object",
        "properties": {
            "messageId": {"type": "string"},
            "userId": {"type": "string"},
            "event": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "properties": {"type": "object"},
        },
    },
}


class Sink(BaseHTTPRequestHandler):
    """Takes every request and says that all is well."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.say(REGION)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.say(b"{}")

    def say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def serve(port: Queue[int]) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    port.put(server.server_port)
    server.serve_forever()


def rows(count: int) -> list[dict[str, Any]]:
    draw = random.Random(SEED)
    return [
        {
            "messageId": f"made-up-{number:08}",
            "userId": f"p-{draw.randrange(50_000)}",
            "event": "Order Completed",
            "timestamp": f"2026-05-01T10:{number // 60 % 60:02}:{number % 60:02}Z",
            "properties": {
                "order_id": f"o-{number}",
                "total": draw.randrange(10_000) / 100,
                "currency": "EUR",
                "due_at": "2026-05-15T10:00:00Z",
                "note": "x" * 200,
            },
        }
        for number in range(count)
    ]


def write(folder: Path, records: list[dict[str, Any]]) -> dict[str, Path]:
    """Write the records as lines and as batch files; return the input of each run."""
    import pyarrow as pa  # noqa: PLC0415 - loads slowly
    from pyarrow import parquet  # noqa: PLC0415 - loads slowly

    lines = [json.dumps(record) for record in records]
    text = "\n".join(lines).encode() + b"\n"
    (folder / "rows.jsonl").write_bytes(text)
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(text))
    parquet.write_table(pa.Table.from_pylist(records), folder / "rows.parquet")
    messages = {
        "an empty input": [],
        "RECORD lines": [
            {"type": "RECORD", "stream": "tracks", "record": record}
            for record in records
        ],
        "BATCH, jsonl": [batch(folder / "rows.jsonl", format="jsonl")],
        "BATCH, jsonl, gzip": [
            batch(folder / "rows.jsonl.gz", format="jsonl", compression="gzip")
        ],
        "BATCH, parquet": [batch(folder / "rows.parquet", format="parquet")],
    }
    inputs = {}
    for number, (kind, lines_of_kind) in enumerate(messages.items()):
        inputs[kind] = folder / f"input-{number}.singer"
        with inputs[kind].open("w", encoding="utf-8") as file:
            file.writelines(
                json.dumps(each) + "\n" for each in [SCHEMA, *lines_of_kind]
            )
    return inputs


def batch(path: Path, **encoding: str) -> dict[str, Any]:
    return {
        "type": "BATCH",
        "stream": "tracks",
        "encoding": encoding,
        "manifest": [path.as_uri()],
    }


def seconds(folder: Path, source: Path) -> float:
    command = [sys.executable, "-m", "target_customerio", "--config", "target.json"]
    started = time.perf_counter()
    subprocess.run(
        [*command, "--input", str(source)], cwd=folder, check=True, capture_output=True
    )
    return time.perf_counter() - started


def main(count: int, rounds: int) -> None:
    port: Queue[int] = Queue()
    server = Process(target=serve, args=(port,), daemon=True)
    server.start()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            config = {
                "site_id": "made-up",
                "api_key": "made-up",
                "api_url": f"http://127.0.0.1:{port.get()}",
                "requests_per_second": 1000,
            }
            (folder / "target.json").write_text(json.dumps(config), encoding="utf-8")
            inputs = write(folder, rows(count))
            taken: dict[str, list[float]] = {kind: [] for kind in inputs}
            for _ in range(rounds):
                for kind, source in inputs.items():
                    taken[kind].append(seconds(folder, source))
    finally:
        server.terminate()
        server.join()
    empty = statistics.median(taken.pop("an empty input"))
    medians = {kind: statistics.median(each) - empty for kind, each in taken.items()}
    print(f"{count:,} records, {rounds} rounds, start-up {empty:.2f} s subtracted")
    for kind, median in medians.items():
        ratio = medians["RECORD lines"] / median
        print(f"{kind:20}{count / median:10,.0f} records/s {ratio:6.2f} of lines")


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:3]]
    main(*(given + [50_000, 3][len(given) :]))
