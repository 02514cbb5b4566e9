from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from target_customerio.errors import SettingsError
from target_customerio.settings import Settings
from target_customerio.settings.config import complete, settings_in
from target_customerio.settings.schema import SCHEMA


def settings(**changes: Any) -> Settings:
    defaults = {
        name: each["default"]
        for name, each in SCHEMA["properties"].items()
        if "default" in each
    }
    return Settings.of({**defaults, "site_id": "site", "api_key": "key", **changes})


def errors(**changes: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings(**changes)
    return list(caught.value.errors)


def test_the_region_decides_the_url() -> None:
    assert settings().connection.base_url == "https://track.customer.io"
    europe = settings(region="eu").connection
    assert europe.base_url == "https://track-eu.customer.io"


def test_api_url_replaces_it_without_a_trailing_slash() -> None:
    connection = settings(api_url="https://proxy.example.com/cio/").connection
    assert connection.base_url == "https://proxy.example.com/cio"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://LOCALHOST:8080",
        "http://127.0.0.1:1",
        "http://127.1.2.3",
        "http://[::1]:1",
    ],
)
def test_loopback_may_be_http(url: str) -> None:
    assert settings(api_url=url).connection.base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "ftp://example.com",
        "example.com",
        "https://",
        "https://me:secret@example.com",
        "https://example.com?a=secret",
        "https://example.com#secret",
        "http://[secret",
        "https://example.com:secret",
    ],
)
def test_any_other_url_is_rejected_without_showing_it(url: str) -> None:
    (error,) = errors(api_url=url)
    assert error.startswith("api_url: ")
    assert "secret" not in error


def test_credentials_are_required_without_a_sandbox() -> None:
    named = [error.partition(":")[0] for error in errors(site_id=None, api_key="")]
    assert named == ["site_id", "api_key"]
    connection = settings(site_id=None, api_key=None, sandbox="a.db").connection
    assert connection.sandbox == "a.db"


def test_an_empty_sandbox_path_counts_as_not_set() -> None:
    assert settings(sandbox="").connection.sandbox is None
    assert len(errors(sandbox="", site_id="", api_key="")) == 2


def test_the_credentials_are_not_in_the_repr() -> None:
    shown = repr(settings(site_id="open", api_key="sesame"))
    assert "open" not in shown
    assert "sesame" not in shown


def test_an_event_of_two_actions_is_rejected_even_if_one_list_is_a_default() -> None:
    (error,) = errors(action_events={"suppress_person": ["User Deleted"]})
    assert error.startswith("action_events")
    assert "delete_person" in error
    assert "suppress_person" in error


def test_a_name_can_be_used_again_when_its_action_is_disabled() -> None:
    changed = {"delete_person": [], "suppress_person": ["User Deleted"]}
    assert settings(action_events=changed).conversion.action_events


def test_all_errors_are_reported_together() -> None:
    found = errors(
        api_key=None,
        api_url="ftp://x",
        action_events={"delete_person": ["X"], "delete_object": ["X"]},
    )
    assert len(found) == 3


def test_every_setting_has_a_description() -> None:
    for name, each in SCHEMA["properties"].items():
        assert each["title"], name
        assert each["description"], name


def test_limits_use_the_configured_numbers() -> None:
    limits = settings(
        batch_size_rows=7,
        max_concurrent_requests=2,
        requests_per_second=1,
        request_timeout_seconds=2,
        max_retry_seconds=0,
    ).limits
    assert (limits.batch_operations, limits.concurrency) == (7, 2)
    assert limits.requests_per_second == 1.0
    assert (limits.request_timeout_seconds, limits.max_retry_seconds) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("true", "1", "yes", "on", "TRUE")),
        *((text, False) for text in ("false", "0", "no", "off", "False")),
    ],
)
def test_a_boolean_variable_has_several_spellings(text: str, value: object) -> None:
    found = settings_in({"OUR_UPDATE_ONLY": text}, SCHEMA, "OUR_")
    assert found == {"update_only": value}


def of_meltano(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return a setting from the environment that Meltano gives its plugins."""
    variable = f"OUR_{name.upper()}"
    environment = {variable: json.dumps(value)}
    environment |= {f"{variable}_{key.upper()}": "x" for key in value}
    settings = settings_in(environment, SCHEMA, "OUR_")
    complete(settings, SCHEMA)
    found: dict[str, Any] = settings[name]
    return found


def test_the_dotted_names_of_meltano_are_objects() -> None:
    flat = {
        "users.call": "identify",
        "users.remove_missing": True,
        "shop.users.call": "identify",
        "shop.*.call": "track",
        "orders": "track",
        "shop.carts": "track",
    }
    assert of_meltano("stream_calls", flat) == {
        "users": {"call": "identify", "remove_missing": True},
        "shop.users": {"call": "identify"},
        "shop.*": {"call": "track"},
        "orders": "track",
        "shop.carts": "track",
    }


def test_dotted_names_in_a_variable_of_ones_own_are_names() -> None:
    text = json.dumps({"public.call": "track"})
    settings = settings_in({"OUR_STREAM_CALLS": text}, SCHEMA, "OUR_")
    assert settings["stream_calls"] == {"public.call": "track"}


@pytest.mark.parametrize(
    "flat", [{"a": "track", "a.call": "track"}, {"a.call": "track", "a": "track"}]
)
def test_names_that_contradict_each_other_stay(flat: dict[str, Any]) -> None:
    assert of_meltano("stream_calls", flat) == flat


@pytest.mark.parametrize(
    "name", ["requests_per_second", "request_timeout_seconds", "max_retry_seconds"]
)
@pytest.mark.parametrize(
    "value", ["nan", "inf", "-Infinity", "1e400", float("nan"), float("inf")]
)
def test_a_number_has_to_be_finite(name: str, value: object) -> None:
    """A program can give such numbers, and the environment any text."""
    errors = complete({name: value}, deepcopy(SCHEMA))
    assert errors == [f"{name}: expected a number"]


@pytest.mark.parametrize("name", ["request_timeout_seconds", "max_retry_seconds"])
def test_nothing_waits_longer_than_a_year(name: str) -> None:
    assert complete({name: 366 * 86_400}, deepcopy(SCHEMA)) == []
    for value in (366 * 86_400 + 1, 1e300, "1e10"):
        errors = complete({name: value}, deepcopy(SCHEMA))
        assert errors == [f"{name}: expected at most 31622400"]
