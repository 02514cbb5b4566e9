"""Looks after a snapshot: what it knows, and dropping what a retired stream held."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tabulate import tabulate

from target_customerio.errors import SnapshotError
from target_customerio.results.counters import counted, counted_kinds
from target_customerio.settings.similar_names import closest_name
from target_customerio.snapshot.file import located, reading
from target_customerio.snapshot.snapshot import Snapshot
from target_customerio.snapshot.streams import STATUSES, Streams
from target_customerio.snapshot.tables import KINDS, meta

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from target_customerio.snapshot.streams import Stream

ALIKE_STREAMS = 0.5
"""Similarity from which a stream is named as the one that may be meant."""


def described(path: Path) -> str:
    """Return a description of a snapshot for ``--snapshot-info``. A run may use it.

    Raises:
        SnapshotError: The snapshot does not exist or cannot be read.
    """
    with reading(path) as database:
        return "\n".join((*_file(database, path), "", *_streams(database)))


def _file(database: sqlite3.Connection, path: Path) -> Iterator[str]:
    workspace = meta(database, "workspace")
    beside = [path.with_name(f"{path.name}-wal"), path]
    size = sum(each.stat().st_size for each in beside if each.exists())
    yield f"Snapshot {path}, {size / 1e6:,.1f} MB"
    yield f"Workspace {workspace}" if workspace else "Not used yet: no workspace"
    counts = dict(
        database.execute("SELECT kind, count(*) FROM entries GROUP BY kind").fetchall()
    )
    yield counted_kinds({kind: counts.get(at, 0) for at, kind in enumerate(KINDS)})
    (names,) = database.execute("SELECT count(*) FROM names").fetchone()
    (unanswered,) = database.execute("SELECT count(*) FROM intents").fetchone()
    yield (
        f"{counted(names, 'name of an attribute', 'names of attributes')}, "
        f"{counted(unanswered, 'request')} without an answer"
    )


def _streams(database: sqlite3.Connection) -> Iterator[str]:
    streams = [*Streams(database)]
    if not streams:
        yield "No streams"
        return
    yield tabulate(
        [row for each in streams for row in _rows(each)],
        headers=["stream", "call", "last run", "", "held", "", "missing"],
        tablefmt="simple",
        disable_numparse=True,
        colalign=["left", "left", "left", "left", "right", "left", "right"],
    )
    for status in sorted({each.status for each in streams}):
        yield f"{status}: {STATUSES[status]}"


def _rows(stream: Stream) -> Iterator[tuple[str, ...]]:
    call = f"{stream.call}, update_only" if stream.update_only else stream.call
    head: tuple[str, ...] = (stream.title, call, stream.ended_at or "", stream.status)
    for kind, held, missing in _held(stream) or [("", 0, 0)]:
        yield (*head, f"{held:,}", kind, f"{missing:,}")
        head = ("", "", "", "")


def _held(stream: Stream) -> list[tuple[str, int, int]]:
    """Return each kind of entry with the numbers of held and of missing ones."""
    held, missing = stream.counts
    return [
        (kind, held[kind], missing[kind])
        for kind in held
        if held[kind] or missing[kind]
    ]


def forget(path: Path, name: str) -> str:
    """Drop what a stream held, without touching Customer.io.

    Args:
        path: The snapshot.
        name: The stream's name after stream maps; with its name in the tap in
            parentheses for one of several sources, as ``--snapshot-info`` shows it.

    Returns:
        What was dropped, as text.

    Raises:
        SnapshotError: The snapshot has no such stream, or cannot be used.
    """
    if not located(path).exists():
        raise SnapshotError(
            f"snapshot: {path} does not exist; check the path and the working directory"
        )
    with contextlib.closing(Snapshot(path)) as snapshot:
        streams = [each for each in snapshot.streams if name in {each.name, each.title}]
        if not streams:
            raise SnapshotError(
                _unknown(name, [each.title for each in snapshot.streams])
            )
        dropped = [
            f"{each.title} held {_texts(_held(each)) or 'nothing'}" for each in streams
        ]
        for each in streams:
            snapshot.forget(each)
    return f"Forgotten: {'; '.join(dropped)}. Nothing was changed in Customer.io"


def _texts(held: Iterable[tuple[str, int, int]]) -> str:
    return counted_kinds({kind: count + missing for kind, count, missing in held})


def _unknown(name: str, streams: list[str]) -> str:
    if not streams:
        return f"The snapshot has no stream {name!r}: it has no streams"
    closest = closest_name(name, streams, alike=ALIKE_STREAMS)
    meant = "" if closest is None else f" (did you mean {closest!r}?)"
    return (
        f"The snapshot has no stream {name!r}{meant}; it has "
        f"{', '.join(map(repr, streams))}"
    )
