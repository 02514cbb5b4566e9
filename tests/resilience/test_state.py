"""STATE is written neither too early nor too late, and unchanged."""

from __future__ import annotations

import itertools
import json
import re
import sys
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from support.command import wait_until
from support.customerio import Customerio, Reply, Request, accept
from support.singer import event, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.singer import Message

    from .conftest import StartTarget


def counted(numbers: Any, person: str | None = None) -> Iterator[Message]:
    for number in numbers:
        yield event(number, person)
        yield state({"sent": number + 1})


class HoldingOne:
    """A script that delays the response to the request with one event."""

    def __init__(self, server: Customerio, name: str) -> None:
        self.server = server
        self.name = name
        self.released = threading.Event()

    def __call__(self, request: Request) -> Reply:
        if any(each["name"] == self.name for each in request.operations):
            self.server.hold(self.released)
        return accept(request)


def test_no_state_before_the_response(
    start_target: StartTarget, server: Customerio
) -> None:
    server.script = holding = HoldingOne(server, "0")
    child = start_target({"batch_size_rows": 10, "max_concurrent_requests": 1})
    child.send(schema("tracks"), *counted(range(10)))
    wait_until(lambda: server.posts)
    time.sleep(2.5)
    assert child.states == []
    holding.released.set()
    child.wait_for_state({"sent": 10})
    child.close_input()
    assert child.wait() == 0


def test_state_waits_for_the_earlier_of_two_requests(
    start_target: StartTarget, server: Customerio
) -> None:
    server.script = holding = HoldingOne(server, "0")
    child = start_target({"batch_size_rows": 10, "max_concurrent_requests": 2})
    child.send(schema("tracks"), *counted(range(20)))
    wait_until(lambda: len(server.taken) == 10)
    assert sorted(map(int, server.taken_names)) == list(range(10, 20))
    time.sleep(2.5)
    assert child.states == []
    holding.released.set()
    child.wait_for_state({"sent": 20})
    child.close_input()
    assert child.wait() == 0


def test_state_covers_the_requests_before_the_delayed_one(
    start_target: StartTarget, server: Customerio
) -> None:
    server.script = holding = HoldingOne(server, "10")
    child = start_target({"batch_size_rows": 10, "max_concurrent_requests": 2})
    child.send(schema("tracks"), *counted(range(20)))
    wait_until(lambda: len(server.taken) == 10)
    child.wait_for_state({"sent": 10})
    time.sleep(2.5)
    assert child.states[-1] == {"sent": 10}
    holding.released.set()
    child.wait_for_state({"sent": 20})
    child.close_input()
    assert child.wait() == 0


def test_state_is_written_while_a_slow_tap_sends(
    start_target: StartTarget, server: Customerio
) -> None:
    child = start_target()
    child.send(schema("tracks"), state({"sent": 0}))
    child.wait_for_state({"sent": 0})  # its start is not measured
    sent: dict[int, float] = {}
    began = time.monotonic()
    for number in range(60):
        sent[number + 1] = time.monotonic()
        child.send(event(number, "ada"), state({"sent": number + 1}))
        server.closing.wait(max(0, began + number / 5 - time.monotonic()))
    child.close_input()
    assert child.wait() == 0
    written = [(moment, json.loads(line)["sent"]) for moment, line in child.state_lines]
    assert written[-1][1] == 60
    for number, moment in sent.items():
        lag = min(then for then, reached in written if reached >= number) - moment
        assert lag < 8, f"STATE {number} came after {lag:.1f} seconds"
    assert len(written) >= 5


EXACT = (
    '{"bookmark": 1234567890123456789012345678901234567890, '
    '"position": 0.1000000000000000055511151231257827, "tiny": 1E-400, '
    '"text": "Łódź \\u2028", "nested": [{"a": null, "b": true}]}'
)


def test_state_keeps_all_digits(start_target: StartTarget) -> None:
    child = start_target()
    line = b'{"type": "STATE", "value": ' + EXACT.encode() + b"}\n"
    child.send(schema("tracks"), event(0), line)
    child.close_input()
    assert child.wait() == 0
    (found,) = child.states
    assert found == json.loads(EXACT, parse_float=Decimal)
    assert isinstance(found["position"], Decimal)


def numbered(request: Request) -> set[int]:
    return {int(each["name"]) for each in request.operations}


UNDELIVERED = (
    "could not be delivered .*; no STATE was written for what is undelivered, so the "
    "tap sends it again"
)


@pytest.mark.parametrize(
    ("reply", "settings", "expected"),
    [
        (Reply(401, b'{"meta": {"error": "no"}}'), {}, "site_id"),
        (Reply(403), {}, "site_id"),
        (Reply(503), {"max_retry_seconds": 2}, UNDELIVERED),
        (Reply(fault="reset"), {"max_retry_seconds": 1}, UNDELIVERED),
        (Reply(302, headers={"Location": "https://example.com"}), {}, "redirect"),
        (Reply(404), {"max_retry_seconds": 2}, "HTTP 404"),
    ],
    ids=["401", "403", "503", "reset", "302", "404"],
)
def test_a_failed_run_writes_no_state_for_undelivered_records(
    reply: Reply,
    settings: dict[str, Any],
    expected: str,
    start_target: StartTarget,
    server: Customerio,
) -> None:
    broken = threading.Event()

    def script(request: Request) -> Reply:
        if 100 in numbered(request):
            broken.set()
        return reply if broken.is_set() else accept(request)

    server.script = lambda each: script(each) if each.body else accept(each)
    child = start_target(
        {"batch_size_rows": 10, "max_concurrent_requests": 4, **settings}
    )
    child.send(schema("tracks"))
    child.send_in_background(counted(range(2_000)))
    assert child.wait() == 1
    assert re.search(expected, child.error), child.error
    taken = set(map(int, server.taken_names))
    assert 100 not in taken
    for reached in (each["sent"] for each in child.states):
        assert taken.issuperset(range(reached))
        assert reached <= 100
    assert child.states[-1]["sent"] >= 10


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_bounded_while_customerio_stalls(
    start_target: StartTarget, server: Customerio
) -> None:
    released = threading.Event()

    def script(request: Request) -> Reply:
        if request.method == "POST":
            server.hold(released)
            return Reply(401)  # so as not to wait for 200 MB to be delivered
        return accept(request)

    server.script = script
    padding = "x" * 20_000
    sent = itertools.count()

    def feed() -> Iterator[Message]:
        for number in range(10_000):  # 200 MB
            next(sent)
            message = event(number)
            message["record"]["properties"] = {"padding": padding}
            yield message
            yield state({"sent": number + 1})

    child = start_target({"request_timeout_seconds": 60})
    child.send(schema("tracks"))
    child.send_in_background(feed())
    wait_until(lambda: len(server.posts) == 8)
    wait_until(child.is_stuck)
    time.sleep(2)
    assert child.is_stuck()
    assert next(sent) < 1_000
    assert child.memory("VmHWM") < 150_000_000
    assert child.states == []
    released.set()
    assert child.wait() == 1
