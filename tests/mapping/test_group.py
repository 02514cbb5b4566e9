"""Group: objects and the people related to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

ACME = {"object_type_id": "1", "object_id": "acme"}


def test_the_documented_example_becomes_an_object_and_a_relationship(
    convert: Convert,
) -> None:
    record = {
        "messageId": "4vl6zh",
        "timestamp": "2022-11-24T22:56:14.144Z",
        "type": "group",
        "traits": {
            "class_code": "cio101",
            "start_date": 1679410730,
            "object_type_id": 1,
            "relationshipAttributes": {"type": "student", "dues_paid": True},
        },
        "groupId": "cio101-spring2024",
        "userId": "97980cfea0067",
    }
    assert convert("group", record) == {
        "type": "object",
        "identifiers": {"object_type_id": "1", "object_id": "cio101-spring2024"},
        "action": "identify",
        "attributes": {"class_code": "cio101", "start_date": 1679410730},
        "cio_relationships": [
            {
                "identifiers": {"id": "97980cfea0067"},
                "relationship_attributes": {"type": "student", "dues_paid": True},
            }
        ],
    }


def test_a_group_without_a_person_is_only_an_object(convert: Convert) -> None:
    record = {"groupId": "acme", "traits": {"name": "Acme"}}
    assert convert("group", record) == {
        "type": "object",
        "identifiers": ACME,
        "action": "identify",
        "attributes": {"name": "Acme"},
    }


@pytest.mark.parametrize(
    ("record", "identifiers"),
    [
        ({"groupId": 7, "traits": {}}, {"object_type_id": "1", "object_id": "7"}),
        ({"group_id": "acme", "name": "Acme"}, ACME),
        ({"groupId": "acme", "group_id": "other"}, ACME),
        ({"groupId": None, "group_id": "acme"}, ACME),
        ({"objectId": "acme", "traits": {}}, ACME),
        ({"traits": {"objectId": "acme"}}, ACME),
        ({"object_id": "acme", "name": "Acme"}, ACME),
        (
            {"groupId": "acme", "objectTypeId": 2, "traits": {}},
            {"object_type_id": "2", "object_id": "acme"},
        ),
        (
            {"groupId": "acme", "object_type_id": "2", "name": "Acme"},
            {"object_type_id": "2", "object_id": "acme"},
        ),
        (
            {"groupId": "acme", "traits": {"objectTypeId": "2"}},
            {"object_type_id": "2", "object_id": "acme"},
        ),
        ({"groupId": "acme", "traits": {"objectTypeId": ""}}, ACME),
    ],
)
def test_an_object_is_named_by_its_id_and_its_type_of_one_by_default(
    convert: Convert, record: dict[str, Any], identifiers: dict[str, str]
) -> None:
    assert convert("group", record)["identifiers"] == identifiers


@pytest.mark.parametrize(
    "record",
    [
        {"traits": {"name": "Acme"}},
        {"groupId": "", "traits": {}},
        {"groupId": None, "name": "Acme"},
        {"groupId": " ", "traits": {}},
        {"groupId": True, "traits": {}},
        {"groupId": 1.0, "traits": {}},
        {"groupId": {"id": 1}, "traits": {}},
        {"groupId": "acme", "traits": {"objectTypeId": 1.5}},
        {"groupId": "acme", "traits": {"objectTypeId": " "}},
        {"groupId": "acme", "traits": {"objectTypeId": True}},
    ],
)
def test_a_group_without_a_proper_id_or_type_is_rejected(
    rejection: Callable[..., Any], record: dict[str, Any]
) -> None:
    rejection("group", record)


def test_the_keys_that_are_used_leave_the_attributes(convert: Convert) -> None:
    traits = {
        "name": "Acme",
        "objectId": "acme",
        "objectTypeId": "2",
        "relationshipAttributes": {"role": "a"},
        "action": "identify",
    }
    record = {"traits": traits, "userId": "1"}
    assert convert("group", record)["attributes"] == {"name": "Acme"}


def test_the_keys_that_are_used_leave_the_attributes_of_a_row(
    convert: Convert,
) -> None:
    record = {
        "group_id": "acme",
        "object_type_id": 2,
        "relationship_attributes": '{"role": "a"}',
        "action": "identify",
        "user_id": 1,
        "name": "Acme",
    }
    assert convert("group", record) == {
        "type": "object",
        "identifiers": {"object_type_id": "2", "object_id": "acme"},
        "action": "identify",
        "attributes": {"name": "Acme"},
        "cio_relationships": [
            {"identifiers": {"id": "1"}, "relationship_attributes": {"role": "a"}}
        ],
    }


@pytest.mark.parametrize("record", [{"traits": {"name": "Acme"}}, {"name": "Acme"}])
def test_an_object_with_only_an_anonymous_id_is_identified_anonymously(
    convert: Convert, record: dict[str, Any]
) -> None:
    record = {"groupId": "acme", "anonymousId": "anon-1", **record}
    assert convert("group", record) == {
        "type": "object",
        "identifiers": ACME,
        "action": "identify_anonymous",
        "attributes": {"name": "Acme"},
        "cio_relationships": [{"identifiers": {"anonymous_id": "anon-1"}}],
    }


def test_a_person_wins_over_an_anonymous_id(convert: Convert) -> None:
    record = {"groupId": "acme", "anonymousId": "a", "userId": "1", "traits": {}}
    operation = convert("group", record)
    assert operation["action"] == "identify"
    assert operation["cio_relationships"] == [{"identifiers": {"id": "1"}}]


PLACES_OF_ACTION = [
    lambda action: {"action": action, "traits": {"name": "Acme"}},
    lambda action: {"traits": {"name": "Acme", "action": action}},
    lambda action: {"traits": {"name": "Acme"}, "properties": {"action": action}},
    lambda action: {"name": "Acme", "action": action},
]
PLACE_NAMES = ["record", "traits", "properties", "column"]


@pytest.mark.parametrize("place", PLACES_OF_ACTION, ids=PLACE_NAMES)
def test_an_action_of_identify_is_what_happens_by_default(
    convert: Convert, place: Callable[[str], dict[str, Any]]
) -> None:
    operation = convert("group", {"groupId": "acme", **place("identify")})
    assert operation["action"] == "identify"
    assert operation["attributes"] == {"name": "Acme"}


@pytest.mark.parametrize("place", PLACES_OF_ACTION, ids=PLACE_NAMES)
def test_a_delete_names_the_object_and_has_no_attributes(
    convert: Convert, place: Callable[[str], dict[str, Any]]
) -> None:
    record = {"groupId": "acme", "userId": "1", **place("delete")}
    assert convert("group", record) == {
        "type": "object",
        "identifiers": ACME,
        "action": "delete",
    }


@pytest.mark.parametrize("place", PLACES_OF_ACTION, ids=PLACE_NAMES)
@pytest.mark.parametrize("action", ["add_relationships", "delete_relationships"])
def test_relationship_actions_name_a_person_and_carry_no_attributes(
    convert: Convert, place: Callable[[str], dict[str, Any]], action: str
) -> None:
    assert convert("group", {"groupId": "acme", "userId": "1", **place(action)}) == {
        "type": "object",
        "identifiers": ACME,
        "action": action,
        "cio_relationships": [{"identifiers": {"id": "1"}}],
    }


def test_relationship_attributes_are_sent_with_an_added_relationship(
    convert: Convert,
) -> None:
    record = {
        "groupId": "acme",
        "userId": "1",
        "action": "add_relationships",
        "traits": {"relationshipAttributes": {"role": "admin"}},
    }
    assert convert("group", record)["cio_relationships"] == [
        {"identifiers": {"id": "1"}, "relationship_attributes": {"role": "admin"}}
    ]


@pytest.mark.parametrize("action", ["add_relationships", "delete_relationships"])
@pytest.mark.parametrize("who", [{}, {"anonymousId": "anon-1"}])
def test_relationship_actions_without_a_person_are_rejected(
    rejection: Callable[..., Any], action: str, who: dict[str, str]
) -> None:
    traits = {"email": "acme@example.com", "phone": "+14155552671"}
    rejection("group", {"groupId": "acme", "action": action, "traits": traits, **who})


@pytest.mark.parametrize(
    "action",
    ["upsert", "Delete", "DELETE", " ", 1, 0, False, True, ["delete"], {"a": 1}],
)
@pytest.mark.parametrize("place", PLACES_OF_ACTION, ids=PLACE_NAMES)
def test_any_other_action_is_rejected(
    rejection: Callable[..., Any],
    place: Callable[[Any], dict[str, Any]],
    action: Any,
) -> None:
    record = {"groupId": "acme", "userId": "1", **place(action)}
    assert "action" in rejection("group", record).field


@pytest.mark.parametrize("who", [{}, {"userId": "1"}, {"anonymousId": "anon-1"}])
def test_hard_delete_deletes_the_object_of_a_row_marked_deleted(
    convert: Convert, who: dict[str, str]
) -> None:
    record = {"group_id": "acme", "name": "Acme", "_sdc_deleted_at": "2024-01-01"}
    assert convert("group", {**record, **who}, hard_delete=True) == {
        "type": "object",
        "identifiers": ACME,
        "action": "delete",
    }
    kept = convert("group", {**record, **who}, hard_delete=False)
    assert kept["action"].startswith("identify")
    assert kept["attributes"] == {"name": "Acme"}


def test_a_group_carries_no_time(convert: Convert) -> None:
    record = {"groupId": "acme", "timestamp": 1679407797, "traits": {}}
    assert "timestamp" not in convert("group", record)


@pytest.mark.parametrize("columns", [{"action": "identify"}, {"ACTION": "identify"}])
@pytest.mark.parametrize("form", ["row", "traits"])
def test_the_action_of_a_group_is_not_an_attribute_in_any_spelling(
    attributes_of: Callable[..., dict[str, Any]], columns: dict[str, str], form: str
) -> None:
    attributes = {**columns, "plan": "pro"}
    record = attributes if form == "row" else {"traits": attributes}
    assert attributes_of("group", {"GROUP_ID": "g", **record}) == {"plan": "pro"}
