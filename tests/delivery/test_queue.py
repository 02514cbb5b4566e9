"""How the queue orders operations and fills requests."""

from __future__ import annotations

import tracemalloc
from itertools import chain
from sys import getsizeof
from time import process_time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import event, given, settings, target
from hypothesis import strategies as st
from support.hypotheses import examples
from support.ordering import need_order

from target_customerio.delivery.identity_links import ENTRY_MEMORY, IdentityLinks
from target_customerio.delivery.queue import OperationQueue
from target_customerio.delivery.queued_operation import (
    QueuedOperation,
    encode_operation,
)
from target_customerio.delivery.worker import Checkpoints
from target_customerio.track_api.endpoints import BATCH, METRICS, Endpoint, Limits
from target_customerio.track_api.operations import PersonEvent, PersonIdentify

if TYPE_CHECKING:
    from collections.abc import Callable

SEGMENT = Endpoint("/segment", b'{"ids":[', b"]}", 3)


def queued(
    *identities: str,
    linked: tuple[str, ...] = (),
    shared: tuple[str, ...] = (),
    size: int = 10,
    endpoint: Endpoint = BATCH,
) -> QueuedOperation:
    return QueuedOperation(
        "s", "l", b"x" * size, identities, linked, endpoint, None, shared=shared
    )


def again(operation: QueuedOperation) -> QueuedOperation:
    """Return an equal operation that was not queued yet."""
    return queued(
        *operation.identities,
        linked=operation.linked,
        shared=operation.shared,
        size=len(operation.body),
        endpoint=operation.endpoint,
    )


def ignore(_: int) -> None:
    pass


def new_queue(wake: Callable[[int], None] = ignore, **limits: Any) -> OperationQueue:
    return OperationQueue(Limits(**limits), wake)


def taken(queue: OperationQueue, lane: int, now: float = 0) -> list[int] | None:
    operations = queue.take(lane, now)
    return None if operations is None else [each.sequence for each in operations]


@st.composite
def operations(draw: st.DrawFn) -> QueuedOperation:
    people = st.sampled_from([f"id:{number}" for number in range(12)])
    named = tuple(draw(st.lists(people, min_size=1, max_size=3)))
    linked = tuple(dict.fromkeys(named)) if draw(st.integers(0, 4)) == 0 else ()
    shared = draw(st.lists(st.sampled_from(["id:10", "id:11", "o"]), max_size=2))
    return queued(
        *named,
        linked=linked if len(linked) > 1 else (),
        shared=tuple({*shared} - {*named}),
        size=draw(st.integers(1, 40)),
        endpoint=draw(st.sampled_from([BATCH, BATCH, BATCH, METRICS, SEGMENT])),
    )


class Model:
    """Drives a queue and checks its invariants at every step."""

    def __init__(self, concurrency: int) -> None:
        self.limits = Limits(
            concurrency=concurrency,
            batch_bytes=100,
            batch_operations=4,
            flush_interval_seconds=2,
        )
        self.woken: set[int] = set()
        self.queue = OperationQueue(self.limits, self.woken.add)
        self.now = 0.0
        self.put: list[QueuedOperation] = []
        self.in_flight: dict[int, list[QueuedOperation]] = {}
        self.finished: set[int] = set()
        self.requests: list[list[QueuedOperation]] = []
        self.people: dict[str, set[str]] = {}

    def add(self, operation: QueuedOperation) -> None:
        if not self.queue.has_room(operation):
            self.make_room()
        self.queue.put([operation], self.now)
        assert operation.sequence == len(self.put)
        self.put.append(operation)

    def make_room(self) -> None:
        while self.queue.held_operations:
            before = len(self.finished)
            self.now += 2
            for lane in range(self.limits.concurrency):
                self.take(lane)
            for lane in list(self.in_flight):
                self.finish(lane)
            assert len(self.finished) > before, "deadlock"

    def take(self, lane: int) -> None:
        taken = self.queue.take(lane, self.now)
        if taken is None:
            return
        request = list(taken)
        assert lane not in self.in_flight
        self.check_request(request)
        for operation in request:
            for other in chain.from_iterable(self.in_flight.values()):
                assert not need_order(operation, other), "a key is in flight twice"
        self.check_order(request)
        self.in_flight[lane] = request
        self.requests.append(request)

    def check_request(self, request: list[QueuedOperation]) -> None:
        (endpoint,) = {each.endpoint for each in request}
        assert len(request) <= min(
            endpoint.max_operations or 99, self.limits.batch_operations
        )
        if len(request) > 1:
            body = endpoint.body(each.body for each in request)
            assert len(body) <= self.limits.batch_bytes

    def check_order(self, request: list[QueuedOperation]) -> None:
        sequences = [each.sequence for each in request]
        assert sequences == sorted(sequences)
        for operation in request:
            for earlier in self.put[: operation.sequence]:
                if need_order(earlier, operation):
                    assert earlier.sequence in self.finished or earlier in request

    def finish(self, lane: int) -> None:
        for each in self.in_flight.pop(lane):
            assert each.sequence not in self.finished, "sent twice"
            self.finished.add(each.sequence)
        self.queue.finish(lane)
        self.check_watermark()

    def check_watermark(self) -> None:
        unfinished = [
            each.sequence for each in self.put if each.sequence not in self.finished
        ]
        assert self.queue.low_watermark == min(unfinished, default=len(self.put))
        assert self.queue.held_operations == len(unfinished)
        assert self.queue.held_bytes == sum(
            len(self.put[each].body) for each in unfinished
        )


STEPS = st.lists(
    st.one_of(
        operations(),
        operations(),
        operations(),
        st.tuples(st.sampled_from(["take", "finish"]), st.integers(0, 3)),
        st.just(("wait", 0)),
    ),
    max_size=60,
)


@settings(max_examples=examples(250), deadline=None)
@given(st.integers(1, 4), STEPS)
def test_operations_keep_their_order_per_key_without_deadlock(
    concurrency: int, steps: list[Any]
) -> None:
    model = Model(concurrency)
    for step in steps:
        if isinstance(step, QueuedOperation):
            model.add(again(step))
        elif step[0] == "wait":
            model.now += 1
        elif step[0] == "take":
            model.take(step[1] % concurrency)
        elif step[1] % concurrency in model.in_flight:
            model.finish(step[1] % concurrency)
    model.make_room()
    assert model.finished == set(range(len(model.put)))
    assert model.queue._last_by_key == {}  # noqa: SLF001 - no leak
    assert model.queue._sharing == {}  # noqa: SLF001 - no leak
    assert model.queue._pools == {}  # noqa: SLF001 - no leak
    event(f"split: {any(len(each) > 1 for each in model.requests)}")
    target(float(len(model.requests)))


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(1, 4), st.lists(operations(), max_size=50))
def test_a_worker_that_sleeps_until_its_lane_is_woken_misses_nothing(
    concurrency: int, puts: list[QueuedOperation]
) -> None:
    model = Model(concurrency)
    for each in puts:
        model.add(again(each))
    model.woken.update(range(concurrency))
    while model.queue.held_operations:
        before = len(model.finished)
        while model.woken:
            lane = model.woken.pop()
            model.take(lane)
            if lane in model.in_flight:
                model.finish(lane)
                model.woken.add(lane)
        times = [model.queue.next_check(lane, model.now) for lane in range(concurrency)]
        waits = [each for each in times if each is not None]
        if waits:
            model.now = min(waits)
            model.woken.update(
                lane for lane, each in enumerate(times) if each == model.now
            )
        else:
            assert len(model.finished) > before or not model.queue.held_operations


def test_operations_on_different_people_fill_one_request_after_the_other() -> None:
    limits = Limits(concurrency=4, batch_bytes=10_000, batch_operations=50)
    queue = OperationQueue(limits, ignore)
    for number in range(180):
        queue.put([queued(f"id:{number}", size=100)], 0)
    requests = [taken(queue, lane) for lane in range(4)]
    assert [len(each or []) for each in requests] == [50, 50, 50, 0]
    assert len(taken(queue, 3, now=2) or []) == 30


def test_requests_are_filled_to_the_byte_limit() -> None:
    limits = Limits(concurrency=4)
    queue = OperationQueue(limits, ignore)
    sizes = []
    for number in range(3000):
        queue.put([queued(f"id:{number}", size=500 + number % 1000)], 0)
        for lane in range(4):
            operations = queue.take(lane, 0)
            if operations:
                sizes.append(len(BATCH.body(each.body for each in operations)))
                queue.finish(lane)
    assert len(sizes) >= 5
    assert min(sizes) > 0.99 * limits.batch_bytes
    assert max(sizes) <= limits.batch_bytes


def test_operations_of_another_endpoint_in_between_leave_requests_full() -> None:
    queue = new_queue(concurrency=1, batch_operations=10)
    for number in range(20):
        queue.put([queued(f"id:{number}")], 0)
        queue.put([queued(f"delivery:{number}", endpoint=METRICS)], 0)
    queue.flush()
    requests = []
    while operations := taken(queue, 0):
        requests.append(operations)
        queue.finish(0)
    assert sorted(len(each) for each in requests) == [1] * 20 + [10, 10]


def test_a_merge_waits_for_both_people() -> None:
    queue = new_queue(concurrency=2, batch_operations=1)
    queue.put([queued("id:a")], 0)
    queue.put([queued("id:b")], 0)
    assert taken(queue, 0) == [0]
    assert taken(queue, 1) == [1]
    queue.put([queued("id:a", "id:b", linked=("id:a", "id:b"))], 0)
    queue.finish(1)
    assert taken(queue, 1) is None, "the merge waits for the other person"
    queue.finish(0)
    assert taken(queue, 1) == [2]


def test_a_person_in_flight_is_waited_for_by_no_other() -> None:
    queue = new_queue(concurrency=3, batch_operations=2)
    for person in "ab":
        queue.put([queued(f"id:{person}")], 0)
    assert taken(queue, 0) == [0, 1]
    for person in "acbdef":
        queue.put([queued(f"id:{person}")], 0)
    assert taken(queue, 1) == [3, 5]
    assert taken(queue, 2) == [6, 7]
    queue.finish(0)
    assert taken(queue, 0) == [2, 4]


def test_a_person_with_many_operations_goes_first() -> None:
    queue = new_queue(concurrency=1, batch_operations=40)
    queue.put([queued("id:hot")], 0)
    queue.flush()
    assert taken(queue, 0) == [0]
    queue.flushing = False
    for number in range(80):
        queue.put([queued("id:hot" if number % 2 else f"id:{number}")], 0)
    queue.finish(0)
    assert taken(queue, 0) == list(range(2, 81, 2))


@pytest.mark.parametrize("first", ["hot", "warm"])
def test_the_person_with_most_operations_goes_first(first: str) -> None:
    """Else a part of them would have to wait for the end of another request."""
    queue = new_queue(concurrency=1, batch_operations=40)
    for person in (first, "warm" if first == "hot" else "hot"):
        queue.put([queued(f"id:{person}")], 0)
    queue.flush()
    assert taken(queue, 0) == [0, 1]
    queue.flushing = False
    for number in range(60):
        queue.put([queued("id:warm" if number % 3 == 0 else "id:hot")], 0)
    queue.finish(0)
    assert taken(queue, 0) == [2 + number for number in range(60) if number % 3]


def test_an_idle_connection_is_woken_for_each_full_request() -> None:
    woken: list[int] = []
    queue = new_queue(concurrency=2, batch_operations=2, wake=woken.append)
    queue.put([queued("id:a")], 0)
    assert len(woken) == 1, "to wait until the request is due"
    assert taken(queue, woken[0]) is None
    woken.clear()
    for person in "bcd":
        queue.put([queued(f"id:{person}")], 0)
    assert len(woken) == 1
    assert taken(queue, woken[0]) == [0, 1]
    assert set(woken) == {0, 1}
    assert taken(queue, woken[1]) == [2, 3]


def test_another_connection_waits_until_what_is_left_is_due() -> None:
    woken: list[int] = []
    queue = new_queue(concurrency=2, batch_operations=2, wake=woken.append)
    queue.put([queued("id:a")], 1)
    assert [taken(queue, lane, now=1) for lane in range(2)] == [None, None]
    woken.clear()
    queue.put([queued("id:b")], 1)
    queue.put([queued("id:c")], 1)
    (one,) = woken
    assert taken(queue, one, now=1) == [0, 1]
    assert woken == [one, 1 - one]
    assert taken(queue, 1 - one, now=1) is None
    assert queue.next_check(1 - one, 1) == 1 + Limits.flush_interval_seconds


def test_operations_of_another_endpoint_do_not_hold_up_full_requests() -> None:
    queue = new_queue(concurrency=1, batch_operations=2)
    queue.put([queued("id:a", endpoint=SEGMENT)], 0)
    for person in "bcd":
        queue.put([queued(f"id:{person}")], 0)
    assert not queue.has_room(queued("id:e"))
    assert taken(queue, 0) == [1, 2]


def test_partial_requests_are_sent_while_the_queue_is_full() -> None:
    woken: list[int] = []
    queue = new_queue(concurrency=1, batch_operations=2, wake=woken.append)
    for segment in "abcd":
        endpoint = Endpoint(f"/segment/{segment}", b"[", b"]", 2)
        queue.put([queued(f"id:{segment}", endpoint=endpoint)], 0)
    assert not queue.has_room(queued("id:e"))
    assert taken(queue, 0) is None, "the requests wait to be filled"
    woken.clear()
    queue.send_partial_requests()
    assert woken == [0]
    assert taken(queue, 0) == [0]
    queue.finish(0)
    assert taken(queue, 0) is None, "they wait again, since there is room"


def test_a_full_queue_waits_for_a_full_request_while_others_are_in_flight() -> None:
    queue = new_queue(concurrency=2, batch_operations=4)
    for _ in range(4):
        queue.put([queued("id:hot")], 0)
    assert taken(queue, 0) == [0, 1, 2, 3]
    for number in range(12):
        queue.put([queued("id:hot" if number else "id:a")], 0)
    assert not queue.has_room(queued("id:b"))
    queue.send_partial_requests()
    assert taken(queue, 1) is None
    queue.finish(0)
    assert taken(queue, 0) == [5, 6, 7, 8]


def test_changes_of_relationships_are_sent_at_the_same_time() -> None:
    queue = new_queue(concurrency=4, batch_operations=1)
    for person in "ab":
        queue.put([queued(f"id:{person}", shared=("o",))], 0)
    assert [taken(queue, 0), taken(queue, 1)] == [[0], [1]]
    queue.put([queued("o")], 0)
    queue.put([queued("id:c", shared=("o",))], 0)
    assert taken(queue, 2) is None, "the object waits for its relationships"
    queue.finish(0)
    assert taken(queue, 2) is None
    queue.finish(1)
    assert taken(queue, 2) == [2]
    assert taken(queue, 3) is None, "a relationship waits for its object"
    queue.finish(2)
    assert taken(queue, 3) == [3]


def test_an_operation_is_sent_alone_after_the_flush_interval() -> None:
    queue = new_queue(concurrency=1, flush_interval_seconds=2)
    queue.put([queued("id:a")], 10)
    assert taken(queue, 0, now=11.9) is None
    assert queue.next_check(0, 11.9) == 12
    assert taken(queue, 0, now=12) == [0]
    assert queue.next_check(0, 12) is None


def test_an_empty_queue_takes_any_operation() -> None:
    queue = new_queue(concurrency=1, batch_bytes=10, batch_operations=1)
    large = queued("id:a", size=1000)
    assert queue.has_room(large)
    queue.put([large], 0)
    assert not queue.has_room(queued("id:b"))


def test_many_segments_do_not_hold_a_full_queue_up() -> None:
    """The time to choose a request grows with their number, not with its square."""
    queue = new_queue()
    for number in range(6_000):
        segment = Endpoint(f"/segments/{number}", b'{"ids":[', b"]}", 1_000)
        queue.put([queued(f"id:{number}", endpoint=segment)], 0)
    queue.send_partial_requests()
    started = process_time()
    assert [taken(queue, lane, now=0.1) for lane in range(3)] == [[0], [1], [2]]
    assert process_time() - started < 0.5


# Identity links


def keys(links: IdentityLinks, *identities: str, link: bool = False) -> set[str]:
    return set(links.keys(queued(*identities, linked=identities if link else ())))


def test_linked_identities_share_a_key_afterwards() -> None:
    links = IdentityLinks()
    assert keys(links, "id:1") == {"id:1"}
    assert keys(links, "id:1", "email:a", link=True) >= {"id:1", "email:a"}
    assert keys(links, "id:1") & keys(links, "email:a")
    keys(links, "id:2", "email:b", link=True)
    assert not keys(links, "id:2") & keys(links, "email:a")
    keys(links, "email:b", "id:1", link=True)
    assert keys(links, "id:2") & keys(links, "email:a")


NAMES = st.sampled_from("abcdefghij")


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(NAMES, min_size=1, max_size=3, unique=True), st.booleans())
    )
)
def test_all_identities_of_a_person_share_a_key_with_every_link_between_them(
    steps: list[tuple[list[str], bool]],
) -> None:
    links = IdentityLinks()
    people = {name: {name} for name in "abcdefghij"}
    for names, link in steps:
        links_now = link and len(names) > 1
        before = {name: keys(links, name) for name in people}
        own = keys(links, *names, link=links_now)
        assert own >= set(names)
        if links_now:
            one = set().union(*(people[name] for name in names))
            for name in one:
                people[name] = one
                assert own & before[name]
                assert own & keys(links, name)
    for name, one in people.items():
        for other in one:
            assert keys(links, name) & keys(links, other)
        for stranger in people.keys() - one:
            assert not keys(links, name) & keys(links, stranger)


@given(
    st.lists(st.tuples(st.lists(NAMES, min_size=2, max_size=3, unique=True))),
    st.integers(0, 5),
)
def test_evicted_links_never_lose_a_named_identity(
    drawn: list[tuple[list[str]]], capacity: int
) -> None:
    links = IdentityLinks(capacity * (ENTRY_MEMORY + 2 * getsizeof("a")))
    for (names,) in drawn:
        assert keys(links, *names, link=True) >= set(names)
        assert len(links) <= capacity
        for name in "abcdefghij":
            assert name in keys(links, name)


@given(st.lists(st.tuples(NAMES, NAMES, st.integers(1, 300)), max_size=60))
def test_links_are_bounded_in_bytes(drawn: list[tuple[str, str, int]]) -> None:
    links = IdentityLinks(2_000)
    for one, other, length in drawn:
        keys(links, one, other * length, link=True)
        held = sum(
            ENTRY_MEMORY + getsizeof(child) + getsizeof(parent)
            for child, parent in links.parents.items()
        )
        assert held <= 2_000


# Checkpoints


def test_the_newest_due_state_is_returned_once() -> None:
    checkpoints = Checkpoints()
    for sequence in (1, 2, 5):
        checkpoints.add(sequence, b"%d" % sequence)
    assert checkpoints.due(0) is None
    assert checkpoints.due(4) == b"2"
    assert checkpoints.due(4) is None
    assert checkpoints.due(5) == b"5"


def test_waiting_states_are_bounded_and_the_newest_is_kept() -> None:
    checkpoints = Checkpoints(capacity=3)
    for sequence in range(100):
        checkpoints.add(sequence, b"%d" % sequence)
    assert len(checkpoints) == 3
    assert checkpoints.due(1) == b"1"
    assert checkpoints.due(98) is None
    assert checkpoints.due(99) == b"99"


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(0, 5))),
)
def test_waiting_states_are_bounded_in_bytes(
    steps: list[tuple[int, int, int]],
) -> None:
    checkpoints = Checkpoints(max_bytes=100)
    sequence = done = 0
    for more, size, finished in steps:
        sequence += more
        newest = b"x" * size
        checkpoints.add(sequence, newest)
        waiting = [state for _, state in checkpoints._states]  # noqa: SLF001
        assert sum(map(len, waiting)) <= 100
        assert waiting[-1] == newest
        done = min(sequence, done + finished)
        checkpoints.due(done)
    if steps:
        checkpoints.add(sequence + 1, b"last")
        assert checkpoints.due(sequence + 1) == b"last"
        assert len(checkpoints) == 0


def test_a_state_larger_than_the_limit_is_kept_alone() -> None:
    checkpoints = Checkpoints(max_bytes=100)
    checkpoints.add(1, b"1")
    checkpoints.add(2, b"x" * 101)
    assert len(checkpoints) == 1
    assert checkpoints.due(2) == b"x" * 101
    checkpoints.add(3, b"3")
    assert checkpoints.due(3) == b"3"


def test_a_state_at_the_same_sequence_replaces_the_one_before() -> None:
    checkpoints = Checkpoints()
    checkpoints.add(7, b"first")
    checkpoints.add(7, b"second")
    assert len(checkpoints) == 1
    assert checkpoints.due(7) == b"second"


def test_large_records_count_against_the_limit_of_the_queue() -> None:
    limits = Limits(concurrency=1)
    queue = OperationQueue(limits, ignore)
    large = queued("a")
    large.memory = limits.held_memory
    assert queue.has_room(large)
    queue.put([large], 0.0)
    assert queue.room == 0
    assert not queue.has_room(queued("b"))
    queue.flush()
    assert queue.take(0, 0.0) is not None
    queue.finish(0)
    assert queue.room > 0
    assert queue.has_room(queued("b"))


@pytest.mark.parametrize("concurrency", [1, 64])
@pytest.mark.parametrize("record", [0, 8_000])
def test_small_operations_count_against_the_limit_of_memory(
    concurrency: int, record: int
) -> None:
    limits = Limits(
        concurrency=concurrency, batch_operations=10_000, held_memory=1_000_000
    )
    queue = OperationQueue(limits, ignore)
    count = 0
    while queue.has_room(operation := queued(f"id:{count}")):
        operation.memory += record
        queue.put([operation], 0.0)
        count += 1
        assert count < 2_000
    assert queue.held_memory <= limits.held_memory + record
    assert queue.room == 0
    queue.flush()
    for lane in range(concurrency):
        while queue.take(lane, 0.0) is not None:
            queue.finish(lane)
    assert queue.held_memory == 0


def test_the_count_of_memory_is_close_to_what_is_allocated() -> None:
    queue = OperationQueue(Limits(concurrency=64), ignore)
    tracemalloc.start()
    for number in range(2_000):
        line = b"x" * 300 + b"%d" % number
        event = PersonEvent(
            identifiers={"id": f"person-{number}"},
            name=f"event {number}",
            attributes={"padding": "x" * 200},
        )
        operation = encode_operation(event, "stream", line)
        operation.memory += len(line)
        queue.put([operation], 0.0)
    allocated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.5 * queue.held_memory < allocated < queue.held_memory


@pytest.mark.parametrize("length", [256, 257, 30_000])
def test_long_identities_are_ordered_alike_and_take_little_memory(length: int) -> None:
    def event(person: str) -> QueuedOperation:
        return encode_operation(
            PersonEvent(identifiers={"id": person}, name="e", attributes={}), "", ""
        )

    def identify(person: str) -> QueuedOperation:
        return encode_operation(
            PersonIdentify(
                identifiers={"id": person}, attributes={"email": person + "@x"}
            ),
            "",
            "",
        )

    long = "x" * (length - len("id:"))
    (key,) = event(long).identities
    assert len(key) <= 256
    assert event(long).identities == (key,)
    assert event(long + "y").identities != (key,)
    (first, second), linked = (
        identify(long[:14_000]).identities,
        identify(long[:14_000]).linked,
    )
    assert set(linked) == {first, second}
    assert first in event(long[:14_000]).identities
    assert len(second) <= 256


def test_partial_requests_are_sent_while_memory_is_full() -> None:
    limits = Limits(concurrency=8, held_memory=100_000, flush_interval_seconds=60)
    queue = OperationQueue(limits, ignore)
    for lane in range(8):  # one request on its way in every lane
        queue.put([queued(f"id:{lane}")], 0.0)
        queue.flush()
        assert queue.take(lane, 0.0) is not None
        queue.flushing = False
    number = 0
    while queue.has_room(operation := queued(f"id:{number % 8}")):
        queue.put([operation], 0.0)
        number += 1
    for lane in range(8):
        queue.finish(lane)
    while queue.has_room(operation := queued("id:0")):
        queue.put([operation], 0.0)
    assert [queue.take(lane, 0.0) for lane in range(8)] == [None] * 8
    queue.send_partial_requests()
    assert any(queue.take(lane, 0.0) for lane in range(8))
