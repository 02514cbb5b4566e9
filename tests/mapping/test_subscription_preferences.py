"""Subscription preferences: an object, JSON text, flattened, or dotted keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

NAME = "cio_subscription_preferences"
PREFERENCES = {"topics": {"topic_1": True, "topic_2": False}}
FORMS: dict[str, dict[str, Any]] = {
    "object": {NAME: PREFERENCES},
    "text": {NAME: '{"topics": {"topic_1": true, "topic_2": false}}'},
    "text of topics": {NAME: {"topics": '{"topic_1": true, "topic_2": false}'}},
    "flattened": {
        f"{NAME}__topics__topic_1": True,
        f"{NAME}__topics__topic_2": False,
    },
    "flattened by a warehouse": {
        f"{NAME}_topics_topic_1": True,
        f"{NAME}_topics_topic_2": False,
    },
    "flattened once": {f"{NAME}__topics": '{"topic_1": true, "topic_2": false}'},
    "in part": {
        NAME: '{"topics": {"topic_1": true}}',
        f"{NAME}__topics__topic_1": False,
        f"{NAME}__topics__topic_2": False,
    },
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("null_attributes", ["send", "omit"])
def test_preferences_in_every_form_are_one_object(
    attributes_of: Convert, form: str, null_attributes: str
) -> None:
    flat = {**FORMS[form], "a": 1}
    for record in ({"traits": flat}, flat):
        attributes = attributes_of(
            "identify", {"userId": "1", **record}, null_attributes=null_attributes
        )
        assert attributes == {"a": 1, NAME: PREFERENCES}


def test_preferences_flattened_below_traits(attributes_of: Convert) -> None:
    row = {
        "user_id": 1,
        f"traits__{NAME}__topics__topic_1": True,
        f"traits__{NAME}__topics__topic_2": False,
    }
    assert attributes_of("identify", row) == {NAME: PREFERENCES}


def test_preferences_flattened_by_another_separator(attributes_of: Convert) -> None:
    row = {
        "user_id": 1,
        f"{NAME}-topics-topic_1": True,
        f"{NAME}-topics-topic_2": False,
    }
    attributes = attributes_of("identify", row, flattening_separator="-")
    assert attributes == {NAME: PREFERENCES}


@pytest.mark.parametrize("separator", ["__", "."])
def test_dotted_keys_stay_as_they_are(attributes_of: Convert, separator: str) -> None:
    traits = {f"{NAME}.topics.topic_1": False, "unsubscribed": False}
    for record in ({"traits": traits}, traits):
        attributes = attributes_of(
            "identify", {"userId": "1", **record}, flattening_separator=separator
        )
        assert attributes == traits


def test_a_null_topic_follows_the_setting(attributes_of: Convert) -> None:
    row = {"user_id": 1, f"{NAME}__topics__topic_1": None}
    assert attributes_of("identify", row) == {NAME: {"topics": {"topic_1": None}}}
    assert attributes_of("identify", row, null_attributes="omit") == {}
    text = {"user_id": 1, NAME: '{"topics": {"topic_1": null, "topic_2": true}}'}
    assert attributes_of("identify", text, null_attributes="omit") == {
        NAME: {"topics": {"topic_2": True}}
    }


@pytest.mark.parametrize("value", ["", "n/a", "[1]", "5", "null", 5, None, [1]])
def test_preferences_that_are_not_an_object_are_unchanged(
    attributes_of: Convert, value: Any
) -> None:
    record = {"userId": "1", "traits": {NAME: value}}
    assert attributes_of("identify", record) == {NAME: value}


def test_other_names_with_the_same_start_stay(attributes_of: Convert) -> None:
    traits = {f"{NAME}_note": "x", f"{NAME}_topicsx": 1, f"{NAME}__other__a": 2}
    assert attributes_of("identify", {"userId": "1", "traits": traits}) == traits
    group = {"groupId": "g", "traits": {NAME: "{}"}}
    assert attributes_of("group", group) == {NAME: "{}"}
