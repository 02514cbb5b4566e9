"""The file of a snapshot: how it is opened, and what it refuses."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from target_customerio.errors import SnapshotError
from target_customerio.snapshot.file import SnapshotFile, check
from target_customerio.snapshot.snapshot import Snapshot
from target_customerio.snapshot_info import described
from target_customerio.sqlite_files import temporary_copy
from target_customerio.track_api.operations import PersonDelete, PersonIdentify

if TYPE_CHECKING:
    from target_customerio.snapshot.streams import Stream
    from target_customerio.track_api.operations import Operation

SECRET = "a value that must not be stored"


def load(snapshot: Snapshot, id_: str = "1") -> None:
    stream = snapshot.begin("users", "users")
    person = PersonIdentify(identifiers={"id": id_}, attributes={"plan": SECRET})
    (decision,) = snapshot.decide([(person, stream)])
    tickets = [] if decision.ticket is None else [decision.ticket]
    snapshot.answer(snapshot.intend(tickets), tickets)
    snapshot.end(stream, ended_well=True, full_table=True)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    snapshot = Snapshot(path)
    load(snapshot)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    snapshot.close()
    assert set(modes) >= {"snapshot.db", "snapshot.db-wal"}
    assert set(modes.values()) == {0o600}


def test_no_value_is_in_it(tmp_path: Path) -> None:
    snapshot = Snapshot(tmp_path / "snapshot.db")
    load(snapshot)
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    snapshot.close()
    assert b"plan" in files
    assert SECRET.encode() not in files


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    first = Snapshot(path)
    link = tmp_path / "link.db"
    link.symlink_to(path)
    for each in (path, link):
        with pytest.raises(SnapshotError, match="in use by another run"):
            Snapshot(each)
    first.close()
    Snapshot(path).close()


def test_another_workspace_is_refused(tmp_path: Path) -> None:
    snapshot = Snapshot(tmp_path / "snapshot.db")
    snapshot.file.bind("7")
    snapshot.file.bind("7")
    with pytest.raises(SnapshotError, match=r"belongs to workspace 7.*workspace 8"):
        snapshot.file.bind("8")
    snapshot.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text", "is not a snapshot"),
        (b"no database, but long enough" * 50, "cannot be used as a snapshot"),
    ],
)
def test_a_foreign_file_is_refused_and_not_changed(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "snapshot.db"
    path.write_bytes(content)
    with pytest.raises(SnapshotError, match=message):
        Snapshot(path)
    assert path.read_bytes() == content


def test_a_snapshot_that_cannot_be_opened_now_is_not_given_up(tmp_path: Path) -> None:
    """Another file would be a new snapshot, and everything would be sent again."""
    path = tmp_path / "snapshot.db"
    Snapshot(path).close()
    (tmp_path / "snapshot.db-wal").mkdir()  # fails for every user, also for root
    for opens in (Snapshot, lambda file: check(file, "7")):
        with pytest.raises(SnapshotError, match=r"cannot be opened.*can be") as raised:
            opens(path)
        assert "another file" not in str(raised.value)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE other (x)")
    database.close()
    with pytest.raises(SnapshotError, match="another program"):
        Snapshot(path)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    Snapshot(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SnapshotError, match=r"version 99.*update the program"):
        Snapshot(path)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="folder that does not exist"):
        Snapshot(tmp_path / "none" / "snapshot.db")
    with pytest.raises(SnapshotError, match="is a folder"):
        Snapshot(tmp_path)


@pytest.mark.parametrize(
    "name", ["x" * 300, "circle.db", "~nobody-has-this-name/snapshot.db"]
)
def test_a_path_that_leads_nowhere_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "circle.db").symlink_to("circle.db")
    path = name if name.startswith("~") else tmp_path / name
    for use in (Snapshot, lambda path: check(path, "7")):
        with pytest.raises(SnapshotError, match=r"cannot be (used|written|opened)"):
            use(path)


def test_a_lock_that_is_another_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "snapshot.db-lock").write_bytes(b"notes " * 200)
    with pytest.raises(SnapshotError, match=r"db-lock cannot be used as its lock"):
        Snapshot(tmp_path / "snapshot.db")
    assert [each.name for each in tmp_path.iterdir()] == ["snapshot.db-lock"]


def test_a_link_is_read_with_what_is_not_in_the_file_yet(tmp_path: Path) -> None:
    snapshot = Snapshot(tmp_path / "snapshot.db")
    load(snapshot)
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "snapshot.db")
    with temporary_copy(link) as copy, sqlite3.connect(copy) as database:
        people = database.execute("SELECT a FROM entries").fetchall()
    database.close()
    assert people == [("1",)]
    assert "1 person, 0 objects" in described(link)
    snapshot.close()


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touch(_path: Path, **_options: int) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", touch)
    with pytest.raises(SnapshotError, match=r"cannot be written: .*Permission denied"):
        Snapshot(tmp_path / "snapshot.db")


def load_many(snapshot: Snapshot) -> None:
    for number in range(2, 1000):
        load(snapshot, str(number))


def test_a_full_disk_ends_the_run_before_the_request(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    snapshot = Snapshot(path)
    load(snapshot)
    (pages,) = snapshot.file.writer.execute("PRAGMA page_count").fetchone()
    snapshot.file.writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SnapshotError, match="check that the disk has space"):
        load_many(snapshot)
    snapshot.close()
    reopened = Snapshot(path)
    stream = reopened.begin("users", "users")
    row = PersonIdentify(identifiers={"id": "999"}, attributes={"plan": SECRET})
    assert reopened.decide([(row, stream)])[0].operation is not None
    reopened.close()


def test_a_copy_shows_what_a_run_would_do_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    snapshot = Snapshot(path)
    load(snapshot)
    snapshot.close()
    before = contents(tmp_path)
    planned = SnapshotFile(path, as_copy=True)
    assert planned.reader.execute("SELECT count(*) FROM entries").fetchone() == (1,)
    with planned.writing() as database:
        database.execute("DELETE FROM entries")
    planned.close()
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_the_size_of_an_entry(tmp_path: Path) -> None:
    path, people = tmp_path / "snapshot.db", 2_000
    snapshot = Snapshot(path)
    stream = snapshot.begin("users", "users")
    for start in range(0, people, 500):
        decisions = snapshot.decide(
            [
                (
                    PersonIdentify(
                        identifiers={"id": f"{number:08x}-1111-4222-8333-000000000000"},
                        attributes={
                            "email": f"someone.{number}@example.com",
                            **{f"a{each}": number * each for each in range(19)},
                        },
                    ),
                    stream,
                )
                for number in range(start, start + 500)
            ]
        )
        tickets = [each.ticket for each in decisions if each.ticket is not None]
        snapshot.answer(snapshot.intend(tickets), tickets)
    snapshot.end(stream, ended_well=True, full_table=True)
    snapshot.close()
    assert path.stat().st_size / people < 600


def people(plan: str, count: int = 207) -> list[Operation]:
    return [
        PersonIdentify(
            identifiers={"id": str(number)},
            attributes={"email": f"{number}@example.com", "plan": plan},
        )
        for number in range(count)
    ]


def delivered(snapshot: Snapshot, stream: Stream, *operations: Operation) -> int:
    """Deliver operations in one request, and return how many were sent."""
    decisions = snapshot.decide([(each, stream) for each in operations])
    tickets = [each.ticket for each in decisions if each.ticket is not None]
    snapshot.answer(snapshot.intend(tickets), tickets)
    return sum(each.operation is not None for each in decisions)


def test_entries_of_a_large_request_are_written_in_order(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.db"
    basic, plus = people("basic"), people("plus")
    # In the middle: entries that depend on what was written before.
    delete = PersonDelete(identifiers={"id": "150"})
    twice = [*plus[:160], delete, *basic[150:160], *plus[160:]]
    for operations, sent in ((basic, len(basic)), (twice, len(twice)), (plus, 10)):
        snapshot = Snapshot(path)
        stream = snapshot.begin("users", "users")
        assert delivered(snapshot, stream, *operations) == sent
        snapshot.end(stream, ended_well=True, full_table=True)
        snapshot.close()
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT a, b FROM entries").fetchall()
    assert sorted(rows) == sorted(
        (str(n), f"{n}@example.com") for n in range(len(plus))
    )


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    file = SnapshotFile(tmp_path / "snapshot.db")
    file.close()
    file.close()
