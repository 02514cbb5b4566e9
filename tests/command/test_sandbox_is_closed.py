"""A sandbox run never opens a socket; the monitor detects a run that does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Outcome, Terminal
    from support.customerio import Customerio
    from support.singer import Singer

WATCHED = """
import os, sys
import urllib3  # binds a socket at its import, to see whether there is IPv6

EVENTS = {
    "socket.__new__", "socket.connect", "socket.bind", "socket.sendto",
    "socket.getaddrinfo", "socket.gethostbyname", "socket.getnameinfo",
    "socket.sendmsg", "http.client.connect",
}

def watch(event, _):
    if event in EVENTS:
        os.write(2, f"WATCH: {event}\\n".encode())
        os._exit(86)

sys.addaudithook(watch)
sys.argv[0] = "target-customerio"
from target_customerio.target import TargetCustomerIO
TargetCustomerIO.cli()
"""


def play(terminal: Terminal, singer: Singer, **settings: Any) -> Outcome:
    config = terminal.write(
        {"site_id": "site", "api_key": "key", "max_retry_seconds": 0, **settings}
    )
    calls: list[tuple[str, dict[str, Any]]] = [
        ("identifies", {"userId": "ada", "traits": {"email": "ada@example.com"}}),
        ("tracks", {"userId": "ada", "event": "Bought"}),
        (
            "tracks",
            {
                "event": "Report Delivery Event",
                "properties": {"deliveryId": "d", "metric": "opened"},
            },
        ),
        ("tracks", {"event": "refused, since it names nobody"}),
    ]
    messages = [singer.schema("identifies"), singer.schema("tracks")]
    messages += [singer.record(stream, **call) for stream, call in calls]
    messages.append(singer.state(reached="the end"))
    feed = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    return terminal.type("-c", WATCHED, "--config", config, feed=feed, python=True)


def test_a_sandbox_run_opens_no_socket(terminal: Terminal, singer: Singer) -> None:
    outcome = play(
        terminal, singer, sandbox="workspace.db", on_rejected="continue", region="eu"
    )
    assert "WATCH" not in outcome.stderr
    assert outcome.code == 0
    assert list(outcome.workspace["people"]) == ["id:ada"]
    assert len(outcome.workspace["deliveries"]) == 1
    assert outcome.states == [{"reached": "the end"}]


def test_a_sandbox_run_with_an_api_url_opens_no_socket(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    server = stand_in(200, {"region": "us"})
    outcome = play(
        terminal,
        singer,
        sandbox="workspace.db",
        api_url=server.url,
        on_rejected="continue",
    )
    assert "WATCH" not in outcome.stderr
    assert outcome.code == 0
    assert server.requests == []


def test_the_monitor_detects_a_run_that_opens_a_socket(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    server = stand_in(200, {"region": "us"})
    outcome = play(terminal, singer, api_url=server.url)
    assert outcome.code == 86
    assert "WATCH: socket." in outcome.stderr
    assert server.requests == []
