"""Customer.io over HTTP on loopback: answers by a script, and records requests."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NoReturn

BATCH = "/api/v2/batch"
REGION = "/api/v1/accounts/region"
MAX_SILENCE_SECONDS = 60
"""Seconds after which the server gives up a client that it does not answer."""

JSON = dict[str, Any]
Fault = Literal[
    "reset",
    "cut",
    "cut_status",
    "cut_headers",
    "silence",
    "trickled_body",
    "trickled_headers",
]
CUT_HEADS = {
    "cut_status": b"HTTP/1.1 %d Mu",
    "cut_headers": b"HTTP/1.1 %d OK\r\nX-Name: value\r\nCon",
}


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
    socket: socket.socket = field(repr=False, compare=False)

    @property
    def operations(self) -> list[JSON]:
        """Return the operations in the body."""
        if not self.body:
            return []
        content: JSON = json.loads(self.body)
        return content.get("batch", []) if self.path == BATCH else [content]

    @property
    def names(self) -> list[str]:
        """Return the names of the events in the body."""
        return [each["name"] for each in self.operations]

    @property
    def abandoned(self) -> bool:
        """Tell whether the client has closed the connection."""
        readable, _, _ = select.select([self.socket], [], [], 0)
        if not readable:
            return False
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def with_operations(self, operations: list[JSON]) -> Request:
        """Return the request with other operations in its body."""
        body = json.dumps({"batch": operations}).encode()
        return dataclasses.replace(self, body=body)


@dataclass(frozen=True)
class Reply:
    """An answer, with a delay in seconds or a fault of the network."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    fault: Fault | None = None
    raw: tuple[bytes, ...] = ()
    """What is sent instead, in parts with a little time between them."""

    @classmethod
    def of(cls, content: object, status: int = 200, **more: Any) -> Reply:
        """Return an answer with a JSON body."""
        return cls(status, json.dumps(content).encode(), **more)


Script = Callable[[Request], Reply]

REGION_REPLY = Reply.of({"region": "us", "data_center": "us"})


def accept(request: Request) -> Reply:
    """Accept everything."""
    return REGION_REPLY if request.path == REGION else Reply()


def always(reply: Reply, *, region: Reply | None = None) -> Script:
    """Return a script with one answer for everything, or all but the region."""

    def script(request: Request) -> Reply:
        return region if region and request.path == REGION else reply

    return script


class Customerio:
    """An HTTP server that records what it receives.

    Replies in ``next_replies`` come first, then ``script`` decides.
    """

    def __init__(self, script: Script = accept) -> None:
        """Start to listen."""
        self.script = script
        self.next_replies: list[Reply] = []
        self.resets_on_connect = 0
        self.requests: list[Request] = []
        self.taken: list[JSON] = []
        """The operations of requests answered with 200, in the order of answers."""
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
    def address(self) -> tuple[str, int]:
        """Return host and port."""
        return "127.0.0.1", self._server.server_address[1]

    @property
    def url(self) -> str:
        """Return the base URL, for ``api_url``."""
        host, port = self.address
        return f"http://{host}:{port}"

    @property
    def posts(self) -> list[Request]:
        """Return the requests that send something."""
        return [each for each in self.requests if each.method == "POST"]

    @property
    def operations(self) -> list[JSON]:
        """Return the operations of all requests, whatever was answered."""
        return [each for request in self.requests for each in request.operations]

    @property
    def names(self) -> list[str]:
        """Return the names of the events in all requests."""
        return [each["name"] for each in self.operations]

    @property
    def taken_names(self) -> list[str]:
        """Return the names of the events that were taken."""
        return [each["name"] for each in self.taken]

    @property
    def taken_ids(self) -> list[str]:
        """Return the ids of the people in the operations that were taken."""
        return [each["identifiers"]["id"] for each in self.taken]

    @property
    def authorizations(self) -> set[str]:
        """Return the credentials of all requests."""
        return {each.headers["Authorization"] for each in self.requests}

    def reply_next(self, *replies: Reply) -> None:
        """Answer the next requests with these replies."""
        self.next_replies += replies

    def wait_for(self, count: int, seconds: float = 60) -> None:
        """Wait until so many requests have arrived."""
        deadline = time.monotonic() + seconds
        while len(self.requests) < count:
            assert time.monotonic() < deadline, "the requests did not arrive"
            time.sleep(0.005)

    def hold(self, event: threading.Event, seconds: float = 60) -> None:
        """Hold an answer until an event happens or the test is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.closing.is_set():
            if event.wait(0.01):
                return

    def wait_until_idle(self, seconds: float = 60) -> None:
        """Wait until everything that a killed client sent is processed.

        Connections are accepted in the order in which they were opened: those of the
        client have been accepted once this one is answered.
        """
        with socket.create_connection(self.address, seconds) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while connection.recv(65_536):
                pass
        deadline = time.monotonic() + seconds
        while self._server.open:
            assert time.monotonic() < deadline, "the server is still busy"
            time.sleep(0.005)

    def close(self) -> None:
        """Close every connection, and stop."""
        self.closing.set()
        self._server.shutdown()
        for each in list(self._server.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Reply:
        """Record a request, and decide on the answer."""
        with self._answering():
            with self.lock:
                request = dataclasses.replace(request, number=len(self.requests))
                self.requests.append(request)
                prepared = self.next_replies.pop(0) if self.next_replies else None
            reply = prepared or self.script(request)
            if reply.status == 200 and not reply.fault and request.method == "POST":
                with self.lock:
                    self.taken += request.operations
            if reply.delay:
                self.closing.wait(reply.delay)
        return reply

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        with self.lock:
            self.in_flight += 1
            self.max_in_flight = max(self.in_flight, self.max_in_flight)
        try:
            yield
        finally:
            with self.lock:
                self.in_flight -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, customerio: Customerio) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.customerio = customerio
        self.open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that close the connection are part of the tests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # whole answers in one piece, unless flushed
    server: _Server

    @property
    def customerio(self) -> Customerio:
        return self.server.customerio

    def setup(self) -> None:
        with self.customerio.lock:
            self.customerio.connections += 1
            self.number = self.customerio.connections
            resets = self.customerio.resets_on_connect > 0
            self.customerio.resets_on_connect -= resets
        super().setup()
        if resets:
            self._reset()

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError
        if self.request_version == "HTTP/1.0":  # wait_until_idle
            self._send(Reply())
            return
        request = Request(
            self.command,
            self.path,
            dict(self.headers),
            body,
            time.monotonic(),
            self.number,
            0,
            self.connection,
        )
        self._send(self.customerio.answer(request))

    do_GET = answer  # noqa: N815 - the standard library's name
    do_POST = answer  # noqa: N815 - the standard library's name

    def _send(self, reply: Reply) -> None:
        if reply.raw:
            self._send_raw(reply.raw)
            return
        if reply.fault == "reset":
            self._reset()
        if reply.fault == "silence":
            self._stay_silent()
        if reply.fault == "trickled_headers":
            self._trickle(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 10_000)
        if reply.fault in CUT_HEADS:
            self.wfile.write(CUT_HEADS[reply.fault] % reply.status)
            self.close_connection = True
            return
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.fault == "trickled_body":
            self._trickle(reply.body)
        is_cut = reply.fault == "cut"
        self.wfile.write(reply.body[: len(reply.body) // 2] if is_cut else reply.body)
        self.wfile.flush()
        self.close_connection |= is_cut

    def _send_raw(self, parts: tuple[bytes, ...]) -> None:
        for each in parts:
            self.wfile.write(each)
            self.wfile.flush()
            self.customerio.closing.wait(0.05)

    def _reset(self) -> NoReturn:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.rfile.close()
        self.connection.close()
        raise ConnectionAbortedError

    def _stay_silent(self) -> NoReturn:
        """Say nothing until the client closes the connection."""
        deadline = time.monotonic() + MAX_SILENCE_SECONDS
        while time.monotonic() < deadline and not self.customerio.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable:
                break
        raise ConnectionAbortedError

    def _trickle(self, content: bytes) -> NoReturn:
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.customerio.closing.wait(0.05):
                break
        raise ConnectionAbortedError

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass
