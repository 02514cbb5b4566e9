"""An identify that names an object relates the person to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]


def test_the_documented_example_relates_the_person_to_the_object(
    convert: Convert,
) -> None:
    record = {
        "type": "identify",
        "traits": {
            "first_name": "cool",
            "email": "cool.person@example.com",
            "objectId": "math101-2024",
            "objectTypeId": "2",
            "relationshipAttributes": {"dues_paid": True, "grade": "A-"},
        },
        "userId": "97980cfea0067",
        "created_at": "1679407797",
    }
    assert convert("identify", record) == {
        "type": "person",
        "identifiers": {"id": "97980cfea0067"},
        "action": "identify",
        "attributes": {
            "first_name": "cool",
            "email": "cool.person@example.com",
            "created_at": 1679407797,
        },
        "cio_relationships": [
            {
                "identifiers": {"object_type_id": "2", "object_id": "math101-2024"},
                "relationship_attributes": {"dues_paid": True, "grade": "A-"},
            }
        ],
    }


@pytest.mark.parametrize(
    ("record", "identifiers"),
    [
        (
            {"traits": {"objectId": "acme"}},
            {"object_type_id": "1", "object_id": "acme"},
        ),
        (
            {"traits": {"object_id": 7, "object_type_id": 2}},
            {"object_type_id": "2", "object_id": "7"},
        ),
        (
            {"traits": {}, "context": {"objectId": "acme", "objectTypeId": 2}},
            {"object_type_id": "2", "object_id": "acme"},
        ),
        (
            {"traits": {}, "context": {"groupId": "acme"}},
            {"object_type_id": "1", "object_id": "acme"},
        ),
        (
            {"traits": {}, "context": {"group_id": "acme", "object_type_id": "2"}},
            {"object_type_id": "2", "object_id": "acme"},
        ),
        (
            {"traits": {}, "context_group_id": "acme"},
            {"object_type_id": "1", "object_id": "acme"},
        ),
        (
            {"traits": {}, "context__groupId": "acme"},
            {"object_type_id": "1", "object_id": "acme"},
        ),
        (
            {"traits__objectId": "acme", "traits__objectTypeId": 3},
            {"object_type_id": "3", "object_id": "acme"},
        ),
        (
            {"object_id": "acme", "object_type_id": 3, "plan": "pro"},
            {"object_type_id": "3", "object_id": "acme"},
        ),
        (
            {"traits": {"objectId": "trait"}, "context": {"groupId": "context"}},
            {"object_type_id": "1", "object_id": "trait"},
        ),
    ],
)
def test_the_object_is_found_in_traits_and_context(
    convert: Convert, record: dict[str, Any], identifiers: dict[str, str]
) -> None:
    operation = convert("identify", {"userId": "1", **record})
    assert operation["cio_relationships"] == [{"identifiers": identifiers}]
    assert not {"objectId", "object_id", "objectTypeId", "object_type_id"} & set(
        operation["attributes"]
    )


@pytest.mark.parametrize(
    "record",
    [
        {"traits": {"objectId": "acme", "relationshipAttributes": {"role": "a"}}},
        {"traits": {"objectId": "acme", "relationship_attributes": {"role": "a"}}},
        {"traits": {"objectId": "acme", "relationshipAttributes": '{"role": "a"}'}},
        {
            "traits": {},
            "context": {"groupId": "acme", "relationshipAttributes": {"role": "a"}},
        },
        {"object_id": "acme", "relationship_attributes": '{"role": "a"}'},
        {"traits__objectId": "acme", "traits__relationshipAttributes__role": "a"},
    ],
)
def test_relationship_attributes_are_sent_with_the_relationship(
    convert: Convert, record: dict[str, Any]
) -> None:
    operation = convert("identify", {"userId": "1", **record})
    assert operation["cio_relationships"] == [
        {
            "identifiers": {"object_type_id": "1", "object_id": "acme"},
            "relationship_attributes": {"role": "a"},
        }
    ]
    assert operation["attributes"] == {}


def test_without_an_object_the_rest_of_the_relationship_is_dropped(
    convert: Convert,
) -> None:
    traits = {"objectTypeId": 2, "relationshipAttributes": {"role": "a"}, "plan": "pro"}
    operation = convert("identify", {"userId": "1", "traits": traits})
    assert "cio_relationships" not in operation
    assert operation["attributes"] == {"plan": "pro"}


def test_dates_in_relationship_attributes_are_converted(convert: Convert) -> None:
    traits = {
        "objectId": "acme",
        "relationshipAttributes": {"since": "2023-03-21T14:09:57Z", "gone": None},
    }
    record = {"userId": "1", "traits": traits}
    (related,) = convert("identify", record)["cio_relationships"]
    assert related["relationship_attributes"] == {"since": 1679407797, "gone": None}
    (related,) = convert(
        "identify", record, convert_timestamps=False, null_attributes="omit"
    )["cio_relationships"]
    assert related["relationship_attributes"] == {"since": "2023-03-21T14:09:57Z"}


@pytest.mark.parametrize("call", ["identify", "group"])
@pytest.mark.parametrize("name", ["relationshipAttributes", "relationship_attributes"])
def test_typed_dates_in_relationship_attributes_are_converted_at_any_precision(
    convert: Convert, call: str, name: str
) -> None:
    date = {"type": "string", "format": "date"}
    schema: dict[str, Any] = {"properties": {name: {"properties": {"since": date}}}}
    record = {"objectId": "acme", name: {"since": "2023-03-21"}}
    for columns, typed in (
        (record, schema),
        ({"traits": record}, {"properties": {"traits": schema}}),
    ):
        operation = convert(call, {"userId": "1", **columns}, schema=typed)
        (related,) = operation["cio_relationships"]
        assert related["relationship_attributes"] == {"since": 1679356800}


@pytest.mark.parametrize("attributes", [[1], 7, True, "no JSON", '["list"]'])
def test_invalid_relationship_attributes_reject_the_record(
    rejection: Callable[..., Any], attributes: Any
) -> None:
    traits = {"objectId": "acme", "relationshipAttributes": attributes}
    rejection("identify", {"userId": "1", "traits": traits})


@pytest.mark.parametrize("empty", [{}, [], "{}", "[]", None, "null"])
def test_empty_relationship_attributes_are_omitted(
    convert: Convert, empty: Any
) -> None:
    traits = {"objectId": "acme", "relationshipAttributes": empty}
    (related,) = convert("identify", {"userId": "1", "traits": traits})[
        "cio_relationships"
    ]
    assert "relationship_attributes" not in related


@pytest.mark.parametrize("object_id", [True, 1.5, "  ", ["acme"], {"id": 1}])
def test_an_invalid_object_id_rejects_the_record(
    rejection: Callable[..., Any], object_id: Any
) -> None:
    rejection("identify", {"userId": "1", "traits": {"objectId": object_id}})


SINCE = {"properties": {"since": {"type": "string", "format": "date"}}}
IN_SCHEMA = {"relationship_attributes": SINCE}


@pytest.mark.parametrize(
    ("record", "properties"),
    [
        ({"relationship_attributes": {"since": "2023-05-18"}}, IN_SCHEMA),
        (
            {"relationship_attributes": {"since": "2023-05-18"}, "traits": {"a": 1}},
            IN_SCHEMA,
        ),
        (
            {"traits": {"relationship_attributes": {"since": "2023-05-18"}}},
            {"traits": {"properties": IN_SCHEMA}},
        ),
        (
            {
                "traits": {"a": 1},
                "context": {"relationship_attributes": {"since": "2023-05-18"}},
            },
            {"context": {"properties": IN_SCHEMA}},
        ),
    ],
    ids=["flat", "beside_traits", "in_traits", "in_the_context"],
)
def test_typed_dates_of_a_relationship_are_converted_in_any_place(
    convert: Convert, record: dict[str, Any], properties: dict[str, Any]
) -> None:
    record = {"userId": "ada", "objectId": "acme", **record}
    converted = convert("identify", record, schema={"properties": properties})
    (related,) = converted["cio_relationships"]
    assert related["relationship_attributes"] == {"since": 1684368000}


FLATTENED = [
    {"relationshipAttributes__role": "a"},
    {"relationship_attributes__role": "a", "relationship_attributes__city": None},
    {"RELATIONSHIP_ATTRIBUTES__role": "a"},
    {"relationship_attributes__role": "a", "relationship_attributes": None},
    {"relationship_attributes__role": "b", "relationship_attributes": {"role": "a"}},
]


@pytest.mark.parametrize("columns", FLATTENED)
@pytest.mark.parametrize("body", [{"plan": "pro"}, {"traits": {"plan": "pro"}}])
@pytest.mark.parametrize("call", ["identify", "group"])
def test_relationship_attributes_may_be_flattened(
    convert: Convert, call: str, columns: dict[str, Any], body: dict[str, Any]
) -> None:
    record = {"userId": "1", "objectId": "acme", **columns, **body}
    notices: list[str] = []
    operation = convert(call, record, null_attributes="omit", notify=notices.append)
    (related,) = operation["cio_relationships"]
    assert related["relationship_attributes"] == {"role": "a"}
    assert operation["attributes"] == {"plan": "pro"}
    assert notices == []


def test_a_typed_date_of_a_flattened_relationship_is_converted(
    convert: Convert,
) -> None:
    column = "relationship_attributes__since"
    record = {"userId": "1", "objectId": "acme", column: "2023-05-18"}
    schema = {"properties": {column: {"type": "string", "format": "date"}}}
    (related,) = convert("identify", record, schema=schema)["cio_relationships"]
    assert related["relationship_attributes"] == {"since": 1684368000}


def test_flattened_relationship_attributes_that_are_null_are_omitted(
    convert: Convert,
) -> None:
    record = {"userId": "1", "objectId": "acme", "relationshipAttributes__role": None}
    operation = convert("identify", record, null_attributes="omit")
    (related,) = operation["cio_relationships"]
    assert "relationship_attributes" not in related


def test_an_event_has_no_relationship_to_flatten(convert: Convert) -> None:
    column = "relationship_attributes__role"
    record = {"userId": "1", "event": "x", column: "a"}
    assert convert("track", record)["attributes"] == {column: "a"}
