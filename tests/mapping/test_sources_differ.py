"""Behaviour where the sources differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]


def test_a_screen_is_a_screen_view_as_customer_io_says(convert: Convert) -> None:
    operation = convert("screen", {"userId": "1", "name": "Main"})
    assert (operation["action"], operation["name"]) == ("screen", "Main")


def test_a_screen_is_an_event_as_segment_says_by_setting(convert: Convert) -> None:
    record = {"userId": "1", "name": "Main", "properties": {"prop_key": "prop_value"}}
    operation = convert("screen", record, screen_events="viewed_event")
    assert (operation["action"], operation["name"]) == ("event", "Viewed Main Screen")
    assert operation["attributes"] == {"prop_key": "prop_value"}


def test_identify_without_a_user_id_goes_by_email(convert: Convert) -> None:
    record = {"anonymousId": "a", "traits": {"email": "ann@example.com"}}
    operation = convert("identify", record)
    assert operation["identifiers"] == {"email": "ann@example.com"}


def test_identify_without_user_id_and_email_is_skipped(
    is_skipped: Callable[..., bool],
) -> None:
    assert is_skipped("identify", {"anonymousId": "a", "traits": {"name": "Ann"}})


def test_identify_goes_by_anonymous_id_as_rudderstack_says_by_setting(
    convert: Convert,
) -> None:
    record = {"anonymousId": "a", "traits": {"name": "Ann"}}
    operation = convert("identify", record, anonymous_identify="use_as_id")
    assert operation["identifiers"] == {"id": "a"}
    assert operation["attributes"] == {"name": "Ann"}


def test_application_uninstalled_removes_the_device(convert: Convert) -> None:
    context = {"device": {"token": "t", "type": "ios"}}
    record = {"userId": "1", "event": "Application Uninstalled", "context": context}
    operation = convert("track", record)
    assert operation["action"] == "delete_device"
    assert operation["device"] == {"token": "t"}


def test_all_traits_of_a_group_are_the_object_s_attributes(convert: Convert) -> None:
    traits = {"name": "Acme", "objectAttributes": {"plan": "pro"}}
    operation = convert("group", {"groupId": "acme", "traits": traits})
    assert operation["attributes"] == traits


def test_dates_in_untyped_json_follow_customer_io_s_rule(
    attributes_of: Convert,
) -> None:
    traits = {
        "bare": "2023-03-21",
        "microseconds": "2023-03-21T14:09:57.123456Z",
        "milliseconds": "2023-03-21T14:09:57.123Z",
    }
    record = {"userId": "1", "traits": traits}
    assert attributes_of("identify", record) == {**traits, "milliseconds": 1679407797}


def test_dates_in_typed_columns_are_always_converted(attributes_of: Convert) -> None:
    row = {
        "user_id": 1,
        "bare": "2023-03-21",
        "microseconds": "2023-03-21T14:09:57.123456Z",
    }
    schema = {
        "properties": {
            "bare": {"type": "string", "format": "date"},
            "microseconds": {"type": "string", "format": "date-time"},
        }
    }
    assert attributes_of("identify", row, schema=schema) == {
        "bare": 1679356800,
        "microseconds": 1679407797,
    }
