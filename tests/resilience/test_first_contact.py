"""The region check comes before the first record is sent."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from support.command import wait_until
from support.customerio import Customerio, Reply, Request, accept
from support.singer import event, schema, state

if TYPE_CHECKING:
    from .conftest import StartTarget


class HoldingTheRegion:
    """A script that delays the response to the region check until released."""

    def __init__(self, server: Customerio, reply: Reply | None = None) -> None:
        self.released = threading.Event()
        self._server = server
        self._reply = reply

    def __call__(self, request: Request) -> Reply:
        if request.method != "GET":
            return accept(request)
        self._server.hold(self.released)
        return self._reply or accept(request)


def test_nothing_is_sent_before_the_region_is_known(
    start_target: StartTarget, server: Customerio
) -> None:
    server.script = script = HoldingTheRegion(server)
    child = start_target({"batch_size_rows": 10})
    child.send(schema("tracks"), *map(event, range(35)), state({"sent": 35}))
    child.close_input()
    wait_until(lambda: server.requests)
    time.sleep(0.3)
    assert not server.posts
    assert not child.states
    script.released.set()
    child.wait()
    assert child.process.returncode == 0
    assert sorted(map(int, server.taken_names)) == list(range(35))
    assert child.states[-1] == {"sent": 35}
    assert len([each for each in server.requests if each.method == "GET"]) == 1


def test_wrong_credentials_end_the_run_at_the_first_record(
    start_target: StartTarget, server: Customerio
) -> None:
    server.script = script = HoldingTheRegion(server, Reply(401))
    script.released.set()
    child = start_target()
    child.send(schema("tracks"), event(0))
    child.wait()  # while the tap's pipe is open
    assert child.process.returncode == 1
    assert "`site_id`" in child.stderr
    assert "Traceback" not in child.stderr
    assert not server.posts
    assert not child.states
