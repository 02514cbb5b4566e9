"""Stream maps and flattening."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

MOMENT = "2026-03-01T00:00:00.123456Z"
"""Too precise to be taken for a date without a type in the schema."""

SECONDS = 1772323200
DATE_TIME = {"type": ["null", "string"], "format": "date-time"}
USERS = {
    "id": {"type": "integer"},
    "email": {"type": ["null", "string"]},
    "plan": {"type": "string"},
    "qty": {"type": "integer"},
    "price": {"type": "number"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "createdAt": {"type": "integer"},
}
USER = {
    "id": 7,
    "email": "ann@example.com",
    "plan": "pro",
    "qty": 3,
    "price": 1.5,
    "tags": ["a", "b"],
    "createdAt": 1577934245,
}
EXPRESSIONS: dict[str, tuple[str, Any]] = {
    "a number": ("42", 42),
    "a boolean": ("True", True),
    "a comparison": ("qty > 1", True),
    "bool": ("bool(qty)", True),
    "a product": ("qty*2", 6),
    "a list": ("record['tags']", ["a", "b"]),
    "an object": ("{'a': email}", {"a": "ann@example.com"}),
    "an exact number": ("price", 1.5),
    "text": ("str(qty)", "3"),
    "whole": ("int(qty)", 3),
    "float": ("float(qty)", 3),
    "null": ("None", None),
    "a date": ("datetime.date(2026, 3, 1)", SECONDS),
    "a date-time": ("datetime.datetime(2026, 3, 1, 0, 0, 0, 5)", SECONDS),
    "a date in an object": ("{'at': datetime.date(2026, 3, 1)}", {"at": SECONDS}),
    "a read date": ("datetime.date.fromisoformat('2026-03-01')", SECONDS),
}


@pytest.fixture(scope="module")
def expressed(new_terminal: Callable[[], Any], singer: Any) -> Any:
    columns = {
        **{f"new {name}": text for name, (text, _) in EXPRESSIONS.items()},
        "plan": "qty",  # a number in place of the tap's text
        "userId": "_['id']",
        "timestamp": "createdAt // 1",
    }
    return new_terminal().run(
        singer.schema(
            "users", USERS, required=["id", "plan"], additionalProperties=False
        ),
        singer.record("users", **USER),
        stream_calls={"users": "identify"},
        stream_maps={"users": columns},
    )


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_may_give_a_value_of_any_type(name: str, expressed: Any) -> None:
    assert expressed.code == 0, expressed.stderr
    (person,) = expressed.workspace["people"].values()
    assert person["attributes"].get(f"new {name}") == EXPRESSIONS[name][1]
    assert person["attributes"]["plan"] == 3


def test_an_identifier_may_be_an_expression_of_any_type(expressed: Any) -> None:
    assert list(expressed.workspace["people"]) == ["id:7"]


RENAMES: dict[str, dict[str, Any]] = {
    "a bare name": {"at": "seen"},
    "the record": {"at": "record['seen']"},
    "a short name for it": {"at": "_['seen']"},
    "a method": {"at": "record.get('seen')"},
    "a method with a default": {"at": "_.get('seen', None)"},
    "an attribute": {"at": "record.seen"},
    "the old name first": {"seen": None, "at": "record['seen']"},
    "the old name last": {"at": "record['seen']", "seen": None},
    "a word for null": {"seen": "__NULL__", "at": "seen"},
    "itself": {"seen": "self", "at": "seen"},
    "swapped names": {"at": "seen", "seen": "other"},
    "of a nested field": {"at": "more['deep']"},
    "of a nested attribute": {"at": "more.deep"},
    "by a reference": {"at": "referred"},
    "by a pattern": {"at": "found_at"},
    "nothing else kept": {"at": "seen", "userId": "userId", "__else__": None},
}
RENAMED_SCHEMA = {
    "seen": DATE_TIME,
    "other": {"type": "string"},
    "referred": {"$ref": "#/definitions/moment"},
    "more": {"type": "object", "properties": {"deep": DATE_TIME}},
}
RENAMED_MORE = {
    "definitions": {"moment": DATE_TIME},
    "patternProperties": {"_at$": DATE_TIME},
}
RENAMED = {
    "userId": "u",
    "seen": MOMENT,
    "other": MOMENT,
    "referred": MOMENT,
    "found_at": MOMENT,
    "more": {"deep": MOMENT},
}


@pytest.fixture(scope="module")
def renamed(new_terminal: Callable[[], Any], singer: Any) -> Any:
    streams = {f"s{index}": name for index, name in enumerate(RENAMES)}
    outcome = new_terminal().run(
        *(
            message
            for index, stream in enumerate(streams)
            for message in (
                singer.schema(stream, RENAMED_SCHEMA, **RENAMED_MORE),
                singer.record(stream, **{**RENAMED, "userId": f"u{index}"}),
            )
        ),
        stream_calls=dict.fromkeys(streams, "identify"),
        stream_maps={stream: RENAMES[name] for stream, name in streams.items()},
    )
    assert outcome.code == 0, outcome.stderr
    return {
        name: outcome.workspace["people"][f"id:u{index}"]["attributes"]
        for index, name in enumerate(RENAMES)
    }


@pytest.mark.parametrize("name", RENAMES)
def test_a_renamed_date_is_still_typed(name: str, renamed: dict[str, Any]) -> None:
    assert renamed[name]["at"] == SECONDS


def test_a_renamed_column_does_not_become_a_date(renamed: dict[str, Any]) -> None:
    assert renamed["swapped names"]["seen"] == MOMENT
    assert renamed["itself"]["seen"] == SECONDS
    assert renamed["a bare name"]["other"] == MOMENT
    assert "seen" not in renamed["nothing else kept"]
    assert "seen" not in renamed["the old name last"]


def test_dates_follow_into_objects(terminal: Any, singer: Any) -> None:
    outcome = terminal.run(
        *(singer.schema(stream, RENAMED_SCHEMA, **RENAMED_MORE) for stream in "abc"),
        *(singer.record(stream, **{**RENAMED, "userId": stream}) for stream in "abc"),
        stream_calls=dict.fromkeys("abc", "identify"),
        stream_maps={
            "a": {"traits": "record"},
            "b": {"traits": "{'at': seen, 'other': other, 'in': {'at': more['deep']}}"},
            "c": {"found_at": "'n/a'", "seen": "'never'"},
        },
    )
    assert outcome.code == 0, outcome.stderr
    whole, made, other = (
        outcome.workspace["people"][f"id:{stream}"]["attributes"] for stream in "abc"
    )
    assert (whole["seen"], whole["found_at"]) == (SECONDS, SECONDS)
    assert (whole["more"], whole["other"]) == ({"deep": SECONDS}, MOMENT)
    assert made == {"at": SECONDS, "other": MOMENT, "in": {"at": SECONDS}}
    assert (other["found_at"], other["seen"]) == ("n/a", "never")


FLAT = {
    "flattening_enabled": True,
    "flattening_max_depth": 2,
    "stream_calls": {"users": "identify"},
}
ADDRESS = {"type": "object", "properties": {"city": {}, "since": DATE_TIME}}
COLUMNS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "a number in a column without a type": ({}, 5, {"c": 5}),
    "an exact number": ({}, 1.5, {"c": 1.5}),
    "a boolean in a column without a type": ({}, True, {"c": True}),
    "a list in a column without a type": ({}, [1, 1.5], {"c": "[1,1.5]"}),
    "an object or null": (
        {"anyOf": [ADDRESS, {"type": "null"}]},
        {"city": "Ghent", "since": MOMENT},
        {"c__city": "Ghent", "c__since": SECONDS},
    ),
    "null or an object": (
        {"anyOf": [{"type": "null"}, ADDRESS]},
        {"city": "Ghent", "since": MOMENT},
        {"c__city": "Ghent", "c__since": SECONDS},
    ),
    "an object that is null": ({"anyOf": [ADDRESS, {"type": "null"}]}, None, {}),
    "an object by a reference": (
        {"$ref": "#/definitions/address"},
        {"city": "Ghent", "since": MOMENT},
        {"c__city": "Ghent", "c__since": SECONDS},
    ),
    "text or a number": (
        {"anyOf": [{"type": "string"}, {"type": "number"}]},
        5,
        {"c": 5},
    ),
    "one of a few": ({"enum": ["a", "b"]}, "a", {"c": "a"}),
    "several types": ({"oneOf": [{"type": ["null", "integer"]}]}, 5, {"c": 5}),
    "a date": (DATE_TIME, MOMENT, {"c": SECONDS}),
    "a date or anything": ({"anyOf": [DATE_TIME, {}]}, 5, {"c": 5}),
    "itself": ({"$ref": "#"}, {"userId": 5}, {"c__userId": 5}),
}


@pytest.fixture(scope="module")
def flattened(new_terminal: Callable[[], Any], singer: Any) -> Any:
    outcome = new_terminal().run(
        *(
            message
            for index, (rule, value, _) in enumerate(COLUMNS.values())
            for message in (
                singer.schema(
                    "users",
                    {"userId": {}, "c": rule},
                    definitions={"address": ADDRESS},
                ),
                singer.record("users", userId=f"u{index}", c=value),
            )
        ),
        **FLAT,
    )
    assert outcome.code == 0, outcome.stderr
    return {
        name: outcome.workspace["people"][f"id:u{index}"]["attributes"]
        for index, name in enumerate(COLUMNS)
    }


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_can_be_flattened(
    name: str, flattened: dict[str, Any]
) -> None:
    found = {key: value for key, value in flattened[name].items() if value is not None}
    assert found == COLUMNS[name][2]


TREE = {name: {"$ref": "#"} for name in ("left", "right", "parent")}
"""As a tap types a table of nodes whose JSON columns hold nodes: 3^30 paths."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("depth", [None, 0, 2])
def test_a_schema_that_refers_to_itself_many_times_is_no_trouble(
    depth: int | None, terminal: Any, singer: Any
) -> None:
    flattening = {"flattening_enabled": True, "flattening_max_depth": depth}
    node = {"left": {"left": {"left": {"plan": "pro"}}}, "right": {"plan": "free"}}
    outcome = terminal.run(
        singer.schema("users", {"userId": {}, "plan": {}, **TREE}),
        singer.record("users", userId="ada", **node),
        stream_calls={"users": "identify"},
        stream_maps={"users": {"rank": "1"}},
        **({} if depth is None else flattening),
    )
    assert outcome.code == 0, outcome.stderr
    found = outcome.workspace["people"]["id:ada"]["attributes"]
    assert found.pop("rank") == 1
    if depth == 2:
        nested = json.loads(found.pop("left__left__left"))
        assert (nested, found) == ({"plan": "pro"}, {"right__plan": "free"})
    else:
        assert found == node


def test_a_record_is_checked_as_it_arrived(terminal: Any, singer: Any) -> None:
    good, bad = {"id": 1, "plan": "pro"}, {"id": 2, "plan": 5}
    outcome = terminal.run(
        singer.schema("users", {"id": {"type": "integer"}, "plan": {"type": "string"}}),
        singer.record("users", **good),
        singer.record("users", **bad),
        singer.schema("rest", {"plan": {"type": "string"}}),
        singer.record("rest", **bad),
        stream_calls={"users": "identify"},
        unmapped_streams="ignore",
        stream_maps={
            "users": {"userId": "id", "plan": "str(plan)", "__filter__": "id != 3"}
        },
        on_rejected="continue",
    )
    assert list(outcome.workspace["people"]) == ["id:1"]
    assert [each["record"] for each in outcome.rejected] == [bad]
    assert outcome.reasons == [("schema", "plan")]
    assert outcome.table["rest"]["read"] == 1


def test_an_invalid_record_of_several_mappings_is_rejected_once(
    terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("orders", {"id": {"type": "integer"}}, ["id"]),
        singer.record("orders", id="x", user_id=1),
        stream_calls={"placed": "track", "shipped": "track"},
        stream_maps={
            "orders": None,
            "placed": {"__source__": "orders", "event": "'Placed'"},
            "shipped": {"__source__": "orders", "event": "'Shipped'"},
        },
        on_rejected="continue",
    )
    assert len(outcome.rejected) == 1
    assert outcome.workspace["events"] == []


def test_without_validate_records_nothing_is_validated(
    terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("identifies", {"n": {"type": "integer", "pattern": "("}}),
        singer.record("identifies", userId="ann", n="x"),
        validate_records=False,
    )
    assert outcome.code == 0
    assert "cannot be compiled" not in outcome.stderr


@pytest.mark.parametrize(
    "definition",
    [{"__filter__": "plan = 'pro'"}, {"__filters__": "plan == 'pro'"}, {"plan": ""}],
)
def test_a_mistake_in_a_stream_map_ends_the_run_at_its_start(
    definition: dict[str, str], terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.record("users", userId="ada", plan="free"),  # not even read
        stream_calls={"users": "identify"},
        stream_maps={"users": definition},
    )
    assert outcome.error.startswith("stream_maps: stream 'users': ")


def test_an_entry_that_a_later_pattern_replaces_causes_one_warning(
    terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("users", ["userId"]),
        singer.schema("users", ["userId", "plan"]),
        singer.record("users", userId="ada"),
        stream_calls={"users": "identify"},
        stream_maps={"users": {"__filter__": "False"}, "*": {"plan": "'pro'"}},
    )
    assert outcome.code == 0
    (line,) = outcome.lines("WARNING")
    assert line == (
        "Stream 'users': its entry in stream_maps has no effect, since the later entry "
        "'*' applies to it too and replaces it; move it to the end"
    )


RECORD = '{"type":"RECORD","stream":"users","record":{"userId":"ada",%s}}'
LOSSES: dict[str, tuple[str, dict[str, Any], tuple[str, str]]] = {
    "a NaN in a list": ('"a":[1,NaN]', {}, ("not_finite", "a")),
    "a NaN in an object": ('"o":{"b":NaN}', {}, ("not_finite", "o")),
    "a NaN in traits": ('"traits":{"b":[NaN]}', {}, ("not_finite", "traits")),
    "infinity below the depth": (
        '"a":{"b":{"c":{"d":-Infinity}}}',
        {},
        ("not_finite", "a"),
    ),
    "an exponent that no decoder takes": (
        '"a":[1e99999999999999999999]',
        {},
        ("not_finite", "a"),
    ),
    "a column and a field": ('"a":{"b":1},"a__b":2', {}, ("same_name", "a__b")),
    "a field and a column": ('"a__b":2,"a":{"b":1}', {}, ("same_name", "a__b")),
    "names that are shortened": (
        '"shipping_address_one":1,"shipping_address_other":2',
        {"flattening_max_key_length": 15},
        ("same_name", "sao"),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_record_of_which_flattening_would_lose_a_value_is_rejected(
    name: str, terminal: Any, singer: Any
) -> None:
    columns, settings, reason = LOSSES[name]
    outcome = terminal.run(
        singer.schema("users", {"userId": {}, "o": {"type": "object"}}),
        RECORD % columns,
        **{**FLAT, **settings},
        stream_maps={"users": {"more": "1"}},
        on_rejected="continue",
    )
    assert outcome.reasons == [reason]
    assert outcome.workspace["people"] == {}


@pytest.mark.parametrize(
    ("columns", "attributes"),
    [
        ('"a":{"b":1},"a__b":null', {"a__b": 1}),
        ('"a__b":"","a":{"b":1}', {"a__b": 1}),
        ('"a":{"b":"x"},"a__b":"x"', {"a__b": "x"}),
        ('"a":{"b":null},"a__b":2', {"a__b": 2}),
    ],
)
def test_values_of_which_nothing_is_lost_are_flattened(
    columns: str, attributes: dict[str, Any], terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(singer.schema("users", ["userId"]), RECORD % columns, **FLAT)
    assert outcome.code == 0
    assert outcome.workspace["people"]["id:ada"]["attributes"] == attributes


def test_columns_that_flattening_would_give_one_name_end_the_run(
    terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema(
            "users", {"a": {"type": "object", "properties": {"b": {}}}, "a__b": {}}
        ),
        **FLAT,
    )
    assert outcome.error == (
        "flattening_enabled: stream 'users' cannot be flattened: Duplicate column name "
        "produced in schema: a__b; set another flattening_separator, or raise "
        "flattening_max_key_length"
    )
