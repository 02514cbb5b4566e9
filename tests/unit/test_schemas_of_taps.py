"""Schemas as taps write them: older drafts, and parts that do not compile."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_customerio.validation import RecordValidator

if TYPE_CHECKING:
    from collections.abc import Callable

NUMERIC = {
    "type": ["null", "number"],
    "exclusiveMaximum": True,
    "maximum": 10000000000,
    "multipleOf": Decimal("0.01"),
    "exclusiveMinimum": True,
    "minimum": -10000000000,
}
"""How pipelinewise-tap-postgres types ``numeric``."""


TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def validator(schema: Any = None, **properties: Any) -> RecordValidator:
    return RecordValidator(
        {"type": "object", "properties": properties, **(schema or {})}
    )


def fits(checker: RecordValidator, **record: Any) -> bool:
    return checker.rejection_of(record) is None


@pytest.mark.parametrize("value", [None, Decimal("0.07"), 1, Decimal("-9999999999.99")])
def test_values_within_the_bounds_of_draft_4_are_valid(value: Any) -> None:
    checker = validator(a=NUMERIC)
    assert checker.left_out == []
    assert fits(checker, a=value)


@pytest.mark.parametrize("value", ["1", 10**10, -(10**10), Decimal("0.001"), 10**11])
def test_the_bounds_of_draft_4_are_exclusive(value: Any) -> None:
    assert not fits(validator(a=NUMERIC), a=value)


WIDE = Decimal("9999999999999999.99")


@pytest.mark.parametrize("limit", ["1.0E16", "1E+16", "10000000000000000.0"])
@pytest.mark.parametrize("place", [lambda rule: rule, lambda rule: {"anyOf": [rule]}])
@pytest.mark.parametrize(
    ("rule", "valid", "invalid"),
    [
        ({"exclusiveMaximum": 1}, WIDE, 10**16),
        ({"exclusiveMaximum": True, "maximum": 1}, WIDE, 10**16),
        ({"maximum": 1}, 10**16, Decimal("10000000000000000.01")),
        ({"exclusiveMinimum": -1}, -WIDE, -(10**16)),
        ({"exclusiveMinimum": True, "minimum": -1}, -WIDE, -(10**16)),
        ({"minimum": -1}, -(10**16), Decimal("-10000000000000000.01")),
    ],
)
def test_a_limit_with_an_exponent_is_exact(
    rule: dict[str, Any],
    valid: Any,
    invalid: Any,
    limit: str,
    place: Callable[[Any], Any],
) -> None:
    """As singer-io's tap-mssql types ``numeric(18, 2)``."""
    scaled = {
        name: value if isinstance(value, bool) else value * Decimal(limit)
        for name, value in rule.items()
    }
    checker = validator(a=place(scaled))
    assert checker.left_out == []
    assert fits(checker, a=valid)
    assert not fits(checker, a=invalid)


@pytest.mark.parametrize("limit", [Decimal("1E+400000"), Decimal("0.5")])
def test_any_limit_compiles(limit: Decimal) -> None:
    assert fits(validator(a={"maximum": limit, "exclusiveMinimum": -limit}), a=0)


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ({"maximum": 5, "exclusiveMaximum": False}, True),
        ({"maximum": 5, "exclusiveMaximum": True}, False),
        ({"maximum": 5}, True),
        ({"exclusiveMaximum": 5}, False),
        ({"exclusiveMaximum": True}, True),
        ({"exclusiveMinimum": True, "minimum": 5}, False),
        ({"exclusiveMinimum": False, "minimum": 5}, True),
        ({"exclusiveMinimum": 5}, False),
    ],
)
@pytest.mark.parametrize("place", ["property", "item", "branch", "definition"])
def test_a_bound_follows_its_draft_at_any_place(
    rule: dict[str, Any],
    passes: bool,  # noqa: FBT001 - a parameter of the test
    place: str,
) -> None:
    column, value = {
        "property": (rule, 5),
        "item": ({"items": rule}, [5]),
        "branch": ({"anyOf": [{"type": "null"}, rule]}, 5),
        "definition": ({"$ref": "#/definitions/amount"}, 5),
    }[place]
    checker = validator({"definitions": {"amount": rule}}, a=column)
    assert checker.left_out == []
    assert fits(checker, a=value) is passes


@given(
    count=st.integers(-(10**26), 10**26),
    step=st.integers(1, 99),
    digits=st.integers(0, 12),
)
@example(count=78_000_000_000_000_000_001, step=3, digits=1)
def test_an_exact_multiple_is_always_valid(count: int, step: int, digits: int) -> None:
    rule = {"type": "number", "multipleOf": Decimal(step).scaleb(-digits)}
    assert fits(validator(a=rule), a=Decimal(count * step).scaleb(-digits))


@given(count=st.integers(-(10**9), 10**9), digits=st.integers(0, 5))
def test_a_value_between_two_multiples_is_invalid(count: int, digits: int) -> None:
    rule = {"type": "number", "multipleOf": Decimal(1).scaleb(-digits)}
    between = Decimal(count * 10 + 5).scaleb(-digits - 1)
    assert not fits(validator(a=rule), a=between)


def test_a_column_can_be_marked_as_required() -> None:
    inner = {"type": "object", "properties": {"city": {"required": True}}}
    checker = validator(
        {"required": ["b"]}, a={"type": "string", "required": True}, b=inner, c={}
    )
    assert checker.left_out == []
    assert fits(checker, a="x", b={"city": "Ghent"})
    missing = [
        checker.rejection_of(record)
        for record in ({"b": {"city": 1}}, {"a": "x"}, {"a": "x", "b": {}})
    ]
    assert [each and each.field for each in missing] == ["a", "b", "b.city"]


@pytest.mark.parametrize(
    ("column", "value", "passes"),
    [
        ({"prefixItems": [TEXT, NUMBER], "items": False}, ["a", 1], True),
        ({"prefixItems": [TEXT, NUMBER], "items": False}, ["a"], True),
        ({"prefixItems": [TEXT, NUMBER], "items": False}, ["a", 1, 2], False),
        ({"prefixItems": [TEXT, NUMBER], "items": False}, [1, "a"], False),
        ({"prefixItems": [TEXT], "items": NUMBER}, ["a", 1, 2], True),
        ({"prefixItems": [TEXT], "items": NUMBER}, ["a", "b"], False),
        ({"prefixItems": [TEXT]}, ["a", "b", 1], True),
        ({"prefixItems": [{"prefixItems": [TEXT], "items": False}]}, [["a"]], True),
        ({"prefixItems": [{"prefixItems": [TEXT], "items": False}]}, [["a", 1]], False),
        ({"prefixItems": TEXT}, [1], True),
        ({"contains": TEXT, "minContains": 0}, [1], True),
        ({"contains": TEXT, "minContains": 1}, [1], False),
        ({"contains": TEXT}, [1], False),
    ],
)
def test_lists_of_draft_2020_12_are_understood(
    column: dict[str, Any],
    value: list[Any],
    passes: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    checker = validator(a=column)
    assert checker.left_out == []
    assert fits(checker, a=value) is passes


def test_a_column_can_be_marked_as_not_required() -> None:
    checker = validator({"required": True}, a={"type": "string", "required": False})
    assert checker.left_out == []
    assert fits(checker)


@pytest.mark.parametrize(
    ("column", "path"),
    [
        ({"type": "any"}, "a.type"),
        ({"type": 5}, "a.type"),
        ({"$ref": "#/definitions/missing"}, "a.$ref"),
        ({"$ref": "https://example.com/a.json"}, "a.$ref"),
        ({"$ref": "other.json#/a"}, "a.$ref"),
        ({"$ref": 5}, "a.$ref"),
        ({"pattern": "("}, "a.pattern"),
        ({"pattern": "(?P<x>a)"}, "a.pattern"),
        ({"pattern": r"a\Z"}, "a.pattern"),
        ({"pattern": "(?i)a"}, "a.pattern"),
        ({"items": {"pattern": "("}}, "a.items.pattern"),
        ({"items": [{}, {"pattern": "("}]}, "a.items.1.pattern"),
        ({"anyOf": [{"type": "null"}, {"pattern": "("}]}, "a.anyOf.1.pattern"),
        ({"oneOf": [{"type": "null"}, {"pattern": "("}, {}]}, "a.oneOf.1.pattern"),
        ({"anyOf": []}, "a.anyOf"),
        ({"anyOf": {"type": "string"}}, "a.anyOf"),
        ({"allOf": {}}, "a.allOf"),
        ({"oneOf": {"a": 5}}, "a.oneOf"),
        ({"dependencies": {"a": ["b", "b"]}}, "a.dependencies"),
        ({"dependencies": {"a": {"type": "any"}}}, "a.dependencies.a.type"),
        ({"items": []}, "a.items"),
        (
            {"type": ["array", "string", "integer", "null", "object"], "items": []},
            "a.items",
        ),
        ({"enum": 5}, "a.enum"),
        ({"multipleOf": 0}, "a.multipleOf"),
        ({"minLength": "1"}, "a.minLength"),
        ({"properties": {"b": {"type": "any"}}}, "a.properties.b.type"),
        ({"patternProperties": {"(": {}}}, "a.patternProperties.("),
        ({"additionalProperties": {"type": "any"}}, "a.additionalProperties.type"),
        ({"properties": 5}, "a.properties"),
        (5, "a"),
    ],
)
def test_only_the_part_that_does_not_compile_is_ignored(column: Any, path: str) -> None:
    checker = validator(
        {"definitions": {"ok": {"type": "integer"}}},
        a=column,
        b={"type": "integer", "maximum": 9, "exclusiveMaximum": True},
        c={"$ref": "#/definitions/ok"},
    )
    assert checker.left_out == [f"properties.{path}"]
    for value in ("x", 5, None, {"b": 1, "(": 2}, ["x", "y"]):
        assert fits(checker, a=value, b=8, c=1), value
    assert not fits(checker, b=9)
    assert not fits(checker, c="x")


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "all"}, "type"),
        ({"required": "id"}, "required"),
        ({"required": ["id", 5]}, "required"),
        ({"additionalProperties": 5}, "additionalProperties"),
        ({"patternProperties": {"(?P<x>a)": {}}}, "patternProperties.(?P<x>a)"),
        ({"definitions": {"a": 5}}, "definitions.a"),
        ({"allOf": 5}, "allOf"),
    ],
)
def test_invalid_parts_at_the_top_level_are_ignored(schema: Any, path: str) -> None:
    checker = validator(schema, b={"type": "integer"})
    assert checker.left_out == [path]
    assert fits(checker, a="x", b=1)
    assert not fits(checker, b="x")


def test_columns_of_an_ignored_pattern_are_not_rejected() -> None:
    checker = validator(
        {"patternProperties": {"(?P<x>a)": {}}, "additionalProperties": False}, b={}
    )
    assert fits(checker, a=1, b=1)


@pytest.mark.parametrize(
    "rule",
    [
        {"not": {"pattern": r"a\Z"}},
        {"if": {"pattern": r"a\Z"}, "then": False},
        {"oneOf": [{"pattern": r"a\Z"}, {"type": "string"}]},
    ],
)
def test_ignoring_parts_never_rejects_more(rule: dict[str, Any]) -> None:
    checker = validator(a=rule)
    assert checker.left_out
    assert fits(checker, a="b")


@pytest.mark.parametrize(
    "name",
    ["orders", "", "#orders", 5, "my orders %", "http://[x", "https://a.example/"],
)
def test_an_invalid_schema_id_does_not_affect_validation(name: Any) -> None:
    checker = validator(
        {"$id": name, "definitions": {"ok": {"type": "integer"}}},
        a={"$ref": "#/definitions/ok"},
        b={"$id": name, "properties": {"c": {"$ref": "#/definitions/ok"}}},
    )
    assert checker.left_out == []
    assert fits(checker, a=1, b={"c": 1})
    assert not fits(checker, a="x")
    assert not fits(checker, b={"c": "x"})


def test_columns_named_like_keywords_are_treated_as_columns() -> None:
    names = (
        "$id",
        "format",
        "required",
        "title",
        "properties",
        "$ref",
        "not",
        "default",
    )
    checker = validator(**{name: {"type": "integer"} for name in names})
    assert checker.left_out == []
    for name in names:
        assert fits(checker, **{name: 1})
        assert not fits(checker, **{name: "x"})


@pytest.mark.parametrize(
    "rule",
    [
        {"contentEncoding": "base64"},
        {"contentMediaType": "application/json"},
        {"format": "date-time"},
        {"format": 5},
        {"title": 5},
        {"description": None},
        {"default": "x", "examples": 5, "readOnly": "x"},
    ],
)
def test_descriptive_keywords_are_not_validated(rule: dict[str, Any]) -> None:
    checker = validator(a={"type": "string", **rule})
    assert checker.left_out == []
    assert fits(checker, a="no base64 and no JSON!")


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"properties": None}])
def test_a_schema_without_properties_accepts_every_record(schema: Any) -> None:
    checker = RecordValidator(schema)
    assert checker.left_out == []
    assert fits(checker, a=1)


@pytest.mark.parametrize("name", ["_sdc_deleted_at", "_SDC_BATCHED_AT"])
def test_metadata_columns_are_always_allowed(name: str) -> None:
    checker = validator(
        {"additionalProperties": False}, a={}, **{name: {"type": "null"}}
    )
    assert fits(checker, **{name: "anything"})
    assert not fits(checker, b=1)


NAMES = st.sampled_from(["a", "b"])
LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "any"},
        {"pattern": "("},
        {"pattern": "^a"},
        {"$ref": "#/definitions/a"},
        {"$ref": "#/definitions/none"},
        {"$ref": "#"},
        {"maximum": 5, "exclusiveMaximum": True},
        {"required": True},
        {"required": 5},
        {"enum": ["a", 5]},
        5,
        True,
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda each: {"properties": each}, st.dictionaries(NAMES, inner)),
        st.builds(lambda each: {"items": each}, inner),
        st.builds(
            lambda keyword, each: {keyword: each},
            st.sampled_from(["anyOf", "oneOf", "allOf"]),
            st.lists(inner, max_size=2),
        ),
        st.builds(lambda each: {"not": each}, inner),
        st.builds(lambda each: {"patternProperties": {"(": each}}, inner),
    ),
    max_leaves=8,
)


@given(properties=st.dictionaries(NAMES, SCHEMAS), a=SCHEMAS, value=st.integers(0, 9))
def test_any_schema_can_be_compiled(
    properties: dict[str, Any], a: Any, value: int
) -> None:
    checker = RecordValidator({"properties": properties, "definitions": {"a": a}})
    checker.rejection_of({"a": value})
    assert len(set(checker.left_out)) == len(checker.left_out)
