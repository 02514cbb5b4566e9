"""Typed dates and decimals in schemas."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hypotheses import examples

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.schema_types import (
    ITEMS,
    POSITION,
    SELF,
    Typed,
    dates_of_schema,
)
from target_customerio.mapping.values import Cleaner, JSONCleaner

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., dict[str, Any]]

DATE_TIME = {"type": ["null", "string"], "format": "date-time"}
ENCODER = msgspec.json.Encoder(decimal_format="number")
TEXT = {"type": ["null", "string"]}
TIMESTAMP = "2023-03-21 14:09:57.123456"
SECONDS = 1679407797

ARRAY = "sdc_recursive_timestamp_array"
POSTGRES = {
    "type": "object",
    "properties": {
        "at": {"type": ["null", "array"], "items": {"$ref": f"#/definitions/{ARRAY}"}}
    },
    "definitions": {
        ARRAY: {
            "type": ["null", "string", "array"],
            "format": "date-time",
            "items": {"$ref": f"#/definitions/{ARRAY}"},
        }
    },
}
"""As pipelinewise-tap-postgres types a column of ``timestamptz[]``."""


def schema_of(**properties: Any) -> dict[str, Any]:
    return {"type": ["null", "object"], "properties": properties}


PLACES = [
    lambda schema, value: (schema, {"userId": "1", "event": "x", **value}),
    lambda schema, value: (
        {
            "properties": {"properties": schema, **schema.get("properties", {})},
            **{
                name: schema[name]
                for name in ("definitions", "$defs")
                if name in schema
            },
        },
        {"userId": "1", "event": "x", "properties": value},
    ),
]


@pytest.fixture(params=PLACES, ids=["flat", "nested"])
def attributes(request: pytest.FixtureRequest, attributes_of: Convert) -> Convert:
    """Convert attributes with their schema, as columns and as properties."""

    def converted(schema: Any, value: Any, **settings: Any) -> Any:
        schema, record = request.param(schema, value)
        return attributes_of("track", record, schema=schema, **settings)

    return converted


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (POSTGRES, {"at": [TIMESTAMP, None]}, {"at": [SECONDS, None]}),
        (
            POSTGRES,
            {"at": [[TIMESTAMP], [[TIMESTAMP]]]},
            {"at": [[SECONDS], [[SECONDS]]]},
        ),
        (
            {
                **schema_of(at={"$ref": "#/definitions/a~1b%20c"}),
                "definitions": {"a/b c": DATE_TIME},
            },
            {"at": TIMESTAMP},
            {"at": SECONDS},
        ),
        (
            {
                **schema_of(at={"anyOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]}),
                "$defs": {"t": DATE_TIME},
            },
            {"at": TIMESTAMP},
            {"at": SECONDS},
        ),
        (
            schema_of(first=DATE_TIME, at={"$ref": "#/properties/first"}),
            {"at": TIMESTAMP},
            {"at": SECONDS},
        ),
        (
            {
                "type": "object",
                "additionalProperties": DATE_TIME,
                "properties": {"name": TEXT},
            },
            {"at": TIMESTAMP, "name": TIMESTAMP},
            {"at": SECONDS, "name": TIMESTAMP},
        ),
        (
            {
                "type": "object",
                "patternProperties": {"_at$": DATE_TIME, "^name": TEXT, "(": DATE_TIME},
                "additionalProperties": schema_of(deep=DATE_TIME),
            },
            {
                "made_at": TIMESTAMP,
                "name": {"deep": TIMESTAMP},
                "x": {"deep": TIMESTAMP},
            },
            {"made_at": SECONDS, "name": {"deep": TIMESTAMP}, "x": {"deep": SECONDS}},
        ),
        (
            schema_of(dates={"type": "object", "additionalProperties": DATE_TIME}),
            {"dates": {"a": TIMESTAMP, "b": None}},
            {"dates": {"a": SECONDS, "b": None}},
        ),
        (
            schema_of(
                at={
                    "type": "array",
                    "items": [DATE_TIME, TEXT],
                    "additionalItems": DATE_TIME,
                }
            ),
            {"at": [TIMESTAMP] * 3},
            {"at": [SECONDS, TIMESTAMP, SECONDS]},
        ),
        (
            schema_of(at={"prefixItems": [TEXT], "items": DATE_TIME}),
            {"at": [TIMESTAMP] * 2},
            {"at": [TIMESTAMP, SECONDS]},
        ),
        (
            schema_of(
                at={
                    "anyOf": [
                        {"type": "string", "format": "date-time"},
                        schema_of(at=DATE_TIME),
                        {},
                    ]
                }
            ),
            {"at": {"at": TIMESTAMP}},
            {"at": {"at": SECONDS}},
        ),
        (
            schema_of(
                at={
                    "anyOf": [
                        {"type": "string", "format": "date-time"},
                        schema_of(at=DATE_TIME),
                        {},
                    ]
                }
            ),
            {"at": TIMESTAMP},
            {"at": SECONDS},
        ),
        (
            {"allOf": [schema_of(at=TEXT), schema_of(at=DATE_TIME)]},
            {"at": TIMESTAMP},
            {"at": SECONDS},
        ),
    ],
    ids=[
        "postgres array",
        "postgres nested array",
        "escaped pointer",
        "reference or null",
        "reference to a property",
        "additional",
        "pattern",
        "additional below",
        "items by position",
        "prefix items",
        "date or object, an object",
        "date or object, a date",
        "all of",
    ],
)
def test_typed_dates_are_found_wherever_a_schema_says_so(
    attributes: Convert, schema: Any, value: Any, expected: Any
) -> None:
    assert attributes(schema, value) == expected
    assert attributes(schema, value, null_attributes="omit") == without_nulls(expected)
    assert attributes(schema, value, convert_timestamps=False) == value


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: without_nulls(each)
            for name, each in value.items()
            if each is not None
        }
    return value


@pytest.mark.parametrize(
    "field",
    [
        {"anyOf": [{"type": "string", "format": "date-time"}, {}]},
        {"anyOf": [DATE_TIME, True]},
        {"oneOf": [DATE_TIME, {"type": "string"}]},
        {"anyOf": [DATE_TIME, {"$ref": "#/definitions/nowhere"}]},
        {"anyOf": [DATE_TIME, {"$ref": "https://example.com/schema.json"}]},
        {
            "anyOf": [
                {"anyOf": [DATE_TIME, {"type": ["null", "string"]}]},
                {"type": "null"},
            ]
        },
    ],
)
def test_a_branch_that_allows_any_text_allows_text_that_is_not_a_date(
    attributes: Convert, field: Any
) -> None:
    schema = schema_of(at=field)
    assert attributes(schema, {"at": "n/a"}) == {"at": "n/a"}
    assert attributes(schema, {"at": TIMESTAMP}) == {"at": SECONDS}


@pytest.mark.parametrize(
    "field",
    [
        {"anyOf": [DATE_TIME, {"type": "integer"}]},
        {"anyOf": [DATE_TIME, {"enum": [None, 1]}]},
        {"anyOf": [DATE_TIME, {"const": None}]},
        {"anyOf": [DATE_TIME, False]},
        {"type": ["null", "string"], "anyOf": [{"format": "date-time"}]},
        {"allOf": [{"type": "string"}, {"format": "date"}]},
        {"$ref": "#/definitions/date"},
    ],
)
def test_a_branch_without_text_does_not_allow_other_text(
    rejection: Callable[..., Any], field: Any
) -> None:
    schema = {**schema_of(at=field), "definitions": {"date": DATE_TIME}}
    rejected = rejection("identify", {"userId": "1", "at": "n/a"}, schema=schema)
    assert (rejected.reason, rejected.field) == ("invalid_date", "at")


TYPED = [
    ("0000-00-00", None),
    ("0000-00-00 00:00:00", None),
    ("0000-00-00T00:00:00.000000Z", None),
    ("2022-11-00 20:59:22", None),
    ("2022-00-10", None),
    ("00000000", None),
    ("20221100", None),
    ("", None),
    (" ", None),
    ("\u00a0\t", None),
    ("\ufeff\u200b", None),
    ("20200101", 1577836800),
    ("20200230", 20200230),
    ("20201301", 20201301),
    ("1577934245", 1577934245),
    ("1577934245.9", 1577934245),
    ("1577934245123", 1577934245),
    ("-1", -1),
    ("99999999999999999999", "99999999999999999999"),
    ("20200101030405", "20200101030405"),
    (20200101, 1577836800),
    (1577934245, 1577934245),
    (1577934245123, 1577934245),
    (Decimal("1577934245.9"), 1577934245),
    (42, 42),
    (-1577934245123, -1577934246),
    (10**30, 10**30),
    (True, True),
]


@pytest.mark.parametrize(("value", "expected"), TYPED)
@pytest.mark.parametrize(
    "field",
    [DATE_TIME, {"format": "date"}, {"anyOf": [DATE_TIME, {}]}],
    ids=["date-time", "date", "or any text"],
)
def test_zero_dates_blanks_and_digits_in_a_typed_field(
    attributes: Convert, value: Any, expected: Any, field: Any
) -> None:
    schema = schema_of(at=field, list={"type": "array", "items": field})
    record = {"at": value, "list": [value]}
    assert attributes(schema, record) == {"at": expected, "list": [expected]}
    assert attributes(schema, record, convert_timestamps=False) == record
    omitted = {"at": expected} if expected is not None else {}
    assert attributes(schema, record, null_attributes="omit") == {
        **omitted,
        "list": [expected],
    }


@pytest.mark.parametrize("value", [value for value, _ in TYPED])
def test_an_untyped_field_keeps_zero_dates_blanks_and_digits(
    attributes: Convert, value: Any
) -> None:
    assert attributes(schema_of(at=TEXT), {"at": value}) == {"at": value}


@pytest.mark.parametrize(
    "text",
    ["n/a", "2022-13-01", "2022-02-30", "2022-11-00 noon", "1e9", "0x1", "\u0661"],
)
def test_other_text_in_a_typed_field_rejects_the_record(
    rejection: Callable[..., Any], text: str
) -> None:
    for record in (
        {"userId": "1", "event": "x", "at": text},
        {"userId": "1", "event": "x", "properties": {"at": text}},
    ):
        schema = schema_of(at=DATE_TIME, properties=schema_of(at=DATE_TIME))
        rejected = rejection("track", record, schema=schema)
        assert (rejected.reason, rejected.field) == ("invalid_date", "at")


DECIMALS = [
    {"type": ["null", "string"], "format": "singer.decimal"},
    {"type": ["null", "string"], "format": "x-singer.decimal"},
    {"anyOf": [{"type": "string", "format": "singer.decimal"}, {"type": "null"}]},
]


@pytest.mark.parametrize("field", DECIMALS, ids=str)
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.10", "1.10"),
        ("-0.5", "-0.5"),
        ("+5", "5"),
        (" 5 ", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1E+3", "1E+3"),
        ("007", "7"),
        ("12345678901234567890.123456789", "12345678901234567890.123456789"),
    ],
)
@pytest.mark.parametrize("convert_timestamps", [True, False])
def test_a_decimal_written_as_text_becomes_an_exact_number(
    attributes: Convert, field: Any, text: str, number: str, *, convert_timestamps: bool
) -> None:
    schema = schema_of(a=field, b=schema_of(a=field), c={"items": field})
    sent = attributes(
        schema,
        {"a": text, "b": {"a": text}, "c": [text]},
        convert_timestamps=convert_timestamps,
    )
    found = [sent["a"], sent["b"]["a"], *sent["c"]]
    assert [str(Decimal(value)) for value in found] == [number] * 3
    assert not any(isinstance(value, str) for value in found)


@pytest.mark.parametrize(
    "value",
    ["n/a", "", " ", "1_000", "1,5", "\u0665", None, 5, "1e9999999999999999999"],
)
def test_other_values_in_a_decimal_field_stay(attributes: Convert, value: Any) -> None:
    assert attributes(schema_of(a=DECIMALS[0]), {"a": value}) == {"a": value}


@pytest.mark.parametrize("text", ["NaN", "nan", "Infinity", "-inf", "sNaN"])
def test_a_decimal_that_is_not_finite_rejects_the_record(
    rejection: Callable[..., Any], text: str
) -> None:
    record = {"userId": "1", "a": text}
    rejected = rejection("identify", record, schema=schema_of(a=DECIMALS[0]))
    assert (rejected.reason, rejected.field) == ("not_finite", "a")


def test_the_tree_holds_typed_fields_and_the_way_to_them_only() -> None:
    schema = schema_of(
        id={"type": "integer"},
        at=DATE_TIME,
        price=DECIMALS[0],
        deep=schema_of(text=TEXT, deeper=schema_of(at={"anyOf": [DATE_TIME, {}]})),
        empty=schema_of(text=TEXT),
        lists={"items": [TEXT, DATE_TIME]},
    )
    assert dates_of_schema(schema) == {
        "at": Typed.DATE,
        "price": Typed.DECIMAL,
        "deep": {"deeper": {"at": Typed.DATE_OR_TEXT}},
        "lists": {f"{POSITION}0": {}, f"{POSITION}1": Typed.DATE},
    }


def test_a_recursive_schema_gives_a_recursive_tree() -> None:
    tree = dates_of_schema(POSTGRES)["at"]
    assert isinstance(tree, dict)
    items = tree[ITEMS]
    assert items[SELF] is Typed.DATE
    assert items[ITEMS][ITEMS][SELF] is Typed.DATE


NODE = {
    "type": "object",
    "properties": {
        "at": DATE_TIME,
        "next": {"anyOf": [{"$ref": "#/definitions/node"}, {"type": "null"}]},
        "children": {"type": "array", "items": {"$ref": "#/definitions/node"}},
    },
}


def test_a_tree_of_nodes_is_converted_at_any_depth(attributes: Convert) -> None:
    schema = {
        **schema_of(root={"$ref": "#/definitions/node"}),
        "definitions": {"node": NODE},
    }
    inner: dict[str, Any] = {"at": TIMESTAMP, "next": None, "children": []}
    value = {
        "root": {"at": TIMESTAMP, "next": inner, "children": [inner, {"next": inner}]}
    }
    done: dict[str, Any] = {"at": SECONDS, "next": None, "children": []}
    assert attributes(schema, value) == {
        "root": {"at": SECONDS, "next": done, "children": [done, {"next": done}]}
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"properties": {"a": {"$ref": "#"}}},
        {
            "properties": {
                "a": {"$ref": "#/properties/b"},
                "b": {"$ref": "#/properties/a"},
            }
        },
        {"properties": {"a": {"$ref": 5}}},
        {"properties": {"a": {"$ref": "#/properties/a/items/7"}}},
        {"properties": {"a": {"anyOf": [], "oneOf": {}, "allOf": None, "items": []}}},
        {"properties": [], "patternProperties": None, "additionalProperties": True},
        {"properties": {"a": None, "b": True, "c": "text"}},
        {"properties": {"a": {"type": 5, "format": ["date"], "enum": []}}},
        {"properties": {"a": {"type": "string", "enum": None}}},
        {"properties": {"a": {"enum": 5}, "b": {"enum": {"x": 1}}}},
    ],
)
def test_a_schema_that_types_nothing_gives_an_empty_tree(schema: Any) -> None:
    assert dates_of_schema(schema) == {}


POINTERS = st.sampled_from(
    ["#", "#/definitions/a", "#/definitions/b", "#/properties/a", "#/nowhere"]
)
SCHEMAS = st.recursive(
    st.one_of(
        st.sampled_from(
            [DATE_TIME, TEXT, DECIMALS[0], {}, {"type": "null"}, True, False]
        ),
        st.builds(lambda pointer: {"$ref": pointer}, POINTERS),
    ),
    lambda inner: (
        st.dictionaries(
            st.sampled_from(["properties", "patternProperties", "definitions"]),
            st.dictionaries(st.sampled_from(["a", "b", "at"]), inner, max_size=3),
            max_size=2,
        )
        | st.dictionaries(
            st.sampled_from(["anyOf", "allOf", "oneOf", "items", "prefixItems"]),
            st.lists(inner, max_size=3),
            max_size=2,
        )
        | st.dictionaries(
            st.sampled_from(["items", "additionalProperties", "additionalItems"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=12,
)
VALUES = st.recursive(
    st.sampled_from(["2023-03-21", TIMESTAMP, "1.5", "", "n/a", None, 1679407797123]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "at"]), inner, max_size=3)
    ),
    max_leaves=8,
)


NAMED = st.dictionaries(st.sampled_from(["a", "b", "at"]), SCHEMAS)


@settings(max_examples=examples(300), deadline=None, derandomize=True)
@given(
    schema=st.fixed_dictionaries(
        {"properties": NAMED}, optional={"definitions": NAMED}
    ),
    value=VALUES,
    omit=st.booleans(),
    dates=st.booleans(),
)
def test_any_schema_is_read_and_both_ways_agree(
    schema: Any, value: Any, *, omit: bool, dates: bool
) -> None:
    tree = dates_of_schema(schema)
    outcomes = []
    for kind in (Cleaner, JSONCleaner):
        cleaner = kind(convert_timestamps=dates, omit_nulls=omit)
        for prepare in (cleaner.attributes, cleaner.encoded):
            try:
                sent = ENCODER.encode(prepare({"a": value, "b": value}, tree))
            except RejectedRecord as rejected:
                sent = f"{rejected.reason} {rejected.field}".encode()
            outcomes.append(sent)
    assert len(set(outcomes)) == 1
