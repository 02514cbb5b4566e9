"""What was done without a name, and who it turns out to have been."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .identity import find
from .relationships import carry_over, unnamed

if TYPE_CHECKING:
    from .transaction import Transaction


def join(transaction: Transaction, anonymous_id: str, person: str) -> bool:
    """Give a person an ``anonymous_id`` and all that was done under it.

    Source: schema ``anonymous_id`` for events, ``object_identify_anonymous`` for
    relationships. How long ago an event happened does not matter here.

    Args:
        transaction: The open transaction.
        anonymous_id: The id, such as a cookie's.
        person: The person's ``cio_id``.

    Returns:
        False when the id is somebody else's.
    """
    owner = find(transaction, "anonymous_id", anonymous_id)
    if owner:
        return owner == person
    transaction.database.execute(
        "INSERT INTO anonymous_ids VALUES (?, ?)", (anonymous_id, person)
    )
    transaction.database.execute(
        "UPDATE events SET cio_id = ? WHERE anonymous_id = ?",
        (person, anonymous_id),
    )
    carry_over(transaction, unnamed(anonymous_id), person)
    return True
