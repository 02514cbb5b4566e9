"""Two profiles become one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import exact_json
from .identity import find
from .relationships import Party, carry_over
from .transaction import HALF_A_MERGE, SAME_PERSON

if TYPE_CHECKING:
    from target_customerio.operations import JSON

    from .transaction import Transaction

_ROLES = ("primary", "secondary")

_MOVES = (
    "UPDATE events SET cio_id = ? WHERE cio_id = ?",
    "UPDATE devices SET cio_id = ? WHERE cio_id = ?",
    "UPDATE anonymous_ids SET cio_id = ? WHERE cio_id = ?",
    "UPDATE OR IGNORE segment_members SET cio_id = ? WHERE cio_id = ?",
)


def merge_people(transaction: Transaction, operation: JSON) -> None:
    """Merge ``secondary`` into ``primary``, then delete it (``person_merge``).

    Source: ``POST /api/v1/merge_customers``. The primary gains the attributes that it
    lacks, events, segments, devices and relationships; "If the primary profile doesn't
    exist, your request won't do anything". The secondary's ``id`` and ``email`` are
    not inherited: they are free again. A merge that does nothing is noted, also when
    two names turn out to be the same person's.

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    found = {
        role: find(transaction, *next(iter(operation[role].items()))) for role in _ROLES
    }
    for role, person in found.items():
        if person is None:
            transaction.note(HALF_A_MERGE, operation[role], role, operation)
    primary, secondary = found.values()
    if primary is None or secondary is None:
        return
    if primary == secondary:
        named = operation["secondary"]
        transaction.note(SAME_PERSON, named, "secondary", operation, cio_id=primary)
        return
    _inherit_attributes(transaction, primary, secondary)
    carry_over(transaction, Party(secondary), primary)
    for move in _MOVES:
        transaction.database.execute(move, (primary, secondary))
    transaction.database.execute("DELETE FROM people WHERE cio_id = ?", (secondary,))


def _inherit_attributes(transaction: Transaction, primary: str, secondary: str) -> None:
    """Fill in "attributes that are not set, or are empty, on the primary"."""
    (own, phone), (inherited, other_phone) = (
        transaction.database.execute(
            "SELECT attributes, phone FROM people WHERE cio_id = ?", (person,)
        ).fetchone()
        for person in (primary, secondary)
    )
    attributes = exact_json.decode(inherited) | exact_json.decode(own)
    transaction.database.execute(
        "UPDATE people SET attributes = ?, phone = ? WHERE cio_id = ?",
        (exact_json.text(attributes), phone or other_phone, primary),
    )
