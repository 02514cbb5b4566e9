"""A cheap loopback server that accepts everything.

``python loopback.py MILLISECONDS [STALL_SECONDS]`` prints its port. It answers each
request that many milliseconds after it has come in whole, and the first one only after
it has stalled. ``GET /figures`` returns the counts since the last such request.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial

REGION = b'{"url":"https://track.customer.io","region":"us","environment_id":1}'
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
END_OF_HEAD = b"\r\n\r\n"
AN_OPERATION = b'"action":'
MORE_ROOM = 1 << 20


@dataclass
class Figures:
    """Counts of what was received, and the CPU time at which counting began."""

    requests: int = 0
    bytes: int = 0
    operations: int = 0
    since: float = field(default_factory=time.process_time)

    def taken(self) -> dict[str, float]:
        """Return the counts and the CPU seconds that they took, and begin anew."""
        now = time.process_time()
        figures = {**asdict(self), "cpu_seconds": now - self.since}
        del figures["since"]
        self.requests = self.bytes = self.operations = 0
        self.since = now
        return figures


class Wait:
    """The response time in seconds."""

    def __init__(self, latency: float, stall: float) -> None:
        self.latency = latency
        self._stall = stall

    def next(self) -> float:
        stall, self._stall = self._stall, 0.0
        return max(stall, self.latency)


class Connection(asyncio.BufferedProtocol):
    """Handles requests one after the other."""

    transport: asyncio.Transport

    def __init__(self, figures: Figures, wait: Wait) -> None:
        self._figures = figures
        self._wait = wait
        self._buffer = bytearray(MORE_ROOM)
        self._filled = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        if self._filled == len(self._buffer):
            self._buffer = self._buffer + bytearray(len(self._buffer))
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        head = self._buffer.find(END_OF_HEAD, 0, self._filled)
        if head < 0:
            return
        length = LENGTH.search(self._buffer, 0, head)
        end = head + len(END_OF_HEAD) + (int(length[1]) if length else 0)
        if self._filled >= end:
            self._filled = 0  # no client here pipelines requests
            self._answer(head + len(END_OF_HEAD), end)

    def _answer(self, start: int, end: int) -> None:
        if self._buffer.startswith(b"GET /figures"):
            self._send(json.dumps(self._figures.taken()).encode())
        elif self._buffer.startswith(b"GET"):
            self._send(REGION)
        else:
            self._figures.requests += 1
            self._figures.bytes += end - start
            self._figures.operations += (
                self._buffer.count(AN_OPERATION, start, end) or 1
            )
            asyncio.get_running_loop().call_later(self._wait.next(), self._send, b"{}")

    def _send(self, body: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )


async def serve(milliseconds: float, stall: float) -> None:
    """Print the port, and serve until stopped."""
    wait = Wait(milliseconds / 1_000, stall)
    server = await asyncio.get_running_loop().create_server(
        partial(Connection, Figures(), wait), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    arguments = [float(each) for each in sys.argv[1:]]
    asyncio.run(serve(*(arguments + [0.0, 0.0][len(arguments) :])))
