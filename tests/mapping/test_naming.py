"""Whom and what a record names that cannot be converted."""

from __future__ import annotations

from typing import Any

import pytest

from target_customerio.mapping.call import ConversionSettings
from target_customerio.mapping.converter import converter_of
from target_customerio.track_api.operations import (
    ObjectIdentify,
    PersonIdentify,
    SegmentAdd,
)

ANN = "ann@example.com"


def named(call: Any, record: dict[str, Any], **settings: Any) -> Any:
    converter = converter_of(
        call,
        settings=ConversionSettings(**settings),
        draw=lambda: "01",
        notify=lambda _: None,
    )
    return converter.named(record)


@pytest.mark.parametrize(
    ("record", "identifiers"),
    [
        ({"user_id": 1, "created_at": "soon"}, {"id": "1"}),
        ({"USER_ID": "1", "traits": "{"}, {"id": "1"}),
        ({"userId": "1", "traits": 5}, {"id": "1"}),
        ({"userId": "1", "type": "track", "properties": {}}, {"id": "1"}),
        ({"userId": "1", "integrations": {"All": False}}, {"id": "1"}),
        ({"userId": "1", "integrations__All": False}, {"id": "1"}),
        ({"userId": "1", "email": "nowhere"}, {"id": "1"}),
        ({"email": ANN, "plan": float("nan")}, {"email": ANN}),
        ({"traits": {"email": ANN}, "timestamp": "soon"}, {"email": ANN}),
        ({"anonymousId": "a"}, {"anonymous_id": "a"}),
        ({"userId": "cio_07"}, {"cio_id": "07"}),
    ],
)
def test_people(record: dict[str, Any], identifiers: dict[str, str]) -> None:
    found = named("identify", record)
    assert isinstance(found, PersonIdentify)
    assert found.identifiers == identifiers


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"plan": "a"},
        {"userId": " "},
        {"userId": 1.5},
        {"userId": {}},
        {"email": "nowhere"},
        {"traits": "{"},
    ],
)
def test_nobody_can_be_read(record: dict[str, Any]) -> None:
    assert named("identify", record) is None


def test_the_address_beside_an_id_counts_too() -> None:
    for record in ({"email": ANN}, {"traits": {"email": ANN}}):
        found = named("identify", {"userId": "1", "timestamp": "soon", **record})
        assert found.attributes == {"email": ANN}


def test_an_anonymous_id_that_is_used_as_id() -> None:
    found = named("identify", {"anonymousId": "a"}, anonymous_identify="use_as_id")
    assert found.identifiers == {"id": "a"}


def test_objects_and_relationships() -> None:
    found = named("group", {"groupId": 1, "userId": "2", "action": "unknown"})
    assert isinstance(found, ObjectIdentify)
    assert found.identifiers == {"object_type_id": "1", "object_id": "1"}
    assert [each.identifiers for each in found.cio_relationships or ()] == [{"id": "2"}]
    found = named("identify", {"userId": "2", "objectId": "c", "timestamp": "soon"})
    assert [each.identifiers for each in found.cio_relationships] == [
        {"object_type_id": "1", "object_id": "c"}
    ]
    assert named("group", {"userId": "2"}) is None


def test_memberships() -> None:
    found = named("segment", {"segment_id": 7, "user_id": "1", "action": "join"})
    assert isinstance(found, SegmentAdd)
    assert (found.segment_id, found.identifiers) == ("7", {"id": "1"})
    assert named("segment", {"user_id": "1"}) is None


def test_events_name_nobody() -> None:
    assert named("track", {"userId": "1"}) is None
    assert named("by_type", {"type": "track", "userId": "1"}) is None
    assert named("by_type", {"userId": "1"}) is None
    assert (
        named("by_type", {"type": "identify", "userId": "1", "traits": 5}) is not None
    )
