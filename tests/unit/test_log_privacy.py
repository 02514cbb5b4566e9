"""What a log line shows of names that may come from a record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from target_customerio.errors import InputError, shown_name
from target_customerio.log_privacy import shown_field, traceback_of

PERSON = "ann@example.com"
COLUMNS: dict[str, Any] = {
    "userId": {"type": "string"},
    "total.net": {"type": "number"},
    "by_email": {"type": "object", "additionalProperties": {"type": "number"}},
    "anything": {"type": "object"},
    "properties": {
        "anyOf": [
            {"type": "null"},
            {
                "type": "object",
                "properties": {
                    "total": {"type": "number"},
                    "lines": {"items": {"properties": {"price": {"type": "number"}}}},
                    "by_email": {"additionalProperties": {"type": "number"}},
                },
            },
        ]
    },
}


def shown(field: str, reason: str = "schema", **schema: Any) -> str:
    message = {"type": "SCHEMA", "stream": "a", "schema": schema}
    return shown_field(field, reason, json.dumps(message))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("userId", "userId"),
        ("total.net", "total.net"),
        ("properties.total", "properties.total"),
        ("properties.lines.0.price", "properties.lines.0.price"),
        (f"properties.lines.0.{PERSON}", "properties.lines.0.*"),
        (f"properties.by_email.{PERSON}", "properties.by_email.*"),
        (f"by_email.{PERSON}", "by_email.*"),
        (f"anything.{PERSON}.deep", "anything.*"),
        (f"properties.{PERSON}", "properties.*"),
        (f"traits.{PERSON}", "traits.*"),
        ("total", "total"),
        (PERSON, "*"),
    ],
)
def test_only_names_of_the_schema_are_shown(field: str, expected: str) -> None:
    assert shown(field, properties=COLUMNS) == expected
    assert shown(field, "not_finite", properties=COLUMNS) == expected


def test_a_column_that_a_schema_without_objects_does_not_have_is_shown() -> None:
    assert shown("plan", properties={"userId": {}}) == "plan"
    assert shown(f"plan.{PERSON}", properties={"userId": {}}) == "plan.*"


def test_the_columns_of_a_row_whose_names_are_data_are_not_shown() -> None:
    assert shown(PERSON, additionalProperties={"type": "number"}) == "*"


def test_fields_that_the_code_names_are_shown() -> None:
    assert shown("context.device.token", "required") == "context.device.token"
    assert shown("") == ""


def test_references_are_followed() -> None:
    total: dict[str, Any] = {"properties": {"total": {}}}
    properties = {"properties": {"$ref": "#/definitions/p"}}
    field = shown("properties.total", properties=properties, definitions={"p": total})
    assert field == "properties.total"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("größe", "größe"),
        ("a\nERROR b", "a\\nERROR b"),
        ("a\x1b[31m\u2028\u202e", "a\\x1b[31m\\u2028\\u202e"),
        ("\ud800", "\\ud800"),
        ("n" * 1_000, "n" * 60 + "..."),
        ("\n" * 59, "\\n" * 30 + "..."),
    ],
)
def test_a_name_is_short_and_on_one_line(name: str, expected: str) -> None:
    assert shown_name(name) == expected


def test_a_traceback_has_no_text_of_other_exceptions() -> None:
    try:
        try:
            int(PERSON)
        except ValueError as error:
            raise InputError("Line 3: not JSON") from error
    except InputError as error:
        text = traceback_of(error)
    assert PERSON not in text.replace("int(PERSON)", "")
    assert text.startswith("Traceback (most recent call last):")
    assert "ValueError\n" in text
    assert text.endswith("InputError: Line 3: not JSON")
    assert "int(PERSON)" in text
