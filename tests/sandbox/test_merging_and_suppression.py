"""Merging and suppressing people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import CustomerIO, Operations

ULID = "01HZX3R8Q4V5W6X7Y8Z9A0B1C2"


def test_a_merge_fills_in_missing_attributes(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"plan": "pro"}, id="1"),
        op.identify({"plan": "basic", "city": "Oslo", "phone": "+15550100"}, id="2"),
        op.merge({"id": "1"}, {"id": "2"}),
    )
    assert customerio.people() == ["id:1"]
    assert customerio.attributes("id:1") == {"plan": "pro", "city": "Oslo"}
    assert customerio.person("id:1")["phone"] == "+15550100"


def test_a_merge_moves_events_devices_relationships_and_segments(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    acme = {"object_type_id": "1", "object_id": "acme"}
    beta = {"object_type_id": "1", "object_id": "beta"}
    related = [op.relation(acme, {"role": "admin", "since": 1}), op.relation(beta)]
    customerio.accept(
        op.identify(
            {}, id="1", also={"cio_relationships": [op.relation(acme, {"role": "x"})]}
        ),
        op.identify({"anonymous_id": "cookie"}, id="2"),
        op.identify(id="2", also={"cio_relationships": related}),
        op.event(id="2"),
        op.device("token", id="2"),
    )
    for ids in (["1", "2"], ["2"]):
        segment = 7 if len(ids) == 2 else 8
        path = f"/api/v1/segments/{segment}/add_customers"
        assert customerio.request("POST", path, json={"ids": ids}).status_code == 200
    customerio.accept(op.merge({"id": "1"}, {"id": "2"}))
    contents = customerio.contents()
    assert [event["person"] for event in contents["events"]] == ["id:1"]
    assert contents["devices"]["token"]["person"] == "id:1"
    assert contents["anonymous_ids"] == {"cookie": {"person": "id:1"}}
    assert contents["segment_members"] == [
        {"segment_id": 7, "person": "id:1"},
        {"segment_id": 8, "person": "id:1"},
    ]
    assert contents["relationships"] == [
        {
            "object": "1:acme",
            "person": "id:1",
            "attributes": {"role": "x", "since": 1},
        },
        {"object": "1:beta", "person": "id:1", "attributes": {}},
    ]


def test_a_merge_frees_the_identifiers_of_the_secondary(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify(id="1"),
        op.identify({"email": "ann@example.com"}, id="2"),
        op.merge({"id": "1"}, {"email": "ANN@example.com"}),
    )
    assert customerio.person("id:1")["email"] is None
    customerio.accept(op.identify(email="ann@example.com"))
    assert customerio.people() == ["email:ann@example.com", "id:1"]


def test_a_merge_without_a_primary_or_a_secondary_does_nothing(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"plan": "basic"}, id="2"),
        op.merge({"id": "unknown"}, {"id": "2"}),
        op.merge({"id": "2"}, {"id": "unknown"}),
    )
    assert customerio.people() == ["id:2"]


def test_a_person_cannot_be_merged_with_itself(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(op.identify({"email": "ann@example.com"}, id="1"))
    assert customerio.refuse(op.merge({"id": "1"}, {"id": "1"})) == ["secondary"]
    assert customerio.refuse(
        op.merge({"email": "ann@example.com"}, {"email": "Ann@example.com"})
    ) == ["secondary"]
    customerio.accept(op.merge({"id": "1"}, {"email": "ann@example.com"}))
    assert customerio.people() == ["id:1"]
    assert customerio.activity() == [("Failed Merge", "secondary")]


def test_suppressing_deletes_and_blocks_every_identifier(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"email": "Ann@example.com", "phone": "+15550100"}, id="1"),
        op.event(id="1"),
        op.person("suppress", id="1"),
        op.identify({"plan": "pro"}, id="1"),
        op.event(email="ann@EXAMPLE.com"),
        op.device("token", phone="+15550100"),
        op.identify({"email": "ann@example.com"}, id="2"),
        op.merge({"id": "3"}, {"id": "1"}),
    )
    contents = customerio.contents()
    assert (contents["people"], contents["events"]) == ({}, [])
    assert [row["identifier"] for row in contents["suppressions"]] == [
        "email:ann@example.com",
        "id:1",
        "phone:+15550100",
    ]


def test_an_unknown_person_can_be_suppressed(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.person("suppress", id="1"),
        op.identify(id="1"),
        op.person("suppress", cio_id="unknown"),
    )
    contents = customerio.contents()
    assert contents["people"] == {}
    assert contents["suppressions"] == [{"identifier": "id:1"}]


def test_a_shared_phone_number_blocks_only_the_suppressed_person(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"phone": "+15550100"}, id="1"),
        op.person("suppress", id="1"),
        op.identify({"phone": "+15550100"}, id="2"),
    )
    assert customerio.people() == ["id:2"]


def test_an_ignored_event_can_be_sent_again(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.person("suppress", id="1"),
        op.event(id="1", also={"id": ULID}),
        op.person("unsuppress", id="1"),
        op.event(id="1", also={"id": ULID}),
    )
    assert [event["id"] for event in customerio.contents()["events"]] == [ULID]


def test_suppressed_people_are_left_out_of_relationships(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    related = [op.relation({"id": "1"}), op.relation({"id": "2"})]
    customerio.accept(
        op.person("suppress", id="1"),
        op.object("add_relationships", also={"cio_relationships": related}),
    )
    assert customerio.people() == ["id:2"]


def test_unsuppressing_frees_all_identifiers_of_the_person(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"email": "ann@example.com", "plan": "pro"}, id="1"),
        op.person("suppress", id="1"),
        op.person("unsuppress", email="ANN@example.com"),
    )
    assert customerio.contents()["suppressions"] == []
    customerio.accept(op.identify(id="1"))
    assert customerio.attributes("id:1") == {}
