"""The workspace: its transactions, its activity log, and JSON as it stores it.

The file is changed one transaction at a time. JSON has all digits and sorted keys.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import DecimalException
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec

from target_customerio import json_codec
from target_customerio.errors import SandboxError
from target_customerio.sandbox.store import connect, copied
from target_customerio.sqlite_files import committing
from target_customerio.track_api.operations import person_identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

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
    """

    database: sqlite3.Connection
    received_at: str
    email_updates: bool = False

    def log_activity(
        self,
        activity: Activity,
        person: PersonIdentifiers,
        field: str,
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
            field: The field that caused the entry.
            value: What was not applied: the field's value, the attributes or the whole
                operation.
            cio_id: The person's ``cio_id``, if the person exists.
            holder: The person that already has the identifier, in a conflict.
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
                value if isinstance(value, str) else encode_text(value),
                holder,
            ),
        )


class Activity(NamedTuple):
    """A kind of entry in the table ``activity``.

    Attributes:
        name: Customer.io's name in its activity log, as far as that is documented.
        reason: Why something was not applied; a key of :data:`ACTIVITY_REASONS`.
    """

    name: str
    reason: str


OUTDATED: Final = Activity("Skipped Update", "outdated identify")
SUPPRESSED: Final = Activity("Skipped Update", "operation on a suppressed person")
UNKNOWN_CIO_ID: Final = Activity("Skipped Update", "unknown cio_id")
UNKNOWN_MEMBER: Final = Activity("Skipped Update", "unknown segment member")
UPDATE_ONLY: Final = Activity("Failed Attribute Change", "update_only without a person")
INVALID_EMAIL: Final = Activity("Failed Attribute Change", "invalid e-mail address")
MERGE_PERSON_MISSING: Final = Activity("Failed Merge", "merge without both people")
MERGE_SAME_PERSON: Final = Activity("Failed Merge", "merge of one person")


def identifier_taken(kind: str) -> Activity:
    """Return the entry for an identifier that belongs to another person."""
    return Activity("Attribute Update Failure", _conflict(kind))


def identifier_fixed(kind: str) -> Activity:
    """Return the entry for an identifier that is set and cannot be changed."""
    return Activity("Failed Attribute Change", _conflict(kind))


def identifier_replaced(kind: str) -> Activity:
    """Return the entry for a person found by an attribute who got a new identifier.

    Unlike all other entries it is about a change that was applied.
    """
    return Activity("Identifier Change", _conflict(kind))


def _conflict(kind: str) -> str:
    return f"{'e-mail' if kind == 'email' else kind} conflict"


ACTIVITY_REASONS: Final = {
    "e-mail conflict": "The address belongs to another person, or the person already "
    "has a different one",
    "id conflict": "The same for `id`",
    "phone conflict": "The same for `phone`",
    "anonymous_id conflict": "The same for `anonymous_id`",
    OUTDATED.reason: "The profile has a newer update; the attributes are ignored",
    SUPPRESSED.reason: "The operation is ignored",
    UNKNOWN_CIO_ID.reason: "The operation is ignored: only Customer.io creates a "
    "`cio_id`",
    UNKNOWN_MEMBER.reason: "The person does not exist; the segment does not change",
    UPDATE_ONLY.reason: "No person is created",
    INVALID_EMAIL.reason: "The value, such as `n/a`, is ignored",
    MERGE_PERSON_MISSING.reason: "Nothing is merged",
    MERGE_SAME_PERSON.reason: "Nothing is merged",
}
"""Every reason in the table ``activity``, and what happened (for the docs)."""


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
