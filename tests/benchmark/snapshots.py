"""Runs with a snapshot: how long they take, what they send, how large the file gets."""

from __future__ import annotations

import json
import random
import shutil
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from measure import PRODUCT, Contender, script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from measure import Bench, Result

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
            with path.open("w", encoding="utf-8") as file:
                for message in self.messages():
                    file.write(json.dumps(message, separators=(",", ":")) + "\n")
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

    def __init__(self, folder: Path, records: int, many: int, rounds: int) -> None:
        """Prepare.

        Args:
            folder: Folder of inputs and snapshots.
            records: Rows of each run.
            many: Rows of the long run, of which nothing has changed.
            rounds: Runs of each kind, for the median.
        """
        self._folder = folder
        self._records = records
        self._many = many
        self._rounds = rounds
        self._file = folder / "snapshot.db"
        settings = json.dumps({"snapshot": str(self._file)})
        (folder / "snapshot.json").write_text(settings, encoding="utf-8")

    def figures(self, benches: dict[int, Bench]) -> dict[str, Any]:
        """Measure everything."""
        at_once = benches[0]
        results: dict[tuple[str, str], list[Result]] = defaultdict(list)
        for turn in range(self._rounds):
            for latency, bench in benches.items():
                for name, result in self._round(bench, is_first=turn == 0):
                    results[str(latency), name].append(result)
        empty = self._empty(at_once)
        by_latency: dict[str, Any] = defaultdict(dict)
        for (at, name), each in results.items():
            by_latency[at][name] = _figures(self._records, each, empty)
        return {"runs": by_latency, "long": self._long(at_once, empty)}

    def _round(self, bench: Bench, *, is_first: bool) -> Iterator[tuple[str, Result]]:
        before = People(self._records).write(self._folder)
        yield WITHOUT, bench.run(PRODUCT, before)
        kept = self._folder / f"kept-{self._records}.db"
        self._restore(None)
        yield FIRST, bench.run(REMEMBERING, before)
        if is_first and not kept.exists():
            shutil.copy(self._file, kept)
        changes: dict[str, Change] = {UNCHANGED: "none", ONE: "one", ALL: "all"}
        for name, change in changes.items():
            self._restore(kept)
            source = People(self._records, change).write(self._folder)
            yield name, bench.run(REMEMBERING, source)

    def _long(self, bench: Bench, empty: float) -> dict[str, Any]:
        """Load a long table twice."""
        source = People(self._many).write(self._folder)
        self._restore(None)
        bench.run(REMEMBERING, source)
        size = self._file.stat().st_size
        again = bench.run(REMEMBERING, source)
        converted = bench.run(CONVERSION, source)
        return {
            UNCHANGED: _figures(self._many, [again], empty),
            CONVERSION.title: _figures(self._many, [converted], empty),
            "bytes_per_person": size / self._many,
        }

    def _empty(self, bench: Bench) -> float:
        nothing = People(0).write(self._folder)
        runs = [bench.run(PRODUCT, nothing).seconds for _ in range(self._rounds)]
        return statistics.median(runs)

    def _restore(self, kept: Path | None) -> None:
        for ending in FILES:
            self._file.with_name(self._file.name + ending).unlink(missing_ok=True)
        if kept is not None:
            shutil.copy(kept, self._file)


def _figures(count: int, results: list[Result], empty: float) -> dict[str, Any]:
    median = statistics.median(each.seconds for each in results)
    return {
        "records": count,
        "microseconds": (median - empty) / count * 1_000_000,
        "peak_mb": max(each.peak_mb for each in results),
        "operations": results[-1].operations,
        "bytes": results[-1].bytes,
    }
