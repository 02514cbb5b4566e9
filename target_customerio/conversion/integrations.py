"""Whether a record turns Customer.io off, by its ``integrations``.

Source: "Filtering with the Integrations object" in Segment's spec, which RudderStack
shares: ``All`` is the default for every destination that has no entry of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from target_customerio.conversion.containers import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_customerio.operations import JSON

NAMES: Final = frozenset({"customerio", "customerioactions", "actionscustomerio"})
"""The names of Customer.io's destinations, by their letters alone."""

EVERYTHING: Final = "all"


def is_switch(name: str) -> bool:
    """Tell whether an entry of ``integrations`` concerns Customer.io.

    Args:
        name: The entry's name, such as ``Customer.io (Actions)`` or ``All``.

    Returns:
        Whether it does.
    """
    letters = _letters(name)
    return letters in NAMES or letters == EVERYTHING


def turns_off(
    record: Mapping[str, JSON], switches: Iterable[tuple[str, Sequence[str]]]
) -> bool:
    """Tell whether columns of a record turn Customer.io off.

    Args:
        record: The record.
        switches: The columns, and for each the way from ``integrations`` to it; none
            for a column that is the whole object.

    Returns:
        Whether they do.
    """
    entries: list[tuple[str, JSON]] = []
    for column, path in switches:
        value = record[column]
        if path:
            # Of an entry that is an object, the fields are columns of their own.
            entries.append((path[0], value if len(path) == 1 else {path[1]: value}))
        else:
            value = parsed(value)
            if isinstance(value, Mapping):
                entries += value.items()
    own = [value for name, value in entries if _letters(name) in NAMES]
    if any(value is False for value in own):
        return True
    if any(value is True or isinstance(value, Mapping) for value in own):
        return False
    return any(
        value is False for name, value in entries if _letters(name) == EVERYTHING
    )


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name)).lower()
