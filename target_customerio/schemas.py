"""Finding one's way in a JSON schema: references within it, and alternatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote

from target_customerio.mapping.fields import METADATA_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable


ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")

MOST_REFERENCES: Final = 20
"""References that are followed from one place; schemas may refer to themselves."""


class UnresolvableError(LookupError):
    """A reference does not lead to anything in its schema."""


def target_of(reference: object, root: object) -> object:
    """Return what a reference points to.

    Args:
        reference: The value of ``$ref``.
        root: The whole schema.

    Returns:
        The part of the schema.

    Raises:
        UnresolvableError: It points nowhere, or out of the schema.
    """
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


def branches(schema: object, root: object, left: int = MOST_REFERENCES) -> list[Any]:
    """List a schema and its alternatives, references resolved.

    Args:
        schema: A part of a schema.
        root: The whole schema.
        left: How many more references and alternatives are followed.

    Returns:
        Those of them that are objects.
    """
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
"""A schema, or something in its place that is none: any JSON."""

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
"""Keywords that no record is checked against, whatever stands there."""

BY_NAME: Final = frozenset(
    {"$defs", "definitions", "dependencies", "patternProperties", "properties"}
)
"""Keywords with schemas by name."""

LISTS: Final = frozenset({"allOf", "anyOf", "items", "oneOf"})
"""Keywords with a list of schemas, or with one."""

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
"""Keywords under which less to check would let fewer records pass."""

BOUNDS: Final = {"exclusiveMaximum": "maximum", "exclusiveMinimum": "minimum"}
"""Keywords that draft 4 has as a boolean beside a bound."""

METADATA: Final = "^" + "".join(
    f"[{character}{character.upper()}]" if character.isalpha() else character
    for character in METADATA_PREFIX
)
"""The pattern of the columns that taps add as they please; nothing of them is sent."""


def of_draft_7(schema: Schema, *, with_ids: bool = True) -> Schema:
    """Put a schema's older forms into those of draft 7.

    Args:
        schema: The schema.
        with_ids: Keep what names schemas, to which references may be relative.

    Returns:
        A new schema.
    """
    if not isinstance(schema, dict):
        return schema
    found = {
        keyword: _below(
            keyword, value, "", lambda _, part: of_draft_7(part, with_ids=with_ids)
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
    """List the columns that draft 3 says to be required, in the columns themselves."""
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


def with_metadata(schema: dict[str, Schema]) -> dict[str, Schema]:
    """Let the columns of Singer's bookkeeping pass, also where no others may.

    Args:
        schema: The schema of a stream.

    Returns:
        A new schema.
    """
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


class Understood:
    """What of a schema can be compiled.

    Attributes:
        schema: The schema without the other parts.
        left_out: The paths of the other parts.
    """

    def __init__(self, schema: Schema, compiles: Callable[[Schema], bool]) -> None:
        """Try the parts of a schema, one after the other.

        Args:
            schema: The schema, of which some part does not compile.
            compiles: Tells whether a schema does.
        """
        self._compiles = compiles
        self._root = schema
        self.left_out: list[str] = []
        self.schema = self._part("", schema)
        if not compiles(self.schema):
            self.schema, self.left_out = True, ["the whole schema"]

    def _part(self, path: str, schema: Schema) -> Schema:
        """Return what of a part can be compiled."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            self.left_out.append(path)
            return True
        found = {}
        for keyword, value in self._without_patterns(path, schema).items():
            way = f"{path}.{keyword}" if path else keyword
            if keyword in REVERSED or not self._is_understood(keyword, value):
                self.left_out.append(way)
                continue
            found[keyword] = _below(keyword, value, way, self._part)
        if "oneOf" in found:
            # More than one may match where less is checked.
            one_of = {"anyOf": found.pop("oneOf")}
            found["allOf"] = [*found.get("allOf", ()), one_of]
        return found

    def _is_understood(self, keyword: str, value: Schema) -> bool:
        """Tell whether a keyword can be kept, whatever becomes of schemas below it."""
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
        """Leave out patterns of names that do not compile."""
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
        # What the pattern allows would be among the others.
        found.pop("additionalProperties", None)
        return found


def _below(
    keyword: str, value: Schema, path: str, change: Callable[[str, Schema], Schema]
) -> Schema:
    """Change the schemas below a keyword, and nothing else."""
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
