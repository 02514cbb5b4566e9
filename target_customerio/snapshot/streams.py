"""The streams that a snapshot knows: how their last runs ended and what they hold."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct

from target_customerio.snapshot.holds import BitSet, StreamHolds
from target_customerio.snapshot.tables import KINDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator


Status: TypeAlias = Literal[
    "running", "complete", "unreadable", "incremental", "failed"
]

STATUSES: Final[dict[Status, str]] = {
    "running": "its last run was killed or is still running",
    "complete": "its last run read a full table to the end",
    "unreadable": "its last run had records whose identifiers could not be read",
    "incremental": "it is not a full table: STATE holds a bookmark for it",
    "failed": "its last run did not end well",
}
"""How the last run of a stream ended, and what that means; only a complete one lets
people be removed."""


class Stream(Struct, eq=False):
    """A stream of a run.

    Attributes:
        number: Its number in the file.
        name: Its name after stream maps.
        source: Its name in the tap.
        holds: What it holds.
        status: How its last run ended.
        call: The call of the records that name what it holds.
        update_only: Whether these are identifies that create no people.
        held_before: How many entries it held before its last run, or that awaited
            removal, by kind.
        ended_at: When its last run ended, in ISO form; None if it did not.
        unreadable: Records of this run whose identifiers could not be read.
        before: How its earlier run ended: status, ``held_before`` and ``ended_at``.
        runs_as: ``call`` and ``update_only`` of this run.
    """

    number: int
    name: str
    source: str
    holds: StreamHolds
    call: str
    status: Status = "running"
    update_only: bool = False
    held_before: tuple[int, ...] = (0, 0, 0, 0)
    ended_at: str | None = None
    unreadable: int = 0
    before: tuple[Status, tuple[int, ...], str | None] | None = None
    runs_as: tuple[str, bool] | None = None

    @property
    def title(self) -> str:
        """Its name, with its name in the tap if that differs."""
        return self.name if self.name == self.source else f"{self.name} ({self.source})"

    @property
    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many entries it holds, and how many are missing, by kind."""
        held, missing = (
            {kind: len(each) for kind, each in zip(KINDS, sets, strict=True)}
            for sets in (self.holds.held, self.holds.missing)
        )
        return held, missing

    def protected(self, kind: int) -> BitSet:
        """Return the entries that no other stream may remove.

        A stream that is not a full table, or whose last run did not end well, holds
        all that it ever held.
        """
        if self.status == "complete":
            return self.holds.held[kind]
        return self.holds.ever_held(kind)


class Streams:
    """All streams of a snapshot."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Read them from a file."""
        self._streams: dict[tuple[str, str], Stream] = {}
        self.holds: list[StreamHolds] = []
        for row in database.execute(_COLUMNS).fetchall():
            number, name, source, call, status, update_only, held_before, ended = row
            stream = Stream(
                number,
                name,
                source,
                StreamHolds(number),
                call,
                status,
                bool(update_only),
                tuple(json.loads(held_before)),
                ended,
            )
            stream.holds.load(
                database.execute(
                    "SELECT kind, chunk, held, missing FROM holds WHERE stream = ?",
                    (number,),
                ).fetchall()
            )
            self._add(stream)

    def __iter__(self) -> Iterator[Stream]:
        """Yield all streams."""
        return iter(self._streams.values())

    def named(self, name: str) -> list[Stream]:
        """Return the streams with a name, one for each source."""
        return [each for each in self if each.name == name]

    def begin(
        self, name: str, source: str, call: str, *, update_only: bool = False
    ) -> Stream:
        """Return a stream at the start of its records.

        Args:
            name: Its name after stream maps.
            source: Its name in the tap.
            call: Its call.
            update_only: Whether its identifies create no people.
        """
        stream = self._streams.get((name, source))
        if stream is None:
            number = max((each.number for each in self), default=0) + 1
            holds = StreamHolds(number)
            stream = Stream(number, name, source, holds, call, update_only=update_only)
            self._add(stream)
        stream.runs_as = call, update_only
        return stream

    def start_run(self, stream: Stream, database: sqlite3.Connection) -> None:
        """Write that a run of a stream has started, within a transaction."""
        stream.before = stream.status, stream.held_before, stream.ended_at
        stream.status, stream.ended_at, stream.unreadable = "running", None, 0
        stream.held_before = tuple(
            len(stream.holds.ever_held(kind)) for kind in range(len(KINDS))
        )
        self._write(stream, database)

    def keep_run(self, stream: Stream, database: sqlite3.Connection) -> None:
        """Write a stream whose last run stays the earlier one, within a transaction."""
        if stream.before is not None:
            stream.status, stream.held_before, stream.ended_at = stream.before
        stream.holds.write(database)
        if stream.status == "running":  # it is new, or its last run was killed
            stream.status = "failed"
        self._write(stream, database)

    def end_run(
        self,
        stream: Stream,
        database: sqlite3.Connection,
        *,
        well: bool,
        full_table: bool,
    ) -> None:
        """Write how the run of a stream has ended, within a transaction.

        Args:
            stream: The stream.
            database: The connection with the transaction.
            well: Whether its input was read to the end and nothing is undelivered.
            full_table: Whether it is a full table.
        """
        if not well:
            stream.status = "failed"
        elif not full_table:
            stream.status = "incremental"
        elif stream.unreadable:
            stream.status = "unreadable"
        else:
            stream.status = "complete"
            held_as = stream.call, stream.update_only
            runs_as = stream.runs_as or held_as
            # What it held as a stream of another call is not missing from its table.
            stream.holds.replace(with_missing=runs_as == held_as)
            stream.call, stream.update_only = runs_as
        stream.ended_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        stream.holds.write(database)
        self._write(stream, database)

    def forget(self, stream: Stream, database: sqlite3.Connection) -> None:
        """Drop a stream and what it holds, within a transaction."""
        del self._streams[stream.name, stream.source]
        self.holds.remove(stream.holds)
        for table, column in (("streams", "number"), ("holds", "stream")):
            database.execute(
                f"DELETE FROM {table} WHERE {column} = ?",  # noqa: S608 - constants
                (stream.number,),
            )

    def _add(self, stream: Stream) -> None:
        self._streams[stream.name, stream.source] = stream
        self.holds.append(stream.holds)

    def _write(self, stream: Stream, database: sqlite3.Connection) -> None:
        database.execute(
            "INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stream.number,
                stream.name,
                stream.source,
                stream.status,
                stream.call,
                stream.update_only,
                json.dumps(stream.held_before),
                stream.ended_at,
            ),
        )


_COLUMNS: Final = (
    "SELECT number, name, source, call, status, update_only, held_before, ended_at"
    " FROM streams ORDER BY number"
)
