"""What the program's SQLite files have in common: transactions and copies.

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

_TRIES: Final = 5
"""Maximum attempts to copy a file to which another process writes."""


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
