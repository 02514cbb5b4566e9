"""Tables that no tap reads as records: a CSV file, rows of a program, batch files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.pages import Page, Shell

if TYPE_CHECKING:
    from collections.abc import Callable


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
    assert "did not end well" in log[-1] or "could not be read" in log[-1]
    assert len(loaded_tour.people) == 20
