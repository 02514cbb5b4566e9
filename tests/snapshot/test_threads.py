"""One thread decides while others send: what is known never runs ahead of answers."""

from __future__ import annotations

import random
from queue import Queue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.snapshot.snapshot import Snapshot
from target_customerio.track_api.operations import (
    ObjectIdentify,
    PersonDelete,
    PersonIdentify,
    Relationship,
)

from .world import World

if TYPE_CHECKING:
    from pathlib import Path

    from target_customerio.track_api.operations import Attributes, Operation

LANES = 3


def operation(draw: random.Random, lane: int) -> Operation:
    """Return an operation on people of one lane, and maybe on a shared object."""
    id_ = f"{lane}-{draw.randrange(3)}"
    chance = draw.random()
    if chance < 0.1:
        return PersonDelete(identifiers={"id": id_})
    if chance < 0.3:
        return ObjectIdentify(
            identifiers={"object_type_id": "1", "object_id": "acme"},
            attributes={},
            cio_relationships=[
                Relationship(
                    identifiers={"id": id_},
                    relationship_attributes={"role": draw.choice("ab")},
                )
            ],
        )
    attributes: Attributes = {name: draw.randrange(2) for name in draw.sample("pqr", 2)}
    return PersonIdentify(identifiers={"id": id_}, attributes=attributes)


@pytest.mark.parametrize("seed", range(5))
def test_it_ends_as_without_a_snapshot(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    plain, compared, lock = World(), World(), Lock()
    unchanged = 0
    for _ in range(3):
        snapshot = Snapshot(tmp_path / "snapshot.db")
        stream = snapshot.begin("users", "users")
        queues: list[Queue[Any]] = [Queue() for _ in range(LANES)]
        threads = [
            Thread(
                target=send, args=(snapshot, queue, compared, lock, seed), daemon=True
            )
            for queue in queues
        ]
        for thread in threads:
            thread.start()
        for _ in range(60):
            lanes = [draw.randrange(LANES) for _ in range(draw.randint(1, 6))]
            operations = [operation(draw, lane) for lane in lanes]
            with lock:
                for each in operations:
                    plain.apply(each)
            decisions = snapshot.decide([(each, stream) for each in operations])
            unchanged += sum(each.operation is None for each in decisions)
            for lane in {*lanes}:
                queues[lane].put(
                    [
                        each
                        for each, own in zip(decisions, lanes, strict=True)
                        if own == lane and each.operation is not None
                    ]
                )
            if draw.random() < 0.3:  # else the answers may come after all decisions
                draw.choice(queues).join()
        for queue, thread in zip(queues, threads, strict=True):
            queue.put(None)
            thread.join()
        snapshot.end(stream, ended_well=True, full_table=True)
        snapshot.close()
        assert compared.contents() == plain.contents()
    assert unchanged


def send(
    snapshot: Snapshot, queue: Queue[Any], world: World, lock: Lock, seed: int
) -> None:
    draw = random.Random(seed)
    while (decisions := queue.get()) is not None:
        tickets = [each.ticket for each in decisions]
        if tickets:
            intent = snapshot.intend(tickets)
            with lock:
                for each in decisions:
                    world.apply(each.operation)
            middle = draw.randint(0, len(tickets))
            snapshot.answer(intent, tickets[:middle])
            snapshot.answer(intent, tickets[middle:])
        queue.task_done()
