from __future__ import annotations

import pytest

from target_customerio.settings.stream_calls import StreamCalls

CALLS = {
    "identify": ("identify", "identifies"),
    "track": ("track", "tracks"),
    "page": ("page", "pages"),
    "screen": ("screen", "screens"),
    "group": ("group", "groups"),
    "alias": ("alias", "aliases"),
}
NAMES = [(name, call) for call, names in CALLS.items() for name in names]


@pytest.mark.parametrize(("name", "call"), NAMES)
def test_a_stream_named_after_a_call_needs_no_setting(name: str, call: str) -> None:
    assert StreamCalls({}).call_of(name) == call


@pytest.mark.parametrize(("name", "call"), NAMES)
@pytest.mark.parametrize(
    "prefix", ["public-", "segment_prod-", "analytics.", "a.b-c.", "-", "a\n-"]
)
def test_a_prefix_before_the_last_dash_or_dot_is_ignored(
    prefix: str, name: str, call: str
) -> None:
    assert StreamCalls({}).call_of(prefix + name) == call


@pytest.mark.parametrize("name", ["IDENTIFIES", "Public-Identify", "x.iDeNtIfY"])
def test_default_names_are_case_insensitive(name: str) -> None:
    assert StreamCalls({}).call_of(name) == "identify"


@pytest.mark.parametrize(
    "name",
    ["", "users", "my_identifies", "identifies-x", "tracks.", "identifys", "ALL"],
)
def test_any_other_name_has_no_call(name: str) -> None:
    assert StreamCalls({}).call_of(name) is None


def test_an_exact_name_takes_precedence_over_everything() -> None:
    calls = StreamCalls({"*": "page", "public-tracks": "identify", "p*": "screen"})
    assert calls.call_of("public-tracks") == "identify"


def test_a_default_name_takes_precedence_over_a_pattern() -> None:
    assert StreamCalls({"*": "page"}).call_of("public-tracks") == "track"


def test_patterns_are_matched_in_the_order_written() -> None:
    first = StreamCalls({"*-orders": "track", "eu-*": "group"})
    second = StreamCalls({"eu-*": "group", "*-orders": "track"})
    assert first.call_of("eu-orders") == "track"
    assert second.call_of("eu-orders") == "group"


def test_patterns_and_names_of_the_setting_are_case_sensitive() -> None:
    calls = StreamCalls({"Users": "identify", "*-Orders": "track"})
    assert calls.call_of("users") is None
    assert calls.call_of("eu-orders") is None
    assert calls.call_of("eu-Orders") == "track"


@pytest.mark.parametrize("name", ["a-orders", "b-orders"])
def test_patterns_follow_shell_syntax(name: str) -> None:
    assert StreamCalls({"[ab]-order?": "track"}).call_of(name) == "track"


def test_a_name_with_pattern_characters_is_matched_exactly() -> None:
    assert StreamCalls({"odd[1]": "page"}).call_of("odd[1]") == "page"
