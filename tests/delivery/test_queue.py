"""How the queue orders operations and fills requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import event, given, settings, target
from hypothesis import strategies as st
from support.hypotheses import examples

from target_customerio.delivery.identity_links import IdentityLinks
from target_customerio.delivery.queue import OperationQueue
from target_customerio.delivery.request import QueuedOperation
from target_customerio.delivery.worker import Checkpoints
from target_customerio.track_api.endpoints import BATCH, METRICS, Endpoint, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

SEGMENT = Endpoint("/segment", b'{"ids":[', b"]}", 3)


def queued(
    *identities: str,
    linked: tuple[str, ...] = (),
    size: int = 10,
    endpoint: Endpoint = BATCH,
) -> QueuedOperation:
    return QueuedOperation("s", "l", b"x" * size, identities, linked, endpoint, None)


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
    return queued(
        *named,
        linked=linked if len(linked) > 1 else (),
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
            linger_seconds=2,
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
        self.queue.put(operation, self.now)
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
        earlier_keys = {
            key for each in self.in_flight.values() for one in each for key in one.keys
        }
        for operation in request:
            assert earlier_keys.isdisjoint(operation.keys), "a key is in flight twice"
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
                if not set(earlier.keys).isdisjoint(operation.keys):
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
            model.add(
                queued(
                    *step.identities,
                    linked=step.linked,
                    size=len(step.body),
                    endpoint=step.endpoint,
                )
            )
        elif step[0] == "wait":
            model.now += 1
        elif step[0] == "take":
            model.take(step[1] % concurrency)
        elif step[1] % concurrency in model.in_flight:
            model.finish(step[1] % concurrency)
    model.make_room()
    assert model.finished == set(range(len(model.put)))
    assert model.queue._last_by_key == {}  # noqa: SLF001 - no leak
    assert model.queue._open_requests == {}  # noqa: SLF001 - no leak
    event(f"split: {any(len(each) > 1 for each in model.requests)}")
    target(float(len(model.requests)))


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(1, 4), st.lists(operations(), max_size=50))
def test_a_worker_that_sleeps_until_its_lane_is_woken_misses_nothing(
    concurrency: int, puts: list[QueuedOperation]
) -> None:
    model = Model(concurrency)
    for each in puts:
        model.add(
            queued(
                *each.identities,
                linked=each.linked,
                size=len(each.body),
                endpoint=each.endpoint,
            )
        )
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
        queue.put(queued(f"id:{number}", size=100), 0)
    requests = [taken(queue, lane) for lane in range(4)]
    assert [len(each or []) for each in requests] == [50, 50, 50, 0]
    assert len(taken(queue, 3, now=2) or []) == 30


def test_requests_are_filled_to_the_byte_limit() -> None:
    limits = Limits(concurrency=4)
    queue = OperationQueue(limits, ignore)
    sizes = []
    for number in range(3000):
        queue.put(queued(f"id:{number}", size=500 + number % 1000), 0)
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
        queue.put(queued(f"id:{number}"), 0)
        queue.put(queued(f"delivery:{number}", endpoint=METRICS), 0)
    queue.flush()
    requests = []
    while operations := taken(queue, 0):
        requests.append(operations)
        queue.finish(0)
    assert sorted(len(each) for each in requests) == [1] * 20 + [10, 10]


def test_a_merge_waits_for_both_people() -> None:
    queue = new_queue(concurrency=2, batch_operations=1)
    queue.put(queued("id:a"), 0)
    queue.put(queued("id:b"), 0)
    queue.put(queued("id:a", "id:b", linked=("id:a", "id:b")), 0)
    assert taken(queue, 0) == [0]
    assert taken(queue, 1) == [1]
    queue.finish(1)
    assert taken(queue, 1) is None, "the merge waits for lane 0"
    queue.finish(0)
    assert taken(queue, 1) == [2]


def test_a_lane_that_blocks_another_does_not_linger() -> None:
    woken: list[int] = []
    queue = new_queue(concurrency=2, batch_operations=2, wake=woken.append)
    queue.put(queued("id:x"), 0)
    queue.put(queued("id:a"), 0)
    assert taken(queue, 0) == [0, 1]
    queue.put(queued("id:a"), 0)
    queue.put(queued("id:b"), 0)
    queue.put(queued("id:b", "id:a"), 0)
    queue.finish(0)
    assert taken(queue, 0) is None, "lingers"
    woken.clear()
    assert taken(queue, 1) is None, "full, but blocked by lane 0"
    assert woken == [0]
    assert taken(queue, 0) == [2]


def test_a_lane_is_woken_when_it_is_not_blocked_any_more() -> None:
    woken: list[int] = []
    queue = new_queue(concurrency=2, batch_operations=2, wake=woken.append)
    queue.put(queued("id:a"), 0)
    queue.put(queued("id:a"), 0)
    queue.put(queued("id:b"), 0)
    queue.put(queued("id:b", "id:a"), 0)
    assert taken(queue, 1) is None, "full, but blocked by lane 0"
    assert taken(queue, 0) == [0, 1]
    woken.clear()
    queue.finish(0)
    assert woken == [1]
    assert taken(queue, 1) == [2, 3]


def test_a_blocked_operation_is_sent_when_unblocked_if_requests_follow_it() -> None:
    queue = new_queue(concurrency=2, batch_operations=3, linger_seconds=2)
    for person in "aaab":
        queue.put(queued(f"id:{person}"), 0)
    queue.put(queued("id:c"), 0)
    queue.put(queued("id:c", "id:a"), 0)
    queue.put(queued("id:c", endpoint=METRICS), 0)
    queue.put(queued("id:c"), 0)
    assert taken(queue, 0) == [0, 1, 2]
    assert taken(queue, 1, now=2) == [3, 4], "has lingered; up to the blocked operation"
    queue.finish(0)
    queue.finish(1)
    assert taken(queue, 1) == [5], "closed, since requests follow it"
    queue.finish(1)
    assert taken(queue, 1) == [6]


def test_nothing_lingers_while_the_queue_is_full() -> None:
    woken: list[int] = []
    queue = new_queue(concurrency=1, batch_operations=2, wake=woken.append)
    queue.put(queued("id:a", endpoint=SEGMENT), 0)
    for person in "bcd":
        queue.put(queued(f"id:{person}"), 0)
    assert not queue.has_room(queued("id:e"))
    assert taken(queue, 0) is None, "the segment request lingers"
    woken.clear()
    queue.stop_lingering()
    assert woken == [0]
    assert taken(queue, 0) == [0]
    queue.finish(0)
    assert taken(queue, 0) == [1, 2]
    queue.finish(0)
    assert taken(queue, 0) is None, "lingers again, since there is room"


def test_an_operation_lingers_and_is_then_sent_alone() -> None:
    queue = new_queue(concurrency=1, linger_seconds=2)
    queue.put(queued("id:a"), 10)
    assert taken(queue, 0, now=11.9) is None
    assert queue.next_check(0, 11.9) == 12
    assert taken(queue, 0, now=12) == [0]
    assert queue.next_check(0, 12) is None


def test_an_empty_queue_takes_any_operation() -> None:
    queue = new_queue(concurrency=1, batch_bytes=10, batch_operations=1)
    large = queued("id:a", size=1000)
    assert queue.has_room(large)
    queue.put(large, 0)
    assert not queue.has_room(queued("id:b"))


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
    links = IdentityLinks(capacity)
    for (names,) in drawn:
        assert keys(links, *names, link=True) >= set(names)
        assert len(links) <= capacity
        for name in "abcdefghij":
            assert name in keys(links, name)


# Checkpoints


def test_the_newest_due_state_is_returned_once() -> None:
    checkpoints = Checkpoints()
    for sequence in (1, 2, 5):
        checkpoints.add(sequence, {"at": sequence})
    assert checkpoints.due(0) is None
    assert checkpoints.due(4) == {"at": 2}
    assert checkpoints.due(4) is None
    assert checkpoints.due(5) == {"at": 5}


def test_waiting_states_are_bounded_and_the_newest_is_kept() -> None:
    checkpoints = Checkpoints(capacity=3)
    for sequence in range(100):
        checkpoints.add(sequence, {"at": sequence})
    assert len(checkpoints) == 3
    assert checkpoints.due(1) == {"at": 1}
    assert checkpoints.due(98) is None
    assert checkpoints.due(99) == {"at": 99}


def test_a_state_at_the_same_sequence_replaces_the_one_before() -> None:
    checkpoints = Checkpoints()
    checkpoints.add(7, {"at": "first"})
    checkpoints.add(7, {"at": "second"})
    assert len(checkpoints) == 1
    assert checkpoints.due(7) == {"at": "second"}


def test_large_records_count_against_the_limit_of_the_queue() -> None:
    limits = Limits(concurrency=1)
    queue = OperationQueue(limits, ignore)
    large = queued("a")
    large.record_bytes = limits.held_record_bytes
    assert queue.has_room(large)
    queue.put(large, 0.0)
    assert queue.room == 0
    assert not queue.has_room(queued("b"))
    queue.flush()
    assert queue.take(0, 0.0) is not None
    queue.finish(0)
    assert queue.room > 0
    assert queue.has_room(queued("b"))
