"""The tables of a workspace, and opening its file."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from target_customerio.errors import SandboxError
from target_customerio.private_files import OWNER_ONLY
from target_customerio.sandbox.views import VIEWS
from target_customerio.sqlite_files import (
    committing,
    temporary_copy,
    version_of,
    why_unusable,
)

if TYPE_CHECKING:
    from contextlib import ExitStack


APPLICATION_ID = 0x43494F31
"""``CIO1`` in SQLite's file header marks a workspace file."""

SCHEMA_VERSION = 4

BUSY_SECONDS = 30.0
"""Maximum wait for another program that writes to the same file."""

DISK_FAULTS = ("full", "I/O")
"""Words in SQLite's errors when the disk is full or broken."""

TABLES = """
CREATE TABLE workspace (          -- its id, random, within what any JSON decoder keeps
  id INTEGER NOT NULL
);
INSERT INTO workspace VALUES (abs(random() % 9007199254740991) + 1);

CREATE TABLE people (
  cio_id TEXT PRIMARY KEY,
  id TEXT UNIQUE,
  email TEXT,
  email_lower TEXT UNIQUE,        -- e-mail addresses are compared without case
  phone TEXT,                     -- not unique
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

CREATE TABLE event_ids (          -- kept when events are deleted, to drop repeats
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
  person TEXT NOT NULL,           -- same value for all identifiers of a person
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

CREATE TABLE activity (           -- what Customer.io accepts without applying it
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  cio_id TEXT,
  field TEXT NOT NULL,            -- the field that caused the entry
  received_at TEXT NOT NULL,
  person TEXT,                    -- identifier in the operation, such as id:42
  reason TEXT,
  value TEXT,                     -- the value that was not applied
  holder TEXT                     -- the person that has the identifier
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

CREATE TABLE results (            -- the summaries of runs
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  run TEXT NOT NULL,              -- same value for all rows of a run
  received_at TEXT NOT NULL,
  stream TEXT NOT NULL,
  outcome TEXT NOT NULL,          -- delivered, skipped, rejected or undelivered
  detail TEXT NOT NULL,           -- the operation or the reason
  records INTEGER NOT NULL
);
"""

_STATEMENTS = TABLES.strip().split(";\n")

_UPGRADES = {
    1: [
        f"ALTER TABLE activity ADD COLUMN {column} TEXT"
        for column in ("person", "reason", "value", "holder")
    ],
    2: [*_STATEMENTS[:2], _STATEMENTS[-1]],
    3: [],  # only the views
}
"""Statements that upgrade a workspace from a version to the next."""


def copied(path: str | Path, stack: ExitStack) -> Path:
    """Copy a workspace until the stack is closed, and return the copy's path."""
    file = _absolute(path)
    _check_path(file)
    try:
        return stack.enter_context(temporary_copy(file))
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, f"cannot be copied for a plan ({error})") from error


def _absolute(path: str | Path) -> Path:
    return Path(path).expanduser().absolute()


def connect(path: str | Path, copy: Path | None = None) -> sqlite3.Connection:
    """Return a connection in autocommit mode, for use under the caller's lock.

    A missing file is created, readable by its owner only, since it will hold records.
    A copy is opened instead, if there is one.
    """
    file = copy or _absolute(path)
    try:
        _check_path(file)
        if not file.exists():
            file.touch(mode=OWNER_ONLY)
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


def _check_path(file: Path) -> None:
    problem = why_unusable(file, "workspace")
    if problem:
        raise _unusable(file, problem)


def _prepare(database: sqlite3.Connection, path: str | Path) -> None:
    try:
        version = _version(database, path)
        _enable_write_ahead_log(database)
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA foreign_keys = ON")
        if version != SCHEMA_VERSION:
            with committing(database):
                _upgrade(database, path)
    except sqlite3.DatabaseError as error:
        advice = (
            "make room on its disk"
            if any(word in str(error) for word in DISK_FAULTS)
            else "choose another file"
        )
        raise _unusable(
            path, f"cannot be used as a workspace ({error}); {advice}"
        ) from error


def _enable_write_ahead_log(database: sqlite3.Connection) -> None:
    """Switch the journal mode, waiting for the lock: SQLite's own timeout does not."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:  # noqa: PERF203 - seldom twice
            # Waiting does not help when the disk is full.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _upgrade(database: sqlite3.Connection, path: str | Path) -> None:
    """Create the tables, or bring those of an older version up to date."""
    # Read under the write lock: another process may just have done the same.
    version = _version(database, path)
    if version == 0:
        statements = _STATEMENTS
    else:
        statements = [
            statement
            for older in range(version, SCHEMA_VERSION)
            for statement in _UPGRADES[older]
        ]
    for statement in statements:
        database.execute(statement)
    for name, definition in VIEWS.items():
        database.execute(f"DROP VIEW IF EXISTS {name}")
        database.execute(f"CREATE VIEW {name} AS {definition}")
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _version(database: sqlite3.Connection, path: str | Path) -> int:
    """Return the schema version of a workspace, 0 for an empty file."""
    version = version_of(database, APPLICATION_ID)
    if version is None:
        raise _unusable(
            path, "is an SQLite file of another program; choose another file"
        )
    if version not in {0, SCHEMA_VERSION, *_UPGRADES}:
        raise _unusable(
            path,
            f"is a workspace of version {version}, and this program supports "
            f"version {SCHEMA_VERSION}; choose another file or delete this one",
        )
    return version


def _unusable(path: str | Path, problem: str) -> SandboxError:
    return SandboxError(f"sandbox: {path} {problem}")
