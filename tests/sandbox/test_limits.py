"""Validation of operations; error messages never quote values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import CustomerIO, Operations


ULID = "01HZX3R8Q4V5W6X7Y8Z9A0B1C2"
RELATION = {"identifiers": {"id": "1"}}
SECRET = "secret-of-ann"


def person(**members: Any) -> dict[str, Any]:
    return {
        "type": "person",
        "action": "identify",
        "identifiers": {"id": "1"},
        **members,
    }


def event(**members: Any) -> dict[str, Any]:
    return person(**{"action": "event", "name": "Ordered", **members})


def device(**members: Any) -> dict[str, Any]:
    return person(
        action="add_device", device={"token": "t", "platform": "ios", **members}
    )


def thing(**members: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "action": "identify",
        "identifiers": {"object_type_id": "1", "object_id": "acme"},
        **members,
    }


def named(object_type_id: str = "1", object_id: str = "acme") -> dict[str, Any]:
    return {"object_type_id": object_type_id, "object_id": object_id}


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ("an operation", "action"),
        ({}, "action"),
        (person(action="dance"), "action"),
        (person(type=["person"]), "action"),
        (thing(action="event"), "action"),
        ({"type": "person", "action": "identify"}, "identifiers"),
        (person(identifiers={}), "identifiers"),
        (person(identifiers=7), "identifiers"),
        (event(identifiers=7), "identifiers"),
        (person(identifiers={"id": "1", "email": "a@example.com"}), "identifiers"),
        (person(identifiers={"nickname": "ann"}), "identifiers"),
        (person(identifiers={"anonymous_id": "cookie"}), "identifiers"),
        (person(identifiers={"id": 1}), "identifiers.id"),
        (person(identifiers={"id": ""}), "identifiers.id"),
        (person(identifiers={"id": "x" * 151}), "identifiers.id"),
        (person(identifiers={"phone": "555-0100"}), "identifiers.phone"),
        (person(attributes=[]), "attributes"),
        (person(attributes={str(n): n for n in range(301)}), "attributes"),
        (person(attributes={"x" * 151: 1}), "attributes"),
        (person(attributes={"a": "ü" * 501}), "attributes.a"),
        (person(attributes={"a": ["x" * 499] * 2}), "attributes.a"),
        (person(attributes={"_update": "yes"}), "attributes._update"),
        (person(attributes={"id": "x" * 151}), "attributes.id"),
        (person(attributes={"email": {"home": "x"}}), "attributes.email"),
        (person(timestamp="2024-01-01"), "timestamp"),
        (person(timestamp=1.5), "timestamp"),
        (person(timestamp=True), "timestamp"),
        (person(timestamp=2**63), "timestamp"),
        (person(cio_relationships={}), "cio_relationships"),
        (person(cio_relationships=[RELATION]), None),
        (event(name=""), "name"),
        (event(name="  "), "name"),
        (event(name=None), "name"),
        (event(name=7), "name"),
        (event(id="not-a-ulid"), "id"),
        (event(id="8" + ULID[1:]), "id"),
        (event(attributes="{}"), "attributes"),
        (event(identifiers={"anonymous_id": "c"}, name="ü" * 51), "name"),
        (event(action="page", name=""), "name"),
        (event(action="screen", name=""), "name"),
        (event(action="viewed_content", name=[]), "name"),
        (person(action="add_device"), "device"),
        (device(token=""), "device.token"),
        (device(platform="windows"), "device.platform"),
        (device(platform=None), "device.platform"),
        (device(last_used="now"), "device.last_used"),
        (person(action="delete_device", device={}), "device.token"),
        (thing(action="add_relationships"), "cio_relationships"),
        (thing(identifiers=named(object_type_id="company")), None),
        (thing(identifiers=named(object_id="x" * 151)), "identifiers.object_id"),
        (thing(attributes={"a": "x" * 1001}), "attributes.a"),
        (thing(action="delete_relationships"), "cio_relationships"),
        (
            thing(cio_relationships=[RELATION | {"relationship_attributes": 1}]),
            "cio_relationships[0].relationship_attributes",
        ),
        (
            thing(cio_relationships=[{"identifiers": {"phone": "+15550100"}}]),
            "cio_relationships[0].identifiers",
        ),
        (
            thing(action="identify_anonymous", cio_relationships=[RELATION]),
            "cio_relationships[0].identifiers",
        ),
        (
            {"type": "person", "action": "merge", "primary": {"id": "1"}},
            "secondary",
        ),
    ],
)
def test_an_invalid_operation_is_refused(
    customerio: CustomerIO, operation: Any, field: str | None
) -> None:
    fields = customerio.refuse(operation)
    assert field in fields or (field is None and fields)
    assert customerio.people() == []


@pytest.mark.parametrize(
    "operation",
    [
        person(identifiers={"id": "x" * 150}),
        person(attributes={str(n): n for n in range(300)}),
        person(attributes={"x" * 150: "ü" * 500}),
        person(attributes={"id": 7}, identifiers={"email": "a@example.com"}),
        person(attributes=None, timestamp=None, cio_relationships=None),
        event(name="ü" * 51),
        event(attributes={"long": "x" * 20_000}),
        event(identifiers={"anonymous_id": "c"}, name="ü" * 50),
        thing(attributes={"a": "x" * 1000}),
    ],
)
def test_values_at_the_limits_are_accepted(
    customerio: CustomerIO, operation: Any
) -> None:
    customerio.accept(operation)


def test_an_operation_is_limited_to_32768_bytes(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    size = len(json.dumps(op.event(id="1"), separators=(",", ":")))
    filler = "x" * (32_768 - size - len('"a":""'))
    customerio.accept(op.event(id="1", also={"attributes": {"a": filler}}))
    response = customerio.batch(
        op.event(id="1", also={"attributes": {"a": filler + "x"}})
    )
    assert response.status_code == 207
    assert response.json()["errors"][0]["reason"] == "too_large"


def test_errors_never_quote_values(customerio: CustomerIO) -> None:
    response = customerio.batch(
        person(identifiers={SECRET: SECRET}),
        person(identifiers={"phone": SECRET}),
        person(attributes={"a": SECRET * 100, SECRET * 20: 1}),
        event(id=SECRET),
        device(platform=SECRET),
        person(action=SECRET),
    )
    assert len(response.json()["errors"]) >= 6
    assert SECRET not in response.text
