"""Alias: two people become one."""

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
def test_an_alias_by_something_that_is_no_identifier_is_rejected(
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
def test_nobody_is_merged_with_themselves(
    rejection: Callable[..., Any], user_id: Any, previous_id: Any
) -> None:
    rejection("alias", {"userId": user_id, "previousId": previous_id})
    rejection("alias", {"id": user_id, "previous_id": previous_id})
