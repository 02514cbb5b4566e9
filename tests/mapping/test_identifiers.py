"""Identifiers of people, in order of precedence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.errors import RejectedRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]
    Reject = Callable[..., RejectedRecord]

PHONE = "+14155552671"
CALLS = ["identify", "track", "page", "screen"]
BARE = {"event": "Bought", "name": "Bought"}


FULL: dict[str, Any] = {
    **BARE,
    "userId": "1",
    "email": "own@example.com",
    "traits": {"email": "trait@example.com", "phone": PHONE},
    "context": {"traits": {"email": "context@example.com", "phone": PHONE}},
    "anonymousId": "anon-1",
    "properties": {"email": "property@example.com", "phone": PHONE},
}


def without(*steps: str) -> dict[str, Any]:
    """Return the full record without its first so many identifiers."""
    record: dict[str, Any] = {**FULL, "traits": dict(FULL["traits"])}
    for step in steps:
        if step == "traits.email":
            record["traits"].pop("email")
        elif step == "traits.phone":
            record["traits"].pop("phone")
        elif step == "context.traits.email":
            record["context"] = {"traits": {"phone": PHONE}}
        else:
            record[step] = "" if step == "userId" else None
    return record


EMAILS = ("email", "traits.email", "context.traits.email")
LADDER = [
    (without(), {"id": "1"}),
    (without("userId"), {"email": "own@example.com"}),
    (without("userId", "email"), {"email": "trait@example.com"}),
    (
        without("userId", "email", "traits.email"),
        {"email": "context@example.com"},
    ),
    (without("userId", *EMAILS), {"phone": PHONE}),
]


@pytest.mark.parametrize(("record", "identifiers"), LADDER)
@pytest.mark.parametrize("call", CALLS)
def test_the_first_identifier_is_used(
    convert: Convert, call: str, record: dict[str, Any], identifiers: dict[str, str]
) -> None:
    assert convert(call, record)["identifiers"] == identifiers


@pytest.mark.parametrize("call", ["track", "page", "screen"])
def test_an_anonymous_id_comes_last_and_properties_do_not_identify(
    convert: Convert, call: str
) -> None:
    record = without("userId", *EMAILS, "traits.phone")
    assert convert(call, record)["identifiers"] == {"anonymous_id": "anon-1"}


def test_an_anonymous_id_does_not_identify_in_an_identify(
    is_skipped: Callable[..., bool],
) -> None:
    record = without("userId", *EMAILS, "traits.phone")
    # Context traits that an identify without traits takes may name the person.
    assert is_skipped("identify", {**record, "context": {"traits": {"plan": "pro"}}})


@pytest.mark.parametrize(
    "record",
    [
        {"traits": {}},
        {"traits": {"name": "Ann"}},
        {"traits": {"email": 5}},
        {"traits": {"phone": "4155552671"}},
        {"userId": "", "anonymousId": ""},
        {"id": 5, "name": "Ann"},
    ],
)
def test_an_identify_without_an_identifier_is_rejected(
    rejection: Callable[..., Any], record: dict[str, Any]
) -> None:
    rejection("identify", record)
    rejection("identify", record, anonymous_identify="use_as_id")


@pytest.mark.parametrize("email", ["", " ", "\u00a0\ufeff", None, 5, ["a@example.com"]])
def test_a_blank_email_is_passed_over(convert: Convert, email: Any) -> None:
    record = {"email": email, "traits": {"email": email, "phone": PHONE}}
    record |= {"event": "Bought", "properties": {}}
    assert convert("track", record)["identifiers"] == {"phone": PHONE}


def test_a_flat_identify_is_named_by_its_columns(convert: Convert) -> None:
    row: dict[str, Any] = {"phone": PHONE, "plan": "pro"}
    assert convert("identify", row)["identifiers"] == {"phone": PHONE}
    row = {**row, "email": "ann@example.com"}
    assert convert("identify", row)["identifiers"] == {"email": "ann@example.com"}
    row = {**row, "user_id": 5}
    assert convert("identify", row)["identifiers"] == {"id": "5"}


@pytest.mark.parametrize("call", ["track", "page", "screen"])
def test_a_flat_event_s_email_names_the_person_and_stays_a_property(
    convert: Convert, call: str
) -> None:
    operation = convert(call, {**BARE, "email": "Ann@example.com"})
    assert operation["identifiers"] == {"email": "Ann@example.com"}
    assert operation["attributes"]["email"] == "Ann@example.com"


@pytest.mark.parametrize(
    "context",
    [
        {"context": {"traits": {"email": "ann@example.com"}}},
        {"context": '{"traits": {"email": "ann@example.com"}}'},
        {"context_traits_email": "ann@example.com"},
        {"context__traits__email": "ann@example.com"},
    ],
)
def test_the_email_of_the_context_names_a_person_in_every_spelling(
    convert: Convert, context: dict[str, Any]
) -> None:
    record = {"event": "Bought", "properties": {}, **context}
    assert convert("track", record)["identifiers"] == {"email": "ann@example.com"}
    (related,) = convert("group", {"groupId": "acme", "traits": {}, **context})[
        "cio_relationships"
    ]
    assert related == {"identifiers": {"email": "ann@example.com"}}


@pytest.mark.parametrize(
    ("record", "identifiers"),
    [
        ({"userId": "1", "traits": {}}, {"id": "1"}),
        ({"userId": "cio_1", "traits": {}}, {"cio_id": "1"}),
        ({"userId": "Ann@example.com", "traits": {}}, {"email": "Ann@example.com"}),
        ({"email": "Ann@example.com", "traits": {}}, {"email": "Ann@example.com"}),
    ],
)
def test_a_group_names_its_person_by_user_id_or_the_record_s_own_email(
    convert: Convert, record: dict[str, Any], identifiers: dict[str, str]
) -> None:
    (related,) = convert("group", {"groupId": "acme", **record})["cio_relationships"]
    assert related == {"identifiers": identifiers}


@pytest.mark.parametrize(
    "record",
    [
        {"traits": {"email": "office@acme.com", "phone": PHONE}},
        {"traits__email": "office@acme.com", "traits__phone": PHONE},
        {"email": "office@acme.com", "phone": PHONE},
    ],
)
def test_a_group_s_own_email_and_phone_do_not_identify_a_person(
    convert: Convert, record: dict[str, Any]
) -> None:
    operation = convert("group", {"groupId": "acme", **record})
    assert "cio_relationships" not in operation
    assert operation["attributes"] == {"email": "office@acme.com", "phone": PHONE}


def test_a_group_without_a_person_falls_back_on_the_anonymous_id(
    convert: Convert,
) -> None:
    traits = {"email": "office@acme.com", "phone": PHONE}
    record = {"groupId": "acme", "anonymousId": "a", "traits": traits}
    (related,) = convert("group", record)["cio_relationships"]
    assert related == {"identifiers": {"anonymous_id": "a"}}


ACTIONS = {
    "User Deleted": {},
    "User Suppressed": {},
    "User Unsuppressed": {},
    "Device Deleted": {"device_id": "t"},
    "Device Created or Updated": {"device_id": "a" * 64},
    "Report Content Event": {"actionType": "viewed_content"},
}


@pytest.mark.parametrize(
    ("record", "identifiers"),
    [
        *LADDER[:-1],
        (without("userId", *EMAILS), {"email": "property@example.com"}),
    ],
)
@pytest.mark.parametrize("event", [*ACTIONS, "Relationship Deleted"])
def test_an_action_uses_the_same_order_and_properties_email(
    convert: Convert, event: str, record: dict[str, Any], identifiers: dict[str, str]
) -> None:
    properties = {"objectId": "acme", **record["properties"], **ACTIONS.get(event, {})}
    operation = convert("track", {**record, "event": event, "properties": properties})
    if event == "Relationship Deleted":
        (operation,) = operation["cio_relationships"]
    assert operation["identifiers"] == identifiers
    assert operation.get("action") != "event"


@pytest.mark.parametrize("event", ACTIONS)
def test_an_action_on_a_person_uses_the_phone_last(
    convert: Convert, event: str
) -> None:
    record = {"event": event, "traits": {"phone": PHONE}, "anonymousId": "a"}
    operation = convert("track", {**record, "properties": ACTIONS[event]})
    assert operation["identifiers"] == {"phone": PHONE}


@pytest.mark.parametrize(
    "event", ["User Deleted", "User Suppressed", "User Unsuppressed", "Device Deleted"]
)
def test_an_action_without_a_known_person_is_rejected(
    rejection: Callable[..., Any], event: str
) -> None:
    record = {"event": event, "properties": ACTIONS[event]}
    rejection("track", record)
    rejection("track", {**record, "anonymousId": "a"})


@pytest.mark.parametrize(
    "who",
    [{}, {"anonymousId": "a"}, {"traits": {"phone": PHONE}}],
)
def test_a_deleted_relationship_takes_neither_a_phone_nor_an_anonymous_id(
    rejection: Callable[..., Any], who: dict[str, Any]
) -> None:
    record = {"event": "Relationship Deleted", "properties": {"objectId": "acme"}}
    rejection("track", {**record, **who})


def test_a_content_report_needs_a_person_or_an_anonymous_id(
    convert: Convert, rejection: Callable[..., Any]
) -> None:
    record = {
        "event": "Report Content Event",
        "properties": {"actionType": "clicked_content"},
    }
    operation = convert("track", {**record, "anonymousId": "a"})
    assert operation["identifiers"] == {"anonymous_id": "a"}
    rejection("track", record)


INVISIBLE = [
    *(" ", "\t\n", "\u00a0", "\u2028", "\u3000"),
    *("\u200b", "\u2060", "\ufeff", "\u180e", "\u200d", "\u200e"),
    " \u200b\ufeff ",
]


@pytest.mark.parametrize("blank", INVISIBLE, ids=ascii)
@pytest.mark.parametrize("kind", ["auto", "id", "email", "cio_id"])
@pytest.mark.parametrize("from_json", [True, False])
def test_a_user_id_without_visible_characters_is_blank(
    converter: Callable[..., Any], blank: str, kind: str, *, from_json: bool
) -> None:
    for call in CALLS:
        record = {**BARE, "userId": blank, "traits": {"email": "ann@example.com"}}
        with pytest.raises(RejectedRecord) as caught:
            converter(call, user_id_type=kind).convert(record, from_json=from_json)
        assert caught.value.reason == "blank"
        assert caught.value.field == "userId"


@pytest.mark.parametrize("blank", INVISIBLE, ids=ascii)
@pytest.mark.parametrize(
    ("call", "record", "field"),
    [
        ("track", {"event": "x", "properties": {}}, "anonymousId"),
        ("track", {"event": "x", "userId": "1", "properties": {}}, "messageId"),
        ("group", {"traits": {}}, "groupId"),
        ("alias", {"userId": "1"}, "previousId"),
        ("segment", {"userId": "1"}, "segmentId"),
    ],
)
def test_any_other_identifier_without_visible_characters_is_blank(
    rejection: Reject, call: str, record: Any, field: str, blank: str
) -> None:
    rejected = rejection(call, {**record, field: blank})
    assert (rejected.reason, rejected.field) == ("blank", field)


@pytest.mark.parametrize("blank", INVISIBLE, ids=ascii)
def test_nothing_visible_after_the_prefix_is_blank(
    rejection: Reject, blank: str
) -> None:
    assert rejection("identify", {"userId": f"cio_{blank}"}).reason == "blank"


@pytest.mark.parametrize("blank", INVISIBLE, ids=ascii)
def test_a_name_without_visible_characters_is_missing(
    convert: Convert, rejection: Reject, blank: str
) -> None:
    nameless = {"userId": "1", "event": blank, "name": blank, "properties": {}}
    for call in ("track", "page", "screen"):
        assert rejection(call, nameless).reason == "required"
    sent = convert("page", {**nameless, "properties": {"url": "https://example.com"}})
    assert sent["name"] == "https://example.com"


@pytest.mark.parametrize(
    "user_id", ["\u200b1", "Zo\u00eb", "a\u200db", "\ufeff1\ufeff"]
)
def test_a_user_id_with_visible_characters_is_sent_as_it_is(
    convert: Convert, user_id: str
) -> None:
    assert convert("identify", {"userId": user_id})["identifiers"] == {"id": user_id}


DECIMAL_TEXT = {"type": ["null", "string"], "format": "singer.decimal"}


@pytest.mark.parametrize("value", ["42.00", "42.5", "4E+1", ".5", "42."])
@pytest.mark.parametrize(
    ("call", "column"),
    [
        ("identify", "user_id"),
        ("identify", "userId"),
        ("track", "USER_ID"),
        ("group", "group_id"),
        ("group", "object_id"),
        ("segment", "segment_id"),
    ],
)
def test_a_decimal_that_is_no_integer_identifies_nobody(
    call: str, column: str, value: str, converter: Callable[..., Any]
) -> None:
    """Otherwise 42.00 would be somebody else than 42."""
    schema = {"properties": {column: DECIMAL_TEXT}}
    row = {"email": "ann@example.com", "event": "x", column: value}
    with pytest.raises(RejectedRecord) as caught:
        converter(call, schema=schema).convert(row)
    assert caught.value.reason == "invalid_type"


@pytest.mark.parametrize(
    "value", ["42", "-7", "0042", "a-42.0", "12345678901234567890"]
)
def test_a_decimal_that_is_an_integer_or_other_text_is_an_identifier(
    value: str, convert: Callable[..., Any]
) -> None:
    schema = {"properties": {"user_id": DECIMAL_TEXT, "id": DECIMAL_TEXT}}
    operation = convert(
        "track", {"user_id": value, "id": "7.50", "event": "x"}, schema=schema
    )
    assert operation["identifiers"] == {"id": value}


def test_text_with_a_point_is_an_identifier(convert: Callable[..., Any]) -> None:
    operation = convert("identify", {"user_id": "42.00"})
    assert operation["identifiers"] == {"id": "42.00"}
