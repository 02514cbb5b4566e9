"""Runs of one pipeline with a snapshot, and what each of them sends."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .command import Outcome, Terminal
    from .singer import Message, Singer

CALLS = {
    "users": "identify",
    "crm": "identify",
    "companies": "group",
    "members": "segment",
}


class Loads:
    """Runs of one pipeline with a snapshot, into one sandbox."""

    def __init__(self, terminal: Terminal, singer: Singer) -> None:
        self.terminal = terminal
        self.singer = singer
        self.seen = 0
        self.settings: dict[str, Any] = {
            "snapshot": "snapshot.db",
            "stream_calls": {**CALLS},
        }

    def messages(self, tables: dict[str, list[dict[str, Any]]]) -> list[Message]:
        """Return the tables as full tables of a tap."""
        messages: list[Message] = []
        for stream, rows in tables.items():
            messages.append(self.singer.schema(stream))
            messages += [self.singer.record(stream, **row) for row in rows]
        bookmarks: dict[str, Any] = {stream: {} for stream in tables}
        return [*messages, self.singer.state(bookmarks=bookmarks)]

    def run(
        self, *, settings: dict[str, Any] | None = None, **tables: list[dict[str, Any]]
    ) -> Outcome:
        return self.terminal.run(
            *self.messages(tables), **{**self.settings, **(settings or {})}
        )

    def type(self, *arguments: str, **settings: Any) -> Outcome:
        """Run the command with the same settings and other options."""
        config = self.terminal.write(
            {"sandbox": "workspace.db", **self.settings, **settings}
        )
        return self.terminal.type("--config", config, *arguments)

    def sent(self, **options: Any) -> list[dict[str, Any]]:
        """Run, and return the operations that were sent."""
        outcome = self.run(**options)
        assert outcome.code == 0, outcome.stderr
        return self.new()

    def new(self) -> list[dict[str, Any]]:
        """Return the operations that were sent since the last call."""
        with closing(sqlite3.connect(self.terminal.folder / "workspace.db")) as base:
            rows = base.execute(
                "SELECT body FROM requests WHERE method = 'POST' ORDER BY sequence"
            ).fetchall()
        bodies = [json.loads(body) for (body,) in rows[self.seen :]]
        self.seen = len(rows)
        return [each for body in bodies for each in body.get("batch", [body])]
