"""Alias calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("record", "primary", "secondary"),
    [
        ({"userId": "a", "previousId": "b"}, {"id": "a"}, {"id": "b"}),
        ({"user_id": "a", "previous_id": "b"}, {"id": "a"}, {"id": "b"}),
        ({"id": "cool_person", "previousId": "b"}, {"id": "cool_person"}, {"id": "b"}),
        ({"userId": "a", "id": "row", "previousId": "b"}, {"id": "a"}, {"id": "b"}),
        ({"user_id": "a", "id": "row", "previousId": "b"}, {"id": "a"}, {"id": "b"}),
        ({"userId": "", "id": "a", "previousId": "b"}, {"id": "a"}, {"id": "b"}),
        ({"userId": None, "id": 1, "previousId": 2}, {"id": "1"}, {"id": "2"}),
        (
            {"userId": "Ann@example.com", "previousId": "cio_03"},
            {"email": "Ann@example.com"},
            {"cio_id": "03"},
        ),
        (
            {"userId": "cio_03", "previousId": "Bob@example.com"},
            {"cio_id": "03"},
            {"email": "Bob@example.com"},
        ),
        (
            {"userId": "a", "user_id": "x", "previousId": "b", "previous_id": "y"},
            {"id": "a"},
            {"id": "b"},
        ),
        (
            {"userId": "a", "previousId": None, "previous_id": "b"},
            {"id": "a"},
            {"id": "b"},
        ),
        (
            {"userId": "ann", "previousId": "ann@example.com"},
            {"id": "ann"},
            {"email": "ann@example.com"},
        ),
        ({"userId": "Ann", "previousId": "ann"}, {"id": "Ann"}, {"id": "ann"}),
    ],
)
def test_an_alias_merges_the_previous_person_into_the_other(
    convert: Convert,
    record: dict[str, Any],
    primary: dict[str, str],
    secondary: dict[str, str],
) -> None:
    assert convert("alias", record) == {
        "type": "person",
        "action": "merge",
        "primary": primary,
        "secondary": secondary,
    }


@pytest.mark.parametrize(
    "record",
    [
        {"userId": "a"},
        {"userId": "a", "previousId": None},
        {"userId": "a", "previousId": ""},
        {"userId": "a", "anonymousId": "b"},
        {"previousId": "b"},
        {"userId": "", "previousId": "b"},
        {"previousId": "b", "anonymousId": "a"},
        {"previousId": "b", "traits": {"email": "ann@example.com"}, "email": "a@b.com"},
        {"previousId": "b", "traits": {"phone": "+14155552671"}},
        {},
    ],
)
def test_an_alias_that_does_not_name_two_people_is_rejected(
    rejection: Callable[..., Any], record: dict[str, Any]
) -> None:
    rejection("alias", record)


@pytest.mark.parametrize("wrong", [" ", "\t\n", True, 1.5, {"id": 1}, ["a"]])
@pytest.mark.parametrize("field", ["userId", "id", "previousId"])
def test_an_alias_with_an_invalid_identifier_is_rejected(
    rejection: Callable[..., Any], field: str, wrong: Any
) -> None:
    record = {"previousId": "b", field: wrong}
    if field == "previousId":
        record["userId"] = "a"
    assert rejection("alias", record).field == field


@pytest.mark.parametrize(
    ("user_id", "previous_id"),
    [
        ("a", "a"),
        (1, "1"),
        ("cio_1", "cio_1"),
        ("ann@example.com", "ann@example.com"),
        ("Ann@example.com", "ann@EXAMPLE.com"),
    ],
)
def test_merging_a_person_with_themselves_is_rejected(
    rejection: Callable[..., Any], user_id: Any, previous_id: Any
) -> None:
    rejection("alias", {"userId": user_id, "previousId": previous_id})
    rejection("alias", {"id": user_id, "previous_id": previous_id})


@pytest.mark.parametrize(
    ("user_id", "identifiers"),
    [
        ("u1", {"id": "u1"}),
        ("ann@example.com", {"email": "ann@example.com"}),
        ("cio_1", {"cio_id": "1"}),
    ],
)
@pytest.mark.parametrize(
    "record",
    [
        {"previousId": "v1", "anonymousId": "v1"},
        {"previous_id": "v1", "anonymous_id": "v1"},
        {"PREVIOUS_ID": "v1", "ANONYMOUS_ID": "v1"},
        {"previousId": "v1", "anonymousId": "v1", "timestamp": 5, "traits": {"a": 1}},
    ],
)
def test_a_previous_id_that_is_the_anonymous_id_joins_the_anonymous_events(
    convert: Convert,
    record: dict[str, Any],
    user_id: str,
    identifiers: dict[str, str],
) -> None:
    for field in ("userId", "id"):
        assert convert("alias", {field: user_id, **record}) == {
            "type": "person",
            "identifiers": identifiers,
            "action": "identify",
            "attributes": {"anonymous_id": "v1"},
        }


def test_a_number_is_the_anonymous_id_in_either_form(convert: Convert) -> None:
    record = {"userId": "u1", "previousId": 7, "anonymousId": "7"}
    assert convert("alias", record)["attributes"] == {"anonymous_id": "7"}


def test_joining_anonymous_events_with_update_only_creates_no_person(
    convert: Convert,
) -> None:
    record = {"userId": "u1", "previousId": "v1", "anonymousId": "v1"}
    operation = convert("alias", record, update_only=True)
    assert operation["attributes"] == {"anonymous_id": "v1", "_update": True}
    merge = convert("alias", {"userId": "a", "previousId": "b"}, update_only=True)
    assert merge["action"] == "merge"


def test_an_anonymous_id_that_is_not_an_address_is_not_judged_as_one(
    convert: Convert,
) -> None:
    record = {"userId": "ann@example.com", "previousId": "v1", "anonymousId": "v1"}
    operation = convert("alias", record, user_id_type="email")
    assert operation["identifiers"] == {"email": "ann@example.com"}


@pytest.mark.parametrize(
    ("record", "settings"),
    [
        ({"anonymousId": "v1"}, {"anonymous_identify": "use_as_id"}),
        ({"anonymousId": "other"}, {}),
        ({"anonymousId": None}, {}),
        ({"anonymousId": ""}, {}),
    ],
)
def test_any_other_previous_id_is_a_person_who_is_merged(
    convert: Convert, record: dict[str, Any], settings: dict[str, Any]
) -> None:
    operation = convert(
        "alias", {"userId": "u1", "previousId": "v1", **record}, **settings
    )
    assert operation["action"] == "merge"
    assert operation["secondary"] == {"id": "v1"}


def test_a_person_is_not_joined_with_their_own_anonymous_id(
    rejection: Callable[..., Any],
) -> None:
    record = {"userId": "v1", "previousId": "v1", "anonymousId": "v1"}
    assert rejection("alias", record).reason == "same_person"
