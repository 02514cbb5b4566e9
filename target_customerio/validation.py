"""Validates settings and records against JSON schemas.

Messages never contain a value: a setting may be a secret, a record personal data.
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from target_customerio.errors import RejectedRecord
from target_customerio.json_codec import MOST_DIGITS
from target_customerio.mapping.fields import METADATA_PREFIX
from target_customerio.schemas import CompilableSchema, to_draft_7

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jsonschema import ValidationError

    from target_customerio.schemas import Schema

EXPECTATIONS: Final[dict[str, Callable[[Any, Any], str]]] = {
    "enum": lambda rule, _: "one of " + ", ".join(str(value) for value in rule),
    "type": lambda rule, _: "a value of type " + _types(rule),
    "minimum": lambda rule, _: f"at least {rule}",
    "maximum": lambda rule, _: f"at most {rule}",
    "exclusiveMinimum": lambda rule, _: f"more than {rule}",
    "minLength": lambda *_: "some text",
    "required": lambda rule, _: "an object with " + ", ".join(rule),
    "additionalProperties": lambda _, schema: (
        "only the entries " + ", ".join(schema["properties"])
    ),
}
"""Text on the valid values of a setting, by the rule that fails."""

METADATA: Final = "^" + "".join(
    f"[{character}{character.upper()}]" if character.isalpha() else character
    for character in METADATA_PREFIX
)
"""The pattern of Singer metadata columns, which are never sent."""


def explained(error: ValidationError) -> str:
    """Return a line on the setting that is invalid and the values it may have."""
    setting = ".".join(str(step) for step in error.absolute_path) or "config"
    rule = str(error.validator)
    if rule in EXPECTATIONS:
        expected = EXPECTATIONS[rule](error.validator_value, error.schema)
        return f"{setting}: expected {expected}"
    return f"{setting}: does not match the setting's schema ({rule})"


def _types(rule: str | Sequence[str]) -> str:
    """Return the types of a rule without null, which means no setting."""
    types = [rule] if isinstance(rule, str) else rule
    return " or ".join(each for each in types if each != "null")


class RecordValidator:
    """Checks records against their stream's schema, compiled once.

    Attributes:
        left_out: The paths of those parts of the schema that cannot be compiled.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        """Compile a stream's schema of draft 7 or an earlier draft."""
        self.left_out: list[str] = []
        compiled = _compiled(_with_metadata(to_draft_7(schema)))
        if compiled is None:
            simple = _with_metadata(to_draft_7(schema, with_ids=False))
            compiled = _compiled(simple)
        if compiled is None:
            compilable = CompilableSchema(
                simple, lambda part: _compiled(part) is not None
            )
            self.left_out = compilable.left_out
            compiled = jsonschema_rs.Draft7Validator(compilable.schema)
        self._compiled = compiled
        self._is_valid = compiled.is_valid

    def rejection_of(self, record: Mapping[str, Any]) -> RejectedRecord | None:
        """Return why a record is rejected, or ``None`` if it is valid."""
        try:
            if self._is_valid(record):
                return None
            return _rejection(self._compiled.iter_errors(record))
        except ValueError:
            return RejectedRecord(
                "invalid_type", "", "a value cannot be written as JSON"
            )


def _compiled(schema: Any) -> jsonschema_rs.Draft7Validator | None:  # noqa: ANN401 - any JSON
    try:
        return jsonschema_rs.Draft7Validator(
            schema, validate_formats=False, offline=True
        )
    except (ValueError, jsonschema_rs.ReferencingError):
        return None


def _rejection(
    errors: Iterator[jsonschema_rs.ValidationError],
) -> RejectedRecord | None:
    for error in errors:
        field = ".".join(str(step) for step in error.instance_path)
        rule = error.kind.name
        if rule == "multipleOf" and _is_multiple(error.instance, error.kind.value):
            continue
        missing = getattr(error.kind, "property", None)
        if rule == "required" and missing is not None:
            field = f"{field}.{missing}" if field else str(missing)
        return RejectedRecord(
            "schema", field, f"does not match the stream's schema ({rule})"
        )
    return None


def _is_multiple(value: object, step: object) -> bool:
    """Tell whether a number is a multiple, exactly for any number of digits."""
    with localcontext(Context(prec=MOST_DIGITS)):
        try:
            return Decimal(str(value)) % Decimal(str(step)) == 0
        except ArithmeticError:  # more than MOST_DIGITS digits
            return False


def _with_metadata(schema: dict[str, Schema]) -> dict[str, Schema]:
    """Return a copy of a stream's schema that allows any ``_sdc_`` columns."""
    found = {**schema}
    for keyword, more in (("properties", {}), ("patternProperties", {METADATA: True})):
        columns = schema.get(keyword)
        if columns is None or isinstance(columns, dict):
            found[keyword] = {
                name: column
                for name, column in (columns or {}).items()
                if not name.lower().startswith(METADATA_PREFIX)
            } | more
    return found
