"""Event IDs end to end: no event is lost or doubled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

A_ULID = "01HQZX3V8N5T7KJ4M2P6W9R0YB"
A_UUID = "b2e4c8d6-9d0f-4c0e-9f56-2f6a1d9e8b11"
DOUBLES = "read again, they are sent again as new events"


@pytest.fixture
def run(terminal: Any) -> Callable[..., Any]:
    """Load messages into the test's workspace; can be called again."""

    def load(*messages: Any, **settings: Any) -> Any:
        outcome = terminal.run(*messages, **settings)
        assert outcome.code == 0, outcome.stderr
        return outcome

    return load


def events_of(outcome: Any) -> list[tuple[str, str]]:
    """Return the person and the name of each event."""
    return sorted(
        (each["person"].removeprefix("id:"), each["name"])
        for each in outcome.workspace["events"]
    )


def rows(singer: Any, stream: str, *records: Any, keys: Any = ("id",)) -> list[Any]:
    return [
        singer.schema(stream, [], keys),
        *(singer.record(stream, **record) for record in records),
    ]


def test_streams_aliased_to_one_name_keep_their_events_apart(
    run: Callable[..., Any], singer: Any
) -> None:
    messages = [
        *rows(singer, "eu-orders", {"id": 1, "user_id": "ann", "event": "Order"}),
        *rows(singer, "us-orders", {"id": 1, "user_id": "bob", "event": "Order"}),
        singer.record("eu-orders", id=2, user_id="ann", event="Order"),
    ]
    maps = {"*-orders": {"__alias__": "tracks"}}
    for _ in range(2):
        outcome = run(*messages, stream_maps=maps)
    assert events_of(outcome) == [("ann", "Order"), ("ann", "Order"), ("bob", "Order")]


@pytest.mark.parametrize("key", [A_UUID, A_ULID, 7])
def test_two_streams_made_of_one_row_are_two_events(
    key: Any, run: Callable[..., Any], singer: Any
) -> None:
    settings = {
        "stream_calls": {"placed": "track", "shipped": "track"},
        "stream_maps": {
            "orders": None,
            "placed": {"__source__": "orders", "event": "'Order Placed'"},
            "shipped": {"__source__": "orders", "event": "'Order Shipped'"},
        },
    }
    for _ in range(2):
        outcome = run(
            *rows(singer, "orders", {"id": key, "user_id": "ann"}), **settings
        )
    assert events_of(outcome) == [("ann", "Order Placed"), ("ann", "Order Shipped")]


def test_two_streams_made_of_one_event_are_two_events(
    run: Callable[..., Any], singer: Any
) -> None:
    """Also if they differ only in the person."""
    event = {
        "messageId": A_ULID,
        "event": "Sold",
        "properties": {},
        "by": "x",
        "to": "y",
    }
    outcome = run(
        *rows(singer, "tracks", event, keys=[]),
        stream_maps={
            "tracks": {"userId": "by"},
            "buyer-tracks": {"__source__": "tracks", "userId": "to"},
        },
    )
    assert events_of(outcome) == [("x", "Sold"), ("y", "Sold")]


def test_two_mappings_of_one_stream_to_one_name_are_two_events(
    run: Callable[..., Any], singer: Any
) -> None:
    for _ in range(2):
        outcome = run(
            *rows(singer, "sales", {"id": 1, "by": "x", "to": "y"}),
            stream_maps={
                "sales": {"__alias__": "tracks", "event": "'Sold'", "userId": "by"},
                "tracks": {"__source__": "sales", "event": "'Sold'", "userId": "to"},
            },
        )
    assert events_of(outcome) == [("x", "Sold"), ("y", "Sold")]


def test_equal_text_keys_of_two_tables_are_two_events(
    run: Callable[..., Any], singer: Any
) -> None:
    row = {"id": "A-1", "user_id": "ann", "event": "Done"}
    outcome = run(
        *rows(singer, "orders", row),
        *rows(singer, "refunds", row),
        stream_calls={"*": "track"},
    )
    assert events_of(outcome) == [("ann", "Done")] * 2


@pytest.mark.parametrize(
    "columns",
    [
        {"event": "'Order ' + status"},
        {"event": "'Order ' + status", "messageId": "id"},
        {"event": "'Order ' + status", "messageId": "ulid"},
        {"event": "'Order ' + status", "id": "user_id"},
        {"event": "'Order ' + status", "__key_properties__": ["ulid"]},
    ],
)
def test_a_row_read_again_in_another_state_is_another_event(
    columns: dict[str, Any], run: Callable[..., Any], singer: Any
) -> None:
    for status in ("placed", "shipped", "placed", "shipped"):
        row = {"id": 1, "user_id": "ann", "status": status, "ulid": A_ULID}
        outcome = run(
            *rows(singer, "orders", row, {**row, "id": 2, "ulid": A_ULID[:-1] + "C"}),
            stream_calls={"orders": "track"},
            stream_maps={"orders": columns},
        )
    names = [("ann", "Order placed"), ("ann", "Order shipped")]
    assert events_of(outcome) == sorted(names * 2)


def test_keys_in_another_order_give_the_same_events(
    run: Callable[..., Any], singer: Any
) -> None:
    row = {"a": 1, "b": 2, "user_id": "ann", "event": "Done"}
    for keys in (["a", "b"], ["b", "a"]):
        outcome = run(*rows(singer, "tracks", row, keys=keys))
    assert events_of(outcome) == [("ann", "Done")]


def test_an_event_of_segment_s_warehouse_counts_once(
    run: Callable[..., Any], singer: Any
) -> None:
    bookkeeping = {
        "received_at": "2026-01-01T00:00:00Z",
        "uuid_ts": "2026-01-01T00:00:00Z",
        "event": "order_completed",
        "event_text": "Order Completed",
    }
    row = {"id": "ajs-1", "user_id": "ann", **bookkeeping}
    for tables in (("segment-order_completed", "segment-tracks"), ("segment-tracks",)):
        outcome = run(
            *(
                message
                for table in tables
                for message in rows(singer, table, {**row, "total": 5})
            ),
            stream_calls={"segment-order_completed": "track"},
        )
    assert events_of(outcome) == [("ann", "Order Completed")]


def test_an_alias_keeps_two_databases_apart(
    run: Callable[..., Any], singer: Any
) -> None:
    row = {"id": 1, "user_id": "ann", "event": "Done"}
    for name in ("eu-tracks", "us-tracks"):
        outcome = run(
            *rows(singer, "public-tracks", row),
            stream_maps={"public-tracks": {"__alias__": name}},
        )
    assert events_of(outcome) == [("ann", "Done")] * 2


@pytest.mark.parametrize(
    ("keys", "more", "why"),
    [
        ([], {}, "no key properties"),
        (["id"], {"id": None}, "a key property is null"),
    ],
)
def test_a_stream_without_a_key_causes_one_warning_with_a_remedy(
    keys: list[str],
    more: dict[str, Any],
    why: str,
    run: Callable[..., Any],
    singer: Any,
) -> None:
    row = {"id": 1, "user_id": "ann", "event": "Done", **more}
    outcome = run(
        *rows(singer, "tracks", row, row, keys=keys),
        *rows(singer, "tracks", {**row, "new": 1}, keys=[*keys, "new"][: len(keys)]),
        singer.schema("tracks", ["new"], keys),
        singer.record("tracks", **row),
    )
    (warning,) = [line for line in outcome.lines("WARNING") if DOUBLES in line]
    assert "Stream 'tracks'" in warning
    assert why in warning
    assert '"messageId": "\'tracks-\' + str(id)"' in warning
    assert len(events_of(outcome)) == 4


def test_the_remedy_works(run: Callable[..., Any], singer: Any) -> None:
    for _ in range(2):
        outcome = run(
            *rows(singer, "tracks", {"id": 1, "user_id": "a", "event": "x"}, keys=[]),
            stream_maps={"tracks": {"messageId": "'tracks-' + str(id)"}},
        )
    assert events_of(outcome) == [("a", "x")]
    assert DOUBLES not in outcome.stderr


@pytest.mark.parametrize(
    ("keys", "record"),
    [
        (["id"], {"id": 1}),
        ([], {"messageId": "m"}),
        ([], {"event": "User Deleted"}),
        ([], {"event": "Application Opened", "context": {"device": {"token": "t"}}}),
    ],
)
def test_no_other_stream_causes_a_warning(
    keys: list[str], record: dict[str, Any], run: Callable[..., Any], singer: Any
) -> None:
    outcome = run(
        *rows(singer, "tracks", {"user_id": "ann", "event": "x", **record}, keys=keys),
        *rows(singer, "identifies", {"user_id": "ann"}, keys=[]),
        on_rejected="continue",
    )
    assert DOUBLES not in outcome.stderr
