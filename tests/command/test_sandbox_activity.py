"""The sandbox shows records that Customer.io accepts but does not apply."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

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
