"""The workspace file: valid paths, versions, transactions, crashes."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.workspace import apply, contents_of

from target_customerio.errors import SandboxError
from target_customerio.sandbox import SandboxAdapter, Workspace, people

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import CustomerIO, Operations


ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="files differ")
ULID = "01HZX3R8Q4V5W6X7Y8Z9A0B1C2"


def write_sqlite(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_unusable_paths_give_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(
        "This is not an SQLite file, and it is longer than SQLite requires."
    )
    (tmp_path / "short").write_text("x")
    write_sqlite(tmp_path / "other.db", "CREATE TABLE t (a)")
    write_sqlite(tmp_path / "versioned.db", "PRAGMA user_version = 1")
    for name, what in {
        "": "is a folder",
        "no/such/folder.db": "folder that does not exist",
        "text": "not a workspace",
        "short": "not a workspace",
        "other.db": "of another program",
        "versioned.db": "of another program",
    }.items():
        with pytest.raises(SandboxError, match=what) as refused:
            SandboxAdapter(tmp_path / name)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("fault", ["database or disk is full", "disk I/O error"])
def test_a_full_disk_is_named_at_once(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> Any:
            if "journal_mode" in statement:
                raise sqlite3.OperationalError(fault)
            return super().execute(statement, *values)

    connect = partial(sqlite3.connect, factory=Full)
    monkeypatch.setattr("target_customerio.sandbox.store.sqlite3.connect", connect)
    began = time.monotonic()
    with pytest.raises(SandboxError, match="make room on its disk"):
        SandboxAdapter(tmp_path / "workspace.db")
    assert time.monotonic() - began < 5


def test_a_file_of_another_program_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    write_sqlite(path, "CREATE TABLE t (a)")
    before = path.read_bytes()
    with pytest.raises(SandboxError):
        Workspace(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["other.db"]


def test_a_workspace_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    Workspace(path).close()
    write_sqlite(path, "PRAGMA user_version = 99")
    with pytest.raises(SandboxError, match="version 99"):
        Workspace(path)


VERSION_1 = """
    DROP TABLE workspace;
    DROP TABLE results;
    DROP TABLE activity;
    CREATE TABLE activity (
      sequence INTEGER PRIMARY KEY AUTOINCREMENT,
      name TEXT NOT NULL,
      cio_id TEXT,
      field TEXT NOT NULL,
      received_at TEXT NOT NULL
    );
    INSERT INTO activity (name, field, received_at) VALUES ('old', 'email', 'then');
    PRAGMA user_version = 1
"""


def test_a_workspace_of_version_1_is_upgraded(
    tmp_path: Path, op: type[Operations]
) -> None:
    path = tmp_path / "workspace.db"
    with closing(Workspace(path)) as workspace:
        apply(workspace, op.identify({"plan": "pro"}, id="1"))
        before = contents_of(path)
    write_sqlite(path, *VERSION_1.split(";"))
    for _ in range(2):
        with closing(Workspace(path)) as workspace:
            assert contents_of(path) == before
            apply(workspace, op.merge({"id": "1"}, {"id": "unknown"}))
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name, person, reason FROM activity").fetchall()
    merge = ("Failed Merge", "id:unknown", "merge without both people")
    assert rows == [("old", None, None), merge, merge]


def test_an_unknown_region_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="us, eu"):
        SandboxAdapter(tmp_path / "workspace.db", region="mars")


def test_an_invalid_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot be opened"):
        Workspace(tmp_path / ("x" * 300))


@ON_POSIX
def test_a_device_file_is_refused() -> None:
    with pytest.raises(SandboxError, match="not a regular file"):
        Workspace("/dev/null")


def test_a_short_file_is_not_overwritten(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text("x")
    with pytest.raises(SandboxError):
        Workspace(note)
    assert note.read_text() == "x"


def test_an_empty_file_becomes_a_workspace(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    path.touch()
    Workspace(path).close()
    assert contents_of(path)["people"] == {}


@ON_POSIX
def test_a_new_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    Workspace(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_reopened_workspace_has_the_same_content(
    tmp_path: Path, op: type[Operations]
) -> None:
    path = tmp_path / "workspace.db"
    with closing(Workspace(path)) as workspace:
        assert apply(workspace, op.identify({"plan": "pro"}, id="1")) == []
        before = contents_of(path)
    assert contents_of(path) == before


def test_the_time_of_receipt_is_stored(tmp_path: Path, op: type[Operations]) -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
    path = tmp_path / "workspace.db"
    with closing(Workspace(path)) as workspace:
        assert apply(workspace, op.identify(id="1"), received_at=moment) == []
        (error,) = apply(workspace, op.event("", id="1"), received_at=moment)
    assert error["field"] == "name"
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT id, received_at FROM people").fetchall()
    assert rows == [("1", "2024-05-01T12:00:00.000+00:00")]


def test_a_failed_request_is_rolled_back(
    customerio: CustomerIO, op: type[Operations], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(people, "relate_person", fail)
    with pytest.raises(ZeroDivisionError):
        customerio.batch(op.event(id="1"), op.identify(id="1"))
    monkeypatch.undo()
    assert customerio.people() == []
    assert customerio.sql("SELECT count(*) FROM requests") == [(0,)]
    customerio.accept(op.identify(id="1"))


def test_a_closed_workspace_gives_an_error_and_can_be_closed_again(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    customerio.session.close()
    customerio.session.close()
    with pytest.raises(SandboxError, match="cannot be written"):
        customerio.batch(op.identify(id="1"))


def test_concurrent_requests_are_serialized(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    def send(thread: int) -> None:
        for number in range(20):
            customerio.accept(
                op.identify({f"t{thread}": number}, id="shared"),
                op.event(id=f"{thread}-{number}"),
            )

    threads = [threading.Thread(target=send, args=(each,)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert customerio.attributes("id:shared") == {f"t{each}": 19 for each in range(4)}
    assert customerio.sql("SELECT count(*) FROM events") == [(80,)]
    assert customerio.sql("SELECT count(*) FROM requests") == [(80,)]


def test_replayed_records_leave_an_equal_workspace(
    tmp_path: Path, op: type[Operations]
) -> None:
    records = [
        op.event("Visited", anonymous_id="cookie", also={"id": ULID}),
        op.identify({"email": "ann@example.com", "anonymous_id": "cookie"}, id="1"),
        op.identify({"plan": "pro"}, id="2"),
        op.device("token", id="2"),
        op.object("identify", also={"cio_relationships": [op.relation({"id": "2"})]}),
        op.merge({"id": "1"}, {"id": "2"}),
        op.person("suppress", id="3"),
    ]
    a, b = tmp_path / "a", tmp_path / "b"
    with closing(Workspace(a)) as once, closing(Workspace(b)) as replayed:
        apply(once, *records)
        apply(replayed, *records[:4], *records, *records)
    assert contents_of(a) == contents_of(b)
    assert contents_of(a)["events"][0]["person"] == "id:1"


def test_a_killed_process_leaves_only_complete_requests(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    endless = f"""
import requests
from target_customerio.sandbox import SandboxAdapter
session = requests.Session()
session.auth = ("a-site", "a-key")
session.mount("https://", SandboxAdapter({str(path)!r}))
number = 0
while True:
    batch = [
        {{"type": "person", "action": "identify", "identifiers": {{"id": str(n)}}}}
        for n in range(number, number + 100)
    ]
    session.post("https://track.customer.io/api/v2/batch", json={{"batch": batch}})
    number += 100
    print(number, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", endless], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        answered = [int(process.stdout.readline()) for _ in range(20)][-1]
        process.kill()
    Workspace(path).close()
    with closing(sqlite3.connect(path)) as database:
        ((sound,),) = database.execute("PRAGMA integrity_check")
        ((people_kept,),) = database.execute("SELECT count(*) FROM people")
        ((requests_kept,),) = database.execute("SELECT count(*) FROM requests")
    assert sound == "ok"
    assert people_kept >= answered
    assert people_kept == 100 * requests_kept
