"""The name that was probably meant, for one that does not exist."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ALIKE: Final = 0.8
"""From here on a name is taken for another one that is misspelt."""


def lookalike(name: str, names: Iterable[str], *, alike: float = ALIKE) -> str | None:
    """Find the name that resembles another one most, by letters and digits alone.

    Args:
        name: A name that does not exist.
        names: Those that do.
        alike: How much they must resemble each other, from 0 to 1.

    Returns:
        The most similar name, or ``None`` where none is similar enough.
    """
    plain = {_plain(each): each for each in names}
    found = get_close_matches(_plain(name), plain, n=1, cutoff=alike)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())
