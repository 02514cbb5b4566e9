"""Hashes of rows, of the values in them, and of identifiers."""

from __future__ import annotations

from hashlib import blake2b, blake2s
from struct import Struct as StructLayout
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from target_customerio.json_codec import encode, encode_lines
from target_customerio.snapshot.entry import ALIASES, HASH_BYTES
from target_customerio.track_api.operations import IDENTIFYING_ATTRIBUTES, PREFERENCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_customerio.track_api.operations import JSON

_OTHER_IDENTIFIERS: Final = frozenset(IDENTIFYING_ATTRIBUTES) - {"email"}

_REMEMBERED: Final = 16_384
_REMEMBERED_BYTES: Final = 64
_REMEMBERED_ROWS: Final = 65_536
"""Limits of the memory for hashes of values that recur in many rows (true, "free",
"DE"): values, their average bytes, and rows after which the memory starts afresh."""


class Layout(Struct, gc=False):
    """The names of a row's attributes, in their order; many rows share a layout.

    Attributes:
        names: The names.
        numbers: The number of each name; -1 for a name that has none.
        packed: The numbers as in a stored entry; empty if a name has none.
        text: The names as JSON.
        special: For each name, whether it is an identifier or a subscription
            preference.
        has_preferences: Whether any name is a subscription preference.
        has_email_alone: Whether no name is an identifier other than ``email``.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    packed: bytes
    text: bytes
    special: tuple[bool, ...]
    has_preferences: bool
    has_email_alone: bool


def layout_of(names: tuple[str, ...], numbers: Sequence[int]) -> Layout:
    """Return the layout of names."""
    packed = b"" if -1 in numbers else StructLayout(f"<{len(numbers)}H").pack(*numbers)
    special = tuple(
        name in IDENTIFYING_ATTRIBUTES or name.startswith(PREFERENCES) for name in names
    )
    has_preferences = any(name.startswith(PREFERENCES) for name in names)
    text = encode(names)
    has_email_alone = {"email", *names}.isdisjoint(_OTHER_IDENTIFIERS)
    return Layout(
        names,
        tuple(numbers),
        packed,
        text,
        special,
        has_preferences,
        has_email_alone,
    )


class Hasher:
    """Hashes values with the key of a file: equal values differ between two files.

    The key is stored in the file, so whoever has the file can test likely values.
    """

    def __init__(self, key: bytes) -> None:
        """Hash with a key."""
        self._key = key
        self._memory: dict[bytes, int] = {}
        self._rows = 0

    def row(self, layout: Layout, values: bytes) -> bytes:
        """Return the hash of a row whose values are encoded, a line each."""
        # Faster than BLAKE2s if there is much to hash.
        return blake2b(self._key + layout.text + values).digest()[:HASH_BYTES]

    def values(self, encoded: Sequence[bytes]) -> list[int]:
        """Return the hash of each value of a row."""
        memory, key = self._memory, self._key
        found = memory.get
        hashes = [
            found(each) or _first_bytes(blake2s(key + each).digest())[0]
            for each in encoded
        ]
        self._rows += 1
        if self._rows % _REMEMBERED_ROWS == 0:
            memory.clear()
        if len(memory) < _REMEMBERED and (
            sum(map(len, encoded)) <= _REMEMBERED_BYTES * len(encoded)
        ):
            memory.update(zip(encoded, hashes, strict=True))
        return hashes

    def alias(self, kind: str, value: str) -> int:
        """Return the hash of an identifier, as a signed number for SQLite."""
        digest = blake2s(self._key + value.encode(errors="surrogatepass")).digest()
        number = int.from_bytes(digest[:HASH_BYTES], "little", signed=True)
        return number & ~3 | ALIASES.index(kind)


def encoded_values(attributes: Mapping[str, JSON]) -> tuple[bytes, list[bytes]]:
    """Return the values of attributes as JSON: as lines, and as a list."""
    values = [*attributes.values()]
    lines = encode_lines(values)
    each = lines.splitlines()
    if len(each) != len(values):  # JSON that was not decoded may have line feeds
        each = [encode(value) for value in values]
    return lines, each


_first_bytes: Final = StructLayout("<Q24x").unpack
"""Returns the first bytes of a BLAKE2s digest as a number."""
