"""How a run ends before its input does: signals, and pipes and disks that fail."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.command import wait_until
from support.customerio import Customerio, Reply, Request, accept
from support.singer import event, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.command import RunningTarget
    from support.singer import Message

    from .conftest import StartTarget

SIGNALS = [signal.SIGTERM, signal.SIGINT]
by_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
NARROW = {"batch_size_rows": 10, "max_concurrent_requests": 2}
"""So that no more than 40 operations are held."""

WORDS = "stopped reading"


def events(start: int, end: int | None = None) -> Iterator[Message]:
    """Send events, each with a STATE that counts them."""
    for number in itertools.count(start):
        if number == end:
            return
        yield event(number)
        yield state({"sent": number + 1})


class Holding:
    """A script that holds the answers to deliveries until it is told to let go."""

    def __init__(self, server: Customerio) -> None:
        self.server = server
        self.let_go = threading.Event()

    def __call__(self, request: Request) -> Reply:
        if request.method == "POST":
            self.server.hold(self.let_go)
        return accept(request)


class First:
    """A script that answers the first delivery in one way, and the others well."""

    def __init__(self, reply: Reply, method: str = "POST") -> None:
        self.reply = reply
        self.method = method
        self.answered = False

    def __call__(self, request: Request) -> Reply:
        if request.method != self.method or self.answered:
            return accept(request)
        self.answered = True
        return self.reply


@pytest.fixture
def holding(server: Customerio) -> Holding:
    server.script = script = Holding(server)
    return script


def assert_ended_with(
    child: RunningTarget, server: Customerio, count: int, states: int | None = None
) -> None:
    """Assert that all that was read was delivered, and STATE written for it."""
    assert child.process.returncode == 0, child.stderr
    assert sorted(map(int, server.taken_names)) == list(range(count))
    last = child.states[-1]["sent"] if child.states else 0
    assert last == (count if states is None else states)
    assert child.rows_of("tracks") == (count, 0)
    assert child.errors == []


@by_signal
def test_while_the_tap_says_nothing(
    number: signal.Signals, start_target: StartTarget, server: Customerio
) -> None:
    child = start_target()
    child.send(schema("tracks"), *events(0, 5))
    child.wait_for_state({"sent": 5})
    child.send(*events(5, 8))
    child.wait_until_read()
    child.signal(number)
    child.wait()
    assert_ended_with(child, server, 8)


@by_signal
def test_before_anything_has_come(
    number: signal.Signals, start_target: StartTarget, server: Customerio
) -> None:
    child = start_target()
    child.send(schema("tracks"))
    child.wait_until_read()
    child.signal(number)
    assert child.wait() == 0
    assert (child.states, server.requests) == ([], [])


@by_signal
def test_while_requests_are_under_way(
    number: signal.Signals,
    start_target: StartTarget,
    server: Customerio,
    holding: Holding,
) -> None:
    child = start_target(NARROW)
    child.send(schema("tracks"), *events(0, 25))
    wait_until(lambda: len(server.posts) == 2)
    child.wait_until_read()
    child.signal(number)
    wait_until(lambda: WORDS in child.stderr)
    assert child.running
    assert child.states == []
    holding.let_go.set()
    child.wait()
    assert_ended_with(child, server, 25)


@pytest.mark.parametrize(
    ("number", "reply", "pause"),
    [
        (signal.SIGTERM, Reply(503), 0),
        (signal.SIGINT, Reply(429, headers={"Retry-After": "2"}), 2),
        (signal.SIGTERM, Reply(fault="reset"), 0),
    ],
    ids=["503", "429", "reset"],
)
def test_while_waiting_to_try_again(
    number: signal.Signals,
    reply: Reply,
    pause: float,
    start_target: StartTarget,
    server: Customerio,
) -> None:
    server.script = First(reply)
    child = start_target(NARROW)
    child.send(schema("tracks"), *events(0, 15))
    wait_until(lambda: server.posts)
    began = time.monotonic()
    child.wait_until_read()
    child.signal(number)
    child.wait()
    assert time.monotonic() - began >= pause
    assert_ended_with(child, server, 15)


def test_while_asking_for_the_region(
    start_target: StartTarget, server: Customerio
) -> None:
    server.script = First(Reply(503, headers={"Retry-After": "1"}), "GET")
    child = start_target()
    child.send(schema("tracks"), *events(0, 1))
    wait_until(lambda: server.requests)
    child.signal(signal.SIGTERM)
    child.wait()
    # The record had been read, the STATE behind it had not.
    assert_ended_with(child, server, 1, states=0)


@by_signal
def test_while_reading_waits_for_room(
    number: signal.Signals,
    start_target: StartTarget,
    server: Customerio,
    holding: Holding,
) -> None:
    child = start_target(NARROW)
    child.send(schema("tracks"))
    child.send_in_background(events(0))
    wait_until(lambda: len(server.posts) == 2)
    wait_until(child.is_stuck)
    child.signal(number)
    wait_until(lambda: WORDS in child.stderr)
    holding.let_go.set()
    child.wait()
    count = len(server.taken_names)
    # One more than there is room for had been read, but not the STATE behind it.
    assert count == 41
    assert_ended_with(child, server, count, states=40)


@pytest.mark.parametrize(
    ("number", "second"),
    [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)],
    ids=["SIGTERM first", "SIGINT first"],
)
def test_a_second_signal_exits_at_once(
    number: signal.Signals,
    second: signal.Signals,
    start_target: StartTarget,
    server: Customerio,
    holding: Holding,
) -> None:
    child = start_target(NARROW)
    child.send(schema("tracks"), *events(0, 25))
    wait_until(lambda: len(server.posts) == 2)
    child.signal(number)
    wait_until(lambda: WORDS in child.stderr)
    began = time.monotonic()
    child.signal(second)
    assert child.wait() == 128 + second
    assert time.monotonic() - began < 2
    assert child.states == []
    assert "Traceback" not in child.stderr
    assert not holding.let_go.is_set()


def test_in_the_middle_of_a_batch_file(
    start_target: StartTarget, server: Customerio, holding: Holding, tmp_path: Path
) -> None:
    rows = [event(number)["record"] for number in range(5_000)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    child = start_target(NARROW)
    child.send(
        schema("tracks"),
        *events(0, 1),
        {
            "type": "BATCH",
            "stream": "tracks",
            "encoding": {"format": "jsonl"},
            "manifest": [str(path)],
        },
        state({"sent": "all of it"}),
    )
    wait_until(lambda: len(server.posts) == 2)
    child.signal(signal.SIGTERM)
    wait_until(lambda: WORDS in child.stderr)
    holding.let_go.set()
    assert child.wait() == 0
    assert 40 <= len(server.taken_names) < 100
    assert child.rows_of("tracks") == (len(server.taken_names), 0)
    assert child.states == [{"sent": 1}]


# Pipes, disks and input that are none


def some_input(folder: Path, *messages: Message) -> str:
    lines = [schema("tracks", {"event": {"type": "string"}}), *messages]
    text = "".join(json.dumps(each) + "\n" for each in lines)
    (folder / "input.singer.jsonl").write_text(text)
    return str(folder / "input.singer.jsonl")


def test_standard_input_is_closed(start_target: StartTarget) -> None:
    child = start_target(stdin=None, shell="<&-")
    assert child.wait() == 1
    assert "Standard input is closed" in child.error
    assert child.states == []


@pytest.mark.parametrize("how", ["closed", "nobody reads", "full"])
def test_standard_output_takes_no_state(
    how: str, start_target: StartTarget, server: Customerio, tmp_path: Path
) -> None:
    path = some_input(tmp_path, *events(0, 3))
    with open(path, "rb") as file:  # noqa: PTH123 - a descriptor is what is needed
        if how == "nobody reads":
            reader, writer = os.pipe()
            os.close(reader)
            child = start_target(stdin=file, stdout=writer)
            os.close(writer)
        else:
            shell = {"closed": ">&-", "full": ">/dev/full"}[how]
            child = start_target(stdin=file, stdout=subprocess.DEVNULL, shell=shell)
        assert child.wait() == 1
    assert "Cannot write STATE" in child.error
    assert sorted(server.taken_names) == ["0", "1", "2"]


def test_the_disk_of_the_rejected_records_is_full(
    start_target: StartTarget, server: Customerio
) -> None:
    child = start_target({"rejected_records_path": "/dev/full"})
    child.send(schema("tracks"), *events(0, 3))
    child.wait_for_state({"sent": 3})
    child.send(record("tracks", userId="ada"), state({"sent": 4}), *events(4, 6))
    child.close_input()
    assert child.wait() == 1
    assert "/dev/full" in child.error
    assert child.states[-1] == {"sent": 3}
    assert sorted(server.taken_names) == ["0", "1", "2"]


def test_customerio_refuses_when_the_disk_is_full(
    start_target: StartTarget, server: Customerio
) -> None:
    """The rejection comes in a thread of the delivery, and has to end the run too."""

    def script(request: Request) -> Reply:
        error: dict[str, Any] = {"batch_index": 1, "reason": "no", "message": "no"}
        if request.method == "POST":
            return Reply(207, json.dumps({"errors": [error]}).encode())
        return accept(request)

    server.script = script
    child = start_target({"rejected_records_path": "/dev/full"})
    child.send(schema("tracks"), *events(0, 3))
    child.close_input()
    assert child.wait() == 1
    assert "/dev/full" in child.error
    assert child.states == []


def test_standard_input_is_a_folder(
    start_target: StartTarget, server: Customerio, tmp_path: Path
) -> None:
    """Python itself does not even start on one."""
    child = start_target(stdin=None, shell=f"< '{tmp_path}'")
    assert child.wait() == 1
    assert (child.states, server.requests) == ([], [])


def test_the_input_is_garbage(start_target: StartTarget, server: Customerio) -> None:
    child = start_target()
    child.send(schema("tracks"), *events(0, 3))
    garbage = random.Random(0).randbytes(20_000)
    child.send_in_background([garbage + b"\n"])
    assert child.wait() == 1
    assert child.error.startswith("Line 8: ")
    assert child.states[-1] == {"sent": 3}
    assert sorted(server.taken_names) == ["0", "1", "2"]


def test_half_a_rejected_record_of_a_killed_run_is_taken_away(
    start_target: StartTarget, tmp_path: Path
) -> None:
    """Linux stops even a single write where it is when its process is killed."""
    path = tmp_path / "rejected.singer.jsonl"
    whole = b'{"type":"RECORD","stream":"tracks","record":{}}'
    path.write_bytes(whole + b'\n{"type":"RECORD","stream":"tracks","rec')
    child = start_target({"rejected_records_path": str(path)})
    child.send(schema("tracks"), record("tracks", userId="ada"))
    child.close_input()
    assert child.wait() == 0
    first, second, third = path.read_bytes().splitlines()
    assert first == whole
    assert [json.loads(each)["type"] for each in (second, third)] == [
        "SCHEMA",
        "RECORD",
    ]
    assert f"line 3 of {path}" in child.stderr
