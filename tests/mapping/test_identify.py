"""Identify: a person and their attributes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.errors import RejectedRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

DELETED = "2024-01-01T00:00:00Z"


def test_an_identify_becomes_the_person_with_the_traits_as_attributes(
    convert: Convert,
) -> None:
    record = {
        "type": "identify",
        "userId": "97980cfea0067",
        "traits": {"first_name": "cool", "plan": "premium"},
    }
    assert convert("identify", record) == {
        "type": "person",
        "identifiers": {"id": "97980cfea0067"},
        "action": "identify",
        "attributes": {"first_name": "cool", "plan": "premium"},
    }


def test_email_and_phone_stay_attributes(attributes_of: Convert) -> None:
    traits = {"email": "ann@example.com", "phone": "+14155552671"}
    assert attributes_of("identify", {"userId": "1", "traits": traits}) == traits


def test_email_stays_an_attribute_where_it_names_the_person(convert: Convert) -> None:
    operation = convert("identify", {"traits": {"email": "Ann@example.com"}})
    assert operation["identifiers"] == {"email": "Ann@example.com"}
    assert operation["attributes"] == {"email": "Ann@example.com"}


def test_a_new_id_and_email_are_set_by_cio_id(convert: Convert) -> None:
    traits = {"email": "new@example.com", "id": "new-id"}
    operation = convert("identify", {"userId": "cio_03000001", "traits": traits})
    assert operation["identifiers"] == {"cio_id": "03000001"}
    assert operation["attributes"] == traits


@pytest.mark.parametrize("traits", [{}, "{}"])
def test_an_identify_without_any_trait_still_touches_the_person(
    convert: Convert, traits: Any
) -> None:
    assert convert("identify", {"userId": "1", "traits": traits}) == {
        "type": "person",
        "identifiers": {"id": "1"},
        "action": "identify",
        "attributes": {},
    }


def test_a_row_with_only_a_user_id_still_touches_the_person(
    convert: Convert,
) -> None:
    operation = convert("identify", {"user_id": 1})
    assert operation["identifiers"] == {"id": "1"}
    assert operation["attributes"] == {}


@pytest.mark.parametrize(
    "traits",
    [
        {"unsubscribed": True},
        {"unsubscribed": False},
        {"cio_subscription_preferences": {"topics": {"topic_1": True}}},
        {"cio_subscription_preferences.topics.topic_1": False},
    ],
)
def test_subscription_traits_pass_as_they_are(
    attributes_of: Convert, traits: dict[str, Any]
) -> None:
    assert attributes_of("identify", {"userId": "1", "traits": traits}) == traits


@pytest.mark.parametrize(
    ("record", "created_at"),
    [
        ({"traits": {"created_at": 1679407797}}, 1679407797),
        ({"traits": {"created_at": "1679407797"}}, 1679407797),
        ({"traits": {"createdAt": 1679407797}}, 1679407797),
        ({"traits": {"createdAt": "1679407797"}}, 1679407797),
        ({"traits": {"createdAt": "2023-03-21T14:09:57Z"}}, 1679407797),
        ({"traits": {"created_at": 1, "createdAt": 2}}, 1),
        ({"traits": {"created_at": None, "createdAt": 2}}, 2),
        ({"traits": {}, "created_at": "1679407797"}, 1679407797),
        ({"traits": {}, "createdAt": "1679407797"}, 1679407797),
        ({"traits": {}, "createdAt": "2023-03-21T14:09:57.9Z"}, 1679407797),
        ({"traits": {"created_at": 1}, "created_at": 2}, 1),
        ({"traits": {"createdAt": 1}, "created_at": 2}, 1),
        ({"traits": {"created_at": None}, "created_at": 2}, 2),
        ({"created_at": "1679407797"}, 1679407797),
        ({"createdAt": "1679407797"}, 1679407797),
        ({"created_at": "2023-03-21T14:09:57"}, 1679407797),
    ],
)
def test_created_at_is_found_once_and_sent_under_its_one_name(
    attributes_of: Convert, record: dict[str, Any], created_at: int
) -> None:
    assert attributes_of("identify", {"userId": "1", **record}) == {
        "created_at": created_at
    }


def test_a_person_without_created_at_is_sent_without_one(
    attributes_of: Convert,
) -> None:
    assert attributes_of("identify", {"userId": "1", "traits": {"a": 1}}) == {"a": 1}


@pytest.mark.parametrize(
    "record",
    [
        {"userId": "1", "traits": {"plan": "pro"}},
        {"traits": {"email": "ann@example.com", "plan": "pro"}},
        {"traits": {"phone": "+14155552671", "plan": "pro"}},
        {"userId": "1", "plan": "pro"},
    ],
)
@pytest.mark.parametrize("spelling", ["anonymousId", "anonymous_id"])
def test_the_anonymous_id_becomes_an_attribute_of_the_person_identified(
    attributes_of: Convert, record: dict[str, Any], spelling: str
) -> None:
    attributes = attributes_of("identify", {**record, spelling: "anon-1"})
    assert attributes["anonymous_id"] == "anon-1"
    assert "anonymousId" not in attributes


def test_the_record_s_time_orders_the_update(convert: Convert) -> None:
    record = {"userId": "1", "timestamp": "2023-03-21T14:09:57Z", "traits": {}}
    assert convert("identify", record)["timestamp"] == 1679407797
    kept = convert("identify", record, identify_timestamp="record")
    assert kept["timestamp"] == 1679407797


def test_identify_timestamp_omit_leaves_the_time_out(convert: Convert) -> None:
    record = {"userId": "1", "timestamp": "2023-03-21T14:09:57Z", "traits": {}}
    operation = convert("identify", record, identify_timestamp="omit")
    assert "timestamp" not in operation
    assert operation["attributes"] == {}


def test_an_identify_without_a_time_has_no_timestamp(convert: Convert) -> None:
    assert "timestamp" not in convert("identify", {"userId": "1", "traits": {}})


@pytest.mark.parametrize("record", [{"traits": {"a": 1}}, {"a": 1}])
def test_update_only_never_creates_a_person(
    attributes_of: Convert, record: dict[str, Any]
) -> None:
    record = {"userId": "1", **record}
    assert attributes_of("identify", record, update_only=True) == {
        "a": 1,
        "_update": True,
    }
    assert attributes_of("identify", record, update_only=False) == {"a": 1}


@pytest.mark.parametrize("body", [{"traits": {"plan": "pro"}}, {"plan": "pro"}])
def test_hard_delete_deletes_the_person_of_a_row_marked_deleted(
    convert: Convert, body: dict[str, Any]
) -> None:
    record = {"userId": "1", "_sdc_deleted_at": DELETED, **body}
    assert convert("identify", record, hard_delete=True) == {
        "type": "person",
        "identifiers": {"id": "1"},
        "action": "delete",
    }


def test_without_hard_delete_a_row_marked_deleted_is_identified(
    convert: Convert,
) -> None:
    record = {"userId": "1", "_sdc_deleted_at": DELETED, "plan": "pro"}
    operation = convert("identify", record, hard_delete=False)
    assert operation["action"] == "identify"
    assert operation["attributes"] == {"plan": "pro"}


def test_hard_delete_identifies_a_row_not_marked_deleted(convert: Convert) -> None:
    record = {"userId": "1", "_sdc_deleted_at": None, "plan": "pro"}
    operation = convert("identify", record, hard_delete=True)
    assert operation["action"] == "identify"
    assert operation["attributes"] == {"plan": "pro"}


KEPT: list[Any] = [
    *(False, 0, Decimal("0.0"), "0", "", " ", "\u00a0"),
    *("0000-00-00", "0000-00-00 00:00:00", "0000-00-00T00:00:00Z", "00000000"),
    "1970-01-01T00:00:00Z",
]
"""What tables whose ``deleted_at`` cannot be null have in rows that are not deleted."""

GONE: list[Any] = [
    *(True, 1, 1_714_521_600, Decimal("1714521600.5"), 1_714_521_600_000),
    *("1", "1714521600", "2024-05-01", "20240501", "2024-05-01 00:00:00.123456"),
    *("2024-05-01T00:00:00+02:00", "10000-01-01", "1714521600000000000"),
]
UNKNOWN: list[Any] = [
    *("false", "true", "f", "null", "no", "2024-13-01", "01.05.2024"),
    *([], {}, ["2024-05-01"], {"$date": 0}, float("nan"), float("inf")),
]


@pytest.mark.parametrize("deleted_at", KEPT)
@pytest.mark.parametrize("call", ["identify", "group", "segment"])
def test_a_row_with_an_empty_mark_is_not_deleted(
    convert: Convert, call: str, deleted_at: object
) -> None:
    record = {"userId": "1", "groupId": "2", "segmentId": 3}
    marked = {**record, "_sdc_deleted_at": deleted_at}
    assert convert(call, marked, hard_delete=True) == convert(call, record)


@pytest.mark.parametrize("deleted_at", GONE)
def test_a_row_is_deleted_by_a_mark_of_any_form(
    convert: Convert, deleted_at: object
) -> None:
    record = {"userId": "1", "_sdc_deleted_at": deleted_at}
    assert convert("identify", record, hard_delete=True)["action"] == "delete"


@pytest.mark.parametrize("deleted_at", UNKNOWN, ids=repr)
@pytest.mark.parametrize("call", ["identify", "group", "segment"])
def test_a_mark_that_cannot_be_read_rejects_the_row(
    convert: Convert, call: str, deleted_at: object
) -> None:
    record = {"userId": "1", "groupId": "2", "segmentId": 3}
    marked = {**record, "_sdc_deleted_at": deleted_at}
    with pytest.raises(RejectedRecord) as rejected:
        convert(call, marked, hard_delete=True)
    assert rejected.value.reason == "invalid_timestamp"
    assert rejected.value.field == "_sdc_deleted_at"
    assert convert(call, marked, hard_delete=False) == convert(call, record)


@pytest.mark.parametrize("call", ["track", "page", "screen"])
def test_hard_delete_does_not_touch_events(convert: Convert, call: str) -> None:
    record = {
        "userId": "1",
        "event": "Bought",
        "name": "Bought",
        "_sdc_deleted_at": DELETED,
    }
    action = "event" if call == "track" else call
    assert convert(call, record, hard_delete=True)["action"] == action


@pytest.mark.parametrize(
    "record",
    [
        {"anonymousId": "anon-1", "traits": {"plan": "pro"}},
        {"anonymous_id": "anon-1", "plan": "pro"},
        {"anonymousId": "anon-1", "userId": "", "traits": {"email": " "}},
    ],
)
def test_an_identify_that_is_only_anonymous_is_skipped(
    is_skipped: Callable[..., bool], record: dict[str, Any]
) -> None:
    assert is_skipped("identify", record)
    assert is_skipped("identify", record, anonymous_identify="skip")


@pytest.mark.parametrize(
    "record",
    [
        {"anonymousId": "anon-1", "traits": {"plan": "pro"}},
        {"anonymous_id": "anon-1", "plan": "pro"},
    ],
)
def test_an_anonymous_id_can_serve_as_the_person_s_id(
    convert: Convert, record: dict[str, Any]
) -> None:
    operation = convert("identify", record, anonymous_identify="use_as_id")
    assert operation["identifiers"] == {"id": "anon-1"}
    assert operation["attributes"] == {"plan": "pro"}


def test_an_anonymous_id_is_the_id_only_without_another_identifier(
    convert: Convert,
) -> None:
    record = {"anonymousId": "anon-1", "traits": {"email": "ann@example.com"}}
    operation = convert("identify", record, anonymous_identify="use_as_id")
    assert operation["identifiers"] == {"email": "ann@example.com"}
    assert operation["attributes"]["anonymous_id"] == "anon-1"


def test_a_record_s_own_email_becomes_an_attribute_that_nested_traits_lack(
    attributes_of: Convert,
) -> None:
    record = {"userId": "1", "email": "ann@example.com"}
    assert attributes_of("identify", {**record, "traits": {"a": 1}}) == {
        "a": 1,
        "email": "ann@example.com",
    }


def test_the_email_of_nested_traits_stays_next_to_a_record_s_own(
    attributes_of: Convert,
) -> None:
    record = {
        "userId": "1",
        "email": "own@example.com",
        "traits": {"email": "trait@example.com"},
    }
    assert attributes_of("identify", record) == {"email": "trait@example.com"}


@pytest.mark.parametrize("own", [" ", "\u00a0", "\t\n"])
def test_a_blank_own_email_is_no_attribute(attributes_of: Convert, own: str) -> None:
    record = {"userId": "1", "email": own, "traits": {"plan": "pro"}}
    assert attributes_of("identify", record) == {"plan": "pro"}


@pytest.mark.parametrize("own", ["ann@example.com", " ann@example.com\n"])
@pytest.mark.parametrize("lacking", ["", None])
def test_a_record_s_own_email_replaces_an_empty_one_in_traits(
    attributes_of: Convert, own: str, lacking: str | None
) -> None:
    record = {"userId": "1", "email": own, "traits": {"email": lacking}}
    assert attributes_of("identify", record) == {"email": "ann@example.com"}
