"""Finding one's way in a JSON schema: references within it, and alternatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

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
