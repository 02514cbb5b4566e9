"""Decoded JSON is converted like other records.

The fixture ``convert`` converts each record both ways, and compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

MOMENT = "2023-03-21T14:09:57Z"
SECONDS = 1_679_407_797
TEXTS = [
    f'"{MOMENT}',
    f'{MOMENT}"',
    f'"{MOMENT}"',
    f'a,"{MOMENT}',
    f'a:"{MOMENT}",b',
    f'["{MOMENT}"]',
    f"\\{MOMENT}",
    f"{MOMENT}\\",
    f'\\"{MOMENT}',
    f"{MOMENT},",
    f" {MOMENT}",
    f"{MOMENT}\n",
    "2023-03-21T14:09:57.123456Z",
    "2023-02-29T14:09:57Z",
    "2023-03-21T24:00:00Z",
    "0000-03-21T14:09:57Z",
    "2023-W12-2T14:09:57Z",
    "2023-03-21",
    "T",
]
BODIES = {"identify": "traits", "track": "properties", "group": "traits"}


def places_for(text: str) -> dict[str, Any]:
    """Return attributes with a text in every place."""
    return {
        "top": text,
        "list": [text, [text], "x", {text: text}],
        "object": {text: text, "a": {"b": text, text: [text, text]}, "last": text},
        text: 1,
    }


@pytest.mark.parametrize("call", BODIES)
@pytest.mark.parametrize("text", TEXTS)
def test_text_that_is_almost_a_date_time_is_unchanged(
    convert: Convert, call: str, text: str
) -> None:
    who = {"userId": "1", "groupId": "g", "event": "x", BODIES[call]: places_for(text)}
    assert convert(call, who)["attributes"] == places_for(text)


@pytest.mark.parametrize("call", BODIES)
def test_a_date_time_is_converted_if_it_is_a_value(convert: Convert, call: str) -> None:
    places = places_for(MOMENT)
    who = {"userId": "1", "groupId": "g", "event": "x", BODIES[call]: places}
    assert convert(call, who)["attributes"] == {
        "top": SECONDS,
        "list": [SECONDS, [SECONDS], "x", {MOMENT: SECONDS}],
        "object": {
            MOMENT: SECONDS,
            "a": {"b": SECONDS, MOMENT: [SECONDS, SECONDS]},
            "last": SECONDS,
        },
        MOMENT: 1,
    }


@pytest.mark.parametrize("call", BODIES)
def test_a_date_or_any_text_may_be_either(convert: Convert, call: str) -> None:
    date = {"type": "string", "format": "date-time"}
    either = {"anyOf": [date, {"type": "string"}]}
    body = {"type": "object", "properties": {"a": either, "b": either, "c": either}}
    attributes = convert(
        call,
        {
            "userId": "1",
            "groupId": "g",
            "event": "x",
            BODIES[call]: {"a": "2023-03-21", "b": "soon", "c": MOMENT},
        },
        schema={"type": "object", "properties": {BODIES[call]: body}},
    )["attributes"]
    assert attributes == {"a": 1_679_356_800, "b": "soon", "c": SECONDS}
