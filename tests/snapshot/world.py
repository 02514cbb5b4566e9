"""Customer.io as the sandbox has it, loaded with and without a snapshot."""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from target_customerio.json_codec import encode
from target_customerio.sandbox import catalogue, objects
from target_customerio.sandbox.store import TABLES
from target_customerio.sandbox.views import VIEWS as SANDBOX_VIEWS
from target_customerio.sandbox.workspace import Transaction
from target_customerio.snapshot.snapshot import Snapshot
from target_customerio.track_api.operations import SegmentAdd, SegmentChange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_customerio.snapshot.comparison import Decision
    from target_customerio.snapshot.effects import Ticket
    from target_customerio.track_api.operations import Operation

    Request: TypeAlias = list[tuple[tuple[int, Operation], Decision]]
    """Operations with their positions in the run, and what was decided on each."""

CIO = "of-"
"""Prefix of a ``cio_id`` that stands for that of the person with the id after it."""

VIEWS = {
    "people": "SELECT id, email, phone, attributes, attributes_updated_at FROM people",
    "anonymous": "SELECT anonymous_id, person FROM anonymous_ids"
    " JOIN person_names USING (cio_id)",
    "objects": "SELECT object_type_id, object_id, attributes FROM objects",
    "relationships": "SELECT object_type_id, object_id, person, attributes"
    " FROM relationships JOIN person_names USING (cio_id)",
    "anonymous relationships": "SELECT object_type_id, object_id, anonymous_id,"
    " attributes FROM anonymous_relationships",
    "members": "SELECT segment_id, person FROM segment_members"
    " JOIN person_names USING (cio_id)",
    "suppressions": "SELECT kind, value FROM suppressions",
}


class World:
    """A workspace in memory."""

    def __init__(self, *, email_updates: bool = False) -> None:
        self._database = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA foreign_keys = ON")
        for statement in TABLES.split(";\n"):
            self._database.execute(statement)
        for name, definition in SANDBOX_VIEWS.items():
            self._database.execute(f"CREATE VIEW {name} AS {definition}")
        self._transaction = Transaction(
            self._database, "2026-01-01T00:00:00.000Z", email_updates
        )

    def apply(self, operation: Operation) -> bool:
        """Apply an operation; return whether Customer.io accepts it."""
        if isinstance(operation, SegmentChange):
            ((kind, value),) = operation.identifiers.items()
            change = (
                objects.add_to_segment
                if isinstance(operation, SegmentAdd)
                else objects.remove_from_segment
            )
            ids: list[Any] = [self._resolved(kind, value)]
            change(self._transaction, int(operation.segment_id), kind, ids)
            return True
        sent = msgspec.json.decode(encode(operation.payload()))
        for role in ("identifiers", "primary", "secondary"):
            if role in sent:
                sent[role] = {
                    kind: self._resolved(kind, value)
                    for kind, value in sent[role].items()
                }
        for related in sent.get("cio_relationships", ()):
            related["identifiers"] = {
                kind: self._resolved(kind, value)
                for kind, value in related["identifiers"].items()
            }
        return not catalogue.apply(self._transaction, sent)

    def _resolved(self, kind: str, value: str) -> str:
        if kind != "cio_id" or not value.startswith(CIO):
            return value
        row = self._database.execute(
            "SELECT cio_id FROM people WHERE id = ?", (value.removeprefix(CIO),)
        ).fetchone()
        return row[0] if row else "unknown"

    def contents(self) -> dict[str, list[Any]]:
        """Return everything that operations leave, in an order of its own."""
        return {
            name: sorted(map(repr, self._database.execute(view)))
            for name, view in VIEWS.items()
        }

    def attributes(self, id_: str) -> Any:
        row = self._database.execute(
            "SELECT attributes FROM people WHERE id = ?", (id_,)
        ).fetchone()
        return row and json.loads(row[0])


class Killed(Exception):  # noqa: N818 - the process, not an error
    """The process has been killed."""


class Loader:
    """Loads operations into two worlds, one of them through a snapshot.

    Args:
        path: The snapshot.
        lag: How many requests wait to be sent while others are decided on.
        email_updates: Whether the workspaces allow updates of addresses by id.
    """

    def __init__(
        self, path: Path, *, lag: int = 0, email_updates: bool = False
    ) -> None:
        self.path = path
        self._lag = lag
        self.plain = World(email_updates=email_updates)
        self.compared = World(email_updates=email_updates)
        self.sent: list[Operation] = []
        self.steps_until_kill: int | None = None

    def run(
        self,
        operations: Sequence[Operation],
        *,
        window: int = 1,
        refused: frozenset[int] = frozenset(),
        refresh: bool = False,
        stream: str = "users",
        kill_after: int | None = None,
    ) -> bool:
        """Load operations; return False if the process was killed.

        Args:
            operations: The operations of a run.
            window: How many are decided on at once and sent in one request.
            refused: Positions of those that Customer.io refuses.
            refresh: Whether everything is taken as unknown.
            stream: The name of their stream.
            kill_after: The step at which the process is killed.
        """
        self.sent = []
        self.steps_until_kill = kill_after
        snapshot = Snapshot(self.path, refresh=refresh)
        try:
            held = snapshot.begin(stream, stream)
            waiting: deque[Request] = deque()
            for start in range(0, len(operations), window):
                part = [*enumerate(operations)][start : start + window]
                decisions = snapshot.decide([(each, held) for _, each in part])
                waiting.append([*zip(part, decisions, strict=True)])
                self._step()
                if len(waiting) > self._lag:
                    self._send(snapshot, waiting.popleft(), refused)
            for request in waiting:
                self._send(snapshot, request, refused)
            snapshot.end(held, well=True, full_table=True)
        except Killed:
            return False
        finally:
            snapshot.close()
        return True

    def _send(
        self, snapshot: Snapshot, request: Request, refused: frozenset[int]
    ) -> None:
        tickets = [each.ticket for _, each in request if each.ticket is not None]
        intent = snapshot.intend(tickets)
        self._step()
        delivered: list[Ticket] = []
        rejected: list[Ticket] = []
        for (position, operation), decision in request:
            accepted = position not in refused
            if accepted:
                self.plain.apply(operation)
            if decision.operation is not None:
                self.sent.append(decision.operation)
                if accepted:
                    accepted = self.compared.apply(decision.operation)
            if decision.ticket is not None:
                (delivered if accepted else rejected).append(decision.ticket)
            self._step()
        snapshot.answer(intent, delivered, rejected)
        self._step()

    def _step(self) -> None:
        if self.steps_until_kill is not None:
            if not self.steps_until_kill:
                raise Killed
            self.steps_until_kill -= 1

    def check(self) -> None:
        """Check that the snapshot has made no difference."""
        assert self.compared.contents() == self.plain.contents()
