"""What operations do to a snapshot, and what its entries have in common."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from msgspec import Struct

from target_customerio.snapshot.entry import (
    MAX_NAMES,
    UNLINKED,
    Entry,
    Layout,
    layout_of,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


MAX_LAYOUTS = 1024
"""Maximum layouts in memory; a table has one unless its rows lack columns."""


class Effect(Struct, eq=False, gc=False):
    """What an operation does to one entry.

    Attributes:
        entry: The entry, as the reading thread sees it.
        named: The attributes that the operation names; None: all of it.
        stored: The hashes to store once it is delivered; None: those in ``data``.
        gained: Flags to set once it is delivered.
        lost: Flags to clear once it is delivered.
        drops: Whether the entry goes once it is delivered.
        key: See :class:`Entry`; as it is once the operation is delivered.
        other_key: See :class:`Entry`; likewise.
        aliases: Further identifiers of the person, as hashes.
        is_new: Whether the file has no such entry.
        moves: Whether ``a`` or ``b`` is new.
        needs_link: Whether it teaches nothing unless the address turns out to be that
            of the ``id``.
        epoch: The epoch of the operation.
        data: The whole entry once the operation is delivered; None if other operations
            on it were unanswered before.
    """

    entry: Entry
    named: tuple[int, ...] | None
    stored: dict[int, int] | None = {}
    gained: int = 0
    lost: int = 0
    drops: bool = False
    key: str | None = None
    other_key: str | int | None = None
    aliases: tuple[int, ...] = ()
    is_new: bool = False
    moves: bool = False
    needs_link: bool = False
    epoch: int = 0
    data: bytes | None = None

    @property
    def unlinks(self) -> bool:
        """Whether it may take the address of an ``id`` away."""
        return self.named is None or bool(self.gained & UNLINKED)

    def apply(self, entry: Entry, *, delivered: bool) -> None:
        """Change an entry as the answer to the operation does."""
        is_refused = self.moves and not delivered
        is_of_another = self.needs_link and not entry.is_linked
        if is_refused or is_of_another:
            entry.forget(None)
            return
        entry.forget(self.named)
        if delivered:
            entry.flags = (entry.flags & ~self.lost) | self.gained
            entry.hashes.update(self.hashes())

    def hashes(self) -> dict[int, int]:
        """Return the hashes to store once the operation is delivered."""
        if self.stored is None:
            assert self.data is not None  # noqa: S101
            assert self.named is not None  # noqa: S101
            known = Entry(0, 0).unpack(self.data).hashes
            self.stored = {name: known[name] for name in self.named}
        return self.stored


class Ticket(Struct, eq=False, gc=False):
    """What an operation does to the snapshot.

    Attributes:
        effects: What it does to entries.
        everywhere: Attributes that it makes unknown in every entry, since the snapshot
            does not know which person it concerns; None: all attributes.
    """

    effects: list[Effect]
    everywhere: tuple[int, ...] | None = ()


class Epochs:
    """When attributes became unknown in all entries; used by all threads."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Read them from the file."""
        row = database.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
        self.current: int = row[0] if row else 1
        row = database.execute("SELECT value FROM meta WHERE name = 'stale'").fetchone()
        self.all_stale: int = row[0] if row else 0
        self.stale: dict[int, int] = dict(
            database.execute("SELECT number, stale FROM names WHERE stale > 0")
        )
        row = database.execute(
            "SELECT value FROM meta WHERE name = 'unlinked'"
        ).fetchone()
        self.unlinked: int = row[0] if row else 0
        self.last = max([self.all_stale, *self.stale.values()])
        self._lock = Lock()

    def forget(self, names: Iterable[int] | None, *, with_links: bool = True) -> None:
        """Make attributes unknown in every entry; None: all attributes.

        With links, it is not known either whose address is whose.
        """
        with self._lock:
            self.current += 1
            self.last = self.current
            if names is None:
                self.all_stale = self.current
                if with_links:
                    self.unlinked = self.current
            else:
                self.stale.update(dict.fromkeys(names, self.current))

    def refresh(self, entry: Entry) -> Entry:
        """Forget what has become unknown since an entry was written, and return it."""
        if entry.epoch < self.last:
            if entry.epoch < self.all_stale:
                is_linked = not entry.flags & UNLINKED
                entry.forget(None)
                if is_linked and entry.epoch >= self.unlinked:
                    entry.flags &= ~UNLINKED
            else:
                stale = self.stale
                names = [
                    each for each in entry.hashes if stale.get(each, 0) > entry.epoch
                ]
                entry.forget(names)
        return entry

    def check(self, entry: Entry, effect: Effect) -> None:
        """Forget what became unknown everywhere while an operation was unanswered."""
        if effect.epoch < self.last:
            epoch, stale = effect.epoch, self.stale
            if epoch < self.all_stale:
                entry.forget(None)
            stored = effect.hashes()
            entry.forget([each for each in stored if stale.get(each, 0) > epoch])

    def write(self, database: sqlite3.Connection) -> None:
        """Write them, within a transaction."""
        with self._lock:
            stale = list(self.stale.items())
            values = [
                ("epoch", self.current),
                ("stale", self.all_stale),
                ("unlinked", self.unlinked),
            ]
        database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)
        database.executemany(
            "UPDATE names SET stale = ? WHERE number = ?",
            [(epoch, name) for name, epoch in stale],
        )


class Names:
    """The numbers of attributes' names."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Read them from the file."""
        self.texts: dict[int, str] = dict(
            database.execute("SELECT number, name FROM names")
        )
        self.numbers = {name: number for number, name in self.texts.items()}
        self._added: list[tuple[int, str]] = []
        self._written = 0
        self._layouts: dict[tuple[str, ...], Layout] = {}

    def number(self, name: str) -> int | None:
        """Return the number of a name; None if there are too many names."""
        number = self.numbers.get(name)
        if number is None and len(self.numbers) < MAX_NAMES:
            number = self.numbers[name] = len(self.numbers)
            self.texts[number] = name
            self._added.append((number, name))
        return number

    def layout(self, names: Iterable[str]) -> Layout:
        """Return the layout of names.

        Raises:
            UnicodeEncodeError: A name cannot be encoded.
        """
        key = tuple(names)
        layout = self._layouts.get(key)
        if layout is None:
            if len(self._layouts) >= MAX_LAYOUTS:
                self._layouts.clear()
            numbers = [self.number(name) for name in key]
            layout = layout_of(key, [-1 if each is None else each for each in numbers])
            self._layouts[key] = layout
        return layout

    def write(self, database: sqlite3.Connection) -> None:
        """Write new names, within a transaction."""
        added = self._added[self._written :]
        if added:
            self._written += len(added)
            database.executemany(
                "INSERT INTO names (number, name) VALUES (?, ?)", added
            )
