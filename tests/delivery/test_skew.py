"""How fast recurring people are sent: the queue with simulated connections."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from itertools import accumulate, count, islice
from random import Random
from typing import TYPE_CHECKING

import pytest

from target_customerio.delivery.queue import OperationQueue
from target_customerio.delivery.queued_operation import QueuedOperation
from target_customerio.track_api.endpoints import BATCH, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CONNECTIONS = 8
LATENCY = 0.2
SECONDS_PER_OPERATION = 1 / 70_000
COUNT = 50_000
COMPANY = "object:1:company"


def operation(person: object, *, company: str = "") -> QueuedOperation:
    """One of the usual size; ``company`` is "shared" or "own"."""
    names = (f"id:{person}", COMPANY) if company == "own" else (f"id:{person}",)
    shared = (COMPANY,) if company == "shared" else ()
    body = b"x" * 440
    return QueuedOperation("s", "l", body, names, (), BATCH, None, shared=shared)


class Connections:
    """Connections that send what the queue gives them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sizes: list[int] = []
        self.queue = OperationQueue(Limits(concurrency=CONNECTIONS), lambda _: None)
        self.busy: list[tuple[float, int]] = []
        self.free = list(range(CONNECTIONS))

    def send(self) -> None:
        while self.free and (taken := self.queue.take(self.free[-1], self.now)):
            self.sizes.append(len(taken))
            heapq.heappush(self.busy, (self.now + LATENCY, self.free.pop()))

    def receive(self) -> None:
        at, connection = heapq.heappop(self.busy)
        self.now = max(self.now, at)
        self.queue.finish(connection)
        self.free.append(connection)
        self.send()

    def deliver(self, operations: Iterable[QueuedOperation]) -> None:
        for number, each in enumerate(operations):
            each.memory += 1_200  # the record
            while not self.queue.has_room(each):
                self.queue.send_partial_requests()
                self.send()
                self.receive()
            self.now += SECONDS_PER_OPERATION
            self.queue.put([each], self.now)
            if number % 100 == 0:
                self.send()
                while self.busy and self.busy[0][0] <= self.now:
                    self.receive()
        self.queue.flush()
        self.send()
        while self.busy:
            self.receive()


def zipf(people: int, exponent: float) -> Callable[[Random], int]:
    weights = [*accumulate(1 / (rank + 1) ** exponent for rank in range(people))]
    return lambda random: bisect_left(weights, random.random() * weights[-1])


def recurring(person: Callable[[Random], int]) -> Iterator[QueuedOperation]:
    random = Random(5)
    return (operation(person(random)) for _ in range(COUNT))


def seconds(operations: Iterable[QueuedOperation]) -> float:
    connections = Connections()
    connections.deliver(operations)
    assert sum(connections.sizes) == COUNT
    before_the_end = connections.sizes[: -2 * CONNECTIONS]
    assert sum(before_the_end) >= 900 * len(before_the_end), "requests are not full"
    return connections.now


@pytest.fixture(scope="module")
def seconds_of_distinct_people() -> float:
    return seconds(operation(number) for number in range(COUNT))


@pytest.mark.parametrize(
    ("operations", "share"),
    [
        (recurring(zipf(50_000, 1.0)), 0.8),
        (recurring(zipf(50_000, 1.2)), 0.55),
        (recurring(lambda random: random.randrange(500)), 0.75),
        ((operation(each, company="shared") for each in range(COUNT)), 0.95),
    ],
    ids=["zipf 1.0", "zipf 1.2", "500 people", "memberships of one company"],
)
def test_recurring_people_use_the_connections(
    operations: Iterable[QueuedOperation],
    share: float,
    seconds_of_distinct_people: float,
) -> None:
    assert seconds_of_distinct_people / seconds(operations) >= share


def test_operations_on_one_object_keep_its_order() -> None:
    """One request after the other, but each of them full."""
    took = seconds(operation(each, company="own") for each in range(COUNT))
    assert took == pytest.approx(COUNT / 1000 * LATENCY, rel=0.1)


def test_a_slow_feed_is_not_split() -> None:
    connections = Connections()
    for number in range(1_000):
        connections.now += 0.01
        connections.queue.put([operation(number % 50)], connections.now)
        connections.send()
        while connections.busy and connections.busy[0][0] <= connections.now:
            connections.receive()
    assert min(connections.sizes) >= 150


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("size", [440, 3_000])
def test_what_many_operations_on_one_object_overtake_is_sent_in_time(
    connections: int, size: int
) -> None:
    """STATE waits for it, although each connection always has a full request."""
    queue = OperationQueue(Limits(concurrency=connections), lambda _: None)
    hot = (
        QueuedOperation(
            "s", "l", b"x" * size, (f"o{each % connections}",), (), BATCH, 0
        )
        for each in count()
    )
    busy: list[tuple[float, int]] = []
    free = [*range(connections)]
    now = 0.0
    for each in islice(hot, 100):
        queue.put([each], now)
    overtaken = operation("overtaken")
    queue.put([overtaken], now)
    following = next(hot)
    while not overtaken.is_sent:
        assert now < 15
        while queue.has_room(following):
            queue.put([following], now)
            following = next(hot)
        queue.send_partial_requests()
        for connection in tuple(free):
            if queue.take(connection, now):
                free.remove(connection)
                heapq.heappush(
                    busy, (now + LATENCY * (1 + connection / 10), connection)
                )
        now, connection = heapq.heappop(busy)
        queue.finish(connection)
        free.append(connection)
