"""Track events that are actions, except those on devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.mapping.actions import events_of_actions

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

DEFAULTS = {
    "create_or_update_device": {
        "Application Installed",
        "Application Opened",
        "Device Created or Updated",
    },
    "delete_device": {"Application Uninstalled", "Device Deleted"},
    "delete_relationship": {"Relationship Deleted"},
    "delete_person": {"User Deleted"},
    "delete_object": {"Object Deleted"},
    "suppress_person": {"User Suppressed"},
    "unsuppress_person": {"User Unsuppressed"},
    "report_delivery_event": {"Report Delivery Event"},
    "report_content_event": {"Report Content Event"},
}


def names_of(actions: dict[str, str]) -> dict[str, set[str]]:
    """Gather the event names of each action."""
    names: dict[str, set[str]] = {}
    for name, action in actions.items():
        names.setdefault(action, set()).add(name)
    return names


def test_the_default_names_are_the_documented_ones() -> None:
    actions, errors = events_of_actions({})
    assert names_of(actions) == DEFAULTS
    assert not errors


def test_a_list_replaces_the_names_of_its_action_and_of_no_other() -> None:
    names = ["Application Opened", "device_token_registered"]
    actions, errors = events_of_actions({"create_or_update_device": names})
    assert names_of(actions) == {**DEFAULTS, "create_or_update_device": set(names)}
    assert not errors


def test_an_empty_list_switches_an_action_off(convert: Convert) -> None:
    actions, errors = events_of_actions({"delete_person": []})
    assert not errors
    assert "delete_person" not in names_of(actions)
    record = {"userId": "1", "event": "User Deleted", "properties": {"a": 1}}
    operation = convert("track", record, action_events=actions)
    assert operation["action"] == "event"
    assert operation["name"] == "User Deleted"
    assert operation["attributes"] == {"a": 1}


def test_a_name_listed_for_two_actions_is_an_error_that_names_both() -> None:
    _, errors = events_of_actions({"suppress_person": ["User Deleted"]})
    (error,) = errors
    for part in ("action_events", "User Deleted", "suppress_person", "delete_person"):
        assert part in error


def test_a_name_may_move_from_one_action_to_another(convert: Convert) -> None:
    actions, errors = events_of_actions(
        {"suppress_person": ["User Deleted"], "delete_person": []}
    )
    assert not errors
    record = {"userId": "1", "event": "User Deleted"}
    assert convert("track", record, action_events=actions)["action"] == "suppress"


@pytest.mark.parametrize(
    "name", ["user deleted", "User deleted", "User  Deleted", "UserDeleted", "User"]
)
def test_names_match_exactly(convert: Convert, name: str) -> None:
    operation = convert("track", {"userId": "1", "event": name, "properties": {}})
    assert operation["action"] == "event"
    assert operation["name"] == name


@pytest.mark.parametrize(
    "name", ["User Deleted ", " User Deleted", "\tUser Deleted\n", "\u00a0User Deleted"]
)
def test_white_space_around_a_name_is_ignored(convert: Convert, name: str) -> None:
    assert convert("track", {"userId": "1", "event": name})["action"] == "delete"
    actions, errors = events_of_actions(
        {"suppress_person": ["Gone"], "delete_person": [name]}
    )
    assert not errors
    record = {"userId": "1", "event": "User Deleted"}
    assert convert("track", record, action_events=actions)["action"] == "delete"


def test_an_ordinary_event_keeps_the_white_space_around_its_name(
    convert: Convert,
) -> None:
    for name in (" Bought ", " Application Opened"):
        operation = convert("track", {"userId": "1", "event": name})
        assert (operation["action"], operation["name"]) == ("event", name)


def test_one_name_with_and_without_white_space_cannot_be_two_actions() -> None:
    _, (error,) = events_of_actions({"suppress_person": [" User Deleted"]})
    for part in ("action_events", "User Deleted", "suppress_person", "delete_person"):
        assert part in error


@pytest.mark.parametrize("name", ["", " ", "\u00a0"])
def test_a_blank_name_is_an_error_that_names_the_action(name: str) -> None:
    _, (error,) = events_of_actions({"suppress_person": ["Gone", name]})
    assert "action_events" in error
    assert "suppress_person" in error


@pytest.mark.parametrize("call", ["page", "screen"])
def test_only_track_calls_are_actions(convert: Convert, call: str) -> None:
    record = {"userId": "1", "name": "User Deleted", "event": "User Deleted"}
    assert convert(call, record)["action"] == call


def test_an_action_is_known_by_the_event_s_text_too(convert: Convert) -> None:
    row = {"user_id": 1, "event": "user_deleted", "event_text": "User Deleted"}
    assert convert("track", row)["action"] == "delete"


@pytest.mark.parametrize(
    ("event", "action"),
    [
        ("User Deleted", "delete"),
        ("User Suppressed", "suppress"),
        ("User Unsuppressed", "unsuppress"),
    ],
)
@pytest.mark.parametrize(
    "record",
    [
        {"userId": "97980cfea0067", "properties": {"reason": "x"}, "timestamp": 5},
        {"userId": "97980cfea0067", "reason": "x", "timestamp": 5},
        {"userId": "97980cfea0067", "properties": {"email": "ann@example.com"}},
    ],
)
def test_a_person_is_deleted_suppressed_and_unsuppressed(
    convert: Convert, event: str, action: str, record: dict[str, Any]
) -> None:
    assert convert("track", {"event": event, **record}) == {
        "type": "person",
        "identifiers": {"id": "97980cfea0067"},
        "action": action,
    }


OBJECTS = [
    ({"properties": {"objectId": "acme", "objectTypeId": 2}}, "2"),
    ({"properties": {"object_id": "acme", "object_type_id": "2"}}, "2"),
    ({"properties": {"objectId": "acme"}}, "1"),
    ({"properties__objectId": "acme", "properties__objectTypeId": 2}, "2"),
    ({"object_id": "acme", "object_type_id": 2}, "2"),
    ({"object_id": "acme"}, "1"),
    ({"objectId": "acme"}, "1"),
]


@pytest.mark.parametrize(("record", "type_id"), OBJECTS)
def test_a_relationship_is_deleted(
    convert: Convert, record: dict[str, Any], type_id: str
) -> None:
    record = {"event": "Relationship Deleted", "userId": "97980cfea0067", **record}
    assert convert("track", record) == {
        "type": "object",
        "identifiers": {"object_type_id": type_id, "object_id": "acme"},
        "action": "delete_relationships",
        "cio_relationships": [{"identifiers": {"id": "97980cfea0067"}}],
    }


@pytest.mark.parametrize(("record", "type_id"), OBJECTS)
@pytest.mark.parametrize("who", [{}, {"userId": "97980cfea0067"}])
def test_an_object_is_deleted(
    convert: Convert, record: dict[str, Any], type_id: str, who: dict[str, str]
) -> None:
    assert convert("track", {"event": "Object Deleted", **who, **record}) == {
        "type": "object",
        "identifiers": {"object_type_id": type_id, "object_id": "acme"},
        "action": "delete",
    }


@pytest.mark.parametrize("event", ["Relationship Deleted", "Object Deleted"])
@pytest.mark.parametrize(
    "properties", [{}, {"objectId": ""}, {"objectId": True}, {"objectId": " "}]
)
def test_an_object_without_an_id_is_rejected(
    rejection: Callable[..., Any], event: str, properties: dict[str, Any]
) -> None:
    rejection("track", {"userId": "1", "event": event, "properties": properties})


REPORT = {
    "deliveryId": "RPILAgUBcRhIBqSfeiIwdIYJKxTY",
    "metric": "clicked",
    "recipient": "ann@example.com",
    "reason": "because",
    "href": "https://a.example",
    "actionName": "button",
    "actionValue": "left",
}
REPORTED = {
    "delivery_id": "RPILAgUBcRhIBqSfeiIwdIYJKxTY",
    "metric": "clicked",
    "timestamp": 1679407797,
    "recipient": "ann@example.com",
    "reason": "because",
    "href": "https://a.example",
    "metadata": {"action_name": "button", "action_value": "left"},
}


def snake(properties: dict[str, Any]) -> dict[str, Any]:
    """Spell the fields of a report as a warehouse does."""
    names = {
        "deliveryId": "delivery_id",
        "actionName": "action_name",
        "actionValue": "action_value",
    }
    return {names.get(name, name): value for name, value in properties.items()}


@pytest.mark.parametrize(
    "record",
    [
        {"properties": REPORT},
        {"properties": snake(REPORT)},
        REPORT,
        snake(REPORT),
        {"userId": "1", "properties": {**REPORT, "other": 1}},
    ],
    ids=["nested", "nested-snake", "flat", "flat-snake", "with-a-person"],
)
def test_a_delivery_report_names_its_delivery_and_needs_no_person(
    convert: Convert, record: dict[str, Any]
) -> None:
    record = {"event": "Report Delivery Event", "timestamp": 1679407797000, **record}
    assert convert("track", record) == REPORTED


def test_a_delivery_report_carries_only_what_it_has(convert: Convert) -> None:
    properties = {"deliveryId": "d", "metric": "opened", "href": None}
    record = {"event": "Report Delivery Event", "properties": properties}
    assert convert("track", record) == {"delivery_id": "d", "metric": "opened"}


def test_one_detail_of_a_click_makes_the_metadata(convert: Convert) -> None:
    properties = {"deliveryId": "d", "metric": "clicked", "actionName": "x"}
    record = {"event": "Report Delivery Event", "properties": properties}
    assert convert("track", record)["metadata"] == {"action_name": "x"}


@pytest.mark.parametrize("missing", ["deliveryId", "metric"])
def test_a_delivery_report_needs_a_delivery_and_a_metric(
    rejection: Callable[..., Any], missing: str
) -> None:
    for absent in ({}, {missing: None}, {missing: ""}):
        kept = {name: value for name, value in REPORT.items() if name != missing}
        record = {"event": "Report Delivery Event", "properties": {**kept, **absent}}
        assert missing in rejection("track", record).field


@pytest.mark.parametrize("action", ["viewed_content", "clicked_content"])
@pytest.mark.parametrize("spelling", ["actionType", "action_type"])
@pytest.mark.parametrize(
    ("who", "identifiers"),
    [
        ({"anonymousId": "anon-1"}, {"anonymous_id": "anon-1"}),
        ({"userId": "1", "anonymousId": "anon-1"}, {"id": "1"}),
    ],
)
def test_a_content_report_becomes_the_action_in_its_type(
    convert: Convert,
    drawn: str,
    action: str,
    spelling: str,
    who: dict[str, str],
    identifiers: dict[str, str],
) -> None:
    record = {
        "event": "Report Content Event",
        "timestamp": "2023-03-21T14:09:57Z",
        "properties": {spelling: action, "campaign": 5},
    }
    operation = convert("track", {**record, **who})
    assert operation["type"] == "person"
    assert operation["action"] == action
    assert operation["identifiers"] == identifiers
    assert operation["timestamp"] == 1679407797
    assert operation["id"] == drawn
    assert operation["attributes"]["campaign"] == 5


@pytest.mark.parametrize(
    "action", [None, "", "viewed", "Viewed_Content", 5, True, ["viewed_content"], {}]
)
def test_a_content_report_of_another_type_is_rejected(
    rejection: Callable[..., Any], action: Any
) -> None:
    properties = {"actionType": action}
    record = {"userId": "1", "event": "Report Content Event", "properties": properties}
    assert "actionType" in rejection("track", record).field
