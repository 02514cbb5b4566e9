"""The command with a deliberate mistake in how it keeps its snapshot.

This file is also a program: its first argument names the mistake, the others are those
of the command.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from target_customerio import changes
from target_customerio.__main__ import main
from target_customerio.delivery.queued_operation import ordering_of
from target_customerio.snapshot.entries import Entries
from target_customerio.snapshot.entry import Entry
from target_customerio.snapshot.journal import Intent, Journal

patch = pytest.MonkeyPatch()


def hash_before_the_answer() -> None:
    """Write the new hashes before the request is sent."""

    def intend(journal: Any, tickets: Any, _next: int) -> Intent:
        journal.answer(Intent(0, len(tickets)), tickets, ())
        for ticket in tickets:
            for effect in ticket.effects:
                effect.is_new = False  # written by now
        return Intent(0, len(tickets))

    patch.setattr(Journal, "intend", intend)


def no_mark() -> None:
    """Send requests without marking what they change as unknown."""

    def intend(_journal: Any, tickets: Any, _next: int) -> Intent:
        return Intent(0, len(tickets))

    patch.setattr(Journal, "intend", intend)


def trust_what_is_queued() -> None:
    """Compare with values whose operations are not answered yet."""
    take = Entries.take

    def trusting(entries: Any, effect: Any) -> None:
        take(entries, effect)
        effect.apply(effect.entry, delivered=True)

    def known(entry: Any) -> dict[int, int]:
        return entry.hashes

    patch.setattr(Entry, "known", known)
    patch.setattr(Entries, "take", trusting)


def order_by_names_alone() -> None:
    """Do not order what names an address with what names the id beside it."""
    patch.setattr(
        changes,
        "ordering_by_decision",
        lambda operation, _decision: ordering_of(operation),
    )


SABOTAGES = {
    each.__name__: each
    for each in (
        hash_before_the_answer,
        no_mark,
        trust_what_is_queued,
        order_by_names_alone,
    )
}

if __name__ == "__main__":
    SABOTAGES[sys.argv.pop(1)]()
    main()
