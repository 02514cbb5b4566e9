"""The tables of a workspace, and how its file is opened."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from target_customerio.errors import SandboxError

APPLICATION_ID = 0x43494F31
"""``CIO1``: what SQLite's header says a workspace file is."""

SCHEMA_VERSION = 2

BUSY_SECONDS = 30.0
"""How long to wait while another program writes to the same workspace."""

_SMALLEST_FILE = 512
"""Bytes of the smallest page; SQLite takes a shorter file for an empty one."""

TABLES = """
CREATE TABLE people (
  cio_id TEXT PRIMARY KEY,
  id TEXT UNIQUE,
  email TEXT,
  email_lower TEXT UNIQUE,        -- e-mail addresses are compared without case
  phone TEXT,                     -- several people may share one
  attributes TEXT NOT NULL DEFAULT '{}',
  attributes_updated_at INTEGER,  -- the newest timestamp sent with an identify
  received_at TEXT NOT NULL
);
CREATE INDEX people_by_phone ON people (phone) WHERE phone IS NOT NULL;

CREATE TABLE anonymous_ids (
  anonymous_id TEXT PRIMARY KEY,
  cio_id TEXT NOT NULL REFERENCES people ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX anonymous_ids_by_person ON anonymous_ids (cio_id);

CREATE TABLE devices (
  token TEXT PRIMARY KEY,
  cio_id TEXT NOT NULL REFERENCES people ON DELETE CASCADE,
  platform TEXT NOT NULL,
  last_used INTEGER,
  attributes TEXT NOT NULL,
  received_at TEXT NOT NULL
);
CREATE INDEX devices_by_person ON devices (cio_id);

CREATE TABLE objects (
  object_type_id TEXT NOT NULL,
  object_id TEXT NOT NULL,
  attributes TEXT NOT NULL DEFAULT '{}',
  received_at TEXT NOT NULL,
  PRIMARY KEY (object_type_id, object_id)
);

CREATE TABLE relationships (
  object_type_id TEXT NOT NULL,
  object_id TEXT NOT NULL,
  cio_id TEXT NOT NULL REFERENCES people ON DELETE CASCADE,
  attributes TEXT NOT NULL,
  received_at TEXT NOT NULL,
  PRIMARY KEY (object_type_id, object_id, cio_id),
  FOREIGN KEY (object_type_id, object_id) REFERENCES objects ON DELETE CASCADE
);
CREATE INDEX relationships_by_person ON relationships (cio_id);

CREATE TABLE anonymous_relationships (
  object_type_id TEXT NOT NULL,
  object_id TEXT NOT NULL,
  anonymous_id TEXT NOT NULL,
  attributes TEXT NOT NULL,
  received_at TEXT NOT NULL,
  PRIMARY KEY (object_type_id, object_id, anonymous_id),
  FOREIGN KEY (object_type_id, object_id) REFERENCES objects ON DELETE CASCADE
);
CREATE INDEX anonymous_relationships_by_id ON anonymous_relationships (anonymous_id);

CREATE TABLE events (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,             -- event, page, screen, viewed_content, ...
  name TEXT,
  id TEXT,                        -- a ULID
  timestamp INTEGER,
  cio_id TEXT REFERENCES people ON DELETE CASCADE,
  anonymous_id TEXT,
  attributes TEXT NOT NULL,
  received_at TEXT NOT NULL
);
CREATE INDEX events_by_person ON events (cio_id);
CREATE INDEX events_by_anonymous_id ON events (anonymous_id)
  WHERE anonymous_id IS NOT NULL;

CREATE TABLE event_ids (          -- outlive the events, so that none comes twice
  id TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE segment_members (
  segment_id INTEGER NOT NULL,
  cio_id TEXT NOT NULL REFERENCES people ON DELETE CASCADE,
  received_at TEXT NOT NULL,
  PRIMARY KEY (segment_id, cio_id)
);
CREATE INDEX segment_members_by_person ON segment_members (cio_id);

CREATE TABLE suppressions (
  kind TEXT NOT NULL,             -- id, email or phone
  value TEXT NOT NULL,
  person TEXT NOT NULL,           -- what was suppressed together bears the same
  received_at TEXT NOT NULL,
  PRIMARY KEY (kind, value)
);
CREATE INDEX suppressions_by_person ON suppressions (person);

CREATE TABLE deliveries (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  delivery_id TEXT NOT NULL,
  metric TEXT NOT NULL,
  timestamp INTEGER,
  recipient TEXT,
  reason TEXT,
  href TEXT,
  attributes TEXT NOT NULL,
  received_at TEXT NOT NULL
);

CREATE TABLE activity (           -- what Customer.io accepts and does not apply
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  cio_id TEXT,
  field TEXT NOT NULL,            -- what decided it
  received_at TEXT NOT NULL,
  person TEXT,                    -- as the operation names them, such as id:42
  reason TEXT,
  value TEXT,                     -- what was not applied
  holder TEXT                     -- who has the identifier in a conflict
);

CREATE TABLE requests (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  received_at TEXT NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  status INTEGER NOT NULL,
  operations INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  body TEXT NOT NULL
);

CREATE VIEW person_names AS
  SELECT cio_id,
         coalesce('id:' || id, 'email:' || email_lower, 'phone:' || phone) AS person
  FROM people;

CREATE VIEW person_attributes AS
  SELECT person, attribute.key AS name, attribute.value
  FROM people JOIN person_names USING (cio_id),
       json_each(people.attributes) AS attribute;

CREATE VIEW person_events AS
  SELECT sequence, person, type, name, timestamp, attributes
  FROM events JOIN person_names USING (cio_id);

CREATE VIEW object_people AS
  SELECT object_type_id, object_id, person, attributes
  FROM relationships JOIN person_names USING (cio_id);
"""

_UPGRADES = {
    1: tuple(
        f"ALTER TABLE activity ADD COLUMN {column} TEXT"
        for column in ("person", "reason", "value", "holder")
    ),
}
"""What makes the next version of a workspace of an older version."""


def connect(path: str | Path) -> sqlite3.Connection:
    """Open a workspace, and make it first where there is none.

    A new file can be read by its owner only, since it holds records.

    Args:
        path: The workspace file.

    Returns:
        A connection in autocommit mode, for use under the caller's lock.

    Raises:
        SandboxError: When the path cannot be, or is not, a workspace.
    """
    file = Path(path).expanduser().absolute()
    try:
        _check_place(file)
        if not file.exists():
            file.touch(mode=0o600)
        database = sqlite3.connect(
            file,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, f"cannot be opened: {error}") from error
    try:
        _prepare(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _check_place(file: Path) -> None:
    """Refuse what SQLite would overwrite (a short file) or explain badly."""
    if file.is_dir():
        raise _unusable(file, "is a folder; name a file in it, such as workspace.db")
    if file.exists() and not file.is_file():
        raise _unusable(file, "is not a regular file; name another path")
    if file.exists() and 0 < file.stat().st_size < _SMALLEST_FILE:
        raise _unusable(file, "is not a database; name another file")
    if not file.parent.is_dir():
        raise _unusable(file, "lies in a folder that does not exist; create it first")


def _prepare(database: sqlite3.Connection, path: str | Path) -> None:
    try:
        new = _is_new(database, path)
        _write_ahead(database)
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA foreign_keys = ON")
        if new:
            _create(database, path)
        _upgrade(database)
    except sqlite3.DatabaseError as error:
        raise _unusable(
            path, f"cannot be used as a workspace ({error}); name another file"
        ) from error


def _write_ahead(database: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite does not wait by itself for this lock."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:  # noqa: PERF203 - it rarely takes a second try
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _create(database: sqlite3.Connection, path: str | Path) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        if _is_new(database, path):  # nobody was faster
            for statement in TABLES.split(";\n"):
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _upgrade(database: sqlite3.Connection) -> None:
    """Bring a workspace of an older version up to date."""
    if _version(database) == SCHEMA_VERSION:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        for version in range(_version(database), SCHEMA_VERSION):
            for statement in _UPGRADES[version]:
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    number: int = version
    return number


def _is_new(database: sqlite3.Connection, path: str | Path) -> bool:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    version = _version(database)
    (contents,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION_ID:
        if version != SCHEMA_VERSION and version not in _UPGRADES:
            raise _unusable(
                path,
                f"is a workspace of version {version}, and this program knows version "
                f"{SCHEMA_VERSION}; name another file or remove this one",
            )
        return False
    if application or version or contents:
        raise _unusable(path, "is an SQLite file of another program; name another file")
    return True


def _unusable(path: str | Path, what: str) -> SandboxError:
    return SandboxError(f"sandbox: {path} {what}")
