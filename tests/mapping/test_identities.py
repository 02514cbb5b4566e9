"""The people and objects of an operation, which its order depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.track_api.operations import object_identity, person_identity

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Any]

EMAIL = person_identity({"email": "ann@example.com"})
ONE = person_identity({"id": "1"})
PHONE = person_identity({"phone": "+14155552671"})
ACME = object_identity({"object_type_id": "1", "object_id": "acme"})


def test_an_identify_by_id_and_email_names_both_and_links_them(converter: Make) -> None:
    record = {"userId": "1", "traits": {"email": "Ann@Example.com"}}
    operation = converter("identify").convert(record)
    assert set(operation.identities()) == {ONE, EMAIL}
    assert set(operation.linked_identities()) == {ONE, EMAIL}


def test_an_identify_by_one_name_links_no_identities(converter: Make) -> None:
    ours = converter("identify")
    for record, name in (
        ({"userId": "1", "traits": {"plan": "pro"}}, ONE),
        ({"userId": "ann@example.com", "traits": {"email": "ANN@example.com"}}, EMAIL),
        ({"userId": "1", "traits": {"email": None}}, ONE),
        ({"userId": "1", "traits": {"email": ""}}, ONE),
    ):
        operation = ours.convert(record)
        assert set(operation.identities()) == {name}
        assert not operation.linked_identities()


def test_a_phone_number_is_an_identity_but_never_linked(converter: Make) -> None:
    traits = {"phone": "+14155552671"}
    operation = converter("identify").convert({"userId": "1", "traits": traits})
    assert set(operation.identities()) == {ONE, PHONE}
    assert not operation.linked_identities()
    operation = converter("identify").convert({"traits": traits})
    assert set(operation.identities()) == {PHONE}
    assert not operation.linked_identities()


@pytest.mark.parametrize("phone", ["+1 (415) 555-2671", "+1.415.555.2671"])
def test_a_phone_number_is_the_same_however_it_is_written(
    converter: Make, phone: str
) -> None:
    for record in ({"userId": "1", "phone": phone}, {"phone": phone}):
        assert PHONE in converter("identify").convert(record).identities()
    event = {"event": "x", "traits": {"phone": phone}}
    assert converter("track").convert(event).identities() == (PHONE,)


def test_an_address_is_the_same_with_white_space_around_it(converter: Make) -> None:
    record = {"userId": "1", "email": " Ann@example.com\u00a0"}
    operation = converter("identify").convert(record)
    assert set(operation.linked_identities()) == {ONE, EMAIL}


def test_joined_anonymous_events_name_the_person_and_link_the_anonymous_id(
    converter: Make,
) -> None:
    record = {"userId": "1", "previousId": "v1", "anonymousId": "v1"}
    operation = converter("alias").convert(record)
    visitor = person_identity({"anonymous_id": "v1"})
    assert set(operation.identities()) == {ONE, visitor}
    assert set(operation.linked_identities()) == {ONE, visitor}


def test_an_update_by_cio_id_links_the_new_id_and_email(converter: Make) -> None:
    traits = {"id": "1", "email": "ann@example.com"}
    operation = converter("identify").convert({"userId": "cio_9", "traits": traits})
    all_names = {person_identity({"cio_id": "9"}), ONE, EMAIL}
    assert set(operation.identities()) == all_names
    assert set(operation.linked_identities()) == all_names


@pytest.mark.parametrize("number", [1, "1"])
def test_a_new_id_names_the_person_as_text_and_as_a_number(
    converter: Make, number: Any
) -> None:
    record = {"userId": "cio_9", "traits": {"id": number}}
    assert ONE in converter("identify").convert(record).identities()


def test_an_identify_related_to_an_object_names_it(converter: Make) -> None:
    record = {"userId": "1", "traits": {"objectId": "acme"}}
    operation = converter("identify").convert(record)
    assert set(operation.identities()) == {ONE, ACME}
    assert not operation.linked_identities()


@pytest.mark.parametrize("action", ["identify", "add_relationships"])
def test_a_group_names_the_object_and_the_person(converter: Make, action: str) -> None:
    record = {"groupId": "acme", "userId": "ANN@example.com", "action": action}
    operation = converter("group").convert({**record, "traits": {}})
    assert set(operation.identities()) == {ACME, EMAIL}
    assert not operation.linked_identities()


@pytest.mark.parametrize(
    ("call", "record"),
    [
        ("track", {"event": "x"}),
        ("page", {"name": "x"}),
        ("screen", {"name": "x"}),
        ("track", {"event": "User Deleted"}),
        ("track", {"event": "User Suppressed"}),
        ("track", {"event": "User Unsuppressed"}),
        ("track", {"event": "Device Deleted", "context_device_token": "t"}),
        ("track", {"event": "Application Opened", "device_id": "0" * 64}),
    ],
)
def test_an_event_names_its_person_alone(
    converter: Make, call: str, record: dict[str, Any]
) -> None:
    record = {"userId": "1", "email": "ann@example.com", **record}
    operation = converter(call).convert(record)
    assert set(operation.identities()) == {ONE}
    assert not operation.linked_identities()


def test_a_delivery_report_names_no_person(converter: Make) -> None:
    record = {"event": "Report Delivery Event", "delivery_id": "d", "metric": "opened"}
    operation = converter("track").convert({**record, "userId": "1"})
    assert ONE not in operation.identities()
    assert not operation.linked_identities()
