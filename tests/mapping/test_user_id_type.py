"""The setting ``user_id_type``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

CALLS: dict[str, dict[str, Any]] = {
    "identify": {"traits": {}},
    "track": {"event": "Bought"},
    "page": {"name": "Home"},
    "screen": {"name": "Home"},
}


@pytest.mark.parametrize(
    ("kind", "user_id", "identifiers"),
    [
        ("auto", "cio_1", {"cio_id": "1"}),
        ("auto", "ann@example.com", {"email": "ann@example.com"}),
        ("auto", 42, {"id": "42"}),
        ("id", "cio_1", {"id": "cio_1"}),
        ("id", "ann@example.com", {"id": "ann@example.com"}),
        ("id", "u1", {"id": "u1"}),
        ("id", 42, {"id": "42"}),
        ("email", "Ann@example.com", {"email": "Ann@example.com"}),
        ("email", " ann..b@example.com\u00a0", {"email": "ann..b@example.com"}),
        ("email", "cio_ann@example.com", {"email": "cio_ann@example.com"}),
        ("cio_id", "a3000001", {"cio_id": "a3000001"}),
        ("cio_id", "cio_a3000001", {"cio_id": "a3000001"}),
        ("cio_id", 42, {"cio_id": "42"}),
        ("cio_id", "ann@example.com", {"cio_id": "ann@example.com"}),
    ],
)
def test_the_setting_says_what_a_user_id_is(
    convert: Convert, kind: str, user_id: Any, identifiers: dict[str, str]
) -> None:
    for call, record in CALLS.items():
        for spelling in ("userId", "user_id", "USER_ID"):
            operation = convert(call, {spelling: user_id, **record}, user_id_type=kind)
            assert operation["identifiers"] == identifiers
    record = {"userId": user_id, "groupId": "acme", "traits": {}}
    (related,) = convert("group", record, user_id_type=kind)["cio_relationships"]
    assert related == {"identifiers": identifiers}
    record = {"userId": user_id, "segmentId": 7}
    operation = convert("segment", record, user_id_type=kind)
    assert operation["identifiers"] == identifiers
    record = {"userId": user_id, "event": "User Deleted"}
    assert convert("track", record, user_id_type=kind)["identifiers"] == identifiers


def test_both_sides_of_a_merge_follow_the_setting(convert: Convert) -> None:
    record = {"userId": "cio_1", "previousId": "ann@example.com"}
    operation = convert("alias", record, user_id_type="id")
    assert operation["primary"] == {"id": "cio_1"}
    assert operation["secondary"] == {"id": "ann@example.com"}
    record = {"id": "a3", "previous_id": "b4"}
    operation = convert("alias", record, user_id_type="cio_id")
    assert operation["primary"] == {"cio_id": "a3"}
    assert operation["secondary"] == {"cio_id": "b4"}


@pytest.mark.parametrize("user_id", ["u1", 42, "n/a", "ann@", "a@b@c"])
def test_user_id_type_email_rejects_other_text(
    rejection: Callable[..., Any], user_id: Any
) -> None:
    for call, record in CALLS.items():
        full = {
            **record,
            "userId": user_id,
            "anonymousId": "v1",
            "email": "a@b.example",
        }
        rejected = rejection(call, full, user_id_type="email")
        assert (rejected.reason, rejected.field) == ("invalid_email", "userId")
    record = {"userId": "ann@example.com", "previousId": user_id}
    rejected = rejection("alias", record, user_id_type="email")
    assert (rejected.reason, rejected.field) == ("invalid_email", "previousId")


@pytest.mark.parametrize("kind", ["auto", "id", "email", "cio_id"])
@pytest.mark.parametrize("wrong", [" ", True, 1.5, {"id": 1}, ["a"]])
def test_invalid_identifiers_are_rejected_for_every_type(
    rejection: Callable[..., Any], kind: str, wrong: Any
) -> None:
    record = {"userId": wrong, "event": "Bought", "anonymousId": "v1"}
    rejected = rejection("track", record, user_id_type=kind)
    assert rejected.reason in {"blank", "invalid_type"}


@pytest.mark.parametrize("kind", ["auto", "id", "email", "cio_id"])
def test_without_a_user_id_the_other_identifiers_keep_their_order(
    convert: Convert, kind: str
) -> None:
    record = {"userId": "", "event": "Bought", "email": "ann@example.com"}
    operation = convert("track", record, user_id_type=kind)
    assert operation["identifiers"] == {"email": "ann@example.com"}
    record = {"event": "Bought", "anonymousId": "v1"}
    operation = convert("track", record, user_id_type=kind)
    assert operation["identifiers"] == {"anonymous_id": "v1"}


def test_a_prefix_alone_is_not_a_cio_id(rejection: Callable[..., Any]) -> None:
    record = {"userId": "cio_"}
    assert rejection("identify", record, user_id_type="cio_id").reason == "blank"
