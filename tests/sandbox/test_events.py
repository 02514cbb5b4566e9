"""Events, anonymous events, devices and delivery metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import CustomerIO, Operations


ULID = "01HZX3R8Q4V5W6X7Y8Z9A0B1C2"
OTHER_ULID = "01HZX3R8Q4V5W6X7Y8Z9A0B1C3"


def events(customerio: CustomerIO) -> list[tuple[Any, ...]]:
    return customerio.sql(
        "SELECT type, events.name, person FROM events"
        " LEFT JOIN person_names USING (cio_id) ORDER BY sequence"
    )


@pytest.mark.parametrize("action", ["event", "page", "screen"])
def test_events_pages_and_screens_are_stored_and_create_the_person(
    customerio: CustomerIO, op: type[Operations], action: str
) -> None:
    fields = {"name": "Home", "attributes": {"a": 1}, "timestamp": 5, "id": ULID}
    customerio.accept(op.person(action, id="1", also=fields))
    assert customerio.people() == ["id:1"]
    assert customerio.sql(
        "SELECT type, name, attributes, timestamp, id FROM events"
    ) == [(action, "Home", '{"a":1}', 5, ULID)]


@pytest.mark.parametrize("action", ["viewed_content", "clicked_content"])
def test_a_content_report_without_a_name_is_accepted(
    customerio: CustomerIO, op: type[Operations], action: str
) -> None:
    customerio.accept(op.person(action, anonymous_id="cookie", also={"attributes": {}}))
    assert events(customerio) == [(action, None, None)]


def test_a_repeated_ulid_is_ignored_in_the_whole_workspace(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.event("First", id="1", also={"id": ULID}),
        op.event("Second", id="2", also={"id": ULID}),
        op.event("Third", id="3", also={"id": ULID.lower()}),
    )
    assert events(customerio) == [("event", "First", "id:1")]
    assert customerio.people() == ["id:1"]


def test_a_repeated_ulid_is_ignored_after_its_person_was_deleted(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.event(id="1", also={"id": ULID}),
        op.person("delete", id="1"),
        op.event(id="1", also={"id": ULID}),
    )
    assert (customerio.people(), events(customerio)) == ([], [])


def test_events_without_a_ulid_are_all_stored_in_order(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(op.event("A", id="1"), op.event("B", id="1"))
    customerio.accept(op.event("A", id="1"))
    assert [name for _, name, _ in events(customerio)] == ["A", "B", "A"]


def test_an_event_for_an_unknown_cio_id_is_dropped(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(op.event(cio_id="unknown"))
    assert events(customerio) == []


def test_spaces_around_an_event_name_are_dropped(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(op.event("  Ordered ", id="1"))
    assert events(customerio) == [("event", "Ordered", "id:1")]


def test_anonymous_events_are_linked_to_the_person_with_the_anonymous_id(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.event("Before", anonymous_id="cookie"),
        op.event("Elsewhere", anonymous_id="other"),
    )
    assert customerio.people() == []
    customerio.accept(
        op.identify({"anonymous_id": "cookie"}, id="1"),
        op.event("After", anonymous_id="cookie"),
    )
    assert events(customerio) == [
        ("event", "Before", "id:1"),
        ("event", "Elsewhere", None),
        ("event", "After", "id:1"),
    ]
    assert customerio.attributes("id:1") == {"anonymous_id": "cookie"}


def test_an_anonymous_id_belongs_to_the_first_person_who_gets_it(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"anonymous_id": "cookie"}, id="1"),
        op.identify({"anonymous_id": "cookie", "plan": "pro"}, id="2"),
        op.event(anonymous_id="cookie"),
    )
    assert events(customerio) == [("event", "Ordered", "id:1")]
    assert customerio.attributes("id:2") == {"plan": "pro"}
    assert customerio.activity() == [("Attribute Update Failure", "anonymous_id")]


def test_a_person_can_have_several_anonymous_ids(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.identify({"anonymous_id": "phone"}, id="1"),
        op.identify({"anonymous_id": "laptop"}, id="1"),
        op.identify({"anonymous_id": None}, id="1"),
        op.event(anonymous_id="phone"),
    )
    assert events(customerio) == [("event", "Ordered", "id:1")]
    assert customerio.attributes("id:1") == {}


def test_a_device_is_added_once_and_updated_after_that(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.device("t", id="1", also={"last_used": 5, "attributes": {"a": "1"}}),
        op.device("t", id="1", also={"attributes": {"a": None, "b": "2"}}),
    )
    assert customerio.contents()["devices"] == {
        "t": {
            "person": "id:1",
            "platform": "ios",
            "last_used": 5,
            "attributes": {"b": "2"},
        }
    }


def test_a_device_moves_to_the_person_it_is_added_to(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(
        op.device("t", id="1"), op.device("t", id="2", also={"platform": "android"})
    )
    device = customerio.contents()["devices"]["t"]
    assert (device["person"], device["platform"]) == ("id:2", "android")


def test_a_device_for_an_unknown_cio_id_is_dropped(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.accept(op.device("t", cio_id="unknown"))
    assert customerio.contents()["devices"] == {}


def test_a_device_is_deleted_only_from_the_person_it_belongs_to(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    removal = {"device": {"token": "t"}}
    customerio.accept(
        op.device("t", id="1"),
        op.device("other", id="2"),
        op.person("delete_device", id="2", also=removal),
        op.person("delete_device", id="unknown", also=removal),
    )
    assert list(customerio.contents()["devices"]) == ["other", "t"]
    customerio.accept(op.person("delete_device", id="1", also=removal))
    assert list(customerio.contents()["devices"]) == ["other"]


def test_delivery_metrics_need_no_credentials(customerio: CustomerIO) -> None:
    report = {
        "delivery_id": "RPILAgUBcRhIBqSfeiIwdIYJKxTY",
        "metric": "clicked",
        "timestamp": 1613063089,
        "recipient": 15550100,
        "href": "https://example.com/sale",
        "metadata": {"action_name": "Buy"},
    }
    customerio.session.auth = None
    assert customerio.request("POST", "/api/v1/metrics", json=report).status_code == 200
    assert customerio.contents()["deliveries"] == [
        {
            "delivery_id": "RPILAgUBcRhIBqSfeiIwdIYJKxTY",
            "metric": "clicked",
            "timestamp": 1613063089,
            "recipient": "15550100",
            "reason": None,
            "href": "https://example.com/sale",
            "attributes": {"action_name": "Buy"},
        }
    ]


@pytest.mark.parametrize(
    ("report", "field"),
    [
        ({"metric": "opened"}, "delivery_id"),
        ({"delivery_id": "d"}, "metric"),
        ({"delivery_id": "d", "metric": "framed"}, "metric"),
        ({"delivery_id": "d", "metric": "opened", "timestamp": "now"}, "timestamp"),
        ([], "body"),
    ],
)
def test_an_invalid_delivery_metric_is_refused(
    customerio: CustomerIO, report: Any, field: str | None
) -> None:
    response = customerio.request("POST", "/api/v1/metrics", json=report)
    assert response.status_code == 400
    assert response.json()["meta"]["errors"][0].startswith(f"{field}:")
    assert customerio.contents()["deliveries"] == []
