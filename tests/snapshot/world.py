"""Customer.io as the sandbox has it, loaded with and without a snapshot."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from support.ordering import Order, need_order

from target_customerio.json_codec import encode
from target_customerio.sandbox import catalogue, objects
from target_customerio.sandbox.store import TABLES
from target_customerio.sandbox.views import VIEWS as SANDBOX_VIEWS
from target_customerio.sandbox.workspace import Transaction
from target_customerio.snapshot.snapshot import Snapshot
from target_customerio.track_api.operations import SegmentAdd, SegmentChange

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from target_customerio.delivery.queued_operation import QueuedOperation
    from target_customerio.snapshot.comparison import Decision
    from target_customerio.snapshot.effects import Ticket
    from target_customerio.track_api.operations import Operation

    Decided: TypeAlias = tuple[int, Operation, Decision]
    """An operation with its position in the run, and what was decided on it."""

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


@dataclass
class Faults:
    """What goes wrong in a run.

    Attributes:
        refused: Positions of operations that Customer.io refuses.
        given_up: Positions of those that never get an answer; at even positions
            Customer.io has applied them.
        unsendable: Positions of those that are rejected before they are sent.
        halved: Whether each half of a request is answered on its own.
    """

    refused: frozenset[int] = frozenset()
    given_up: frozenset[int] = frozenset()
    unsendable: frozenset[int] = frozenset()
    halved: bool = False

    def accepts(self, position: int) -> bool:
        if position in self.given_up:
            return not position % 2
        return position not in self.refused


class Request:
    """Operations that are sent together, with what was decided on them.

    Attributes:
        steps: What is left to do, a step at a time; it ends once all are answered.
        queued: What orders those that are sent.
    """

    def __init__(self, steps: Iterator[None], queued: list[QueuedOperation]) -> None:
        self.steps = steps
        self.queued = queued

    def waits_for(self, other: Request) -> bool:
        """Tell whether this one is sent after an earlier one is answered.

        What a ``cio_id`` names is not known: such a request goes alone.
        """
        return (
            self.is_alone
            or other.is_alone
            or any(
                need_order(one, each) for one in self.queued for each in other.queued
            )
        )

    @property
    def is_alone(self) -> bool:
        return any(
            key.startswith("cio_id:") for each in self.queued for key in each.keys
        )


class Loader:
    """Loads operations into two worlds, one of them through a snapshot.

    Args:
        path: The snapshot.
        lag: How many requests wait to be answered while others are decided on.
        email_updates: Whether the workspaces allow updates of addresses by id.
        draw: What decides which request goes on, if several are in flight; None: one
            after the other.
    """

    def __init__(
        self,
        path: Path,
        *,
        lag: int = 0,
        email_updates: bool = False,
        draw: random.Random | None = None,
    ) -> None:
        self.path = path
        self._lag = lag
        self._draw = draw
        self.plain = World(email_updates=email_updates)
        self.compared = World(email_updates=email_updates)
        self.sent: list[Operation] = []
        self.steps_until_kill: int | None = None

    def run(
        self,
        operations: Sequence[Operation],
        *,
        window: int = 1,
        refresh: bool = False,
        stream: str = "users",
        kill_after: int | None = None,
        **faults: Any,
    ) -> bool:
        """Load operations; return False if the process was killed.

        Args:
            operations: The operations of a run.
            window: How many are decided on at once and sent in one request.
            refresh: Whether everything is taken as unknown.
            stream: The name of their stream.
            kill_after: The step at which the process is killed.
            faults: What goes wrong; see :class:`Faults`.
        """
        self.sent = []
        self.steps_until_kill = kill_after
        snapshot = Snapshot(self.path, refresh=refresh)
        order = Order()
        try:
            begun = snapshot.begin(stream, stream)
            waiting: list[Request] = []
            for start in range(0, len(operations), window):
                part = [*enumerate(operations)][start : start + window]
                decisions = snapshot.decide([(each, begun) for _, each in part])
                decided = [
                    (*each, decision)
                    for each, decision in zip(part, decisions, strict=True)
                ]
                waiting.append(self._queue(snapshot, decided, order, Faults(**faults)))
                self._step()
                while len(waiting) > self._lag:
                    self._advance(waiting)
            while waiting:
                self._advance(waiting)
            snapshot.end(begun, ended_well=True, full_table=True)
        except Killed:
            return False
        finally:
            snapshot.close()
        return True

    def _queue(
        self, snapshot: Snapshot, decided: list[Decided], order: Order, faults: Faults
    ) -> Request:
        """Return the request of the operations, without those that are not sent."""
        sent: list[Decided] = []
        queued: list[QueuedOperation] = []
        for position, operation, decision in decided:
            if decision.operation is not None and position in faults.unsendable:
                if decision.ticket is not None:
                    snapshot.reject(decision.ticket)
                continue
            each = order.add(operation, decision)
            if each is not None:
                queued.append(each)
            elif self._draw is not None:
                # Without a snapshot it would be sent before what comes later.
                self.plain.apply(operation)
                continue
            sent.append((position, operation, decision))
        return Request(self._send(snapshot, sent, faults), queued)

    def _advance(self, waiting: list[Request]) -> None:
        """Take a step of a request that waits for no earlier one."""
        free = [
            each
            for at, each in enumerate(waiting)
            if not any(each.waits_for(other) for other in waiting[:at])
        ]
        request = free[0] if self._draw is None else self._draw.choice(free)
        if next(request.steps, request) is request:
            waiting.remove(request)
        else:
            self._step()

    def _send(
        self, snapshot: Snapshot, decided: list[Decided], faults: Faults
    ) -> Iterator[None]:
        tickets = [each.ticket for _, _, each in decided if each.ticket is not None]
        intent = snapshot.intend(tickets)
        yield
        middle = len(decided) // 2 if faults.halved else 0
        for part in [decided[:middle], decided[middle:]] if middle else [decided]:
            delivered: list[Ticket] = []
            rejected: list[Ticket] = []
            for position, operation, decision in part:
                accepted = faults.accepts(position)
                if accepted:
                    self.plain.apply(operation)
                if decision.operation is not None:
                    self.sent.append(decision.operation)
                    if accepted:
                        accepted = self.compared.apply(decision.operation)
                if decision.ticket is not None and position not in faults.given_up:
                    (delivered if accepted else rejected).append(decision.ticket)
                yield
            snapshot.answer(intent, delivered, rejected)
            yield

    def _step(self) -> None:
        if self.steps_until_kill is not None:
            if not self.steps_until_kill:
                raise Killed
            self.steps_until_kill -= 1

    def check(self) -> None:
        """Check that the snapshot has made no difference."""
        assert self.compared.contents() == self.plain.contents()
