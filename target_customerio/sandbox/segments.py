"""Manual segments and their members.

Source: ``POST /api/v1/segments/{segment_id}/add_customers`` and ``remove_customers``.
A segment exists here as soon as somebody is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .identity import find
from .transaction import UNKNOWN_MEMBER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.operations import JSON

    from .transaction import Transaction

ID_TYPES = ("id", "email", "cio_id")
MOST_IDS = 1000


def add(transaction: Transaction, segment: int, id_type: str, ids: list[JSON]) -> None:
    """Add people to a segment; values that name nobody are ignored, and noted.

    Args:
        transaction: The open transaction.
        segment: The segment's id.
        id_type: What kind of identifier ``ids`` are.
        ids: Who is added.
    """
    transaction.database.executemany(
        "INSERT OR IGNORE INTO segment_members VALUES (?, ?, ?)",
        [
            (segment, person, transaction.received_at)
            for person in _people(transaction, id_type, ids)
        ],
    )


def remove(
    transaction: Transaction, segment: int, id_type: str, ids: list[JSON]
) -> None:
    """Remove people from a segment; values that name nobody are ignored, and noted.

    Args:
        transaction: The open transaction.
        segment: The segment's id.
        id_type: What kind of identifier ``ids`` are.
        ids: Who is removed.
    """
    transaction.database.executemany(
        "DELETE FROM segment_members WHERE segment_id = ? AND cio_id = ?",
        [(segment, person) for person in _people(transaction, id_type, ids)],
    )


def _people(transaction: Transaction, id_type: str, ids: list[JSON]) -> Iterable[str]:
    people = []
    for value in ids:
        person = find(transaction, id_type, value) if isinstance(value, str) else None
        if person:
            people.append(person)
        else:
            named = {id_type: value if isinstance(value, str) else ""}
            transaction.note(UNKNOWN_MEMBER, named, "ids", value)
    return people
