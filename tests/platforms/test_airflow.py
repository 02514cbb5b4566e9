"""The DAGs of the documentation, run by Airflow itself."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sysconfig
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from support.command import clean_environment
from support.customerio import Customerio, Reply, Request, accept, always
from support.forks import POSSIBLE, ForkServer
from support.mail import MailServer, attachments, text_of
from support.pages import Page
from support.postgres import Database, running_server
from support.workspace import contents_of

from .project import ROOT, Copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.timeout(900)  # installs packages over the network

TAP = "tap-postgres"
HERE = Path(__file__).parent
EXAMPLES = ROOT / "docs/examples/dags"
DAGS = {file.stem for file in EXAMPLES.glob("*.py")}
ACCOUNT = {"conn_type": "generic", "login": "made-up-site", "password": "made-up-key"}


@dataclass
class Airflow:
    """An installation with its database and a folder of pipelines."""

    commands: Path
    home: Path
    taps: Path

    def __post_init__(self) -> None:
        self.outputs = self.home / "outputs"
        self.outputs.mkdir()
        self.forks = ForkServer(
            [str(self.commands / "python"), str(HERE / "airflow_forks.py")],
            self.environment(PYTHONPATH=str(HERE.parent)),
            self.outputs / "server.log",
        )

    def environment(self, **more: str) -> dict[str, str]:
        paths = [self.taps, sysconfig.get_path("scripts"), os.environ["PATH"]]
        return clean_environment(
            **{
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
                "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW_CONN_CUSTOMERIO": json.dumps(ACCOUNT),
                "PATH": os.pathsep.join(map(str, paths)),
                **more,
            }
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        stdout, stderr = self.outputs / "stdout", self.outputs / "stderr"
        with stdout.open("wb") as out, stderr.open("wb") as err:
            code = self._code_of(arguments, self.environment(**environment), out, err)
        return code, stdout.read_text("utf-8"), stderr.read_text("utf-8")

    def _code_of(
        self,
        arguments: Sequence[str],
        environment: dict[str, str],
        out: IO[bytes],
        err: IO[bytes],
    ) -> int:
        if not POSSIBLE:
            return subprocess.run(
                [str(self.commands / "airflow"), *arguments],
                env=environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                check=False,
                timeout=600,
            ).returncode
        with Path(os.devnull).open("rb") as nothing:
            descriptors = [each.fileno() for each in (nothing, out, err)]
            fork = self.forks.start(arguments, self.home, environment, descriptors)
        try:
            return fork.wait(600)
        except BaseException:
            fork.kill()
            raise

    def test(self, dag: str, *options: str, **environment: str) -> Outcome:
        """Run a DAG once, with the retries of its tasks."""
        code, stdout, stderr = self.run("dags", "test", dag, *options, **environment)
        return Outcome(code, stdout + stderr)


@dataclass
class Outcome:
    """The result of a DAG run."""

    code: int
    log: str

    @property
    def state(self) -> str:
        (state,) = re.findall(r"DagRun Finished: .* state=(\w+)", self.log)
        return state

    @property
    def tries(self) -> list[str]:
        """Return the line at which each try began, as logged by the tap of lines."""
        return re.findall(r"Starting behind line (\d+)", self.log)


@pytest.fixture(scope="module")
def airflow(
    install: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    commands = install("airflow", "apache-airflow>=3,<4")
    home = tmp_path_factory.mktemp("airflow")
    (home / "taps").mkdir()
    shutil.copytree(EXAMPLES, home / "dags")
    airflow = Airflow(commands, home, home / "taps")
    try:
        code, _, stderr = airflow.run("db", "migrate")
        assert code == 0, stderr
        yield airflow
    finally:
        airflow.forks.close()


@pytest.fixture
def folder(airflow: Airflow, tap_jsonl: Path, tmp_path: Path) -> Path:
    """Return the folder of a pipeline from a file into a sandbox."""
    put(airflow.taps, tap_jsonl / "tap-jsonl")
    tap = {
        "path": str(ROOT / "docs/examples/shop/identifies.jsonl"),
        "stream_name": "identifies",
        "primary_keys": ["messageId"],
    }
    (tmp_path / "tap.json").write_text(json.dumps(tap))
    (tmp_path / "target.json").write_text('{"sandbox": "workspace.db"}')
    return tmp_path


def put(taps: Path, program: Path) -> None:
    """Install a program as the command of the tap."""
    command = taps / "tap-jsonl"
    command.unlink(missing_ok=True)
    command.symlink_to(program)


@pytest.fixture
def customerio() -> Iterator[Customerio]:
    server = Customerio()
    yield server
    server.close()


def pipeline_of_lines(airflow: Airflow, folder: Path, customerio: Customerio) -> None:
    """Write a pipeline that sends 60 lines to a server, ten per request."""
    put(airflow.taps, HERE / "tap_lines.py")
    people = [{"userId": f"p-{number}"} for number in range(60)]
    (folder / "lines.jsonl").write_text("\n".join(map(json.dumps, people)) + "\n")
    (folder / "tap.json").write_text('{"path": "lines.jsonl"}')
    settings = {
        "api_url": customerio.url,
        "batch_size_rows": 10,
        "max_concurrent_requests": 1,
    }
    (folder / "target.json").write_text(json.dumps(settings))


@dataclass
class Retried:
    """A pipeline whose fourth request was rejected at the first try."""

    outcome: Outcome
    folder: Path
    customerio: Customerio


@pytest.fixture(scope="module")
def retried(
    airflow: Airflow, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Retried]:
    folder, server = tmp_path_factory.mktemp("retried"), Customerio()
    pipeline_of_lines(airflow, folder, server)
    refused: list[Request] = []

    def refuse_the_fourth_once(request: Request) -> Reply:
        if len(server.posts) == 4 and request.method == "POST" and not refused:
            refused.append(request)
            return Reply(401)
        return accept(request)

    server.script = refuse_the_fourth_once
    yield Retried(airflow.test("shop_pipe", SHOP_FOLDER=str(folder)), folder, server)
    server.close()


def state_in(folder: Path) -> Any:
    return json.loads((folder / "state.json").read_text())


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory, tap_jsonl: Path) -> dict[str, Any]:
    """Return the workspace after the same pipeline without Airflow."""
    folder = tmp_path_factory.mktemp("direct")
    tap = {
        "path": str(ROOT / "docs/examples/shop/identifies.jsonl"),
        "stream_name": "identifies",
        "primary_keys": ["messageId"],
    }
    (folder / "tap.json").write_text(json.dumps(tap))
    (folder / "target.json").write_text('{"sandbox": "workspace.db"}')
    target = Copy.command("target-customerio")
    pipe = (
        f"'{tap_jsonl}/tap-jsonl' --config tap.json | '{target}' --config target.json"
    )
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", pipe],
        cwd=folder,
        env=clean_environment(),
        check=True,
        capture_output=True,
    )
    return contents_of(folder / "workspace.db")


@pytest.fixture(scope="module")
def shop_database() -> Iterator[Database]:
    with running_server() as database:
        database.psql(
            "CREATE TABLE users (user_id text, plan text, updated_at timestamptz);"
            "CREATE TABLE orders"
            " (order_id integer, user_id text, created_at timestamptz);"
            "INSERT INTO users SELECT 'p-' || n, 'pro', '2024-01-01'::timestamptz"
            "  + n * interval '1 minute' FROM generate_series(1, 60) n;"
            "INSERT INTO orders SELECT n, 'p-' || 1 + n % 60, '2024-01-01'::timestamptz"
            "  + n * interval '1 minute' FROM generate_series(1, 300) n;"
        )
        database.psql((EXAMPLES / "partitions.sql").read_text(encoding="utf-8"))
        yield database


@pytest.fixture(scope="module")
def tap_postgres(install: Callable[..., Path]) -> str:
    return str(install("tap-postgres", "meltanolabs-tap-postgres==0.10.0") / TAP)


def write_catalog(tap: str, folder: Path) -> None:
    """Write the tap's catalog: new rows by the time of their last change."""
    found = subprocess.run(
        [tap, "--config", "tap.json", "--discover"],
        cwd=folder,
        env=clean_environment(PGOPTIONS="-c shop.partition=0 -c shop.partitions=1"),
        capture_output=True,
        check=True,
    )
    catalog = json.loads(found.stdout)
    for stream in catalog["streams"]:
        name = stream["tap_stream_id"].partition("-")[2]
        by = {"users": "updated_at", "orders": "created_at"}[name]
        stream |= {"replication_key": by, "replication_method": "INCREMENTAL"}
        (root,) = (each for each in stream["metadata"] if not each["breadcrumb"])
        root["metadata"] |= {
            "selected": True,
            "replication-key": by,
            "replication-method": "INCREMENTAL",
        }
    (folder / "catalog.json").write_text(json.dumps(catalog))


def partitions_of_the_shop(
    folder: Path, tap: str, database: Database, customerio: Customerio
) -> None:
    """Write the files of a pipeline from the shop's views to a server."""
    (folder / "tap.json").write_text(json.dumps(database.tap_config("sync")))
    settings = {
        "api_url": customerio.url,
        "batch_size_rows": 10,
        "stream_calls": {"sync-users": "identify", "sync-orders": "track"},
    }
    (folder / "target.json").write_text(json.dumps(settings))
    write_catalog(tap, folder)
    # Notes the rate of each partition.
    programs = folder / "programs"
    programs.mkdir()
    target = programs / "target-customerio"
    target.write_text(
        '#!/bin/bash\necho "$TARGET_CUSTOMERIO_REQUESTS_PER_SECOND" > rate\n'
        f'exec {Copy.command("target-customerio")} "$@"\n'
    )
    target.chmod(0o755)


@pytest.mark.parametrize("count", [1, 3, 4, 8])
def test_every_row_is_in_one_partition_and_partitions_are_of_one_size(
    shop_database: Database, count: int
) -> None:
    keys = "SELECT 'p-' || n AS key FROM generate_series(1, 20000) n UNION SELECT NULL"
    found = [
        int(
            shop_database.psql(
                f"SET shop.partition = {number}; SET shop.partitions = {count};"
                f"SELECT count(*) FROM ({keys}) AS k WHERE sync.is_in_partition(key)"
            ).stdout
        )
        for number in range(count)
    ]
    assert sum(found) == 20_001
    assert max(found) < 1.1 * 20_001 / count


def test_a_connection_without_a_partition_reads_nothing(
    shop_database: Database,
) -> None:
    done = shop_database.psql("SELECT * FROM sync.users", check=False)
    assert 'unrecognized configuration parameter "shop.partition' in done.stderr


def test_partitions_together_deliver_every_row_once_and_each_person_in_order(
    airflow: Airflow,
    tmp_path: Path,
    shop_database: Database,
    tap_postgres: str,
    customerio: Customerio,
) -> None:
    partitions_of_the_shop(tmp_path, tap_postgres, shop_database, customerio)
    environment = {
        "SHOP_FOLDER": str(tmp_path),
        "SHOP_TAP": tap_postgres,
        "SHOP_PARTITIONS": "3",
        "PATH": os.pathsep.join([str(tmp_path / "programs"), os.environ["PATH"]]),
    }
    folders = [tmp_path / f"partition-{number}-of-3" for number in range(3)]

    first = airflow.test("shop_partitions", **environment)

    assert first.state == "success", first.log
    assert [float((folder / "rate").read_text()) for folder in folders] == [
        pytest.approx(100 / 3)
    ] * 3
    taken = customerio.taken
    people = [each for each in taken if each["action"] == "identify"]
    orders = [each for each in taken if each["action"] == "event"]
    everyone = {f"p-{number}" for number in range(1, 61)}
    assert {each["identifiers"]["id"] for each in people} == everyone
    assert len({each["id"] for each in orders}) == 300
    for person in everyone:
        numbers = [
            each["attributes"]["order_id"]
            for each in orders
            if each["identifiers"]["id"] == person
        ]
        assert list(dict.fromkeys(numbers)) == sorted({*numbers})
        assert len({*numbers}) == 5

    shop_database.psql(
        "INSERT INTO orders VALUES (301, 'p-1', '2025-01-01'), "
        "(302, 'p-2', '2025-01-01'), (303, 'p-3', '2025-01-01');"
    )
    ids = {each["id"] for each in orders}
    taken.clear()
    second = airflow.test("shop_partitions", **environment)

    assert second.state == "success", second.log
    orders = [each for each in taken if each["action"] == "event"]
    new = {each["attributes"]["order_id"] for each in orders if each["id"] not in ids}
    assert new == {301, 302, 303}
    assert len(taken) <= 3 + 2 * 3  # a bookmark's own row is read again


def test_the_page_shows_every_dag() -> None:
    page = (ROOT / "docs/airflow.md").read_text(encoding="utf-8")

    shown = re.findall(r"<!-- generated: file docs/examples/dags/(\w+)\.py -->", page)

    assert set(shown) == DAGS


def test_airflow_imports_the_dags_without_errors(airflow: Airflow) -> None:
    code, _, stderr = airflow.run("dags", "reserialize")
    assert code == 0, stderr

    _, errors, _ = airflow.run("dags", "list-import-errors", "--output=json")

    assert errors.splitlines()[-1] == "[]"
    database = sqlite3.connect(airflow.home / "airflow.db")
    with closing(database):
        rows = database.execute("SELECT dag_id FROM dag").fetchall()
    assert {name for (name,) in rows} == DAGS


def test_the_sample_job_of_meltano_is_delivered_and_fails_for_its_rejected_records(
    airflow: Airflow, checkout: Copy
) -> None:
    outcome = airflow.test(
        "shop_meltano",
        SHOP_PROJECT=str(checkout.folder),
        MELTANO_ENVIRONMENT="sandbox",
        TARGET_CUSTOMERIO_SANDBOX="airflow.db",
        PATH=os.pathsep.join([str(Path(checkout.meltano).parent), os.environ["PATH"]]),
    )

    assert (outcome.code, outcome.state) == (1, "failed"), outcome.log
    assert f"Correct and load {checkout.folder}/rejected.singer.jsonl" in outcome.log
    assert len(checkout.workspace("airflow.db")["people"]) > 100
    assert "made-up" not in outcome.log


def test_the_pipeline_succeeds_and_saves_its_state(
    airflow: Airflow, folder: Path, direct: dict[str, Any]
) -> None:
    outcome = airflow.test("shop_pipe", SHOP_FOLDER=str(folder))

    assert (outcome.code, outcome.state) == (0, "success"), outcome.log
    assert contents_of(folder / "workspace.db") == direct
    assert state_in(folder)["bookmarks"].keys() == {"identifies"}
    assert (folder / "state.json").stat().st_mode & 0o777 == 0o600


def test_a_retry_resumes_after_the_last_state(retried: Retried) -> None:
    outcome, people = retried.outcome, retried.customerio.taken_ids

    assert (outcome.code, outcome.state) == (0, "success"), outcome.log
    first, second = map(int, outcome.tries)
    assert (first, second % 10) == (0, 0)
    assert 0 < second <= 30
    assert list(dict.fromkeys(people)) == [f"p-{number}" for number in range(60)]
    assert len(people) == 30 + 60 - second
    assert state_in(retried.folder) == {"line": 60}


def test_the_credentials_are_used_and_never_written(
    airflow: Airflow, retried: Retried
) -> None:
    assert retried.customerio.authorizations == {
        "Basic bWFkZS11cC1zaXRlOm1hZGUtdXAta2V5"
    }
    assert "made-up" not in retried.outcome.log
    written = [
        file
        for folder in (airflow.home, retried.folder)
        for file in folder.rglob("*")
        if file.is_file() and b"made-up-key" in file.read_bytes()
    ]
    assert written == []


def reject_the_second_line(folder: Path) -> None:
    lines = (folder / "lines.jsonl").read_text().splitlines()
    lines[1] = '{"traits": {}}'
    (folder / "lines.jsonl").write_text("\n".join(lines) + "\n")


def test_the_pipeline_fails_while_the_rejected_records_file_exists(
    airflow: Airflow, tmp_path: Path, customerio: Customerio
) -> None:
    pipeline_of_lines(airflow, tmp_path, customerio)
    reject_the_second_line(tmp_path)
    rejected = tmp_path / "rejected.singer.jsonl"

    first = airflow.test("shop_pipe", SHOP_FOLDER=str(tmp_path))

    assert first.state == "failed", first.log
    assert first.tries == ["0", "60", "60", "60"]
    assert state_in(tmp_path) == {"line": 60}
    assert len(customerio.taken_ids) == 59
    assert str(rejected) in first.log

    second = airflow.test("shop_pipe", SHOP_FOLDER=str(tmp_path))

    assert second.state == "failed", second.log

    rejected.rename(tmp_path / "corrected.singer.jsonl")
    third = airflow.test("shop_pipe", SHOP_FOLDER=str(tmp_path))

    assert third.state == "success", third.log
    assert len(customerio.taken_ids) == 59


def test_a_meltano_job_fails_while_the_rejected_records_file_exists(
    airflow: Airflow, project: Copy
) -> None:
    job = {"name": "shop", "tasks": ["tap-lines target-customerio"]}
    project.configure(lambda content: content.update(jobs=[job]))
    project.people(1, 2, 3)
    reject_the_second_line(project.folder)

    def deliver() -> Outcome:
        return airflow.test(
            "shop_meltano",
            SHOP_PROJECT=str(project.folder),
            MELTANO_ENVIRONMENT="production",
            TARGET_CUSTOMERIO_SANDBOX="airflow.db",
            PATH=os.pathsep.join(
                [str(Path(project.meltano).parent), os.environ["PATH"]]
            ),
        )

    first = deliver()

    assert first.state == "failed", first.log
    assert first.tries == ["0", "3", "3", "3"]
    assert project.workspace("airflow.db")["people"].keys() == {"id:p-1", "id:p-3"}
    rejected = project.folder / "rejected.singer.jsonl"
    assert str(rejected) in first.log

    rejected.unlink()
    project.people(4)
    second = deliver()

    assert second.state == "success", second.log
    assert second.tries == ["3"]
    assert project.workspace("airflow.db")["people"].keys() >= {"id:p-4"}


def alert(
    airflow: Airflow, project: Copy, mail_server: MailServer, **environment: str
) -> Outcome:
    """Run the DAG that sends mails, on the second of whose lines nobody is named."""
    job = {"name": "shop", "tasks": ["tap-lines target-customerio"]}
    project.configure(lambda content: content.update(jobs=[job]))
    project.people(1, 2, 3)
    reject_the_second_line(project.folder)
    mail = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": mail_server.port,
        "extra": {
            "disable_ssl": True,
            "disable_tls": True,
            "from_email": "airflow@example.com",
        },
    }
    return airflow.test(
        "shop_alert",
        SHOP_PROJECT=str(project.folder),
        SHOP_ALERTS_TO="ann@example.com",
        MELTANO_ENVIRONMENT="production",
        TARGET_CUSTOMERIO_SANDBOX="airflow.db",
        AIRFLOW_CONN_SMTP_DEFAULT=json.dumps(mail),
        PATH=os.pathsep.join([str(Path(project.meltano).parent), os.environ["PATH"]]),
        **environment,
    )


def test_rejected_records_are_told_by_mail_with_the_pages(
    airflow: Airflow, project: Copy
) -> None:
    (project.folder / "report-9.html").write_text("of an earlier run")
    with MailServer() as server:
        outcome = alert(airflow, project, server)

    assert outcome.state == "failed", outcome.log
    (mail,) = server.mails
    assert (mail["To"], mail["From"]) == ("ann@example.com", "airflow@example.com")
    assert mail["Subject"] == "shop_alert failed"
    assert "Records were rejected." in text_of(mail)
    pages = attachments(mail)
    assert list(pages) == ["report-1.html", "report-2.html", "report-3.html"]
    assert "no_identifier" in pages["report-1.html"]


def test_a_run_that_cannot_start_is_told_by_mail_without_a_page(
    airflow: Airflow, project: Copy
) -> None:
    with MailServer() as server:
        outcome = alert(airflow, project, server, TARGET_CUSTOMERIO_REGION="mars")

    assert outcome.state == "failed", outcome.log
    (mail,) = server.mails
    assert "Records were rejected" not in text_of(mail)
    assert attachments(mail) == {}


def test_a_permanent_failure_fails_the_task_and_keeps_the_state(
    airflow: Airflow, tmp_path: Path, customerio: Customerio
) -> None:
    pipeline_of_lines(airflow, tmp_path, customerio)
    (tmp_path / "state.json").write_text('{"line": 20}\n')
    customerio.script = always(Reply(401))

    outcome = airflow.test("shop_pipe", SHOP_FOLDER=str(tmp_path))

    assert outcome.state == "failed"
    assert outcome.tries == ["20", "20", "20", "20"]
    assert state_in(tmp_path) == {"line": 20}
    assert customerio.taken_ids == []
    assert "check `site_id` and `api_key`" in outcome.log


def test_what_is_gone_is_removed_after_a_load_that_has_succeeded(
    airflow: Airflow, folder: Path, tap_jsonl: Path
) -> None:
    def write(count: int) -> None:
        rows = [json.dumps({"user_id": str(number)}) + "\n" for number in range(count)]
        (folder / "people.jsonl").write_text("".join(rows))

    def deliver(*options: str) -> str:
        done = airflow.test("shop_mirror", *options, SHOP_FOLDER=str(folder))
        return done.state

    def people() -> int:
        return len(contents_of(folder / "workspace.db")["people"])

    tap = {"path": "people.jsonl", "stream_name": "users", "primary_keys": ["user_id"]}
    (folder / "tap.json").write_text(json.dumps(tap))
    write(20)
    discovered = subprocess.run(
        [tap_jsonl / "tap-jsonl", "--config", "tap.json", "--discover"],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        check=True,
    )
    catalog = json.loads(discovered.stdout)
    catalog["streams"][0]["replication_method"] = "FULL_TABLE"
    del catalog["streams"][0]["replication_key"]
    (folder / "catalog.json").write_text(json.dumps(catalog))
    calls = {"users": {"call": "identify", "remove_missing": True}}
    settings = {"sandbox": "workspace.db", "snapshot": "s.db", "stream_calls": calls}
    (folder / "target.json").write_text(json.dumps(settings))

    assert deliver() == "success"
    write(18)
    failing = folder / "failing-tap"
    failing.write_text(f'#!/bin/sh\n"{tap_jsonl}/tap-jsonl" "$@"\nexit 5\n')
    failing.chmod(0o755)
    put(airflow.taps, failing)
    assert (deliver(), people()) == ("failed", 20)
    put(airflow.taps, tap_jsonl / "tap-jsonl")
    assert (deliver(), people()) == ("success", 18)
    write(9)
    assert (deliver(), people()) == ("failed", 18)
    command = Page.of(ROOT / "docs/removal.md").block("run", "airflow_allow")
    *_, dag, option, value = shlex.split(command)
    assert dag == "shop_mirror"
    assert deliver(option, value.replace("2", "9")) == "success"
    assert people() == 9
