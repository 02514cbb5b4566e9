"""Runs with a snapshot send only what changed."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from support.command import COMMAND, RunningTarget
from support.customerio import BATCH, accept
from support.loads import CALLS

from target_customerio.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from support.customerio import Customerio, Reply, Request
    from support.loads import Loads

ANN, BEA = "ann@example.com", "bea@example.com"


def attributes(operations: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Return person and attributes of identifies."""
    return [
        (next(iter(each["identifiers"].values())), each["attributes"])
        for each in operations
    ]


def people(count: int, **columns: Any) -> list[dict[str, Any]]:
    return [
        {"user_id": n, "email": f"p{n}@example.com", "plan": "free", **columns}
        for n in range(count)
    ]


def test_a_table_that_is_read_again_is_not_sent_again(loads: Loads) -> None:
    assert len(loads.sent(users=people(50))) == 50

    outcome = loads.run(users=people(50))

    assert loads.new() == []
    assert outcome.table["users"]["skipped"] == {"unchanged": 50}
    assert outcome.table["users"]["delivered"] == {}
    assert outcome.states == [{"bookmarks": {"users": {}}}]


def test_only_what_was_edited_is_sent(loads: Loads) -> None:
    table = people(50, city=None)
    loads.sent(users=table)
    table[7] |= {"plan": "plus"}
    table[9] |= {"city": "Graz", "plan": None}

    assert attributes(loads.sent(users=table)) == [
        ("7", {"plan": "plus"}),
        ("9", {"city": "Graz", "plan": None}),
    ]
    people_after = loads.run(users=table).workspace["people"]
    assert people_after["id:7"]["attributes"] == {"plan": "plus"}
    assert people_after["id:9"]["attributes"] == {"city": "Graz"}


def test_two_streams_of_one_person_are_both_unchanged(loads: Loads) -> None:
    tables: Any = {
        "users": people(3),
        "crm": [{"user_id": n, "stage": "x"} for n in (0, 1)],
    }
    loads.sent(**tables)

    outcome = loads.run(**tables)

    assert loads.new() == []
    assert outcome.table["crm"]["skipped"] == {"unchanged": 2}


def test_streams_that_contradict_each_other_end_as_without_a_snapshot(
    loads: Loads,
) -> None:
    tables: Any = {"users": people(1), "crm": [{"user_id": 0, "plan": "plus"}]}
    for _ in range(3):
        outcome = loads.run(**tables)
        person = outcome.workspace["people"]["id:0"]
        assert person["attributes"]["plan"] == "plus"


def test_a_value_that_goes_there_and_back_in_a_run_is_sent_twice(loads: Loads) -> None:
    loads.sent(users=people(1))
    there_and_back = [*people(1, plan="plus"), *people(1)]
    assert attributes(loads.sent(users=there_and_back)) == [
        ("0", {"plan": "plus"}),
        ("0", {"plan": "free"}),
    ]


@pytest.mark.parametrize(
    ("columns", "settings"),
    [
        pytest.param({}, {"update_only": True}, id="update_only"),
        pytest.param({"timestamp": "2026-01-01T00:00:00Z"}, {}, id="a time"),
    ],
)
def test_what_may_not_be_applied_is_sent_each_time(
    loads: Loads, columns: dict[str, Any], settings: dict[str, Any]
) -> None:
    for _ in range(2):
        operations = loads.sent(settings=settings, users=people(2, **columns))
        assert [each["attributes"]["plan"] for each in operations] == ["free"] * 2


def test_identifies_without_their_time_are_compared(loads: Loads) -> None:
    settings = {"identify_timestamp": "omit"}
    table = people(2, timestamp="2026-01-01T00:00:00Z")
    assert len(loads.sent(settings=settings, users=table)) == 2
    assert loads.sent(settings=settings, users=table) == []


def test_nulls_that_are_omitted_say_nothing(loads: Loads) -> None:
    settings = {"null_attributes": "omit"}
    loads.sent(settings=settings, users=people(1))
    assert loads.sent(settings=settings, users=people(1, plan=None)) == []
    assert loads.sent(settings=settings, users=people(1)) == []


def test_dates_are_compared_as_they_are_sent(loads: Loads) -> None:
    loads.sent(users=people(1, created_at="2026-01-01T00:00:00Z"))
    assert loads.sent(users=people(1, created_at="2026-01-01T01:00:00+01:00")) == []
    changed = loads.sent(users=people(1, created_at="2026-01-02T00:00:00Z"))
    assert attributes(changed) == [("0", {"created_at": 1767312000})]


def test_an_opt_out_in_customerio_is_not_undone(loads: Loads) -> None:
    topics = {"topics": {"news": True, "offers": True}}
    row = {"unsubscribed": False, "cio_subscription_preferences": topics}
    loads.sent(users=people(1, **row))
    loads.terminal.run(  # as if somebody had done it in Customer.io
        loads.singer.schema("identifies"),
        loads.singer.record(
            "identifies",
            userId="0",
            traits={
                "unsubscribed": True,
                "cio_subscription_preferences.topics.news": False,
            },
        ),
    )
    loads.new()
    row["cio_subscription_preferences"] = {"topics": {"news": True, "offers": False}}

    outcome = loads.run(users=people(1, plan="plus", **row))

    assert attributes(loads.new()) == [
        (
            "0",
            {"plan": "plus", "cio_subscription_preferences.topics.offers": False},
        )
    ]
    person = outcome.workspace["people"]["id:0"]["attributes"]
    assert person["unsubscribed"] is True
    assert person["cio_subscription_preferences"] == {
        "topics": {"news": False, "offers": False}
    }


@pytest.mark.parametrize("how", ["--refresh", "setting"])
def test_refresh_sends_everything_once(loads: Loads, how: str) -> None:
    table = people(3)
    loads.sent(users=table)

    if how == "setting":
        operations = loads.sent(users=table, settings={"refresh": True})
    else:
        config = loads.terminal.write({"sandbox": "workspace.db", **loads.settings})
        feed = "\n".join(map(json.dumps, loads.messages({"users": table})))
        outcome = loads.terminal.type("--config", config, how, feed=feed.encode())
        assert outcome.code == 0
        operations = loads.new()

    assert [each["attributes"] for each in operations] == [
        {"email": row["email"], "plan": "free"} for row in table
    ]
    assert loads.sent(users=table) == []


def test_refresh_without_a_snapshot_is_an_error(loads: Loads) -> None:
    outcome = loads.run(users=people(1), settings={"refresh": True, "snapshot": None})
    assert outcome.error.startswith("refresh: needs a snapshot")


def test_objects_relationships_and_memberships_are_compared(loads: Loads) -> None:
    tables: Any = {
        "users": people(2),
        "companies": [
            {
                "group_id": "acme",
                "user_id": n,
                "name": "Acme",
                "relationship_attributes": {"role": "owner"},
            }
            for n in (0, 1)
        ],
        "members": [{"segment_id": 7, "user_id": 0}],
    }
    loads.sent(users=people(2))
    assert len(loads.sent(**tables)) == 3
    assert loads.sent(**tables) == []
    tables["companies"][1]["relationship_attributes"] = {"role": "buyer"}
    (operation,) = loads.sent(**tables)
    assert operation["attributes"] == {}
    (relationship,) = operation["cio_relationships"]
    assert relationship["relationship_attributes"] == {"role": "buyer"}


def test_events_are_never_skipped(loads: Loads) -> None:
    event = {"userId": "1", "event": "Paid", "messageId": "m", "properties": {"a": 1}}
    for _ in range(2):
        assert len(loads.sent(tracks=[event])) == 1


def test_anonymous_ids_are_compared(loads: Loads) -> None:
    row = {"user_id": 1, "anonymous_id": "visitor", "plan": "free"}
    anonymous = {"anonymous_id": "someone", "plan": "free"}
    assert len(loads.sent(users=[row, anonymous])) == 1
    outcome = loads.run(users=[row, anonymous])
    assert loads.new() == []
    assert outcome.table["users"]["skipped"] == {
        "anonymous identify": 1,
        "unchanged": 1,
    }


# E-mail addresses


def test_a_change_of_case_is_a_change_of_the_same_person(loads: Loads) -> None:
    row = {"user_id": 1, "email": ANN, "plan": "free"}
    loads.sent(users=[row])
    changed = {**row, "email": ANN.upper()}
    assert attributes(loads.sent(users=[changed])) == [("1", {"email": ANN.upper()})]
    by_email = {"email": ANN.upper(), "plan": "free"}
    assert loads.sent(crm=[by_email]) == []


def test_an_identify_by_email_and_later_by_id_is_one_person(loads: Loads) -> None:
    loads.sent(users=[{"email": ANN, "plan": "free"}])
    (operation,) = loads.sent(users=[{"user_id": 1, "email": ANN, "plan": "free"}])
    assert operation["identifiers"] == {"id": "1"}
    assert operation["attributes"]["email"] == ANN
    assert loads.sent(users=[{"user_id": 1, "email": ANN, "plan": "free"}]) == []
    assert loads.sent(users=[{"email": ANN, "plan": "free"}]) == []


def test_an_address_that_moves_to_another_id_makes_both_unknown(loads: Loads) -> None:
    loads.sent(users=[{"user_id": 1, "email": ANN, "plan": "free"}])
    moved = [{"user_id": 1, "plan": "free"}, {"user_id": 2, "email": ANN, "plan": "a"}]
    loads.sent(users=moved)
    sent = attributes(loads.sent(users=moved))
    assert sent == [("1", {"plan": "free"}), ("2", {"email": ANN, "plan": "a"})]


def test_an_address_that_changes_is_sent_each_time(loads: Loads) -> None:
    loads.sent(users=[{"user_id": 1, "email": ANN, "plan": "free"}])
    changed = [{"user_id": 1, "email": BEA, "plan": "free"}]
    for _ in range(2):
        assert attributes(loads.sent(users=changed)) == [("1", {"email": BEA})]


def test_an_address_that_comes_back_after_a_deletion_is_sent(loads: Loads) -> None:
    row = {"user_id": 1, "email": ANN, "plan": "free"}
    gone = {"userId": "1", "event": "User Deleted", "messageId": "m"}
    loads.sent(users=[row])
    loads.sent(tracks=[gone])
    again = {"user_id": 2, "email": ANN, "plan": "free"}
    outcome = loads.run(users=[again])
    assert attributes(loads.new()) == [("2", {"email": ANN, "plan": "free"})]
    assert [*outcome.workspace["people"]] == ["id:2"]


# What was rejected


def test_what_customerio_rejects_of_one_stream_is_not_skipped_in_another(
    loads: Loads,
) -> None:
    loads.sent(users=people(1))
    tables: Any = {
        "users": people(1, plan="plus", bio="x" * 1001),
        "crm": [{"user_id": 0, "plan": "plus"}],
    }
    outcome = loads.run(**tables)
    assert outcome.code == 3
    assert outcome.workspace["people"]["id:0"]["attributes"] == {"plan": "plus"}


def test_what_is_too_large_is_rejected_here_and_sent_once_it_is_corrected(
    loads: Loads,
) -> None:
    loads.sent(users=people(2))
    outcome = loads.run(users=people(1, plan="plus", bio="x" * 33_000))
    assert outcome.reasons == [("too_large", "")]
    assert loads.new() == []
    assert attributes(loads.sent(users=people(1, plan="plus"))) == [
        ("0", {"plan": "plus"})
    ]


def statuses(folder: Path) -> dict[str, str]:
    """Return how the last run of each stream ended."""
    snapshot = Snapshot(folder / "snapshot.db")
    try:
        return {each.name: each.status for each in snapshot.streams}
    finally:
        snapshot.close()


def held(folder: Path, stream: str) -> tuple[int, int]:
    """Return how many people a stream holds, and how many of them are missing."""
    snapshot = Snapshot(folder / "snapshot.db")
    try:
        (found,) = snapshot.streams.named(stream)
        return len(found.holds.held[0]), len(found.holds.missing[0])
    finally:
        snapshot.close()


def test_a_replay_of_rejected_records_adds_to_what_a_stream_holds(
    loads: Loads,
) -> None:
    loads.sent(users=people(4))
    bad = [*people(3), {"user_id": 3, "plan": "x" * 1001}]
    outcome = loads.run(users=bad)
    assert outcome.code == 3
    assert held(outcome.folder, "users") == (4, 0)
    loads.new()
    rejected = outcome.rejected_path.read_bytes()
    corrected = rejected.replace(b"x" * 1001, b"plus")
    outcome.rejected_path.unlink()

    outcome = loads.terminal.run(feed=corrected, **loads.settings)

    assert outcome.code == 0
    assert attributes(loads.new()) == [("3", {"plan": "plus"})]
    assert statuses(outcome.folder) == {"users": "complete"}
    assert held(outcome.folder, "users") == (4, 0)


@pytest.mark.parametrize(
    ("row", "status"),
    [
        pytest.param({"user_id": 3, "created_at": "soon"}, "complete", id="an id"),
        pytest.param({"user_id": " ", "plan": "a"}, "unreadable", id="a blank id"),
        pytest.param({"plan": "a"}, "unreadable", id="no identifier"),
        pytest.param({"user_id": 3, "traits": "{"}, "complete", id="bad traits"),
        pytest.param(
            {"user_id": 3, "integrations": {"All": False}}, "complete", id="skipped"
        ),
        pytest.param({"user_id": 3, "seats": "many"}, "complete", id="bad by schema"),
    ],
)
def test_a_row_that_is_not_sent_counts_if_its_identifiers_can_be_read(
    loads: Loads, row: dict[str, Any], status: str
) -> None:
    loads.sent(users=people(4))
    schema = loads.singer.schema(
        "users",
        {
            "seats": {"type": "integer"},
            "created_at": {"type": "string", "format": "date"},
        },
    )
    rows = [loads.singer.record("users", **each) for each in [*people(3), row]]
    outcome = loads.terminal.run(schema, *rows, **loads.settings)
    assert statuses(outcome.folder) == {"users": status}
    if status == "complete":
        assert held(outcome.folder, "users") == (4, 0)


# How a run ended


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({}, "complete"),
        ({"bookmarks": {}}, "complete"),
        ({"bookmarks": {"users": {"version": 7}}}, "complete"),
        ({"bookmarks": {"users": {"replication_key_value": "x"}}}, "incremental"),
        ({"bookmarks": {"users": {"lsn": 17, "version": 7}}}, "incremental"),
        ({"users": "2026-01-01"}, "incremental"),
    ],
)
def test_a_stream_with_a_bookmark_is_no_full_table(
    loads: Loads, value: dict[str, Any], status: str
) -> None:
    outcome = loads.terminal.run(
        loads.singer.schema("users"),
        loads.singer.record("users", user_id=1),
        {"type": "STATE", "value": value},
        **loads.settings,
    )
    assert outcome.code == 0
    assert statuses(outcome.folder) == {"users": status}


def test_an_empty_table_is_a_run_too(loads: Loads) -> None:
    loads.sent(users=people(3))
    outcome = loads.run(users=[])
    assert outcome.code == 0
    assert statuses(outcome.folder) == {"users": "complete"}
    assert held(outcome.folder, "users") == (0, 3)


def test_input_that_ends_in_an_error_does_not_end_well(loads: Loads) -> None:
    loads.sent(users=people(3))
    outcome = loads.terminal.run(
        *loads.messages({"users": people(1)}), "no message", **loads.settings
    )
    assert outcome.code == 1
    assert statuses(outcome.folder) == {"users": "failed"}
    assert held(outcome.folder, "users") == (3, 0)


def test_abort_does_not_end_well(loads: Loads) -> None:
    loads.sent(users=people(3))
    table = [*people(2), {"plan": "a"}, *people(3)]
    outcome = loads.run(users=table, settings={"on_rejected": "abort"})
    assert outcome.code == 3
    assert statuses(outcome.folder) == {"users": "failed"}


def test_an_outage_does_not_end_well_and_nothing_is_taken_as_delivered(
    loads: Loads, stand_in: Callable[..., Customerio]
) -> None:
    customerio = stand_in(401, greets=True)
    settings = {
        "sandbox": None,
        "api_url": customerio.url,
        "site_id": "a-site",
        "api_key": "a-key",
    }
    outcome = loads.run(users=people(2), settings=settings)
    assert outcome.code == 1
    assert statuses(outcome.folder) == {"users": "failed"}
    customerio.script = accept
    assert loads.run(users=people(2), settings=settings).code == 0
    *_, last = customerio.requests
    assert (last.path, len(last.operations)) == (BATCH, 2)


@pytest.mark.parametrize("first", ["id", "email"])
def test_an_unchanged_row_keeps_the_order_of_what_names_the_id_and_the_address(
    first: str, loads: Loads, stand_in: Callable[..., Customerio]
) -> None:
    """It is not sent, but the operations before and after it are of one person."""
    customerio = stand_in()
    customerio.script = accept
    settings = {
        "sandbox": None,
        "api_url": customerio.url,
        "site_id": "a-site",
        "api_key": "a-key",
        "batch_size_rows": 1,
        "stream_calls": {**CALLS, "opened": "track", "uninstalled": "track"},
    }
    assert loads.run(users=people(1), settings=settings).code == 0
    deleted = threading.Event()

    def answer(request: Request) -> Reply:
        """Wait for a while with the device for what must not overtake it."""
        actions = [each["action"] for each in request.operations]
        if actions == ["add_device"]:
            deleted.wait(0.5)
        elif actions == ["delete_device"]:
            deleted.set()
        return accept(request)

    customerio.script = answer
    customerio.taken.clear()
    users = people(1)
    names = ["0", users[0]["email"]]
    one, other = names if first == "id" else reversed(names)
    device = {"context_device_token": "x:APA91"}
    outcome = loads.run(
        opened=[{"user_id": one, "event": "Application Opened", **device}],
        users=users,
        uninstalled=[{"user_id": other, "event": "Device Deleted", **device}],
        settings=settings,
    )

    assert outcome.code == 0, outcome.stderr
    assert outcome.table["users"]["skipped"] == {"unchanged": 1}
    assert [each["action"] for each in customerio.taken] == [
        "add_device",
        "delete_device",
    ]


# The file


def contents(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "snapshot.db")) as snapshot:
        return [*snapshot.iterdump()]


def test_another_workspace_is_an_error_before_anything_is_sent(loads: Loads) -> None:
    loads.sent(users=people(1))
    before = contents(loads.terminal.folder)
    outcome = loads.run(users=people(2), settings={"sandbox": "other.db"})
    assert "belongs to workspace" in outcome.error
    assert contents(loads.terminal.folder) == before
    with closing(sqlite3.connect(outcome.folder / "other.db")) as other:
        assert other.execute("SELECT count(*) FROM people").fetchone() == (0,)


def test_a_second_run_ends_with_an_error(loads: Loads) -> None:
    loads.sent(users=people(1))
    snapshot = Snapshot(loads.terminal.folder / "snapshot.db")
    try:
        outcome = loads.run(users=people(2))
    finally:
        snapshot.close()
    assert "is in use by another run" in outcome.error
    assert loads.new() == []


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing/snapshot.db", "is in a folder that does not exist"),
        (".", "is a folder"),
        ("other.db", "is an SQLite file of another program"),
        ("config.json", "is not a snapshot"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_run_in_one_line(
    loads: Loads, path: str, problem: str
) -> None:
    with closing(sqlite3.connect(loads.terminal.folder / "other.db")) as other:
        other.execute("CREATE TABLE notes (text)")
    outcome = loads.run(users=people(1), settings={"snapshot": path})
    assert outcome.error.startswith("snapshot: ")
    assert problem in outcome.error
    assert loads.new() == []


def test_no_file_is_made_without_the_setting(loads: Loads) -> None:
    loads.sent(users=people(1), settings={"snapshot": None})
    assert not (loads.terminal.folder / "snapshot.db").exists()


HALF = "\ud83d"
"""Half a surrogate pair."""


@pytest.mark.parametrize(
    ("stream", "row"),
    [
        ("users", {"user_id": HALF}),
        ("users", {"email": f"{HALF}@example.com"}),
        ("users", {"user_id": 1, "email": f"{HALF}@example.com"}),
        ("users", {"user_id": HALF, "timestamp": "soon"}),
        ("users", {"user_id": 1, "plan": HALF}),
        ("users", {"user_id": 1, HALF: "a"}),
        ("users", {"user_id": 1, "phone": HALF}),
        ("users", {"user_id": 1, "anonymous_id": HALF}),
        ("users", {"user_id": 1, "object_id": HALF}),
        ("companies", {"group_id": HALF}),
        ("companies", {"group_id": 1, "user_id": HALF}),
        ("companies", {"group_id": 1, HALF: "a"}),
        ("members", {"segment_id": 7, "user_id": HALF}),
        ("tracks", {"user_id": HALF, "event": "User Deleted"}),
        ("tracks", {"user_id": HALF, "event": "User Suppressed"}),
        ("aliases", {"user_id": HALF, "previous_id": 1}),
    ],
)
def test_text_that_is_not_unicode_is_rejected(
    loads: Loads, stream: str, row: dict[str, Any]
) -> None:
    other: Any = [{"user_id": 2, "plan": "free"}]
    tables: Any = {stream: [row], "crm": other}
    without, outcome = (
        loads.run(settings={"snapshot": path}, **tables)
        for path in (None, "snapshot.db")
    )
    assert (without.code, outcome.code) == (3, 3)
    first, second = outcome.reasons
    assert first == second
    assert loads.run(crm=other).table["crm"]["skipped"] == {"unchanged": 1}


def running(
    loads: Loads, server: Customerio, command: Sequence[str] = (COMMAND,)
) -> RunningTarget:
    class Started(RunningTarget):
        pass

    Started.command = command
    return Started(loads.terminal.folder, {"api_url": server.url, **loads.settings})


def test_a_signal_does_not_end_well(
    loads: Loads, stand_in: Callable[..., Customerio]
) -> None:
    server = stand_in(greets=True)
    target = running(loads, server)
    try:
        target.send(*loads.messages({"users": people(3)}))
        target.wait_for_state({"bookmarks": {"users": {}}})
        target.signal(signal.SIGTERM)
        assert target.wait() == 0, target.text()
    finally:
        target.kill()
    assert statuses(loads.terminal.folder) == {"users": "failed"}
    assert held(loads.terminal.folder, "users") == (3, 0)


def test_a_killed_run_does_not_end_well(
    loads: Loads, stand_in: Callable[..., Customerio]
) -> None:
    server = stand_in(greets=True)
    target = running(loads, server)
    target.send(*loads.messages({"users": people(3)}))
    target.wait_for_state({"bookmarks": {"users": {}}})
    target.kill()
    assert statuses(loads.terminal.folder) == {"users": "running"}


def test_a_full_disk_ends_the_run_and_nothing_is_remembered_wrongly(
    loads: Loads, stand_in: Callable[..., Customerio]
) -> None:
    server = stand_in(greets=True)
    loads.settings |= {"batch_size_rows": 50}
    limited = ("sh", "-c", 'ulimit -f 300; exec "$@"', "sh", COMMAND)
    target = running(loads, server, limited)
    try:
        target.send_in_background(loads.messages({"users": people(5_000)}))
        assert target.wait() == 1
    finally:
        target.kill()
    assert "cannot be written" in target.only_error()
    assert "check that the disk has space" in target.only_error()
    assert 0 < len(server.taken) < 5_000
    (delivered,) = re.findall(r"person identify +([\d,]+)", target.text())
    assert int(delivered.replace(",", "")) == len(server.taken)

    target = running(loads, server)
    try:
        target.send_in_background(loads.messages({"users": people(5_000)}))
        assert target.wait() == 0
    finally:
        target.kill()
    received = {each["identifiers"]["id"] for each in server.taken}
    assert received == {str(number) for number in range(5_000)}
