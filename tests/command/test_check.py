"""The check of credentials and region before anything is sent."""

from __future__ import annotations

import base64
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.command import refusing_port
from support.customerio import Reply
from support.singer import line_of, record, schema

from target_customerio.command_line import CHECK_MAXIMUMS, with_check_maximums

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Outcome, Terminal
    from support.customerio import Customerio
    from support.singer import Singer

    Start = Callable[..., Customerio]


INPUT = line_of(schema("identifies")) + line_of(record("identifies", userId="ann"))
"""If a check read it, this person would be sent."""


def check(terminal: Terminal, **settings: object) -> Outcome:
    config = terminal.write({"site_id": "site", "api_key": "key", **settings})
    return terminal.type("--config", config, "--check", feed=INPUT)


def test_check_succeeds_in_the_sandbox(terminal: Terminal) -> None:
    outcome = check(terminal, sandbox="workspace.db")
    assert (outcome.code, outcome.errors, outcome.stdout) == (0, [], "")
    assert outcome.lines("INFO")[-1] == (
        "Settings are valid; records go to sandbox workspace.db, not to Customer.io; "
        "region and credentials are not checked"
    )


def test_the_sandbox_uses_the_configured_region(terminal: Terminal) -> None:
    assert check(terminal, sandbox="workspace.db", region="eu").code == 0


def test_check_succeeds_with_valid_credentials(
    terminal: Terminal, stand_in: Start
) -> None:
    server = stand_in(200, {"region": "eu"})
    outcome = check(terminal, api_url=server.url, region="eu")
    assert (outcome.code, outcome.errors) == (0, [])


@pytest.mark.parametrize(
    ("answer", "where"),
    [
        ({"environment_id": 4711}, "workspace 4711"),
        ({}, "Customer.io"),
        ({"environment_id": None}, "Customer.io"),
        ({"environment_id": "<b>"}, "Customer.io"),
        ({"environment_id": True}, "Customer.io"),
    ],
)
def test_check_reports_region_and_workspace(
    answer: dict[str, object], where: str, terminal: Terminal, stand_in: Start
) -> None:
    server = stand_in(200, {"region": "eu", **answer})
    outcome = check(terminal, api_url=server.url, region="eu")
    assert outcome.lines("INFO")[-1] == (
        f"Connected to {where} in region eu; settings and credentials are valid"
    )


def test_check_requests_only_the_region_and_reads_no_input(
    terminal: Terminal, stand_in: Start
) -> None:
    server = stand_in(200, {"region": "us"})
    assert check(terminal, api_url=server.url).code == 0
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/api/v1/accounts/region")
    token = base64.b64encode(b"site:key").decode()
    assert request.headers["Authorization"] == f"Basic {token}"


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_cause_one_line_naming_the_settings(
    terminal: Terminal, stand_in: Start, status: int
) -> None:
    error = check(terminal, api_url=stand_in(status).url).error
    assert "site_id" in error
    assert "api_key" in error


def test_a_wrong_region_causes_one_line_with_the_right_one(
    terminal: Terminal, stand_in: Start
) -> None:
    error = check(terminal, api_url=stand_in(200, {"region": "eu"}).url).error
    assert "region: eu" in error


def test_a_redirect_is_not_followed_and_the_error_names_the_region(
    terminal: Terminal, stand_in: Start
) -> None:
    elsewhere = stand_in(200, {"region": "us"})
    server = stand_in(301, headers={"Location": f"{elsewhere.url}/api/v1/x"})
    error = check(terminal, api_url=server.url).error
    assert "region" in error
    assert elsewhere.requests == []


def test_a_redirect_to_the_other_region_reports_the_region_to_set(
    terminal: Terminal, stand_in: Start
) -> None:
    location = "https://track-eu.customer.io/api/v1/accounts/region"
    server = stand_in(302, headers={"Location": location})
    assert "region: eu" in check(terminal, api_url=server.url).error


def test_a_server_other_than_customerio_causes_a_one_line_error(
    terminal: Terminal, stand_in: Start
) -> None:
    assert "api_url" in check(terminal, api_url=stand_in(404).url).error


def seconds_of(error: str) -> int:
    """Return the seconds after which a check was given up."""
    (seconds,) = re.findall(r" attempts in (\d+) s ", error)
    return int(seconds)


def test_an_unreachable_server_causes_a_one_line_error(
    terminal: Terminal,
) -> None:
    with refusing_port() as port:
        url = f"http://127.0.0.1:{port}"
        error = check(terminal, api_url=url, max_retry_seconds=0.5).error
    assert seconds_of(error) < 5  # not the 10 seconds of --check


def test_check_does_not_wait_longer_than_the_request_timeout(
    terminal: Terminal, stand_in: Start
) -> None:
    server = stand_in(200, {"region": "us"})
    server.script = lambda _: Reply(fault="silence")
    short = {"request_timeout_seconds": 0.2, "max_retry_seconds": 0.2}
    assert seconds_of(check(terminal, api_url=server.url, **short).error) < 5


def test_check_lowers_longer_times_and_adds_missing_ones() -> None:
    assert with_check_maximums({"max_retry_seconds": 600}) == CHECK_MAXIMUMS
    assert with_check_maximums({}) == CHECK_MAXIMUMS
    assert with_check_maximums({"max_retry_seconds": None}) == CHECK_MAXIMUMS


@pytest.mark.parametrize("name", ["max_retry_seconds", "request_timeout_seconds"])
@pytest.mark.parametrize("value", ["soon", -1, True])
def test_check_reports_invalid_times(
    name: str, value: object, terminal: Terminal
) -> None:
    outcome = check(terminal, sandbox="workspace.db", **{name: value})
    assert name in outcome.error


@pytest.mark.parametrize("flag", [True, False], ids=["check", "run"])
def test_missing_credentials_are_reported_before_any_request(
    terminal: Terminal, stand_in: Start, *, flag: bool
) -> None:
    server = stand_in(200, {"region": "us"})
    config = terminal.write({"api_url": server.url})
    outcome = terminal.type("--config", config, *(["--check"] if flag else []))
    assert outcome.code == 1
    assert server.requests == []


def test_a_failed_check_at_the_start_of_a_run_sends_nothing(
    terminal: Terminal, singer: Singer, stand_in: Start
) -> None:
    server = stand_in(401)
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="ada"),
        singer.state(reached="ada"),
        sandbox=None,
        site_id="site",
        api_key="key",
        api_url=server.url,
    )
    assert "site_id" in outcome.error
    assert outcome.states == []
    assert [each.path for each in server.requests] == ["/api/v1/accounts/region"]


def test_check_leaves_the_workspace_empty(terminal: Terminal) -> None:
    assert check(terminal, sandbox="workspace.db").code == 0
    with closing(sqlite3.connect(terminal.folder / "workspace.db")) as database:
        (people,) = database.execute("SELECT count(*) FROM people").fetchone()
    assert people == 0
