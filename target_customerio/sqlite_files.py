"""What the program's SQLite files have in common: checks, transactions and copies.

A plan works on copies, so that it changes nothing: not even the files that SQLite keeps
beside a database in WAL mode.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIN_FILE_BYTES: Final = 512
"""SQLite's smallest page; it treats a shorter file as an empty database."""

_TRIES: Final = 5
"""Maximum attempts to copy a file to which another process writes."""


def why_unusable(file: Path, what: str) -> str | None:
    """Return why a path cannot be that of a database; None if it can.

    The errors are those that SQLite would report unclearly, and a short file, which
    SQLite would overwrite.

    Args:
        file: The path.
        what: What the database is called: ``snapshot`` or ``workspace``.
    """
    if file.is_dir():
        return f"is a folder; name a file in it, such as {what}.db"
    if file.exists() and not file.is_file():
        return "is not a regular file; choose another path"
    if file.exists() and 0 < file.stat().st_size < _MIN_FILE_BYTES:
        return f"is not a {what}: it is not a database; choose another file"
    if not file.parent.is_dir():
        return "is in a folder that does not exist; create it first"
    return None


def version_of(database: sqlite3.Connection, application_id: int) -> int | None:
    """Return the version of a database's tables, 0 for an empty file.

    Args:
        database: The database.
        application_id: Marks the files of one kind, in SQLite's file header.

    Returns:
        The version; None if the file belongs to another program.
    """
    (found,) = database.execute("PRAGMA application_id").fetchone()
    version: int
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (contents,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if found == application_id:
        return version or None  # both are set in one transaction
    return None if found or version or contents else 0


@contextlib.contextmanager
def committing(database: sqlite3.Connection) -> Iterator[None]:
    """Run a block in a transaction: committed at its end, rolled back on any error."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def temporary_copy(file: Path) -> Iterator[Path]:
    """Copy a database for the time of a block, into a folder of this user alone.

    Args:
        file: The database, which may be open elsewhere. If it does not exist, neither
            does the copy.

    Yields:
        The copy.

    Raises:
        sqlite3.Error: It cannot be read.
        OSError: There is no room for the copy.
    """
    with tempfile.TemporaryDirectory(prefix="target-customerio-") as folder:
        target = Path(folder) / file.name
        if file.exists():
            _copy(file, target)
        yield target


@contextlib.contextmanager
def read_only(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that may be open elsewhere, and leave no trace of it.

    Yields:
        The connection.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    options = "mode=ro"
    if not _has_log(file):
        # The file is complete, and SQLite reads it like one on a read-only disk.
        # Otherwise it would leave an empty log behind.
        options += "&immutable=1"
    uri = f"{file.absolute().as_uri()}?{options}"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
        yield database


def _has_log(file: Path) -> bool:
    file = file.resolve()  # SQLite keeps it beside the file, not beside a link to it
    log = file.with_name(f"{file.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _copy(source: Path, target: Path) -> None:
    for _ in range(_TRIES):
        before = source.stat()
        is_safe = _has_log(source)
        with (
            read_only(source) as one,
            contextlib.closing(sqlite3.connect(target)) as other,
        ):
            one.backup(other)
        after = source.stat()
        if is_safe or before.st_mtime_ns == after.st_mtime_ns:
            return
        target.unlink()
    raise sqlite3.OperationalError("another process keeps writing to it")
