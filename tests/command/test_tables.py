"""Tables that no tap reads as records: a CSV file, rows of a program, batch files."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.pages import Page, Shell

from target_customerio import DeliverySummary, deliver
from target_customerio.errors import RecordsRejectedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from support.command import Outcome
    from support.loads import Loads

Row = dict[str, Any]

PAGE = Page.of(Path(__file__).parents[2] / "docs/removal.md")


# A CSV file, as the page on removal has it


class Tour(Shell):
    """A folder with the program of the page and a file of 20 people."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for name in ("csv.json", "load_csv.py"):
            self.write(name, PAGE.block("file", name))
        self.table = {
            str(number): {"email": f"p{number}@example.com", "plan": "free"}
            for number in range(1, 21)
        }

    def save(self) -> None:
        """Write the file as a spreadsheet does, with a byte order mark."""
        path = self.folder / "people.csv"
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, ["user_id", "email", "plan"])
            writer.writeheader()
            writer.writerows({"user_id": id_, **row} for id_, row in self.table.items())

    def do(self, name: str, code: int = 0) -> list[str]:
        """Save the file, run a command of the page, and return its log as words."""
        self.save()
        return self.log(PAGE.block("run", name), code)

    def log(self, command: str, code: int = 0) -> list[str]:
        lines = self.run(command, code=code).stderr.splitlines()
        return [" ".join(line.split(" | ")[-1].split()) for line in lines]

    @property
    def people(self) -> dict[str, Row]:
        return {
            id_: json.loads(attributes)
            for id_, attributes in self.rows("SELECT id, attributes FROM people")
        }

    @property
    def requests(self) -> int:
        ((count,),) = self.rows("SELECT count(*) FROM requests WHERE method = 'POST'")
        return int(count)


@pytest.fixture
def tour(tmp_path: Path) -> Tour:
    return Tour(tmp_path)


@pytest.mark.integration  # a new interpreter for each command
def test_a_csv_file_is_loaded_edited_planned_and_mirrored(tour: Tour) -> None:
    load, mirror = PAGE.block("run", "csv_mirror").strip().split(" && ")
    tour.save()
    first = tour.log(load)
    assert first[0].startswith("stream read delivered")  # no line that says nothing
    assert "people 20 person identify 20 0" in first
    assert {*tour.people} == {*tour.table}

    # Loaded again
    before = tour.requests
    assert "people 20 unchanged 20 0" in tour.log(load)
    assert tour.requests == before

    # Edited: a new person, another plan, an empty cell, two rows gone
    tour.table["21"] = {"email": "p21@example.com", "plan": "plus"}
    tour.table["1"]["plan"] = "plus"
    tour.table["2"]["plan"] = ""
    del tour.table["7"], tour.table["8"]

    planned = tour.do("csv_plan")
    assert planned[-1] == "Plan: 1 to create, 2 to change, 2 to remove; 16 unchanged"
    assert "missing people 2" in planned
    assert tour.requests == before

    # Applied, and the removal planned
    assert "people 19 person identify 3 unchanged 16 0" in tour.log(load)
    assert {*tour.people} == {*tour.table, "7", "8"}
    assert tour.people["1"]["plan"] == "plus"
    assert "plan" not in tour.people["2"]
    after = tour.requests
    removal = tour.log(f"{mirror} --plan")
    assert removal[-1] == "Plan: 2 to remove, 0 kept; nothing was removed"
    assert tour.requests == after

    # Removed, once
    assert "people people 20 2 2" in tour.log(mirror)
    assert {*tour.people} == {*tour.table}
    assert tour.log(mirror)[-1].startswith("0 removed, 0 rejected, 0 left; ")
    assert tour.do("csv_plan")[-1] == "Plan: nothing to send; 19 unchanged"


PIECES: dict[str, tuple[Callable[[str], str], str]] = {
    "cut within a line": (lambda text: text.partition("p19@")[0], "fewer cells"),
    "cut within a quote": (lambda text: text + '21,"p21', "unexpected end of data"),
    "too many cells": (lambda text: text + "21,a@example.com,b,c\r\n", "more or fewer"),
    "no identifier": (lambda text: text + ",,free\r\n", "1 record was rejected"),
}


@pytest.fixture(scope="module")
def loaded_tour(tmp_path_factory: pytest.TempPathFactory) -> Tour:
    tour = Tour(tmp_path_factory.mktemp("tour"))
    tour.do("csv_mirror")
    del tour.table["20"]
    tour.save()
    return tour


@pytest.mark.integration
@pytest.mark.parametrize(("spoil", "problem"), PIECES.values(), ids=PIECES)
def test_a_csv_file_that_cannot_be_read_removes_nothing(
    loaded_tour: Tour, spoil: Callable[[str], str], problem: str
) -> None:
    path = loaded_tour.folder / "people.csv"
    before = path.read_bytes()
    path.write_text(spoil(before.decode("utf-8-sig")), encoding="utf-8", newline="")
    load, mirror = PAGE.block("run", "csv_mirror").strip().split(" && ")

    log = loaded_tour.log(f"{load} || {mirror}", code=1)

    path.write_bytes(before)
    assert any(problem in line for line in log)
    assert not any("Traceback" in line for line in log)
    assert "did not end well" in log[-1] or "could not be read" in log[-1]
    assert len(loaded_tour.people) == 20


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ('"snapshto"', "Unknown setting 'snapshto' (did you mean"),
        ("snapshot", "Expecting property name"),
    ],
    ids=["unknown", "no JSON"],
)
def test_wrong_settings_of_a_program_are_one_line(
    loaded_tour: Tour, change: str, problem: str
) -> None:
    path = loaded_tour.folder / "csv.json"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace('"snapshot"', change), encoding="utf-8")
    (line,) = loaded_tour.log("python load_csv.py", code=1)
    path.write_text(before, encoding="utf-8")
    assert line.startswith(problem)


# What the command removes of the same tables


def people(*numbers: int, **columns: Any) -> list[Row]:
    return [{"user_id": str(each), "plan": "free", **columns} for each in numbers]


@pytest.fixture
def loads(loads: Loads) -> Loads:
    users = {"call": "identify", "remove_missing": True, "max_deletions": "50%"}
    loads.settings["stream_calls"] = {"users": users, "crm": "identify"}
    return loads


def ids(loads: Loads) -> set[str]:
    outcome = loads.type("--check")
    return {each.removeprefix("id:") for each in outcome.workspace["people"]}


def remove(loads: Loads) -> Outcome:
    return loads.type("--remove-missing")


# Rows of a program


@pytest.fixture
def program(loads: Loads) -> Callable[..., DeliverySummary]:
    """Return what passes rows to the function, with the settings of the command."""
    folder = loads.terminal.folder
    files = {"snapshot": "snapshot.db", "sandbox": "workspace.db"}
    files["rejected_records_path"] = "rejected.singer.jsonl"
    paths = {name: str(folder / file) for name, file in files.items()}

    def program(rows: Iterable[Row], stream: str = "users") -> DeliverySummary:
        config = {**loads.settings, **paths}
        call = loads.settings["stream_calls"][stream]
        return deliver(rows, call=call, config=config, stream=stream)

    return program


Program = Callable[..., DeliverySummary]


def test_rows_of_a_program_are_compared_and_what_is_gone_is_removed(
    loads: Loads, program: Program
) -> None:
    program(people(1, 2, 3, 4))
    program(people(2), stream="crm")
    summary = program(people(1, 2, 3, 4))
    assert (summary.skipped, summary.requests) == ({"unchanged": 4}, 1)

    summary = program([*people(1), *people(4, plan="plus")])
    assert summary.delivered == {"person identify": 1}
    assert summary.skipped == {"unchanged": 1}
    assert ids(loads) == {"1", "2", "3", "4"}

    outcome = remove(loads)
    assert outcome.code == 0, outcome.stderr
    assert "1 held by crm" in outcome.stderr
    assert ids(loads) == {"1", "2", "4"}
    assert program(people(1, 4, plan="plus")).skipped == {"unchanged": 1}


def test_a_program_and_a_tap_load_the_same_stream(
    loads: Loads, program: Program
) -> None:
    program(people(1, 2, 3))
    assert loads.run(users=people(1, 2)).table["users"]["skipped"] == {"unchanged": 2}
    assert remove(loads).code == 0
    assert ids(loads) == {"1", "2"}


@pytest.mark.parametrize("error", [ConnectionResetError, KeyboardInterrupt])
def test_rows_that_end_in_an_error_remove_nothing(
    loads: Loads, program: Program, error: type[BaseException]
) -> None:
    def rows() -> Iterator[Row]:
        yield from people(1, 2)
        raise error

    program(people(1, 2, 3))
    with pytest.raises(error):
        program(rows())
    assert "its last run did not end well" in remove(loads).error
    program(people(1, 2))
    assert remove(loads).code == 0
    assert ids(loads) == {"1", "2"}


def test_rejected_rows_of_a_program_are_not_missing(
    loads: Loads, program: Program
) -> None:
    program(people(1, 2, 3))
    with pytest.raises(RecordsRejectedError):
        program([*people(1), *people(2, bio="x" * 33_000)])
    assert remove(loads).code == 0
    assert ids(loads) == {"1", "2"}


def test_no_rows_of_a_program_remove_nothing(loads: Loads, program: Program) -> None:
    program(people(1, 2, 3))
    program([])
    assert "3 of 3 people would be removed" in remove(loads).error
    assert ids(loads) == {"1", "2", "3"}


# Batch files

ENCODINGS: dict[str, Row] = {
    "jsonl": {"format": "jsonl"},
    "jsonl.gz": {"format": "jsonl", "compression": "gzip"},
    "parquet": {"format": "parquet"},
}


class Batches:
    """A tap that writes each table as batch files of two rows."""

    def __init__(self, loads: Loads, ending: str) -> None:
        self.loads = loads
        self._ending = ending
        self._count = 0

    def write(self, rows: list[Row]) -> list[Path]:
        paths = []
        for at in range(0, len(rows), 2):
            self._count += 1
            name = f"part-{self._count}.{self._ending}"
            path = self.loads.terminal.folder / name
            if self._ending == "parquet":
                parquet.write_table(pa.Table.from_pylist(rows[at : at + 2]), path)
            else:
                lines = "".join(f"{json.dumps(row)}\n" for row in rows[at : at + 2])
                content = lines.encode()
                gz = self._ending.endswith("gz")
                path.write_bytes(gzip.compress(content) if gz else content)
            paths.append(path)
        return paths

    def load(self, files: list[Path], *rows: Row) -> Outcome:
        """Load batch files, and rows as records."""
        singer = self.loads.singer
        batch = {
            "type": "BATCH",
            "stream": "users",
            "encoding": ENCODINGS[self._ending],
            "manifest": [str(each) for each in files],
        }
        return self.loads.terminal.run(
            singer.schema("users"),
            batch,
            *(singer.record("users", **row) for row in rows),
            singer.state(bookmarks={"users": {}}),
            **self.loads.settings,
        )


@pytest.fixture(params=ENCODINGS)
def batches(loads: Loads, request: pytest.FixtureRequest) -> Batches:
    return Batches(loads, request.param)


def test_rows_of_batch_files_are_compared_and_what_is_gone_is_removed(
    loads: Loads, batches: Batches
) -> None:
    batches.load(batches.write(people(1, 2, 3, 4)), *people(5))
    outcome = batches.load(batches.write(people(1, 2, 3, 4)), *people(5))
    assert outcome.table["users"]["skipped"] == {"unchanged": 5}
    rows = [*people(1), *people(4, plan="plus"), *people(3)]
    outcome = batches.load(batches.write(rows), *people(5))
    assert outcome.table["users"]["skipped"] == {"unchanged": 3}
    assert outcome.table["users"]["delivered"] == {"person identify": 1}
    outcome = remove(loads)
    assert outcome.code == 0, outcome.stderr
    assert ids(loads) == {"1", "3", "4", "5"}


def test_a_batch_file_that_ends_early_or_is_missing_removes_nothing(
    loads: Loads, batches: Batches
) -> None:
    batches.load(batches.write(people(1, 2, 3, 4)))
    first, last = batches.write(people(1, 2, 3, 4))
    last.write_bytes(last.read_bytes()[:-4])
    assert "cannot be read" in batches.load([first, last]).error
    assert "its last run did not end well" in remove(loads).error
    last.unlink()
    assert "cannot be read" in batches.load([first, last]).error
    assert "its last run did not end well" in remove(loads).error
    assert ids(loads) == {"1", "2", "3", "4"}
