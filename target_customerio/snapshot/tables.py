"""The tables of a snapshot's file, their version, and the kinds of its entries."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from target_customerio import sqlite_files
from target_customerio.errors import SnapshotError
from target_customerio.sqlite_files import committing

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


APPLICATION_ID: Final = 0x43494F53
"""``CIOS`` in SQLite's file header marks a snapshot file."""

VERSION: Final = 1
"""The version of the tables, in SQLite's file header."""

PERSON: Final = 0
OBJECT: Final = 1
RELATIONSHIP: Final = 2
MEMBERSHIP: Final = 3
KINDS: Final = ("people", "objects", "relationships", "memberships")
"""The kinds of entries, by their numbers above."""

_KEY_BYTES: Final = 16

TABLES: Final = """
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value
) WITHOUT ROWID;

CREATE TABLE names (              -- of attributes
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  stale INTEGER NOT NULL DEFAULT 0  -- entries of an older epoch do not know it
);

CREATE TABLE entries (
  number INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,          -- 0 person, 1 object, 2 relationship, 3 membership
  a,                              -- id; type:id; object:person; segment:person
  b,                              -- e-mail in lower case; the person's number
  data BLOB NOT NULL              -- hashes of attribute values, packed
);
CREATE INDEX entries_by_a ON entries (kind, a) WHERE a IS NOT NULL;
CREATE INDEX entries_by_b ON entries (kind, b) WHERE b IS NOT NULL;

CREATE TABLE aliases (            -- hashes of identifiers that people may share
  alias INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (alias, number)
) WITHOUT ROWID;
CREATE INDEX aliases_by_number ON aliases (number);

CREATE TABLE intents (            -- requests without an answer
  number INTEGER PRIMARY KEY,
  effects BLOB NOT NULL
);

CREATE TABLE streams (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL,             -- after stream maps
  source TEXT NOT NULL,           -- as the tap names it
  status TEXT NOT NULL DEFAULT 'running',
  call TEXT NOT NULL,             -- of the records that name what it holds
  update_only INTEGER NOT NULL DEFAULT 0,
  held_before TEXT NOT NULL DEFAULT '[0,0,0,0]',  -- by kind, as JSON
  ended_at TEXT,
  UNIQUE (name, source)
);

CREATE TABLE holds (              -- bit maps of entries' numbers
  stream INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  chunk INTEGER NOT NULL,
  held BLOB NOT NULL,
  missing BLOB NOT NULL,          -- held before the last run, and not in it
  PRIMARY KEY (stream, kind, chunk)
) WITHOUT ROWID
"""


def create_tables(database: sqlite3.Connection) -> None:
    """Make an empty file a snapshot, in one transaction."""
    with committing(database):
        for statement in TABLES.split(";\n"):
            database.execute(statement)
        key = secrets.token_bytes(_KEY_BYTES)
        database.execute("INSERT INTO meta VALUES ('key', ?)", (key,))
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {VERSION}")


def meta(database: sqlite3.Connection, name: str) -> Any:  # noqa: ANN401 - as SQLite has it
    """Return a value of the whole file; None if it is not set."""
    row = database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def version_of(database: sqlite3.Connection, path: Path) -> int:
    """Return the version of a snapshot's tables, 0 for an empty file.

    Raises:
        SnapshotError: The file is of another version or another program.
    """
    version = sqlite_files.version_of(database, APPLICATION_ID)
    if version is None:
        raise SnapshotError(
            f"snapshot: {path} is an SQLite file of another program; choose another "
            "file"
        )
    if version not in {0, VERSION}:
        raise SnapshotError(
            f"snapshot: {path} is a snapshot of version {version}, and this program "
            f"supports version {VERSION}; update the program, or choose another file"
        )
    return version
