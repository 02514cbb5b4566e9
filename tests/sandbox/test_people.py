"""Identifying people."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import CustomerIO, Operations


def test_a_person_is_found_by_id_email_phone_and_cio_id(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"email": "ann@example.com", "phone": "+15550100"}, id="1")
    )
    cio_id = customerio.cio_id("id:1")
    customerio.accept(
        op.identify({"a": 1}, id="1"),
        op.identify({"b": 1}, email="ann@example.com"),
        op.identify({"c": 1}, phone="+15550100"),
        op.identify({"d": 1}, cio_id=cio_id),
    )
    assert customerio.people() == ["id:1"]
    assert customerio.attributes("id:1") == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_every_person_gets_a_unique_cio_id(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(*(op.identify(id=str(number)) for number in range(50)))
    assert customerio.sql("SELECT count(DISTINCT cio_id) FROM people") == [(50,)]


def test_emails_are_compared_without_case_and_keep_their_first_spelling(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify(email="Ann@Example.com"),
        op.identify({"email": "ANN@example.com", "plan": "pro"}, id="1"),
        op.identify({"email": "ann@example.com"}, id="1"),
    )
    assert customerio.person("id:1")["email"] == "Ann@Example.com"
    assert customerio.activity() == []


def test_new_attributes_are_merged_with_existing_ones(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"plan": "basic", "city": "Oslo"}, id="1"),
        op.identify({"plan": "pro"}, id="1"),
    )
    assert customerio.attributes("id:1") == {"plan": "pro", "city": "Oslo"}


def test_null_and_the_empty_string_remove_an_attribute(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"a": 1, "b": 2, "c": 0, "d": False}, id="1"),
        op.identify({"a": None, "b": "", "never": None}, id="1"),
    )
    assert customerio.attributes("id:1") == {"c": 0, "d": False}


def test_numbers_keep_every_digit(customerio: CustomerIO) -> None:
    body = (
        '{"batch":[{"type":"person","action":"identify","identifiers":{"id":"1"},'
        '"attributes":{"big":123456789012345678901234567890,"price":19.10}}]}'
    )
    assert customerio.request("POST", "/api/v2/batch", data=body).status_code == 200
    assert customerio.sql("SELECT attributes FROM people") == [
        ('{"big":123456789012345678901234567890,"price":19.10}',)
    ]
    assert customerio.attributes("id:1")["price"] == Decimal("19.10")


def test_attributes_are_sorted_and_readable_with_sql(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"b": {"y": 1, "x": 2}}, id="1"), op.identify({"a": 1}, id="1")
    )
    assert customerio.sql(
        "SELECT attributes, json_extract(attributes, '$.b.x') FROM people"
    ) == [('{"a":1,"b":{"x":2,"y":1}}', 2)]
    assert customerio.sql(
        "SELECT name, value FROM person_attributes WHERE person = 'id:1' AND name = 'a'"
    ) == [("a", 1)]


def test_missing_identifiers_are_added_from_attributes(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify(email="ann@example.com"),
        op.identify({"id": "1"}, email="ann@example.com"),
        op.identify({"phone": "+15550100"}, id="1"),
    )
    person = customerio.person("id:1")
    assert (person["email"], person["phone"]) == ("ann@example.com", "+15550100")
    assert person["attributes"] == {}


def test_a_new_id_with_a_known_email_updates_that_person(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"plan": "basic"}, email="ann@example.com"),
        op.identify({"email": "ann@example.com"}, id="1"),
        op.identify({"email": "ann@example.com"}, id="2"),
    )
    assert customerio.people() == ["id:2"]
    assert customerio.attributes("id:2") == {"plan": "basic"}


def test_a_new_email_with_a_known_id_updates_that_person(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify(id="1"), op.identify({"id": "1"}, email="ann@example.com")
    )
    assert customerio.person("id:1")["email"] == "ann@example.com"


def test_only_a_taken_identifier_fails_not_the_whole_identify(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"email": "ann@example.com"}, id="1"),
        op.identify({"plan": "basic"}, id="2"),
        op.identify({"email": "ann@example.com", "plan": "pro"}, id="2"),
    )
    assert customerio.person("id:2")["email"] is None
    assert customerio.attributes("id:2") == {"plan": "pro"}
    assert customerio.activity() == [("Attribute Update Failure", "email")]


def test_identifiers_can_only_be_changed_by_cio_id(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"email": "ann@example.com"}, id="1"),
        op.identify({"email": "new@example.com", "plan": "pro"}, id="1"),
    )
    assert customerio.person("id:1")["email"] == "ann@example.com"
    assert customerio.attributes("id:1") == {"plan": "pro"}
    assert customerio.activity() == [("Failed Attribute Change", "email")]
    cio_id = customerio.cio_id("id:1")
    customerio.accept(
        op.identify({"email": "new@example.com", "id": "2"}, cio_id=cio_id)
    )
    assert customerio.person("id:2")["email"] == "new@example.com"


def test_identifiers_can_only_be_removed_by_cio_id_and_not_the_last(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(op.identify({"email": "ann@example.com"}, id="1"))
    customerio.accept(op.identify({"email": None}, id="1"))
    assert customerio.person("id:1")["email"] == "ann@example.com"
    cio_id = customerio.cio_id("id:1")
    customerio.accept(
        op.identify({"email": ""}, cio_id=cio_id),
        op.identify({"id": ""}, cio_id=cio_id),
    )
    assert customerio.person("id:1")["email"] is None
    assert customerio.activity() == [
        ("Failed Attribute Change", "email"),
        ("Failed Attribute Change", "id"),
    ]


def test_people_can_share_and_change_a_phone_number(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"phone": "+15550100"}, id="1"),
        op.identify({"phone": "+15550100"}, id="2"),
        op.identify({"plan": "pro"}, phone="+15550100"),
    )
    assert customerio.attributes("id:1") == {"plan": "pro"}
    customerio.accept(
        op.identify({"phone": "+15550199"}, id="1"), op.identify({"phone": ""}, id="2")
    )
    assert customerio.person("id:1")["phone"] == "+15550199"
    assert customerio.person("id:2")["phone"] is None
    assert customerio.activity() == []


def test_a_person_identified_by_phone_keeps_it(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(op.identify({"phone": "+15550199"}, phone="+15550100"))
    assert customerio.people() == ["phone:+15550100"]
    assert customerio.activity() == [("Failed Attribute Change", "phone")]


def test_an_identify_by_unknown_cio_id_is_dropped(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"email": "ann@example.com"}, id="1"),
        op.identify({"email": "ann@example.com", "plan": "pro"}, cio_id="unknown"),
        op.identify(cio_id="unknown"),
    )
    assert customerio.people() == ["id:1"]
    assert customerio.attributes("id:1") == {}


def test_update_only_creates_no_person_and_is_not_stored(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"_update": True, "plan": "pro"}, id="1"),
        op.identify({"_update": False, "plan": "basic"}, id="2"),
        op.identify({"_update": True, "plan": "pro"}, id="2"),
    )
    assert customerio.people() == ["id:2"]
    assert customerio.attributes("id:2") == {"plan": "pro"}
    assert customerio.activity() == [("Failed Attribute Change", "_update")]


def test_attributes_older_than_the_newest_timestamp_are_ignored(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"plan": "new", "a": 1}, id="1", also={"timestamp": 200}),
        op.identify({"plan": "old", "b": 1}, id="1", also={"timestamp": 100}),
        op.identify({"c": 1}, id="1", also={"timestamp": 200}),
    )
    assert customerio.attributes("id:1") == {"plan": "new", "a": 1, "c": 1}


def test_attributes_without_a_timestamp_apply_and_keep_the_newest_timestamp(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"plan": "first"}, id="1", also={"timestamp": 200}),
        op.identify({"plan": "second"}, id="1"),
        op.identify({"plan": "stale"}, id="1", also={"timestamp": 199}),
    )
    assert customerio.attributes("id:1") == {"plan": "second"}
    customerio.accept(op.identify({"plan": "third"}, id="1", also={"timestamp": 200}))
    assert customerio.attributes("id:1") == {"plan": "third"}


def test_relationships_of_an_outdated_identify_apply(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    acme = op.relation({"object_type_id": "1", "object_id": "acme"})
    customerio.accept(
        op.identify({}, id="1", also={"timestamp": 200}),
        op.identify({}, id="1", also={"timestamp": 1, "cio_relationships": [acme]}),
    )
    assert len(customerio.contents()["relationships"]) == 1


def test_a_dotted_topic_changes_only_that_topic(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    preferences = "cio_subscription_preferences"
    customerio.accept(
        op.identify({preferences: {"topics": {"topic_1": True}}}, id="1"),
        op.identify({f"{preferences}.topics.topic_7": False}, id="1"),
        op.identify({f"{preferences}.topics.topic_1": False}, id="2"),
    )
    assert customerio.attributes("id:1") == {
        preferences: {"topics": {"topic_1": True, "topic_7": False}}
    }
    assert customerio.attributes("id:2") == {
        preferences: {"topics": {"topic_1": False}}
    }


def test_a_dotted_topic_can_be_removed(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    preferences = "cio_subscription_preferences"
    topics = {"topics": {"topic_1": True, "topic_2": True}}
    customerio.accept(
        op.identify({preferences: topics}, id="1"),
        op.identify({f"{preferences}.topics.topic_1": None}, id="1"),
        op.identify({f"{preferences}.topics.topic_1": None}, id="2"),
    )
    assert customerio.attributes("id:1") == {preferences: {"topics": {"topic_2": True}}}
    assert customerio.attributes("id:2") == {}


def test_a_dot_in_any_other_name_is_literal(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(op.identify({"utm.source": "mail"}, id="1"))
    assert customerio.attributes("id:1") == {"utm.source": "mail"}


def test_deleting_a_person_deletes_everything_that_belongs_to_them(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    acme = {"object_type_id": "1", "object_id": "acme"}
    customerio.accept(
        op.identify({}, id="1", also={"cio_relationships": [op.relation(acme)]}),
        op.event(id="1"),
        op.device("token", id="1"),
        op.person("delete", id="1"),
        op.person("delete", id="never-seen"),
    )
    assert customerio.people() == []
    assert customerio.contents()["objects"] == {"1:acme": {"attributes": {}}}
    for table in ("events", "devices", "relationships"):
        assert customerio.sql(f"SELECT count(*) FROM {table}") == [(0,)]
