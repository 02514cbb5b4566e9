"""The workspace: its transactions, its activity log, and how it stores JSON.

The file is changed by one transaction at a time. Stored JSON has all digits of numbers,
and sorted keys.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import DecimalException
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from target_customerio import json_codec
from target_customerio.errors import SandboxError
from target_customerio.sandbox.store import connect, copied
from target_customerio.sqlite_files import committing
from target_customerio.track_api.operations import person_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from target_customerio.sandbox.activity import Activity
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        PersonIdentifiers,
    )


class Workspace:
    """The people, objects and events of a workspace, in tables open to any client."""

    def __init__(
        self,
        path: str | Path,
        *,
        email_updates: bool = False,
        as_copy: bool = False,
    ) -> None:
        """Open a workspace.

        Args:
            path: The SQLite file; created if it does not exist.
            email_updates: Whether an identify by ``id`` may change the person's
                ``email`` (workspace setting "Allow updates to email using ID").
            as_copy: Whether to open a temporary copy of the file instead, for a plan.

        Raises:
            SandboxError: The file cannot be used as a workspace.
        """
        self._path = path
        self._email_updates = email_updates
        with contextlib.ExitStack() as stack:
            self._database = connect(path, copied(path, stack) if as_copy else None)
            self._remove_copy = stack.pop_all().close
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        with self._lock:
            self._database.close()
            self._remove_copy()

    def store_results(
        self, run: str, results: Iterable[tuple[str, str, str, int]]
    ) -> None:
        """Store the summary of a run.

        Args:
            run: The run's id.
            results: Stream, outcome, operation or reason, and number of records.

        Raises:
            SandboxError: The file cannot be written.
        """
        with self.transaction() as transaction:
            transaction.database.executemany(
                "INSERT INTO results"
                " (run, received_at, stream, outcome, detail, records)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [(run, transaction.received_at, *each) for each in results],
            )

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


@dataclass(frozen=True)
class Transaction:
    """An open transaction.

    Attributes:
        database: The open database.
        received_at: When the request was received, as ISO text.
        email_updates: Whether an operation that identifies a person by ``id`` may
            change ``email`` (workspace setting "Allow updates to email using ID").
        logged: The kinds of the entries logged so far.
    """

    database: sqlite3.Connection
    received_at: str
    email_updates: bool = False
    logged: list[Activity] = field(default_factory=list)

    def log_activity(
        self,
        activity: Activity,
        person: PersonIdentifiers,
        field_name: str,
        value: JSON,
        *,
        cio_id: str | None = None,
        holder: str | None = None,
    ) -> None:
        """Log what Customer.io answers with 200 without applying it as sent.

        Source: ``PUT /api/v1/customers/{identifier}``, description and ``_update``.

        Args:
            activity: The kind of entry.
            person: The person's identifier in the operation.
            field_name: The field that caused the entry.
            value: What was not applied: the field's value, the attributes or the whole
                operation.
            cio_id: The person's ``cio_id``, if the person exists.
            holder: The person that already has the identifier, in a conflict.
        """
        self.logged.append(activity)
        self.database.execute(
            "INSERT INTO activity"
            " (name, cio_id, field, received_at, person, reason, value, holder)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                activity.name,
                cio_id,
                field_name,
                self.received_at,
                person_identity(person),
                activity.reason,
                value if isinstance(value, str) else encode_text(value),
                holder,
            ),
        )


ValidOperation: TypeAlias = "dict[str, Any]"
"""An operation, or a part of one, whose fields the rules have checked."""

_encode: Final = msgspec.json.Encoder(
    decimal_format="number", order="deterministic"
).encode

_DOTTED = "cio_subscription_preferences."
"""Prefix of attributes whose parts are addressed with dots.

Source: schema ``cio_subscription_preferences``. In other names a dot is just a dot.
"""


class NotJSONError(ValueError):
    """The text is not JSON, or too large or deep to decode."""


def decode(text: bytes | str) -> Any:  # noqa: ANN401 - the caller knows the type
    """Return the value of a JSON text; numbers are ``int`` or ``Decimal``."""
    try:
        return json_codec.decode(text)
    except (msgspec.DecodeError, RecursionError, DecimalException, ValueError) as error:
        raise NotJSONError from error


def encode_text(value: JSON) -> str:
    """Return compact JSON with sorted keys, as SQLite stores it."""
    return _encode(value).decode()


def is_empty(value: JSON) -> bool:
    """Return whether a value removes its attribute.

    Source: ``null`` and an empty string do (schemas ``object_attributes`` and
    ``relationship_attributes``).
    """
    return value is None or value == ""


def merge(stored: Attributes, new: Mapping[str, JSON]) -> Attributes:
    """Return ``stored``, updated in place with the attributes of an operation."""
    for name, value in new.items():
        if name.startswith(_DOTTED):
            _merge_path(stored, name.split("."), value)
        elif is_empty(value):
            stored.pop(name, None)
        else:
            stored[name] = value
    return stored


def _merge_path(stored: Attributes, path: list[str], value: JSON) -> None:
    *parents, last = path
    inner: dict[str, Any] = stored
    for name in parents:
        if not isinstance(inner.get(name), dict):
            if is_empty(value):
                return
            inner[name] = {}
        inner = inner[name]
    merge(inner, {last: value})
