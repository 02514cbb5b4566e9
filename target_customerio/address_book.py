"""Finds conflicts of IDs and e-mail addresses within a run.

Customer.io keeps one person for each address and the first address of each ID, and
answers 200 to an identify with another one. Conflicts between records of the same run
are reported.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_customerio.track_api.operations import PersonIdentify

MAX_BYTES: Final = 16 << 20
"""Approximate memory limit in bytes."""

_ENTRY_BYTES: Final = 100
"""Memory of an entry; each pair has two entries."""

_REPORTED: Final = -1
"""Replaces the value of a key whose conflict was reported; no hash has this value."""


class Conflict(Enum):
    """How an identify conflicts with earlier ones of the run."""

    MOVED_ADDRESS = "moved_addresses"
    CHANGED_ADDRESS = "changed_addresses"


LOOK_UP: Final = "to see the record, save the tap's output with tee"
CONFLICTS: Final = {
    Conflict.MOVED_ADDRESS: "Stream '%s', %s: this e-mail address was sent with "
    "another id before; Customer.io keeps one person per address and either merges "
    "the two ids or leaves the address with the other one; " + LOOK_UP,
    Conflict.CHANGED_ADDRESS: "Stream '%s', %s: this id was sent with another e-mail "
    "address before; Customer.io keeps the first address unless the workspace has "
    '"Allow updates to email using ID" on; ' + LOOK_UP,
}
"""What is logged of a conflict, with the stream and the place of the record."""


class AddressBook:
    """Remembers pairs of ID and e-mail address, as hashes, within a memory limit.

    Each pair is stored under both hashes. At half of the limit, the entries become the
    older generation, and the previous older generation is dropped.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """Start without pairs; `max_bytes` is the approximate memory limit."""
        self._max_pairs = max_bytes // _ENTRY_BYTES // 2
        self._pairs: dict[int, int] = {}
        self._older: dict[int, int] = {}

    def add(self, identify: PersonIdentify) -> Sequence[Conflict]:
        """Add the ID and address of an identify; return the conflicts, each once."""
        identifiers, attributes = identify.identifiers, identify.attributes
        email = attributes.get("email") or identifiers.get("email")
        name = identifiers.get("id") or attributes.get("id")
        if not (email and name) or type(email) is not str or "@" not in email:
            return ()
        pairs = self._pairs
        if len(pairs) >= self._max_pairs:
            self._older, self._pairs = pairs, {}
            pairs = self._pairs
        older = self._older
        # The prefix distinguishes an address from an ID with the same text.
        id_, address = hash(str(name)), hash(f"@{email.lower()}")
        if (
            address in pairs
            or id_ in pairs
            or (older and (address in older or id_ in older))
        ):
            return self._add_known(id_, address)
        pairs[address], pairs[id_] = id_, address
        return ()

    def _add_known(self, id_: int, address: int) -> list[Conflict]:
        """Store a pair of which one side is known; return its conflicts."""
        conflicts = []
        if self._differs(address, id_):
            conflicts.append(Conflict.MOVED_ADDRESS)
        if self._differs(id_, address):
            conflicts.append(Conflict.CHANGED_ADDRESS)
        return conflicts

    def _differs(self, key: int, value: int) -> bool:
        """Store a value; tell whether it is the first change of the key's value."""
        before = self._pairs.get(key)
        if before is None:
            before = self._older.get(key, value)
        self._pairs[key] = value if before == value else _REPORTED
        return before not in {value, _REPORTED}
