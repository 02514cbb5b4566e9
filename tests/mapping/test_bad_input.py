"""Invalid input rejects its record and never ends the run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.errors import RejectedRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

WHO = {"userId": "1", "groupId": "g", "event": "x", "name": "x"}
BODY = {
    "identify": "traits",
    "group": "traits",
    "track": "properties",
    "page": "properties",
    "screen": "properties",
}


def nested(levels: int) -> Any:
    """Return so many objects within each other."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def sent_or_rejected(converter: Any, record: dict[str, Any]) -> Any:
    """Convert a record; a rejection is accepted as well."""
    try:
        return converter.convert(record)
    except RejectedRecord:
        return None


@pytest.mark.parametrize("call", BODY)
def test_too_deeply_nested_json_text_is_rejected(
    rejection: Callable[..., Any], call: str
) -> None:
    for text in ('{"a":' * 100_000, "[" * 100_000):
        assert rejection(call, {**WHO, BODY[call]: text}).field == BODY[call]


@pytest.mark.parametrize("call", BODY)
def test_too_deeply_nested_relationship_attributes_are_rejected(
    converter: Callable[..., Any], call: str
) -> None:
    text = '{"a":' * 100_000
    record = {**WHO, BODY[call]: {"objectId": "g", "relationshipAttributes": text}}
    ours = converter(call)
    if call in {"identify", "group"}:
        with pytest.raises(RejectedRecord):
            ours.convert(record)
    else:
        ours.convert(record)


@pytest.mark.parametrize("levels", [100, 300, 500])
@pytest.mark.parametrize("form", ["object", "text"])
def test_deep_values_are_sent_or_rejected_without_an_error(
    converter: Callable[..., Any], levels: int, form: str
) -> None:
    properties = nested(levels)
    record = {**WHO, "properties": properties}
    if form == "text":
        record["properties"] = json.dumps(properties)
    sent = sent_or_rejected(converter("track"), record)
    if sent is None:
        assert levels > 100
    else:
        assert sent.attributes == properties


@pytest.mark.parametrize("digits", ["9" * 4000, "9" * 5000], ids=["long", "longer"])
@pytest.mark.parametrize("field", ["created_at", "createdAt"])
def test_a_created_at_with_very_many_digits_is_no_error(
    converter: Callable[..., Any], digits: str, field: str
) -> None:
    for record in ({"traits": {field: digits}}, {"traits": {}, field: digits}):
        sent = sent_or_rejected(converter("identify"), {"userId": "1", **record})
        if sent is not None:
            created_at = sent.attributes["created_at"]
            assert created_at == digits or isinstance(created_at, int)


@pytest.mark.parametrize("call", [*BODY, "alias"])
def test_an_empty_record_is_rejected(rejection: Callable[..., Any], call: str) -> None:
    rejection(call, {})


@pytest.mark.parametrize("wrong", [5, True, 1.5, ["x"], {"x": 1}])
@pytest.mark.parametrize(
    ("call", "field"),
    [("track", "event"), ("track", "event_text"), ("page", "name"), ("screen", "name")],
)
def test_a_name_that_is_not_text_is_rejected(
    rejection: Callable[..., Any], call: str, field: str, wrong: Any
) -> None:
    record = {"userId": "1", "properties": {}, field: wrong}
    assert rejection(call, record).field == field


@pytest.mark.parametrize("call", BODY)
def test_a_number_out_of_range_in_json_text_is_rejected(
    rejection: Callable[..., Any], call: str
) -> None:
    text = '{"a": 1e10000000000000000000}'
    assert rejection(call, {**WHO, BODY[call]: text}).reason == "invalid_json"


@pytest.mark.parametrize(
    ("call", "record", "field"),
    [
        ("identify", {"userId": "", "context": {"traits": "no"}}, "context.traits"),
        (
            "track",
            {"event": "Application Opened", "context": {"device": 7}},
            "context.device",
        ),
        ("group", {"groupId": 1.5}, "groupId"),
        ("group", {"groupId": "  "}, "groupId"),
        ("group", {"traits": {"objectId": 1.5}}, "objectId"),
        ("identify", {"traits": {}, "context": {"groupId": 1.5}}, "context.groupId"),
    ],
)
def test_the_rejection_names_the_invalid_field(
    rejection: Callable[..., RejectedRecord],
    call: str,
    record: dict[str, Any],
    field: str,
) -> None:
    assert rejection(call, {"userId": "ada", **record}).field == field
