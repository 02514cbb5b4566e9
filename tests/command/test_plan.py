"""A plan says what a run would do, and does nothing."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.command import SETTINGS, RunningTarget
from support.customerio import REGION
from support.singer import line_of, record, schema, state

from target_customerio.snapshot.file import SnapshotFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.command import Outcome, Terminal
    from support.customerio import Customerio
    from support.singer import Message

CONFIG: dict[str, Any] = {
    "sandbox": "workspace.db",
    "snapshot": "snapshot.db",
    "stream_calls": {"users": "identify", "crm": "identify", "companies": "group"},
}


def table(stream: str, rows: list[dict[str, Any]]) -> list[Message]:
    return [schema(stream), *(record(stream, **row) for row in rows)]


def people(count: int, **columns: Any) -> list[dict[str, Any]]:
    return [
        {"user_id": n, "email": f"p{n}@example.com", "plan": "free", **columns}
        for n in range(count)
    ]


def run(terminal: Terminal, *flags: str, rows: Any, **settings: Any) -> Outcome:
    """Load tables, given as rows of users or by name."""
    tables = rows if isinstance(rows, dict) else {"users": rows}
    messages = [each for name in tables for each in table(name, tables[name])]
    feed = b"".join(map(line_of, [*messages, state({"bookmarks": {}})]))
    config = terminal.write({**CONFIG, **settings})
    return terminal.type("--config", config, *flags, feed=feed)


@pytest.fixture(scope="module")
def loaded(new_terminal: Callable[[], Terminal]) -> Terminal:
    """Return a terminal in which ten people were loaded; plans do not change that."""
    terminal = new_terminal()
    assert run(terminal, rows=people(10)).code == 0
    return terminal


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder but the settings."""
    return {
        each.name: each.read_bytes()
        for each in folder.iterdir()
        if each.name != "config.json"
    }


def plan_of(outcome: Outcome) -> list[str]:
    """Return the lines of a plan."""
    lines = outcome.lines("INFO")
    (start,) = [n for n, line in enumerate(lines) if line.startswith("Plan for ")]
    return lines[start:]


def edited() -> list[dict[str, Any]]:
    """Return the table of ten people after some changes."""
    rows = people(12)
    rows[3] |= {"plan": "plus"}
    rows[4] |= {"plan": "plus", "city": "Graz"}
    return [*rows, {"plan": "nobody's"}, {"user_id": 20, "email": "none"}]


PLAN = """\
Plan for sandbox workspace.db, compared with snapshot.db; nothing was sent
stream             read  create  change  unchanged  reject
-----------------  ----  ------  ------  ---------  ------
users                14
  person identify             3       2          8
    plan                              2
    city                              1
  no_identifier                                          1
0 events are younger than 72 hours and can trigger campaigns
Plan: 3 to create, 2 to change; 8 unchanged, 1 rejected"""


def test_a_plan_says_what_a_run_would_do(loaded: Terminal) -> None:
    outcome = run(loaded, "--plan", rows=edited())
    assert plan_of(outcome) == PLAN.splitlines()
    assert outcome.code == 0


@pytest.mark.parametrize("settings", [{}, {"snapshot": None}, {"sandbox": "new.db"}])
def test_a_plan_writes_no_file_and_no_state(
    terminal: Terminal, settings: dict[str, Any]
) -> None:
    run(terminal, rows=people(10))
    settings |= {"snapshot": None} if settings.get("sandbox") else {}
    before = contents(terminal.folder)
    for flags in (["--plan"], ["--plan", "--refresh"] if not settings else ["--plan"]):
        outcome = run(terminal, *flags, rows=edited(), **settings)
        assert (outcome.code, outcome.stdout) == (0, "")
        assert contents(terminal.folder) == before


def test_a_refresh_creates_nobody_whom_the_snapshot_knows(loaded: Terminal) -> None:
    outcome = run(loaded, "--plan", "--refresh", rows=people(12))
    assert plan_of(outcome)[-1] == "Plan: 2 to create, 10 to change"


def test_a_first_plan_creates_no_file(terminal: Terminal) -> None:
    outcome = run(terminal, "--plan", rows=people(3))
    assert plan_of(outcome)[-1] == "Plan: 3 to create"
    assert contents(terminal.folder) == {}


def test_a_plan_without_a_snapshot_says_what_would_be_sent(terminal: Terminal) -> None:
    event = {"userId": "1", "event": "Paid", "messageId": "m"}
    rows = {"users": people(3), "tracks": [event]}
    outcome = run(terminal, "--plan", rows=rows, snapshot=None)
    assert plan_of(outcome) == [
        "Plan for sandbox workspace.db; nothing was sent",
        "stream             read  send",
        "-----------------  ----  ----",
        "tracks                1",
        "  person event              1",
        "users                 3",
        "  person identify           3",
        "    email                   3",
        "    plan                    3",
        "1 event is younger than 72 hours and can trigger campaigns",
        "Plan: 4 to send",
    ]


def test_a_plan_for_customerio_sends_only_the_region_check(
    terminal: Terminal, stand_in: Callable[..., Customerio]
) -> None:
    server = stand_in(500, greets=True)
    settings = {**SETTINGS, "sandbox": None, "api_url": server.url}
    outcome = run(terminal, "--plan", rows=people(50), **settings)
    assert [each.path for each in server.requests] == [REGION]
    assert plan_of(outcome)[-1] == "Plan: 50 to create"
    assert outcome.code == 0


def test_wrong_credentials_fail_a_plan(
    terminal: Terminal, stand_in: Callable[..., Customerio]
) -> None:
    settings = {**SETTINGS, "sandbox": None, "api_url": stand_in(401).url}
    outcome = run(terminal, "--plan", rows=people(5), **settings)
    assert outcome.error.startswith("Customer.io refused the credentials")
    assert not [each for each in outcome.lines("INFO") if each.startswith("Plan ")]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        pytest.param(people(10), 0, id="unchanged"),
        pytest.param(people(11), 4, id="a new person"),
        pytest.param(people(1, plan="plus"), 4, id="a change"),
        pytest.param([*people(3), {"plan": "nobody's"}], 0, id="only a rejection"),
    ],
)
def test_the_detailed_exit_code_tells_whether_there_is_anything_to_do(
    loaded: Terminal, rows: list[dict[str, Any]], code: int
) -> None:
    assert run(loaded, "--plan", "--detailed-exitcode", rows=rows).code == code


def test_the_detailed_exit_code_is_for_plans(terminal: Terminal) -> None:
    outcome = run(terminal, "--detailed-exitcode", rows=people(3))
    assert outcome.error == "--detailed-exitcode: for plans only; add --plan"
    assert contents(terminal.folder) == {}


def test_a_plan_can_be_a_setting(terminal: Terminal) -> None:
    terminal.environment["TARGET_CUSTOMERIO_PLAN"] = "true"
    outcome = run(terminal, "--config=ENV", rows=people(3))
    assert plan_of(outcome)[-1] == "Plan: 3 to create"
    assert (outcome.code, outcome.stdout) == (0, "")
    assert contents(terminal.folder) == {}


@pytest.mark.parametrize("on_rejected", ["fail", "continue", "abort"])
def test_a_plan_shows_all_that_would_be_rejected(
    terminal: Terminal, on_rejected: str
) -> None:
    rows = [*people(2), {"plan": "a"}, {"user_id": 7, "created_at": [1]}, {"plan": "b"}]
    rows[1] |= {"bio": "x" * 1001}  # refused by the sandbox
    outcome = run(terminal, "--plan", rows=rows, on_rejected=on_rejected)
    assert outcome.code == 0
    assert not outcome.rejected_path.exists()
    assert "  no_identifier                       2" in plan_of(outcome)
    assert plan_of(outcome)[-1].endswith("to create; 3 rejected")
    first, *_ = [each for each in outcome.lines("WARNING") if "no_identifier" in each]
    assert first.startswith(
        "Stream 'users': record would be rejected, see line 4 of the input: "
    )


def test_events_that_the_sandbox_has_are_not_planned_to_be_sent(
    terminal: Terminal,
) -> None:
    events = [{"user_id": n, "event": "E", "messageId": str(n)} for n in range(3)]
    run(terminal, rows={"tracks": events[:2]})
    outcome = run(terminal, "--plan", rows={"tracks": events})
    assert outcome.code == 0
    assert "  repeated event                 2" in plan_of(outcome)


def test_many_rejections_are_logged_once(terminal: Terminal) -> None:
    outcome = run(terminal, "--plan", rows=[{"plan": "a"}] * 30)
    lines = [each for each in outcome.lines("WARNING") if "no_identifier" in each]
    assert len(lines) == 12
    assert lines[10] == (
        "Stream 'users': more than 10 records would be rejected (no_identifier); "
        "further ones are not logged"
    )


# Deletions, mergers and people of several streams


def test_other_operations_are_counted_one_by_one(loaded: Terminal) -> None:
    events = [
        {"userId": "1", "event": "User Deleted", "messageId": "a"},
        {"userId": "2", "event": "User Suppressed", "messageId": "b"},
        {"userId": "1", "event": "Paid", "messageId": "c", "timestamp": 1},
    ]
    rows = {
        "users": people(10),
        "tracks": events,
        "aliases": [{"user_id": "3", "previous_id": "4"}],
    }
    lines = plan_of(run(loaded, "--plan", rows=rows))
    for operation in ("merge", "delete", "event", "suppress"):
        (line,) = [each for each in lines if each.startswith(f"  person {operation} ")]
        assert line.split()[-1] == "1"
    assert lines[-1] == "Plan: 4 to send; 10 unchanged"


def test_a_deleted_person_is_created_again(loaded: Terminal) -> None:
    gone = {"userId": "1", "event": "User Deleted", "messageId": "a"}
    rows = {"tracks": [gone], "users": people(10)}
    outcome = run(loaded, "--plan", rows=rows)
    assert plan_of(outcome)[-1] == "Plan: 1 to create, 1 to send; 9 unchanged"


@pytest.mark.parametrize(
    ("previous", "summary"),
    [
        ("4", "Plan: 1 to create, 1 to change, 1 to send; 9 unchanged"),
        ("unknown", "Plan: 1 to create, 1 to change, 1 to send; 9 unchanged"),
        # It may be anyone.
        ("cio_0a1b", "Plan: 1 to create, 10 to change, 1 to send"),
    ],
)
def test_whom_a_merge_keeps_is_not_created(
    loaded: Terminal, previous: str, summary: str
) -> None:
    merge = {"user_id": "3", "previous_id": previous}
    rows = {"aliases": [merge], "users": people(11)}
    if previous == "4":
        del rows["users"][4]
        summary = summary.replace("9 un", "8 un")
    outcome = run(loaded, "--plan", rows=rows)
    assert plan_of(outcome)[-1] == summary


@pytest.mark.parametrize(
    ("previous", "summary"),
    [
        ("4", "Plan: 1 to create, 1 to change; 8 unchanged"),
        ("unknown", "Plan: 1 to change; 9 unchanged"),
        ("cio_0a1b", "Plan: 10 to change"),
    ],
)
def test_whom_an_earlier_merge_kept_is_not_created(
    terminal: Terminal, previous: str, summary: str
) -> None:
    merge = {"user_id": "3", "previous_id": previous}
    assert run(terminal, rows=people(10)).code == 0
    assert run(terminal, rows={"aliases": [merge]}).code == 0
    assert plan_of(run(terminal, "--plan", rows=people(10)))[-1] == summary


@pytest.mark.parametrize("ends", [False, True])
def test_a_suppressed_person_is_created_again(
    terminal: Terminal, *, ends: bool
) -> None:
    events = ["User Suppressed", *(["User Unsuppressed"] if ends else [])]
    rows = [
        {"userId": "3", "event": each, "messageId": each, "timestamp": 1}
        for each in events
    ]
    assert run(terminal, rows=people(10)).code == 0
    assert run(terminal, rows={"tracks": rows}).code == 0
    outcome = run(terminal, "--plan", rows=people(10))
    assert plan_of(outcome)[-1] == "Plan: 1 to create; 9 unchanged"


def test_a_person_of_two_streams_is_created_once(terminal: Terminal) -> None:
    rows = {"users": people(3), "crm": [{"user_id": 1, "stage": "x"}] * 3}
    outcome = run(terminal, "--plan", rows=rows)
    assert plan_of(outcome)[-1] == "Plan: 3 to create, 1 to change"
    rows["crm"] += [{"user_id": 3, "stage": "x"}]
    outcome = run(terminal, "--plan", rows=rows)
    assert plan_of(outcome)[-1] == "Plan: 4 to create, 1 to change"


def test_update_only_creates_nobody(terminal: Terminal) -> None:
    outcome = run(terminal, "--plan", rows=people(3), update_only=True)
    lines = plan_of(outcome)
    assert lines[-1] == "Plan: 3 to change"
    assert "_update" not in "".join(lines)


def test_people_who_cannot_be_compared_are_sent(terminal: Terminal) -> None:
    rows = [{"user_id": "cio_0a1b", "plan": "x"}] * 2
    lines = plan_of(run(terminal, "--plan", rows=rows))
    assert "    plan                    2" in lines
    assert lines[-1] == "Plan: 2 to send"


def test_names_of_attributes_that_may_be_values_are_not_shown(
    terminal: Terminal,
) -> None:
    traits = {"ann@example.com": 1, "4711": 2, "plan": "x"}
    rows = {"identifies": [{"userId": "1", "traits": traits}]}
    outcome = run(terminal, "--plan", rows=rows, snapshot=None)
    assert "    (other names)           1" in plan_of(outcome)
    assert "ann@example.com" not in outcome.stderr
    assert "4711" not in outcome.stderr


def test_every_figure_is_a_field_of_a_structured_log(loaded: Terminal) -> None:
    terminal = replace(loaded, environment={})
    terminal.environment["SINGER_SDK_LOG_CONFIG"] = str(logging_config(terminal.folder))
    outcome = run(terminal, "--plan", rows=edited())
    found = [json.loads(line) for line in outcome.stderr.splitlines()]
    extra = {each["extra"].get("event_type"): each["extra"] for each in found}
    stream, total = extra["stream_plan"], extra["plan"]
    assert stream["operations"] == [
        {
            "operation": "person identify",
            "created": 3,
            "changed": 2,
            "unchanged": 8,
            "sent": 0,
            "attributes": {"plan": 2, "city": 1},
        }
    ]
    assert stream["rejected_by_reason"] == {"no_identifier": 1}
    figures = ("to_create", "to_change", "unchanged", "to_send", "rejected")
    assert [total[name] for name in figures] == [3, 2, 8, 0, 1]


def logging_config(folder: Path) -> Path:
    """Return a logging configuration with a JSON object for each line."""
    file = folder / "config.json.logging"
    file.write_text(
        json.dumps(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "formatters": {
                    "json": {"()": "singer_sdk.logging.StructuredFormatter"}
                },
                "handlers": {
                    "all": {
                        "class": "logging.StreamHandler",
                        "formatter": "json",
                        "stream": "ext://sys.stderr",
                    }
                },
                "root": {"level": "INFO", "handlers": ["all"]},
            }
        )
    )
    return file


# Files that are in use, foreign or read-only


def test_a_plan_is_possible_while_a_run_uses_the_snapshot(terminal: Terminal) -> None:
    run(terminal, rows=people(3))
    in_use = SnapshotFile(terminal.folder / "snapshot.db")
    try:
        with in_use.writing() as database:
            database.execute("INSERT INTO meta VALUES ('a', 'b')")
        before = contents(terminal.folder)
        outcome = run(terminal, "--plan", rows=people(4))
        assert contents(terminal.folder).keys() == before.keys()
    finally:
        in_use.close()
    assert plan_of(outcome)[-1] == "Plan: 1 to create; 3 unchanged"


def test_a_plan_after_a_killed_run_leaves_its_files_alone(terminal: Terminal) -> None:
    config = {"sandbox": "workspace.db", **CONFIG}
    target = RunningTarget(terminal.folder, config)
    target.send(*table("users", people(3)), state({"bookmarks": {}}))
    target.wait_for_state({"bookmarks": {}})
    target.kill()
    (terminal.folder / "stderr.log").unlink()
    before = contents(terminal.folder)
    assert before["snapshot.db-wal"]
    outcome = run(terminal, "--plan", rows=people(4))
    after = contents(terminal.folder)
    for name in ("snapshot.db-shm", "workspace.db-shm"):  # an index of the log
        del before[name], after[name]
    assert after == before
    assert plan_of(outcome)[-1] == "Plan: 1 to create; 3 unchanged"


def test_a_plan_by_a_copy_on_a_read_only_disk(terminal: Terminal) -> None:
    run(terminal, rows=people(3))
    for name in ("snapshot.db", "workspace.db"):
        (terminal.folder / name).chmod(0o400)
    outcome = run(terminal, "--plan", rows=people(4))
    assert plan_of(outcome)[-1] == "Plan: 1 to create; 3 unchanged"


@pytest.mark.parametrize("name", ["snapshot", "sandbox"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"x" * 4096, "file is not a database", id="no database"),
        pytest.param(None, "of another program", id="a foreign database"),
    ],
)
def test_a_foreign_file_is_an_error_that_names_it(
    terminal: Terminal, name: str, content: bytes | None, problem: str
) -> None:
    file = terminal.folder / "foreign.db"
    if content is None:
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE t (x)")
    else:
        file.write_bytes(content)
    outcome = run(terminal, "--plan", rows=people(3), **{name: "foreign.db"})
    assert "foreign.db" in outcome.error
    assert problem in outcome.error
    assert "/tmp/target-customerio" not in outcome.error


@pytest.mark.parametrize("name", ["snapshot", "sandbox"])
def test_a_folder_that_does_not_exist_is_an_error(
    terminal: Terminal, name: str
) -> None:
    outcome = run(terminal, "--plan", rows=people(3), **{name: "no/file.db"})
    assert "is in a folder that does not exist" in outcome.error


def test_the_snapshot_of_another_workspace_fails_a_plan(loaded: Terminal) -> None:
    outcome = run(loaded, "--plan", rows=people(3), sandbox="other.db")
    assert "snapshot.db belongs to workspace" in outcome.error
    assert not (loaded.folder / "other.db").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_plan_of_half_the_input_is_none(
    terminal: Terminal, number: signal.Signals
) -> None:
    target = RunningTarget(terminal.folder, {**CONFIG, "plan": True})
    try:
        target.send(*table("users", people(3)))
        target.wait_until_read()
        target.signal(number)
        assert target.wait() == 1
    finally:
        target.kill()
    assert target.error == (
        "The plan would be incomplete, since the input was not read to its end; run "
        "the plan again"
    )
    assert not [each for each in target.lines("INFO") if each.startswith("Plan ")]
    assert target.lines("WARNING") == [
        f"{number.name}: stopped reading; a second signal exits at once"
    ]


def test_input_that_is_not_singer_fails_a_plan(terminal: Terminal) -> None:
    config = terminal.write(CONFIG)
    outcome = terminal.type("--config", config, "--plan", feed=b"no singer\n")
    assert outcome.error.startswith("Line 1")
    assert contents(terminal.folder) == {}


# The check of the settings


def check(terminal: Terminal, **settings: Any) -> Outcome:
    config = terminal.write({**CONFIG, **settings})
    return terminal.type("--config", config, "--check")


def test_a_check_shows_whose_snapshot_it_is(terminal: Terminal) -> None:
    outcome = check(terminal)
    assert "Snapshot snapshot.db does not exist yet; the first run creates it" in (
        outcome.lines("INFO")
    )
    assert not (terminal.folder / "snapshot.db").exists()
    run(terminal, rows=people(3))
    outcome = check(terminal)
    assert "Snapshot snapshot.db belongs to this workspace" in outcome.lines("INFO")
    assert outcome.code == 0


def test_a_check_finds_the_snapshot_of_another_workspace(terminal: Terminal) -> None:
    run(terminal, rows=people(3))
    outcome = check(terminal, sandbox="other.db")
    assert "snapshot.db belongs to workspace" in outcome.error


@pytest.mark.parametrize("content", [b"short", b"x" * 4096])
def test_a_check_finds_a_file_that_is_no_snapshot(
    terminal: Terminal, content: bytes
) -> None:
    (terminal.folder / "snapshot.db").write_bytes(content)
    outcome = check(terminal)
    assert "snapshot.db" in outcome.error
    assert "choose another file" in outcome.error
