"""A fast path for the usual operation: an identify with nothing but attributes.

Its decisions are those of the general code in :mod:`.people`, in less time.
"""

from __future__ import annotations

from itertools import compress
from operator import ne
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from target_customerio.snapshot.comparison import Decision, keys_of, unchanged
from target_customerio.snapshot.effects import Effect, Ticket
from target_customerio.snapshot.entry import (
    EXISTS,
    UNLINKED,
    Entry,
    epoch_of,
    has_row,
    hashes_of,
    is_certain,
    pack,
)
from target_customerio.snapshot.hashing import Layout, encoded_values
from target_customerio.snapshot.tables import PERSON
from target_customerio.track_api.operations import UPDATE_ONLY, PersonIdentify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_customerio.snapshot.comparison import Change, Comparison
    from target_customerio.snapshot.entries import StoredEntry
    from target_customerio.snapshot.holds import StreamHolds
    from target_customerio.track_api.operations import Attributes, PersonIdentifiers


class Row(Struct, gc=False):
    """An identify without anything but attributes.

    Attributes:
        identifiers: The person's identifier.
        attributes: The attributes.
        layout: Their names.
        encoded: Their values as JSON.
        hash: The hash of names and values.
    """

    identifiers: PersonIdentifiers
    attributes: Attributes
    layout: Layout
    encoded: list[bytes]
    hash: bytes


class RowDecider:
    """Decides on rows; used by the reading thread alone."""

    def __init__(self, compare: Comparison) -> None:
        """Compare with a snapshot."""
        self._compare = compare

    def row(self, operation: PersonIdentify) -> Row | None:
        """Return an identify as a row; None if it has more than attributes."""
        attributes = operation.attributes
        if (
            operation.timestamp is not UNSET
            or operation.cio_relationships is not UNSET
            or UPDATE_ONLY in attributes
        ):
            return None
        ((_, identifier),) = operation.identifiers.items()
        try:
            identifier.encode()
            lines, encoded = encoded_values(attributes)
            layout = self._compare.names.layout(attributes)
        except (UnicodeEncodeError, RecursionError):
            return None
        hash_ = self._compare.hasher.row(layout, lines)
        return Row(operation.identifiers, attributes, layout, encoded, hash_)

    def decide(self, row: Row, stream: StreamHolds | None) -> Decision | None:
        """Decide on a row; None if the general code has to.

        The general code is needed if an operation on the person is unanswered, if the
        entry has other attributes than the row, or if an identifier differs. An
        identifier with the same hash belongs to this person: it becomes unknown as soon
        as another person claims it.

        Args:
            row: The row, whose people were looked up.
            stream: What the stream of the row holds; None for streams that hold
                nothing.
        """
        ((kind, value),) = row.identifiers.items()
        entries = self._compare.entries
        found = entries.stored_by_id(value) if kind == "id" else None
        if kind == "email":
            found = entries.stored_by_email(value)
        decision: Decision | None
        if found is None:
            decision = self._created(row) if kind == "id" else None
        elif not is_certain(found[3], entries.epochs.last):
            return None
        elif has_row(found[3], row.hash):
            decision = unchanged(found[0])
        else:
            decision = self._changed(row, found)
        if decision is not None and stream is not None:
            stream.hold(PERSON, decision.entry)
        return decision

    def _created(self, row: Row) -> Decision | None:
        """Decide on the first row of an ``id`` that no entry has."""
        layout, compare = row.layout, self._compare
        id_, email = row.identifiers["id"], None
        if (
            not (layout.packed and layout.has_email_alone)
            or layout.has_preferences
            or not compare.entries.is_new_id(id_)
        ):
            return None
        if "email" in row.attributes:
            value = row.attributes["email"]
            email = value.lower() if isinstance(value, str) and "@" in value else ""
            if not (email and compare.entries.is_new_email(email)):
                return None
        entry = compare.entries.new(PERSON, id_, email)
        effect = Effect(entry, layout.numbers, None, gained=EXISTS, lost=UNLINKED)
        if email is not None:
            entry.flags = UNLINKED
            effect.moves = True
        hashes = compare.hasher.values(row.encoded)
        return self._decision(row, "created", row.attributes, effect, hashes)

    def _changed(self, row: Row, found: StoredEntry) -> Decision | None:
        """Decide on a row of a person with known attributes of which some differ."""
        number, key, other_key, data = found
        layout = row.layout
        before = hashes_of(data, layout.packed)
        if before is None:
            return None
        after = self._compare.hasher.values(row.encoded)
        changed = [*map(ne, before, after)]
        if True not in changed or any(compress(changed, layout.special)):
            return None
        sent = dict(compress(row.attributes.items(), changed))
        entry = Entry(
            number, PERSON, key, other_key, EXISTS, epoch_of(data), None, data
        )
        named = tuple(compress(layout.numbers, changed))
        effect = Effect(entry, named, None, gained=EXISTS)
        return self._decision(row, "changed", sent, effect, after)

    def _decision(
        self,
        row: Row,
        change: Change,
        sent: Attributes,
        effect: Effect,
        hashes: Sequence[int],
    ) -> Decision:
        """Return the decision to send attributes, after which the row is known."""
        entry, layout = effect.entry, row.layout
        # Single hashes are decoded only if they are needed.
        effect.data = pack(layout.packed, hashes, row.hash, self._compare.entries.epoch)
        keys = keys_of((entry,))
        email = row.attributes.get("email")
        is_all = layout.has_email_alone and (
            email is None
            or (isinstance(email, str) and email.lower() == entry.other_key)
        )
        return Decision(
            PersonIdentify(identifiers=row.identifiers, attributes=sent),
            Ticket([effect]),
            change,
            entry.number,
            keys,
            keys if is_all else (),
        )
