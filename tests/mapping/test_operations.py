"""Operations as the API description writes them, and whom they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.track_api import operations as op

if TYPE_CHECKING:
    from collections.abc import Callable

JANE = {"id": "42"}
ACME = {"object_type_id": "1", "object_id": "acme"}
PERSON = {"type": "person", "identifiers": JANE}
OBJECT = {"type": "object", "identifiers": ACME}
TOKEN = "a83b219c-e756-4c5b-a8e3-d1a5c5b2f3c1"
ROLE: dict[str, Any] = {"role": "admin"}
HAPPENINGS = {
    "event": (op.PersonEvent, "purchase", {"product": "Widget", "price": 29.99}),
    "page": (op.PersonPage, "/pricing", {"referrer": "https://example.com"}),
    "screen": (op.PersonScreen, "Dashboard", {"app_version": "2.1.0"}),
}
RELATED = op.Relationship(identifiers=ACME, relationship_attributes=ROLE)
RELATIVE = op.Relationship(identifiers=JANE, relationship_attributes=ROLE)
NAMED: dict[str, Any] = {"first_name": "Jane", "last_name": "Doe", "plan": "premium"}
COMPANY: dict[str, Any] = {"name": "Acme Corp", "plan": "enterprise", "seats": 50}

EXAMPLES: list[tuple[op.Operation, dict[str, Any]]] = [
    (
        op.PersonIdentify(identifiers=JANE, attributes=NAMED),
        {**PERSON, "action": "identify", "attributes": NAMED},
    ),
    (op.PersonDelete(identifiers=JANE), {**PERSON, "action": "delete"}),
    (op.PersonSuppress(identifiers=JANE), {**PERSON, "action": "suppress"}),
    (op.PersonUnsuppress(identifiers=JANE), {**PERSON, "action": "unsuppress"}),
    *[
        (
            kind(identifiers=JANE, name=name, attributes=attributes),
            {**PERSON, "action": action, "name": name, "attributes": attributes},
        )
        for action, (kind, name, attributes) in HAPPENINGS.items()
    ],
    (
        op.PersonIdentify(identifiers=JANE, attributes={}, cio_relationships=[RELATED]),
        {
            **PERSON,
            "action": "identify",
            "attributes": {},
            "cio_relationships": [
                {"identifiers": ACME, "relationship_attributes": ROLE}
            ],
        },
    ),
    (
        op.PersonAddDevice(
            identifiers=JANE,
            device=op.Device(token=TOKEN, platform="ios", last_used=1713484800),
        ),
        {
            **PERSON,
            "action": "add_device",
            "device": {"token": TOKEN, "platform": "ios", "last_used": 1713484800},
        },
    ),
    (
        op.PersonDeleteDevice(identifiers=JANE, device=op.DeviceToken(token=TOKEN)),
        {**PERSON, "action": "delete_device", "device": {"token": TOKEN}},
    ),
    (
        op.PersonMerge(primary=JANE, secondary={"id": "known-user-456"}),
        {
            "type": "person",
            "action": "merge",
            "primary": JANE,
            "secondary": {"id": "known-user-456"},
        },
    ),
    (
        op.ObjectIdentify(identifiers=ACME, attributes=COMPANY),
        {**OBJECT, "action": "identify", "attributes": COMPANY},
    ),
    (
        op.ObjectIdentifyAnonymous(
            identifiers=ACME,
            attributes=COMPANY,
            cio_relationships=[
                op.Relationship(identifiers={"anonymous_id": "anon-abc-123"})
            ],
        ),
        {
            **OBJECT,
            "action": "identify_anonymous",
            "attributes": COMPANY,
            "cio_relationships": [{"identifiers": {"anonymous_id": "anon-abc-123"}}],
        },
    ),
    (op.ObjectDelete(identifiers=ACME), {**OBJECT, "action": "delete"}),
    (
        op.ObjectAddRelationships(identifiers=ACME, cio_relationships=[RELATIVE]),
        {
            **OBJECT,
            "action": "add_relationships",
            "cio_relationships": [
                {"identifiers": JANE, "relationship_attributes": ROLE}
            ],
        },
    ),
    (
        op.ObjectDeleteRelationships(
            identifiers=ACME,
            cio_relationships=[op.Relationship(identifiers=JANE)],
        ),
        {
            **OBJECT,
            "action": "delete_relationships",
            "cio_relationships": [{"identifiers": JANE}],
        },
    ),
    *[
        (
            op.PersonContentReport(
                identifiers={"anonymous_id": "a"},
                action=action,
                name=action,
                attributes={},
            ),
            {
                "type": "person",
                "identifiers": {"anonymous_id": "a"},
                "action": action,
                "name": action,
                "attributes": {},
            },
        )
        for action in ("viewed_content", "clicked_content")
    ],
    (
        op.DeliveryReport(delivery_id="RPILAgUB", metric="bounced"),
        {"delivery_id": "RPILAgUB", "metric": "bounced"},
    ),
]


@pytest.mark.parametrize(
    ("operation", "example"),
    EXAMPLES,
    ids=[type(each).__name__ for each, _ in EXAMPLES],
)
def test_an_operation_is_written_as_the_description_s_example(
    as_json: Callable[[op.Operation], dict[str, Any]],
    operation: op.Operation,
    example: dict[str, Any],
) -> None:
    written = as_json(operation)
    if "price" in written.get("attributes", {}):
        written["attributes"]["price"] = float(written["attributes"]["price"])
    assert written == example


def test_every_kind_of_operation_has_a_label_of_its_own() -> None:
    labels = {type(operation): operation.label for operation, _ in EXAMPLES}
    assert len(set(labels.values())) == len(labels) == 10 + 5 + 2


@pytest.mark.parametrize(
    "operation",
    [each for each, example in EXAMPLES if example.get("identifiers") == JANE],
    ids=lambda each: type(each).__name__,
)
def test_an_operation_on_a_person_names_that_person(operation: op.Operation) -> None:
    assert op.person_identity(JANE) in operation.identities()


@pytest.mark.parametrize(
    "operation",
    [each for each, example in EXAMPLES if example.get("identifiers") == ACME],
    ids=lambda each: type(each).__name__,
)
def test_an_operation_on_an_object_names_that_object(operation: op.Operation) -> None:
    assert op.object_identity(ACME) in operation.identities()


@pytest.mark.parametrize(
    "operation",
    [each for each, example in EXAMPLES if "cio_relationships" in example],
    ids=lambda each: type(each).__name__,
)
def test_a_relationship_names_both_sides_and_links_neither(
    operation: op.Operation,
) -> None:
    identities = set(operation.identities())
    assert len(identities) == 2
    assert op.object_identity(ACME) in identities
    assert identities & {
        op.person_identity(JANE),
        op.person_identity({"anonymous_id": "anon-abc-123"}),
    }
    assert not operation.linked_identities()


def test_a_merge_names_and_links_both_people() -> None:
    primary, secondary = {"id": "42"}, {"email": "Jane@Example.com"}
    merge = op.PersonMerge(primary=primary, secondary=secondary)
    both = {op.person_identity(primary), op.person_identity(secondary)}
    assert set(merge.identities()) == both
    assert set(merge.linked_identities()) == both


def test_an_email_names_the_same_person_in_any_case() -> None:
    one = op.person_identity({"email": "Jane@Example.com"})
    assert one == op.person_identity({"email": "jane@example.COM"})
    assert one != op.person_identity({"id": "jane@example.com"})
    assert op.person_identity({"id": "a"}) != op.person_identity({"id": "A"})


def test_identities_of_different_kinds_never_meet() -> None:
    same = "1"
    kinds = ("id", "email", "phone", "cio_id", "anonymous_id")
    names = {op.person_identity({kind: same}) for kind in kinds}
    names |= {
        op.object_identity({"object_type_id": same, "object_id": same}),
        op.object_identity({"object_type_id": "2", "object_id": same}),
    }
    assert len(names) == 7
