"""The setting ``stream_maps`` is checked before any stream arrives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_customerio.settings.stream_maps import OPTIONS, map_errors
from target_customerio.stream_maps import replacing_pattern

WRONG: dict[str, tuple[Any, str]] = {
    "an assignment": ({"__filter__": "plan = 'pro'"}, "to compare, write =="),
    "a filter in quotes": ({"__filter__": "'a == 1'"}, "not a condition"),
    "a filter in an f-string": ({"__filter__": "f'{a == 1}'"}, "not a condition"),
    "a filter with a comma": ({"__filter__": "a == 1,"}, "not a condition"),
    "a filter in brackets": ({"__filter__": "[a == 1]"}, "not a condition"),
    "a filter in braces": ({"__filter__": "{a == 1}"}, "not a condition"),
    "an assignment to a column": ({"plan": "a = b"}, "to compare, write =="),
    "a misspelt option": ({"__filters__": "a"}, "did you mean '__filter__'?"),
    "half of an option": ({"__filter": "a"}, "did you mean '__filter__'?"),
    "part of an option": ({"__filter_": "a"}, "did you mean '__filter__'?"),
    "a longer option": ({"__filter_by__": "a"}, "did you mean '__filter__'?"),
    "an option in upper case": ({"__SOURCE__": "a"}, "did you mean '__source__'?"),
    "an empty expression": ({"plan": ""}, "'plan' is empty"),
    "a blank expression": ({"plan": " \n"}, "'plan' is empty"),
    "an empty filter": ({"__filter__": ""}, "'__filter__' is empty"),
    "two expressions": ({"plan": "a; b"}, "'a; b' for 'plan' is not one expression"),
    "only a comment": ({"plan": "# a"}, "'# a' for 'plan' is not one expression"),
    "no expression": ({"plan": "1 +* 2"}, "'1 +* 2' for 'plan' cannot be parsed"),
    "a zero byte": ({"plan": "a\0"}, "for 'plan' cannot be parsed"),
    "an indented expression": ({"plan": "  a"}, "for 'plan' cannot be parsed"),
    "SQL": ({"__filter__": "plan <> 'pro'"}, "cannot be parsed as a Python expression"),
    "two lines": ({"plan": "a\n + b"}, "several lines need parentheses"),
    "a number": ({"plan": 5}, "'plan' is not text"),
    "a boolean": ({"plan": True}, "'plan' is not text"),
    "a list": ({"plan": ["a"]}, "'plan' is not text"),
    "a boolean filter": ({"__filter__": True}, "'__filter__' is not text"),
    "a number as alias": ({"__alias__": 5}, "'__alias__': expected the name"),
    "null as alias": ({"__alias__": None}, "'__alias__': expected the name"),
    "an alias with a space": ({"__alias__": "eu users"}, "\"'eu users'\""),
    "no source": ({"__source__": None}, "'__source__': expected the name"),
    "an expression for the rest": ({"__else__": "a"}, "'__else__': expected null"),
    "a key as text": ({"__key_properties__": "id"}, "expected a list of columns"),
    "keys that are numbers": ({"__key_properties__": [1]}, "expected a list of col"),
    "text": ("identify", "expected an object of expressions"),
    "a list of columns": (["id"], "expected an object of expressions"),
    "false": (False, "expected an object of expressions"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(name: str) -> None:
    definition, clue = WRONG[name]
    (line,) = map_errors({"other": {"userId": "id"}, "users": definition})
    assert line.startswith("stream_maps: stream 'users': ")
    assert clue in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("maps", "clue"),
    [
        ({"__filter__": "a"}, "move an option into the entry of a stream"),
        ({"__typename": {"a": "b"}}, "no stream may begin with __"),
        ({"__else__": "a"}, "expected null (in Meltano __NULL__)"),
        ({"__else__": {"a": "b"}}, "expected null (in Meltano __NULL__)"),
    ],
)
def test_options_beside_streams_are_wrong(maps: dict[str, Any], clue: str) -> None:
    (line,) = map_errors(maps)
    assert clue in line


@pytest.mark.parametrize(
    "definition",
    [
        None,
        "__NULL__",
        {},
        {"plan": None, "email": "__NULL__", "__v": "1", "__key__": None, "source": "a"},
        {"__source_db": "__NULL__", "__source_id": None, "__filter_key": "a"},
        {"plan": "a == 'b' or c", "tags": "[x for x in tags]", "o": "{'a': b}"},
        {"plan": "\n(a\n + b)\n"},
        {"__filter__": None, "__key_properties__": None, "__else__": "__NULL__"},
        {"__filter__": "a", "__key_properties__": ["id"], "__else__": None},
        {"__filter__": "True", "plan": "'pro'"},
        {"__filter__": "id in [1, 2]"},
        {"__alias__": "eu-users"},
        {"__alias__": "'eu_' + __stream_name__", "__source__": "public-*"},
    ],
)
def test_everything_that_the_sdk_understands_is_right(definition: Any) -> None:
    assert [*map_errors({"users": definition, "__else__": None})] == []


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.text(max_size=5) | st.sampled_from(OPTIONS),
        ANY | st.dictionaries(st.text(max_size=8) | st.sampled_from(OPTIONS), ANY),
    )
)
def test_any_setting_can_be_checked(maps: dict[str, Any]) -> None:
    for line in map_errors(maps):
        assert line.startswith("stream_maps: stream '")


@pytest.mark.parametrize(
    ("maps", "pattern"),
    [
        ({"users": {"a": "b"}, "*": {"c": "d"}}, "*"),
        ({"users": None, "us*": {"c": "d"}, "*": None, "x": {}}, "*"),
        ({"*": {"c": "d"}, "users": {"a": "b"}}, None),
        ({"us*": {"c": "d"}, "*": {"a": "b"}}, None),
        ({"users": {"a": "b"}, "*": {"__source__": "users"}}, None),
        ({"users": {"a": "b"}, "orders": {"c": "d"}}, None),
    ],
)
def test_an_entry_that_a_later_pattern_replaces_is_found(
    maps: dict[str, Any], pattern: str | None
) -> None:
    assert replacing_pattern("users", maps) == pattern
