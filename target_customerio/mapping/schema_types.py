"""Finds the fields that a schema types as dates or exact decimals.

Taps write both as text, so only the schema tells them from other text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Typed(Enum):
    """The type of the text in a field, by the schema."""

    DATE = "a date"
    DATE_OR_TEXT = "a date or other text"
    DECIMAL = "an exact decimal"


DateTree: TypeAlias = "Mapping[str, DateTree | Typed]"
"""The typed fields of an object by name; objects and lists have trees of their own.

The keys below are used for everything but named fields; no column has such a name.
"""

SELF: Final = "\x00self"
"""The type of the field itself, if it may also be an object or a list."""

ITEMS: Final = "\x00items"
"""The items of a list."""

POSITION: Final = "\x00item "
"""Followed by an index: the item at this position."""

OTHERS: Final = "\x00others"
"""The fields without a name in the schema, as a tree by pattern."""

ADDITIONAL: Final = "\x00additional"
"""Within ``OTHERS``: the fields that no pattern matches."""

NO_DATES: Final[DateTree] = {}

_NO_NAMES: Final = frozenset({ITEMS, OTHERS, ADDITIONAL})

FORMATS: Final = {
    "date": "date",
    "date-time": "date",
    "singer.decimal": "decimal",
    "x-singer.decimal": "decimal",
}
DECIMAL: Final = re.compile(
    r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII
)
"""The text of a number in a field of that type."""

_FREE: Final = frozenset({"text"})
_NONE: Final[frozenset[str]] = frozenset()


def dates_of_schema(schema: Mapping[str, Any]) -> dict[str, DateTree | Typed]:
    """Return the fields that a JSON schema types as dates or exact decimals.

    The tree contains itself if the schema does.
    """
    return _Reader(schema).read()


def resolve_patterns(dates: DateTree, names: Iterable[str]) -> DateTree:
    """Return the tree of an object with these fields, patterns resolved."""
    others = dates.get(OTHERS)
    if others is None or isinstance(others, Typed):
        return dates
    found: dict[str, DateTree | Typed] = {}
    for name in names:
        typed = dates.get(name) or _by_pattern(others, name, is_named=name in dates)
        if typed:
            found[name] = typed
    return found


def _by_pattern(
    others: DateTree, name: str, *, is_named: bool
) -> DateTree | Typed | None:
    for pattern, typed in others.items():
        if pattern != ADDITIONAL and re.search(pattern, name):
            return typed
    return None if is_named else others.get(ADDITIONAL)


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


def alternatives_of(
    schemas: Iterable[Any], root: object
) -> Iterator[Mapping[str, Any]]:
    """Yield schemas, their references and their alternatives, each once."""
    seen: set[int] = set()
    waiting = list(schemas)
    for schema in waiting:  # grows in the loop
        if not isinstance(schema, Mapping) or id(schema) in seen:
            continue
        seen.add(id(schema))
        yield schema
        for parts in _parts(schema, root):
            waiting += parts


def _parts(schema: Mapping[str, Any], root: object) -> Iterator[list[Any]]:
    """Yield lists of schemas; one schema of each list has to match as well."""
    if "$ref" in schema:
        try:
            yield [target_of(schema["$ref"], root)]
        except UnresolvableError:
            yield [True]  # an unknown schema allows any text
    every = schema.get("allOf")
    for each in every if isinstance(every, list) else ():
        yield [each]
    for keyword in ("anyOf", "oneOf"):
        some = schema.get(keyword)
        if isinstance(some, list) and some:
            yield some


class _Reader:
    """Reads one schema; caches the trees, so that recursive schemas end."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._remembered: dict[tuple[int, ...], dict[str, Any]] = {}
        self._trees: list[dict[str, Any]] = []

    def read(self) -> dict[str, DateTree | Typed]:
        root = self._tree([self._root])
        self._prune()
        root.pop(SELF, None)
        return root

    def _tree(self, alternatives: Sequence[Any]) -> dict[str, Any]:
        """Return the tree of a field with some alternative schemas."""
        branches = tuple(alternatives_of(alternatives, self._root))
        key = tuple(map(id, branches))
        tree = self._remembered.get(key)
        if tree is None:
            tree = self._remembered[key] = self._new_tree()
            typed = self._type(alternatives)
            if typed is not None:
                tree[SELF] = typed
            self._add_fields(tree, branches)
            self._add_items(tree, branches)
        return tree

    def _new_tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        self._trees.append(tree)
        return tree

    def _add_fields(self, tree: dict[str, Any], branches: Sequence[Any]) -> None:
        for name, schemas in _gathered(branches, "properties").items():
            tree[name] = self._tree(schemas)
        others = self._new_tree()
        for pattern, schemas in _gathered(branches, "patternProperties").items():
            if _compiles(pattern):
                others[pattern] = self._tree(schemas)
        additional = _under(branches, "additionalProperties")
        if additional:
            others[ADDITIONAL] = self._tree(additional)
        tree[OTHERS] = others

    def _add_items(self, tree: dict[str, Any], branches: Sequence[Any]) -> None:
        lists = [
            each
            for keyword in ("items", "prefixItems")
            for each in _under(branches, keyword)
            if isinstance(each, list)
        ]
        for index in range(max(map(len, lists), default=0)):
            schemas = [each[index] for each in lists if index < len(each)]
            tree[f"{POSITION}{index}"] = self._tree(schemas)
        rest = _under(branches, "items")
        if lists:
            rest += _under(branches, "additionalItems")
        tree[ITEMS] = self._tree([each for each in rest if isinstance(each, Mapping)])

    def _type(self, alternatives: Iterable[Any]) -> Typed | None:
        texts = _NONE.union(*(self._texts(each, ()) for each in alternatives))
        if "date" in texts:
            return Typed.DATE_OR_TEXT if "text" in texts else Typed.DATE
        return Typed.DECIMAL if "decimal" in texts else None

    def _texts(self, schema: Any, inside: tuple[int, ...]) -> frozenset[str]:  # noqa: ANN401 - any part of a schema
        """Return the kinds of text that a schema allows."""
        if not isinstance(schema, Mapping):
            return _NONE if schema is False else _FREE
        if id(schema) in inside:
            return _NONE
        inside = (*inside, id(schema))
        texts = _own_texts(schema)
        for parts in _parts(schema, self._root):
            allowed = _NONE.union(*(self._texts(each, inside) for each in parts))
            if texts == _FREE:
                texts = allowed
            elif allowed != _FREE:
                texts &= allowed
        return texts

    def _prune(self) -> None:
        """Remove branches without a typed field; replace single types by themselves."""
        useful = self._useful()
        for tree in self._trees:
            has_others = useful & {id(tree.get(key)) for key in (OTHERS, ADDITIONAL)}
            for key, below in list(tree.items()):
                if isinstance(below, Typed) or id(below) in useful:
                    continue
                # A field with a position, name or pattern is not one of the others.
                if key.startswith(POSITION) or (has_others and key not in _NO_NAMES):
                    tree[key] = NO_DATES
                else:
                    del tree[key]
        for tree in self._trees:
            for key, below in tree.items():
                if not isinstance(below, Typed) and below.keys() == {SELF}:
                    tree[key] = below[SELF]

    def _useful(self) -> set[int]:
        useful: set[int] = set()
        before = -1
        while before != len(useful):
            before = len(useful)
            useful |= {
                id(tree)
                for tree in self._trees
                if any(
                    isinstance(below, Typed) or id(below) in useful
                    for below in tree.values()
                )
            }
        return useful


def _own_texts(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the kinds of text that a schema allows by its own keywords."""
    of_format = FORMATS.get(str(schema.get("format")))
    if of_format is not None:
        return frozenset({of_format})
    types = schema.get("type", "string")
    values = schema.get("enum", [schema["const"]] if "const" in schema else [""])
    if not isinstance(values, list):
        values = [""]
    allows_text = types == "string" or (isinstance(types, list) and "string" in types)
    if allows_text and any(isinstance(value, str) for value in values):
        return _FREE
    return _NONE


def _gathered(branches: Iterable[Mapping[str, Any]], key: str) -> dict[str, list[Any]]:
    """Return the schemas of each name in the objects of schemas under a keyword."""
    gathered: dict[str, list[Any]] = {}
    for each in _under(branches, key):
        if isinstance(each, Mapping):
            for name, schema in each.items():
                gathered.setdefault(name, []).append(schema)
    return gathered


def _under(branches: Iterable[Mapping[str, Any]], key: str) -> list[Any]:
    return [
        branch[key]
        for branch in branches
        if isinstance(branch.get(key), (Mapping, list))
    ]


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
