"""Devices: tokens, platforms and attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

APPLE = "ff15bc0c20c4aa6cd50854ff165fd265c838e5405bfeb9571066395b8c9da449"
FCM = "cEFolG5uRDGPizsaUh4X4m:APA91bFsKwjW9zUaiuJMCGqa3fLRiJ8fv1riQ6U-1iI72aSFZx5w"
UPDATES = ["Application Installed", "Application Opened", "Device Created or Updated"]
DELETIONS = ["Application Uninstalled", "Device Deleted"]


def opened(**fields: Any) -> dict[str, Any]:
    """Return an event that updates a device of person 1."""
    return {"userId": "1", "event": "Application Opened", "properties": {}, **fields}


def device(token: Any = None, kind: Any = None, **context: Any) -> dict[str, Any]:
    """Return a context with a device in it."""
    return {"device": {"token": token, "type": kind}, **context}


@pytest.mark.parametrize("event", UPDATES)
def test_the_documented_event_adds_the_device(convert: Convert, event: str) -> None:
    record = {
        "action": "track",
        "userId": "019mr8mf4r",
        "event": event,
        "timestamp": "2022-11-24T22:48:17.593Z",
        "properties": {"version": "1.2.3", "build": 1234},
        "context": {"device": {"token": APPLE, "type": "ios"}},
    }
    assert convert("track", record) == {
        "type": "person",
        "identifiers": {"id": "019mr8mf4r"},
        "action": "add_device",
        "device": {
            "token": APPLE,
            "platform": "ios",
            "last_used": 1669330097,
            "attributes": {"version": "1.2.3", "build": 1234},
        },
    }


@pytest.mark.parametrize("event", UPDATES)
def test_a_device_id_is_the_token_and_leaves_the_attributes(
    convert: Convert, event: str
) -> None:
    properties = {"device_id": FCM, "build": 1234}
    record = {"userId": "1", "event": event, "properties": properties}
    assert convert("track", record)["device"] == {
        "token": FCM,
        "platform": "android",
        "attributes": {"build": 1234},
    }


def test_a_device_id_next_to_the_token_of_the_context_stays_an_attribute(
    convert: Convert,
) -> None:
    record = opened(properties={"device_id": "d-1"}, context=device("t", "ios"))
    operation = convert("track", record)
    assert operation["device"]["token"] == "t"
    assert operation["device"]["attributes"] == {"device_id": "d-1"}


def test_a_device_id_replaces_an_empty_token(convert: Convert) -> None:
    for empty in (None, ""):
        record = opened(properties={"device_id": "d"}, context=device(empty, "ios"))
        assert convert("track", record)["device"] == {
            "token": "d",
            "platform": "ios",
            "attributes": {},
        }


@pytest.mark.parametrize("spelling", ["device_id", "deviceId", "DEVICE_ID"])
def test_a_device_id_is_found_in_every_spelling(
    convert: Convert, spelling: str
) -> None:
    record = opened(properties={spelling: "t:APA91"})
    assert convert("track", record)["device"] == {
        "token": "t:APA91",
        "platform": "android",
        "attributes": {},
    }


def test_the_documented_spelling_of_a_device_id_wins(convert: Convert) -> None:
    others = {"DEVICE_ID": "u:APA91", "deviceId": "v:APA91", "device_id": "t:APA91"}
    device = convert("track", opened(properties=others))["device"]
    assert device["token"] == "t:APA91"
    assert device["attributes"] == {"DEVICE_ID": "u:APA91", "deviceId": "v:APA91"}


def test_a_flat_row_registers_its_device(convert: Convert) -> None:
    row = {
        "user_id": 1,
        "event": "application_opened",
        "event_text": "Application Opened",
        "timestamp": 1679407797,
        "context_device_token": "t",
        "context_device_type": "Android",
        "context_device_model": "Pixel 7",
        "context_app_version": "2.1",
        "context_locale": "de-DE",
        "build": 7,
    }
    assert convert("track", row)["device"] == {
        "token": "t",
        "platform": "android",
        "last_used": 1679407797,
        "attributes": {
            "build": 7,
            "device_model": "Pixel 7",
            "app_version": "2.1",
            "device_locale": "de-DE",
        },
    }


@pytest.mark.parametrize(
    ("kind", "platform"),
    [
        ("ios", "ios"),
        ("iOS", "ios"),
        ("IOS", "ios"),
        ("iPadOS", "ios"),
        ("ipados", "ios"),
        ("tvOS", "ios"),
        ("watchOS", "ios"),
        ("visionOS", "ios"),
        ("android", "android"),
        ("Android", "android"),
        ("ANDROID", "android"),
    ],
)
def test_the_platform_is_derived_from_the_device_type(
    convert: Convert, kind: str, platform: str
) -> None:
    record = opened(context=device("t", kind))
    assert convert("track", record)["device"]["platform"] == platform


@pytest.mark.parametrize(
    ("token", "platform"),
    [
        (APPLE, "ios"),
        (APPLE.upper(), "ios"),
        ("0" * 64, "ios"),
        (FCM, "android"),
        ("x:APA91", "android"),
    ],
)
@pytest.mark.parametrize("kind", [None, ""])
def test_otherwise_the_platform_is_derived_from_the_token(
    convert: Convert, token: str, platform: str, kind: str | None
) -> None:
    record = opened(context=device(token, kind))
    assert convert("track", record)["device"]["platform"] == platform


def test_the_device_type_wins_over_the_token(convert: Convert) -> None:
    for token, kind, platform in (
        (APPLE, "android", "android"),
        (FCM, "ios", "ios"),
    ):
        record = opened(context=device(token, kind))
        assert convert("track", record)["device"]["platform"] == platform


@pytest.mark.parametrize(
    ("name", "platform"),
    [
        ("iOS", "ios"),
        ("ios", "ios"),
        ("iPadOS", "ios"),
        ("iPhone OS", "ios"),
        ("macOS", "ios"),
        ("Mac OS X", "ios"),
        ("tvOS", "ios"),
        ("watchOS", "ios"),
        ("visionOS", "ios"),
        (" Android ", "android"),
    ],
)
@pytest.mark.parametrize("token", ["t", APPLE, FCM])
@pytest.mark.parametrize("kind", [None, "", " "])
def test_the_os_name_wins_over_the_token(
    convert: Convert, name: str, platform: str, token: str, kind: str | None
) -> None:
    context = device(token, kind, os={"name": name, "version": "17"})
    records = [opened(context=context)]
    if kind is None:
        row = {"context_device_token": token, "context_os_name": name}
        flat = {"CONTEXT_DEVICE_TOKEN": token, "CONTEXT_OS_NAME": name}
        records += [opened(**row), opened(**flat)]
    for record in records:
        sent = convert("track", record)["device"]
        assert (sent["token"], sent["platform"]) == (token, platform)


def test_the_device_type_wins_over_the_os_name(convert: Convert) -> None:
    context = device(FCM, "android", os={"name": "iOS"})
    sent = convert("track", opened(context=context))["device"]
    assert sent["platform"] == "android"


@pytest.mark.parametrize("name", ["Windows", "Linux", "Chrome OS", "webOS"])
@pytest.mark.parametrize("token", ["t", APPLE, FCM])
def test_a_device_of_another_system_is_rejected(
    rejection: Callable[..., Any], name: str, token: str
) -> None:
    rejected = rejection("track", opened(context=device(token, os={"name": name})))
    assert rejected.reason == "unknown_platform"
    assert rejected.field == "context.os.name"


@pytest.mark.parametrize(
    "token",
    ["t", "a" * 63, "a" * 65, "g" * 64, "APA91bFsKwjW9zUaiuJMC", "a" * 64 + "\n"],
)
def test_a_device_without_a_known_platform_is_rejected(
    rejection: Callable[..., Any], token: str
) -> None:
    rejection("track", opened(properties={"device_id": token}))
    rejection("track", opened(context=device(token)))


@pytest.mark.parametrize("kind", ["windows", "web", "linux", "androidtv", "i os"])
@pytest.mark.parametrize("token", ["t", APPLE, FCM])
def test_a_device_of_another_platform_is_rejected(
    rejection: Callable[..., Any], kind: str, token: str
) -> None:
    rejection("track", opened(context=device(token, kind)))


def test_a_device_has_app_os_model_and_locale_attributes(convert: Convert) -> None:
    context = {
        "device": {"token": "t", "type": "ios", "model": "iPhone14,5"},
        "app": {"version": "2.1.0", "build": 9},
        "os": {"name": "iOS", "version": "17.2"},
        "locale": "en-MX",
        "ip": "1.2.3.4",
    }
    record = opened(context=context, properties={"push_enabled": "true"})
    assert convert("track", record)["device"]["attributes"] == {
        "push_enabled": "true",
        "app_version": "2.1.0",
        "device_os": "iOS 17.2",
        "device_model": "iPhone14,5",
        "device_locale": "en-MX",
    }


def test_a_device_without_a_time_has_no_last_used(convert: Convert) -> None:
    record = opened(context=device("t", "ios"))
    assert "last_used" not in convert("track", record)["device"]


def test_dates_and_nulls_of_a_device_follow_the_settings(convert: Convert) -> None:
    properties = {"since": "2023-03-21T14:09:57Z", "gone": None}
    record = opened(context=device("t", "ios"), properties=properties)
    assert convert("track", record)["device"]["attributes"] == {
        "since": 1679407797,
        "gone": None,
    }
    kept = convert("track", record, convert_timestamps=False, null_attributes="omit")
    assert kept["device"]["attributes"] == {"since": "2023-03-21T14:09:57Z"}


@pytest.mark.parametrize("event", UPDATES)
@pytest.mark.parametrize("properties", [{}, {"device_id": None}, {"device_id": ""}])
def test_an_update_without_a_token_is_an_ordinary_event(
    convert: Convert, drawn: str, event: str, properties: dict[str, Any]
) -> None:
    record = {"userId": "1", "event": event, "properties": {**properties, "a": 1}}
    assert convert("track", record) == {
        "type": "person",
        "identifiers": {"id": "1"},
        "action": "event",
        "id": drawn,
        "name": event,
        "attributes": {**properties, "a": 1},
    }


@pytest.mark.parametrize("event", UPDATES)
def test_a_device_update_without_a_person_is_an_ordinary_event(
    convert: Convert, event: str
) -> None:
    record = {
        "anonymousId": "anon-1",
        "event": event,
        "properties": {"device_id": APPLE},
    }
    operation = convert("track", record)
    assert operation["action"] == "event"
    assert operation["identifiers"] == {"anonymous_id": "anon-1"}
    assert operation["name"] == event
    assert operation["attributes"] == {"device_id": APPLE}


def test_a_device_update_without_any_identifier_is_rejected(
    rejection: Callable[..., Any],
) -> None:
    properties = {"device_id": APPLE}
    rejection("track", {"event": "Application Opened", "properties": properties})


@pytest.mark.parametrize("event", DELETIONS)
@pytest.mark.parametrize(
    "where",
    [
        {"properties": {"device_id": "t"}},
        {"context": {"device": {"token": "t", "type": "windows"}}},
        {"context_device_token": "t"},
        {"device_id": "t"},
        {"properties": {"device_id": "other"}, "context": device("t")},
    ],
)
def test_a_device_deletion_contains_only_the_token(
    convert: Convert, event: str, where: dict[str, Any]
) -> None:
    record = {"userId": "1", "event": event, "timestamp": 5, **where}
    assert convert("track", record) == {
        "type": "person",
        "identifiers": {"id": "1"},
        "action": "delete_device",
        "device": {"token": "t"},
    }


@pytest.mark.parametrize("event", DELETIONS)
@pytest.mark.parametrize("properties", [{}, {"device_id": ""}, {"device_id": None}])
def test_a_deletion_without_a_token_is_rejected(
    rejection: Callable[..., Any], event: str, properties: dict[str, Any]
) -> None:
    rejection("track", {"userId": "1", "event": event, "properties": properties})
