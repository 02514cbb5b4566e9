"""Which requests the lanes make of operations, and in which order they let them go."""

from __future__ import annotations

from typing import Any

from hypothesis import event, given, settings, target
from hypothesis import strategies as st

from target_customerio.delivery.lane import QueuedOperation
from target_customerio.delivery.lanes import Lanes, TieMemory
from target_customerio.delivery.worker import Checkpoints
from target_customerio.track_api.endpoints import BATCH, METRICS, Limits, Route

SEGMENT = Route("/segment", b'{"ids":[', b"]}", 3)


def queued(
    *identities: str, ties: tuple[str, ...] = (), size: int = 10, route: Route = BATCH
) -> QueuedOperation:
    return QueuedOperation("s", "l", b"x" * size, identities, ties, route, None)


def ignore(_: int) -> None:
    pass


def taken(lanes: Lanes, lane: int, now: float = 0) -> list[int] | None:
    operations = lanes.take(lane, now)
    return None if operations is None else [each.sequence for each in operations]


@st.composite
def operations(draw: st.DrawFn) -> QueuedOperation:
    people = st.sampled_from([f"id:{number}" for number in range(12)])
    named = tuple(draw(st.lists(people, min_size=1, max_size=3)))
    tied = tuple(dict.fromkeys(named)) if draw(st.integers(0, 4)) == 0 else ()
    return queued(
        *named,
        ties=tied if len(tied) > 1 else (),
        size=draw(st.integers(1, 40)),
        route=draw(st.sampled_from([BATCH, BATCH, BATCH, METRICS, SEGMENT])),
    )


class Model:
    """Drives the lanes and checks at every step what they promise."""

    def __init__(self, concurrency: int) -> None:
        self.limits = Limits(
            concurrency=concurrency,
            batch_bytes=100,
            batch_operations=4,
            linger_seconds=2,
        )
        self.woken: set[int] = set()
        self.lanes = Lanes(self.limits, self.woken.add)
        self.now = 0.0
        self.put: list[QueuedOperation] = []
        self.in_flight: dict[int, list[QueuedOperation]] = {}
        self.finished: set[int] = set()
        self.requests: list[list[QueuedOperation]] = []
        self.people: dict[str, set[str]] = {}

    def add(self, operation: QueuedOperation) -> None:
        if not self.lanes.has_room(operation):
            self.make_room()
        self.lanes.put(operation, self.now)
        assert operation.sequence == len(self.put)
        self.put.append(operation)

    def make_room(self) -> None:
        while self.lanes.held_operations:
            before = len(self.finished)
            self.now += 2
            for lane in range(self.limits.concurrency):
                self.take(lane)
            for lane in list(self.in_flight):
                self.finish(lane)
            assert len(self.finished) > before, "everything stands still"

    def take(self, lane: int) -> None:
        taken = self.lanes.take(lane, self.now)
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
        (route,) = {each.route for each in request}
        assert len(request) <= min(route.capacity or 99, self.limits.batch_operations)
        if len(request) > 1:
            body = route.body(each.body for each in request)
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
        self.lanes.finish(lane)
        self.check_watermark()

    def check_watermark(self) -> None:
        unfinished = [
            each.sequence for each in self.put if each.sequence not in self.finished
        ]
        assert self.lanes.low_watermark == min(unfinished, default=len(self.put))
        assert self.lanes.held_operations == len(unfinished)
        assert self.lanes.held_bytes == sum(
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


@settings(max_examples=250, deadline=None)
@given(st.integers(1, 4), STEPS)
def test_keys_keep_their_order_and_nothing_stands_still(
    concurrency: int, steps: list[Any]
) -> None:
    model = Model(concurrency)
    for step in steps:
        if isinstance(step, QueuedOperation):
            model.add(
                queued(
                    *step.identities,
                    ties=step.ties,
                    size=len(step.body),
                    route=step.route,
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
    assert model.lanes._holdings == {}  # noqa: SLF001 - nothing may be left behind
    assert model.lanes._filling == {}  # noqa: SLF001 - however many routes there were
    event(f"split: {any(len(each) > 1 for each in model.requests)}")
    target(float(len(model.requests)))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4), st.lists(operations(), max_size=50))
def test_waking_only_the_lanes_that_are_named_is_enough(
    concurrency: int, puts: list[QueuedOperation]
) -> None:
    """A worker that sleeps until its lane is woken or has lingered misses nothing."""
    model = Model(concurrency)
    for each in puts:
        model.add(
            queued(
                *each.identities, ties=each.ties, size=len(each.body), route=each.route
            )
        )
    model.woken.update(range(concurrency))
    while model.lanes.held_operations:
        before = len(model.finished)
        while model.woken:
            lane = model.woken.pop()
            model.take(lane)
            if lane in model.in_flight:
                model.finish(lane)
                model.woken.add(lane)
        times = [
            model.lanes.look_again_at(lane, model.now) for lane in range(concurrency)
        ]
        waits = [each for each in times if each is not None]
        if waits:
            model.now = min(waits)
            model.woken.update(
                lane for lane, each in enumerate(times) if each == model.now
            )
        else:
            assert len(model.finished) > before or not model.lanes.held_operations


def test_distinct_people_fill_requests_one_lane_after_the_other() -> None:
    limits = Limits(concurrency=4, batch_bytes=10_000, batch_operations=50)
    lanes = Lanes(limits, ignore)
    for number in range(180):
        lanes.put(queued(f"id:{number}", size=100), 0)
    requests = [taken(lanes, lane) for lane in range(4)]
    assert [len(each or []) for each in requests] == [50, 50, 50, 0]
    assert len(taken(lanes, 3, now=2) or []) == 30


def test_requests_are_filled_by_bytes_to_nine_tenths() -> None:
    limits = Limits(concurrency=4)
    lanes = Lanes(limits, ignore)
    sizes = []
    for number in range(3000):
        lanes.put(queued(f"id:{number}", size=500 + number % 1000), 0)
        for lane in range(4):
            operations = lanes.take(lane, 0)
            if operations:
                sizes.append(len(BATCH.body(each.body for each in operations)))
                lanes.finish(lane)
    assert len(sizes) >= 5
    assert min(sizes) > 0.99 * limits.batch_bytes
    assert max(sizes) <= limits.batch_bytes


def test_requests_of_another_kind_in_between_leave_the_others_full() -> None:
    lanes = Lanes(Limits(concurrency=1, batch_operations=10), ignore)
    for number in range(20):
        lanes.put(queued(f"id:{number}"), 0)
        lanes.put(queued(f"delivery:{number}", route=METRICS), 0)
    lanes.flush()
    requests = []
    while operations := taken(lanes, 0):
        requests.append(operations)
        lanes.finish(0)
    assert sorted(len(each) for each in requests) == [1] * 20 + [10, 10]


def test_a_merge_waits_for_both_people() -> None:
    lanes = Lanes(Limits(concurrency=2, batch_operations=1), ignore)
    lanes.put(queued("id:a"), 0)
    lanes.put(queued("id:b"), 0)
    lanes.put(queued("id:a", "id:b", ties=("id:a", "id:b")), 0)
    assert taken(lanes, 0) == [0]
    assert taken(lanes, 1) == [1]
    lanes.finish(1)
    assert taken(lanes, 1) is None, "the merge waits for lane 0"
    lanes.finish(0)
    assert taken(lanes, 1) == [2]


def test_a_lane_that_is_waited_for_does_not_wait_for_company() -> None:
    woken: list[int] = []
    lanes = Lanes(Limits(concurrency=2, batch_operations=2), woken.append)
    lanes.put(queued("id:x"), 0)
    lanes.put(queued("id:a"), 0)
    assert taken(lanes, 0) == [0, 1]
    lanes.put(queued("id:a"), 0)
    lanes.put(queued("id:b"), 0)
    lanes.put(queued("id:b", "id:a"), 0)
    lanes.finish(0)
    assert taken(lanes, 0) is None, "there is room for more"
    woken.clear()
    assert taken(lanes, 1) is None, "full, but held up by lane 0"
    assert woken == [0]
    assert taken(lanes, 0) == [2]


def test_a_lane_is_woken_when_what_it_waits_for_is_finished() -> None:
    woken: list[int] = []
    lanes = Lanes(Limits(concurrency=2, batch_operations=2), woken.append)
    lanes.put(queued("id:a"), 0)
    lanes.put(queued("id:a"), 0)
    lanes.put(queued("id:b"), 0)
    lanes.put(queued("id:b", "id:a"), 0)
    assert taken(lanes, 1) is None, "full, but held up by lane 0"
    assert taken(lanes, 0) == [0, 1]
    woken.clear()
    lanes.finish(0)
    assert woken == [1]
    assert taken(lanes, 1) == [2, 3]


def test_what_a_gate_kept_back_goes_when_it_opens_if_more_stands_behind_it() -> None:
    lanes = Lanes(Limits(concurrency=2, batch_operations=3, linger_seconds=2), ignore)
    for person in "aaab":
        lanes.put(queued(f"id:{person}"), 0)
    lanes.put(queued("id:c"), 0)
    lanes.put(queued("id:c", "id:a"), 0)
    lanes.put(queued("id:c", route=METRICS), 0)
    lanes.put(queued("id:c"), 0)
    assert taken(lanes, 0) == [0, 1, 2]
    assert taken(lanes, 1, now=2) == [3, 4], "it has lingered, up to the gate"
    lanes.finish(0)
    lanes.finish(1)
    assert taken(lanes, 1) == [5], "nothing can be added to it any more"
    lanes.finish(1)
    assert taken(lanes, 1) == [6]


def test_nothing_waits_for_company_when_there_is_no_room_for_any() -> None:
    woken: list[int] = []
    lanes = Lanes(Limits(concurrency=1, batch_operations=2), woken.append)
    lanes.put(queued("id:a", route=SEGMENT), 0)
    for person in "bcd":
        lanes.put(queued(f"id:{person}"), 0)
    assert not lanes.has_room(queued("id:e"))
    assert taken(lanes, 0) is None, "the segment waits for company"
    woken.clear()
    lanes.press()
    assert woken == [0]
    assert taken(lanes, 0) == [0]
    lanes.finish(0)
    assert taken(lanes, 0) == [1, 2]
    lanes.finish(0)
    assert taken(lanes, 0) is None, "there is room again"


def test_an_operation_lingers_and_then_goes_alone() -> None:
    lanes = Lanes(Limits(concurrency=1, linger_seconds=2), ignore)
    lanes.put(queued("id:a"), 10)
    assert taken(lanes, 0, now=11.9) is None
    assert lanes.look_again_at(0, 11.9) == 12
    assert taken(lanes, 0, now=12) == [0]
    assert lanes.look_again_at(0, 12) is None


def test_a_single_operation_always_has_room() -> None:
    lanes = Lanes(Limits(concurrency=1, batch_bytes=10, batch_operations=1), ignore)
    large = queued("id:a", size=1000)
    assert lanes.has_room(large)
    lanes.put(large, 0)
    assert not lanes.has_room(queued("id:b"))


# Ties


def keys(memory: TieMemory, *identities: str, tie: bool = False) -> set[str]:
    return set(memory.keys(queued(*identities, ties=identities if tie else ())))


def test_identities_that_were_tied_share_a_key_from_then_on() -> None:
    memory = TieMemory()
    assert keys(memory, "id:1") == {"id:1"}
    assert keys(memory, "id:1", "email:a", tie=True) >= {"id:1", "email:a"}
    assert keys(memory, "id:1") & keys(memory, "email:a")
    keys(memory, "id:2", "email:b", tie=True)
    assert not keys(memory, "id:2") & keys(memory, "email:a")
    keys(memory, "email:b", "id:1", tie=True)
    assert keys(memory, "id:2") & keys(memory, "email:a")


NAMES = st.sampled_from("abcdefghij")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(NAMES, min_size=1, max_size=3, unique=True), st.booleans())
    )
)
def test_people_who_are_one_share_a_key_with_every_tie_between_them(
    steps: list[tuple[list[str], bool]],
) -> None:
    memory = TieMemory()
    people = {name: {name} for name in "abcdefghij"}
    for names, tie in steps:
        tie_now = tie and len(names) > 1
        before = {name: keys(memory, name) for name in people}
        own = keys(memory, *names, tie=tie_now)
        assert own >= set(names)
        if tie_now:
            one = set().union(*(people[name] for name in names))
            for name in one:
                people[name] = one
                assert own & before[name]
                assert own & keys(memory, name)
    for name, one in people.items():
        for other in one:
            assert keys(memory, name) & keys(memory, other)
        for stranger in people.keys() - one:
            assert not keys(memory, name) & keys(memory, stranger)


@given(
    st.lists(st.tuples(st.lists(NAMES, min_size=2, max_size=3, unique=True))),
    st.integers(0, 5),
)
def test_a_memory_that_forgets_never_loses_the_identity(
    ties: list[tuple[list[str]]], capacity: int
) -> None:
    memory = TieMemory(capacity)
    for (names,) in ties:
        assert keys(memory, *names, tie=True) >= set(names)
        assert len(memory) <= capacity
        for name in "abcdefghij":
            assert name in keys(memory, name)


# Checkpoints


def test_the_newest_state_that_is_due_is_handed_out_once() -> None:
    checkpoints = Checkpoints()
    for sequence in (1, 2, 5):
        checkpoints.add(sequence, {"at": sequence})
    assert checkpoints.due(0) is None
    assert checkpoints.due(4) == {"at": 2}
    assert checkpoints.due(4) is None
    assert checkpoints.due(5) == {"at": 5}


def test_states_that_wait_are_bounded_and_the_newest_is_kept() -> None:
    checkpoints = Checkpoints(capacity=3)
    for sequence in range(100):
        checkpoints.add(sequence, {"at": sequence})
    assert len(checkpoints) == 3
    assert checkpoints.due(1) == {"at": 1}
    assert checkpoints.due(98) is None
    assert checkpoints.due(99) == {"at": 99}


def test_a_state_at_the_same_place_replaces_the_one_before() -> None:
    checkpoints = Checkpoints()
    checkpoints.add(7, {"at": "first"})
    checkpoints.add(7, {"at": "second"})
    assert len(checkpoints) == 1
    assert checkpoints.due(7) == {"at": "second"}


def test_records_much_larger_than_their_operations_count_as_well() -> None:
    limits = Limits(concurrency=1)
    lanes = Lanes(limits, ignore)
    large = queued("a")
    large.origin_bytes = limits.held_origin_bytes
    assert lanes.has_room(large)
    lanes.put(large, 0.0)
    assert lanes.room == 0
    assert not lanes.has_room(queued("b"))
    lanes.flush()
    assert lanes.take(0, 0.0) is not None
    lanes.finish(0)
    assert lanes.room > 0
    assert lanes.has_room(queued("b"))
