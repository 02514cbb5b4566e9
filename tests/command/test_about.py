"""The output of --about, --version and --help."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Terminal

SETTINGS: dict[str, tuple[str, Any]] = {
    "site_id": ("string", None),
    "api_key": ("string", None),
    "region": ("string", "us"),
    "api_url": ("string", None),
    "sandbox": ("string", None),
    "stream_calls": ("object", {}),
    "unmapped_streams": ("string", "fail"),
    "action_events": ("object", {}),
    "user_id_type": ("string", "auto"),
    "screen_events": ("string", "screen"),
    "anonymous_identify": ("string", "skip"),
    "convert_timestamps": ("boolean", True),
    "null_attributes": ("string", "send"),
    "update_only": ("boolean", False),
    "identify_timestamp": ("string", "record"),
    "hard_delete": ("boolean", False),
    "requests_per_second": ("number", 100),
    "max_concurrent_requests": ("integer", 8),
    "request_timeout_seconds": ("number", 30),
    "max_retry_seconds": ("number", 600),
    "on_rejected": ("string", "fail"),
    "rejected_records_path": ("string", "rejected.singer.jsonl"),
    "batch_size_rows": ("integer", 1_000),
}
"""The documented type and default of each setting."""

CHOICES = {
    "region": ["us", "eu"],
    "unmapped_streams": ["fail", "ignore"],
    "user_id_type": ["auto", "id", "email", "cio_id"],
    "screen_events": ["screen", "viewed_event"],
    "anonymous_identify": ["skip", "use_as_id"],
    "null_attributes": ["send", "omit"],
    "identify_timestamp": ["record", "omit"],
    "on_rejected": ["fail", "continue", "abort"],
}
OF_THE_SDK = {"validate_records", "stream_maps", "flattening_enabled"}


@pytest.fixture(scope="module")
def about(new_terminal: Callable[[], Terminal]) -> dict[str, Any]:
    outcome = new_terminal().type("--about", "--format=json")
    assert outcome.code == 0
    return json.loads(outcome.stdout)


@pytest.fixture(scope="module")
def settings(about: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return about["settings"]["properties"]


def test_every_expected_setting_exists(settings: dict[str, Any]) -> None:
    assert settings.keys() >= SETTINGS.keys() | OF_THE_SDK


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_has_its_type_and_default(
    name: str, settings: dict[str, dict[str, Any]]
) -> None:
    kind, default = SETTINGS[name]
    assert kind in settings[name]["type"]
    assert settings[name].get("default") == default


@pytest.mark.parametrize("name", CHOICES)
def test_a_setting_lists_its_choices(
    name: str, settings: dict[str, dict[str, Any]]
) -> None:
    assert [each for each in settings[name]["enum"] if each] == CHOICES[name]


def test_every_setting_is_described(settings: dict[str, dict[str, Any]]) -> None:
    silent = [name for name, each in settings.items() if not each.get("description")]
    assert silent == []


def test_only_the_credentials_are_secret(
    settings: dict[str, dict[str, Any]],
) -> None:
    secret = {name for name, each in settings.items() if each.get("secret")}
    assert secret == {"site_id", "api_key"}


def test_no_setting_is_required(
    about: dict[str, Any],
) -> None:
    assert not about["settings"].get("required")


def test_about_as_markdown(terminal: Terminal) -> None:
    outcome = terminal.type("--about", "--format=markdown")
    assert outcome.code == 0
    assert outcome.stdout.startswith("# `target-customerio`")
    for name in SETTINGS:
        assert f"| {name} " in outcome.stdout


def test_about_as_text(terminal: Terminal) -> None:
    outcome = terminal.type("--about")
    assert outcome.code == 0
    assert "target-customerio" in outcome.stdout


def test_version_of_the_command_and_the_module(terminal: Terminal) -> None:
    by_command = terminal.type("--version")
    by_module = terminal.type("-m", "target_customerio", "--version", python=True)
    assert by_command.code == by_module.code == 0
    shown = by_command.stdout + by_command.stderr
    assert "target-customerio v" in shown
    assert by_module.stdout + by_module.stderr == shown


def test_help_describes_check(terminal: Terminal) -> None:
    outcome = terminal.type("--help")
    assert outcome.code == 0
    assert "--check" in outcome.stdout


def test_help_says_what_the_command_does_with_examples_and_exit_codes(
    terminal: Terminal,
) -> None:
    lines = [line.strip() for line in terminal.type("--help").stdout.splitlines()]
    assert "Load the records of a Singer tap into Customer.io." in lines
    assert (
        "some-tap --config tap.json | target-customerio --config target.json" in lines
    )
    codes = [line.split()[0] for line in lines if re.match(r"\d  ", line)]
    assert codes == ["0", "1", "2", "3", "4"]


def test_an_unknown_option_fails_without_a_traceback(terminal: Terminal) -> None:
    outcome = terminal.type("--confgi", "x")
    assert outcome.code == 2
    assert "Traceback" not in outcome.stderr
