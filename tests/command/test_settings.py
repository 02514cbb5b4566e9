"""Settings: checked at start, each at fault named with what it may be, never shown."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Outcome, Singer, Terminal

SECRET = "sesame-4711"

TOGETHER: list[dict[str, tuple[Any, list[str]]]] = [
    {
        "requests_per_second": (SECRET, ["number"]),
        "convert_timestamps": (SECRET, ["boolean"]),
        "api_key": (4711, ["string"]),
        "stream_calls": (SECRET, ["object"]),
        "max_concurrent_requests": (1.5, ["integer"]),
        "batch_size_rows": (0, ["at least 1"]),
        "region": (SECRET, ["us", "eu"]),
        "on_rejected": (SECRET, ["fail", "continue", "abort"]),
        "action_events": ({SECRET: ["X"]}, ["delete_person", "suppress_person"]),
        "rejected_records_path": ("", ["text"]),
    },
    {
        "requests_per_second": (0, ["more than 0"]),
        "max_concurrent_requests": (65, ["at most 64"]),
        "stream_calls": ({"orders": SECRET}, ["orders", "identify", "track"]),
        "action_events": ({"delete_person": SECRET}, ["delete_person", "array"]),
    },
]
"""Settings at fault by their schema, which are all told at once."""

ALONE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an event of two actions": (
        {"action_events": {"delete_person": ["X"], "suppress_person": ["X"]}},
        ["action_events", "delete_person", "suppress_person"],
    ),
    "http to another host": (
        {"api_url": f"http://{SECRET}.example.com"},
        ["api_url", "https"],
    ),
    "a shard that is none": ({"shard": "8"}, ["shard", "2/8"]),
    "a URL that is none": ({"api_url": f"http://[{SECRET}"}, ["api_url", "https"]),
    "a workspace that is a folder": ({"sandbox": "."}, ["sandbox", "folder"]),
    "a workspace in no folder": (
        {"sandbox": "nowhere/workspace.db"},
        ["sandbox", "nowhere"],
    ),
    "a workspace of another program": (
        {"sandbox": "other.db"},
        ["sandbox", "other.db", "another program"],
    ),
    "a workspace that is a text": (
        {"sandbox": "notes.txt"},
        ["sandbox", "notes.txt", "not a database"],
    ),
    "a workspace that is a long text": (
        {"sandbox": "story.txt"},
        ["sandbox", "story.txt", "not a database"],
    ),
    "a stream map that is none": (
        {"stream_maps": {"identifies": {"userId": f"1 +* '{SECRET}'"}}},
        ["stream_maps"],
    ),
}
"""Settings at fault that end the run one by one."""


def furnished(terminal: Terminal) -> Terminal:
    (terminal.folder / "notes.txt").write_text("a short note\n")
    (terminal.folder / "story.txt").write_text("a long story\n" * 500)
    database = sqlite3.connect(terminal.folder / "other.db")
    database.execute("CREATE TABLE stock (item)")
    database.commit()
    database.close()
    return terminal


@pytest.fixture(scope="module")
def play(
    new_terminal: Callable[[], Terminal], singer: Singer
) -> Callable[[dict[str, Any]], Outcome]:
    def play(wrong: dict[str, Any]) -> Outcome:
        return furnished(new_terminal()).run(
            singer.schema("identifies", ["userId"]),
            singer.record("identifies", userId="ada"),
            singer.state(reached="ada"),
            **wrong,
        )

    return play


@pytest.fixture(scope="module", params=[0, 1])
def together(
    request: pytest.FixtureRequest, play: Callable[[dict[str, Any]], Outcome]
) -> tuple[Outcome, dict[str, tuple[Any, list[str]]]]:
    wrong = TOGETHER[request.param]
    return play({name: value for name, (value, _) in wrong.items()}), wrong


def test_all_settings_at_fault_are_named_at_once_each_with_what_it_may_be(
    together: tuple[Outcome, dict[str, tuple[Any, list[str]]]],
) -> None:
    outcome, wrong = together
    assert outcome.code == 1
    named = [line.partition(":")[0].partition(".")[0] for line in outcome.errors]
    assert sorted(named) == sorted(wrong)
    for name, line in zip(named, outcome.errors, strict=True):
        for clue in wrong[name][1]:
            assert clue in line


def test_none_of_their_values_is_shown(
    together: tuple[Outcome, dict[str, tuple[Any, list[str]]]],
) -> None:
    assert "4711" not in together[0].stderr


def test_none_of_them_is_a_traceback_and_nothing_is_delivered(
    together: tuple[Outcome, dict[str, tuple[Any, list[str]]]],
) -> None:
    outcome, _ = together
    assert "Traceback" not in outcome.stderr
    assert outcome.stdout == ""
    assert outcome.workspace["people"] == {}


@pytest.fixture(scope="module")
def outcomes(play: Callable[[dict[str, Any]], Outcome]) -> dict[str, Outcome]:
    with ThreadPoolExecutor(2) as pool:
        played = pool.map(play, (wrong for wrong, _ in ALONE.values()))
        return dict(zip(ALONE, played, strict=True))


@pytest.fixture(params=ALONE, ids=lambda name: name.replace(" ", "_"))
def case(
    request: pytest.FixtureRequest, outcomes: dict[str, Outcome]
) -> tuple[Outcome, list[str]]:
    return outcomes[request.param], ALONE[request.param][1]


def test_one_line_names_the_setting_and_what_is_wrong_with_it(
    case: tuple[Outcome, list[str]],
) -> None:
    outcome, clues = case
    for clue in clues:
        assert clue in outcome.error
    assert "Unexpected" not in outcome.error


def test_the_value_is_not_shown(case: tuple[Outcome, list[str]]) -> None:
    outcome, _ = case
    assert SECRET not in outcome.stderr
    assert "4711" not in outcome.stderr


def test_nothing_is_delivered_and_no_state_written(
    case: tuple[Outcome, list[str]],
) -> None:
    outcome, _ = case
    assert outcome.stdout == ""
    assert outcome.workspace["people"] == {}


def test_files_that_are_no_workspace_are_left_alone(
    outcomes: dict[str, Outcome],
) -> None:
    folder = outcomes["a workspace that is a text"].folder
    assert (folder / "notes.txt").read_text() == "a short note\n"
    folder = outcomes["a workspace of another program"].folder
    with sqlite3.connect(folder / "other.db") as database:
        tables = database.execute("SELECT name FROM sqlite_master").fetchall()
    database.close()
    assert tables == [("stock",)]


def test_missing_credentials_are_named_one_line_each(terminal: Terminal) -> None:
    outcome = terminal.run(sandbox=None)
    assert outcome.code == 1
    assert [line.partition(":")[0] for line in outcome.errors] == ["site_id", "api_key"]
    assert all("sandbox" in line for line in outcome.errors)


def test_a_setting_that_does_not_exist_is_named_and_ignored(terminal: Terminal) -> None:
    outcome = terminal.run(on_reject="continue")
    assert outcome.code == 0
    (warning,) = outcome.lines("WARNING")
    assert "on_reject" in warning


def test_null_counts_as_not_set(terminal: Terminal, singer: Singer) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="ada"),
        region=None,
        requests_per_second=None,
        api_url=None,
        stream_calls=None,
    )
    assert outcome.code == 0
    assert list(outcome.workspace["people"]) == ["id:ada"]


class TestTheEnvironment:
    @pytest.fixture
    def shell(self, terminal: Terminal) -> Terminal:
        terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
        return terminal

    def test_it_can_hold_all_settings(self, shell: Terminal, singer: Singer) -> None:
        shell.environment |= {
            "TARGET_CUSTOMERIO_REQUESTS_PER_SECOND": "5",
            "TARGET_CUSTOMERIO_MAX_RETRY_SECONDS": "2.5",
            "TARGET_CUSTOMERIO_MAX_CONCURRENT_REQUESTS": "2",
            "TARGET_CUSTOMERIO_BATCH_SIZE_ROWS": "1",
            "TARGET_CUSTOMERIO_UPDATE_ONLY": "false",
            "TARGET_CUSTOMERIO_STREAM_CALLS": '{"users": "identify"}',
            "TARGET_CUSTOMERIO_ON_REJECTED": "continue",
        }
        messages = [
            singer.schema("users"),
            *(singer.record("users", userId=name) for name in ("ada", "bo", True)),
        ]
        feed = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        outcome = shell.type("--config", "ENV", feed=feed)
        assert outcome.code == 0
        assert list(outcome.workspace["people"]) == ["id:ada", "id:bo"]

    def test_a_configuration_file_and_the_environment_go_together(
        self, shell: Terminal, singer: Singer
    ) -> None:
        config = shell.write({"stream_calls": {"users": "identify"}})
        messages = [singer.schema("users"), singer.record("users", userId="ada")]
        feed = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        outcome = shell.type("--config", config, "--config", "ENV", feed=feed)
        assert list(outcome.workspace["people"]) == ["id:ada"]

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("requests_per_second", SECRET),
            ("max_retry_seconds", "-1"),
            ("max_concurrent_requests", SECRET),
            ("batch_size_rows", "ten"),
            ("stream_calls", "{'users': 'sesame-4711'}"),
            ("action_events", SECRET),
            ("on_rejected", SECRET),
            ("convert_timestamps", SECRET),
        ],
    )
    def test_one_line_names_a_setting_that_cannot_be_read_and_never_its_value(
        self, shell: Terminal, setting: str, value: str
    ) -> None:
        shell.environment[f"TARGET_CUSTOMERIO_{setting.upper()}"] = value
        outcome = shell.type("--config", "ENV")
        assert setting in outcome.error
        assert SECRET not in outcome.stderr


@pytest.mark.parametrize(
    ("content", "clue"),
    [
        ('{"api_key": "sesame-4711"', "config.json"),
        ('["sesame-4711"]', "config"),
        ("", "config.json"),
        (None, "config.json"),
    ],
    ids=["no_JSON", "no_object", "empty", "missing"],
)
def test_a_configuration_file_that_cannot_be_read_is_told_in_one_line(
    terminal: Terminal, content: str | None, clue: str
) -> None:
    if content is not None:
        (terminal.folder / "config.json").write_text(content)
    outcome = terminal.type("--config", "config.json")
    assert outcome.code != 0
    assert "Traceback" not in outcome.stderr
    assert clue in outcome.stderr
    assert SECRET not in outcome.stderr
    told = [line for line in outcome.stderr.splitlines() if "INFO" not in line]
    assert len(told) == 1 or told[0].startswith("Usage:")


def test_a_variable_that_looks_like_a_setting_and_is_none_is_told(
    terminal: Terminal,
) -> None:
    terminal.environment["TARGET_CUSTOMERIO_SANDBX"] = SECRET
    terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
    terminal.environment["TARGET_CUSTOMERIO__PIP_URL"] = SECRET
    outcome = terminal.type("--config=ENV")
    assert outcome.lines("WARNING") == ["There is no setting 'sandbx'; it is ignored"]
    assert SECRET not in outcome.stderr
    assert "Records go to the sandbox workspace.db" in outcome.lines("INFO")
