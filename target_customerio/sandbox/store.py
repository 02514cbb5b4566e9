"""The tables of a workspace, and how its file is opened."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from target_customerio.errors import SandboxError
from target_customerio.sandbox import values
from target_customerio.track_api.operations import (
    IDENTIFYING_ATTRIBUTES,
    person_identity,
)

if TYPE_CHECKING:
    from target_customerio.track_api.operations import JSON, PersonIdentifiers


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


class Activity(NamedTuple):
    """A kind of entry in the table ``activity``.

    Attributes:
        name: What Customer.io's activity log calls it, as far as that is documented.
        reason: Why something was not applied, or whom it changed.
    """

    name: str
    reason: str


OUTDATED: Final = Activity("Skipped Update", "outdated identify")
SUPPRESSED: Final = Activity("Skipped Update", "operation on a suppressed person")
UNKNOWN_CIO_ID: Final = Activity("Skipped Update", "unknown cio_id")
UNKNOWN_MEMBER: Final = Activity("Skipped Update", "unknown segment member")
NOBODY_TO_UPDATE: Final = Activity(
    "Failed Attribute Change", "update_only without a person"
)
NO_ADDRESS: Final = Activity("Failed Attribute Change", "invalid e-mail address")
HALF_A_MERGE: Final = Activity("Failed Merge", "merge without both people")
SAME_PERSON: Final = Activity("Failed Merge", "merge of one person")


def belongs_to_another(attribute: str) -> Activity:
    """Return the entry for an identifier that another person has.

    Args:
        attribute: The identifier.

    Returns:
        The kind of entry.
    """
    return Activity("Attribute Update Failure", _conflict(attribute))


def is_set_already(attribute: str) -> Activity:
    """Return the entry for an identifier that the person has and keeps.

    Args:
        attribute: The identifier.

    Returns:
        The kind of entry.
    """
    return Activity("Failed Attribute Change", _conflict(attribute))


def renames(attribute: str) -> Activity:
    """Return the entry for an identifier that led to a person of another name.

    Args:
        attribute: The identifier that the two have in common.

    Returns:
        The kind of entry. Unlike all others it is about something that was applied.
    """
    return Activity("Identifier Change", _conflict(attribute))


def _conflict(attribute: str) -> str:
    return f"{'e-mail' if attribute == 'email' else attribute} conflict"


REASONS: Final = (
    *(_conflict(attribute) for attribute in IDENTIFYING_ATTRIBUTES),
    *(
        activity.reason
        for activity in (
            OUTDATED,
            SUPPRESSED,
            UNKNOWN_CIO_ID,
            UNKNOWN_MEMBER,
            NOBODY_TO_UPDATE,
            NO_ADDRESS,
            HALF_A_MERGE,
            SAME_PERSON,
        )
    ),
)
"""Every reason in the table ``activity``."""


@dataclass(frozen=True)
class Transaction:
    """An open transaction, and when what it does was received.

    Attributes:
        database: The open database.
        received_at: When the request came.
        email_updates: Whether an operation that names a person by ``id`` may change
            their ``email``, the workspace setting "Allow updates to email using ID".
    """

    database: sqlite3.Connection
    received_at: str
    email_updates: bool = False

    def note(
        self,
        activity: Activity,
        person: PersonIdentifiers,
        field: str,
        value: JSON,
        *,
        cio_id: str | None = None,
        holder: str | None = None,
    ) -> None:
        """Note what Customer.io answers with 200 without applying it as sent.

        Source: ``PUT /api/v1/customers/{identifier}``, description and ``_update``.

        Args:
            activity: What happened.
            person: The person as the operation names them.
            field: The field that decided it.
            value: What was not applied: the field's value, the attributes or the whole
                operation.
            cio_id: The person's ``cio_id``, if they exist.
            holder: The person who has the identifier that ``person`` was given.
        """
        self.database.execute(
            "INSERT INTO activity"
            " (name, cio_id, field, received_at, person, reason, value, holder)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                activity.name,
                cio_id,
                field,
                self.received_at,
                person_identity(person),
                activity.reason,
                value if isinstance(value, str) else values.text(value),
                holder,
            ),
        )
