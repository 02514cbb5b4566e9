"""Deletions by marked rows and by action events."""

from __future__ import annotations

import json
from typing import Any

import pytest

AT = "2026-05-01T12:00:00Z"
METADATA = {
    "_sdc_extracted_at": AT,
    "_sdc_received_at": AT,
    "_sdc_batched_at": AT,
    "_sdc_sequence": 1,
    "_sdc_table_version": 2,
    "_sdc_sync_started_at": 3,
    "_sdc_lsn": 4,
}


def people(outcome: Any) -> set[str]:
    return set(outcome.workspace["people"])


def rows_of_two_tables(
    terminal: Any, singer: Any, *, closed: bool = False, **settings: Any
) -> Any:
    """Deliver a table of people and one of companies; a row of each is deleted."""
    more = {"additionalProperties": False} if closed else {}
    return terminal.run(
        singer.schema("identifies", ["user_id", "plan"], ["user_id"], **more),
        singer.record("identifies", user_id="kept", plan="pro", **METADATA),
        singer.record("identifies", user_id="gone", plan="pro"),
        singer.record("identifies", user_id="gone", plan="x", _sdc_deleted_at=AT),
        singer.record("identifies", user_id="back", plan="x", _sdc_deleted_at=AT),
        singer.record("identifies", user_id="back", plan="new", _sdc_deleted_at=None),
        singer.record("identifies", user_id="empty", _sdc_deleted_at=""),
        singer.schema("groups", ["group_id", "user_id", "name"], ["group_id"], **more),
        singer.record("groups", group_id="kept", name="Acme", user_id="kept"),
        singer.record("groups", group_id="gone", name="Beta", user_id="kept"),
        singer.record("groups", group_id="gone", _sdc_deleted_at=AT, **METADATA),
        singer.state(done=True),
        **settings,
    )


@pytest.mark.parametrize("add_record_metadata", [None, False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_marked_rows_delete_their_people_and_objects(
    terminal: Any, singer: Any, *, add_record_metadata: bool | None, closed: bool
) -> None:
    settings = {"hard_delete": True, "add_record_metadata": add_record_metadata}

    outcome = rows_of_two_tables(terminal, singer, closed=closed, **settings)

    assert (outcome.code, outcome.reasons) == (0, [])
    assert outcome.states == [{"done": True}]
    assert people(outcome) == {"id:kept", "id:back", "id:empty"}
    workspace = outcome.workspace
    assert workspace["people"]["id:back"]["attributes"] == {"plan": "new"}
    assert workspace["people"]["id:kept"]["attributes"] == {"plan": "pro"}
    assert {
        name: each["attributes"] for name, each in workspace["objects"].items()
    } == {"1:kept": {"name": "Acme"}}
    assert [each["object"] for each in workspace["relationships"]] == ["1:kept"]
    assert outcome.table["identifies"]["delivered"] == {
        "person identify": 4,
        "person delete": 2,
    }


def test_nothing_is_deleted_without_hard_delete(terminal: Any, singer: Any) -> None:
    outcome = rows_of_two_tables(terminal, singer)

    assert outcome.code == 0
    assert people(outcome) == {"id:kept", "id:gone", "id:back", "id:empty"}
    assert outcome.workspace["objects"].keys() == {"1:kept", "1:gone"}
    assert "_sdc" not in str(outcome.workspace)


def test_a_replication_log_deletes_by_key(terminal: Any, singer: Any) -> None:
    """Deleted rows of a replication log have nothing but their key."""
    outcome = terminal.run(
        singer.schema(
            "app-users",
            {
                "id": {"type": ["integer", "null"]},
                "name": {"type": ["string", "null"]},
                "_sdc_deleted_at": {"type": ["string"]},
                "_sdc_lsn": {"type": ["integer"]},
            },
            ["id"],
        ),
        singer.record("app-users", id=1, name="Ann", _sdc_lsn=1),
        singer.record("app-users", id=2, name="Bob", _sdc_lsn=2),
        singer.record("app-users", id=2, _sdc_deleted_at=AT, _sdc_lsn=3),
        stream_calls={"app-users": "identify"},
        stream_maps={"app-users": {"userId": "id"}},
        hard_delete=True,
    )

    assert (outcome.code, people(outcome)) == (0, {"id:1"})


def test_a_deleted_row_without_an_identifier_is_rejected(
    terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("identifies", ["user_id"]),
        singer.schema("groups", ["group_id"]),
        singer.record("identifies", user_id=None, _sdc_deleted_at=AT),
        singer.record("groups", group_id=None, _sdc_deleted_at=AT),
        hard_delete=True,
        on_rejected="continue",
    )

    assert outcome.reasons == [("no_identifier", "userId"), ("required", "groupId")]


PERSON_BY: dict[str, dict[str, Any]] = {
    "userId": {"userId": "ann"},
    "user_id": {"user_id": "ann"},
    "an address as userId": {"userId": "Ann@Example.com"},
    "email": {"email": "ann@example.com"},
    "traits.email": {"traits": {"email": "ann@example.com"}},
    "traits as text": {"traits": '{"email": "ann@example.com"}'},
    "context.traits.email": {"context": {"traits": {"email": "ann@example.com"}}},
    "context_traits_email": {"context_traits_email": "ann@example.com"},
    "properties.email": {"properties": {"email": "ann@example.com"}},
    "properties as text": {"properties": '{"email": "ann@example.com"}'},
    "properties__email": {"properties__email": "ann@example.com"},
}
BY_PHONE: dict[str, dict[str, Any]] = {
    "traits.phone": {"traits": {"phone": "+15550100"}},
    "traits__phone": {"traits__phone": "+15550100"},
}
OBJECT_BY: dict[str, dict[str, Any]] = {
    "properties": {"properties": {"objectId": "acme", "objectTypeId": "2"}},
    "snake_case": {"properties": {"object_id": "acme", "object_type_id": 2}},
    "text": {"properties": '{"objectId": "acme", "objectTypeId": 2}'},
    "flattened": {"properties__objectId": "acme", "properties__object_type_id": "2"},
    "columns": {"object_id": "acme", "object_type_id": "2"},
    "context": {"context": {"objectId": "acme", "objectTypeId": "2"}},
    "context columns": {"context_object_id": "acme", "context_object_type_id": "2"},
}


def numbered(value: Any, number: int) -> Any:
    """Append a number to Ann and Acme in a record."""
    text = json.dumps(value)
    for name in ("ann", "Ann", "acme"):
        text = text.replace(name, f"{name}{number:02}")
    return json.loads(text.replace("+15550100", f"+155501{number:02}"))


def with_anns(terminal: Any, singer: Any, events: list[dict[str, Any]]) -> Any:
    """Deliver a person with two companies for each event, then the events."""
    ann = {"email": "ann@example.com", "phone": "+15550100"}
    records: list[tuple[str, dict[str, Any]]] = [
        ("identifies", {"userId": "ann", "traits": ann}),
        ("groups", {"groupId": "acme", "userId": "ann", "traits": {"name": "A"}}),
        ("groups", {"groupId": "acme", "userId": "ann", "objectTypeId": "2"}),
    ]
    numbers = range(len(events))
    outcome = terminal.run(
        *map(singer.schema, ("identifies", "groups", "tracks")),
        *(
            singer.record(stream, **numbered({"traits": {}, **record}, number))
            for stream, record in records
            for number in numbers
        ),
        *(
            singer.record("tracks", **numbered(events[number], number))
            for number in numbers
        ),
        on_rejected="continue",
    )
    assert outcome.code == 0, outcome.stderr
    return outcome


def all_of(name: str, numbers: range) -> set[str]:
    return {f"{name}{number:02}" for number in numbers}


@pytest.mark.parametrize("name", ["User Deleted", "User Suppressed"])
def test_a_person_is_deleted_by_every_identifier(
    name: str, terminal: Any, singer: Any
) -> None:
    events = [{"event": name, **by} for by in {**PERSON_BY, **BY_PHONE}.values()]

    outcome = with_anns(terminal, singer, [*events, {"event": "Seen", "userId": "ann"}])

    last = len(events)
    assert outcome.reasons == []
    assert people(outcome) == {f"id:ann{last:02}"}
    assert {each["person"] for each in outcome.workspace["relationships"]} == {
        f"id:ann{last:02}"
    }
    suppressed = {each["identifier"] for each in outcome.workspace["suppressions"]}
    if name == "User Deleted":
        assert suppressed == set()
    else:
        assert all_of("id:ann", range(last)) <= suppressed
        assert f"id:ann{last:02}" not in suppressed


def test_a_relationship_is_deleted_by_every_identifier(
    terminal: Any, singer: Any
) -> None:
    events = []
    for by in PERSON_BY.values():
        properties: Any = by.get("properties", {})
        if isinstance(properties, dict):
            properties = {**properties, "objectId": "acme"}
        else:
            properties = properties.replace("}", ', "objectId": "acme"}')
        events.append({"event": "Relationship Deleted", **by, "properties": properties})

    outcome = with_anns(terminal, singer, events)

    numbers = range(len(events))
    assert outcome.reasons == []
    assert {
        (each["object"], each["person"]) for each in outcome.workspace["relationships"]
    } == {(f"2:acme{number:02}", f"id:ann{number:02}") for number in numbers}
    assert people(outcome) == all_of("id:ann", numbers)


def test_an_object_is_deleted_by_every_way_to_name_it(
    terminal: Any, singer: Any
) -> None:
    events = [{"event": "Object Deleted", **by} for by in OBJECT_BY.values()]
    untyped = {"event": "Object Deleted", "properties": {"objectId": "acme"}}

    outcome = with_anns(terminal, singer, [*events, untyped])

    last = len(events)
    assert outcome.reasons == []
    assert outcome.workspace["objects"].keys() == {
        *all_of("1:acme", range(last)),
        f"2:acme{last:02}",  # an object without a type has the first type
    }
    assert people(outcome) == all_of("id:ann", range(last + 1))


def test_a_deletion_without_an_identifier_is_rejected(
    terminal: Any, singer: Any
) -> None:
    company = {"properties": {"objectId": "acme"}}
    phone = {"traits": {"phone": "+15550100"}}
    missing_user, missing_object = (
        ("no_identifier", "userId"),
        ("required", "properties.objectId"),
    )
    cases: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({"event": "User Deleted"}, missing_user),
        ({"event": "User Suppressed", "anonymousId": "visitor"}, missing_user),
        ({"event": "Relationship Deleted", **company}, missing_user),
        ({"event": "Relationship Deleted", **company, **phone}, missing_user),
        ({"event": "Relationship Deleted", "userId": "ann"}, missing_object),
        ({"event": "Object Deleted"}, missing_object),
    ]

    outcome = with_anns(terminal, singer, [event for event, _ in cases])

    assert outcome.reasons == [rejection for _, rejection in cases]
    assert people(outcome) == all_of("id:ann", range(len(cases)))
    assert len(outcome.workspace["objects"]) == 2 * len(cases)
