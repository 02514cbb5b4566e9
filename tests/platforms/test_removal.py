"""The recipes of the page on removal, with real taps, Meltano and PostgreSQL."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.command import clean_environment
from support.pages import Page, Shell
from support.postgres import DATABASE, PASSWORD, USER, Database, running_server

from .project import ROOT, Copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(900)  # installs packages over the network

PAGE = Page.of(ROOT / "docs/removal.md")
PROJECT = ROOT / "docs/examples/meltano/removal.yml"
LARGE = 10_500
"""Rows of a table of which pipelinewise-tap-postgres writes STATE within it."""


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    with running_server() as database:
        yield database


@pytest.fixture
def database(server: Database) -> Database:
    """Return a server with a table of 20 people."""
    server.psql(
        "DROP TABLE IF EXISTS users;"
        "CREATE TABLE users (id integer PRIMARY KEY, email text, password_hash text,"
        " updated_at timestamptz DEFAULT now());"
        "INSERT INTO users SELECT n, 'p' || n || '@example.com', 'x'"
        " FROM generate_series(1, 20) n;"
    )
    return server


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def people(shell: Shell) -> set[str]:
    return {name for (name,) in shell.rows("SELECT id FROM people")}


def ids(numbers: Iterable[int]) -> set[str]:
    return {str(number) for number in numbers}


# A pipe with a tap that is made with the Meltano SDK


def write_people(shell: Shell, numbers: Iterable[int]) -> None:
    lines = [json.dumps({"user_id": str(number)}) + "\n" for number in numbers]
    shell.write("people.jsonl", "".join(lines))


@pytest.fixture
def pipe(shell: Shell, tap_jsonl: Path) -> Shell:
    """Return a folder with the files of the page, loaded once."""
    tap = {"path": "people.jsonl", "stream_name": "users", "primary_keys": ["user_id"]}
    shell.write("tap.json", json.dumps(tap))
    shell.write("mirror.json", PAGE.block("file", "mirror.json"))
    write_people(shell, range(20))
    command = f"'{tap_jsonl}/tap-jsonl'"
    catalog = json.loads(shell.run(f"{command} --config tap.json --discover").stdout)
    (stream,) = catalog["streams"]
    # By itself it reads only files that are newer than those of its last run.
    stream["replication_method"] = "FULL_TABLE"
    del stream["replication_key"]
    shell.write("catalog.json", json.dumps(catalog))
    script = f'#!/bin/sh\n{command} "$@" --catalog catalog.json || exit\n'
    shell.write("tap-users", script, executable=True)
    shell.run(PAGE.block("run", "mirror"))
    return shell


def test_a_pipe_removes_what_is_gone(pipe: Shell) -> None:
    assert people(pipe) == ids(range(20))
    write_people(pipe, range(18))
    pipe.run(PAGE.block("run", "mirror"))
    assert people(pipe) == ids(range(18))


def test_a_refused_removal_is_allowed_once(pipe: Shell) -> None:
    write_people(pipe, range(19))
    pipe.run(PAGE.block("run", "mirror"))
    write_people(pipe, range(16))
    pipe.run(PAGE.block("run", "mirror"), code=1)
    pipe.run(PAGE.block("run", "allow"), code=1)  # it allows 2, and 3 are gone
    write_people(pipe, range(17))
    pipe.run(PAGE.block("run", "mirror"), code=1)
    pipe.run(PAGE.block("run", "allow"))
    assert people(pipe) == ids(range(17))


def test_a_tap_that_fails_after_its_last_row_removes_nothing(pipe: Shell) -> None:
    write_people(pipe, range(18))
    tap = (pipe.folder / "tap-users").read_text()
    pipe.write("tap-users", f"{tap}exit 5\n")
    pipe.run(PAGE.block("run", "mirror"), code=5)
    assert people(pipe) == ids(range(20))
    pipe.write("tap-users", tap)
    write_people(pipe, range(19))
    pipe.run(PAGE.block("run", "mirror"))
    assert people(pipe) == ids(range(19))


# A CSV file


@pytest.fixture
def csv_pipe(shell: Shell, install: Callable[..., Path]) -> Shell:
    """Return a folder with the files of the page and a CSV file, without a load."""
    tap = install("tap-spreadsheets", "tap-spreadsheets==1.1.2") / "tap-spreadsheets"
    shell.write("tap-spreadsheets", f"#!/bin/sh\n'{tap}' \"$@\"\n", executable=True)
    for name in ("csv.json", "tap-people.json"):
        shell.write(name, PAGE.block("file", name))
    write_csv(shell, range(20))
    shell.run(PAGE.block("run", "csv_catalog"))
    return shell


def write_csv(shell: Shell, numbers: Iterable[int]) -> None:
    rows = [f"{number},p{number}@example.com,free\n" for number in numbers]
    shell.write("people.csv", "".join(["user_id,email,plan\n", *rows]))


def test_a_csv_file_is_mirrored_by_a_tap(csv_pipe: Shell) -> None:
    """Loaded twice, edited, rows deleted; then the file is gone."""
    command = PAGE.block("run", "csv_tap")
    csv_pipe.run(command)
    assert people(csv_pipe) == ids(range(20))
    assert "unchanged" in csv_pipe.run(command).stderr
    write_csv(csv_pipe, range(2, 21))
    text = (csv_pipe.folder / "people.csv").read_text()
    csv_pipe.write(
        "people.csv", text.replace("p5@example.com,free", "p5@example.com,x")
    )
    csv_pipe.run(command)
    assert people(csv_pipe) == ids(range(2, 21))
    query = "SELECT person FROM person_attributes WHERE name = 'plan' AND value = 'x'"
    assert csv_pipe.rows(query) == [("p5@example.com",)]

    (csv_pipe.folder / "people.csv").unlink()
    done = csv_pipe.run(command, code=1)
    assert "Stream 'people': its table was empty" in done.stderr
    assert "19 of 19 people would be removed" in done.stderr
    assert people(csv_pipe) == ids(range(2, 21))


# Taps of PostgreSQL


class PostgresTap:
    """A tap of PostgreSQL, piped into the target."""

    def __init__(self, shell: Shell, tap: Path, config: dict[str, Any]) -> None:
        self.shell = shell
        self._tap = str(tap)
        shell.write("tap.json", json.dumps(config))
        calls = {"public-users": {"call": "identify", "remove_missing": True}}
        maps = {"public-users": {"user_id": "id", "password_hash": "__NULL__"}}
        settings = {
            "sandbox": "workspace.db",
            "snapshot": "customerio.db",
            "stream_calls": calls,
            "stream_maps": maps,
        }
        shell.write("target.json", json.dumps(settings))

    def select(self, **metadata: Any) -> None:
        """Write a catalog in which every table is selected."""
        done = self._run("--discover")
        catalog = json.loads(done.stdout)
        for stream in catalog["streams"]:
            (root,) = (each for each in stream["metadata"] if not each["breadcrumb"])
            root["metadata"] |= {"selected": True, **metadata}
            # Where taps of the SDK look.
            stream |= {
                name.replace("-", "_"): value for name, value in metadata.items()
            }
        self.shell.write("catalog.json", json.dumps(catalog))

    def load(self, state: Any = None) -> list[Any]:
        """Load the table, and return the STATE messages of the tap."""
        arguments = ["--catalog", "catalog.json"]
        if state is not None:
            self.shell.write("state.json", json.dumps(state))
            arguments += ["--state", "state.json"]
        done = self._run(*arguments)
        self.shell.write("messages.jsonl", done.stdout)
        self.shell.run("target-customerio --config target.json < messages.jsonl")
        messages = map(json.loads, done.stdout.splitlines())
        return [each["value"] for each in messages if each["type"] == "STATE"]

    def remove(self, code: int = 0) -> str:
        command = "target-customerio --config target.json --remove-missing"
        return self.shell.run(command, code=code).stderr

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._tap, "--config", "tap.json", *arguments],
            cwd=self.shell.folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )


FULL = {"replication-method": "FULL_TABLE"}
BY_TIME = {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}


@pytest.fixture
def pipelinewise(
    install: Callable[..., Path], database: Database, shell: Shell
) -> PostgresTap:
    folder = install(
        "pipelinewise-tap-postgres", "pipelinewise-tap-postgres==1.8.4", python="3.11"
    )
    config = database.tap_config()
    config |= {"dbname": config.pop("database"), "filter_schemas": "public"}
    return PostgresTap(shell, folder / "tap-postgres", config)


@pytest.fixture
def meltanolabs(
    install: Callable[..., Path], database: Database, shell: Shell
) -> PostgresTap:
    folder = install("tap-postgres", "meltanolabs-tap-postgres==0.10.0")
    return PostgresTap(shell, folder / "tap-postgres", database.tap_config("public"))


@pytest.mark.parametrize("name", ["pipelinewise", "meltanolabs"])
def test_a_full_table_removes_what_is_gone_and_an_incremental_one_nothing(
    name: str, database: Database, request: pytest.FixtureRequest
) -> None:
    tap: PostgresTap = request.getfixturevalue(name)
    tap.select(**FULL)
    states = tap.load()
    database.psql("DELETE FROM users WHERE id = 20")
    tap.load(states[-1])
    tap.remove()
    assert people(tap.shell) == ids(range(1, 20))

    database.psql("DELETE FROM users WHERE id = 19")
    tap.select(**BY_TIME)
    tap.load()
    assert "it is not a full table" in tap.remove(code=1)
    assert people(tap.shell) == ids(range(1, 20))


def test_a_large_table_of_pipelinewise_is_a_full_table_unless_it_goes_on(
    database: Database, pipelinewise: PostgresTap
) -> None:
    tap = pipelinewise
    database.psql(
        "INSERT INTO users SELECT n, 'p' || n || '@example.com', 'x'"
        f" FROM generate_series(21, {LARGE}) n;"
    )
    tap.select(**FULL)
    states = tap.load()
    places = [each["bookmarks"]["public-users"].get("xmin") for each in states]
    assert any(places), places
    database.psql(f"DELETE FROM users WHERE id = {LARGE}")
    interrupted = [each for each, at in zip(states, places, strict=True) if at]
    tap.load(interrupted[0])
    assert "it is not a full table" in tap.remove(code=1)
    tap.load(states[-1])
    tap.remove()
    assert len(people(tap.shell)) == LARGE - 1


# Meltano


def plugin(content: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = content["plugins"][kind]
    assert isinstance(found, dict)
    return found


def test_the_utility_has_the_settings_of_the_loader() -> None:
    content = yaml.safe_load(PROJECT.read_text(encoding="utf-8"))
    loader, utility = plugin(content, "loaders"), plugin(content, "utilities")
    for name in ("namespace", "pip_url", "executable", "settings", "config"):
        assert utility[name] == loader[name]
    for environment in content["environments"]:
        plugins = environment.get("config", {"plugins": {}})["plugins"]
        loaders, utilities = (
            [each["config"] for each in plugins.get(kind, [])]
            for kind in ("loaders", "utilities")
        )
        assert loaders == utilities


@pytest.fixture
def project(
    shell: Shell, meltano: str, install: Callable[..., Path], database: Database
) -> Shell:
    """Return the project of the page, with the addresses of this machine."""
    tap = install("tap-postgres", "meltanolabs-tap-postgres==0.10.0") / "tap-postgres"
    content = yaml.safe_load(PROJECT.read_text(encoding="utf-8"))
    extractor = plugin(content, "extractors")
    extractor["executable"] = str(tap)
    extractor["config"] |= {
        "host": "127.0.0.1",
        "port": database.port,
        "user": USER,
        "database": DATABASE,
    }
    del extractor["pip_url"]
    for kind in ("loaders", "utilities"):
        del plugin(content, kind)["pip_url"]
        plugin(content, kind)["executable"] = Copy.command("target-customerio")
    shell.write("meltano.yml", yaml.safe_dump(content))
    (shell.folder / "meltano").symlink_to(meltano)
    return shell


def job(project: Shell, name: str, *, code: int = 0, password: str = PASSWORD) -> str:
    done = project.run(
        PAGE.block("run", name),
        code=code,
        TAP_POSTGRES_PASSWORD=password,
        NO_COLOR="1",
        COLUMNS="1000",
    )
    return done.stdout + done.stderr


def test_a_job_of_meltano_removes_what_is_gone_once_its_load_has_succeeded(
    project: Shell, database: Database
) -> None:
    job(project, "meltano_mirror_job")
    assert people(project) == ids(range(1, 21))

    database.psql("DELETE FROM users WHERE id = 20")
    job(project, "meltano_mirror_job", code=1, password="wrong")
    assert people(project) == ids(range(1, 21))
    log = job(project, "meltano_mirror_job")
    assert "1 removed, 0 rejected, 0 left" in log
    assert "Plan: 0 to remove, 0 kept; nothing was removed" in log
    assert people(project) == ids(range(1, 20))

    database.psql("DELETE FROM users WHERE id > 10")
    log = job(project, "meltano_mirror_job", code=1)
    assert "9 of 19 people would be removed" in log
    assert people(project) == ids(range(1, 20))


def test_a_refused_removal_of_meltano_is_allowed_once(
    project: Shell, database: Database
) -> None:
    job(project, "meltano_mirror_job")
    database.psql("DELETE FROM users WHERE id > 10")
    job(project, "meltano_mirror_job", code=1)
    database.psql("INSERT INTO users SELECT n FROM generate_series(11, 17) n")
    job(project, "meltano_mirror_job", code=1)
    allow = PAGE.block("run", "meltano_allow").replace("=2 ", "=3 ")
    plan = allow.replace(":remove-missing", ":plan")
    assert "Plan: 3 to remove" in project.run(plan, COLUMNS="1000").stderr
    project.run(allow)
    assert people(project) == ids(range(1, 18))


def test_the_loader_of_meltano_removes_what_is_gone(
    project: Shell, database: Database
) -> None:
    job(project, "meltano_mirror")
    database.psql("DELETE FROM users WHERE id = 20")
    job(project, "meltano_mirror")
    assert people(project) == ids(range(1, 20))
