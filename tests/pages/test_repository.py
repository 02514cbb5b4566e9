"""What the repository contains, and what it must not contain."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN_FOR_TOOLS_AND_PEOPLE = (
    ".ci/run",
    ".env.example",
    ".github/dependabot.yml",
    ".github/workflows/ci.yml",
    ".pre-commit-config.yaml",
    "CONTRIBUTING.md",
    "README.md",
    "meltano.yml",
    "pyproject.toml",
)
REGISTRIES = re.compile(
    r"py[p]i\.|python[h]osted|--(extra-)?index-url|--find-links|PIP_\w+|UV_\w+"
)
TOKENS = re.compile(r"\b(?=\w*\d)(?=\w*[a-z])\w{20,}\b", re.IGNORECASE)
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


@pytest.fixture(scope="module", params=WRITTEN_FOR_TOOLS_AND_PEOPLE)
def text(request: pytest.FixtureRequest, root: Path) -> str:
    return (root / request.param).read_text(encoding="utf-8")


def test_no_file_names_a_registry(text: str) -> None:
    assert not REGISTRIES.search(text)


def test_no_file_contains_a_string_like_a_credential(text: str) -> None:
    assert not TOKENS.findall(PINNED.sub("", text))


def test_sample_people_have_example_domains(text: str) -> None:
    addresses = re.findall(r"[\w.]+@([\w-]+\.\w+)", PINNED.sub("", text))

    assert set(addresses) <= {"example.com"}


def workflows(root: Path) -> list[dict[str, Any]]:
    files = sorted((root / ".github/workflows").glob("*.yml"))
    assert files
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]


def test_workflows_have_read_permissions_only(root: Path) -> None:
    assert all(flow["permissions"] == {"contents": "read"} for flow in workflows(root))


def test_every_job_has_a_timeout_and_pinned_actions(root: Path) -> None:
    for flow in workflows(root):
        for job in flow["jobs"].values():
            assert job["timeout-minutes"] <= 20
            for step in job["steps"]:
                assert "run" in step or PINNED.fullmatch(step["uses"])


def test_ci_runs_on_every_python_in_the_classifiers(root: Path) -> None:
    named = re.findall(
        r"Python :: (3\.\d+)", (root / "pyproject.toml").read_text(encoding="utf-8")
    )
    (flow,) = workflows(root)

    assert flow["jobs"]["checks"]["strategy"]["matrix"]["python"] == named


def test_ci_can_be_run_locally(root: Path) -> None:
    assert os.access(root / ".ci/run", os.X_OK)
