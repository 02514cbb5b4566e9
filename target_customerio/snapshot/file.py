"""The snapshot's file: how it is opened, locked and bound to a workspace.

One SQLite file in WAL mode. A run has two connections: the reading thread looks
entries up, the sending threads write, one at a time. SQLite shows a reader only what is
committed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from target_customerio.errors import SnapshotError
from target_customerio.private_files import OWNER_ONLY
from target_customerio.snapshot.tables import create_tables, meta, version_of
from target_customerio.sqlite_files import (
    committing,
    read_only,
    temporary_copy,
    why_unusable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


_CACHE_KIB: Final = 8_192
"""Memory for pages of the file, per connection."""


class SnapshotFile:
    """An open snapshot, which no other run can open.

    Attributes:
        path: The file.
        reader: The connection of the reading thread.
        writer: The connection of the threads that send requests.
        key: Random bytes that enter every hash.
    """

    def __init__(self, path: str | Path, *, as_copy: bool = False) -> None:
        """Open or create a snapshot.

        Args:
            path: The file.
            as_copy: Whether to open a temporary copy of it instead, for a plan. A run
                may use the file at the same time.

        Raises:
            SnapshotError: The file cannot be used, or another run uses it.
        """
        self.path = located(path)
        with contextlib.ExitStack() as stack:
            file = self.path
            if as_copy:
                file = _copied(file, stack)
            else:
                self._lock = stack.enter_context(contextlib.closing(_lock(file)))
            self.writer = stack.enter_context(contextlib.closing(_connect(file)))
            _prepare(self.writer, self.path)
            self.reader = stack.enter_context(contextlib.closing(_connect(file)))
            self.key: bytes = self.meta("key")
            self._close = stack.pop_all().close

    def meta(self, name: str) -> Any:  # noqa: ANN401 - as SQLite has it
        """Return a value of the whole file; None if it is not set."""
        return meta(self.writer, name)

    def bind(self, workspace: str) -> None:
        """Bind a new snapshot to a workspace, or check that it is bound to this one.

        Args:
            workspace: Identifies the workspace: its ``environment_id``, or the id
                inside a sandbox file.

        Raises:
            SnapshotError: The snapshot belongs to another workspace.
        """
        bound = self.meta("workspace")
        if bound is None:
            with self.writing(durable=True) as database:
                database.execute(
                    "INSERT INTO meta VALUES ('workspace', ?)", (workspace,)
                )
        elif bound != workspace:
            raise _of_another_workspace(self.path, bound, workspace)

    @contextlib.contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Write in one transaction, committed at the end of the block.

        Args:
            durable: Whether the commit must survive a power failure. Any commit
                survives the end of the process.

        Yields:
            The connection.

        Raises:
            SnapshotError: The file cannot be written.
        """
        writer = self.writer
        try:
            # In WAL mode FULL syncs the log at each commit, NORMAL does not.
            writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with committing(writer):
                yield writer
        except sqlite3.Error as error:
            raise SnapshotError(
                f"snapshot: {self.path} cannot be written ({error}); check that the "
                "disk has space. What the last requests changed is sent again"
            ) from error

    def close(self) -> None:
        """Close the file and release its lock. Closing twice is harmless."""
        self._close()


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Read a snapshot, which a run may be using.

    Yields:
        A connection that cannot write.

    Raises:
        SnapshotError: It does not exist or cannot be read.
    """
    file = located(path)
    if not file.exists():
        raise _unusable(
            path, "does not exist; check the path and the working directory"
        )
    try:
        with read_only(file) as database:
            version_of(database, path)
            database.execute("BEGIN")  # all of it as at one moment
            yield database
    except sqlite3.Error as error:
        raise _unusable(
            path, f"cannot be read ({error}); check its permissions, or choose another"
        ) from error


def check(path: str | Path, workspace: str) -> str:
    """Return whether a snapshot belongs to a workspace, as a sentence for the log.

    Args:
        path: The file, which is not changed and need not exist.
        workspace: Identifies the workspace.

    Raises:
        SnapshotError: It belongs to another workspace, or cannot be used.
    """
    file = located(path)
    if not file.exists():
        return f"Snapshot {path} does not exist yet; the first run creates it"
    try:
        with read_only(file) as database:
            version = version_of(database, file)
            bound = meta(database, "workspace") if version else None
    except sqlite3.Error as error:
        raise _not_opened(file, error) from error
    if bound is None:
        return f"Snapshot {path} does not belong to a workspace yet"
    if bound != workspace:
        raise _of_another_workspace(file, bound, workspace)
    return f"Snapshot {path} belongs to this workspace"


def _of_another_workspace(path: Path, bound: str, workspace: str) -> SnapshotError:
    return _unusable(
        path,
        f"belongs to workspace {bound}, and this run loads into workspace {workspace}; "
        "use a snapshot for each workspace",
    )


def _copied(file: Path, stack: contextlib.ExitStack) -> Path:
    """Copy a snapshot until the stack is closed."""
    try:
        return stack.enter_context(temporary_copy(file))
    except (OSError, sqlite3.Error) as error:
        raise _unusable(file, f"cannot be copied for a plan ({error})") from error


def located(path: str | Path) -> Path:
    """Return the file that a path leads to, after links.

    Raises:
        SnapshotError: It cannot be a snapshot.
    """
    try:
        file = Path(path).expanduser().resolve()
        problem = why_unusable(file, "snapshot")
    except (OSError, RuntimeError) as error:  # a name too long, links in a circle
        raise _unusable(Path(path), f"cannot be used: {error}") from error
    if problem:
        raise _unusable(file, problem)
    return file


def _lock(file: Path) -> sqlite3.Connection:
    """Return a connection that holds the lock of a snapshot until it is closed.

    An exclusive transaction on a file beside it: the system ends it with the process,
    however that ends.
    """
    lock = file.with_name(f"{file.name}-lock")
    try:
        if not lock.exists():
            lock.touch(mode=OWNER_ONLY)
        connection = sqlite3.connect(
            lock, timeout=0, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise _unusable(file, f"cannot be written: {error}") from error
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        connection.close()
        if "locked" in str(error):
            raise _unusable(
                file, "is in use by another run; wait until it ends, or stop it"
            ) from None
        raise _unusable(lock, f"cannot be used as its lock: {error}") from error
    return connection


def _connect(file: Path) -> sqlite3.Connection:
    try:
        if not file.exists():
            file.touch(mode=OWNER_ONLY)
        database = sqlite3.connect(
            file, isolation_level=None, check_same_thread=False, cached_statements=256
        )
    except (OSError, sqlite3.Error) as error:
        raise _unusable(file, f"cannot be opened: {error}") from error
    try:
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    except sqlite3.Error as error:
        database.close()
        raise _not_opened(file, error) from error
    return database


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    try:
        version = version_of(database, path)
        database.execute("PRAGMA journal_mode = WAL")
        if version == 0:
            create_tables(database)
    except sqlite3.Error as error:
        raise _not_opened(path, error) from error


def _not_opened(path: Path, error: sqlite3.Error) -> SnapshotError:
    """Return the error for a file that SQLite cannot open."""
    if isinstance(error, sqlite3.OperationalError):
        # It may well be a snapshot: a new one would send everything again.
        return _unusable(
            path,
            f"cannot be opened ({error}); check that the file and its folder can be "
            "written, that the disk has space and that no other program has it open",
        )
    return _unusable(
        path, f"cannot be used as a snapshot ({error}); choose another file"
    )


def _unusable(path: Path, problem: str) -> SnapshotError:
    return SnapshotError(f"snapshot: {path} {problem}")
