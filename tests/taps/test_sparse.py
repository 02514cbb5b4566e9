"""Sparse and typed columns, and the forms in which warehouses return rows."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

NESTED = {
    "gone": None,
    "kept": 1,
    "inside": {"gone": None, "kept": [None, {"gone": None, "kept": False}]},
}
SENT = {
    "kept": 1,
    "inside": {"gone": None, "kept": [None, {"gone": None, "kept": False}]},
}
OMITTED = {"kept": 1, "inside": {"kept": [None, {"kept": False}]}}

SHAPES: dict[str, dict[str, Any]] = {
    "object": {"traits": NESTED},
    "text": {"traits": json.dumps(NESTED)},
    "row": NESTED,
    "flattened": {f"traits__{name}": value for name, value in NESTED.items()},
}


@pytest.mark.parametrize("null_attributes", ["send", "omit"])
@pytest.mark.parametrize("shape", SHAPES)
def test_nulls_clear_or_keep_existing_values(
    shape: str, null_attributes: str, terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="ann", traits={"gone": "old", "kept": 0}),
        singer.record("identifies", userId="ann", **SHAPES[shape]),
        null_attributes=null_attributes,
    )

    attributes = outcome.workspace["people"]["id:ann"]["attributes"]
    if null_attributes == "send":
        assert attributes == SENT
    else:
        assert attributes == {"gone": "old", **OMITTED}


@pytest.mark.parametrize("null_attributes", ["send", "omit"])
def test_nulls_of_events_objects_and_relationships_follow_the_setting(
    null_attributes: str, terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("tracks"),
        singer.schema("groups"),
        singer.record("tracks", user_id="ann", event="Row", gone=None, kept=1),
        singer.record("tracks", userId="ann", event="Call", properties=NESTED),
        singer.record(
            "groups",
            groupId="acme",
            userId="ann",
            traits={"name": "A", "gone": "old"},
            relationshipAttributes={"role": "old"},
        ),
        singer.record(
            "groups",
            group_id="acme",
            user_id="ann",
            gone=None,
            relationship_attributes='{"role": null, "level": 2}',
        ),
        null_attributes=null_attributes,
    )

    workspace = outcome.workspace
    events = {each["name"]: each["attributes"] for each in workspace["events"]}
    (relationship,) = workspace["relationships"]
    company = workspace["objects"]["1:acme"]["attributes"]
    if null_attributes == "send":
        assert events == {"Row": {"gone": None, "kept": 1}, "Call": NESTED}
        assert company == {"name": "A"}
        assert relationship["attributes"] == {"level": 2}
    else:
        assert events == {"Row": {"kept": 1}, "Call": OMITTED}
        assert company == {"name": "A", "gone": "old"}
        assert relationship["attributes"] == {"role": "old", "level": 2}


EXACT = '{"big": 9007199254740993, "exact": 0.10000000000000000001, "e": 1E+2}'
CONTEXT = {
    "device": {"token": "ab" * 32, "type": "iOS", "model": "X"},
    "app": {"version": "1.2"},
    "traits": {"email": "ann@example.com"},
}


def test_json_text_is_read_with_its_numbers_exact(terminal: Any, singer: Any) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.schema("tracks"),
        singer.schema("groups"),
        singer.record("identifies", userId="ann", traits=EXACT),
        singer.record("tracks", userId="ann", event="E", properties=EXACT),
        singer.record(
            "tracks",
            event="Application Opened",
            properties="{}",
            context=json.dumps(CONTEXT),
        ),
        singer.record("groups", groupId="acme", traits=EXACT),
    )

    exact = {
        "big": 9007199254740993,
        "exact": Decimal("0.10000000000000000001"),
        "e": 100,
    }
    workspace = outcome.workspace
    assert workspace["people"]["id:ann"]["attributes"] == exact
    assert workspace["objects"]["1:acme"]["attributes"] == exact
    assert [each["attributes"] for each in workspace["events"]] == [exact]
    (device,) = workspace["devices"].values()
    assert device["person"] == "email:ann@example.com"
    assert device["attributes"] == {"app_version": "1.2", "device_model": "X"}


NO_OBJECTS = ["[1]", '"text"', "7", "{", "plain text"]


@pytest.mark.parametrize("column", ["traits", "properties"])
def test_an_invalid_container_is_rejected(
    column: str, terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("tracks"),
        *(
            singer.record("tracks", userId="ann", event="E", **{column: text})
            for text in NO_OBJECTS
        ),
        on_rejected="continue",
    )

    reasons = ["invalid_type"] * 3 + ["invalid_json"] * 2
    assert outcome.reasons == [(reason, column) for reason in reasons]


def test_an_invalid_context_is_ignored_with_one_warning(
    terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("tracks"),
        *(
            singer.record(
                "tracks", messageId=text, userId="ann", event="E", context=text
            )
            for text in NO_OBJECTS
        ),
    )

    assert outcome.code == 0
    assert len(outcome.workspace["events"]) == len(NO_OBJECTS)
    assert (
        sum("context is not an object" in line for line in outcome.lines("WARNING"))
        == 1
    )


DEVICE_COLUMNS = [
    {"context_device_token": "ab" * 32, "context_device_type": "ios"},
    {"context__device__token": "ab" * 32, "context__device__type": "ios"},
    {"context_device__token": "ab" * 32, "context__device_type": "ios"},
    {"context": {"device": {"token": "ab" * 32}}, "context_device_type": "ios"},
    {"context": '{"device": {"type": "ios"}}', "context__device__token": "ab" * 32},
    {"context__device": {"token": "ab" * 32, "type": "ios"}},
    {"context__device": json.dumps({"token": "ab" * 32, "type": "ios"})},
    {"context_device": json.dumps({"token": "ab" * 32, "type": "ios"})},
]


def test_a_device_is_found_in_every_flattened_spelling(
    terminal: Any, singer: Any
) -> None:
    messages = [singer.schema("tracks")]
    for number, columns in enumerate(DEVICE_COLUMNS):
        named = json.loads(json.dumps(columns).replace("abab", f"{number:04}", 1))
        call = {"event": "Application Opened", "user_id": number, "size": 1}
        messages.append(singer.record("tracks", **call, **named))

    outcome = terminal.run(*messages)

    assert {
        each["person"]: (token[:6], each["platform"], each["attributes"])
        for token, each in outcome.workspace["devices"].items()
    } == {
        f"id:{number}": (f"{number:04}ab", "ios", {"size": 1})
        for number in range(len(DEVICE_COLUMNS))
    }


def typed(kind: str) -> dict[str, Any]:
    return {"type": ["string", "null"], "format": kind}


DATES = {
    "day": typed("date"),
    "fine": typed("date-time"),
    "either": {"anyOf": [typed("date-time"), {"type": "null"}]},
    "days": {"type": "array", "items": typed("date")},
    "deep": {"type": "object", "properties": {"day": typed("date")}},
    "text": {"type": "string"},
}
VALUES = {
    "day": "2024-02-29",
    "fine": "2024-02-29 00:00:01.123456789+00",
    "either": "2024-02-29T05:30:02.999999+05:30",
    "days": ["2024-02-29", None, "1969-12-31"],
    "deep": {"day": "2024-02-29", "other": "2024-02-29"},
    "text": "2024-02-29",
}
CONVERTED = {
    "day": 1709164800,
    "fine": 1709164801,
    "either": 1709164802,
    "days": [1709164800, None, -86400],
    "deep": {"day": 1709164800, "other": "2024-02-29"},
    "text": "2024-02-29",
}


@pytest.mark.parametrize("convert_timestamps", [True, False])
@pytest.mark.parametrize("nested", [False, True])
def test_typed_dates_are_converted_in_rows_and_in_calls(
    terminal: Any, singer: Any, *, nested: bool, convert_timestamps: bool
) -> None:
    schema = {"traits": {"type": "object", "properties": DATES}} if nested else DATES
    record = {"traits": VALUES} if nested else VALUES

    outcome = terminal.run(
        singer.schema("identifies", schema),
        singer.record("identifies", userId="ann", **record),
        convert_timestamps=convert_timestamps,
    )

    expected = CONVERTED if convert_timestamps else VALUES
    assert outcome.workspace["people"]["id:ann"]["attributes"] == expected


def call_schema() -> dict[str, Any]:
    return {
        "userId": {"type": "string"},
        "event": {"type": "string"},
        "properties": {
            "type": "object",
            "properties": {
                "plain": {"type": "integer"},
                "at": typed("date-time"),
                "deep": {
                    "type": "object",
                    "properties": {
                        "day": typed("date"),
                        "deeper": {
                            "type": "object",
                            "properties": {"n": {"type": "number"}},
                        },
                    },
                },
                "email": {"type": "string"},
            },
        },
        "context": {
            "type": "object",
            "properties": {
                "device": {
                    "type": "object",
                    "properties": {
                        "token": {"type": "string"},
                        "type": {"type": "string"},
                    },
                }
            },
        },
    }


PROPERTIES = {
    "plain": 1,
    "at": "2024-02-29T00:00:01.123456Z",
    "deep": {"day": "2024-02-29", "deeper": {"n": 0.5}},
}
LANDED = {
    "plain": 1,
    "at": 1709164801,
    "deep": {"day": 1709164800, "deeper": {"n": Decimal("0.5")}},
}


@pytest.mark.parametrize(
    ("separator", "depth"),
    [
        *(("__", depth) for depth in (1, 2, 3, 5)),
        ("_", 2),
        ("_", 4),
        (".", 4),
        ("-", 3),
    ],
)
def test_flattening_makes_no_difference(
    separator: str, depth: int, terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("tracks", call_schema()),
        singer.record("tracks", userId="ann", event="Bought", properties=PROPERTIES),
        singer.record(
            "tracks",
            userId="ann",
            event="Application Opened",
            properties={"plain": 2},
            context={"device": {"token": "ab" * 32, "type": "iOS"}},
        ),
        flattening_enabled=True,
        flattening_max_depth=depth,
        flattening_separator=separator,
    )

    assert (outcome.code, outcome.reasons) == (0, [])
    (event,) = outcome.workspace["events"]
    deep = event["attributes"].get("deep")
    if isinstance(deep, str):  # values below the flattening depth
        event["attributes"]["deep"] = LANDED["deep"]
    elif isinstance(deep.get("deeper"), str):
        deep["deeper"] = LANDED["deep"]["deeper"]  # type: ignore[index]
    assert event["attributes"] == LANDED
    (device,) = outcome.workspace["devices"].values()
    assert (device["person"], device["platform"]) == ("id:ann", "ios")
    assert device["attributes"]["plain"] == 2


@pytest.mark.parametrize("add_record_metadata", [False, True])
def test_the_columns_of_singer_are_never_attributes(
    terminal: Any, singer: Any, *, add_record_metadata: bool
) -> None:
    names = ("_sdc_batched_at", "_sdc_anything", "_sdc_sequence", "_sdc_lsn")
    calls = ("identifies", "tracks", "groups", "pages", "screens")
    call = {"userId": "a", "event": "E", "groupId": "g", "name": "N", "size": 1}

    outcome = terminal.run(
        *(
            singer.schema(name, list(call), additionalProperties=False)
            for name in calls
        ),
        *(
            singer.record(name, **call, **dict.fromkeys(names, value))
            for name in calls
            for value in (1, "2026-01-01T00:00:00Z", None, {"any": "thing"})
        ),
        add_record_metadata=add_record_metadata,
    )

    workspace = json.dumps(outcome.workspace, default=str)
    assert (outcome.code, outcome.reasons) == (0, [])
    assert workspace.count('"size": 1') == 1 + 1 + 3 * 4
    assert "_sdc" not in workspace


def test_a_sparse_table_of_events_sends_only_what_a_row_has(
    terminal: Any, singer: Any
) -> None:
    columns = [f"column_{number}" for number in range(300)]
    rows: list[dict[str, Any]] = [dict.fromkeys(columns) for _ in range(5)]
    for number, row in enumerate(rows):
        row |= {"user_id": "ann", "event": f"E{number}", columns[number * 7]: number}

    outcome = terminal.run(
        singer.schema("tracks"),
        *(singer.record("tracks", **row) for row in rows),
        null_attributes="omit",
    )

    assert {
        each["name"]: each["attributes"] for each in outcome.workspace["events"]
    } == {f"E{number}": {columns[number * 7]: number} for number in range(5)}


def test_validation_against_a_too_strict_schema_can_be_disabled(
    terminal: Any, singer: Any
) -> None:
    """For example, tap-postgres disallows nulls in arrays, which may contain them."""
    tags = {"type": ["array", "null"], "items": {"type": ["string"]}}
    messages = [
        singer.schema("identifies", {"tags": tags}),
        singer.record("identifies", userId="ann", tags=["a", None]),
    ]

    first = terminal.run(*messages, on_rejected="continue")
    again = terminal.run(*messages, validate_records=False)

    assert first.reasons == [("schema", "tags.1")]
    (person,) = again.workspace["people"].values()
    assert person["attributes"] == {"tags": ["a", None]}
