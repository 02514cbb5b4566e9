"""Which stream holds which entries: bit maps of their numbers.

For each stream and kind of entry there are three sets: held entries, missing ones (held
before the last run, not in it, and not removed yet), and those that the present run has
seen. The first two are in the file, all three in memory, where an entry takes one bit
of each.
"""

from __future__ import annotations

from operator import or_
from threading import Lock
from typing import TYPE_CHECKING, Final

from target_customerio.snapshot.tables import KINDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator


_CHUNK_SHIFT: Final = 12
"""A chunk has a bit for each of 2**12 numbers, in the file too."""

_CHUNK_BITS: Final = 1 << _CHUNK_SHIFT
CHUNK_BYTES: Final = _CHUNK_BITS // 8
_BYTE_MASK: Final = CHUNK_BYTES - 1


class BitSet:
    """A set of numbers, as chunks of bits."""

    def __init__(self) -> None:
        """Start empty."""
        self.chunks: dict[int, bytearray] = {}

    def __contains__(self, number: int) -> bool:
        """Return whether the set has a number."""
        chunk = self.chunks.get(number >> _CHUNK_SHIFT)
        if chunk is None:
            return False
        return bool(chunk[number >> 3 & _BYTE_MASK] & 1 << (number & 7))

    def __len__(self) -> int:
        """Return how many numbers the set has."""
        return sum(
            int.from_bytes(chunk, "little").bit_count()
            for chunk in self.chunks.values()
        )

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers in order."""
        for number, chunk in sorted(self.chunks.items()):
            start = number * _CHUNK_BITS
            for at, byte in enumerate(chunk):
                if byte:
                    for bit in range(8):
                        if byte & 1 << bit:
                            yield start + at * 8 + bit

    def add(self, number: int) -> None:
        """Add a number."""
        chunk = self.chunks.get(number >> _CHUNK_SHIFT)
        if chunk is None:
            chunk = self.chunks[number >> _CHUNK_SHIFT] = bytearray(CHUNK_BYTES)
        chunk[number >> 3 & _BYTE_MASK] |= 1 << (number & 7)

    def discard(self, number: int) -> None:
        """Remove a number."""
        chunk = self.chunks.get(number >> _CHUNK_SHIFT)
        if chunk is not None:
            chunk[number >> 3 & _BYTE_MASK] &= ~(1 << (number & 7)) & 255

    def update(self, other: BitSet) -> None:
        """Add all numbers of another set."""
        for number, chunk in other.chunks.items():
            self.chunks[number] = _combined(self.chunks.get(number), chunk, or_)

    def difference_update(self, other: BitSet) -> None:
        """Remove all numbers of another set."""
        for number, chunk in other.chunks.items():
            if number in self.chunks:
                self.chunks[number] = _combined(
                    self.chunks[number], chunk, lambda one, other: one & ~other
                )

    def chunk(self, number: int) -> bytes:
        """Return a chunk; empty if it has no numbers."""
        chunk = self.chunks.get(number)
        return bytes(chunk) if chunk is not None and any(chunk) else b""


def _combined(
    one: bytearray | None, other: bytearray, combine: Callable[[int, int], int]
) -> bytearray:
    """Return a chunk made of two."""
    left, right = (int.from_bytes(each or b"", "little") for each in (one, other))
    return bytearray(combine(left, right).to_bytes(CHUNK_BYTES, "little"))


class StreamHolds:
    """What one stream holds.

    The reading thread changes the sets; the sending threads write the changed chunks.

    Attributes:
        number: The number of the stream.
        held: The entries that it holds, by kind.
        missing: The entries that are missing from its last run, by kind.
        seen: The entries that records of this run have named, by kind.
    """

    def __init__(self, number: int) -> None:
        """Start empty."""
        self.number = number
        self.held = [BitSet() for _ in KINDS]
        self.missing = [BitSet() for _ in KINDS]
        self.seen = [BitSet() for _ in KINDS]
        self._lock = Lock()
        self._dirty: set[tuple[int, int]] = set()

    @property
    def is_changed(self) -> bool:
        """Whether the file lacks changes of what the stream holds."""
        return bool(self._dirty)

    def load(self, rows: Iterable[tuple[int, int, bytes, bytes]]) -> None:
        """Fill the sets from rows of the file: kind, chunk, held and missing."""
        for kind, chunk, held, missing in rows:
            if held:
                self.held[kind].chunks[chunk] = bytearray(held)
            if missing:
                self.missing[kind].chunks[chunk] = bytearray(missing)

    def hold(self, kind: int, number: int) -> None:
        """Hold an entry that a record of this run names."""
        self.seen[kind].add(number)
        if number not in self.held[kind]:
            with self._lock:
                self.held[kind].add(number)
                self.missing[kind].discard(number)
                self._dirty.add((kind, number >> _CHUNK_SHIFT))

    def release(self, kind: int, number: int) -> None:
        """Drop an entry from all sets: it is deleted, or was never created."""
        self.seen[kind].discard(number)
        with self._lock:
            for each in (self.held[kind], self.missing[kind]):
                if number in each:
                    each.discard(number)
                    self._dirty.add((kind, number >> _CHUNK_SHIFT))

    def ever_held(self, kind: int) -> BitSet:
        """Return the held and the missing entries together."""
        every = BitSet()
        every.update(self.held[kind])
        every.update(self.missing[kind])
        return every

    def replace(self, *, with_missing: bool = True) -> None:
        """Hold what this run has seen, in place of what the stream held before.

        Args:
            with_missing: Whether the rest becomes missing; otherwise it is released.
        """
        with self._lock:
            for kind in range(len(KINDS)):
                missing = self.ever_held(kind) if with_missing else BitSet()
                missing.difference_update(self.seen[kind])
                touched = self.held[kind].chunks | self.missing[kind].chunks
                touched |= self.seen[kind].chunks
                self.held[kind], self.missing[kind] = self.seen[kind], missing
                self.seen[kind] = BitSet()
                self._dirty.update((kind, chunk) for chunk in touched)

    def write(self, database: sqlite3.Connection) -> None:
        """Write what has changed, within a transaction."""
        if not self._dirty:
            return
        with self._lock:
            rows = [
                (
                    self.number,
                    kind,
                    chunk,
                    self.held[kind].chunk(chunk),
                    self.missing[kind].chunk(chunk),
                )
                for kind, chunk in self._dirty
            ]
            self._dirty.clear()
        database.executemany(
            "INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?)", rows
        )
