"""The workspace: one SQLite file, changed one transaction at a time."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from target_customerio.errors import SandboxError
from target_customerio.sandbox.store import Transaction, committing, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Workspace:
    """The people, objects and events of a workspace, in tables open to any client."""

    def __init__(self, path: str | Path, *, email_updates: bool = False) -> None:
        """Open a workspace.

        Args:
            path: The SQLite file; created if it does not exist.
            email_updates: Whether an identify by ``id`` may change the person's
                ``email`` (workspace setting "Allow updates to email using ID").

        Raises:
            SandboxError: The file cannot be used as a workspace.
        """
        self._path = path
        self._email_updates = email_updates
        self._database = connect(path)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def transaction(self, received_at: datetime | None = None) -> Iterator[Transaction]:
        """Change the workspace, entirely or not at all; other threads wait.

        Args:
            received_at: When the request was received; now if not given.

        Yields:
            The open transaction.

        Raises:
            SandboxError: The file cannot be written.
        """
        moment = received_at or datetime.now(timezone.utc)
        transaction = Transaction(
            self._database,
            moment.isoformat(timespec="milliseconds"),
            self._email_updates,
        )
        try:
            with self._lock, committing(self._database):
                yield transaction
        except sqlite3.Error as error:
            message = (
                f"sandbox: {self._path} cannot be written ({error}); check that the"
                " disk has space and that no other program locks the file"
            )
            raise SandboxError(message) from error
