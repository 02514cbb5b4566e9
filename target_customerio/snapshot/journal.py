"""Writes what requests do to a snapshot, so that it is right whenever the run ends.

Before a request is sent, its intent is written durably: what the request makes unknown.
After the answer, the new hashes are written and the intent is deleted, in one
transaction. Intents that a killed run leaves behind are applied when the snapshot is
opened again: what they name becomes unknown.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from target_customerio.snapshot.entries import stored_entry
from target_customerio.snapshot.entry import UNLINKED, Entry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from threading import Lock

    from target_customerio.snapshot.effects import Effect, Epochs, Names, Ticket
    from target_customerio.snapshot.file import SnapshotFile
    from target_customerio.snapshot.holds import StreamHolds


class Intent(Struct, eq=False):
    """A request that is not answered yet.

    Attributes:
        number: Its number in the file; 0 if it changes nothing.
        unanswered: How many of its operations have no answer.
    """

    number: int
    unanswered: int


WRITTEN_AT_ONCE: Final = 100
"""Entries in one statement, which has five parameters for each. SQLite before 3.32
allows 999."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(
    tuple[
        list[
            tuple[int, int, str | None, str | int | None, list[int] | None, list[int]]
        ],
        list[list[int] | None],
    ]
).decode


class Journal:
    """Writes to a snapshot; used by the threads that send requests, under a lock."""

    def __init__(
        self,
        file: SnapshotFile,
        lock: Lock,
        epochs: Epochs,
        names: Names,
        streams: Sequence[StreamHolds],
    ) -> None:
        """Write to a file.

        Args:
            file: The open snapshot.
            lock: The lock of the file's writing connection.
            epochs: The epochs of the file.
            names: The numbers of attribute names.
            streams: What each stream holds; the list grows with the streams.
        """
        self._file = file
        self._lock = lock
        self._epochs = epochs
        self._names = names
        self._streams = streams
        self._next_intent = 1

    def intend(self, tickets: Sequence[Ticket], next_number: int) -> Intent:
        """Write durably what a request makes unknown, before it is sent.

        Args:
            tickets: The tickets of its operations.
            next_number: The number of the next new entry.

        Returns:
            The intent, for :meth:`answer`.

        Raises:
            SnapshotError: The file cannot be written.
        """
        if not tickets:
            return Intent(0, 0)
        effects = [
            (
                effect.entry.number,
                effect.entry.kind,
                effect.key,
                effect.other_key,
                # Whose the identifiers are is not known until the answer.
                None if effect.moves else effect.named,
                effect.aliases,
            )
            for ticket in tickets
            for effect in ticket.effects
        ]
        everywhere = _unknown_everywhere(tickets)
        with self._lock, self._file.writing(durable=True) as database:
            number = self._next_intent
            self._next_intent += 1
            self._write_shared(database, next_number)
            self._make_unknown_everywhere(database, everywhere)
            database.execute(
                "INSERT INTO intents VALUES (?, ?)",
                (number, _encode((effects, everywhere))),
            )
        return Intent(number, len(tickets))

    def answer(
        self, intent: Intent, delivered: Sequence[Ticket], rejected: Sequence[Ticket]
    ) -> None:
        """Write what the answers to some operations of a request make known.

        Args:
            intent: The intent of the request.
            delivered: The tickets of operations that Customer.io accepted, in order.
            rejected: The tickets of those that it refused.

        Raises:
            SnapshotError: The file cannot be written.
        """
        if not (delivered or rejected):
            return
        with self._lock, self._file.writing() as database:
            self._make_unknown_everywhere(
                database, _unknown_everywhere((*delivered, *rejected))
            )
            self._store(database, delivered)
            for ticket in rejected:
                for effect in ticket.effects:
                    self._merge(database, effect, delivered=False)
            intent.unanswered -= len(delivered) + len(rejected)
            if not intent.unanswered:
                database.execute(
                    "DELETE FROM intents WHERE number = ?", (intent.number,)
                )

    def write(
        self, refreshed: dict[int, bytes], next_number: int, *, durable: bool
    ) -> None:
        """Write what has changed without a request.

        Args:
            refreshed: Entries, by number.
            next_number: The number of the next new entry.
            durable: Whether it must survive a power failure.

        Raises:
            SnapshotError: The file cannot be written.
        """
        with self._lock, self._file.writing(durable=durable) as database:
            self._write_shared(database, next_number)
            database.executemany(
                "UPDATE entries SET data = ? WHERE number = ?",
                [(data, number) for number, data in refreshed.items()],
            )

    def recover(self) -> None:
        """Make unknown what an earlier run's requests without an answer have named.

        Raises:
            SnapshotError: The file cannot be written.
        """
        with self._lock, self._file.writing(durable=True) as database:
            rows = database.execute("SELECT effects FROM intents").fetchall()
            for (data,) in rows:
                effects, everywhere = _decode(data)
                self._make_unknown_everywhere(
                    database,
                    [None if each is None else tuple(each) for each in everywhere],
                )
                for number, kind, key, other_key, named, aliases in effects:
                    self._recover(database, Entry(number, kind, key, other_key), named)
                    _add_aliases(database, number, aliases)
            database.execute("DELETE FROM intents")

    def _recover(
        self, database: sqlite3.Connection, entry: Entry, named: list[int] | None
    ) -> None:
        stored = stored_entry(database, entry.number)
        if stored is None:
            stored = entry
            stored.flags = UNLINKED
        stored.make_unknown(named)
        _name(stored, entry.key, entry.other_key)
        _write(database, stored)

    def _write_shared(self, database: sqlite3.Connection, next_number: int) -> None:
        """Write what entries depend on: names, the next number, what streams hold."""
        self._names.write(database)
        for stream in self._streams:
            stream.write(database)
        database.execute(
            "INSERT OR REPLACE INTO meta VALUES ('next', ?)", (next_number,)
        )

    def _make_unknown_everywhere(
        self,
        database: sqlite3.Connection,
        everywhere: Sequence[tuple[int, ...] | None],
    ) -> None:
        """Make attributes unknown in every entry; each None stands for all of them."""
        for names in everywhere:
            self._epochs.make_unknown(names)
        if everywhere:
            self._epochs.write(database)

    def _store(self, database: sqlite3.Connection, delivered: Sequence[Ticket]) -> None:
        """Write the entries of delivered operations, in order."""
        entries: list[tuple[Any, ...]] = []
        for ticket in delivered:
            for effect in ticket.effects:
                is_moved = effect.moves and not effect.is_new
                if effect.data is None or is_moved or effect.drops:
                    _flush(database, entries)
                    self._merge(database, effect, delivered=True)
                else:
                    number, kind = effect.entry.number, effect.entry.kind
                    entries.append(
                        (number, kind, effect.key, effect.other_key, effect.data)
                    )
                    if effect.aliases:
                        _add_aliases(database, number, effect.aliases)
        _flush(database, entries)

    def _merge(
        self, database: sqlite3.Connection, effect: Effect, *, delivered: bool
    ) -> None:
        """Apply an effect to the stored entry, which may have changed meanwhile."""
        number = effect.entry.number
        if effect.drops and delivered:
            database.execute("DELETE FROM entries WHERE number = ?", (number,))
            database.execute("DELETE FROM aliases WHERE number = ?", (number,))
            return
        stored = stored_entry(database, number)
        if stored is None:
            if not delivered:
                return
            stored = Entry(number, effect.entry.kind, flags=UNLINKED)
        self._epochs.refresh(stored)
        if delivered:
            _name(stored, effect.key, effect.other_key, moves=effect.moves)
        effect.apply(stored, delivered=delivered)
        stored.epoch = effect.epoch
        _add_aliases(database, number, effect.aliases)
        _write(database, stored)


def _unknown_everywhere(tickets: Iterable[Ticket]) -> list[tuple[int, ...] | None]:
    """Return what tickets make unknown in every entry; most make nothing so."""
    return [each.unknown_everywhere for each in tickets if each.concerns_anyone]


def _name(
    stored: Entry, key: str | None, other_key: str | int | None, *, moves: bool = False
) -> None:
    """Give an entry the identifiers under which an operation found it.

    It keeps those that it got from a later one. If the operation that gave it one of
    them was not delivered, what names that concerns somebody else than what is known.
    """
    before = stored.key, stored.other_key
    if key is not None:
        stored.key = key
    if other_key is not None:
        stored.other_key = other_key
    if not moves and (stored.key, stored.other_key) != before:
        stored.make_unknown(None)


def _flush(database: sqlite3.Connection, entries: list[tuple[Any, ...]]) -> None:
    """Write entries that are new, or of which only the data has changed.

    A statement writes many entries: ``executemany`` takes the interpreter lock from the
    reading thread again for each row. This saves 10 % of the CPU time of a run in which
    each row has changed, 15 % of that of a first run.
    """
    whole = len(entries) - len(entries) % WRITTEN_AT_ONCE
    for start in range(0, whole, WRITTEN_AT_ONCE):
        part = entries[start : start + WRITTEN_AT_ONCE]
        database.execute(_STORE_MANY, tuple(chain.from_iterable(part)))
    database.executemany(_STORE_ONE, entries[whole:])
    entries.clear()


def _write(database: sqlite3.Connection, entry: Entry) -> None:
    database.execute(
        "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)",
        (entry.number, entry.kind, entry.key, entry.other_key, entry.packed()),
    )


def _add_aliases(
    database: sqlite3.Connection, number: int, aliases: Iterable[int]
) -> None:
    for alias in aliases:
        database.execute("INSERT OR IGNORE INTO aliases VALUES (?, ?)", (alias, number))


def _storing(entries: int) -> str:
    """Return the statement that writes so many entries."""
    rows = ", ".join(["(?, ?, ?, ?, ?)"] * entries)
    return (
        f"INSERT INTO entries VALUES {rows}"  # noqa: S608 - only parameters
        " ON CONFLICT (number) DO UPDATE SET data = excluded.data"
    )


_STORE_ONE: Final = _storing(1)
_STORE_MANY: Final = _storing(WRITTEN_AT_ONCE)
