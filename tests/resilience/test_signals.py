"""Runs that end before their input: signals, broken pipes and full disks."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.command import clean_environment, wait_until
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
"""At most 40 operations are held."""

STOPPING = "stopped reading"


def events(start: int, end: int | None = None) -> Iterator[Message]:
    """Yield events, each followed by a STATE with their number."""
    for number in itertools.count(start):
        if number == end:
            return
        yield event(number)
        yield state({"sent": number + 1})


class Holding:
    """A script that delays the responses to deliveries until released."""

    def __init__(self, server: Customerio) -> None:
        self.server = server
        self.released = threading.Event()

    def __call__(self, request: Request) -> Reply:
        if request.method == "POST":
            self.server.hold(self.released)
        return accept(request)


class First:
    """A script with one response to the first delivery; it accepts the others."""

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
    """Assert that everything read was delivered and STATE written for it."""
    assert child.process.returncode == 0, child.stderr
    assert sorted(map(int, server.taken_names)) == list(range(count))
    last = child.states[-1]["sent"] if child.states else 0
    assert last == (count if states is None else states)
    assert child.rows_of("tracks") == (count, 0)
    assert child.errors == []


@by_signal
def test_a_signal_while_the_tap_sends_nothing(
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
def test_a_signal_before_the_first_record(
    number: signal.Signals, start_target: StartTarget, server: Customerio
) -> None:
    child = start_target()
    child.send(schema("tracks"))
    child.wait_until_read()
    child.signal(number)
    assert child.wait() == 0
    assert (child.states, server.requests) == ([], [])


@by_signal
def test_a_signal_while_requests_are_in_flight(
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
    wait_until(lambda: STOPPING in child.stderr)
    assert child.running
    assert child.states == []
    holding.released.set()
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
def test_a_signal_during_the_wait_before_a_retry(
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
    child.wait_until_read()
    child.signal(number)
    child.wait()
    assert time.monotonic() - server.posts[0].arrived >= pause
    assert_ended_with(child, server, 15)


def test_a_signal_during_the_region_check(
    start_target: StartTarget, server: Customerio
) -> None:
    released = threading.Event()
    first = First(Reply(503, headers={"Retry-After": "1"}), "GET")

    def script(request: Request) -> Reply:
        if first.answered and request.method == "GET":
            server.hold(released)
        return first(request)

    server.script = script
    child = start_target()
    child.send(schema("tracks"), *events(0, 1))
    wait_until(lambda: server.requests)
    child.signal(signal.SIGTERM)
    wait_until(lambda: STOPPING in child.stderr)
    released.set()
    child.wait()
    # The record had been read, but not the STATE after it.
    assert_ended_with(child, server, 1, states=0)


@by_signal
def test_a_signal_while_reading_is_blocked(
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
    wait_until(lambda: STOPPING in child.stderr)
    holding.released.set()
    child.wait()
    count = len(server.taken_names)
    # One record more than fits had been read, but not the STATE after it.
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
    wait_until(lambda: STOPPING in child.stderr)
    began = time.monotonic()
    child.signal(second)
    assert child.wait() == 128 + second
    assert time.monotonic() - began < 30
    assert child.states == []
    assert "Traceback" not in child.stderr
    assert not holding.released.is_set()


def test_a_signal_in_the_middle_of_a_batch_file(
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
    wait_until(lambda: STOPPING in child.stderr)
    holding.released.set()
    assert child.wait() == 0
    assert 40 <= len(server.taken_names) < 100
    assert child.rows_of("tracks") == (len(server.taken_names), 0)
    assert child.states == [{"sent": 1}]


@by_signal
def test_a_signal_while_a_batch_file_does_not_open(
    number: signal.Signals,
    start_target: StartTarget,
    server: Customerio,
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "rows")
    child = start_target()
    child.send(schema("tracks"), *events(0, 3), batch_of(str(tmp_path / "rows")))
    child.wait_for_state({"sent": 3})
    wait_until(lambda: not child.unread, what="reading")
    time.sleep(0.3)  # so that it has most likely begun to open the file
    child.signal(number)
    child.wait()
    assert_ended_with(child, server, 3)


@by_signal
def test_a_signal_while_the_next_row_of_a_batch_file_does_not_arrive(
    number: signal.Signals,
    start_target: StartTarget,
    server: Customerio,
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "rows")
    child = start_target()
    child.send(schema("tracks"), batch_of(str(tmp_path / "rows")), state("never"))
    with (tmp_path / "rows").open("wb") as rows:
        for each in range(3):
            row = json.dumps(event(each)["record"]).encode() + b"\n"
            rows.write(row)
            rows.flush()
        child.wait_until_read(rows, system_call="read")
        child.signal(number)
        child.wait()
    assert_ended_with(child, server, 3, states=0)


def batch_of(path: str) -> Message:
    return {
        "type": "BATCH",
        "stream": "tracks",
        "encoding": {"format": "jsonl"},
        "manifest": [path],
    }


def test_a_signal_while_the_program_starts_ends_it_without_a_traceback(
    tmp_path: Path,
) -> None:
    script = (
        "import os, signal, sys\n"
        # It may be ignored, as in a background job.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from target_customerio import __main__\n"
        "class Importing:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'singer_sdk':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Importing())\n"
        "__main__.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr == b""


# Broken pipes, full disks, invalid input


def some_input(folder: Path, *messages: Message) -> str:
    lines = [schema("tracks", {"event": {"type": "string"}}), *messages]
    text = "".join(json.dumps(each) + "\n" for each in lines)
    (folder / "input.singer.jsonl").write_text(text)
    return str(folder / "input.singer.jsonl")


def test_closed_standard_input(start_target: StartTarget) -> None:
    child = start_target(stdin=None, shell="<&-")
    assert child.wait() == 1
    assert "Standard input is closed" in child.error
    assert child.states == []


@pytest.mark.parametrize("how", ["closed", "no reader", "full"])
def test_standard_output_that_cannot_be_written(
    how: str, start_target: StartTarget, server: Customerio, tmp_path: Path
) -> None:
    path = some_input(tmp_path, *events(0, 3))
    with open(path, "rb") as file:  # noqa: PTH123 - a descriptor is what is needed
        if how == "no reader":
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


def test_a_full_disk_for_rejected_records(
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


def test_a_full_disk_when_customerio_rejects_a_record(
    start_target: StartTarget, server: Customerio
) -> None:
    """The rejection is recorded in a lane's thread and must end the run."""

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


def test_a_folder_as_standard_input(
    start_target: StartTarget, server: Customerio, tmp_path: Path
) -> None:
    """Python itself refuses to start."""
    child = start_target(stdin=None, shell=f"< '{tmp_path}'")
    assert child.wait() == 1
    assert (child.states, server.requests) == ([], [])


def test_input_that_is_not_json(start_target: StartTarget, server: Customerio) -> None:
    child = start_target()
    child.send(schema("tracks"), *events(0, 3))
    garbage = random.Random(0).randbytes(20_000)
    child.send_in_background([garbage + b"\n"])
    assert child.wait() == 1
    assert child.error.startswith("Line 8: ")
    assert child.states[-1] == {"sent": 3}
    assert sorted(server.taken_names) == ["0", "1", "2"]


def test_a_truncated_rejected_record_of_a_killed_run_is_removed(
    start_target: StartTarget, tmp_path: Path
) -> None:
    """A killed process can leave half a line, even of a single write."""
    path = tmp_path / "rejected.singer.jsonl"
    complete = b'{"type":"RECORD","stream":"tracks","record":{}}'
    path.write_bytes(complete + b'\n{"type":"RECORD","stream":"tracks","rec')
    child = start_target({"rejected_records_path": str(path)})
    child.send(schema("tracks"), record("tracks", userId="ada"))
    child.close_input()
    assert child.wait() == 0
    first, second, third = path.read_bytes().splitlines()
    assert first == complete
    assert [json.loads(each)["type"] for each in (second, third)] == [
        "SCHEMA",
        "RECORD",
    ]
    assert f"line 3 of {path}" in child.stderr
