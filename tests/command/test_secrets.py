"""Credentials and records appear in no output, at any log level, and no other file."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Outcome, Terminal
    from support.customerio import Customerio
    from support.singer import Singer

SITE, KEY = "open-sesame-site", "open-sesame-key"
PRIVATE = "ada-lovelace-4711"
TOKEN = base64.b64encode(f"{SITE}:{KEY}".encode()).decode()
WORDS = (SITE, KEY, PRIVATE, TOKEN, "Authorization")


@pytest.fixture
def shell(terminal: Terminal) -> Terminal:
    """Return a terminal with the debug log level."""
    terminal.environment["TARGET_CUSTOMERIO_LOGLEVEL"] = "DEBUG"
    return terminal


def play(shell: Terminal, singer: Singer, server: Customerio, *more: Any) -> Outcome:
    return shell.run(
        singer.schema("identifies", {"userId": {"type": ["string", "boolean"]}}),
        singer.record(
            "identifies", userId=PRIVATE, traits={"email": f"{PRIVATE}@a.io"}
        ),
        singer.record("identifies", userId=True, traits={"plan": PRIVATE}),
        *more,
        sandbox=None,
        api_url=server.url,
        site_id=SITE,
        api_key=KEY,
        max_retry_seconds=0,
    )


def found(outcome: Outcome) -> list[str]:
    return [word for word in WORDS if word in outcome.stdout + outcome.stderr]


def test_a_successful_run_shows_no_secrets(
    shell: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    server = stand_in(200, {"region": "us"})
    outcome = play(shell, singer, server)
    assert len(server.requests) == 2
    assert found(outcome) == []


def test_a_failed_run_shows_no_secrets(
    shell: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    outcome = play(shell, singer, stand_in(401, {"message": f"{SITE}:{KEY}"}))
    assert outcome.code == 1
    assert found(outcome) == []


def test_invalid_input_shows_no_secrets(
    shell: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    broken = '{"type": "RECORD", "record": {"a": "' + PRIVATE
    outcome = play(shell, singer, stand_in(200, {"region": "us"}), broken)
    assert outcome.code == 1
    assert found(outcome) == []


def test_no_file_contains_credentials_and_only_rejected_records_contain_records(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    outcome = play(terminal, singer, stand_in(200, {"region": "us"}))
    for file in outcome.folder.rglob("*"):
        if file.name == "config.json":
            continue
        content = file.read_bytes().decode(errors="replace")
        held = [word for word in WORDS if word in content]
        assert held == ([PRIVATE] if file == outcome.rejected_path else [])


def test_the_sandbox_does_not_keep_the_credentials(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="ada"),
        site_id=SITE,
        api_key=KEY,
    )
    assert outcome.code == 0
    for file in outcome.folder.glob("workspace.db*"):
        for word in (SITE, KEY, TOKEN):
            assert word.encode() not in file.read_bytes()


def test_about_shows_no_secrets(terminal: Terminal) -> None:
    config = terminal.write({"site_id": SITE, "api_key": KEY})
    outcome = terminal.type("--config", config, "--about", "--format=json")
    assert found(outcome) == []


def test_invalid_settings_show_no_secrets(shell: Terminal) -> None:
    outcome = shell.run(sandbox=None, site_id=SITE, api_key=KEY, region=PRIVATE)
    assert outcome.code == 1
    assert found(outcome) == []


def test_values_quoted_by_customerio_are_in_the_file_but_not_in_the_log(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    error = {
        "batch_index": 0,
        "reason": "ada@example.com is taken",
        "field": "phone +15550100",
        "message": "ada@example.com is taken",
    }
    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        singer.record("identifies", userId="ada"),
        sandbox=None,
        site_id="a",
        api_key="b",
        api_url=stand_in(207, {"errors": [error]}, greets=True).url,
    )
    assert "example.com" not in outcome.stderr
    assert "+15550100" not in outcome.stderr
    assert "refused by Customer.io (refused)" in outcome.stderr
    assert outcome.reasons == [("ada@example.com is taken", "phone +15550100")]
