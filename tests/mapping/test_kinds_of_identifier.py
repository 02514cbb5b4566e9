"""What kind of identifier a text is: user ids, e-mail addresses, phones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

PHONE = "+14155552671"
CALLS = ["identify", "track", "page", "screen"]
BARE = {"event": "Bought", "name": "Bought"}


@pytest.mark.parametrize(
    ("user_id", "identifiers"),
    [
        ("97980cfea0067", {"id": "97980cfea0067"}),
        (42, {"id": "42"}),
        (0, {"id": "0"}),
        (-7, {"id": "-7"}),
        (12345678901234567890123, {"id": "12345678901234567890123"}),
        ("007", {"id": "007"}),
        ("Case Kept", {"id": "Case Kept"}),
        ("cio_03000001", {"cio_id": "03000001"}),
        ("cio_ann@example.com", {"cio_id": "ann@example.com"}),
        ("CIO_1", {"id": "CIO_1"}),
        ("xcio_1", {"id": "xcio_1"}),
        ("ann@example.com", {"email": "ann@example.com"}),
        ("Ann.Lee+News@Example.co.uk", {"email": "Ann.Lee+News@Example.co.uk"}),
        ("ann@mañana.com", {"email": "ann@mañana.com"}),
        ("@ann", {"id": "@ann"}),
        ("ann@", {"id": "ann@"}),
        ("ann@home@example.com", {"id": "ann@home@example.com"}),
        ("ann lee@example.com", {"id": "ann lee@example.com"}),
        (PHONE, {"id": PHONE}),
    ],
)
@pytest.mark.parametrize("call", CALLS)
def test_a_user_id_is_a_cio_id_an_email_or_an_id(
    convert: Convert, call: str, user_id: Any, identifiers: dict[str, str]
) -> None:
    for spelling in ("userId", "user_id"):
        operation = convert(call, {**BARE, spelling: user_id})
        assert operation["identifiers"] == identifiers


@pytest.mark.parametrize(
    "user_id", ["ann@corp.local", "ann@shop.test", "root@intranet.internal"]
)
def test_an_address_of_a_reserved_domain_is_an_email(
    convert: Convert, user_id: str
) -> None:
    operation = convert("identify", {"userId": user_id})
    assert operation["identifiers"] == {"email": user_id}


@pytest.mark.parametrize(
    "wrong", [" ", "\t", "\u00a0 ", True, False, 1.0, 1.5, {}, {"id": 1}, [], ["1"]]
)
@pytest.mark.parametrize("call", CALLS)
def test_an_invalid_user_id_rejects_the_record(
    rejection: Callable[..., Any], call: str, wrong: Any
) -> None:
    record = {**BARE, "userId": wrong, "email": "ann@example.com", "anonymousId": "a"}
    assert rejection(call, record).field == "userId"


@pytest.mark.parametrize("wrong", [" ", True, 1.5, {"id": 1}, ["a"]])
@pytest.mark.parametrize("call", CALLS)
def test_an_invalid_anonymous_id_rejects_the_record(
    rejection: Callable[..., Any], call: str, wrong: Any
) -> None:
    record = {**BARE, "anonymousId": wrong}
    assert rejection(call, record).field == "anonymousId"


def test_nothing_after_the_prefix_of_a_cio_id_rejects_the_record(
    rejection: Callable[..., Any],
) -> None:
    rejection("identify", {"userId": "cio_"})


@pytest.mark.parametrize("phone", ["+14155552671", "+442071838750", "+123456789012345"])
def test_a_phone_number_in_e_164_form_names_the_person(
    convert: Convert, phone: str
) -> None:
    record = {"event": "Bought", "anonymousId": "a", "traits": {"phone": phone}}
    assert convert("track", record)["identifiers"] == {"phone": phone}


@pytest.mark.parametrize(
    "phone",
    [
        "+1 415 555 2671",
        "+1-415-555-2671",
        "+1 (415) 555-2671",
        "+1.415.555.2671",
        " +14155552671 ",
        "+1\u00a0415\u202f555\u20112671",
    ],
)
def test_spaces_dots_hyphens_and_parentheses_of_a_phone_number_are_removed(
    convert: Convert, phone: str
) -> None:
    record = {"event": "Bought", "anonymousId": "a", "traits": {"phone": phone}}
    assert convert("track", record)["identifiers"] == {"phone": PHONE}
    operation = convert("identify", {"phone": phone})
    assert operation["identifiers"] == {"phone": PHONE}
    assert operation["attributes"] == {"phone": phone}


@pytest.mark.parametrize(
    "phone",
    [
        "+1234567890123456",
        "14155552671",
        "+0415555267",
        "+1 415 555 26 7x",
        "+1/415/555/2671",
        "+ (1)",
        "+1415555\u0662\u0666\u0667\u0661",
        "+14155552671\n",
        14155552671,
    ],
)
def test_a_phone_number_in_another_form_is_not_an_identifier(
    convert: Convert, phone: Any
) -> None:
    record = {"event": "Bought", "anonymousId": "a", "traits": {"phone": phone}}
    assert convert("track", record)["identifiers"] == {"anonymous_id": "a"}
