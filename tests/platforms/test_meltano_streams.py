"""Streams as they are configured in meltano.yml: recipes, nulls and names with dots."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.command import clean_environment
from support.workspace import contents_of

from .project import ROOT, STATES, Copy

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.timeout(900)  # installs packages over the network

RECIPES = {
    recipe.stem: json.loads(recipe.read_text(encoding="utf-8"))
    for recipe in sorted((ROOT / "docs/examples/recipes").glob("*.json"))
}
CALLS = {
    "analytics.users": {"call": "identify", "null_attributes": "omit"},
    "analytics.visits": "page",
    "*.orders": {"call": "track", "convert_timestamps": False},
    "plain": "identify",
}
MAPS = {
    "analytics.users": {"userId": "id", "email": "__NULL__"},
    "analytics.visits": "__NULL__",
    "eu.shop.orders": {
        "event_text": "'Order Placed'",
        "timestamp": "placed_at",
        "__key_properties__": "__NULL__",
    },
    "plain": {
        "userId": "id",
        "__else__": "__NULL__",
        "__key_properties__": ["userId"],
    },
}
SETTINGS: dict[str, dict[str, Any]] = {
    **RECIPES,
    "dotted": {"stream_calls": CALLS, "stream_maps": MAPS},
    "null": {
        "stream_calls": {"plain": "identify"},
        "stream_maps": {"plain": {"userId": "id", "email": None}},
    },
    "env": {},
}
"""Settings of several loaders, as below ``config`` in ``meltano.yml``."""

STREAMS = ["analytics.users", "analytics.visits", "eu.shop.orders", "plain"]


def nested(names: Mapping[str, Any]) -> dict[str, Any]:
    """Nest names with dots: Meltano omits such names from the environment."""
    result: dict[str, Any] = {}
    for name, value in names.items():
        *parents, last = name.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return result


FROM_ENVIRONMENT: dict[str, Any] = {
    "TARGET_ENV_STREAM_CALLS": json.dumps(nested(CALLS)),
    "TARGET_ENV_STREAM_MAPS": json.dumps(nested(MAPS)),
}


def streams_of(settings: Mapping[str, Any]) -> list[str]:
    if settings in ({}, SETTINGS["dotted"]):
        return STREAMS
    names = {**settings["stream_calls"], **settings.get("stream_maps", {})}
    return [name.replace("*", "any") for name in names]


def row(stream: str, number: int) -> dict[str, Any]:
    """Return a row with every column that a recipe uses."""
    is_first = number == 1
    return {
        "id": f"{stream}-{number}",
        "user_id": f"user-{number}",
        "email": f"{stream}-{number}@example.com",
        "event_text": "Order Completed",
        "placed_at": "2026-01-02T03:04:05Z",
        "paid_at": "2026-01-02T03:04:05Z",
        "company_id": "c-1",
        "role": "owner",
        "plan": "pro" if is_first else None,
        "deleted_at": None if is_first else "2026-01-02T03:04:05Z",
        "left_at": None if is_first else "2026-01-02T03:04:05Z",
    }


def feed(settings: Mapping[str, Any]) -> str:
    messages: list[dict[str, Any]] = []
    for stream in streams_of(settings):
        rows = [row(stream, number) for number in (1, 2)]
        schema = {"type": "object", "properties": {name: {} for name in rows[0]}}
        messages.append(
            {"type": "SCHEMA", "stream": stream, "schema": schema}
            | {"key_properties": ["id"]}
        )
        messages += (
            {"type": "RECORD", "stream": stream, "record": each} for each in rows
        )
    return "".join(json.dumps(message) + "\n" for message in messages)


def configure(content: dict[str, Any]) -> None:
    (loader,) = content["plugins"]["loaders"]
    del loader["pip_url"]
    loader["executable"] = Copy.command("target-customerio")
    content["plugins"]["loaders"] += [
        {
            **loader,
            "name": f"target-{name}",
            "namespace": f"target_{name}",
            "config": {**settings, "sandbox": f"{name}.db"},
        }
        for name, settings in SETTINGS.items()
    ]
    tap = {
        "name": "tap-file",
        "namespace": "tap_file",
        "executable": str(Path(__file__).parent / "tap_file.py"),
        "settings": [{"name": "path"}],
    }
    content["plugins"]["extractors"] = [
        tap,
        *(
            {
                "name": f"tap-{name}",
                "inherit_from": "tap-file",
                "config": {"path": f"{name}.jsonl"},
            }
            for name in SETTINGS
        ),
    ]
    del content["jobs"]
    content.pop("schedules", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, meltano: str) -> Path:
    """Run everything with Meltano, and again without it."""
    project = Copy(tmp_path_factory.mktemp("project"), meltano)
    project.configure(configure)
    states = {"uri": (project.folder / STATES).as_uri()}
    project.configure(lambda content: content.update(state_backend=states))
    for name, settings in SETTINGS.items():
        text = feed(settings)
        (project.folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    plugins = [f"{kind}-{name}" for name in SETTINGS for kind in ("tap", "target")]
    project.run("run", *plugins, **FROM_ENVIRONMENT)
    for name, settings in SETTINGS.items():
        run_directly(project.folder, name, settings or SETTINGS["dotted"])
    return project.folder


def run_directly(folder: Path, name: str, settings: Mapping[str, Any]) -> None:
    config = {**settings, "sandbox": f"{name}-direct.db"}
    (folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
    subprocess.run(
        [
            Copy.command("target-customerio"),
            *("--config", f"{name}.json", "--input", f"{name}.jsonl"),
        ],
        cwd=folder,
        env=clean_environment(),
        check=True,
        stderr=subprocess.DEVNULL,
    )


def sent(folder: Path, name: str) -> str:
    """Return everything sent, without random ids."""
    with closing(sqlite3.connect(folder / f"{name}.db")) as workspace:
        rows = workspace.execute(
            "SELECT body FROM requests WHERE method = 'POST' ORDER BY sequence"
        ).fetchall()
    return "\n".join(body for (body,) in rows)


def landed(folder: Path, name: str) -> dict[str, Any]:
    found = contents_of(folder / f"{name}.db")
    for event in found["events"]:
        event.pop("id")
    return {kind: found[kind] for kind in ("people", "objects", "events")}


@pytest.mark.parametrize("name", sorted({*SETTINGS} - {"null"}))
def test_settings_work_the_same_with_and_without_meltano(
    name: str, folder: Path
) -> None:
    assert landed(folder, name) == landed(folder, f"{name}-direct")
    assert sent(folder, name)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_does_not_send_dropped_columns(name: str, folder: Path) -> None:
    for stream, columns in RECIPES[name].get("stream_maps", {}).items():
        assert columns is not None
        if columns == "__NULL__":
            assert f"{stream}-1" not in sent(folder, name)
            continue
        for column, value in columns.items():
            assert value is not None
            if value == "__NULL__":
                assert f'"{column}"' not in sent(folder, name)


def test_streams_with_dots_have_their_calls_maps_and_settings(folder: Path) -> None:
    for name in ("dotted", "env"):
        found = landed(folder, name)
        assert found["people"]["id:analytics.users-1"]["attributes"]["plan"] == "pro"
        assert "analytics.users-1@example.com" not in sent(folder, name)
        (second,) = [
            operation["attributes"]
            for operation in json.loads(sent(folder, name))["batch"]
            if operation["identifiers"]["id"] == "analytics.users-2"
        ]
        assert "deleted_at" in second
        assert "plan" not in second
        assert "analytics.visits" not in sent(folder, name)
        assert found["people"]["id:plain-1"]["attributes"] == {}
        orders = [each for each in found["events"] if each["name"] == "Order Placed"]
        assert [each["timestamp"] for each in orders] == [1767323045] * 2
        assert orders[0]["attributes"]["paid_at"] == "2026-01-02T03:04:05Z"


def test_a_null_in_meltano_yml_never_reaches_the_target(folder: Path) -> None:
    """This is why the recipes use ``__NULL__``."""
    assert "plain-1@example.com" in sent(folder, "null")
    assert "plain-1@example.com" not in sent(folder, "null-direct")
