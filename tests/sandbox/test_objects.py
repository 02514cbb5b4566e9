"""Objects and relationships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import CustomerIO, Operations


ACME = {"object_type_id": "1", "object_id": "acme"}


def relationships(customerio: CustomerIO) -> list[tuple[Any, ...]]:
    return [
        (row["object"], row["person"], row["attributes"])
        for row in customerio.contents()["relationships"]
    ]


def test_object_attributes_are_merged_and_removed(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.object("identify", also={"attributes": {"name": "Acme", "a": 1, "b": 2}}),
        op.object("identify", also={"attributes": {"a": None, "b": "", "seats": 5}}),
        op.object("identify"),
    )
    assert customerio.contents()["objects"] == {
        "1:acme": {"attributes": {"name": "Acme", "seats": 5}}
    }


def test_objects_of_two_types_can_have_the_same_id(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    course = op.object("identify")
    course["identifiers"]["object_type_id"] = "2"
    customerio.accept(op.object("identify"), course)
    assert sorted(customerio.contents()["objects"]) == ["1:acme", "2:acme"]


@pytest.mark.parametrize("action", ["identify", "add_relationships"])
def test_people_related_to_an_object_are_created(
    customerio: CustomerIO, op: type[Operations], action: str
) -> None:
    related = [
        op.relation({"id": "1"}, {"role": "admin"}),
        op.relation({"email": "ann@example.com"}),
        op.relation({"cio_id": "unknown"}),
    ]
    customerio.accept(op.object(action, also={"cio_relationships": related}))
    assert relationships(customerio) == [
        ("1:acme", "email:ann@example.com", {}),
        ("1:acme", "id:1", {"role": "admin"}),
    ]


def test_the_objects_of_an_identify_are_created(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    related = {"cio_relationships": [op.relation(ACME, {"role": "admin"})]}
    customerio.accept(op.identify(id="1", also=related))
    assert relationships(customerio) == [("1:acme", "id:1", {"role": "admin"})]
    assert customerio.contents()["objects"] == {"1:acme": {"attributes": {}}}


def test_relationship_attributes_are_merged_from_both_sides(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify(
            id="1",
            also={"cio_relationships": [op.relation(ACME, {"role": "admin", "a": 1})]},
        ),
        op.object(
            "add_relationships",
            also={"cio_relationships": [op.relation({"id": "1"}, {"a": None, "b": 2})]},
        ),
    )
    assert relationships(customerio) == [("1:acme", "id:1", {"role": "admin", "b": 2})]


def test_deleting_relationships_creates_nothing(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    related = [op.relation({"id": "1"}), op.relation({"id": "2"})]
    customerio.accept(
        op.object("identify", also={"cio_relationships": related}),
        op.object("delete_relationships", also={"cio_relationships": related[:1]}),
    )
    assert relationships(customerio) == [("1:acme", "id:2", {})]
    unknown = {
        "cio_relationships": [op.relation({"id": "2"}), op.relation({"id": "3"})]
    }
    customerio.accept(
        op.object("delete_relationships", also=unknown),
        op.object("delete_relationships", "beta", also=unknown),
    )
    assert relationships(customerio) == []
    assert customerio.people() == ["id:1", "id:2"]
    assert list(customerio.contents()["objects"]) == ["1:acme"]


def test_deleting_an_object_removes_its_relationships(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.object("identify", also={"cio_relationships": [op.relation({"id": "1"})]}),
        op.object("delete"),
        op.object("delete", "never-seen"),
    )
    contents = customerio.contents()
    assert (contents["objects"], contents["relationships"]) == ({}, [])
    assert list(contents["people"]) == ["id:1"]


def test_anonymous_relationships_move_to_the_identified_person(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    related = [op.relation({"anonymous_id": "cookie"}, {"role": "x", "since": 1})]
    customerio.accept(
        op.identify(
            {}, id="1", also={"cio_relationships": [op.relation(ACME, {"role": "y"})]}
        ),
        op.object("identify_anonymous", also={"cio_relationships": related}),
        op.object("identify_anonymous", "beta", also={"anonymous_id": "cookie"}),
    )
    assert relationships(customerio) == [
        ("1:acme", "anonymous_id:cookie", {"role": "x", "since": 1}),
        ("1:acme", "id:1", {"role": "y"}),
        ("1:beta", "anonymous_id:cookie", {}),
    ]
    customerio.accept(op.identify({"anonymous_id": "cookie"}, id="1"))
    assert relationships(customerio) == [
        ("1:acme", "id:1", {"role": "y", "since": 1}),
        ("1:beta", "id:1", {}),
    ]


def test_an_anonymous_relationship_of_a_known_person_is_linked_to_them(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"anonymous_id": "cookie"}, id="1"),
        op.object("identify_anonymous", also={"anonymous_id": "cookie"}),
    )
    assert relationships(customerio) == [("1:acme", "id:1", {})]
