"""What every change to a workspace is made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from target_customerio.operations import (
    PERSON_ATTRIBUTES_THAT_IDENTIFY,
    person_identity,
)

from . import exact_json

if TYPE_CHECKING:
    import sqlite3

    from target_customerio.operations import JSON, PersonIdentifiers


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
    *(_conflict(attribute) for attribute in PERSON_ATTRIBUTES_THAT_IDENTIFY),
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
                value if isinstance(value, str) else exact_json.text(value),
                holder,
            ),
        )
