"""What operations do to entries, and what all entries share: epochs and names."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from msgspec import Struct

from target_customerio.snapshot.entry import MAX_NAMES, UNLINKED, Entry
from target_customerio.snapshot.hashing import Layout, layout_of
from target_customerio.snapshot.tables import meta

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


MAX_LAYOUTS = 1024
"""Maximum layouts in memory; a table has one unless its rows lack columns."""


class Effect(Struct, eq=False, gc=False):
    """What an operation does to one entry.

    Attributes:
        entry: The entry, as the reading thread sees it.
        named: The attributes that the operation names, unknown until its answer; None:
            the whole entry.
        stored: The hashes to store on delivery; None: those in ``data``.
        gained: Flags to set on delivery.
        lost: Flags to clear on delivery.
        drops: Whether the entry is dropped on delivery.
        key: The entry's key after delivery (see :class:`.Entry`).
        other_key: The entry's other key after delivery.
        aliases: Further identifiers of the person, as hashes.
        is_new: Whether the entry is not in the file yet.
        moves: Whether the operation gives the person an ``id`` or an address.
        needs_link: Whether nothing is stored unless the address is known by then to
            belong to the person with the ``id``.
        epoch: The epoch in which the operation was compared.
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
        """Whether the operation may take the person's address away."""
        return self.named is None or bool(self.gained & UNLINKED)

    def apply(self, entry: Entry, *, delivered: bool) -> None:
        """Change an entry as the answer to the operation requires."""
        is_refused = self.moves and not delivered
        is_of_another = self.needs_link and not entry.is_linked
        if is_refused or is_of_another:
            entry.make_unknown(None)
            return
        entry.make_unknown(self.named)
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
        effects: What the operation does to single entries.
        unknown_everywhere: Attributes that the operation makes unknown in every entry,
            since the snapshot cannot tell which person it concerns; None: all.
    """

    effects: list[Effect]
    unknown_everywhere: tuple[int, ...] | None = ()

    @property
    def concerns_anyone(self) -> bool:
        """Whether the operation makes attributes unknown in every entry."""
        return self.unknown_everywhere != ()


class Epochs:
    """When attributes became unknown in all entries; used by all threads.

    An epoch is a number that rises whenever attributes become unknown in every entry.
    Entries are not rewritten then: an entry of an older epoch does not know them.

    Attributes:
        current: The present epoch.
        all_stale: The last epoch in which all attributes became unknown.
        stale: The last epoch in which an attribute became unknown, by its number.
        unlinked: The last epoch in which it became unknown which address belongs to
            which ``id``.
        last: The last epoch in which any attribute became unknown.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        """Read the epochs from the file."""
        self.current: int = meta(database, "epoch") or 1
        self.all_stale: int = meta(database, "stale") or 0
        self.stale: dict[int, int] = dict(
            database.execute("SELECT number, stale FROM names WHERE stale > 0")
        )
        self.unlinked: int = meta(database, "unlinked") or 0
        self.last = max([self.all_stale, *self.stale.values()])
        self._lock = Lock()

    def make_unknown(
        self, names: Iterable[int] | None, *, with_links: bool = True
    ) -> None:
        """Make attributes unknown in every entry.

        Args:
            names: The numbers of the attributes; None: all attributes.
            with_links: Whether it becomes unknown too which address belongs to which
                ``id``.
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
        """Make unknown what became so after an entry was written; return the entry."""
        if entry.epoch < self.last:
            if entry.epoch < self.all_stale:
                is_linked = not entry.flags & UNLINKED
                entry.make_unknown(None)
                if is_linked and entry.epoch >= self.unlinked:
                    entry.flags &= ~UNLINKED
            else:
                stale = self.stale
                names = [
                    each for each in entry.hashes if stale.get(each, 0) > entry.epoch
                ]
                entry.make_unknown(names)
        return entry

    def check(self, entry: Entry, effect: Effect) -> None:
        """Make unknown what became so in all entries before an operation's answer."""
        if effect.epoch < self.last:
            epoch, stale = effect.epoch, self.stale
            if epoch < self.all_stale:
                entry.make_unknown(None)
            stored = effect.hashes()
            entry.make_unknown([each for each in stored if stale.get(each, 0) > epoch])

    def write(self, database: sqlite3.Connection) -> None:
        """Write the epochs, within a transaction."""
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
        """Read the names from the file."""
        self.texts: dict[int, str] = dict(
            database.execute("SELECT number, name FROM names")
        )
        self.numbers = {name: number for number, name in self.texts.items()}
        self._added: list[tuple[int, str]] = []
        self._written = 0
        self._layouts: dict[tuple[str, ...], Layout] = {}

    def number(self, name: str) -> int | None:
        """Return the number of a name, a new one if need be; None if all are in use."""
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
