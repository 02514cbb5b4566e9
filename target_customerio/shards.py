"""Several processes for one input: each delivers its share of people and objects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

_SHARE: Final = re.compile(r"[1-9][0-9]{0,3}/[1-9][0-9]{0,3}")


@dataclass(frozen=True)
class Shard:
    """One of several shares.

    Attributes:
        number: Which one, from 1.
        count: Of how many.
    """

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> Shard:
        """Read a share.

        Args:
            text: For instance ``2/8``.

        Returns:
            The share.

        Raises:
            ValueError: It is none.
        """
        if not _SHARE.fullmatch(text):
            raise ValueError(text)
        number, count = (int(part) for part in text.split("/"))
        if number > count:
            raise ValueError(text)
        return cls(number, count)

    def holds(self, identity: str | bytes) -> bool:
        """Tell whether a person or an object falls to this share.

        The same identity falls to the same share on every machine and in every run.

        Args:
            identity: Any name.

        Returns:
            Whether it does.
        """
        if self.count == 1:
            return True
        if isinstance(identity, str):
            identity = identity.encode(errors="surrogatepass")
        digest = blake2b(identity, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1
