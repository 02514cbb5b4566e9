"""What every change to a workspace is made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import sqlite3

Note: TypeAlias = Literal[
    "Attribute Update Failure", "Failed Attribute Change", "Failed Merge"
]
"""What is noted in the table ``activity``."""


@dataclass(frozen=True)
class Transaction:
    """An open transaction, and when what it does was received."""

    database: sqlite3.Connection
    received_at: str

    def note(self, name: Note, person: str | None, field: str) -> None:
        """Note what Customer.io would show in its activity log.

        Such a request is answered with 200 all the same. Source: ``PUT
        /api/v1/customers/{identifier}``, description and ``_update``.

        Args:
            name: What happened.
            person: The ``cio_id`` of the person concerned, if there is one.
            field: The attribute or identifier concerned.
        """
        self.database.execute(
            "INSERT INTO activity (name, cio_id, field, received_at)"
            " VALUES (?, ?, ?, ?)",
            (name, person, field, self.received_at),
        )
