"""Customer.io on loopback, for a target that is a process of its own.

What is answered is decided by a script, a function of the request. :class:`Upstream`
is the script of a server that works; :class:`Faults` and the saboteurs stand before it.
"""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal

import requests

from target_customerio.sandbox import SandboxAdapter
from tests.support.workspace import apply, snapshot

if TYPE_CHECKING:
    from pathlib import Path

Operation = dict[str, Any]

BATCH = "/api/v2/batch"
REGION = "/api/v1/accounts/region"


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: socket.socket

    @property
    def operations(self) -> list[Operation]:
        if not self.body:
            return []
        content = json.loads(self.body)
        return content["batch"] if self.path == BATCH else [content]

    @property
    def abandoned(self) -> bool:
        """Whether the client has hung up, and will have tried again."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        if not readable:
            return False
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def with_operations(self, operations: list[Operation]) -> Request:
        body = json.dumps({"batch": operations}).encode()
        return Request(self.method, self.path, self.headers, body, self.connection)


@dataclass(frozen=True)
class Reply:
    """What to answer, and how badly."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    fault: Literal["reset", "cut", "silence"] | None = None


Script = Callable[[Request], Reply]

REGION_REPLY = Reply(body=b'{"region": "us"}')


def accept(request: Request) -> Reply:
    return REGION_REPLY if request.path == REGION else Reply()


class Server:
    """An HTTP server that keeps what it received, and what of it was taken."""

    def __init__(self) -> None:
        self.script: Script = accept
        self.requests: list[Request] = []
        self.taken: list[Operation] = []
        """The operations of requests that were answered with 200, in that order."""
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"

    @property
    def names(self) -> list[str]:
        return [each["name"] for each in self.taken]

    @property
    def posts(self) -> list[Request]:
        return [each for each in self.requests if each.method == "POST"]

    def hold(self, event: threading.Event, seconds: float = 60) -> None:
        """Hold an answer until an event happens or the test is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.closing.is_set():
            if event.wait(0.01):
                return

    def quieten(self, seconds: float = 20) -> None:
        """Wait until all that a dead client has sent is dealt with.

        Connections are accepted in the order in which they were made, so that those of
        the dead have been accepted once another one is answered.
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
        self.closing.set()
        self._server.shutdown()
        for each in list(self._server.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def receive(self, request: Request) -> Reply:
        with self.lock:
            self.requests.append(request)
        reply = self.script(request)
        if reply.status == 200 and not reply.fault and request.method == "POST":
            with self.lock:
                self.taken += request.operations
        return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, owner: Server) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner
        self.open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.open.discard(request)

    def handle_error(self, *_: Any) -> None:
        pass  # clients that hang up are part of the play


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # whole answers in one piece
    server: _Server

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError
        reply = REGION_REPLY
        if self.path != "/":
            reply = self.server.owner.receive(
                Request(
                    self.command, self.path, dict(self.headers), body, self.connection
                )
            )
        if reply.fault == "reset":
            self.reset()
        if reply.fault == "silence":
            self.stay_silent()
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        cut = reply.fault == "cut"
        self.wfile.write(reply.body[: len(reply.body) // 2] if cut else reply.body)
        self.wfile.flush()
        self.close_connection |= cut

    do_GET = answer  # noqa: N815 - the standard library's name
    do_POST = answer  # noqa: N815 - the standard library's name

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.rfile.close()
        self.connection.close()
        raise ConnectionAbortedError

    def stay_silent(self) -> None:
        """Say nothing until the client is tired of it."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not self.server.owner.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable:
                break
        raise ConnectionAbortedError

    def log_message(self, *_: Any) -> None:
        pass


class Upstream:
    """A workspace behind HTTP: what a request says is applied, and answered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.adapter = SandboxAdapter(path)
        self.lock = threading.Lock()
        self.applied = 0

    def __call__(self, request: Request) -> Reply:
        prepared = requests.Request(
            request.method,
            "http://127.0.0.1" + request.path,
            data=request.body,
            headers={"Authorization": request.headers.get("Authorization", "")},
        ).prepare()
        with self.lock:
            # A request that waited here for so long that it is being tried again must
            # not be applied after all: no client could keep its order then.
            if request.abandoned:
                return Reply(fault="reset")
            with self.adapter.send(prepared) as response:
                self.applied += 1
                return Reply(response.status_code, response.content)

    def apply(self, operations: list[Operation]) -> None:
        apply(self.adapter.workspace, *operations)

    def snapshot(self) -> dict[str, Any]:
        return snapshot(self.path)

    def close(self) -> None:
        self.adapter.close()


PAGE = b"<html><h1>Bad gateway</h1>" + bytes(range(256))
SOON = {"Retry-After": "0.3"}

UNAPPLIED: dict[str, Reply] = {
    "429": Reply(429, b'{"errors": [{"reason": "rate"}]}'),
    "429 Retry-After": Reply(429, b"", SOON),
    "500": Reply(500, b""),
    "502 garbage": Reply(502, PAGE),
    "503": Reply(503, b""),
    "503 Retry-After": Reply(503, b"", SOON),
    "504": Reply(504, PAGE),
    "reset": Reply(fault="reset"),
    "silence": Reply(fault="silence"),
}
APPLIED: dict[str, Reply] = {
    "500 applied": Reply(500, b""),
    "502 garbage applied": Reply(502, PAGE),
    "504 applied": Reply(504, b""),
    "200 garbage applied": Reply(200, PAGE),
    "reset applied": Reply(fault="reset"),
    "cut applied": Reply(fault="cut"),
    "cut garbage applied": Reply(200, PAGE, fault="cut"),
    "silence applied": Reply(fault="silence"),
}
RARE = ("silence", "silence applied")
NO_CUSTOMERIO = "200 garbage applied"
"""Told to who asks for the region, it means that this is another server."""


class Faults:
    """What networks and busy servers do, before or after a request is applied.

    One request in six is chosen, so that the share is the same in every run.
    """

    def __init__(self, upstream: Script, seed: int) -> None:
        self.upstream = upstream
        self.turns: list[bool] = []
        self.draw = random.Random(seed)
        self.lock = threading.Lock()
        self.injected: dict[str, int] = dict.fromkeys((*UNAPPLIED, *APPLIED), 0)

    def __call__(self, request: Request) -> Reply:
        kinds = list(self.injected)
        if request.path == REGION:
            kinds.remove(NO_CUSTOMERIO)
        with self.lock:
            fault = None
            if not self.turns:
                self.turns = [True, False, False, False, False, False]
                self.draw.shuffle(self.turns)
            if self.turns.pop():
                weights = [1 if kind in RARE else 3 for kind in kinds]
                (fault,) = self.draw.choices(kinds, weights)
                self.injected[fault] += 1
        if fault in UNAPPLIED:
            return UNAPPLIED[fault]
        reply = self.upstream(request)
        if fault is None:
            return reply
        spoilt = APPLIED[fault]
        if fault == "cut applied":
            return Reply(reply.status, reply.body, fault="cut")
        return spoilt


class Swapping:
    """A saboteur: holds updates of people back until a later one has been applied."""

    def __init__(self, upstream: Script) -> None:
        self.upstream = upstream
        self.lock = threading.Lock()
        self.held: list[Operation] = []
        self.swaps = 0

    def __call__(self, request: Request) -> Reply:
        if request.path != BATCH:
            return self.upstream(request)
        with self.lock:
            operations = request.operations
            due = [held for held in self.held if _is_overtaken(held, operations)]
            self.held = [each for each in self.held if each not in due]
            self.swaps += len(due)
            if not due and len(self.held) < 20 and (last := _last_update(operations)):
                operations.remove(last)
                self.held.append(last)
            return self.upstream(request.with_operations(operations + due))


class Dropping:
    """A saboteur: loses one operation that it says it has taken."""

    def __init__(self, upstream: Script, action: str, after: int) -> None:
        self.upstream = upstream
        self.action = action
        self.left = after
        self.lock = threading.Lock()
        self.dropped = 0

    def __call__(self, request: Request) -> Reply:
        if request.path != BATCH:
            return self.upstream(request)
        with self.lock:
            kept = [each for each in request.operations if not self._drops(each)]
            return self.upstream(request.with_operations(kept))

    def _drops(self, operation: Operation) -> bool:
        if operation["action"] != self.action or self.dropped:
            return False
        self.left -= 1
        self.dropped += self.left < 0
        return self.left < 0


class Doubling:
    """A saboteur: applies one event twice, as if it had no id."""

    def __init__(self, upstream: Script, after: int) -> None:
        self.upstream = upstream
        self.left = after
        self.lock = threading.Lock()
        self.doubled = 0

    def __call__(self, request: Request) -> Reply:
        if request.path != BATCH:
            return self.upstream(request)
        with self.lock:
            operations = request.operations
            for each in list(operations):
                self.left -= each["action"] == "event"
                if self.left < 0 and not self.doubled:
                    copy = {name: each[name] for name in each if name != "id"}
                    operations.append(copy)
                    self.doubled += 1
            return self.upstream(request.with_operations(operations))


def _last_update(operations: list[Operation]) -> Operation | None:
    """Find an update that is ordered by its arrival, not by a timestamp."""
    for each in reversed(operations):
        if each["action"] == "identify" and each["type"] == "person":
            attributes = each["attributes"]
            if attributes and "email" not in attributes and "timestamp" not in each:
                return each
    return None


def _is_overtaken(held: Operation, operations: list[Operation]) -> bool:
    return any(
        each["action"] == "identify"
        and each["identifiers"] == held["identifiers"]
        and any(
            each["attributes"].get(name, value) != value
            for name, value in held["attributes"].items()
        )
        for each in operations
    )
