"""Which ids and e-mail addresses a run has seen together.

Customer.io keeps one person for each address and the first address of each id, and
answers 200 to an identify that says otherwise. A run can see some of these conflicts in
its own records, and tells of them.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_customerio.track_api.operations import PersonIdentify

MOST_BYTES: Final = 16 << 20
"""Most memory that is taken, about."""

_ENTRY_BYTES: Final = 100
"""What an entry takes; a pair has two, with the same two hashes in them."""

_TOLD: Final = -1
"""Stands for what is known to conflict; no hash has this value."""


class Conflict(Enum):
    """What an identify changes that Customer.io may not change."""

    MOVED_ADDRESS = "moved_addresses"
    CHANGED_ADDRESS = "changed_addresses"


class AddressBook:
    """Remembers the latest pairs of an id and an address, as hashes.

    Each is kept under the other. When there are many, they become the older ones, and
    those that were the older ones until then are forgotten.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Remember nothing yet.

        Args:
            most_bytes: Most memory to take.
        """
        self._most = most_bytes // _ENTRY_BYTES // 2
        self._pairs: dict[int, int] = {}
        self._older: dict[int, int] = {}

    def add(self, identify: PersonIdentify) -> Sequence[Conflict]:
        """Remember the id and the address of an identify, if it has both.

        Args:
            identify: The next identify of the run.

        Returns:
            How it conflicts with those before it; once for each address and each id.
        """
        identifiers, attributes = identify.identifiers, identify.attributes
        email = attributes.get("email") or identifiers.get("email")
        name = identifiers.get("id") or attributes.get("id")
        if not (email and name) or type(email) is not str or "@" not in email:
            return ()
        pairs = self._pairs
        if len(pairs) >= self._most:
            self._older, self._pairs = pairs, {}
            pairs = self._pairs
        older = self._older
        # The mark tells an address from an id that looks like one.
        id_, address = hash(str(name)), hash(f"@{email.lower()}")
        if (
            address in pairs
            or id_ in pairs
            or (older and (address in older or id_ in older))
        ):
            return self._compared(id_, address)
        pairs[address], pairs[id_] = id_, address  # as nearly always
        return ()

    def _compared(self, id_: int, address: int) -> list[Conflict]:
        """Keep a pair of which one is known, and tell how it conflicts."""
        conflicts = []
        if self._differs(address, id_):
            conflicts.append(Conflict.MOVED_ADDRESS)
        if self._differs(id_, address):
            conflicts.append(Conflict.CHANGED_ADDRESS)
        return conflicts

    def _differs(self, key: int, value: int) -> bool:
        """Keep a value, and tell whether the key had another one for the first time."""
        before = self._pairs.get(key)
        if before is None:
            before = self._older.get(key, value)
        self._pairs[key] = value if before == value else _TOLD
        return before not in {value, _TOLD}
