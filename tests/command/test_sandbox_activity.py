"""The sandbox shows records that Customer.io accepts but does not apply."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.sandbox import Workspace
from target_customerio.sandbox.datasette import metadata

if TYPE_CHECKING:
    from support.command import Outcome, Terminal
    from support.singer import Singer

ANN, BEA = "ann@example.com", "bea@example.com"


def activity(outcome: Outcome) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(outcome.folder / "workspace.db")) as workspace:
        return workspace.execute(
            "SELECT person, reason, value FROM activity ORDER BY sequence"
        ).fetchall()


def test_two_ids_with_one_address_are_shown_in_the_sandbox(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", user_id="2", email=ANN),
        singer.record("identifies", user_id="3", email=ANN),
    )

    assert outcome.code == 0
    assert activity(outcome) == [("id:3", "e-mail conflict", ANN)]


def test_invalid_addresses_do_not_cause_conflicts(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", user_id="2", email="n/a"),
        singer.record("identifies", userId="3", traits={"email": "n/a"}),
    )

    assert outcome.code == 0
    assert sorted(outcome.workspace["people"]) == ["id:2", "id:3"]
    assert activity(outcome) == [
        (person, "invalid e-mail address", "n/a") for person in ("id:2", "id:3")
    ]
    assert "moved from one id" not in outcome.stderr


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("email_updates", [None, False, True])
def test_a_changed_address_is_applied_if_the_workspace_allows_it(
    terminal: Terminal, singer: Singer, *, nested: bool, email_updates: bool | None
) -> None:
    def row(email: str) -> dict[str, Any]:
        return {"traits": {"email": email}} if nested else {"email": email}

    settings: dict[str, Any] = {}
    if email_updates is not None:
        settings["sandbox_email_updates"] = email_updates
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="1", **row(ANN)),
        singer.record("identifies", userId="1", **row(BEA)),
        **settings,
    )

    assert outcome.code == 0
    email = outcome.workspace["people"]["id:1"]["email"]
    assert email == (BEA if email_updates else ANN)
    kept = [] if email_updates else [("id:1", "e-mail conflict", BEA)]
    assert activity(outcome) == kept


def test_the_workspace_setting_can_come_from_the_environment(
    terminal: Terminal, singer: Singer
) -> None:
    terminal.environment |= {
        "TARGET_CUSTOMERIO_SANDBOX": "workspace.db",
        "TARGET_CUSTOMERIO_SANDBOX_EMAIL_UPDATES": "true",
    }
    messages = (
        singer.schema("identifies"),
        singer.record("identifies", userId="1", email=ANN),
        singer.record("identifies", userId="1", email=BEA),
    )
    feed = "\n".join(map(json.dumps, messages)).encode()

    outcome = terminal.type("--config=ENV", feed=feed)

    assert outcome.code == 0
    assert outcome.workspace["people"]["id:1"]["email"] == BEA


def test_an_outdated_identify_and_a_suppressed_person_are_shown_in_the_sandbox(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.schema("tracks"),
        singer.schema("vips"),
        singer.record("identifies", userId="1", plan="new", timestamp=200),
        singer.record("identifies", userId="1", plan="old", timestamp=100),
        singer.record("tracks", userId="2", event="User Suppressed"),
        singer.record("identifies", userId="2", plan="pro"),
        singer.record("vips", segment_id=7, user_id="nobody"),
        stream_calls={"vips": "segment"},
    )

    assert outcome.code == 0
    found = sorted((person, reason) for person, reason, _ in activity(outcome))
    assert found == [
        ("id:1", "outdated identify"),
        ("id:2", "operation on a suppressed person"),
        ("id:nobody", "unknown segment member"),
    ]


def test_repeated_events_are_counted_as_dropped(
    terminal: Terminal, singer: Singer
) -> None:
    now = int(time.time())
    messages = (
        singer.schema("identifies"),
        singer.schema("tracks"),
        singer.schema("pages"),
        singer.record("identifies", userId="1"),
        *(
            singer.record(
                "tracks", userId="1", event="E", messageId=message, timestamp=now
            )
            for message in ("a", "b", "a")
        ),
        singer.record("tracks", userId="1", event="Too much", properties=[1]),
        singer.record("tracks", userId="1", event=" ", messageId="refused"),
        singer.record("pages", anonymousId="x", name="Home", messageId="a"),
    )
    first = terminal.run(*messages, on_rejected="continue")
    assert first.table["tracks"]["delivered"] == {"person event": 2}
    assert first.table["tracks"]["skipped"] == {"repeated event": 1}
    assert "3 events are younger than 72 hours" in first.stderr

    second = terminal.run(*messages, on_rejected="continue")
    assert second.table["identifies"]["delivered"] == {"person identify": 1}
    assert second.table["tracks"]["delivered"] == {}
    assert second.table["tracks"]["skipped"] == {"repeated event": 3}
    assert second.table["tracks"]["rejected"] == 2
    assert second.table["pages"]["skipped"] == {"repeated event": 1}
    assert "0 events are younger than 72 hours" in second.stderr
    assert second.workspace["events"] == first.workspace["events"]
    repeated = [entry for entry in activity(second) if entry[1] == "repeated event"]
    assert [person for person, *_ in repeated] == ["id:1"] * 4 + ["anonymous_id:x"]


def run_results(outcome: Outcome) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(outcome.folder / "workspace.db")) as workspace:
        return workspace.execute(
            "SELECT stream, outcome, detail, records FROM run_results"
        ).fetchall()


def test_the_sandbox_has_the_results_of_each_run(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.schema("tracks"),
        singer.record("identifies", userId="1"),
        singer.record("identifies", anonymousId="a"),
        singer.record("tracks", userId="1"),
        "no Singer",
    )

    assert outcome.code == 1
    assert run_results(outcome) == [
        ("identifies", "delivered", "person identify", 1),
        ("identifies", "skipped", "anonymous identify", 1),
        ("tracks", "rejected", "required", 1),
    ]
    with closing(sqlite3.connect(outcome.folder / "workspace.db")) as workspace:
        ((run,),) = workspace.execute("SELECT DISTINCT run FROM run_results")
    assert run == outcome.rejected[0]["rejection"]["run"]


def test_a_check_leaves_no_results(terminal: Terminal) -> None:
    config = terminal.write({"sandbox": "workspace.db"})
    outcome = terminal.type("--config", config, "--check")

    assert outcome.code == 0
    assert run_results(outcome) == []


def test_results_that_cannot_be_stored_do_not_hide_how_the_run_ended(
    terminal: Terminal, singer: Singer
) -> None:
    Workspace(terminal.folder / "workspace.db").close()
    with closing(sqlite3.connect(terminal.folder / "workspace.db")) as workspace:
        workspace.execute(
            "CREATE TRIGGER full BEFORE INSERT ON results"
            " BEGIN SELECT raise(ABORT, 'disk is full'); END"
        )
    outcome = terminal.run(
        singer.schema("identifies"), singer.record("identifies", userId=" ")
    )

    assert outcome.code == 3
    assert any("disk is full" in line for line in outcome.lines("WARNING"))
    assert outcome.table["identifies"]["rejected"] == 1


def test_the_metadata_for_datasette_is_printed(terminal: Terminal) -> None:
    outcome = terminal.type("--sandbox-metadata", "shop.db")

    assert (outcome.code, outcome.stderr) == (0, "")
    assert json.loads(outcome.stdout) == metadata("shop.db")
    assert [each.name for each in terminal.folder.iterdir()] == []
