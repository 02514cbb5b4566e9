"""Settings are checked at start; errors give the valid values, never the value set."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Outcome, Terminal
    from support.customerio import Customerio
    from support.singer import Singer

SECRET = "sesame-4711"

TOGETHER: list[dict[str, tuple[Any, list[str]]]] = [
    {
        "requests_per_second": (SECRET, ["a number"]),
        "convert_timestamps": (SECRET, ["true or false"]),
        "api_key": (4711, ["text"]),
        "stream_calls": (SECRET, ["object"]),
        "max_concurrent_requests": (1.5, ["an integer"]),
        "batch_size_rows": (0, ["at least 1"]),
        "region": (SECRET, ["us", "eu"]),
        "on_rejected": (SECRET, ["fail", "continue", "abort"]),
        "action_events": ({SECRET: ["X"]}, ["delete_person", "suppress_person"]),
        "rejected_records_path": ("", ["text"]),
    },
    {
        "requests_per_second": (0, ["more than 0"]),
        "max_concurrent_requests": (65, ["at most 64"]),
        "request_timeout_seconds": (1e10, ["at most 31622400"]),
        "max_retry_seconds": ("Infinity", ["a number"]),
        "stream_calls": ({"orders": SECRET}, ["orders", "identify", "track"]),
        "action_events": ({"delete_person": SECRET}, ["delete_person", "a list"]),
    },
]
"""Settings that do not match their schema, all reported together."""

ALONE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an event with two actions": (
        {"action_events": {"delete_person": ["X"], "suppress_person": ["X"]}},
        ["action_events", "delete_person", "suppress_person"],
    ),
    "http to another host": (
        {"api_url": f"http://{SECRET}.example.com"},
        ["api_url", "https"],
    ),
    "an invalid URL": ({"api_url": f"http://[{SECRET}"}, ["api_url", "https"]),
    "a workspace that is a folder": ({"sandbox": "."}, ["sandbox", "folder"]),
    "a workspace in a missing folder": (
        {"sandbox": "nowhere/workspace.db"},
        ["sandbox", "nowhere"],
    ),
    "a workspace of another program": (
        {"sandbox": "other.db"},
        ["sandbox", "other.db", "another program"],
    ),
    "a workspace that is a text file": (
        {"sandbox": "notes.txt"},
        ["sandbox", "notes.txt", "not a database"],
    ),
    "a workspace that is a long text file": (
        {"sandbox": "story.txt"},
        ["sandbox", "story.txt", "not a database"],
    ),
    "a stream map that cannot be parsed": (
        {"stream_maps": {"identifies": {"userId": "1 +* 2"}}},
        ["stream_maps", "'identifies'", "1 +* 2"],
    ),
}
"""Invalid settings that each end the run."""


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


def test_all_invalid_settings_are_reported_together_with_valid_values(
    together: tuple[Outcome, dict[str, tuple[Any, list[str]]]],
) -> None:
    outcome, wrong = together
    assert outcome.code == 1
    named = [line.partition(":")[0].partition(".")[0] for line in outcome.errors]
    assert sorted(named) == sorted(wrong)
    for name, line in zip(named, outcome.errors, strict=True):
        for clue in wrong[name][1]:
            assert clue in line


def test_no_invalid_value_is_shown(
    together: tuple[Outcome, dict[str, tuple[Any, list[str]]]],
) -> None:
    assert "4711" not in together[0].stderr


def test_invalid_settings_cause_no_traceback_and_deliver_nothing(
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


def test_one_line_names_the_setting_and_the_problem(
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


def test_nothing_is_delivered_and_no_state_is_written(
    case: tuple[Outcome, list[str]],
) -> None:
    outcome, _ = case
    assert outcome.stdout == ""
    assert outcome.workspace["people"] == {}


def test_files_other_than_a_workspace_are_not_changed(
    outcomes: dict[str, Outcome],
) -> None:
    folder = outcomes["a workspace that is a text file"].folder
    assert (folder / "notes.txt").read_text() == "a short note\n"
    folder = outcomes["a workspace of another program"].folder
    with sqlite3.connect(folder / "other.db") as database:
        tables = database.execute("SELECT name FROM sqlite_master").fetchall()
    database.close()
    assert tables == [("stock",)]


def test_missing_credentials_are_reported_in_one_line_each(terminal: Terminal) -> None:
    outcome = terminal.run(sandbox=None)
    assert outcome.code == 1
    assert [line.partition(":")[0] for line in outcome.errors] == ["site_id", "api_key"]
    assert all("sandbox" in line for line in outcome.errors)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sandbx", "sandbox"),
        ("Sandbox", "sandbox"),
        ("sand-box", "sandbox"),
        ("SANDBOX", "sandbox"),
        ("on_reject", "on_rejected"),
        ("streamCalls", "stream_calls"),
        ("stream_calls.users", "stream_calls"),
        ("stream_map", "stream_maps"),
        ("api_keys", "api_key"),
        ("batch_size", "batch_size_rows"),
    ],
)
def test_a_misspelt_setting_ends_the_run(
    name: str, meant: str, terminal: Terminal
) -> None:
    setting: dict[str, Any] = {name: SECRET}
    error = terminal.run(**setting).error
    assert error == f"Unknown setting {name!r} (did you mean {meant!r}?)"


GONE = (
    "no longer a setting; divide the source into partitions, and run the target once "
    "per partition with its share of requests_per_second (docs/scaling.md)"
)


@pytest.mark.parametrize("name", ["shard", "SHARD"])
@pytest.mark.parametrize("value", ["2/8", ""])
def test_a_setting_that_is_gone_ends_the_run(
    name: str, value: str, terminal: Terminal
) -> None:
    setting: dict[str, Any] = {name: value}
    assert terminal.run(**setting).error == f"{name}: {GONE}"


def test_a_setting_that_is_gone_ends_the_run_from_the_environment_too(
    terminal: Terminal,
) -> None:
    terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
    terminal.environment["TARGET_CUSTOMERIO_SHARD"] = "2/8"
    assert terminal.type("--config=ENV").error == f"shard: {GONE}"


def test_a_misspelt_sandbox_sends_nothing_anywhere(
    terminal: Terminal, singer: Singer, stand_in: Callable[..., Customerio]
) -> None:
    server = stand_in(200, greets=True)
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="ada"),
        sandbox=None,
        sandbx="workspace.db",
        site_id="site",
        api_key="key",
        api_url=server.url,
    )
    assert "'sandbox'" in outcome.error
    assert server.requests == []


def test_settings_of_other_targets_are_reported_and_ignored(terminal: Terminal) -> None:
    others: dict[str, Any] = {
        "load_method": "append-only",
        "default_target_schema": "public",
        "batch_wait_limit_seconds": 60,
        "max_parallelism": 4,
        "process_activate_version_messages": True,
        "url": SECRET,
    }
    outcome = terminal.run(**others)
    assert outcome.code == 0
    assert sorted(outcome.lines("WARNING")) == [
        f"Ignoring unknown setting {name!r}" for name in sorted(others)
    ]
    assert SECRET not in outcome.stderr


@pytest.mark.parametrize("space", ["\n", "\r\n", " \t\n", "\ufeff", "\u00a0"])
def test_white_space_around_credentials_is_removed(
    space: str,
    terminal: Terminal,
    singer: Singer,
    stand_in: Callable[..., Customerio],
) -> None:
    server = stand_in(200, greets=True)
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="ada"),
        sandbox=None,
        site_id=f"{space}site",
        api_key=f"the key{space}",
        api_url=server.url,
    )
    assert outcome.code == 0, outcome.stderr
    token = base64.b64encode(b"site:the key").decode()
    assert server.authorizations == {f"Basic {token}"}


def test_a_credential_of_white_space_is_missing(terminal: Terminal) -> None:
    outcome = terminal.run(sandbox=None, site_id=" \n", api_key="\ufeff")
    assert [line.partition(":")[0] for line in outcome.errors] == ["site_id", "api_key"]


@pytest.mark.parametrize("setting", ["sandbox", "rejected_records_path"])
@pytest.mark.parametrize("path", ["w\u00f6rk.db"])
def test_a_path_that_the_locale_cannot_encode_ends_the_run(
    setting: str, path: str, terminal: Terminal
) -> None:
    terminal.environment |= {"LC_ALL": "C", "PYTHONUTF8": "0"}
    terminal.environment["PYTHONCOERCECLOCALE"] = "0"
    settings: dict[str, Any] = {setting: path}
    error = terminal.run(**settings).error
    assert error.startswith(f"{setting}: ")
    assert "PYTHONUTF8=1" in error


@pytest.mark.parametrize("setting", ["sandbox", "rejected_records_path"])
def test_a_path_with_a_nul_character_ends_the_run(
    setting: str, terminal: Terminal
) -> None:
    settings: dict[str, Any] = {setting: "a\0b"}
    error = terminal.run(**settings).error
    assert error == f"{setting}: the path holds a NUL character"


@pytest.mark.parametrize("setting", ["sandbox", "snapshot", "report_path"])
def test_a_path_in_the_home_folder_of_no_user_ends_the_run(
    setting: str, terminal: Terminal
) -> None:
    settings: dict[str, Any] = {setting: "~nobody-has-this-name/x"}
    assert terminal.run(**settings).error.startswith(f"{setting}: ~nobody")


@pytest.mark.parametrize(
    "paths",
    [
        {"snapshot": "workspace.db"},
        {"snapshot": "folder/../workspace.db"},
        {"snapshot": "link.db"},
        {"snapshot": "workspace.db-wal"},
        {"rejected_records_path": "workspace.db"},
        {"snapshot": "a.db", "rejected_records_path": "a.db"},
        {"snapshot": "a.db", "rejected_records_path": "./a.db-lock"},
        {"snapshot": "a.db", "rejected_records_path": "b", "report_path": "b"},
    ],
    ids=str,
)
def test_two_settings_with_one_path_end_the_run(
    paths: dict[str, Any], terminal: Terminal, singer: Singer
) -> None:
    (terminal.folder / "folder").mkdir()
    (terminal.folder / "link.db").symlink_to("workspace.db")
    before = {each.name for each in terminal.folder.iterdir()}

    outcome = terminal.run(singer.schema("identifies"), **paths)

    name, path = [*paths.items()][-1]
    assert outcome.error.startswith(f"{name}: {path} is the path of ")
    after = {each.name for each in terminal.folder.iterdir()}
    assert after - before <= {"config.json", "link.db"}


@pytest.mark.parametrize("setting", ["site_id", "api_key"])
def test_a_credential_with_undecodable_bytes_ends_the_run(
    setting: str, terminal: Terminal
) -> None:
    terminal.environment[f"TARGET_CUSTOMERIO_{setting.upper()}"] = f"{SECRET}\udcff"
    other = ({"site_id", "api_key"} - {setting}).pop()
    terminal.environment[f"TARGET_CUSTOMERIO_{other.upper()}"] = "valid"
    outcome = terminal.type("--config", "ENV")
    assert outcome.error.startswith(f"{setting}: not text in UTF-8")
    assert SECRET not in outcome.stderr


@pytest.mark.parametrize(
    "host", ["a..b", f"{'a' * 64}.com", "a b.com", "*.com", "\udcff.example", "a\0b"]
)
def test_an_impossible_host_ends_the_run(host: str, terminal: Terminal) -> None:
    outcome = terminal.run(
        sandbox=None, site_id="a", api_key="b", api_url=f"https://{host}"
    )
    assert outcome.error == "api_url: expected a valid URL that starts with https://"


class TestTheRejectedRecordsPath:
    @pytest.fixture
    def run(self, terminal: Terminal, singer: Singer) -> Callable[[str], Outcome]:
        return lambda path: terminal.run(
            singer.schema("identifies"),
            singer.record("identifies", userId="ada"),
            singer.state(reached="ada"),
            rejected_records_path=path,
        )

    @pytest.mark.parametrize(
        "path", [".", "folder", "taken/rejected.jsonl", "nowhere/x", "x" * 300]
    )
    def test_an_unwritable_path_ends_the_run_at_its_start(
        self, path: str, run: Callable[[str], Outcome], terminal: Terminal
    ) -> None:
        (terminal.folder / "folder").mkdir()
        (terminal.folder / "taken").touch()
        outcome = run(path)
        assert outcome.error.startswith("rejected_records_path: ")
        assert path in outcome.error
        assert outcome.states == []
        assert not (terminal.folder / "workspace.db").exists()

    @pytest.mark.parametrize(
        ("path", "why"), [("link", "a symbolic link"), ("pipe", "not a regular file")]
    )
    def test_a_link_or_a_pipe_ends_the_run_at_its_start(
        self, path: str, why: str, run: Callable[[str], Outcome], terminal: Terminal
    ) -> None:
        (terminal.folder / "link").symlink_to("behind-the-link")
        os.mkfifo(terminal.folder / "pipe")
        outcome = run(path)
        assert outcome.error.startswith(f"rejected_records_path: {path} ")
        assert why in outcome.error
        assert outcome.states == []
        assert not (terminal.folder / "behind-the-link").exists()

    def test_no_file_is_left_when_nothing_is_rejected(
        self, run: Callable[[str], Outcome], terminal: Terminal
    ) -> None:
        before = set(terminal.folder.iterdir())
        assert run("rejected.jsonl").code == 0
        names = {each.name for each in set(terminal.folder.iterdir()) - before}
        assert names == {"config.json", "workspace.db"}

    def test_an_existing_file_is_not_changed(
        self, run: Callable[[str], Outcome], terminal: Terminal
    ) -> None:
        file = terminal.folder / "rejected.jsonl"
        file.write_text("kept\n")
        at = file.stat().st_mtime_ns
        assert run("rejected.jsonl").code == 0
        assert (file.read_text(), file.stat().st_mtime_ns) == ("kept\n", at)


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


@pytest.mark.parametrize("name", ["site_id", "api_key"])
def test_credentials_in_an_environment_that_is_not_read_are_warned_of(
    name: str, terminal: Terminal
) -> None:
    variable = f"TARGET_CUSTOMERIO_{name.upper()}"
    terminal.environment[variable] = SECRET
    outcome = terminal.type("--check")
    assert outcome.code == 1
    assert outcome.lines("WARNING") == [
        f"{variable} is set but not read: add --config=ENV"
    ]
    assert SECRET not in outcome.stderr


@pytest.mark.parametrize(
    "settings", [{"sandbox": "workspace.db"}, {"site_id": "site", "api_key": "key"}]
)
def test_credentials_that_need_not_be_read_are_not_warned_of(
    settings: dict[str, str], terminal: Terminal, stand_in: Callable[..., Customerio]
) -> None:
    terminal.environment["TARGET_CUSTOMERIO_SITE_ID"] = SECRET
    terminal.environment["TARGET_CUSTOMERIO_API_KEY"] = SECRET
    config = terminal.write({"api_url": stand_in(200, greets=True).url, **settings})
    outcome = terminal.type("--config", config, "--check")
    assert (outcome.code, outcome.lines("WARNING")) == (0, [])


class TestTheEnvironment:
    @pytest.fixture
    def shell(self, terminal: Terminal) -> Terminal:
        terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
        return terminal

    def test_all_settings_can_be_set(self, shell: Terminal, singer: Singer) -> None:
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

    def test_a_configuration_file_and_the_environment_are_combined(
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
    def test_a_setting_that_cannot_be_parsed_is_named_without_its_value(
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
        (None, "config.json: there is no such file"),
    ],
    ids=["not_JSON", "not_an_object", "empty", "missing"],
)
def test_an_unreadable_configuration_file_causes_a_one_line_error(
    terminal: Terminal, content: str | None, clue: str
) -> None:
    if content is not None:
        (terminal.folder / "config.json").write_text(content)
    outcome = terminal.type("--config", "config.json")
    assert outcome.code != 0
    assert "Traceback" not in outcome.stderr
    assert clue in outcome.stderr
    assert SECRET not in outcome.stderr
    lines = [line for line in outcome.stderr.splitlines() if "INFO" not in line]
    assert len(lines) == 1 or lines[0].startswith("Usage:")


@pytest.mark.parametrize(
    ("calls", "stream"),
    [
        ({"people": {"max_deletions": 4}}, "people"),
        ({"people": {"max_deletions": "4", "remove_missing": True}}, "people"),
        ({"shop": {"people": {"update_only": True}}}, "shop.people"),
        ({"people.max_deletions": 4}, "people"),
    ],
)
@pytest.mark.parametrize("by", ["file", "environment"])
def test_an_object_without_a_call_is_named(
    terminal: Terminal, calls: dict[str, Any], stream: str, by: str
) -> None:
    config = {"sandbox": "workspace.db", "stream_calls": {"people": "identify"}}
    if by == "file":
        config["stream_calls"] = calls
    else:
        terminal.environment["TARGET_CUSTOMERIO_STREAM_CALLS"] = json.dumps(calls)
    outcome = terminal.type("--config", terminal.write(config), "--config=ENV")
    assert outcome.error == (
        f"stream_calls.{stream}: the entry call is missing. An object in an "
        "environment variable replaces the one in a file, so repeat all entries"
    )
    assert outcome.code == 1


UNREAD = (
    "{} is set but not read, so this would be a real run. In Meltano, add {} to the "
    "loader's settings in meltano.yml; elsewhere, add --config=ENV. Or remove the "
    "variable"
)


@pytest.mark.parametrize(
    ("variable", "value", "entry"),
    [
        *(("TARGET_CUSTOMERIO_PLAN", value, "{name: plan, kind: boolean}")
          for value in ("true", "True", "1", "on", "ture")),
        ("TARGET_CUSTOMERIO_SANDBOX", "workspace.db", "{name: sandbox}"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "options", [(), ("--remove-missing",), ("--refresh",), ("--check",)]
)
def test_a_harmless_run_that_would_be_a_real_one_does_not_start(
    terminal: Terminal,
    stand_in: Callable[..., Customerio],
    variable: str,
    value: str,
    entry: str,
    options: tuple[str, ...],
) -> None:
    server = stand_in(200, greets=True)
    keys = {"site_id": "made-up-site", "api_key": "made-up-key"}
    snapshot = {"snapshot": "seen.db"}
    config = terminal.write({"api_url": server.url, **keys, **snapshot})
    terminal.environment[variable] = value
    outcome = terminal.type("--config", config, *options)
    assert outcome.error == UNREAD.format(variable, entry)
    assert outcome.code == 1
    assert server.requests == []
    assert not (terminal.folder / "seen.db").exists()


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({"PLAN": "false"}, ()),
        ({"PLAN": "0"}, ()),
        ({"PLAN": ""}, ()),
        ({"SANDBOX": ""}, ()),
        ({"PLAN": "true"}, ("--plan",)),
        ({"SANDBOX": "other.db"}, ()),
        ({"PLAN": "true"}, ("--config=ENV",)),
        ({"SANDBOX": "other.db", "PLAN": "true"}, ("--config=ENV",)),
        ({"REFRESH": "true", "REGION": "eu"}, ()),
    ],
)
def test_variables_that_arrive_or_promise_nothing_do_not_end_the_run(
    terminal: Terminal, variables: dict[str, str], options: tuple[str, ...]
) -> None:
    config = terminal.write({"sandbox": "workspace.db"})
    for name, value in variables.items():
        terminal.environment[f"TARGET_CUSTOMERIO_{name}"] = value
    assert terminal.type("--config", config, *options).code == 0
    assert not (terminal.folder / "other.db").exists() or options


def test_a_misspelt_variable_ends_the_run(terminal: Terminal) -> None:
    terminal.environment["TARGET_CUSTOMERIO_SANDBX"] = SECRET
    terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
    error = terminal.type("--config=ENV").error
    assert error == "Unknown setting 'sandbx' (did you mean 'sandbox'?)"


def test_unknown_variables_are_reported_except_meltanos(
    terminal: Terminal,
) -> None:
    for name in (
        "HOME",
        "_PIP_URL",
        "_LOG_PARSER",
        "_DIALECT",
        "STREAM_CALLS_ANALYTICS_USERS",
        "STREAM_CALLS___ORDERS",
        "STREAM_MAPS_EMPTY",
        "STREAM_MAPS___ELSE__",
        "BATCH_CONFIG_ENCODING_FORMAT",
        "LOGLEVEL",
    ):
        terminal.environment[f"TARGET_CUSTOMERIO_{name}"] = "INFO"
    terminal.environment["TARGET_CUSTOMERIO_SANDBX"] = ""
    terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
    outcome = terminal.type("--config=ENV")
    assert outcome.code == 0
    assert outcome.lines("WARNING") == ["Ignoring unknown setting 'home'"]
    assert "Loading records into sandbox workspace.db" in outcome.lines("INFO")


def test_the_sdk_message_about_skipping_the_environment_is_not_logged(
    terminal: Terminal,
) -> None:
    terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
    assert "Skipping parse" not in terminal.type("--config=ENV").stderr
    config = terminal.write({})
    assert (
        "Skipping parse" not in terminal.type("--config", config, "--config=ENV").stderr
    )


def test_the_first_line_of_a_run_is_not_that_the_environment_is_not_read(
    terminal: Terminal,
) -> None:
    config = terminal.write({"sandbox": "workspace.db"})
    assert "Skipping parse" not in terminal.type("--config", config).stderr
    terminal.environment["TARGET_CUSTOMERIO_LOGLEVEL"] = "DEBUG"
    (line,) = [
        each
        for each in terminal.type("--config", config).stderr.splitlines()
        if "Skipping parse" in each
    ]
    assert "| DEBUG " in line


class TestDotenv:
    """Settings in a file .env of the working directory, with --config=ENV."""

    @pytest.fixture
    def feed(self, singer: Singer) -> bytes:
        messages = [singer.schema("users"), singer.record("users", userId="ada")]
        return b"".join(json.dumps(message).encode() + b"\n" for message in messages)

    def test_the_variables_of_an_env_file_are_settings(
        self, terminal: Terminal, feed: bytes
    ) -> None:
        (terminal.folder / ".env").write_text(
            "# where records go\n"
            "export TARGET_CUSTOMERIO_SANDBOX='workspace.db'\n"
            'TARGET_CUSTOMERIO_STREAM_CALLS=\'{"us*": "identify", "$HOME": "track"}\'\n'
        )
        outcome = terminal.type("--config=ENV", feed=feed)
        assert outcome.code == 0
        assert list(outcome.workspace["people"]) == ["id:ada"]

    def test_the_environment_takes_precedence(
        self, terminal: Terminal, feed: bytes
    ) -> None:
        (terminal.folder / ".env").write_text(
            "TARGET_CUSTOMERIO_SANDBOX=other.db\n"
            "TARGET_CUSTOMERIO_UNMAPPED_STREAMS=ignore\n"
        )
        terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
        outcome = terminal.type("--config=ENV", feed=feed)
        assert outcome.code == 0
        assert not (terminal.folder / "other.db").exists()
        assert outcome.table["users"]["skipped"] == {"unmapped stream": 1}

    def test_the_env_file_is_not_read_without_config_env(
        self, terminal: Terminal, feed: bytes
    ) -> None:
        (terminal.folder / ".env").write_text("TARGET_CUSTOMERIO_SANDBOX=other.db\n")
        config = terminal.write({"sandbox": "workspace.db", "stream_calls": CALLS})
        outcome = terminal.type("--config", config, feed=feed)
        assert outcome.code == 0
        assert not (terminal.folder / "other.db").exists()

    def test_a_misspelt_setting_in_the_env_file_is_an_error(
        self, terminal: Terminal
    ) -> None:
        (terminal.folder / ".env").write_text("TARGET_CUSTOMERIO_SANDBX=other.db\n")
        assert "sandbox" in terminal.type("--config=ENV").error

    @pytest.mark.parametrize(
        "line",
        [
            "TARGET_CUSTOMERIO_SANDBOX: workspace.db",
            "TARGET_CUSTOMERIO_SANDBOX workspace.db",
            "set TARGET_CUSTOMERIO_SANDBOX=workspace.db",
            "TARGET_CUSTOMERIO_SANDBOX='workspace.db",
            "TARGET_CUSTOMERIO_SANDBOX='workspace.db'; export OTHER=a",
            "TARGET_CUSTOMERIO_SANDBOX",
            "target_customerio_sandbox: workspace.db",
            'PASSWORD="sesame\nTARGET_CUSTOMERIO_SANDBOX="workspace.db"',
        ],
    )
    def test_a_line_that_cannot_be_read_is_an_error(
        self, terminal: Terminal, line: str
    ) -> None:
        (terminal.folder / ".env").write_text(f"# settings\n\n{line}\n")
        assert terminal.type("--config=ENV").error == (
            "Cannot read line 3 of .env: expected NAME=value; quotes have to be "
            "closed, with nothing but a comment after them"
        )

    def test_lines_of_other_programs_are_not_judged(
        self, terminal: Terminal, feed: bytes
    ) -> None:
        (terminal.folder / ".env").write_text(
            "OTHER: 'value\nDOCKER_PASSES_THIS_ON\n"
            "# TARGET_CUSTOMERIO_PLAN true\n"
            "TARGET_CUSTOMERIO_SANDBOX = workspace.db  # here\n"
            'TARGET_CUSTOMERIO_STREAM_CALLS=\'{\n"users": "identify"}\'\n'
        )
        outcome = terminal.type("--config=ENV", feed=feed)
        assert outcome.code == 0
        assert list(outcome.workspace["people"]) == ["id:ada"]

    def test_a_name_without_a_value_may_be_in_the_environment(
        self, terminal: Terminal, feed: bytes
    ) -> None:
        (terminal.folder / ".env").write_text("TARGET_CUSTOMERIO_SANDBOX\n")
        terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
        terminal.environment["TARGET_CUSTOMERIO_UNMAPPED_STREAMS"] = "ignore"
        assert terminal.type("--config=ENV", feed=feed).code == 0

    def test_a_byte_order_mark_hides_no_variable(
        self, terminal: Terminal, feed: bytes
    ) -> None:
        (terminal.folder / ".env").write_text(
            "TARGET_CUSTOMERIO_SANDBOX=workspace.db\n"
            "TARGET_CUSTOMERIO_UNMAPPED_STREAMS=ignore\n",
            encoding="utf-8-sig",
        )
        outcome = terminal.type("--config=ENV", feed=feed)
        assert outcome.code == 0
        assert outcome.table["users"]["skipped"] == {"unmapped stream": 1}

    def test_a_folder_of_that_name_is_no_file_of_variables(
        self, terminal: Terminal, feed: bytes
    ) -> None:
        (terminal.folder / ".env").mkdir()
        terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
        terminal.environment["TARGET_CUSTOMERIO_UNMAPPED_STREAMS"] = "ignore"
        assert terminal.type("--config=ENV", feed=feed).code == 0

    @pytest.mark.parametrize(
        "name",
        [
            "target_customerio_sandbox",
            "TARGET_CUSTOMERIO_sandbox",
            "Target_Customerio_Sandbox",
        ],
    )
    @pytest.mark.parametrize("place", [".env", "environment"])
    def test_a_variable_in_lower_case_ends_the_run(
        self, terminal: Terminal, name: str, place: str
    ) -> None:
        if place == ".env":
            (terminal.folder / ".env").write_text(f"{name}=workspace.db\n")
        else:
            terminal.environment[name] = "workspace.db"
        assert terminal.type("--config=ENV").error == (
            f"{name} is not read: write TARGET_CUSTOMERIO_SANDBOX, in upper case"
        )

    def test_a_variable_in_lower_case_beside_the_right_one_is_no_error(
        self, terminal: Terminal, feed: bytes
    ) -> None:
        terminal.environment["target_customerio_sandbox"] = "other.db"
        terminal.environment["TARGET_CUSTOMERIO_SANDBOX"] = "workspace.db"
        terminal.environment["TARGET_CUSTOMERIO_UNMAPPED_STREAMS"] = "ignore"
        assert terminal.type("--config=ENV", feed=feed).code == 0

    def test_a_file_in_another_encoding_ends_the_run_in_one_line(
        self, terminal: Terminal
    ) -> None:
        (terminal.folder / ".env").write_bytes(b"TARGET_CUSTOMERIO_API_KEY=\xff\xfe\n")
        assert terminal.type("--config=ENV").error == (
            "Cannot read .env (UnicodeDecodeError): expected lines NAME=value in UTF-8"
        )


CALLS = {"users": "identify"}
