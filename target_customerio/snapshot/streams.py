"""The streams of a snapshot: how their last runs ended, and what they hold."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

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
"""How the last run of a stream ended, in words. Only after a complete run may anything
be removed."""


class LastRun(NamedTuple):
    """What a stream keeps of its last run.

    Attributes:
        status: How the run ended.
        held_before: How many entries the stream held before the run, with those that
            awaited removal, by kind.
        ended_at: When the run ended, in ISO form; None if it did not.
    """

    status: Status
    held_before: tuple[int, ...]
    ended_at: str | None


class CallOfRun(NamedTuple):
    """How the records of a run name what the stream holds.

    Attributes:
        call: The call.
        update_only: Whether these are identifies that create no people.
    """

    call: str
    update_only: bool


class Stream(Struct, eq=False):
    """A stream that holds what its records name.

    Attributes:
        number: Its number in the file.
        name: Its name after stream maps.
        source: Its name in the tap.
        holds: What it holds.
        call: The call of its last complete run, whose records named what it holds.
        status: How its last run ended.
        update_only: Whether its last complete run was ``update_only``.
        held_before: See :class:`LastRun`; so is the next.
        ended_at: When its last run ended.
        unreadable: Records of this run whose identifiers could not be read.
        earlier_run: The run before this one.
        call_of_run: The call of this run.
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
    earlier_run: LastRun | None = None
    call_of_run: CallOfRun | None = None

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
        """Read the streams from a file."""
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
        stream.call_of_run = CallOfRun(call, update_only)
        return stream

    def start_run(self, stream: Stream, database: sqlite3.Connection) -> None:
        """Write that a run of a stream has started, within a transaction."""
        stream.earlier_run = LastRun(stream.status, stream.held_before, stream.ended_at)
        stream.status, stream.ended_at, stream.unreadable = "running", None, 0
        stream.held_before = tuple(
            len(stream.holds.ever_held(kind)) for kind in range(len(KINDS))
        )
        self._write(stream, database)

    def end_addition(self, stream: Stream, database: sqlite3.Connection) -> None:
        """Write what a run has added, and the earlier run as the last one.

        Within a transaction.
        """
        if stream.earlier_run is not None:
            stream.status, stream.held_before, stream.ended_at = stream.earlier_run
        stream.holds.write(database)
        if stream.status == "running":  # it is new, or its last run was killed
            stream.status = "failed"
        self._write(stream, database)

    def end_run(
        self,
        stream: Stream,
        database: sqlite3.Connection,
        *,
        ended_well: bool,
        full_table: bool,
    ) -> None:
        """Write how the run of a stream has ended, within a transaction.

        Args:
            stream: The stream.
            database: The connection with the transaction.
            ended_well: Whether its input was read to its end and all was delivered,
                rejected or skipped.
            full_table: Whether it is a full table.
        """
        if not ended_well:
            stream.status = "failed"
        elif not full_table:
            stream.status = "incremental"
        elif stream.unreadable:
            stream.status = "unreadable"
        else:
            stream.status = "complete"
            before = CallOfRun(stream.call, stream.update_only)
            now = stream.call_of_run or before
            # What it held as a stream of another call is not missing from its table.
            stream.holds.replace(with_missing=now == before)
            stream.call, stream.update_only = now
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
