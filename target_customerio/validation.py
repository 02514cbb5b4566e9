"""Validates records against the schemas of taps, of any draft.

Messages never contain a value of the record.
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import jsonschema_rs

from target_customerio.errors import RejectedRecord, nested_too_deeply
from target_customerio.json_codec import MAX_INTEGER_DIGITS
from target_customerio.mapping.fields import METADATA_PREFIX
from target_customerio.mapping.schema_types import UnresolvableError, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


Schema: TypeAlias = Any
"""A schema of a tap, which may be any JSON."""

RECURSION: Final = "recursion"
"""A word in the validator's error for a record that is nested too deeply for it."""

METADATA: Final = "^" + "".join(
    f"[{character}{character.upper()}]" if character.isalpha() else character
    for character in METADATA_PREFIX
)
"""The pattern of Singer metadata columns, which are never sent."""


class RecordValidator:
    """Checks records against their stream's schema, compiled once.

    Attributes:
        left_out: The paths of those parts of the schema that cannot be compiled.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        """Compile a stream's schema."""
        self.left_out: list[str] = []
        try:
            self._compiled = self._compilable(schema)
        except RecursionError:
            self.left_out = ["the whole schema, which is nested too deeply"]
            self._compiled = jsonschema_rs.Draft7Validator(True)  # noqa: FBT003 - a schema
        self._is_valid = self._compiled.is_valid

    def _compilable(self, schema: dict[str, Any]) -> jsonschema_rs.Draft7Validator:
        """Compile what compiles of a schema; note what does not."""
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
        return compiled

    def rejection_of(self, record: Mapping[str, Any]) -> RejectedRecord | None:
        """Return why a record is rejected, or ``None`` if it is valid."""
        try:
            if self._is_valid(record):
                return None
            return _rejection(self._compiled.iter_errors(record))
        except (ValueError, RecursionError) as error:
            if RECURSION in str(error).lower():
                return nested_too_deeply()
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
    with localcontext(Context(prec=MAX_INTEGER_DIGITS)):
        try:
            return Decimal(str(value)) % Decimal(str(step)) == 0
        except ArithmeticError:  # more than MAX_INTEGER_DIGITS digits
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


NOT_CHECKED: Final = frozenset(
    {
        "$comment",
        "$schema",
        "contentEncoding",
        "contentMediaType",
        "default",
        "description",
        "examples",
        "format",
        "readOnly",
        "title",
        "writeOnly",
    }
)
"""Keywords that are not checked."""

BY_NAME: Final = frozenset(
    {"$defs", "definitions", "dependencies", "patternProperties", "properties"}
)
"""Keywords with schemas by name."""

LISTS: Final = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
"""Keywords with a list of schemas, or a single one."""

SINGLE: Final = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "not",
        "propertyNames",
        "then",
    }
)
"""Keywords with one schema."""

REVERSED: Final = ("else", "if", "not", "then")
"""Keywords under which a weaker schema would reject more records."""

BOUNDS: Final = {"exclusiveMaximum": "maximum", "exclusiveMinimum": "minimum"}
"""Keywords that are booleans in draft 4, and the bounds that they apply to."""


def to_draft_7(schema: Schema, *, with_ids: bool = True) -> Schema:
    """Return a copy of a schema with other drafts' forms converted to draft 7."""
    if not isinstance(schema, dict):
        return schema
    found = {
        keyword: _below(
            keyword, value, "", lambda _, part: to_draft_7(part, with_ids=with_ids)
        )
        for keyword, value in schema.items()
        if keyword not in NOT_CHECKED and (with_ids or keyword != "$id")
    }
    _convert_bounds(found)
    if isinstance(found.get("required"), bool):
        del found["required"]
    _convert_lists(found)
    required = _required_columns(schema)
    if required:
        found["required"] = [*found.get("required", ()), *required]
    return found


def _convert_bounds(found: dict[str, Schema]) -> None:
    """Convert the limits of numbers, in place."""
    for exclusive, bound in BOUNDS.items():
        is_exclusive = found.get(exclusive)
        if isinstance(is_exclusive, bool):
            del found[exclusive]
        if is_exclusive is True and bound in found:
            found[exclusive] = found.pop(bound)
        for limit in (exclusive, bound):
            if isinstance(found.get(limit), Decimal):
                found[limit] = _exact_limit(found[limit])


def _exact_limit(limit: Decimal) -> Decimal | int:
    """Return a limit such as 1.0E16 as an integer, with which decimals are compared.

    With a decimal they are compared as floats: 9999999999999999.99 would not be less.
    """
    is_whole = limit.adjusted() < MAX_INTEGER_DIGITS and limit == int(limit)
    return int(limit) if is_whole else limit


def _convert_lists(schema: dict[str, Schema]) -> None:
    """Convert the keywords of draft 2020-12 on the items of lists, in place."""
    if isinstance(schema.get("prefixItems"), list):
        if "items" in schema:
            schema["additionalItems"] = schema["items"]
        schema["items"] = schema.pop("prefixItems")
    if schema.get("minContains") == 0:
        schema.pop("contains", None)


def _required_columns(schema: dict[str, Schema]) -> list[str]:
    """Return the columns with ``required: true``, as in draft 3."""
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, (bool, list)):
        return []
    known = required if isinstance(required, list) else []
    return [
        name
        for name, column in properties.items()
        if isinstance(column, dict)
        and column.get("required") is True
        and name not in known
    ]


class CompilableSchema:
    """The part of a schema that compiles.

    Attributes:
        schema: The schema without the other parts.
        left_out: The paths of the other parts.
    """

    def __init__(self, schema: Schema, compiles: Callable[[Schema], bool]) -> None:
        """Test each part of a schema that does not compile as a whole."""
        self._compiles = compiles
        self._root = schema
        self.left_out: list[str] = []
        self.schema = self._part("", schema)
        if not compiles(self.schema):
            self.schema, self.left_out = True, ["the whole schema"]

    def _part(self, path: str, schema: Schema) -> Schema:
        """Return the part without what does not compile; note the paths of that."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            self.left_out.append(path)
            return True
        found = {}
        for keyword, value in self._without_patterns(path, schema).items():
            place = f"{path}.{keyword}" if path else keyword
            if keyword in REVERSED or not self._is_compilable(keyword, value):
                self.left_out.append(place)
                continue
            found[keyword] = _below(keyword, value, place, self._part)
        if "oneOf" in found:
            # With weaker schemas, more than one may match.
            one_of = {"anyOf": found.pop("oneOf")}
            found["allOf"] = [*found.get("allOf", ()), one_of]
        return found

    def _is_compilable(self, keyword: str, value: Schema) -> bool:
        """Tell whether a keyword can be kept, apart from schemas below it."""
        if keyword == "$ref":
            try:
                return isinstance(target_of(value, self._root), (dict, bool))
            except UnresolvableError:
                return False
        if keyword == "dependencies" and isinstance(value, dict):
            # The names that others depend on are no schemas.
            value = {
                name: each for name, each in value.items() if isinstance(each, list)
            }
        elif keyword in BY_NAME:
            return isinstance(value, dict)
        elif keyword in SINGLE or (keyword == "items" and isinstance(value, dict)):
            return True
        elif keyword in LISTS and isinstance(value, list):
            return bool(value)
        return self._compiles({keyword: value})

    def _without_patterns(
        self, path: str, schema: dict[str, Schema]
    ) -> dict[str, Schema]:
        """Remove property patterns that do not compile."""
        patterns = schema.get("patternProperties")
        if not isinstance(patterns, dict):
            return schema
        unknown = [
            pattern for pattern in patterns if not self._compiles({"pattern": pattern})
        ]
        if not unknown:
            return schema
        self.left_out += [
            f"{path}.patternProperties.{pattern}".lstrip(".") for pattern in unknown
        ]
        known = {name: patterns[name] for name in patterns if name not in unknown}
        found = {**schema, "patternProperties": known}
        # Fields that match the pattern would be additional ones.
        found.pop("additionalProperties", None)
        return found


def _below(
    keyword: str, value: Schema, path: str, change: Callable[[str, Schema], Schema]
) -> Schema:
    """Apply a function to the schemas below a keyword."""
    if keyword in BY_NAME and isinstance(value, dict):
        return {
            name: part
            if keyword == "dependencies" and isinstance(part, list)
            else change(f"{path}.{name}", part)
            for name, part in value.items()
        }
    if keyword in LISTS and isinstance(value, list):
        return [change(f"{path}.{index}", part) for index, part in enumerate(value)]
    if keyword in SINGLE or (keyword in LISTS and isinstance(value, dict)):
        return change(path, value)
    return value
