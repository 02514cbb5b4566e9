"""Runs with a snapshot: how long they take, what they send, how large the file gets."""

from __future__ import annotations

import json
import random
import shutil
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from measure import PRODUCT, Contender, script
from records import write_lines
from rounds import Run, in_rounds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from measure import Bench

WITHOUT = "without a snapshot"
FIRST = "first run"
UNCHANGED = "nothing changed"
ONE = "one attribute of each row changed"
ALL = "all attributes but the address changed"
CONVERSION = Contender(
    "conversion alone", (*script("conversion"), "--config", "target.json")
)
REMEMBERING = Contender(
    "with a snapshot", (*PRODUCT.command, "--config", "snapshot.json")
)
FILES = ("", "-wal", "-shm", "-lock")
SEED = 20260302
TEXT = {"type": ["string", "null"]}
COLUMNS: dict[str, Any] = {
    "user_id": TEXT,
    "email": TEXT,
    "first_name": TEXT,
    "last_name": TEXT,
    "plan": TEXT,
    "country": TEXT,
    "city": TEXT,
    "zip": TEXT,
    "company": TEXT,
    "title": TEXT,
    "source": TEXT,
    "campaign": TEXT,
    "notes": TEXT,
    "score": {"type": "integer"},
    "orders": {"type": "integer"},
    "lifetime_value": {"type": "number"},
    "is_active": {"type": "boolean"},
    "is_trial": {"type": "boolean"},
    "created_at": {"type": "string", "format": "date-time"},
    "last_login": {"type": "string", "format": "date-time"},
    "updated_at": {"type": "string", "format": "date-time"},
}
"""A person's id and 20 attributes, of which some have the same values in many rows."""

Change = Literal["none", "one", "all"]


@dataclass(frozen=True)
class People:
    """A table of people.

    Attributes:
        count: The number of rows.
        change: What differs from the table before.
    """

    count: int
    change: Change = "none"

    def write(self, folder: Path) -> Path:
        """Write the table as Singer messages, unless the file exists."""
        path = folder / f"people-{self.change}-{self.count}.singer"
        if not path.exists():
            write_lines(path, self.messages())
        return path

    def messages(self) -> Iterator[dict[str, Any]]:
        """Make a SCHEMA message, rows, and a STATE message after every thousandth."""
        yield {
            "type": "SCHEMA",
            "stream": "identifies",
            "key_properties": ["user_id"],
            "schema": {"type": "object", "properties": COLUMNS},
        }
        draw = random.Random(SEED)
        for number in range(self.count):
            record = self._row(number, draw.getrandbits(60))
            yield {"type": "RECORD", "stream": "identifies", "record": record}
            if number % 1_000 == 999:
                yield {"type": "STATE", "value": {"bookmarks": {}}}

    def _row(self, number: int, drawn: int) -> dict[str, Any]:
        one, every = self.change == "one", self.change == "all"
        value = drawn + every
        day = f"{value % 28 + 1:02}T{value % 24:02}:{value % 60:02}"
        return {
            "user_id": f"user-{number:08}",
            "email": f"person-{number:08}@example.com",
            "first_name": f"Name {value % 5_000}",
            "last_name": f"Surname {value % 20_000}",
            "plan": ("free", "pro", "team")[value % 3],
            "country": ("DE", "US", "FR", "GB")[value % 4],
            "city": f"City {value % 900}",
            "zip": f"{value % 90_000 + 10_000}",
            "company": f"Company {value % 30_000} GmbH",
            "title": ("Engineer", "Manager")[value % 2],
            "source": ("ads", "web", "mail")[value % 3],
            "campaign": f"campaign-{value % 300}",
            "notes": f"some words about this person, with a number: {value}",
            "score": value % 101,
            "orders": value % 37,
            "lifetime_value": value % 1_000_000 / 100,
            "is_active": value % 2 == 0,
            "is_trial": value % 2 == 1,
            "created_at": f"2024-02-{day}:{value % 59:02}Z",
            "last_login": f"2026-03-{day}:{(value + one) % 60:02}Z",
            "updated_at": f"2026-04-{day}:{value % 57:02}Z",
        }


class Snapshots:
    """Measures runs with a snapshot, and the same ones without."""

    def __init__(self, folder: Path, benches: dict[int, Bench], nothing: Path) -> None:
        """Prepare.

        Args:
            folder: Folder of inputs and snapshots.
            benches: Servers by latency.
            nothing: An input without records.
        """
        self._folder = folder
        self._benches = benches
        self._nothing = nothing
        self._file = folder / "snapshot.db"
        settings = json.dumps({"snapshot": str(self._file)})
        (folder / "snapshot.json").write_text(settings, encoding="utf-8")

    def compared(self, rows: int, rounds: int) -> dict[str, Any]:
        """Compare tables with changes, in which each run has the same snapshot."""
        before = People(rows).write(self._folder)
        self._restore(None)
        self._benches[0].run(REMEMBERING, before)
        kept = self._folder / "kept.db"
        shutil.copy(self._file, kept)
        with_it = partial(self._restore, kept)
        one = People(rows, "one").write(self._folder)
        every = People(rows, "all").write(self._folder)
        runs: dict[tuple[int, str], Run] = {}
        for latency, bench in self._benches.items():
            run = partial(Run, bench, records=rows, start=PRODUCT)
            late = {
                ONE: run(REMEMBERING, one, prepare=with_it),
                WITHOUT: run(PRODUCT, before),
            }
            at_once = {
                FIRST: run(REMEMBERING, before, prepare=partial(self._restore, None)),
                ALL: run(REMEMBERING, every, prepare=with_it),
                **late,
                UNCHANGED: run(REMEMBERING, before, prepare=with_it),
            }
            for name, each in (late if latency else at_once).items():
                runs[latency, name] = each
        figures: dict[str, Any] = defaultdict(dict)
        for (at, name), measured in in_rounds(runs, rounds, self._nothing).items():
            figures[str(at)][name] = measured
        return figures

    def long(self, rows: int) -> dict[str, Any]:
        """Load a long table twice, and convert it alone, once each."""
        source = People(rows).write(self._folder)
        run = partial(Run, self._benches[0], records=rows, start=PRODUCT)
        self._restore(None)
        first = in_rounds({FIRST: run(REMEMBERING, source)}, 1, self._nothing)
        size = self._file.stat().st_size
        again = {
            UNCHANGED: run(REMEMBERING, source),
            CONVERSION.title: run(CONVERSION, source),
        }
        return {
            "runs": {**first, **in_rounds(again, 1, self._nothing)},
            "bytes_per_person": size / rows,
        }

    def _restore(self, kept: Path | None) -> None:
        for ending in FILES:
            self._file.with_name(self._file.name + ending).unlink(missing_ok=True)
        if kept is not None:
            shutil.copy(kept, self._file)
