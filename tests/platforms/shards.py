"""The combined contents of several workspaces."""

from __future__ import annotations

import json
from typing import Any


def union(snapshots: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge snapshots; entries in several of them must be equal.

    An object is in every workspace with a person related to it.
    """
    merged: dict[str, Any] = {}
    for part, first in snapshots[0].items():
        if isinstance(first, dict):
            merged[part] = {}
            for snapshot in snapshots:
                for name, row in snapshot[part].items():
                    assert merged[part].setdefault(name, row) == row
        else:
            rows = [row for snapshot in snapshots for row in snapshot[part]]
            merged[part] = sorted(rows, key=_text)
    return merged


def ordered(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot with its lists in the order of :func:`union`."""
    return {
        part: rows if isinstance(rows, dict) else sorted(rows, key=_text)
        for part, rows in snapshot.items()
    }


def _text(row: Any) -> str:
    return json.dumps(row, sort_keys=True, default=str)
