"""Stream names with dots, nested as Meltano does, are restored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_customerio.settings.config import joined_calls
from target_customerio.settings.stream_maps import joined_maps

PARTS = st.text("ab*-_", min_size=1, max_size=3)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map(".".join)
CALLS = st.sampled_from(["identify", "track"])
OBJECTS = st.fixed_dictionaries(
    {"call": CALLS}, optional={"update_only": st.booleans()}
)
EXPRESSIONS = st.dictionaries(
    st.sampled_from(["userId", "email", "__filter__", "__alias__", "__source__"]),
    st.sampled_from(["id", "'x'"]),
    min_size=1,
)


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Nest names with dots; like Meltano, fail if one is a prefix of another."""
    result: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return result


def without_parents(names: dict[str, Any]) -> dict[str, Any]:
    """Leave out names that are a prefix of another: Meltano rejects both."""
    return {
        name: value
        for name, value in names.items()
        if not any(other.startswith(f"{name}.") for other in names)
    }


@given(st.dictionaries(NAMES, CALLS | OBJECTS).map(without_parents))
def test_nested_calls_are_restored(flat: dict[str, Any]) -> None:
    assert joined_calls(nested(flat)) == flat
    assert joined_calls(flat) == flat


@given(st.dictionaries(NAMES, EXPRESSIONS).map(without_parents))
def test_nested_maps_are_restored(flat: dict[str, Any]) -> None:
    assert joined_maps(nested(flat)) == flat
    assert joined_maps(flat) == flat


def test_the_order_of_patterns_is_kept() -> None:
    calls = {"*": {"orders": "track"}, "eu": {"*": "group"}, "z*": "page"}
    assert list(joined_calls(calls)) == ["*.orders", "eu.*", "z*"]


@pytest.mark.parametrize(
    ("calls", "joined"),
    [
        ({"a": {}}, {"a": {}}),
        ({"a": {"b": {}}}, {"a.b": {}}),
        ({"a": {"update_only": True}}, {"a.update_only": True}),
        ({"a": {"call": {"b": "track"}}}, {"a.call.b": "track"}),
        ({"a": {"call": None}}, {"a.call": None}),
        (
            {"a": {"call": "identify", "hard_delete": None, "update_only": False}},
            {"a": {"call": "identify", "update_only": False}},
        ),
        (
            {"a": {"b": {"call": "identify", "null_attributes": "omit"}, "c": "page"}},
            {"a.b": {"call": "identify", "null_attributes": "omit"}, "a.c": "page"},
        ),
        ({"a": ["track"]}, {"a": ["track"]}),
    ],
)
def test_an_object_without_call_is_part_of_the_name(
    calls: dict[str, Any], joined: dict[str, Any]
) -> None:
    assert joined_calls(calls) == joined


@pytest.mark.parametrize(
    ("maps", "joined"),
    [
        ({"a": {}}, {"a": {}}),
        ({"a": None}, {"a": None}),
        ({"a": "__NULL__"}, {"a": "__NULL__"}),
        ({"__else__": "__NULL__"}, {"__else__": "__NULL__"}),
        (
            {"a": {"userId": "id", "b": {"userId": "key"}}},
            {"a": {"userId": "id"}, "a.b": {"userId": "key"}},
        ),
        (
            {"a": {"b": {"userId": "id"}, "c": "__NULL__"}},
            {"a": {"c": "__NULL__"}, "a.b": {"userId": "id"}, "a.c": "__NULL__"},
        ),
        (
            {"a": {"b": {"email": "__NULL__"}}},
            {"a.b": {"email": "__NULL__"}, "a.b.email": "__NULL__"},
        ),
        ({"*": {"email": "__NULL__"}}, {"*": {"email": "__NULL__"}}),
        (
            {"a": {"__else__": "__NULL__", "b": "b"}},
            {"a": {"__else__": "__NULL__", "b": "b"}},
        ),
        (
            {"a": {"__key_properties__": "__NULL__", "__filter__": "__NULL__"}},
            {"a": {"__key_properties__": None, "__filter__": None}},
        ),
        (
            {"a": {"b": {"__key_properties__": ["x"], "x": "y"}}},
            {"a.b": {"__key_properties__": ["x"], "x": "y"}},
        ),
    ],
)
def test_an_object_among_expressions_is_part_of_the_name(
    maps: dict[str, Any], joined: dict[str, Any]
) -> None:
    assert joined_maps(maps) == joined
