"""A fake Customer.io on loopback with scripted responses."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    arrived: float
    connection: int
    number: int

    @property
    def operations(self) -> list[dict[str, Any]]:
        content = json.loads(self.body)
        return content["batch"] if self.path == "/api/v2/batch" else [content]

    @property
    def names(self) -> list[str]:
        return [each["name"] for each in self.operations]


@dataclass(frozen=True)
class Reply:
    """A response, and how it fails."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    fault: (
        Literal[
            "reset",
            "cut",
            "cut_status",
            "cut_headers",
            "silence",
            "trickled_body",
            "trickled_headers",
        ]
        | None
    ) = None


Script = Callable[[Request], Reply]

CUT = {
    "cut_status": b"HTTP/1.1 %d Mu",
    "cut_headers": b"HTTP/1.1 %d OK\r\nX-Name: value\r\nCon",
}


class Customerio:
    """An HTTP server that remembers its requests.

    ``script`` makes the responses; those in ``next_replies`` are used first.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.next_replies: list[Reply] = []
        self.script: Script = lambda _: Reply()
        self.resets_on_connect = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.connections = 0
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def operations(self) -> list[dict[str, Any]]:
        return [each for request in self.requests for each in request.operations]

    @property
    def names(self) -> list[str]:
        return [each["name"] for each in self.operations]

    def reply_next(self, *replies: Reply) -> None:
        self.next_replies += replies

    def wait_for(self, count: int, seconds: float = 5) -> None:
        deadline = time.monotonic() + seconds
        while len(self.requests) < count:
            assert time.monotonic() < deadline, "the requests did not arrive"
            time.sleep(0.005)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def received(self, request: Request) -> Reply:
        with self.lock:
            self.requests.append(request)
            return (
                self.next_replies.pop(0) if self.next_replies else self.script(request)
            )

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        with self.lock:
            self.in_flight += 1
            self.max_in_flight = max(self.in_flight, self.max_in_flight)
        try:
            yield
        finally:
            with self.lock:
                self.in_flight -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, customerio: Customerio) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.customerio = customerio
        self.open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for each in list(self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        pass  # clients that hang up are expected


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # whole responses in one piece, unless flushed
    server: _Server

    @property
    def customerio(self) -> Customerio:
        return self.server.customerio

    def setup(self) -> None:
        with self.customerio.lock:
            self.customerio.connections += 1
            self.connection_number = self.customerio.connections
            reset = self.customerio.resets_on_connect > 0
            self.customerio.resets_on_connect -= reset
        super().setup()
        if reset:
            self.reset()

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.server.open.discard(self.connection)
        self.rfile.close()
        self.connection.close()
        raise ConnectionAbortedError

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.customerio.answering():
            reply = self.customerio.received(
                Request(
                    self.command,
                    self.path,
                    dict(self.headers),
                    body,
                    time.monotonic(),
                    self.connection_number,
                    len(self.customerio.requests),
                )
            )
            if reply.delay:
                self.customerio.closing.wait(reply.delay)
        self.give(reply)

    def give(self, reply: Reply) -> None:
        if reply.fault == "reset":
            self.reset()
        if reply.fault == "silence":
            self.customerio.closing.wait()
            raise ConnectionAbortedError
        if reply.fault == "trickled_headers":
            self.trickle(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 10_000)
        if reply.fault in {"cut_status", "cut_headers"}:
            self.wfile.write(CUT[reply.fault] % reply.status)
            self.close_connection = True
            return
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.fault == "trickled_body":
            self.trickle(reply.body)
        if reply.fault == "cut":
            self.wfile.write(reply.body[: len(reply.body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(reply.body)
        self.wfile.flush()

    def trickle(self, content: bytes) -> None:
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.customerio.closing.wait(0.05):
                break
        raise ConnectionAbortedError

    def log_message(self, *_: Any) -> None:
        pass
