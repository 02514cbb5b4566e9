"""Names in stream_calls and stream_maps that match no stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.command import Outcome, Terminal
    from support.singer import Singer


@pytest.fixture
def play(terminal: Terminal, singer: Singer) -> Any:
    """Return a function that runs a row of each stream with settings."""

    def play(*streams: str, **settings: Any) -> Outcome:
        return terminal.run(
            *(singer.schema(stream, ["userId", "email"]) for stream in streams),
            *(singer.record(stream, userId="ada") for stream in streams),
            **settings,
        )

    return play


def said(outcome: Outcome, level: str) -> list[str]:
    assert outcome.code == 0, outcome.stderr
    return [line for line in outcome.lines(level) if "no stream matched" in line]


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("public-user", "public-identifies"),
        ("identifies", "app.identifies"),
        ("*-identify", "app-identifies"),
        ("Identifies", "identifies"),
    ],
)
def test_a_misspelt_name_in_stream_calls_is_reported_with_the_intended_stream(
    name: str, stream: str, play: Any
) -> None:
    outcome = play(stream, stream_calls={name: {"call": "identify"}})
    assert said(outcome, "WARNING") == [
        f"stream_calls: no stream matched {name!r} (did you mean {stream!r}?)"
    ]


@pytest.mark.parametrize(
    ("name", "stream_map"),
    [
        ("identify", {"email": "__NULL__"}),
        ("public.identifies", "__NULL__"),
        ("x", {"__source__": "Identifies", "email": "__NULL__"}),
        ("public-identify", {"email": "__NULL__", "phone": "__NULL__"}),
    ],
)
def test_a_misspelt_name_in_stream_maps_is_reported_with_the_intended_stream(
    name: str, stream_map: Any, play: Any
) -> None:
    outcome = play("public-identifies", stream_maps={name: stream_map})
    assert said(outcome, "WARNING") == [
        f"stream_maps: no stream matched {name!r} (did you mean 'public-identifies'?)"
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"stream_calls": {"public-*": "identify"}},
        {"stream_calls": {"public-identifies": "identify"}},
        {"stream_maps": {"public-*": {"email": "__NULL__"}}},
        {"stream_maps": {"people": {"__source__": "public-identifies"}}},
        {"stream_maps": {"public-identifies": "__NULL__"}},
        {"stream_maps": {"__else__": "__NULL__", "public-identifies": {}}},
    ],
)
def test_a_name_that_matched_is_not_reported(
    settings: dict[str, Any], play: Any
) -> None:
    outcome = play("public-identifies", unmapped_streams="ignore", **settings)
    assert said(outcome, "WARNING") + said(outcome, "INFO") == []


def test_correctly_named_streams_are_not_suggested(play: Any) -> None:
    outcome = play(
        "shop-users",
        stream_calls={"shop-users": "identify", "shop-orders": "track"},
    )
    assert said(outcome, "WARNING") == []
    assert said(outcome, "INFO") == ["stream_calls: no stream matched 'shop-orders'"]


def test_names_unlike_any_stream_cause_no_warning(play: Any) -> None:
    outcome = play(
        "identifies",
        stream_calls={"shop-orders": "track", "vip*": "segment"},
        stream_maps={"segment-tracks": "__NULL__"},
    )
    assert said(outcome, "WARNING") == []
    assert said(outcome, "INFO") == [
        "stream_calls: no stream matched 'shop-orders', 'vip*'",
        "stream_maps: no stream matched 'segment-tracks'",
    ]


def test_stream_calls_use_the_name_after_stream_maps(play: Any) -> None:
    outcome = play(
        "users",
        stream_calls={"users": "identify", "people": "identify"},
        stream_maps={"users": {"__alias__": "people"}},
    )
    assert said(outcome, "INFO") == ["stream_calls: no stream matched 'users'"]


def test_a_dropped_stream_counts_as_matched(play: Any) -> None:
    outcome = play(
        "identifies",
        "orders",
        stream_calls={"orders": "track"},
        stream_maps={"orders": "__NULL__"},
    )
    assert said(outcome, "WARNING") + said(outcome, "INFO") == []


def test_nothing_is_reported_for_empty_input(play: Any) -> None:
    assert said(play(stream_calls={"users": "identify"}), "INFO") == []


def test_a_dropped_stream_of_meltano_is_not_reported(play: Any) -> None:
    outcome = play(
        "analytics.identifies",
        "analytics.tracks",
        stream_maps={"analytics": {"tracks": "__NULL__"}},
    )
    assert said(outcome, "WARNING") + said(outcome, "INFO") == []
    assert outcome.table["analytics.tracks"]["skipped"] == {
        "left out by stream_maps": 1
    }


def test_the_error_for_an_unmapped_stream_suggests_a_similar_name(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("public-users"), stream_calls={"pubic-users": "identify"}
    )
    assert "(stream_calls has a similar name, 'pubic-users')" in outcome.error


def test_names_are_not_reported_when_rejected_records_are_loaded_again(
    terminal: Terminal, singer: Singer
) -> None:
    rejection = {"reason": "blank", "at": "2026-01-01T00:00:00.000000+00:00"}
    record = {**singer.record("identifies", userId="ada"), "rejection": rejection}

    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        record,
        stream_calls={"identify": "identify", "public-orders": "track"},
        stream_maps={"crm-leads": {"plan": "__NULL__"}},
    )

    assert said(outcome, "WARNING") == said(outcome, "INFO") == []
    assert outcome.table["identifies"]["read"] == 1
