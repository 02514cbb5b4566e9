"""The kinds of entries in the table ``activity``."""

from __future__ import annotations

from typing import Final, NamedTuple


class Activity(NamedTuple):
    """A kind of entry in the table ``activity``.

    Attributes:
        name: Customer.io's name in its activity log, as far as that is documented.
        reason: Why something was not applied; a key of :data:`ACTIVITY_REASONS`.
    """

    name: str
    reason: str


IDENTIFIER_CHANGE: Final = "Identifier Change"
"""The name of the only entries about a change that was applied."""

OUTDATED: Final = Activity("Skipped Update", "outdated identify")
SUPPRESSED: Final = Activity("Skipped Update", "operation on a suppressed person")
UNKNOWN_CIO_ID: Final = Activity("Skipped Update", "unknown cio_id")
UNKNOWN_MEMBER: Final = Activity("Skipped Update", "unknown segment member")
UNKNOWN_DELETED: Final = Activity("Skipped Update", "deletion of an unknown person")
UPDATE_ONLY: Final = Activity("Failed Attribute Change", "update_only without a person")
INVALID_EMAIL: Final = Activity("Failed Attribute Change", "invalid e-mail address")
REPEATED: Final = Activity("Skipped Event", "repeated event")
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
    return Activity(IDENTIFIER_CHANGE, _conflict(kind))


def _conflict(kind: str) -> str:
    return f"{'e-mail' if kind == 'email' else kind} conflict"


ACTIVITY_REASONS: Final = {
    "e-mail conflict": "The address belongs to another person, or the person already "
    "has a different one",
    "id conflict": "The `id` belongs to another person, or the person already has a "
    "different one",
    "phone conflict": "The person has a different `phone`, which this operation cannot "
    "change",
    "anonymous_id conflict": "The `anonymous_id` belongs to another person",
    OUTDATED.reason: "The profile has a newer update; the attributes are ignored",
    SUPPRESSED.reason: "The operation is ignored",
    UNKNOWN_CIO_ID.reason: "The operation is ignored: only Customer.io creates a "
    "`cio_id`",
    UNKNOWN_MEMBER.reason: "The person does not exist; the segment does not change",
    UNKNOWN_DELETED.reason: "The person does not exist; nothing is deleted",
    UPDATE_ONLY.reason: "No person is created",
    INVALID_EMAIL.reason: "The value, such as `n/a`, is ignored",
    REPEATED.reason: "An event with the same id was received before; this one is "
    "dropped",
    MERGE_PERSON_MISSING.reason: "Nothing is merged",
    MERGE_SAME_PERSON.reason: "Nothing is merged",
}
"""Every reason in the table ``activity``, and what happened (for the docs)."""
