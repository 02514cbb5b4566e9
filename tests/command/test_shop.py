"""The sample shop: the README's first command and the resulting workspace."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.command import Outcome, Terminal

Call = dict[str, Any]
DEVICE = "Application Opened"
ACTIONS = {DEVICE, "User Deleted", "User Suppressed"}


@pytest.fixture(scope="module")
def outcome(new_terminal: Callable[[], Terminal], shop_folder: Path) -> Outcome:
    return new_terminal().type(
        "--config",
        str(shop_folder / "sandbox.json"),
        "--input",
        str(shop_folder / "shop.singer.jsonl"),
    )


@pytest.fixture(scope="module")
def workspace(outcome: Outcome) -> dict[str, Any]:
    return outcome.workspace


@pytest.fixture(scope="module")
def calls(shop_folder: Path) -> dict[str, list[Call]]:
    streams = ("identifies", "tracks", "pages", "screens", "groups", "aliases")
    return {
        stream: [
            json.loads(line)
            for line in (shop_folder / f"{stream}.jsonl").read_text().splitlines()
        ]
        for stream in streams
    }


def test_the_files_are_up_to_date_with_their_generator(shop_folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_shop", shop_folder / "make.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    made = maker.files()
    assert sorted(made) == sorted(path.name for path in shop_folder.glob("*.jsonl"))
    for name, text in made.items():
        assert (shop_folder / name).read_text(encoding="utf-8") == text, name


def test_the_singer_file_has_the_streams_in_chronological_order(
    shop_folder: Path, calls: dict[str, list[Call]]
) -> None:
    lines = (shop_folder / "shop.singer.jsonl").read_text().splitlines()
    messages = [json.loads(line) for line in lines]
    records = [each["record"] for each in messages if each["type"] == "RECORD"]
    assert len(records) == sum(map(len, calls.values()))
    times = [
        record["timestamp"] for record in records if record["timestamp"][0].isdigit()
    ]
    assert times == sorted(times)


def test_the_run_succeeds_and_its_last_state_counts_every_call(
    outcome: Outcome, calls: dict[str, list[Call]]
) -> None:
    assert (outcome.code, outcome.errors) == (0, [])
    assert outcome.states[-1] == {"calls_sent": sum(map(len, calls.values()))}


def test_everyone_identified_is_there_except_merged_deleted_and_suppressed_people(
    workspace: dict[str, Any], calls: dict[str, list[Call]]
) -> None:
    known = {f"id:{call['userId']}" for call in calls["identifies"]}
    assert len(known) == 201
    gone = {"id:lead-017", "id:p-021", "id:p-022"}
    assert workspace["people"].keys() == known - gone


def test_people_have_the_attributes_of_their_last_identify(
    workspace: dict[str, Any],
) -> None:
    ordinary = workspace["people"]["id:p-001"]
    assert ordinary["email"] == "bo.001@example.com"
    attributes = ordinary["attributes"]
    assert attributes["first_name"] == "Bo"
    assert attributes["newsletter"] is True
    assert isinstance(attributes["created_at"], int)
    upgraded = workspace["people"]["id:p-007"]["attributes"]
    assert upgraded["plan"] == "business"
    assert "credit" not in upgraded


def test_the_merge_keeps_the_primary_and_adds_missing_attributes(
    workspace: dict[str, Any], calls: dict[str, list[Call]]
) -> None:
    (own,) = [
        call["traits"] for call in calls["identifies"] if call.get("userId") == "p-017"
    ]
    attributes = workspace["people"]["id:p-017"]["attributes"]
    assert attributes["source"] == "fair"
    assert attributes["plan"] == own["plan"] != "free"


def test_the_suppressed_person_is_suppressed_by_id_and_address(
    workspace: dict[str, Any],
) -> None:
    identifiers = [each["identifier"] for each in workspace["suppressions"]]
    assert identifiers == ["email:cleo.022@example.com", "id:p-022"]


def test_devices_belong_to_the_people_who_opened_the_application(
    workspace: dict[str, Any], calls: dict[str, list[Call]]
) -> None:
    expected = {
        call["context"]["device"]["token"]: (
            f"id:{call['userId']}",
            "ios" if call["context"]["device"]["type"] == "iOS" else "android",
        )
        for call in calls["tracks"]
        if call.get("event") == DEVICE
    }
    assert len(expected) == 40
    found = {
        token: (device["person"], device["platform"])
        for token, device in workspace["devices"].items()
    }
    assert found == expected
    device = workspace["devices"][f"{10:064x}"]
    assert device["attributes"] == {
        "build": 10,
        "app_version": "2.1.0",
        "device_os": "iOS 17",
        "device_locale": "en-IE",
    }


def test_companies_are_related_to_their_people(
    workspace: dict[str, Any], calls: dict[str, list[Call]]
) -> None:
    companies = {f"1:{call['groupId']}" for call in calls["groups"]}
    assert workspace["objects"].keys() == companies
    gone = {"p-021", "p-022"}
    expected = {
        (
            f"1:{call['groupId']}",
            f"id:{call['userId']}",
            call["traits"]["relationshipAttributes"]["role"],
        )
        for call in calls["groups"]
        if call["userId"] not in gone
    }
    found = {
        (each["object"], each["person"], each["attributes"]["role"])
        for each in workspace["relationships"]
    }
    assert found == expected
    assert workspace["objects"]["1:c-04"]["attributes"] == {
        "name": "Example Company 4",
        "seats": 20,
    }


def test_every_event_has_a_unique_ulid(workspace: dict[str, Any]) -> None:
    ids = [event["id"] for event in workspace["events"]]
    assert len(set(ids)) == len(ids)
    assert all(len(each) == 26 and each.isalnum() for each in ids)


def test_the_events_belong_to_the_remaining_people(
    workspace: dict[str, Any], calls: dict[str, list[Call]]
) -> None:
    visitor_of_the_gone = {"visitor-021", "visitor-022"}
    expected: Counter[tuple[str, str]] = Counter()
    for stream, kind in (("tracks", "event"), ("pages", "page"), ("screens", "screen")):
        for call in calls[stream]:
            name = call.get("event") if kind == "event" else call.get("name")
            name = name or call["properties"].get("url")
            if name in ACTIONS or name is None:
                continue
            if not call.get("userId") and not call.get("anonymousId"):
                continue
            if call["timestamp"] == "last Tuesday":
                continue
            if call.get("userId") in {"p-021", "p-022"}:
                continue
            if call.get("anonymousId") in visitor_of_the_gone:
                continue
            expected[kind, name] += 1
    found = Counter((event["type"], event["name"]) for event in workspace["events"])
    assert found == expected


def test_anonymous_visits_are_linked_to_their_people(
    workspace: dict[str, Any],
) -> None:
    nameless = [each for each in workspace["events"] if each["person"] is None]
    assert nameless == []


def test_sending_the_shop_again_adds_no_event(
    outcome: Outcome, shop_folder: Path, new_terminal: Callable[[], Terminal]
) -> None:
    terminal = new_terminal()
    for file in outcome.folder.glob("workspace.db*"):
        (terminal.folder / file.name).write_bytes(file.read_bytes())
    again = terminal.type(
        "--config",
        str(shop_folder / "sandbox.json"),
        feed=shop_folder / "shop.singer.jsonl",
    )
    assert again.code == 0
    before = [each["id"] for each in outcome.workspace["events"]]
    assert [each["id"] for each in again.workspace["events"]] == before


def test_three_invalid_records_are_rejected_for_three_reasons(outcome: Outcome) -> None:
    assert outcome.reasons == [
        ("no_identifier", "userId"),
        ("required", "event"),
        ("invalid_timestamp", "timestamp"),
    ]


def test_the_summary_adds_up(outcome: Outcome, calls: dict[str, list[Call]]) -> None:
    assert {stream: row["read"] for stream, row in outcome.table.items()} == {
        stream: len(each) for stream, each in calls.items()
    }
    for row in outcome.table.values():
        delivered = sum(row["delivered"].values())
        skipped = sum(row["skipped"].values())
        assert row["read"] == delivered + skipped + row["rejected"]
    assert outcome.table["tracks"]["delivered"] == {
        "person add_device": 40,
        "person delete": 1,
        "person event": 424,
        "person suppress": 1,
    }
