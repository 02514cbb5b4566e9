"""Finding, creating and suppressing people by their identifiers, which can change."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_customerio.sandbox.activity import (
    INVALID_EMAIL,
    UNKNOWN_CIO_ID,
    identifier_fixed,
    identifier_taken,
)
from target_customerio.sandbox.workspace import is_empty

if TYPE_CHECKING:
    from target_customerio.sandbox.activity import Activity
    from target_customerio.sandbox.workspace import Transaction, ValidOperation
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        PersonIdentifiers,
    )


_FIND = {
    "id": "SELECT cio_id FROM people WHERE id = ?",
    "email": "SELECT cio_id FROM people WHERE email_lower = ?",
    "phone": "SELECT cio_id FROM people WHERE phone = ? ORDER BY rowid LIMIT 1",
    "cio_id": "SELECT cio_id FROM people WHERE cio_id = ?",
    "anonymous_id": "SELECT cio_id FROM anonymous_ids WHERE anonymous_id = ?",
}

_SET = {
    "id": "UPDATE people SET id = ? WHERE cio_id = ?",
    "email": "UPDATE people SET email = ?, email_lower = ? WHERE cio_id = ?",
    "phone": "UPDATE people SET phone = ? WHERE cio_id = ?",
}
"""The identifiers with which a person can be created.

A ``cio_id`` is assigned by Customer.io: "If the ``cio_id`` does not exist or belongs to
a person who was deleted, we'll drop the request" (``PUT
/api/v1/customers/{identifier}``).
"""


def normalize(kind: str, value: str) -> str:
    """Return an identifier in the form for comparison: e-mail in lower case."""
    return value.lower() if kind == "email" else value


def find(transaction: Transaction, kind: str, value: str) -> str | None:
    """Return the ``cio_id`` of a person; of a shared phone number, the first person."""
    row = transaction.database.execute(
        _FIND[kind], (normalize(kind, value),)
    ).fetchone()
    return row[0] if row else None


def display_name(transaction: Transaction, person: str) -> str:
    """Return a person's name in the views, such as ``id:42``."""
    row = transaction.database.execute(
        "SELECT person FROM person_names WHERE cio_id = ?", (person,)
    ).fetchone()
    text: str = row[0]
    return text


def find_or_create(
    transaction: Transaction, identifiers: PersonIdentifiers
) -> str | None:
    """Return a person's ``cio_id``; None for an unknown ``cio_id`` or anonymous id."""
    ((kind, value),) = identifiers.items()
    return find(transaction, kind, value) or create(transaction, kind, value)


def create(transaction: Transaction, kind: str, value: str) -> str | None:
    """Return the ``cio_id`` of a new person; None if the kind cannot create one."""
    if kind not in _SET:
        return None
    person = secrets.token_hex(8)
    transaction.database.execute(
        "INSERT INTO people (cio_id, received_at) VALUES (?, ?)",
        (person, transaction.received_at),
    )
    set_identifier(transaction, person, kind, value)
    return person


def set_identifier(
    transaction: Transaction, person: str, kind: str, value: str | None
) -> None:
    """Replace a person's ``id``, ``email`` or ``phone``; None removes it."""
    columns = [value]
    if kind == "email":
        columns.append(value and normalize(kind, value))
    transaction.database.execute(_SET[kind], (*columns, person))


def is_suppressed(transaction: Transaction, kind: str, value: str) -> bool:
    """Return whether operations with this identifier are ignored."""
    row = transaction.database.execute(
        "SELECT 1 FROM suppressions WHERE kind = ? AND value = ?",
        (kind, normalize(kind, value)),
    ).fetchone()
    return row is not None


def suppress(transaction: Transaction, operation: ValidOperation) -> None:
    """Delete a person and suppress all their identifiers (``person_suppress``).

    Source: ``POST /api/v1/customers/{identifier}/suppress``. The identifier of a person
    who does not exist is suppressed too, except an unknown ``cio_id``, which no person
    can get. Suppressing a person again changes nothing.
    """
    identifiers: PersonIdentifiers = operation["identifiers"]
    ((kind, value),) = identifiers.items()
    person = find(transaction, kind, value)
    if kind == "cio_id" and person is None:
        transaction.log_activity(UNKNOWN_CIO_ID, identifiers, kind, operation)
    suppressed = dict(identifiers)
    if person:
        row = transaction.database.execute(
            "SELECT id, email, phone FROM people WHERE cio_id = ?", (person,)
        ).fetchone()
        suppressed |= zip(("id", "email", "phone"), row, strict=True)
        transaction.database.execute("DELETE FROM people WHERE cio_id = ?", (person,))
    group = person or secrets.token_hex(8)
    transaction.database.executemany(
        "INSERT OR IGNORE INTO suppressions (kind, value, person, received_at)"
        " VALUES (?, ?, ?, ?)",
        [
            (kind, normalize(kind, value), group, transaction.received_at)
            for kind, value in suppressed.items()
            if value and kind != "cio_id"
        ],
    )


def unsuppress(transaction: Transaction, operation: ValidOperation) -> None:
    """Accept all identifiers again that were suppressed with this one.

    Source: ``POST /api/v1/customers/{identifier}/unsuppress``: "both the person's email
    and ID are unsuppressed"; the profile does not come back.
    """
    ((kind, value),) = operation["identifiers"].items()
    transaction.database.execute(
        "DELETE FROM suppressions WHERE person = (CASE WHEN :kind = 'cio_id'"
        " THEN :value ELSE (SELECT person FROM suppressions WHERE kind = :kind"
        " AND value = :value) END)",
        {"kind": kind, "value": normalize(kind, value)},
    )


_EMAIL = re.compile(r".+@.+", re.DOTALL)


@dataclass
class Person:
    """A row of ``people``, and the identifier that the operation used."""

    cio_id: str
    identifiers: PersonIdentifiers
    id: str | None
    email: str | None
    phone: str | None
    attributes: Attributes
    updated_at: int | None

    @property
    def identified_by(self) -> str:
        """The kind of identifier that the operation used."""
        return next(iter(self.identifiers))

    def would_lose_last_identifier(self, new: str | None) -> bool:
        """Return whether a new value leaves the person without any identifier."""
        return new is None and sum(map(bool, (self.id, self.email, self.phone))) == 1


def set_unique(
    transaction: Transaction, person: Person, kind: str, value: JSON
) -> bool:
    """Set an ``id`` or e-mail address that is unset and not another person's.

    Returns False: the value is not stored as an attribute too.

    Source: "If you want to update a person's identifiers after they are set, you must
    reference them using their ``cio_id``", except an ``email`` if the workspace allows
    updates by ``id``. An identifier of another person produces an *Attribute Update
    Failure*. A person's last identifier cannot be removed.
    """
    present = getattr(person, kind)
    new = None if is_empty(value) else str(value)
    if _is_same(kind, present, new):
        return False
    holder = find(transaction, kind, new) if new else None
    if holder:
        log_conflict(transaction, identifier_taken(kind), person, kind, new, holder)
    elif present and not _may_change(transaction, person, kind, new):
        log_conflict(transaction, identifier_fixed(kind), person, kind, new)
    else:
        set_identifier(transaction, person.cio_id, kind, new)
        setattr(person, kind, new)
    return False


def set_email(transaction: Transaction, person: Person, kind: str, value: JSON) -> bool:
    """Set an e-mail address; a value that cannot be one is logged and ignored.

    The description does not say what Customer.io does with such a value. Two people
    with the same value, such as "n/a", must not become one.
    """
    if is_empty(value) or is_email(value):
        return set_unique(transaction, person, kind, value)
    log_conflict(transaction, INVALID_EMAIL, person, kind, str(value))
    return False


def is_email(value: JSON) -> bool:
    """Return whether a value has the form that all e-mail addresses have."""
    return isinstance(value, str) and bool(_EMAIL.fullmatch(value))


def _may_change(
    transaction: Transaction, person: Person, kind: str, new: str | None
) -> bool:
    """Return whether the operation may change or remove an identifier that is set."""
    if person.identified_by == "cio_id":
        return not person.would_lose_last_identifier(new)
    return (
        transaction.email_updates
        and kind == "email"
        and person.identified_by == "id"
        and new is not None
    )


def set_phone(transaction: Transaction, person: Person, kind: str, value: JSON) -> bool:
    """Set a phone number, which several people may share and which can be changed.

    The operation that identifies the person by phone cannot change it.
    """
    new = None if is_empty(value) else str(value)
    if new == person.phone:
        return False
    if person.identified_by == "phone" or person.would_lose_last_identifier(new):
        log_conflict(transaction, identifier_fixed(kind), person, kind, new)
    else:
        set_identifier(transaction, person.cio_id, kind, new)
        person.phone = new
    return False


def log_conflict(
    transaction: Transaction,
    activity: Activity,
    person: Person,
    kind: str,
    value: str | None,
    holder: str | None = None,
) -> None:
    """Log that a person did not get an identifier, and who has it."""
    transaction.log_activity(
        activity,
        person.identifiers,
        kind,
        value,
        cio_id=person.cio_id,
        holder=holder and display_name(transaction, holder),
    )


def _is_same(kind: str, present: str | None, new: str | None) -> bool:
    if not present or not new:
        return present == new
    return normalize(kind, present) == normalize(kind, new)
