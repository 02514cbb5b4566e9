"""Track, page and screen calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]


def test_a_track_becomes_an_event_with_the_properties_as_attributes(
    convert: Convert, drawn: str
) -> None:
    record = {
        "type": "track",
        "email": "cool.person@example.com",
        "properties": {"class_name": "Customer.io Basics", "start_date": 1679410730},
        "userId": "97980cfea0067",
        "event": "enrolled",
        "timestamp": "2022-11-24T22:48:17.593Z",
    }
    assert convert("track", record) == {
        "type": "person",
        "identifiers": {"id": "97980cfea0067"},
        "action": "event",
        "id": drawn,
        "name": "enrolled",
        "timestamp": 1669330097,
        "attributes": {
            "class_name": "Customer.io Basics",
            "start_date": 1679410730,
        },
    }


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"event": "Order Done"}, "Order Done"),
        ({"event_text": "Order Done"}, "Order Done"),
        ({"event": "order_done", "event_text": "Order Done"}, "Order Done"),
        ({"event": "order_done", "event_text": None}, "order_done"),
        ({"event": "order_done", "event_text": ""}, "order_done"),
    ],
)
def test_the_event_name_is_event_text_or_event(
    convert: Convert, record: dict[str, Any], name: str
) -> None:
    operation = convert("track", {"userId": "1", "price": 5, **record})
    assert operation["name"] == name
    assert operation["attributes"] == {"price": 5}


@pytest.mark.parametrize(
    "record", [{}, {"event": None}, {"event": ""}, {"properties": {"event": "x"}}]
)
def test_a_track_without_an_event_is_rejected(
    rejection: Callable[..., Any], record: dict[str, Any]
) -> None:
    assert rejection("track", {"userId": "1", **record}).field == "event"


def test_a_page_becomes_a_page_view(convert: Convert, drawn: str) -> None:
    record = {
        "messageId": None,
        "timestamp": "2022-11-24T22:55:59.498Z",
        "type": "page",
        "properties": {"url": "https://www.example.com"},
        "userId": "97980cfea0067",
        "name": "home",
    }
    assert convert("page", record) == {
        "type": "person",
        "identifiers": {"id": "97980cfea0067"},
        "action": "page",
        "id": drawn,
        "name": "home",
        "timestamp": 1669330559,
        "attributes": {"url": "https://www.example.com"},
    }


@pytest.mark.parametrize(
    "record",
    [
        {"properties": {"url": "https://a.example/x"}},
        {"properties": '{"url": "https://a.example/x"}'},
        {"properties__url": "https://a.example/x"},
        {"url": "https://a.example/x"},
        {"name": "", "url": "https://a.example/x"},
        {"name": None, "url": "https://a.example/x"},
    ],
)
def test_a_page_without_a_name_uses_its_url(
    convert: Convert, record: dict[str, Any]
) -> None:
    operation = convert("page", {"userId": "1", **record})
    assert operation["name"] == "https://a.example/x"
    assert operation["attributes"] == {"url": "https://a.example/x"}


@pytest.mark.parametrize("record", [{}, {"properties": {"title": "Home"}}])
def test_a_page_without_name_and_url_is_rejected(
    rejection: Callable[..., Any], record: dict[str, Any]
) -> None:
    assert rejection("page", {"userId": "1", **record}).field == "name"


SCREEN_NAMES = [
    ({"name": "Main", "event": "e", "properties": {"name": "p"}}, "Main"),
    ({"event": "e", "properties": {"name": "p"}}, "e"),
    ({"name": None, "event": "", "properties": {"name": "p"}}, "p"),
    ({"properties": {"name": "p"}}, "p"),
    ({"name": "Main", "width": 5}, "Main"),
    ({"event": "e", "width": 5}, "e"),
]


@pytest.mark.parametrize(("record", "name"), SCREEN_NAMES)
def test_a_screen_becomes_a_screen_view_by_name_event_or_property(
    convert: Convert, record: dict[str, Any], name: str
) -> None:
    for settings in ({}, {"screen_events": "screen"}):
        operation = convert("screen", {"userId": "1", **record}, **settings)
        assert operation["action"] == "screen"
        assert operation["name"] == name


@pytest.mark.parametrize(("record", "name"), SCREEN_NAMES)
def test_a_screen_can_become_an_event_instead(
    convert: Convert, record: dict[str, Any], name: str
) -> None:
    record = {"userId": "1", **record}
    operation = convert("screen", record, screen_events="viewed_event")
    assert operation["type"] == "person"
    assert operation["action"] == "event"
    assert operation["name"] == f"Viewed {name} Screen"
    assert operation["attributes"] == record.get("properties", operation["attributes"])


def test_a_screen_view_without_a_name_is_rejected(
    rejection: Callable[..., Any],
) -> None:
    record = {"userId": "1", "properties": {"width": 5}}
    assert rejection("screen", record).field == "name"


def test_a_screen_event_without_a_name_is_called_undefined(
    convert: Convert,
) -> None:
    record = {"userId": "1", "properties": {"width": 5}}
    operation = convert("screen", record, screen_events="viewed_event")
    assert operation["name"] == "Viewed Undefined Screen"


@pytest.mark.parametrize("call", ["track", "page", "screen"])
@pytest.mark.parametrize(
    "record", [{"anonymousId": "anon-1"}, {"anonymous_id": "anon-1"}]
)
def test_anonymous_events_have_the_anonymous_id(
    convert: Convert, call: str, record: dict[str, Any]
) -> None:
    operation = convert(call, {"event": "x", "name": "x", "properties": {}, **record})
    assert operation["identifiers"] == {"anonymous_id": "anon-1"}
    assert operation["attributes"] == {}


@pytest.mark.parametrize("call", ["track", "page", "screen"])
def test_an_event_without_a_person_is_rejected(
    rejection: Callable[..., Any], call: str
) -> None:
    rejection(call, {"event": "x", "name": "x", "properties": {"a": 1}})


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 100),
        ("é" * 50, "é" * 50),
        ("é" * 51, "é" * 50),
        ("x" + "é" * 50, "x" + "é" * 49),
        ("€" * 34, "€" * 33),
        ("😀" * 26, "😀" * 25),
        ("xx" + "😀" * 25, "xx" + "😀" * 24),
    ],
)
@pytest.mark.parametrize("call", ["track", "page", "screen"])
def test_an_anonymous_name_is_cut_to_a_hundred_bytes_between_characters(
    convert: Convert, call: str, name: str, cut: str
) -> None:
    field = {"event": name} if call == "track" else {"name": name}
    record = {"anonymousId": "a", "properties": {}, **field}
    assert convert(call, record)["name"] == cut


def test_the_whole_name_of_an_anonymous_screen_event_is_cut(convert: Convert) -> None:
    record = {"anonymousId": "a", "name": "x" * 100}
    name = convert("screen", record, screen_events="viewed_event")["name"]
    assert name == "Viewed " + "x" * 93


def test_the_url_that_names_an_anonymous_page_is_cut_but_the_property_is_not(
    convert: Convert,
) -> None:
    url = "https://a.example/" + "x" * 100
    operation = convert("page", {"anonymousId": "a", "properties": {"url": url}})
    assert operation["name"] == url[:100]
    assert operation["attributes"] == {"url": url}


@pytest.mark.parametrize("call", ["track", "page", "screen"])
@pytest.mark.parametrize(
    "who",
    [
        {"userId": "1"},
        {"email": "ann@example.com"},
        {"traits": {"phone": "+14155552671"}},
        {"userId": "cio_1"},
    ],
)
def test_a_known_person_s_name_of_an_event_is_never_cut(
    convert: Convert, call: str, who: dict[str, Any]
) -> None:
    name = "€" * 100
    field = {"event": name} if call == "track" else {"name": name}
    record = {"anonymousId": "a", "properties": {}, **field, **who}
    assert convert(call, record)["name"] == name


@pytest.mark.parametrize("call", ["track", "page", "screen"])
def test_an_event_without_a_time_has_no_timestamp(convert: Convert, call: str) -> None:
    record = {"userId": "1", "event": "x", "name": "x", "properties": {}}
    assert "timestamp" not in convert(call, record)
