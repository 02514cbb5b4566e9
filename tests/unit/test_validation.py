from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

from target_customerio.settings.config import explained
from target_customerio.validation import RecordValidator

if TYPE_CHECKING:
    from target_customerio.errors import RejectedRecord


def validator(**properties: Any) -> RecordValidator:
    schema = {"type": "object", "properties": properties, "required": ["id"]}
    return RecordValidator(schema)


def rejection(checker: RecordValidator, **record: Any) -> RejectedRecord:
    found = checker.rejection_of(record)
    assert found is not None
    return found


@pytest.mark.parametrize("value", [1, 2**70, Decimal("1.0"), Decimal("1e3")])
def test_whole_numbers_are_valid_integers(value: Any) -> None:
    assert validator(id={"type": "integer"}).rejection_of({"id": value}) is None


@pytest.mark.parametrize("value", [1, Decimal("1.10"), 10**40])
def test_all_numbers_are_valid_numbers(value: Any) -> None:
    assert validator(id={"type": "number"}).rejection_of({"id": value}) is None


def test_columns_without_a_schema_can_have_any_value() -> None:
    checker = validator(id={})
    assert checker.rejection_of({"id": None, "more": [{"a": True}]}) is None


def test_a_value_of_another_type_is_rejected_with_its_field() -> None:
    found = rejection(validator(id={"type": "integer"}), id="secret")
    assert (found.reason, found.field) == ("schema", "id")
    assert "secret" not in str(found)


def test_a_nested_field_is_reported_with_its_path() -> None:
    inner = {"properties": {"tags": {"items": {"type": "string"}}}}
    found = rejection(validator(id=inner), id={"tags": ["a", 5]})
    assert found.field == "id.tags.1"


def test_a_missing_required_field_is_reported() -> None:
    assert rejection(validator()).field == "id"
    inner = {"type": "object", "required": ["city"]}
    assert rejection(validator(id=inner), id={}).field == "id.city"


@pytest.mark.parametrize("form", ["date-time", "email", "uuid", "made-up"])
def test_formats_are_not_validated(form: str) -> None:
    checker = validator(id={"type": "string", "format": form})
    assert checker.rejection_of({"id": "whatever"}) is None


@pytest.mark.parametrize("text", ["https://json-schema.org/draft/2020-12/schema", "x:"])
def test_the_draft_named_by_a_tap_makes_no_difference(text: str) -> None:
    checker = RecordValidator({"$schema": text, "properties": {"a": {"type": "null"}}})
    assert checker.rejection_of({"a": None}) is None
    assert checker.rejection_of({"a": 1}) is not None


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ({"type": "integer"}, "secret", "a: expected an integer"),
        (
            {"type": ["integer", "null"]},
            "secret",
            "a: expected an integer",
        ),
        ({"enum": ["us", "eu"]}, "secret", "a: expected one of us, eu"),
        ({"minimum": 1}, 0, "a: expected at least 1"),
        ({"maximum": 64}, 65, "a: expected at most 64"),
        ({"exclusiveMinimum": 0}, 0, "a: expected more than 0"),
        ({"minLength": 1}, "", "a: expected some text"),
        (
            {"properties": {"x": {}, "y": {}}, "additionalProperties": False},
            {"secret": 1},
            "a: unknown entry; expected only x, y",
        ),
        (
            {"properties": {"update": {}}, "additionalProperties": False},
            {"updat": 1, "secret": 1},
            "a: unknown entry 'updat' (did you mean 'update'?); expected only update",
        ),
        (
            {"const": "x"},
            "secret",
            "a: does not match the setting's schema (const)",
        ),
    ],
)
def test_the_error_for_a_setting_gives_the_valid_values(
    rule: dict[str, Any], value: Any, expected: str
) -> None:
    schema = {"properties": {"a": rule}}
    (error,) = Draft7Validator(schema).iter_errors({"a": value})
    assert explained(error) == expected


def test_a_nested_entry_of_a_setting_is_reported_with_its_path() -> None:
    schema = {"properties": {"a": {"additionalProperties": {"type": "array"}}}}
    (error,) = Draft7Validator(schema).iter_errors({"a": {"b": 5}})
    assert explained(error).startswith("a.b: ")
