"""Which streams of a run are full tables, by the bookmarks in its STATE messages.

Every STATE counts, not the last one alone: a tap that goes on with a table where it
stopped removes the bookmark at the end. Taps whose STATE always has all bookmarks show
the place where they start in the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection


BOOKMARKS: Final = "bookmarks"
SYNCING: Final = "currently_syncing"
"""The stream that a tap was reading; taps with ``singer-python`` write it."""

PARTITIONS: Final = "partitions"
OF_FULL_TABLES: Final = frozenset({"context", "initial_full_table_complete", "version"})
"""Entries of a bookmark that full tables have: which partition of a stream it is (SDK),
the version of the table (``singer-python``), and that it was read (tap-mysql)."""

METHOD: Final = "last_replication_method"
"""How a stream was read (pipelinewise)."""
FULL_TABLE: Final = "FULL_TABLE"

PROGRESS: Final = "xmin"
"""How far a full table was read (pipelinewise): null before and after it."""

_SEPARATORS: Final = "-._:/"


class Bookmarks:
    """Collects the bookmarks of a run."""

    def __init__(self) -> None:
        """Start without bookmarks."""
        self._partial: set[str] = set()
        self._seen: set[str] = set()
        self._in_progress: set[str] = set()
        self._is_unknown = False

    def add(self, state: Any) -> None:  # noqa: ANN401 - whatever a tap writes
        """Add the bookmarks of a STATE message."""
        if not isinstance(state, dict):
            self._is_unknown |= state is not None
            return
        bookmarks = state.get(BOOKMARKS) or {}
        others = (
            value
            for name, value in state.items()
            if name not in {BOOKMARKS, SYNCING} and _holds(value)
        )
        if not isinstance(bookmarks, dict) or any(True for _ in others):
            self._is_unknown = True
            return
        for name, bookmark in bookmarks.items():
            self._note(name, bookmark)

    def _note(self, name: str, bookmark: Any) -> None:  # noqa: ANN401 - likewise
        self._in_progress.discard(name)
        if not is_full(bookmark):
            # A table that was begun in this run may be read to its end.
            is_begun = name in self._seen and is_in_progress(bookmark)
            (self._in_progress if is_begun else self._partial).add(name)
        self._seen.add(name)

    def is_full_table(self, stream: str, streams: Collection[str]) -> bool:
        """Return whether no bookmark says that only a part of a stream was read.

        Some taps name a bookmark with the database and the schema, and the stream
        without them. So a bookmark that no stream has counts for all whose names it
        ends with.

        Args:
            stream: The stream as the tap names it.
            streams: All streams of the run.
        """
        partial = self._partial | self._in_progress
        if self._is_unknown or stream in partial:
            return False
        names = (name.lower() for name in partial.difference(streams))
        endings = tuple(f"{separator}{stream.lower()}" for separator in _SEPARATORS)
        return not any(
            name == stream.lower() or name.endswith(endings) for name in names
        )


def is_full(bookmark: Any) -> bool:  # noqa: ANN401 - whatever a tap writes
    """Return whether a bookmark has only what bookmarks of full tables have."""
    if not isinstance(bookmark, dict):
        return not _holds(bookmark)
    for name, value in bookmark.items():
        if name == PARTITIONS and isinstance(value, list):
            if not all(isinstance(each, dict) and is_full(each) for each in value):
                return False
        elif name == METHOD:
            if value not in (None, FULL_TABLE):
                return False
        elif name not in OF_FULL_TABLES and _holds(value):
            return False
    return True


def is_in_progress(bookmark: Any) -> bool:  # noqa: ANN401 - whatever a tap writes
    """Return whether a bookmark belongs to a full table that is being read."""
    return (
        isinstance(bookmark, dict)
        and bookmark.get(METHOD) == FULL_TABLE
        and is_full({**bookmark, PROGRESS: None})
    )


def _holds(value: Any) -> bool:  # noqa: ANN401 - whatever a tap writes
    """Return whether a value in STATE says anything."""
    return value is not None and value not in ({}, [], "")
