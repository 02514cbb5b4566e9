"""What a snapshot knows of one person, object, relationship or membership.

An attribute is known if there is a hash of the last value that Customer.io has
accepted. An attribute without a hash is unknown, and is sent like one that was never
sent. An entry also has hashes of whole rows (all attributes of a record): a record with
the same hash is unchanged, without a comparison of each attribute.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct as StructLayout
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


EXISTS: Final = 1
"""Customer.io has accepted an operation that creates the entry's person or object."""

SUPPRESSED: Final = 2
"""The person was suppressed; Customer.io ignores what names them."""

MERGED: Final = 4
"""The person was merged into another; they are never removed."""

EXISTED: Final = 16
"""It existed when all of it became unknown; plans count it as changed, not created."""

LOST_BY_DELETION: Final = EXISTS | SUPPRESSED | MERGED | EXISTED
"""The flags that the deletion of what an entry stands for clears."""

UNLINKED: Final = 8
"""The ``id`` and the address may belong to two people: an operation that names the
address alone may not concern the person with the ``id``."""

HASH_BYTES: Final = 8
"""Bytes of a hash. A change is missed if both values have the same hash, with a
probability of 2**-64: after a thousand years of ten billion changes a day (3.65e15
changes), the probability that one was missed is 2e-4."""

MAX_ROW_HASHES: Final = 4
"""Maximum hashes of whole rows in an entry; each stream with other columns has one."""

MAX_NAMES: Final = 1 << 16
"""Maximum names of attributes in a snapshot; others are always sent."""

_HEADER: Final = StructLayout("<BBHI")
_NAME_BYTES: Final = 2

ALIASES: Final = ("email", "phone", "anonymous_id")
"""Kinds of identifiers that are kept as hashes; the last bits of a hash tell which."""


class Entry(Struct, eq=False, gc=False):
    """A decoded entry.

    Attributes:
        number: Its number in the file. Numbers are not reused.
        kind: The kind of entry, such as :data:`.tables.PERSON`.
        key: Of a person the ``id``, of an object its type and id, of a relationship
            the numbers of its object and its person, of a membership the segment and
            the number of its person. Column ``a``.
        other_key: Of a person the e-mail address in lower case, of a
            relationship or membership the number of its person. Column ``b``.
        flags: The flags above, such as :data:`EXISTS`.
        epoch: The epoch (see :class:`.effects.Epochs`) in which it was written last.
        known_hashes: The hash of each known attribute, by the number of its name; None
            until it is decoded from ``data``.
        data: The entry as stored.
        row_hashes: Hashes of rows whose attributes are all known.
        is_new: Whether the entry is not in the file yet.
        unanswered: Number of unanswered operations that concern the entry.
        linking: Number of those that give the person an ``id`` or an address, or that
            were refused: the entry has these identifiers until all are answered.
        unlinking: Number of those that may take the person's address away.
        pending: Number of unanswered operations by attribute.
        pending_whole: Number of those that make the whole entry unknown.
        suppressing: Number of those that suppress the person.
        aliases: Hashes of identifiers in unanswered operations.
    """

    number: int
    kind: int
    key: str | None = None
    other_key: str | int | None = None
    flags: int = 0
    epoch: int = 0
    known_hashes: dict[int, int] | None = {}
    data: bytes = b""
    row_hashes: tuple[bytes, ...] = ()
    is_new: bool = False
    unanswered: int = 0
    linking: int = 0
    unlinking: int = 0
    pending: dict[int, int] = {}
    pending_whole: int = 0
    suppressing: int = 0
    aliases: tuple[int, ...] = ()

    @property
    def hashes(self) -> dict[int, int]:
        """The hash of each known attribute, by the number of its name."""
        if self.known_hashes is None:
            self.known_hashes = hashes_in(self.data)
        return self.known_hashes

    @property
    def exists(self) -> bool:
        """Whether Customer.io is known to have the person, object, and so on."""
        return bool(self.flags & EXISTS) and not self.is_in_doubt

    @property
    def is_in_doubt(self) -> bool:
        """Whether an unanswered operation may change all of it, or whose it is.

        If the operation that gives a person an ``id`` or an address is refused, what
        names the new identifier concerns somebody else.
        """
        return bool(self.pending_whole or self.linking)

    @property
    def may_exist(self) -> bool:
        """Whether :attr:`exists` holds, or held before the entry became unknown."""
        return bool(self.flags & (EXISTS | EXISTED))

    @property
    def is_nameless(self) -> bool:
        """Whether a person is known neither by an ``id`` nor by an address."""
        return self.key is None and self.other_key is None

    @property
    def is_linked(self) -> bool:
        """Whether the address is known to belong to the person with the ``id``."""
        return self.key is None or not (self.flags & UNLINKED or self.unlinking)

    def has_alias(self, alias: int, holders: Iterable[Entry]) -> bool:
        """Tell whether an alias is stored, and stays so whatever is answered.

        Args:
            alias: The hash of an identifier.
            holders: Everyone who has it, also by an unanswered operation.
        """
        is_certain = not self.pending_whole and alias not in self.aliases
        return is_certain and self in holders

    def known(self) -> dict[int, int]:
        """Return the hashes of attributes that no unanswered operation changes."""
        if self.is_in_doubt:
            return {}
        pending = self.pending
        if not pending:
            return self.hashes
        return {
            name: value for name, value in self.hashes.items() if name not in pending
        }

    def make_unknown(self, names: Iterable[int] | None) -> None:
        """Make attributes unknown; None: all of them, and whether the entry exists."""
        self.row_hashes = ()
        if names is None:
            self.known_hashes = {}
            existed = EXISTED if self.flags & EXISTS else 0
            self.flags = self.flags & ~EXISTS | UNLINKED | existed
            return
        for name in names:
            self.hashes.pop(name, None)

    def packed(self) -> bytes:
        """Return the flags and hashes in the form in which they are stored."""
        hashes = self.hashes
        return b"".join(
            (
                _HEADER.pack(self.flags, len(self.row_hashes), len(hashes), self.epoch),
                *self.row_hashes,
                _layout(len(hashes)).pack(*hashes.values(), *hashes),
            )
        )

    def unpack(self, data: bytes) -> Entry:
        """Read flags and hashes from the stored form; return the entry."""
        self.flags, rows, _, self.epoch = _HEADER.unpack_from(data)
        start = _HEADER.size + HASH_BYTES * rows
        self.known_hashes = hashes_in(data)
        self.row_hashes = tuple(
            data[at : at + HASH_BYTES] for at in range(_HEADER.size, start, HASH_BYTES)
        )
        return self


def hashes_in(data: bytes) -> dict[int, int]:
    """Return the hashes in a stored entry, by the numbers of the attributes' names."""
    _, rows, count, _ = _HEADER.unpack_from(data)
    found = _layout(count).unpack_from(data, _HEADER.size + HASH_BYTES * rows)
    return dict(zip(found[count:], found[:count], strict=True))


def is_certain(data: bytes, stale: int) -> bool:
    """Tell whether a stored entry exists and its hashes are still valid.

    Args:
        data: The entry as stored.
        stale: The last epoch in which any attribute became unknown in every entry.

    Returns:
        True if both are certain; False if the entry has to be decoded to tell.
    """
    return data[0] == EXISTS and (not stale or epoch_of(data) >= stale)


def epoch_of(data: bytes) -> int:
    """Return the epoch of a stored entry."""
    epoch: int = _HEADER.unpack_from(data)[3]
    return epoch


def has_row(data: bytes, row_hash: bytes) -> bool:
    """Tell whether a stored entry has the hash of a whole row."""
    rows = data[1]
    if rows == 1:
        return data[8:16] == row_hash
    return any(
        data[at : at + HASH_BYTES] == row_hash
        for at in range(_HEADER.size, _HEADER.size + HASH_BYTES * rows, HASH_BYTES)
    )


def hashes_of(data: bytes, names: bytes) -> tuple[int, ...] | None:
    """Return the hashes of a stored entry; None if its attributes are others.

    Args:
        data: The entry as stored.
        names: The numbers of the expected attributes, in order, as stored.
    """
    start, count = _HEADER.size + HASH_BYTES * data[1], len(names) // _NAME_BYTES
    expected = start + (HASH_BYTES + _NAME_BYTES) * count
    if not names or len(data) != expected or not data.endswith(names):
        return None
    return _numbers(count).unpack_from(data, start)


def pack(names: bytes, hashes: Sequence[int], row_hash: bytes, epoch: int) -> bytes:
    """Return the stored form of an entry that exists and knows exactly a row."""
    count = len(hashes)
    return (
        _HEADER.pack(EXISTS, 1, count, epoch)
        + row_hash
        + _numbers(count).pack(*hashes)
        + names
    )


@lru_cache(maxsize=1024)
def _layout(count: int) -> StructLayout:
    return StructLayout(f"<{count}Q{count}H")


@lru_cache(maxsize=1024)
def _numbers(count: int) -> StructLayout:
    return StructLayout(f"<{count}Q")
