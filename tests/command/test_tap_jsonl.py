"""A real tap, installed in its own environment, piped into the target."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.command import Outcome, Terminal

TAP = "tap-jsonl==0.3.1"
ORDER = ("identifies", "groups", "tracks", "pages", "screens", "aliases")
KIND = {"tracks": "event", "pages": "page", "screens": "screen"}
ACTIONS = {"Application Opened", "User Deleted", "User Suppressed"}
DELETED, SUPPRESSED = "p-021", "p-022"

Call = dict[str, Any]


@pytest.fixture(scope="session")
def tap(install: Callable[..., Path]) -> str:
    return str(install("tap-jsonl", TAP) / "tap-jsonl")


@pytest.fixture(scope="module")
def outcomes(
    tap: str, new_terminal: Callable[[], Terminal], shop_folder: Path
) -> dict[str, Outcome]:
    """Run the tap for each stream, piped into the target."""
    terminal = new_terminal()
    settings: dict[str, Any] = {"sandbox": "workspace.db", "on_rejected": "continue"}
    outcomes = {}
    for stream in ORDER:
        config = terminal.folder / "tap.json"
        config.write_text(
            json.dumps(
                {
                    "path": str(shop_folder / f"{stream}.jsonl"),
                    "stream_name": stream,
                    "primary_keys": ["messageId"],
                }
            )
        )
        said = subprocess.run(
            [tap, "--config", str(config)],
            cwd=terminal.folder,
            capture_output=True,
            check=True,
            timeout=300,
        )
        outcomes[stream] = terminal.run(feed=said.stdout, **settings)
    return outcomes


@pytest.fixture(scope="module")
def workspace(outcomes: dict[str, Outcome]) -> dict[str, Any]:
    return outcomes["aliases"].workspace


@pytest.fixture(scope="module")
def calls(shop_folder: Path) -> dict[str, list[Call]]:
    return {
        stream: [
            json.loads(line, parse_float=Decimal)
            for line in (shop_folder / f"{stream}.jsonl").read_text().splitlines()
        ]
        for stream in ORDER
    }


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def happenings(calls: dict[str, list[Call]]) -> Iterator[tuple[str, str, Call]]:
    """Yield the type, name and call of each event that can be delivered."""
    for stream, kind in KIND.items():
        for call in calls[stream]:
            name = call.get("event") if kind == "event" else call.get("name")
            if not name and kind == "page":
                name = call["properties"]["url"]
            named = call.get("userId") or call.get("anonymousId")
            timely = call["timestamp"].startswith("2026-")
            if name and named and timely and name not in ACTIONS:
                yield kind, name, call


def test_every_run_succeeds_and_writes_the_tap_s_state(
    outcomes: dict[str, Outcome],
) -> None:
    for stream, outcome in outcomes.items():
        assert (outcome.code, outcome.errors) == (0, [])
        assert outcome.states[-1]["bookmarks"].keys() == {stream}


def test_every_row_is_read_and_counted(
    outcomes: dict[str, Outcome], calls: dict[str, list[Call]]
) -> None:
    for stream, outcome in outcomes.items():
        row = outcome.table[stream]
        delivered = sum(row["delivered"].values())
        assert row["read"] == len(calls[stream]) == delivered + row["rejected"]


def test_the_three_invalid_records_are_rejected(outcomes: dict[str, Outcome]) -> None:
    assert sorted(outcomes["aliases"].reasons) == [
        ("invalid_timestamp", "timestamp"),
        ("no_identifier", "userId"),
        ("required", "event"),
    ]


def test_the_people_match_the_files(
    workspace: dict[str, Any], calls: dict[str, list[Call]]
) -> None:
    expected = {f"id:{call['userId']}" for call in calls["identifies"]}
    expected -= {"id:lead-017", f"id:{SUPPRESSED}", f"id:{DELETED}"}
    # Page views after the deletion create the person again.
    if any(call.get("userId") == DELETED for call in calls["pages"]):
        expected.add(f"id:{DELETED}")
    assert workspace["people"].keys() == expected


def test_the_attributes_of_people_match_the_files(
    workspace: dict[str, Any], calls: dict[str, list[Call]]
) -> None:
    traits: dict[str, dict[str, Any]] = {}
    for call in calls["identifies"]:
        person = traits.setdefault(call["userId"], {})
        person |= call["traits"]
        if "created_at" in call["traits"]:
            person["created_at"] = seconds(call["traits"]["created_at"])
    traits["p-017"] = {**traits.pop("lead-017"), **traits["p-017"]}
    for gone in (DELETED, SUPPRESSED):
        del traits[gone]
    for name, expected in traits.items():
        found = workspace["people"][f"id:{name}"]
        assert found["email"] == expected.pop("email")
        own = {name: value for name, value in expected.items() if value is not None}
        del found["attributes"]["anonymous_id"]
        assert found["attributes"] == own, person


def test_the_events_match_the_files(
    workspace: dict[str, Any], calls: dict[str, list[Call]]
) -> None:
    def frozen(value: Any) -> str:
        return json.dumps(value, sort_keys=True, default=str)

    gone = {SUPPRESSED, DELETED}
    expected: Counter[tuple[Any, ...]] = Counter()
    for kind, name, call in happenings(calls):
        number = (call.get("userId") or call["anonymousId"])[-3:]
        if f"p-{number}" in gone:
            continue
        properties = dict(call["properties"])
        if "due_at" in properties:
            properties["due_at"] = seconds(properties["due_at"])
        when = seconds(call["timestamp"])
        expected[kind, name, when, f"id:p-{number}", frozen(properties)] += 1
    found = Counter(
        (
            event["type"],
            event["name"],
            event["timestamp"],
            event["person"],
            frozen(event["attributes"]),
        )
        for event in workspace["events"]
        if event["person"] not in {f"id:{person}" for person in gone}
        and (event["anonymous_id"] or "")[-3:] not in {"021", "022"}
    )
    assert found == expected


def test_the_companies_and_relationships_match_the_files(
    workspace: dict[str, Any], calls: dict[str, list[Call]]
) -> None:
    companies = {
        f"1:{call['groupId']}": {
            "name": call["traits"]["name"],
            "seats": call["traits"]["seats"],
        }
        for call in calls["groups"]
    }
    found = {name: each["attributes"] for name, each in workspace["objects"].items()}
    assert found == companies
    expected = {
        (f"1:{call['groupId']}", f"id:{call['userId']}", role)
        for call in calls["groups"]
        for role in call["traits"]["relationshipAttributes"].values()
        if call["userId"] not in {SUPPRESSED, DELETED}
    }
    assert {
        (each["object"], each["person"], each["attributes"]["role"])
        for each in workspace["relationships"]
    } == expected


def test_the_devices_match_the_files(
    workspace: dict[str, Any], calls: dict[str, list[Call]]
) -> None:
    expected = {
        call["context"]["device"]["token"]: (
            f"id:{call['userId']}",
            seconds(call["timestamp"]),
        )
        for call in calls["tracks"]
        if call.get("event") == "Application Opened"
    }
    assert {
        token: (device["person"], device["last_used"])
        for token, device in workspace["devices"].items()
    } == expected


def test_event_ids_do_not_depend_on_the_tap(
    workspace: dict[str, Any], new_terminal: Callable[[], Terminal], shop_folder: Path
) -> None:
    other = new_terminal().type(
        "--config",
        str(shop_folder / "sandbox.json"),
        "--input",
        str(shop_folder / "shop.singer.jsonl"),
    )

    def ids(events: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
        return {
            (event["id"], event["name"], event["timestamp"])
            for event in events
            if event["person"] not in {None, f"id:{DELETED}", f"id:{SUPPRESSED}"}
        }

    assert ids(workspace["events"]) == ids(other.workspace["events"])


def test_every_event_is_delivered_once(workspace: dict[str, Any]) -> None:
    ids = [event["id"] for event in workspace["events"]]
    assert len(set(ids)) == len(ids)
