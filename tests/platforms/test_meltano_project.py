"""The Meltano project of the documentation, from PostgreSQL to a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.command import clean_environment
from support.pages import Page
from support.postgres import DATABASE, PASSWORD, USER, Database, running_server
from support.workspace import contents_of

from .project import ROOT, Copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(900)  # the tap is installed first

EXAMPLE = ROOT / "docs/examples/meltano"
PAGE = Page.of(ROOT / "docs/meltano.md", ROOT / "README.md")


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with running_server() as database:
        database.psql((EXAMPLE / "shop.sql").read_text(encoding="utf-8"))
        yield database


class Project:
    """The documented project in a folder, with the addresses of this machine."""

    def __init__(self, folder: Path, meltano: str) -> None:
        self.folder = folder
        self._path = os.pathsep.join([str(Path(meltano).parent), os.environ["PATH"]])

    def run(self, name: str, code: int = 0) -> str:
        """Run a command of the page, and return its log."""
        done = subprocess.run(
            ["bash", "-euc", PAGE.block("run", name)],
            cwd=self.folder,
            env=clean_environment(
                COLUMNS="1000",
                NO_COLOR="1",
                PATH=self._path,
                TAP_POSTGRES_PASSWORD=PASSWORD,
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def workspace(self) -> dict[str, Any]:
        return contents_of(self.folder / "workspace.db")


def write_project(folder: Path, file: Path, database: Database, tap: Path) -> None:
    """Write a project with the addresses of this machine."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    (extractor,) = content["plugins"]["extractors"]
    (loader,) = content["plugins"]["loaders"]
    extractor |= {"executable": str(tap)}
    if {"name": "port", "kind": "integer"} not in extractor["settings"]:
        extractor["settings"].append({"name": "port", "kind": "integer"})
    extractor["config"] |= {
        "host": "127.0.0.1",
        "port": database.port,
        "user": USER,
        "database": DATABASE,
    }
    loader |= {"executable": Copy.command("target-customerio")}
    del extractor["pip_url"], loader["pip_url"]
    (folder / "meltano.yml").write_text(yaml.safe_dump(content), encoding="utf-8")


@pytest.fixture(scope="module")
def project(
    database: Database,
    install: Callable[..., Path],
    meltano: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    tap = install("tap-postgres", "meltanolabs-tap-postgres==0.10.0") / "tap-postgres"
    folder = tmp_path_factory.mktemp("project")
    write_project(folder, EXAMPLE / "meltano.yml", database, tap)
    return Project(folder, meltano)


@pytest.fixture(scope="module")
def first(project: Project) -> dict[str, Any]:
    """Run the job once; the order of a guest is rejected."""
    project.run("meltano_run", code=1)
    return project.workspace


def test_check_succeeds(project: Project) -> None:
    project.run("meltano_check")


def test_every_table_is_delivered_as_documented(first: dict[str, Any]) -> None:
    people = first["people"]

    assert people.keys() == {"id:1", "id:2"}
    assert people["id:1"]["email"] == "ann@example.com"
    assert people["id:1"]["attributes"]["plan"] == "pro"
    assert "password_hash" not in people["id:1"]["attributes"]
    assert first["objects"]["1:10"]["attributes"]["seats"] == 5
    assert sorted(
        (each["object"], each["person"], each["attributes"]["role"])
        for each in first["relationships"]
    ) == [("1:10", "id:1", "owner"), ("1:10", "id:2", "member")]
    (event,) = first["events"]
    assert (event["person"], event["name"]) == ("id:1", "Order Placed")
    assert event["attributes"]["order_id"] == 101


@pytest.mark.usefixtures("first")
def test_rejected_records_stop_the_pipeline_until_they_are_replayed(
    project: Project,
) -> None:
    rejected = project.folder / "rejected.singer.jsonl"
    assert '"no_identifier"' in rejected.read_text(encoding="utf-8")
    log = project.run("meltano_guard", code=3)
    assert "Correct and load rejected.singer.jsonl, and move it away" in log
    # The tap did not read them again.
    assert rejected.read_text(encoding="utf-8").count('"RECORD"') == 1

    corrected = [
        json.loads(line) for line in rejected.read_text(encoding="utf-8").splitlines()
    ]
    for message in corrected:
        if message["type"] == "RECORD":
            message["record"]["user_id"] = 2
    rejected.write_text("".join(json.dumps(each) + "\n" for each in corrected))
    project.run("meltano_replay")

    assert {event["person"] for event in project.workspace["events"]} == {
        "id:1",
        "id:2",
    }
    assert not rejected.exists()
    before = project.workspace
    project.run("meltano_guard")
    assert project.workspace == before


def test_the_short_project_of_the_readme_loads_people_and_orders(
    database: Database, install: Callable[..., Path], meltano: str, tmp_path: Path
) -> None:
    tap = install("tap-postgres", "meltanolabs-tap-postgres==0.10.0") / "tap-postgres"
    write_project(tmp_path, EXAMPLE / "short.yml", database, tap)
    project = Project(tmp_path, meltano)

    log = project.run("meltano_short", code=1)  # the order of a guest is rejected

    assert "no_identifier" in log
    assert project.workspace["people"].keys() == {"id:1", "id:2"}
    assert "password_hash" not in project.workspace["people"]["id:1"]["attributes"]
    (event,) = project.workspace["events"]
    assert (event["person"], event["name"]) == ("id:1", "Order placed")
