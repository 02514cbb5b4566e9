"""Members of manual segments, from rows."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

SCHEMA = ("segment_id", "user_id", "email", "action")


@pytest.fixture
def vips(terminal: Any, singer: Any) -> Any:
    """Return a function that delivers people, then rows about segment members."""

    def vips(*rows: dict[str, Any], people: Any = (), **settings: Any) -> Any:
        return terminal.run(
            singer.schema("identifies"),
            *(singer.record("identifies", userId=person) for person in people),
            singer.schema("vips", SCHEMA),
            *(singer.record("vips", **row) for row in rows),
            **{
                "stream_calls": {"vips": "segment"},
                "on_rejected": "continue",
                **settings,
            },
        )

    return vips


def requests_of(outcome: Any) -> list[tuple[str, Any]]:
    """Return the requests in the order in which they were made."""
    with closing(sqlite3.connect(outcome.folder / "workspace.db")) as workspace:
        rows = workspace.execute(
            "SELECT path, body FROM requests WHERE method = 'POST' ORDER BY sequence"
        ).fetchall()
    return [(path, json.loads(body)) for path, body in rows]


def members(outcome: Any) -> list[tuple[int, str]]:
    return [
        (each["segment_id"], each["person"])
        for each in outcome.workspace["segment_members"]
    ]


def test_rows_add_people_and_remove_them(vips: Any) -> None:
    outcome = vips(
        {"segment_id": 7, "user_id": "ann"},
        {"segment_id": "7", "user_id": "bob", "action": "add"},
        {"segment_id": 7, "user_id": "bob", "action": "remove"},
        {"segment_id": 8, "user_id": "bob", "action": None},
        {"segment_id": 8, "user_id": "ann", "action": "add"},
        {"segment_id": 8, "user_id": "ann", "action": "remove"},
        {"segment_id": 8, "user_id": "ann", "action": "add"},
        people=("ann", "bob"),
    )

    assert (outcome.code, outcome.rejected) == (0, [])
    assert members(outcome) == [(7, "id:ann"), (8, "id:ann"), (8, "id:bob")]
    assert outcome.table["vips"]["delivered"] == {"segment add": 5, "segment remove": 2}


@pytest.mark.parametrize(
    ("row", "kind", "value"),
    [
        ({"user_id": 42}, "id", "42"),
        ({"user_id": "ann@example.com"}, "email", "ann@example.com"),
        ({"email": "ann@example.com"}, "email", "ann@example.com"),
        ({"user_id": "cio_0a1b"}, "cio_id", "0a1b"),
        ({"user_id": "ann", "email": "ann@example.com"}, "id", "ann"),
    ],
)
def test_a_person_is_identified_by_an_accepted_identifier(
    row: dict[str, Any], kind: str, value: str, vips: Any
) -> None:
    outcome = vips({"segment_id": 7, **row})

    assert requests_of(outcome) == [
        (f"/api/v1/segments/7/add_customers?id_type={kind}", {"ids": [value]})
    ]


@pytest.mark.parametrize(
    ("row", "rejection"),
    [
        ({"user_id": "ann"}, ("required", "segmentId")),
        ({"segment_id": "seven", "user_id": "ann"}, ("invalid_type", "segmentId")),
        ({"segment_id": -7, "user_id": "ann"}, ("invalid_type", "segmentId")),
        ({"segment_id": True, "user_id": "ann"}, ("invalid_type", "segmentId")),
        ({"segment_id": "7/../8", "user_id": "a"}, ("invalid_type", "segmentId")),
        ({"segment_id": 7}, ("no_identifier", "userId")),
        ({"segment_id": 7, "anonymous_id": "visitor"}, ("no_identifier", "userId")),
        ({"segment_id": 7, "phone": "+15550100"}, ("no_identifier", "userId")),
        (
            {"segment_id": 7, "user_id": "ann", "action": "join"},
            ("unknown_action", "action"),
        ),
        ({"segment_id": 7, "user_id": "a", "action": 1}, ("unknown_action", "action")),
    ],
)
def test_a_row_that_makes_no_change_is_rejected(
    row: dict[str, Any], rejection: tuple[str, str], vips: Any
) -> None:
    outcome = vips(row)

    assert outcome.reasons == [rejection]
    assert requests_of(outcome) == []


@pytest.mark.parametrize("hard_delete", [False, True])
def test_a_deleted_row_removes_its_person_only_with_hard_delete(
    vips: Any, *, hard_delete: bool
) -> None:
    row = {"segment_id": 7, "user_id": "ann"}

    outcome = vips(
        row,
        {**row, "_sdc_deleted_at": "2026-01-01T00:00:00Z", "action": "add"},
        {**row, "_sdc_deleted_at": None, "segment_id": 9},
        people=("ann",),
        hard_delete=hard_delete,
    )

    left = [] if hard_delete else [(7, "id:ann")]
    assert members(outcome) == [*left, (9, "id:ann")]
    assert "id:ann" in outcome.workspace["people"]


def test_a_request_has_at_most_a_thousand_people_of_one_kind(vips: Any) -> None:
    people = [f"p-{number}" for number in range(2_500)]

    outcome = vips(
        *({"segment_id": 7, "user_id": person} for person in people),
        {"segment_id": 7, "user_id": "ann@example.com"},
        {"segment_id": 8, "user_id": "p-0"},
        {"segment_id": 7, "user_id": "p-1", "action": "remove"},
        people=people,
        batch_size_rows=5_000,
    )

    made = requests_of(outcome)
    changes = [(path, body["ids"]) for path, body in made if "segments" in path]
    by_path: dict[str, list[int]] = {}
    for path, ids in changes:
        assert len(ids) <= 1_000
        by_path.setdefault(path, []).append(len(ids))
    endpoint = "/api/v1/segments/{}/{}_customers?id_type={}"
    add_seven = by_path.pop(endpoint.format(7, "add", "id"))
    assert (sum(add_seven), len(add_seven) <= 10) == (2_500, True)
    assert by_path == {
        endpoint.format(7, "add", "email"): [1],
        endpoint.format(8, "add", "id"): [1],
        endpoint.format(7, "remove", "id"): [1],
    }
    assert len(members(outcome)) == 2_500


def test_changes_keep_their_order_among_other_records(
    terminal: Any, singer: Any
) -> None:
    """Deleted people leave their segments; no one is added before they exist."""
    messages = [singer.schema(each) for each in ("identifies", "tracks", "vips")]
    for number in range(60):
        person = f"p-{number}"
        messages += [
            singer.record("identifies", userId=person),
            singer.record("vips", segment_id=7, user_id=person),
            singer.record("tracks", userId=person, event="User Deleted"),
            singer.record("identifies", userId=person),
            singer.record("vips", segment_id=8, user_id=person),
            singer.record("vips", segment_id=9, user_id=person),
            singer.record("vips", segment_id=9, user_id=person, action="remove"),
        ]

    outcome = terminal.run(
        *messages,
        singer.state(done=True),
        stream_calls={"vips": "segment"},
        batch_size_rows=25,
    )

    assert (outcome.code, outcome.states) == (0, [{"done": True}])
    assert members(outcome) == sorted((8, f"id:p-{number}") for number in range(60))


@pytest.mark.parametrize("action", ["add", "remove"])
def test_rows_of_a_segment_that_does_not_exist_are_rejected(
    vips: Any, action: str
) -> None:
    """In the sandbox, segments with ids of more than ten digits do not exist."""
    unknown = 12_345_678_901
    outcome = vips(
        {"segment_id": unknown, "user_id": "ann", "action": action},
        {"segment_id": 7, "user_id": "ann"},
        {"segment_id": unknown, "user_id": "bob", "action": action},
        people=("ann", "bob"),
    )

    assert outcome.code == 0
    assert members(outcome) == [(7, "id:ann")]
    assert [each["record"]["user_id"] for each in outcome.rejected] == ["ann", "bob"]
    assert outcome.reasons == [("unknown_segment", "segmentId")] * 2
    (warning, *_) = outcome.lines("WARNING")
    assert "unknown_segment" in warning
