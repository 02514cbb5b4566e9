"""JSON schemas applied: to the settings, and to the records of a stream.

Neither ever quotes a value: a setting may be a secret, a record is somebody's data.
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
from singer_sdk.exceptions import InvalidRecord
from singer_sdk.sinks.core import BaseJSONSchemaValidator

from target_customerio.errors import RejectedRecord
from target_customerio.json_codec import MOST_DIGITS
from target_customerio.schemas import Understood, of_draft_7, with_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jsonschema import ValidationError

EXPECTATIONS: Final[dict[str, Callable[[Any, Any], str]]] = {
    "enum": lambda rule, _: "one of " + ", ".join(str(value) for value in rule),
    "type": lambda rule, _: "a value of type " + _types(rule),
    "minimum": lambda rule, _: f"at least {rule}",
    "maximum": lambda rule, _: f"at most {rule}",
    "exclusiveMinimum": lambda rule, _: f"more than {rule}",
    "minLength": lambda *_: "some text",
    "required": lambda rule, _: "an object with " + ", ".join(rule),
    "additionalProperties": lambda _, schema: (
        "no entries but " + ", ".join(schema["properties"])
    ),
}
"""What a setting may be, by the rule that it breaks and the schema of the rule."""


def explained(error: ValidationError) -> str:
    """Say which setting cannot be used, and what it may be.

    Args:
        error: The rule that a setting breaks.

    Returns:
        One line without the setting's value.
    """
    setting = ".".join(str(step) for step in error.absolute_path) or "config"
    rule = str(error.validator)
    if rule in EXPECTATIONS:
        expected = EXPECTATIONS[rule](error.validator_value, error.schema)
        return f"{setting}: expected {expected}"
    return f"{setting}: does not fit the setting's schema ({rule})"


def _types(rule: str | Sequence[str]) -> str:
    """Name the types of a rule but null, which only means that there is no setting."""
    types = [rule] if isinstance(rule, str) else rule
    return " or ".join(each for each in types if each != "null")


class RecordValidator(BaseJSONSchemaValidator):
    """Checks records against their stream's schema, compiled once.

    Attributes:
        left_out: The paths of those parts of the schema that cannot be compiled.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        """Compile a stream's schema.

        Args:
            schema: Its JSON schema, of draft 7 like the SDK's, or of an earlier one.
        """
        super().__init__(schema)
        self.left_out: list[str] = []
        compiled = _compiled(with_metadata(of_draft_7(schema)))
        if compiled is None:
            simple = with_metadata(of_draft_7(schema, with_ids=False))
            compiled = _compiled(simple)
        if compiled is None:
            understood = Understood(simple, lambda part: _compiled(part) is not None)
            self.left_out = understood.left_out
            compiled = jsonschema_rs.Draft7Validator(understood.schema)
        self._compiled = compiled
        self._fits = compiled.is_valid

    def validate(self, record: dict[str, Any]) -> None:
        """Check a record the SDK's way.

        Args:
            record: The record.

        Raises:
            InvalidRecord: It does not fit.
        """
        rejection = self.rejection_of(record)
        if rejection is not None:
            raise InvalidRecord(rejection.message, {})

    def rejection_of(self, record: Mapping[str, Any]) -> RejectedRecord | None:
        """Check a record.

        Args:
            record: The record.

        Returns:
            Why it is rejected, or ``None`` where it fits.
        """
        try:
            if self._fits(record):
                return None
            return _rejection(self._compiled.iter_errors(record))
        except ValueError:
            return RejectedRecord("invalid_type", "", "a value has no form in JSON")


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
            "schema", field, f"does not fit the stream's schema ({rule})"
        )
    return None


def _is_multiple(value: object, step: object) -> bool:
    """Tell exactly, beyond the digits of a float, whether a number is a multiple."""
    with localcontext(Context(prec=MOST_DIGITS)):
        try:
            return Decimal(str(value)) % Decimal(str(step)) == 0
        except ArithmeticError:  # more digits than anybody has
            return False
