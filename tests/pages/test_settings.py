"""Settings are described consistently everywhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.target import TargetCustomerIO

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    "object": "object",
    "boolean": "boolean",
    "string": "string",
    "integer": "integer",
    "number": "decimal",
}


def type_of(schema: dict[str, Any]) -> str:
    return next(kind for kind in KINDS if kind in schema["type"])


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_meltano_declares_exactly_the_settings(
    loader: dict[str, Any], settings: dict[str, Any]
) -> None:
    assert [entry["name"] for entry in loader["settings"]] == list(settings)


@pytest.mark.parametrize("name", TargetCustomerIO.config_jsonschema["properties"])
def test_meltano_describes_a_setting_as_the_target_does(
    name: str, loader: dict[str, Any], settings: dict[str, Any]
) -> None:
    (entry,) = (entry for entry in loader["settings"] if entry["name"] == name)
    schema = settings[name]

    expected = {
        "name": name,
        "label": schema.get("title", name.replace("_", " ").capitalize()),
        "kind": "options" if "enum" in schema else KINDS[type_of(schema)],
        "description": schema["description"],
    }
    if schema.get("secret"):
        expected["sensitive"] = True
    if "default" in schema:
        expected["value"] = schema["default"]
    options = [option["value"] for option in entry.pop("options", [])]

    assert entry == expected
    assert options == schema.get("enum", [])


def test_meltano_and_the_target_declare_the_same_capabilities(
    loader: dict[str, Any],
) -> None:
    capabilities = [each.value for each in TargetCustomerIO.capabilities]

    assert loader["capabilities"] == capabilities


def test_meltano_requires_credentials_or_a_sandbox(loader: dict[str, Any]) -> None:
    assert loader["settings_group_validation"] == [["site_id", "api_key"], ["sandbox"]]


def test_meltano_configures_only_existing_settings(
    project: dict[str, Any], settings: dict[str, Any]
) -> None:
    for environment in project["environments"]:
        for loader in environment["config"]["plugins"]["loaders"]:
            assert loader["config"].keys() <= settings.keys()
            assert not loader["config"].keys() & {"site_id", "api_key"}


def test_meltano_loads_every_stream_of_the_sample_shop(
    project: dict[str, Any], root: Path
) -> None:
    extractors = {
        tap["name"]: tap["config"]
        for tap in project["plugins"]["extractors"]
        if "inherit_from" in tap
    }
    (job,) = project["jobs"]
    taps = [task.removesuffix(" target-customerio") for task in job["tasks"]]

    files = {root / extractors[tap]["path"] for tap in taps}

    assert sorted(taps) == sorted(extractors)
    assert files == {
        file
        for file in (root / "docs/examples/shop").glob("*.jsonl")
        if not file.name.endswith(".singer.jsonl")
    }
    assert {
        root / "docs/examples/shop" / f"{tap['stream_name']}.jsonl"
        for tap in extractors.values()
    } == files


def test_the_sample_environment_has_every_setting_once_and_its_default(
    root: Path, settings: dict[str, Any]
) -> None:
    text = (root / ".env.example").read_text(encoding="utf-8")

    entries = re.findall(r"^# TARGET_CUSTOMERIO_(\w+)='(.*)'$", text, re.MULTILINE)

    assert len(entries) == len(settings)
    assert dict(entries) == {
        name.upper(): text_of(schema.get("default", ""))
        for name, schema in settings.items()
    }


def test_the_unchanged_sample_environment_sets_nothing(root: Path) -> None:
    lines = (root / ".env.example").read_text(encoding="utf-8").splitlines()

    assert all(not line or line.startswith("#") for line in lines)


def test_a_shell_loads_the_sample_environment_with_any_values(
    root: Path, tmp_path: Path
) -> None:
    text = (root / ".env.example").read_text(encoding="utf-8")
    value = '{"a b": "$c"}'
    text = re.sub(r"(?m)^# (TARGET_CUSTOMERIO_\w+=)'.*'$", rf"\1'{value}'", text)
    (tmp_path / ".env").write_text(text, encoding="utf-8")

    loaded = subprocess.run(
        ["sh", "-euc", "set -a; . ./.env; env"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    ours = [line for line in loaded if line.startswith("TARGET_CUSTOMERIO_")]
    assert len(ours) == text.count("\nTARGET_CUSTOMERIO_")
    assert {line.partition("=")[2] for line in ours} == {value}
