"""Settings of one stream, given next to its call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Outcome, Terminal
    from support.singer import Singer

SECRET = "sesame-4711"

OWN: dict[str, Any] = {
    "a-users": {"call": "identify", "null_attributes": "omit"},
    "b-users": "identify",
    "*-anonymous": {"call": "identify", "anonymous_identify": "use_as_id"},
    "old-*": {"call": "identify", "identify_timestamp": "omit"},
    "new-*": "identify",
    "gone": {"call": "identify", "hard_delete": True},
    "kept": "identify",
    "known": {"call": "identify", "update_only": True},
    "raw": {"call": "track", "convert_timestamps": False},
    "views": {"call": "screen", "screen_events": "viewed_event"},
    "sights": "screen",
    "people": {"call": "identify", "null_attributes": "omit"},
    "archive": {"call": "by_type", "update_only": True, "convert_timestamps": False},
    "ids": {"call": "identify", "user_id_type": "id"},
    "logins": "identify",
}
TIME = "2026-01-02T03:04:05Z"


@pytest.fixture(scope="module")
def outcome(new_terminal: Callable[[], Terminal], singer: Singer) -> Outcome:
    """Run the same rows in different streams."""
    rows: list[tuple[str, dict[str, Any]]] = [
        *((stream, {"userId": stream, "plan": "pro"}) for stream in OWN),
        ("a-users", {"userId": "a-users", "plan": None}),
        ("b-users", {"userId": "b-users", "plan": None}),
        ("x-anonymous", {"anonymousId": "visitor-1"}),
        ("identifies", {"anonymousId": "visitor-2"}),
        ("old-users", {"userId": "old", "plan": "x", "timestamp": TIME}),
        ("old-users", {"userId": "old", "plan": "y", "timestamp": "2001-01-01"}),
        ("new-users", {"userId": "new", "plan": "x", "timestamp": TIME}),
        ("new-users", {"userId": "new", "plan": "y", "timestamp": "2001-01-01"}),
        ("gone", {"userId": "gone", "_sdc_deleted_at": TIME}),
        ("kept", {"userId": "kept", "_sdc_deleted_at": TIME}),
        ("known", {"userId": "stranger"}),
        ("raw", {"userId": "r", "event": "Raw", "at": TIME, "timestamp": TIME}),
        ("tracks", {"userId": "r", "event": "Read", "at": TIME, "timestamp": TIME}),
        ("views", {"userId": "r", "name": "Home", "timestamp": TIME}),
        ("sights", {"userId": "r", "name": "Home", "timestamp": TIME}),
        ("source", {"userId": "aliased", "plan": None}),
        ("archive", {"type": "identify", "userId": "foreign", "traits": {}}),
        (
            "archive",
            {
                "type": "track",
                "userId": "r",
                "event": "Old",
                "timestamp": TIME,
                "properties": {"at": TIME},
            },
        ),
        ("ids", {"userId": "ann@example.com"}),
        ("logins", {"userId": "bob@example.com"}),
    ]
    streams = dict.fromkeys(stream for stream, _ in rows)
    return new_terminal().run(
        *(singer.schema(stream, ["userId", "plan"]) for stream in streams),
        *(singer.record(stream, **row) for stream, row in rows),
        stream_calls=OWN,
        stream_maps={"source": {"__alias__": "people"}},
        on_rejected="continue",
    )


def test_nulls_are_omitted_in_one_stream_only(outcome: Outcome) -> None:
    people = outcome.workspace["people"]
    assert people["id:a-users"]["attributes"] == {"plan": "pro"}
    assert people["id:b-users"]["attributes"] == {}


def test_anonymous_people_are_created_for_one_pattern_only(outcome: Outcome) -> None:
    people = outcome.workspace["people"]
    assert "id:visitor-1" in people
    assert "id:visitor-2" not in people
    assert outcome.table["identifies"]["skipped"] == {"anonymous identify": 1}


def test_an_old_row_updates_a_person_for_one_pattern_only(outcome: Outcome) -> None:
    people = outcome.workspace["people"]
    assert people["id:old"]["attributes"] == {"plan": "y"}
    assert people["id:new"]["attributes"] == {"plan": "x"}


def test_rows_delete_people_in_one_stream_only(outcome: Outcome) -> None:
    people = outcome.workspace["people"]
    assert "id:gone" not in people
    assert "id:kept" in people


def test_a_stream_with_update_only_creates_no_people(outcome: Outcome) -> None:
    people = outcome.workspace["people"]
    assert "id:stranger" not in people
    assert "id:known" not in people
    assert "id:kept" in people


def test_times_stay_text_in_one_stream_only(outcome: Outcome) -> None:
    events = {event["name"]: event for event in outcome.workspace["events"]}
    assert events["Raw"]["attributes"] == {"at": TIME}
    assert events["Read"]["attributes"] == {"at": 1767323045}


def test_a_stream_mapped_to_several_calls_can_have_settings(outcome: Outcome) -> None:
    assert "id:foreign" not in outcome.workspace["people"]
    events = {event["name"]: event for event in outcome.workspace["events"]}
    assert events["Old"]["attributes"] == {"at": TIME}


def test_screens_become_events_in_one_stream_only(outcome: Outcome) -> None:
    seen = {(event["type"], event["name"]) for event in outcome.workspace["events"]}
    assert {("event", "Viewed Home Screen"), ("screen", "Home")} <= seen


def test_user_ids_are_ids_in_one_stream_only(outcome: Outcome) -> None:
    people = outcome.workspace["people"]
    assert "id:ann@example.com" in people
    assert "email:bob@example.com" in people


def test_stream_settings_use_the_name_after_stream_maps(outcome: Outcome) -> None:
    assert "id:aliased" in outcome.workspace["people"]
    assert outcome.table["people"]["delivered"] == {"person identify": 2}


@pytest.mark.parametrize(
    ("value", "setting", "clues"),
    [
        ({}, "stream_calls.orders", ["call"]),
        ({"call": SECRET}, "stream_calls.orders.call", ["identify", "track"]),
        (
            {"call": "track", "update_onyl": True},
            "stream_calls.orders",
            ["'update_onyl' (did you mean 'update_only'?)", "call", "null_attributes"],
        ),
        (
            {"call": "track", "update_only": SECRET},
            "stream_calls.orders.update_only",
            ["true or false"],
        ),
        (
            {"call": "track", "null_attributes": SECRET},
            "stream_calls.orders.null_attributes",
            ["send", "omit"],
        ),
        (
            {"call": "track", "region": "eu"},
            "stream_calls.orders",
            ["expected only call"],
        ),
        ({"update_only": True}, "stream_calls.orders", ["the entry call is missing"]),
        ({"x": {"call": SECRET}}, "stream_calls.orders.x.call", ["identify"]),
        (7, "stream_calls.orders", ["identify", "segment"]),
        (["track"], "stream_calls.orders", ["identify", "segment"]),
    ],
)
def test_an_invalid_value_is_reported_with_the_valid_ones(
    value: Any, setting: str, clues: list[str], terminal: Terminal
) -> None:
    error = terminal.run(stream_calls={"orders": value}).error
    assert error.startswith(f"{setting}: ")
    for clue in clues:
        assert clue in error
    assert SECRET not in error


def test_the_error_for_an_unmapped_stream_lists_all_calls_and_an_example(
    terminal: Terminal, singer: Singer
) -> None:
    error = terminal.run(singer.schema("app.users")).error
    assert error.startswith("Stream 'app.users' is not mapped to a call. Set it in ")
    assert '{"stream_calls": {"app.users": "identify"}}' in error
    for call in ("identify", "track", "page", "screen", "group", "alias", "segment"):
        assert call in error
    assert "unmapped_streams" in error
