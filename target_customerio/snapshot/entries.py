"""Finds entries for the reading thread, in the file and in memory.

An entry that unanswered operations concern is kept in memory until all of them are
answered: the file does not show yet what they change.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from target_customerio.snapshot.effects import Epochs
from target_customerio.snapshot.entry import ALIASES, SUPPRESSED, UNLINKED, Entry
from target_customerio.snapshot.tables import PERSON

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from target_customerio.snapshot.effects import Effect
    from target_customerio.snapshot.file import SnapshotFile

    StoredEntry = tuple[int, str | None, str | int | None, bytes]
    """The columns of an entry in the file: number, key, other key and data."""

FETCHED_AT_ONCE: Final = 32
_EMAIL_ALIAS: Final = ALIASES.index("email")


class Entries:
    """Finds and creates entries; used by the reading thread alone."""

    def __init__(self, file: SnapshotFile) -> None:
        """Look up nothing yet."""
        self._database = file.reader
        self.epochs = Epochs(file.reader)
        self.epoch = self.epochs.current
        """The epoch in which the present operations are compared."""
        self._unanswered: dict[int, Entry] = {}
        self._by_key: dict[tuple[int, str], Entry] = {}
        self._by_first_email: dict[str, set[Entry]] = {}
        self._by_alias: dict[int, set[Entry]] = {}
        self._decoded: dict[int, Entry] = {}
        self._stored: dict[tuple[int, str], StoredEntry | None] = {}
        self._stored_by_email: dict[str, list[StoredEntry]] = {}
        self._stored_by_alias: dict[int, list[StoredEntry]] = {}
        (largest,) = file.reader.execute("SELECT max(number) FROM entries").fetchone()
        following: Any = file.meta("next") or 0
        self.next_number = max((largest or 0) + 1, following)
        self._kinds_of_aliases = {
            kind for (kind,) in file.reader.execute(_KINDS_OF_ALIASES)
        }

    # For a few operations at a time

    def start(
        self, named: Mapping[int, Sequence[str]], emails: Iterable[str] = ()
    ) -> None:
        """Look up the entries of the next operations in a few statements.

        Args:
            named: Keys of entries, by kind.
            emails: First e-mail addresses of people, in lower case.
        """
        self.epoch = self.epochs.current
        self._decoded.clear()
        self._stored.clear()
        self._stored_by_email.clear()
        self._stored_by_alias.clear()
        rows = self._stored
        for kind, names in named.items():
            rows.update(dict.fromkeys(zip(repeat(kind), names)))
            for row in self._select("a", kind, names):
                rows[kind, row[1]] = row  # type: ignore[index]  # it has a key
        self.look_up_emails(emails)

    def look_up_others(self, addresses: Iterable[tuple[str, str]]) -> None:
        """Look up people by address, unless the one with the paired ``id`` has it."""
        rows = self._stored
        self.look_up_emails(
            [
                email
                for id_, email in addresses
                if (row := rows.get((PERSON, id_))) is None or row[2] != email
            ]
        )

    def look_up_emails(self, emails: Iterable[str]) -> None:
        """Look up people by their first e-mail address."""
        if not emails:
            return
        names = [each for each in emails if each not in self._stored_by_email]
        self._stored_by_email.update((name, []) for name in names)
        for row in self._select("b", PERSON, names):
            self._stored_by_email[row[2]].append(row)  # type: ignore[index]  # it has an address

    def look_up_aliases(self, aliases: Iterable[int]) -> None:
        """Look up people by hashes of identifiers."""
        known = self._kinds_of_aliases
        wanted = [*{each for each in aliases if each & 3 in known}]
        stored = self._stored_by_alias
        stored.update((each, []) for each in wanted)
        for part in _parts(wanted):
            for alias, *row in self._database.execute(_BY_ALIASES, part).fetchall():
                stored[alias].append(tuple(row))

    def stored_by_id(self, id_: str) -> StoredEntry | None:
        """Return the stored entry of a person whom no unanswered operation concerns."""
        key = (PERSON, id_)
        row = None if key in self._by_key else self._stored.get(key)
        return None if row is None or row[0] in self._unanswered else row

    def is_new_id(self, id_: str) -> bool:
        """Tell whether no entry has an ``id`` that was looked up."""
        key = (PERSON, id_)
        return (
            key not in self._by_key
            and key in self._stored
            and self._stored[key] is None
        )

    def is_new_email(self, email: str) -> bool:
        """Tell whether no entry has, had or claimed an address that was looked up."""
        return (
            self._stored_by_email.get(email) == []
            and email not in self._by_first_email
            and not self._by_alias
            and _EMAIL_ALIAS not in self._kinds_of_aliases
        )

    def stored_by_email(self, email: str) -> StoredEntry | None:
        """Return the stored entry of the only person with an address, as above."""
        email = email.lower()
        rows = (
            ()
            if email in self._by_first_email
            else self._stored_by_email.get(email, ())
        )
        if len(rows) != 1 or rows[0][0] in self._unanswered:
            return None
        return rows[0]

    def _select(
        self, column: str, kind: int, values: Sequence[str]
    ) -> Iterable[StoredEntry]:
        for part in _parts(values):
            # Fetched at once: an open statement would go on seeing an old state.
            yield from self._database.execute(
                _SELECTS[column], (kind, *part)
            ).fetchall()

    # One entry

    def by_key(self, kind: int, key: str) -> Entry | None:
        """Return an entry by its key."""
        found = self._by_key.get((kind, key))
        if found is not None:
            return found
        looked_up = kind, key
        if looked_up not in self._stored:
            self._stored[looked_up] = next(iter(self._select("a", kind, [key])), None)
        row = self._stored[looked_up]
        if row is None:
            return None
        entry = self._entry(kind, row)
        return entry if entry.key == key else None

    def by_email(self, email: str, alias: int) -> list[Entry]:
        """Return the people who have, had or claimed an address."""
        self.look_up_emails([email])
        found = {
            row[0]: self._entry(PERSON, row) for row in self._stored_by_email[email]
        }
        found.update(
            (each.number, each) for each in self._by_first_email.get(email, ())
        )
        found.update((each.number, each) for each in self.by_alias(alias))
        return list(found.values())

    def by_alias(self, alias: int) -> list[Entry]:
        """Return the people who have an identifier that people may share."""
        found = {each.number: each for each in self._by_alias.get(alias, ())}
        if alias & 3 in self._kinds_of_aliases:
            rows = self._stored_by_alias.get(alias)
            if rows is None:
                rows = self._database.execute(_BY_ALIAS, (alias,)).fetchall()
            for row in rows:
                found.setdefault(row[0], self._entry(PERSON, row))
        return list(found.values())

    def has_other_alias(self, entry: Entry, alias: int) -> bool:
        """Tell whether a person has or had another identifier of the same kind."""
        kind = alias & 3
        known = {*entry.aliases}
        if kind in self._kinds_of_aliases:
            rows = self._database.execute(_ALIASES, (entry.number,)).fetchall()
            known.update(each for (each,) in rows)
        return any(each & 3 == kind and each != alias for each in known)

    def of_person(self, kind: int, person: int) -> list[Entry]:
        """Return a person's relationships or memberships."""
        return self._related(
            "kind = ? AND b = ?",
            (kind, person),
            lambda each: each.other_key == person,
            kind,
        )

    def of_object(self, kind: int, owner: int) -> list[Entry]:
        """Return an object's relationships."""
        prefix = f"{owner}:"
        return self._related(
            "kind = ? AND a >= ? AND a < ?",
            (kind, prefix, f"{owner};"),  # ";" follows ":"
            lambda each: str(each.key).startswith(prefix),
            kind,
        )

    def _related(
        self,
        condition: str,
        values: tuple[Any, ...],
        belongs: Callable[[Entry], bool],
        kind: int,
    ) -> list[Entry]:
        statement = f"{_COLUMNS} WHERE {condition}"
        rows = self._database.execute(statement, values).fetchall()
        found = {row[0]: self._entry(kind, row) for row in rows}
        for each in self._unanswered.values():
            if each.kind == kind and belongs(each):
                found[each.number] = each
        return list(found.values())

    def new(
        self, kind: int, key: str | None = None, other_key: str | int | None = None
    ) -> Entry:
        """Create an entry, which is written with the first operation that names it."""
        entry = Entry(self.next_number, kind, key, other_key, is_new=True)
        self.next_number += 1
        return entry

    def _entry(self, kind: int, row: StoredEntry) -> Entry:
        number, key, other_key, data = row
        entry = self._unanswered.get(number) or self._decoded.get(number)
        if entry is None:
            entry = self.epochs.refresh(
                Entry(number, kind, key, other_key).unpack(data)
            )
            self._decoded[number] = entry
        return entry

    # Unanswered operations

    def take(self, effect: Effect) -> None:
        """Note that an operation that is about to be sent concerns an entry."""
        entry = effect.entry
        effect.is_new, effect.key, effect.other_key = (
            entry.is_new,
            entry.key,
            entry.other_key,
        )
        effect.epoch = self.epoch
        entry.unanswered += 1
        entry.linking += effect.moves
        entry.unlinking += effect.unlinks
        entry.is_new = False
        self._unanswered[entry.number] = entry
        if entry.key is not None:
            self._by_key[entry.kind, entry.key] = entry
        if entry.kind == PERSON and isinstance(entry.other_key, str):
            self._by_first_email.setdefault(entry.other_key, set()).add(entry)
        if effect.aliases:
            entry.aliases += effect.aliases
        for alias in effect.aliases:
            self._by_alias.setdefault(alias, set()).add(entry)
        if effect.named is None:
            entry.pending_whole += 1
            entry.suppressing += bool(effect.gained & SUPPRESSED)
            entry.flags |= UNLINKED
        elif entry.unanswered == 1:
            entry.pending = dict.fromkeys(effect.named, 1)
        else:
            for name in effect.named:
                entry.pending[name] = entry.pending.get(name, 0) + 1

    def settle(self, effect: Effect, *, delivered: bool) -> None:
        """Note that an operation is answered; the file has the result already."""
        entry = effect.entry
        if effect.aliases:
            self._kinds_of_aliases.update(alias & 3 for alias in effect.aliases)
        entry.unanswered -= 1
        entry.linking -= effect.moves and delivered
        entry.unlinking -= effect.unlinks
        if not entry.unanswered:
            self._release(entry)
            return
        if effect.named is None:
            entry.pending_whole -= 1
            entry.suppressing -= bool(effect.gained & SUPPRESSED)
        else:
            for name in effect.named:
                entry.pending[name] -= 1
                if not entry.pending[name]:
                    del entry.pending[name]
        effect.apply(entry, delivered=delivered)
        self.epochs.check(entry, effect)

    def make_unknown(
        self, names: tuple[int, ...] | None, *, with_links: bool = True
    ) -> None:
        """Make attributes unknown in every entry, also those in memory."""
        self.epochs.make_unknown(names, with_links=with_links)
        self.epoch = self.epochs.current
        self.make_unknown_in_memory(names)

    def make_unknown_in_memory(self, names: tuple[int, ...] | None) -> None:
        """Make attributes unknown in the entries in memory, not in the file."""
        for entries in (self._unanswered, self._decoded):
            for each in entries.values():
                each.make_unknown(names)

    def _release(self, entry: Entry) -> None:
        del self._unanswered[entry.number]
        if entry.key is not None and self._by_key.get((entry.kind, entry.key)) is entry:
            del self._by_key[entry.kind, entry.key]
        if isinstance(entry.other_key, str):
            _discard(self._by_first_email, entry.other_key, entry)
        for alias in entry.aliases:
            _discard(self._by_alias, alias, entry)


def stored_entry(database: sqlite3.Connection, number: int) -> Entry | None:
    """Return an entry as the file has it."""
    row = database.execute(
        "SELECT kind, a, b, data FROM entries WHERE number = ?", (number,)
    ).fetchone()
    if row is None:
        return None
    kind, key, other_key, data = row
    return Entry(number, kind, key, other_key).unpack(data)


def _parts(values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield values as parameters, always as many: a statement is prepared once."""
    for start in range(0, len(values), FETCHED_AT_ONCE):
        part = values[start : start + FETCHED_AT_ONCE]
        yield (*part, *[None] * (FETCHED_AT_ONCE - len(part)))


def _discard(index: dict[Any, set[Entry]], key: object, entry: Entry) -> None:
    entries = index.get(key)
    if entries is not None:
        entries.discard(entry)
        if not entries:
            del index[key]


_COLUMNS: Final = "SELECT number, a, b, data FROM entries"
_MARKS: Final = ", ".join("?" * FETCHED_AT_ONCE)
_SELECTS: Final = {
    column: f"{_COLUMNS} WHERE kind = ? AND {column} IN ({_MARKS})"
    for column in ("a", "b")
}
_BY_ALIAS: Final = (
    "SELECT number, a, b, data FROM aliases JOIN entries USING (number) WHERE alias = ?"
)
_BY_ALIASES: Final = (
    "SELECT alias, number, a, b, data FROM aliases JOIN entries USING (number)"  # noqa: S608 - constants
    f" WHERE alias IN ({_MARKS})"
)
_ALIASES: Final = "SELECT alias FROM aliases WHERE number = ?"
_KINDS_OF_ALIASES: Final = "SELECT DISTINCT alias & 3 FROM aliases"
