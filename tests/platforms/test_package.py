"""The released wheel contains only the package; the release workflow is safe."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.command import clean_environment
from support.workspace import contents_of

from .project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


pytestmark = pytest.mark.timeout(900)  # installs packages over the network


@pytest.fixture(scope="module")
def wheel(
    install: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    python = install("build", "build~=1.3") / "python"
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, source)
    for name in ("target_customerio", "docs/examples/shop"):
        shutil.copytree(ROOT / name, source / name)
    subprocess.run(
        [str(python), "-m", "build", "--wheel", "--outdir", "dist"],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=600,
    )
    (wheel,) = (source / "dist").iterdir()
    return wheel


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def test_the_wheel_has_the_package_and_nothing_else(wheel: Path) -> None:
    names = [PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()]

    metadata = {name for name in names if name.parts[0].endswith(".dist-info")}
    assert {str(PurePosixPath(*name.parts[1:])) for name in metadata} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    assert {name for name in names if name not in metadata} == {
        PurePosixPath(file.relative_to(ROOT).as_posix())
        for file in (ROOT / "target_customerio").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert PurePosixPath("target_customerio/py.typed") in names


def test_a_build_without_git_has_the_version_of_the_project(wheel: Path) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'(?m)^version = "(.+)"$', text)

    assert found
    assert wheel.name == f"target_customerio-{found[1]}-py3-none-any.whl"


def test_the_wheel_works_in_an_empty_environment(
    wheel: Path, install: Callable[..., Path], tmp_path: Path
) -> None:
    name = f"wheel-{wheel.stat().st_mtime_ns}"
    command = str(install(name, str(wheel)) / "target-customerio")
    shop = ROOT / "docs/examples/shop"

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [command, *arguments],
            cwd=tmp_path,
            env=clean_environment(),
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    assert run("--version").startswith("target-customerio v")
    run(
        *("--config", str(shop / "sandbox.json")),
        *("--input", str(shop / "shop.singer.jsonl")),
    )
    assert len(contents_of(tmp_path / "workspace.db")["events"]) > 1000


def test_only_the_release_job_gets_an_identity_token(workflow: dict[str, Any]) -> None:
    permitted = {name: job.get("permissions") for name, job in workflow["jobs"].items()}

    assert permitted.pop("release") == {"id-token": "write"}
    assert not any(permitted.values())


def test_a_release_needs_a_tag_and_all_checks(
    workflow: dict[str, Any],
) -> None:
    release = workflow["jobs"]["release"]

    assert set(release["needs"]) == workflow["jobs"].keys() - {"release"}
    assert "github.ref_type == 'tag'" in release["if"]
    assert release["environment"] == "release"
    assert not any("run" in step for step in release["steps"])


def test_the_workflows_have_no_known_weakness(install: Callable[..., Path]) -> None:
    zizmor = install("zizmor", "zizmor~=1.32") / "zizmor"

    done = subprocess.run(
        [str(zizmor), "--offline", "--no-progress", "--persona=pedantic", ".github"],
        cwd=ROOT,
        env=clean_environment(NO_COLOR="1"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_changelog_is_grouped_by_version() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()

    heads = [line for line in lines if line.startswith("## ")]
    assert lines[0] == "# Changes"
    assert heads[0] == "## Unreleased"
