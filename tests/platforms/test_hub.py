"""The definition for Meltano Hub matches the Hub's schema and installs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from .project import ROOT, Copy

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(900)  # installs packages over the network

FILE = ROOT / "docs/examples/hub/target-customerio.yml"

# What the Hub's schemas require and allow for a loader.
REQUIRED = {"name", "namespace", "variant", "label", "quality"}
ALLOWED = REQUIRED | {
    "capabilities",
    "definition",
    "description",
    "dialect",
    "docs",
    "domain_url",
    "executable",
    "hidden",
    "keywords",
    "log_parser",
    "logo_url",
    "maintenance_status",
    "next_steps",
    "pip_url",
    "prereq",
    "python",
    "repo",
    "requires",
    "settings",
    "settings_group_validation",
    "settings_preamble",
    "supported_python_versions",
    "target_schema",
    "usage",
    "commands",
}
OF_A_SETTING = {
    "name",
    "kind",
    "label",
    "description",
    "options",
    "sensitive",
    "value",
}
KINDS = {"string", "integer", "decimal", "boolean", "object", "array", "options"}
CAPABILITIES = {
    "about",
    "batch",
    "hard-delete",
    "schema-flattening",
    "stream-maps",
    "structured-logging",
    "validate-records",
}


@pytest.fixture(scope="module")
def definition() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_the_definition_matches_the_hub_schema(
    definition: dict[str, Any],
) -> None:
    assert definition.keys() >= REQUIRED
    assert definition.keys() <= ALLOWED
    assert set(definition["capabilities"]) <= CAPABILITIES
    assert definition["quality"] in {"gold", "silver", "bronze", "unknown"}
    assert definition["maintenance_status"] in {"active", "beta", "development"}
    for setting in definition["settings"]:
        assert setting.keys() <= OF_A_SETTING
        assert setting["kind"] in KINDS
        assert ("options" in setting) == (setting["kind"] == "options")
        for option in setting.get("options", []):
            assert option.keys() == {"label", "value"}
            assert isinstance(option["value"], str)


def test_setting_groups_list_existing_settings(definition: dict[str, Any]) -> None:
    names = {setting["name"] for setting in definition["settings"]}

    assert {name for group in definition["settings_group_validation"] for name in group}
    assert {
        name for group in definition["settings_group_validation"] for name in group
    } <= names


def test_the_definition_adds_a_working_loader_to_an_empty_project(
    definition: dict[str, Any], checkout: Copy, meltano: str, tmp_path: Path
) -> None:
    definition["pip_url"] = str(checkout.folder)
    (tmp_path / "loader.yml").write_text(yaml.safe_dump(definition))
    Copy(tmp_path, meltano).run("init", "empty")
    project = Copy(tmp_path / "empty", meltano)

    added = project.run(
        *("add", "--plugin-type=loader", "--from-ref", "../loader.yml"),
        "target-customerio",
    )

    assert "Installed loader 'target-customerio'" in added.stderr
    content = yaml.safe_load((project.folder / "meltano.yml").read_text())
    (loader,) = content["plugins"]["loaders"]
    assert loader["settings"] == definition["settings"]
    said = project.run("invoke", "target-customerio", "--version")
    assert said.stdout.startswith("target-customerio v")
    project.run("config", "set", "target-customerio", "sandbox", "workspace.db")
    (project.folder / "in.jsonl").write_text(
        '{"type": "SCHEMA", "stream": "identifies", "schema": {"properties": {}}}\n'
        '{"type": "RECORD", "stream": "identifies", "record": {"userId": "p-1"}}\n'
    )
    project.run("invoke", "target-customerio", "--input=in.jsonl")
    assert project.workspace()["people"].keys() == {"id:p-1"}
