"""The workspace: one SQLite file, changed one transaction at a time."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from target_customerio.errors import SandboxError
from target_customerio.sandbox import values
from target_customerio.sandbox.catalogue import kind_of
from target_customerio.sandbox.identity import find, is_suppressed
from target_customerio.sandbox.rules import Fault, fault
from target_customerio.sandbox.store import (
    SUPPRESSED,
    UNKNOWN_CIO_ID,
    Transaction,
    connect,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from target_customerio.sandbox.catalogue import Kind
    from target_customerio.track_api.operations import JSON


LARGEST_OPERATION = 32_768
"""Bytes; "32kb or smaller" (``POST /api/v2/batch`` and "v2 API Limits")."""


class Workspace:
    """People, objects and what they did, in tables that anyone can query."""

    def __init__(self, path: str | Path, *, email_updates: bool = False) -> None:
        """Open a workspace, and make it first where there is none.

        Args:
            path: The SQLite file.
            email_updates: Whether the ``email`` of a person can be changed by their
                ``id``.

        Raises:
            SandboxError: When the path cannot be, or is not, a workspace.
        """
        self._path = path
        self._email_updates = email_updates
        self._database = connect(path)
        self._turn = threading.RLock()

    def __enter__(self) -> Self:
        """Return the workspace itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the workspace."""
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        with self._turn:
            self._database.close()

    @contextlib.contextmanager
    def transaction(self, received_at: datetime | None = None) -> Iterator[Transaction]:
        """Change the workspace, entirely or not at all.

        Other threads wait, and a transaction inside another is part of it.

        Args:
            received_at: When the request came; now, if not given.

        Yields:
            The transaction.

        Raises:
            SandboxError: When SQLite cannot write the file.
        """
        moment = received_at or datetime.now(timezone.utc)
        change = Transaction(
            self._database,
            moment.isoformat(timespec="milliseconds"),
            self._email_updates,
        )
        with self._turn:
            try:
                if self._database.in_transaction:
                    yield change
                    return
                with self._commit_or_roll_back():
                    yield change
            except sqlite3.Error as error:
                message = (
                    f"sandbox: {self._path} cannot be written ({error}); see that the"
                    " disk has room and that no other program holds the file"
                )
                raise SandboxError(message) from error

    @contextlib.contextmanager
    def _commit_or_roll_back(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def apply(
        self, operation: JSON, received_at: datetime | None = None
    ) -> list[Fault]:
        """Check one operation and, if nothing is wrong with it, apply it.

        Args:
            operation: The operation as decoded from JSON.
            received_at: When it came; now, if not given.

        Returns:
            What is wrong with it: ``reason``, ``field`` and ``message`` of each fault.
        """
        kind = kind_of(operation)
        if kind is None:
            return [fault("invalid", "action", "There is no such type and action.")]
        if len(values.encode(operation)) > LARGEST_OPERATION:
            message = f"Must not exceed {LARGEST_OPERATION} bytes."
            return [fault("too_large", "", message)]
        if faults := list(kind.rule(operation, "")):
            return faults
        with self.transaction(received_at) as change:
            if not _is_ignored(change, kind, operation):
                kind.apply(change, operation)
        return []


def _is_ignored(change: Transaction, kind: Kind, operation: JSON) -> bool:
    """Tell whether an operation names somebody who is suppressed or never existed."""
    person = operation.get("identifiers")
    for identifier, value in kind.names(operation):
        if is_suppressed(change, identifier, value):
            named = person or {identifier: value}
            change.note(SUPPRESSED, named, identifier, operation)
            return True
        if identifier == "cio_id" and person and not find(change, identifier, value):
            change.note(UNKNOWN_CIO_ID, person, identifier, operation)
            return True
    return False
