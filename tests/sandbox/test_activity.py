"""The table ``activity`` lists what Customer.io answers with 200 but does not apply."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hypotheses import examples

from .conftest import CustomerIO, Operations

if TYPE_CHECKING:
    from pathlib import Path

ANN, BEA = "ann@example.com", "bea@example.com"
CONFLICT = "e-mail conflict"
SUPPRESSED = "operation on a suppressed person"
op = Operations


# E-mail conflicts


def test_a_new_id_takes_over_the_person_with_its_address(
    customerio: CustomerIO,
) -> None:
    customerio.accept(
        op.identify({"email": ANN, "plan": "basic"}, id="2"),
        op.identify({"email": ANN.upper(), "plan": "pro"}, id="3"),
    )
    assert customerio.people() == ["id:3"]
    assert customerio.attributes("id:3") == {"plan": "pro"}
    assert customerio.not_applied() == [("id:3", CONFLICT, "email", ANN.upper())]
    assert customerio.activity() == [("Identifier Change", "email")]
    assert customerio.sql("SELECT holder FROM activity") == [("id:2",)]


def test_two_ids_that_alternate_on_one_address_are_logged_each_time(
    customerio: CustomerIO,
) -> None:
    for number in (2, 3, 2, 3):
        customerio.accept(op.identify({"email": ANN}, id=str(number)))
    assert customerio.sql("SELECT person, holder FROM activity ORDER BY sequence") == [
        ("id:3", "id:2"),
        ("id:2", "id:3"),
        ("id:3", "id:2"),
    ]


def test_the_address_of_another_id_is_not_taken(
    customerio: CustomerIO,
) -> None:
    customerio.accept(
        op.identify({"email": ANN}, id="2"),
        op.identify({"email": BEA}, id="3"),
        op.identify({"email": ANN, "plan": "pro"}, id="3"),
    )
    assert customerio.person("id:3")["email"] == BEA
    assert customerio.attributes("id:3") == {"plan": "pro"}
    assert customerio.not_applied() == [("id:3", CONFLICT, "email", ANN)]
    assert customerio.activity() == [("Attribute Update Failure", "email")]
    assert customerio.sql("SELECT holder FROM activity") == [("id:2",)]


def test_an_id_keeps_its_first_address(
    customerio: CustomerIO,
) -> None:
    customerio.accept(
        op.identify({"email": ANN}, id="1"), op.identify({"email": BEA}, id="1")
    )
    assert customerio.person("id:1")["email"] == ANN
    assert customerio.not_applied() == [("id:1", CONFLICT, "email", BEA)]
    assert customerio.activity() == [("Failed Attribute Change", "email")]


def test_an_address_does_not_move_between_known_ids(
    customerio: CustomerIO,
) -> None:
    customerio.accept(
        op.identify({"email": ANN}, id="1"),
        op.identify(id="2"),
        op.identify({"email": BEA}, id="1"),
        op.identify({"email": ANN}, id="2"),
    )
    people = customerio.contents()["people"]
    assert {name: each["email"] for name, each in people.items()} == {
        "id:1": ANN,
        "id:2": None,
    }
    assert customerio.not_applied() == [
        ("id:1", CONFLICT, "email", BEA),
        ("id:2", CONFLICT, "email", ANN),
    ]


def test_adding_an_id_to_an_address_is_not_a_conflict(
    customerio: CustomerIO,
) -> None:
    customerio.accept(
        op.identify({"plan": "basic"}, email=ANN),
        op.identify({"email": ANN}, id="1"),
        op.identify({"plan": "pro"}, email=ANN),
        op.identify({"id": "1"}, email=ANN),
    )
    assert customerio.people() == ["id:1"]
    assert customerio.not_applied() == []


def test_a_person_identified_by_address_keeps_it(customerio: CustomerIO) -> None:
    customerio.accept(op.identify({"email": BEA}, email=ANN))
    assert customerio.people() == [f"email:{ANN}"]
    assert customerio.not_applied() == [(f"email:{ANN}", CONFLICT, "email", BEA)]


def test_the_address_of_an_id_cannot_be_removed(
    customerio: CustomerIO,
) -> None:
    customerio.accept(
        op.identify({"email": ANN}, id="1"), op.identify({"email": None}, id="1")
    )
    assert customerio.person("id:1")["email"] == ANN
    assert customerio.not_applied() == [("id:1", CONFLICT, "email", "null")]


def test_an_id_gets_a_new_address_if_the_workspace_allows_it(
    customerio_with_email_updates: CustomerIO,
) -> None:
    customerio = customerio_with_email_updates
    customerio.accept(
        op.identify({"email": ANN}, id="1"),
        op.identify({"email": BEA}, id="1"),
        op.identify({"plan": "pro"}, email=BEA),
        op.identify({"plan": "basic"}, email=ANN),
    )
    assert customerio.person("id:1")["email"] == BEA
    assert customerio.attributes("id:1") == {"plan": "pro"}
    assert customerio.people() == [f"email:{ANN}", "id:1"]
    assert customerio.not_applied() == []


def test_the_workspace_setting_allows_only_changes_by_id(
    customerio_with_email_updates: CustomerIO,
) -> None:
    customerio = customerio_with_email_updates
    customerio.accept(
        op.identify({"email": ANN}, id="1"),
        op.identify({"email": BEA}, id="2"),
        op.identify({"email": BEA}, id="1"),  # belongs to another person
        op.identify({"email": ""}, id="1"),  # a removal
        op.identify({"email": "new@example.com"}, email=ANN),  # not by id
        op.identify({"id": "9"}, email=ANN),  # not an e-mail address
    )
    people = customerio.contents()["people"]
    assert {name: each["email"] for name, each in people.items()} == {
        "id:1": ANN,
        "id:2": BEA,
    }
    assert customerio.not_applied() == [
        ("id:1", CONFLICT, "email", BEA),
        ("id:1", CONFLICT, "email", "null"),
        (f"email:{ANN}", CONFLICT, "email", "new@example.com"),
        (f"email:{ANN}", "id conflict", "id", "9"),
    ]


def test_an_address_can_move_once_its_holder_has_another(
    customerio_with_email_updates: CustomerIO,
) -> None:
    customerio = customerio_with_email_updates
    customerio.accept(
        op.identify({"email": ANN}, id="1"),
        op.identify(id="2"),
        op.identify({"email": BEA}, id="1"),
        op.identify({"email": ANN}, id="2"),
    )
    assert customerio.person("id:1")["email"] == BEA
    assert customerio.person("id:2")["email"] == ANN
    assert customerio.not_applied() == []


@pytest.mark.parametrize("text", ["n/a", "@", "ann@", "@example.com", 7])
def test_an_invalid_address_does_not_identify_people(
    customerio: CustomerIO, text: str | int
) -> None:
    customerio.accept(
        op.identify({"email": text, "plan": "basic"}, id="2"),
        op.identify({"email": text, "plan": "pro"}, id="3"),
        op.identify({"email": text}, email=ANN),
    )
    assert customerio.people() == [f"email:{ANN}", "id:2", "id:3"]
    assert customerio.person("id:2")["email"] is None
    assert customerio.attributes("id:3") == {"plan": "pro"}
    assert customerio.not_applied() == [
        (person, "invalid e-mail address", "email", str(text))
        for person in ("id:2", "id:3", f"email:{ANN}")
    ]


@pytest.mark.parametrize(
    "address", ['"ann b"@example.com', "ann@[192.0.2.1]", "ann..b@example.com"]
)
def test_an_unusual_address_identifies_a_person(
    customerio: CustomerIO, address: str
) -> None:
    customerio.accept(
        op.identify({"email": address}, id="1"), op.identify({"a": 1}, email=address)
    )
    assert customerio.attributes("id:1") == {"a": 1}
    assert customerio.not_applied() == []


def test_the_address_of_a_merged_person_is_free_again(customerio: CustomerIO) -> None:
    customerio.accept(
        op.identify({"email": ANN}, id="1"),
        op.identify(id="2"),
        op.merge({"id": "2"}, {"id": "1"}),
        op.identify({"email": ANN}, id="2"),
    )
    assert customerio.person("id:2")["email"] == ANN
    assert customerio.not_applied() == []


def test_conflicts_of_other_identifiers_are_logged(
    customerio: CustomerIO,
) -> None:
    customerio.accept(
        op.identify({"anonymous_id": "cookie"}, id="1"),
        op.identify({"anonymous_id": "cookie"}, id="2"),
        op.identify({"id": "3"}, id="2"),
        op.identify({"phone": "+15550199"}, phone="+15550100"),
    )
    assert customerio.not_applied() == [
        ("id:2", "anonymous_id conflict", "anonymous_id", "cookie"),
        ("id:2", "id conflict", "id", "3"),
        ("phone:+15550100", "phone conflict", "phone", "+15550199"),
    ]
    assert customerio.sql("SELECT holder FROM activity WHERE holder > ''") == [
        ("id:1",)
    ]


# Operations without effect


def test_an_outdated_identify_is_logged_with_its_attributes(
    customerio: CustomerIO,
) -> None:
    customerio.accept(
        op.identify({"plan": "new"}, id="1", also={"timestamp": 200}),
        op.identify({"plan": "old", "n": 1}, id="1", also={"timestamp": 199}),
        op.identify({"plan": "same"}, id="1", also={"timestamp": 200}),
    )
    assert customerio.attributes("id:1") == {"plan": "same"}
    ((person, reason, field, value),) = customerio.not_applied()
    assert (person, reason, field) == ("id:1", "outdated identify", "timestamp")
    assert json.loads(value) == {"plan": "old", "n": 1}


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        (op.identify({"plan": "pro"}, id="1"), "id"),
        (op.identify({"plan": "pro"}, email=ANN.upper()), "email"),
        (op.identify({"email": ANN}, id="2"), "email"),
        (op.event(id="1"), "id"),
        (op.event(phone="+15550100"), "phone"),
        (op.device("token", id="1"), "id"),
        (op.person("delete", id="1"), "id"),
    ],
)
def test_an_operation_on_a_suppressed_person_is_logged(
    customerio: CustomerIO, operation: Any, field: str
) -> None:
    customerio.accept(
        op.identify({"email": ANN, "phone": "+15550100"}, id="1"),
        op.person("suppress", id="1"),
        operation,
    )
    assert customerio.people() == []
    ((kind, name),) = operation["identifiers"].items()
    ((person, reason, decided_by, value),) = customerio.not_applied()
    assert (person, reason) == (f"{kind}:{name.lower()}", SUPPRESSED)
    assert decided_by == field
    assert json.loads(value) == operation


def test_a_merge_with_a_suppressed_person_is_logged(customerio: CustomerIO) -> None:
    customerio.accept(
        op.person("suppress", id="1"),
        op.identify(id="2"),
        op.merge({"id": "2"}, {"id": "1"}),
    )
    ((person, reason, field, _),) = customerio.not_applied()
    assert (person, reason, field) == ("id:1", SUPPRESSED, "id")


def test_a_relationship_of_a_suppressed_person_is_logged(
    customerio: CustomerIO,
) -> None:
    related = [op.relation({"id": "1"}, {"role": "x"}), op.relation({"id": "2"})]
    customerio.accept(
        op.person("suppress", id="1"),
        op.object("identify", also={"cio_relationships": related}),
    )
    assert customerio.people() == ["id:2"]
    ((person, reason, field, value),) = customerio.not_applied()
    assert (person, reason, field) == ("id:1", SUPPRESSED, "id")
    assert json.loads(value) == {
        "object_type_id": "1",
        "object_id": "acme",
        "identifiers": {"id": "1"},
        "relationship_attributes": {"role": "x"},
    }


def test_suppressing_twice_is_not_logged(customerio: CustomerIO) -> None:
    suppress = op.person("suppress", id="1")
    customerio.accept(op.identify({"email": ANN}, id="1"), suppress, suppress)
    assert customerio.not_applied() == []
    assert len(customerio.contents()["suppressions"]) == 2


@pytest.mark.parametrize(
    ("primary", "secondary", "missing"),
    [
        ({"id": "1"}, {"id": "unknown"}, ["secondary"]),
        ({"email": BEA}, {"id": "1"}, ["primary"]),
        ({"cio_id": "unknown"}, {"id": "1"}, ["primary"]),
        ({"id": "unknown"}, {"cio_id": "unknown"}, ["primary", "secondary"]),
    ],
)
def test_each_missing_person_of_a_merge_is_logged(
    customerio: CustomerIO, primary: Any, secondary: Any, missing: list[str]
) -> None:
    merge = op.merge(primary, secondary)
    customerio.accept(op.identify({"email": ANN}, id="1"), merge)
    assert customerio.people() == ["id:1"]
    rows = customerio.not_applied()
    expected = []
    for role in missing:
        ((kind, value),) = merge[role].items()
        expected.append((f"{kind}:{value}", "merge without both people", role))
    assert [row[:3] for row in rows] == expected
    assert all(json.loads(row[3]) == merge for row in rows)


def test_a_merge_of_a_person_with_itself_is_logged(customerio: CustomerIO) -> None:
    customerio.accept(
        op.identify({"email": ANN}, id="1"), op.merge({"id": "1"}, {"email": ANN})
    )
    ((person, reason, field, _),) = customerio.not_applied()
    assert (person, reason, field) == (
        f"email:{ANN}",
        "merge of one person",
        "secondary",
    )


ACME = op.relation({"object_type_id": "1", "object_id": "acme"})


@pytest.mark.parametrize(
    "operation",
    [
        op.identify({"email": ANN}, cio_id="unknown"),
        op.identify({"_update": True}, cio_id="unknown"),
        op.event(cio_id="unknown"),
        op.device("token", cio_id="unknown"),
        op.identify(cio_id="unknown", also={"cio_relationships": [ACME]}),
        op.person("delete", cio_id="unknown"),
        op.person("suppress", cio_id="unknown"),
    ],
)
def test_an_unknown_cio_id_is_logged(customerio: CustomerIO, operation: Any) -> None:
    customerio.accept(operation)
    contents = customerio.contents()
    assert (contents["people"], contents["events"], contents["devices"]) == ({}, [], {})
    ((person, reason, field, value),) = customerio.not_applied()
    assert (person, reason, field) == ("cio_id:unknown", "unknown cio_id", "cio_id")
    assert json.loads(value) == operation


@pytest.mark.parametrize("action", ["add_relationships", "delete_relationships"])
def test_an_unknown_cio_id_in_a_relationship_is_logged(
    customerio: CustomerIO, action: str
) -> None:
    related = [op.relation({"cio_id": "unknown"}), op.relation({"id": "2"})]
    customerio.accept(op.object(action, also={"cio_relationships": related}))
    assert [row[:3] for row in customerio.not_applied()] == [
        ("cio_id:unknown", "unknown cio_id", "cio_id")
    ]


def test_unsuppressing_by_cio_id_is_not_logged(
    customerio: CustomerIO,
) -> None:
    customerio.accept(op.identify(id="1"))
    cio_id = customerio.cio_id("id:1")
    customerio.accept(
        op.person("suppress", id="1"),
        op.person("unsuppress", cio_id=cio_id),
        op.identify(id="1"),
    )
    assert customerio.people() == ["id:1"]
    assert customerio.not_applied() == []


def test_update_only_of_an_unknown_person_is_logged(customerio: CustomerIO) -> None:
    update = op.identify({"_update": True, "plan": "pro"}, id="1")
    customerio.accept(update)
    ((person, reason, field, value),) = customerio.not_applied()
    assert (person, reason) == ("id:1", "update_only without a person")
    assert field == "_update"
    assert json.loads(value) == update


@pytest.mark.parametrize("change", ["add", "remove"])
def test_an_unknown_segment_member_is_logged(
    customerio: CustomerIO, change: str
) -> None:
    customerio.accept(op.identify({"email": ANN}, id="1"))
    path = f"/api/v1/segments/7/{change}_customers"
    for query, ids in (("", ["1", "unknown", 7]), ("?id_type=email", [ANN, BEA])):
        response = customerio.request("POST", path + query, json={"ids": ids})
        assert response.status_code == 200
    reason = "unknown segment member"
    assert customerio.not_applied() == [
        ("id:unknown", reason, "ids", "unknown"),
        ("id:", reason, "ids", "7"),
        (f"email:{BEA}", reason, "ids", BEA),
    ]


# For any sequence: addresses stay unique, and each one not set is logged


_IDS = st.sampled_from(["1", "2", "3"])
_EMAILS = st.sampled_from([ANN, ANN.upper(), BEA])


@given(
    identifies=st.lists(st.tuples(_IDS, _EMAILS), max_size=12),
    email_updates=st.booleans(),
)
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_address_that_was_not_set_is_logged(
    tmp_path: Path, identifies: list[tuple[str, str]], *, email_updates: bool
) -> None:
    path = tmp_path / "workspace.db"
    path.unlink(missing_ok=True)
    customerio = CustomerIO(path, email_updates=email_updates)
    try:
        for number, (id_, email) in enumerate(identifies):
            known = customerio.people()
            rows = len(customerio.activity())
            customerio.accept(op.identify({"email": email, "n": number}, id=id_))
            person = customerio.person(f"id:{id_}")
            assert person["attributes"] == {"n": number}
            arrived = (person["email"] or "").lower() == email.lower()
            lost = set(known) - set(customerio.people())
            assert (not arrived or bool(lost)) == (len(customerio.activity()) > rows)
        addresses = customerio.sql("SELECT email_lower FROM people WHERE email > ''")
        assert len(addresses) == len(set(addresses))
    finally:
        customerio.session.close()


@pytest.mark.parametrize(
    ("kind", "value"), [("id", "1"), ("email", ANN), ("phone", "+4477")]
)
def test_a_deletion_of_an_unknown_person_is_not_applied(
    customerio: CustomerIO, kind: str, value: str
) -> None:
    who: dict[str, Any] = {kind: value}
    customerio.accept(op.identify(**who), op.person("delete", **who))
    assert customerio.not_applied() == []
    customerio.accept(op.person("delete", **who))
    ((person, reason, field, _),) = customerio.not_applied()
    assert (person, reason, field) == (
        f"{kind}:{value}",
        "deletion of an unknown person",
        kind,
    )


def test_a_deletion_by_an_id_that_was_replaced_is_not_applied(
    customerio: CustomerIO,
) -> None:
    customerio.accept(
        op.identify({"email": ANN}, id="1"),
        op.identify({"email": ANN}, id="91"),
        op.person("delete", id="1"),
    )
    assert customerio.people() == ["id:91"]
    assert [row[:2] for row in customerio.not_applied()] == [
        ("id:91", CONFLICT),
        ("id:1", "deletion of an unknown person"),
    ]
    shown = customerio.sql("SELECT person, reason, value FROM not_applied")
    assert shown == [("id:1", "deletion of an unknown person", "delete")]
