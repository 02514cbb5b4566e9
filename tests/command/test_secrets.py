"""Credentials and records appear in no output, at any log level, and no other file."""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from support.customerio import Customerio, Reply, Request, accept

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Outcome, Terminal
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


DATA = "ann.data@example.com"
"""The name of a field in a record, which is data."""


def test_names_of_fields_that_are_data_are_not_logged(
    shell: Terminal, singer: Singer
) -> None:
    objects = {"type": "object", "additionalProperties": {"type": "number"}}
    columns = {"userId": {}, "properties": {"properties": {"by_email": objects}}}
    outcome = shell.run(
        singer.schema("tracks", columns),
        *[singer.record("tracks", userId="a", properties={"by_email": {DATA: "x"}})]
        * 12,
        b'{"type": "RECORD", "stream": "tracks", "record": {"userId": "a", "event": '
        b'"A", "properties": {"%b": NaN}}}' % DATA.encode(),
        on_rejected="continue",
    )
    assert outcome.code == 0
    assert len(outcome.rejected) == 13
    assert outcome.reasons[0] == ("schema", f"properties.by_email.{DATA}")
    assert "(schema, properties.by_email.*)" in outcome.stderr
    assert DATA not in outcome.stderr


def test_names_of_columns_are_logged_short_and_on_one_line(
    shell: Terminal, singer: Singer
) -> None:
    names = {"c" * 5_000: 1, "new\nline": 2, "plan": 3}
    outcome = shell.run(
        singer.schema("identifies"),
        *[singer.record("identifies", **names)] * 12,
        on_rejected="continue",
    )
    (advice,) = [line for line in outcome.lines("WARNING") if "Columns:" in line]
    assert f"Columns: {'c' * 60}..., new\\nline, plan. Looked for" in advice
    assert "c" * 61 not in outcome.stderr


@pytest.mark.parametrize("on_rejected", ["continue", "abort"])
def test_a_failing_stream_map_quotes_no_value(
    on_rejected: str, shell: Terminal, singer: Singer
) -> None:
    outcome = shell.run(
        singer.schema("identifies"),
        singer.record("identifies", userId=PRIVATE),
        stream_maps={"identifies": {"age": "int(userId)", "__filter__": "userId"}},
        on_rejected=on_rejected,
    )
    assert "ValueError" in outcome.stderr
    assert PRIVATE not in outcome.stderr


def test_libraries_log_neither_paths_nor_headers(
    shell: Terminal, singer: Singer
) -> None:
    def script(request: Request) -> Reply:
        reply = accept(request)
        length = str(len(reply.body))  # nothing behind a malformed header is read
        headers = {"Content-Length": length, f"{PRIVATE} : \x01": PRIVATE}
        return dataclasses.replace(reply, headers=headers)

    server = Customerio(script)
    try:
        outcome = shell.run(
            singer.schema("members"),
            singer.record("members", segment_id=471147, userId="ada"),
            sandbox=None,
            api_url=server.url,
            site_id=SITE,
            api_key=KEY,
            stream_calls={"members": "segment"},
        )
    finally:
        server.close()
    assert any("471147" in each.path for each in server.requests)
    assert outcome.code == 0
    assert "471147" not in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert found(outcome) == []
