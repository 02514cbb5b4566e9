"""The pipe from the tap: silent, broken, or changed by another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.command import Terminal
    from support.customerio import Customerio
    from support.singer import Singer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX's here")


@contextmanager
def started(terminal: Terminal, source: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", "target_customerio", "--config", "config.json"],
        cwd=terminal.folder,
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(*messages: object) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in messages)


def test_a_delivery_failure_ends_the_run_while_the_tap_is_silent(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    terminal.write(
        {
            "site_id": "a",
            "api_key": "b",
            "api_url": stand_in(401, greets=True).url,
        }
    )
    with started(terminal, subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(lines(singer.schema("identifies")))
        process.stdin.write(lines(singer.record("identifies", userId="ada")))
        process.stdin.flush()
        assert process.wait(60) == 1
        assert b"credentials" in process.stderr.read()


@pytest.mark.parametrize("paused_at", [0, 20])
def test_a_nonblocking_pipe_is_read_to_its_end(
    terminal: Terminal, singer: Singer, paused_at: int
) -> None:
    terminal.write({"sandbox": "workspace.db"})
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    first = lines(singer.record("identifies", userId="ada"))
    with started(terminal, ours) as process:
        os.close(ours)
        os.write(theirs, lines(singer.schema("identifies")) + first[:paused_at])
        time.sleep(1.5)
        os.write(theirs, first[paused_at:] + lines(singer.state(reached="the end")))
        os.close(theirs)
        said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b'{"reached":"the end"}\n')


def test_a_broken_pipe_ends_the_run_with_one_line(terminal: Terminal) -> None:
    terminal.write({"sandbox": "workspace.db"})
    with (
        (terminal.folder / "written").open("wb") as file,
        started(terminal, file.fileno()) as process,
    ):
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"Cannot read the input after line 0 (Bad file descriptor)" in said
    assert b"Traceback" not in said
