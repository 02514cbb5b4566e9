"""E-mail addresses, valid and invalid."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_customerio.mapping.fields import WHITE_SPACE, trimmed
from target_customerio.mapping.identity import is_address

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

ADDRESSES = [
    "ann@example.com",
    "Ann.Lee+News@Example.com",
    "ann..b@example.com",
    ".ann.@example.com",
    '"ann lee"@example.com',
    '"a@b,<c>"@example.com',
    r'"quoted \" mark"@example.com',
    "ann@[192.0.2.1]",
    "ann@[IPv6:2001:db8::1]",
    "ann@localhost",
    "ann(comment)@example.com",
    "änn@exämple.com",
    "ann@xn--exmple-cua.com",
    "o'brien@example.com",
    "a@b",
    "x" * 70 + "@example.com",
]
NO_ADDRESSES = [
    "n/a",
    "ann",
    "@",
    "ann@",
    "@example.com",
    "ann@home@example.com",
    "ann@example.com,bob@example.com",
    "ann@example.com; bob@example.com",
    "Ann Lee <ann@example.com>",
    "<ann@example.com>",
    "ann lee@example.com",
    "ann@example .com",
    "ann\u00a0lee@example.com",
    "ann\u200b@example.com",
    "ann@exa\ufeffmple.com",
    '"ann@example.com',
    'ann"@example.com',
    '"ann@example.com"',
    '"a" b@example.com',
]
AROUND = [
    " {} ",
    "\t{}\r\n",
    "\u00a0{}",
    "\ufeff{}",
    "{}\u200b",
    "\u2003{}\u3000",
    "{}\u2028",
    "\u202a{}\u202c",
    "\ufeff \u00a0{}\u00a0 ",
]
PLACES: list[Callable[[str], dict[str, Any]]] = [
    lambda text: {"email": text, "traits": {"a": 1}},
    lambda text: {"traits": {"email": text}},
    lambda text: {"traits__email": text},
    lambda text: {"context": {"traits": {"email": text}}, "traits": {"a": 1}},
    lambda text: {"context_traits_email": text, "traits": {"a": 1}},
    lambda text: {"email": text},
    lambda text: {"EMAIL": text},
]
FIELDS = {"email", "traits.email", "context.traits.email"}
EVENTS = {
    "track": {"event": "Bought", "properties": {}},
    "page": {"name": "Home", "properties": {}},
    "screen": {"name": "Home", "properties": {}},
}
place = pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))


@pytest.mark.parametrize("address", ADDRESSES)
@place
def test_an_address_identifies_the_person_unchanged(
    convert: Convert, address: str, place: Any
) -> None:
    record = {"anonymousId": "v1", **place(address)}
    assert convert("identify", record)["identifiers"] == {"email": address}
    for call, event in EVENTS.items():
        operation = convert(call, {**record, **event})
        assert operation["identifiers"] == {"email": address}


@pytest.mark.parametrize("text", AROUND)
@place
def test_white_space_around_an_address_is_removed(
    convert: Convert, text: str, place: Any
) -> None:
    record = {"anonymous_id": "v1", **place(text.format("Ann@example.com"))}
    operation = convert("identify", record)
    assert operation["identifiers"] == {"email": "Ann@example.com"}
    assert operation["attributes"].get("email", "Ann@example.com") == "Ann@example.com"
    operation = convert("track", {**record, **EVENTS["track"]})
    assert operation["identifiers"] == {"email": "Ann@example.com"}


def test_consent_of_an_address_with_a_space_is_not_lost(convert: Convert) -> None:
    row = {"anonymous_id": "v1", "email": "ann@example.com ", "unsubscribed": True}
    assert convert("identify", row) == {
        "type": "person",
        "identifiers": {"email": "ann@example.com"},
        "action": "identify",
        "attributes": {
            "email": "ann@example.com",
            "unsubscribed": True,
            "anonymous_id": "v1",
        },
    }


@pytest.mark.parametrize("text", NO_ADDRESSES)
@place
def test_other_text_rejects_the_record_and_is_never_anonymous(
    rejection: Callable[..., Any], text: str, place: Any
) -> None:
    record = {"anonymousId": "v1", **place(text)}
    for rejected in (
        rejection("identify", record),
        rejection("identify", record, anonymous_identify="use_as_id"),
        *(rejection(call, {**record, **event}) for call, event in EVENTS.items()),
        rejection("segment", {"segmentId": 7, **record}),
    ):
        assert rejected.reason == "invalid_email"
        assert rejected.field in FIELDS
        assert text not in rejected.message


def test_other_text_does_not_fall_back_to_the_phone(rejection: Any) -> None:
    traits = {"email": "n/a", "phone": "+15550100"}
    assert rejection("identify", {"traits": traits}).reason == "invalid_email"


@pytest.mark.parametrize("text", NO_ADDRESSES)
@pytest.mark.parametrize("user_id", ["1", "cio_1", "bob@example.com"])
def test_with_a_user_id_other_text_is_sent_as_an_attribute(
    convert: Convert, text: str, user_id: str
) -> None:
    for record in ({"email": text}, {"traits": {"email": text}}):
        operation = convert("identify", {"userId": user_id, **record})
        assert operation["attributes"] == {"email": text}
        assert operation["identifiers"].keys() != {"anonymous_id"}
    event = {"userId": user_id, "email": text, **EVENTS["track"]}
    assert convert("track", event)["action"] == "event"


@pytest.mark.parametrize("text", AROUND)
def test_the_attribute_is_trimmed(attributes_of: Convert, text: str) -> None:
    email = text.format("ann@example.com")
    for record in (
        {"email": email},
        {"traits": {"email": email}},
        {"traits": {"a": 1}, "email": email},
        {"traits": {"a": 1, "email": None}, "email": email},
    ):
        attributes = attributes_of("identify", {"userId": "1", **record})
        assert attributes["email"] == "ann@example.com"


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\ufeff", "\t\n"])
def test_a_blank_address_counts_as_absent(
    convert: Convert, is_skipped: Any, blank: str
) -> None:
    record = {"anonymousId": "v1", "traits": {"email": blank}}
    assert is_skipped("identify", record)
    operation = convert("track", {**record, **EVENTS["track"]})
    assert operation["identifiers"] == {"anonymous_id": "v1"}
    record = {"email": blank, "traits": {"email": "ann@example.com"}}
    assert convert("identify", record)["identifiers"] == {"email": "ann@example.com"}


@pytest.mark.parametrize(
    "event", ["User Deleted", "User Suppressed", "User Unsuppressed"]
)
def test_an_action_takes_the_same_addresses(
    convert: Convert, rejection: Any, event: str
) -> None:
    for address in ADDRESSES:
        record = {"event": event, "properties": {"email": f"{address} "}}
        assert convert("track", record)["identifiers"] == {"email": address}
    record = {"event": event, "anonymousId": "v1", "properties": {"email": "n/a"}}
    rejected = rejection("track", record)
    assert (rejected.reason, rejected.field) == ("invalid_email", "properties.email")


def test_a_company_address_is_not_validated(convert: Convert, rejection: Any) -> None:
    records: list[dict[str, Any]] = [{"traits": {"email": "n/a"}}, {"email": "n/a"}]
    for each in records:
        operation = convert("group", {"groupId": "acme", **each})
        assert operation["attributes"] == {"email": "n/a"}
        assert "cio_relationships" not in operation
    record = {"groupId": "acme", "anonymousId": "v1", "email": "n/a", "traits": {}}
    assert rejection("group", record).reason == "invalid_email"


def test_a_delivery_report_needs_no_person_and_validates_no_address(
    convert: Convert,
) -> None:
    properties = {"deliveryId": "d", "metric": "opened"}
    record = {"event": "Report Delivery Event", "email": "n/a"}
    assert convert("track", {**record, "properties": properties})


@pytest.mark.parametrize(
    ("user_id", "identifiers"),
    [
        (" ann@example.com", {"email": "ann@example.com"}),
        ("\ufeffann@example.com\u00a0", {"email": "ann@example.com"}),
        ("ann..b@example.com", {"id": "ann..b@example.com"}),
        ("ann@[192.0.2.1]", {"id": "ann@[192.0.2.1]"}),
        (" u1 ", {"id": " u1 "}),
    ],
)
def test_a_user_id_is_an_address_by_a_stricter_check(
    convert: Convert, user_id: str, identifiers: dict[str, str]
) -> None:
    assert convert("identify", {"userId": user_id})["identifiers"] == identifiers
    record = {"userId": user_id, "previousId": "b"}
    assert convert("alias", record)["primary"] == identifiers


def test_every_kind_of_white_space_is_known() -> None:
    spaces = {chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()}
    assert set(WHITE_SPACE) == spaces


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    text=st.text(alphabet='ab@,<>". \\\u00a0\ufeff\u200b\n', max_size=12),
    around=st.sampled_from(AROUND),
)
def test_an_address_has_one_at_sign_outside_quotes(text: str, around: str) -> None:
    text = trimmed(text)
    assert trimmed(around.format(text)) == text
    outside, quotes, escaped = "", False, False
    for character in text:
        if escaped:
            escaped = False
        elif quotes and character == "\\":
            escaped = True
        elif character == '"':
            quotes = not quotes
            outside += "q"
        elif not quotes:
            outside += character
    local, _, domain = outside.partition("@")
    expected = bool(
        not quotes
        and local
        and domain
        and not set(outside[len(local) + 1 :]) & set("@,<> \u00a0\ufeff\u200b\n")
        and not set(local) & set(",<> \u00a0\ufeff\u200b\n")
    )
    assert is_address(text) is expected
