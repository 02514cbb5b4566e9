"""Sharding: several processes read one input, each delivers its share of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

_SHARD: Final = re.compile(r"[1-9][0-9]{0,3}/[1-9][0-9]{0,3}")


@dataclass(frozen=True)
class Shard:
    """One share of the people and objects.

    Attributes:
        number: The number of the share, from 1.
        count: The number of shares.
    """

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> Shard:
        """Parse a share such as ``2/8``; raise ``ValueError`` for other text."""
        if not _SHARD.fullmatch(text):
            raise ValueError(text)
        number, count = (int(part) for part in text.split("/"))
        if number > count:
            raise ValueError(text)
        return cls(number, count)

    def holds(self, identity: str | bytes) -> bool:
        """Return whether an identity belongs to this share.

        The result is the same on every machine and in every run.
        """
        if self.count == 1:
            return True
        if isinstance(identity, str):
            identity = identity.encode(errors="surrogatepass")
        digest = blake2b(identity, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1
