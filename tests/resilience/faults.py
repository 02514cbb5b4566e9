"""Scripts for Customer.io on loopback.

:class:`SandboxOverHttp` applies requests to a sandbox; the other classes change what it
receives or how it responds.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import requests
from support.customerio import BATCH, REGION, Reply
from support.workspace import apply, contents_of

from target_customerio.sandbox import SandboxAdapter

if TYPE_CHECKING:
    from pathlib import Path

    from support.customerio import Request, Script

Operation = dict[str, Any]


class SandboxOverHttp:
    """A sandbox workspace behind HTTP."""

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
            # A request that was abandoned while it waited here must not be applied
            # after its retry: no client could keep the order then.
            if request.abandoned:
                return Reply(fault="reset")
            with self.adapter.send(prepared) as response:
                self.applied += 1
                return Reply(response.status_code, response.content)

    def apply(self, operations: list[Operation]) -> None:
        apply(self.adapter.workspace, *operations)

    def contents(self) -> dict[str, Any]:
        return contents_of(self.path)

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
"""In response to the region check it would mean another server."""


class RandomFaults:
    """Injects faults of networks and servers, before or after a request is applied.

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


class UpdatesOutOfOrder:
    """Deliberate fault: applies updates of people after a later update."""

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


class LostOperation:
    """Deliberate fault: drops one operation that it reports as accepted."""

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


class EventTwice:
    """Deliberate fault: applies one event twice, as if it had no id."""

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
