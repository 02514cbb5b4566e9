"""Handles JSON schemas of taps: references, older drafts, parts that do not compile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable


ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")

MAX_REFERENCES: Final = 20
"""Maximum depth of references; schemas may refer to themselves."""


class UnresolvableError(LookupError):
    """A reference to a part that its schema does not have."""


def target_of(reference: object, root: object) -> object:
    """Return the part of a schema that a ``$ref`` points to, or raise."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise UnresolvableError
    found: Any = root
    for step in reference[1:].split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (LookupError, TypeError, ValueError):
            raise UnresolvableError from None
    if found is root and reference not in {"#", "#/"}:
        raise UnresolvableError  # a name, as of an $id or an anchor
    return found


def branches(schema: object, root: object, left: int = MAX_REFERENCES) -> list[Any]:
    """Return a schema and its alternatives that are objects, references resolved."""
    if not isinstance(schema, Mapping) or not left:
        return []
    found: list[Any] = [schema]
    if "$ref" in schema:
        try:
            target = target_of(schema["$ref"], root)
        except UnresolvableError:
            return found
        return found + branches(target, root, left - 1)
    for keyword in ALTERNATIVES:
        alternatives = schema.get(keyword)
        for branch in alternatives if isinstance(alternatives, list) else ():
            found += branches(branch, root, left - 1)
    return found


Schema: TypeAlias = Any
"""A schema of a tap, which may be any JSON."""

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

LISTS: Final = frozenset({"allOf", "anyOf", "items", "oneOf"})
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
    """Return a copy of a schema with older forms converted to draft 7."""
    if not isinstance(schema, dict):
        return schema
    found = {
        keyword: _below(
            keyword, value, "", lambda _, part: to_draft_7(part, with_ids=with_ids)
        )
        for keyword, value in schema.items()
        if keyword not in NOT_CHECKED and (with_ids or keyword != "$id")
    }
    for exclusive, bound in BOUNDS.items():
        is_exclusive = found.get(exclusive)
        if isinstance(is_exclusive, bool):
            del found[exclusive]
        if is_exclusive is True and bound in found:
            found[exclusive] = found.pop(bound)
    if isinstance(found.get("required"), bool):
        del found["required"]
    required = _required_columns(schema)
    if required:
        found["required"] = [*found.get("required", ()), *required]
    return found


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
        """Return what compiles of a part."""
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
        if keyword in BY_NAME:
            return isinstance(value, dict)
        if keyword in SINGLE or (keyword in LISTS and isinstance(value, dict)):
            return True
        if keyword in LISTS and isinstance(value, list):
            return bool(value) or keyword == "items"
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
