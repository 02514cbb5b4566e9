"""Order with real threads and a transport that fails often."""

from __future__ import annotations

import io
import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from support.hypotheses import examples

from target_customerio.delivery import QueuedOperation
from target_customerio.track_api.endpoints import BATCH, METRICS

from .run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS = ["lost", "no response", "503", "429", "page"]
FINE = ["fine"] * 6


class People:
    """The person of each identity after the operations so far."""

    def __init__(self) -> None:
        self.person: dict[str, str] = {}

    def link(self, *identities: str) -> None:
        ones = {self.of(identity) for identity in identities}
        for identity, person in list(self.person.items()):
            if person in ones:
                self.person[identity] = identities[0]

    def of(self, identity: str) -> str:
        return self.person.setdefault(identity, identity)


class Workspace(BaseAdapter):
    """A transport that applies operations in the order of their arrival."""

    def __init__(
        self, identities: list[set[str]], bad: set[int], script: list[tuple[str, int]]
    ) -> None:
        super().__init__()
        self.identities = identities
        self.bad = bad
        self.script = script
        self.lock = threading.Lock()
        self.in_flight: list[set[str]] = []
        self.applied: list[int] = []
        self.problems: list[str] = []

    @contextmanager
    def exclusive(self, numbers: list[int]) -> Iterator[tuple[str, int]]:
        named = set().union(*(self.identities[number] for number in numbers))
        with self.lock:
            for other in self.in_flight:
                if not named.isdisjoint(other):
                    self.problems.append(f"{named & other} in flight twice")
            self.in_flight.append(named)
            step = self.script.pop() if self.script else ("fine", 0)
        time.sleep(step[1] / 1000)
        try:
            yield step
        finally:
            with self.lock:
                self.in_flight.remove(named)

    def send(  # type: ignore[override] # its other arguments are not used
        self, request: requests.PreparedRequest, **_: Any
    ) -> requests.Response:
        content = json.loads(request.body or b"")
        batch = content["batch"] if request.path_url == BATCH.path else [content]
        numbers = [each["n"] for each in batch]
        with self.exclusive(numbers) as (fault, _milliseconds):
            if fault == "lost":
                raise requests.ConnectionError
            if fault in ("503", "429"):
                return response(request, int(fault))
            bad = self.bad.intersection(numbers)
            if bad and (len(numbers) > 1 or min(bad) % 2):
                return response(request, 400)
            with self.lock:
                self.applied += [number for number in numbers if number not in bad]
            if fault == "no response":
                raise requests.ReadTimeout
            if fault == "page":
                return response(request, 200, b"<html>")
            if not bad:
                return response(request, 200, b"{}")
            listed = [{"batch_index": numbers.index(number)} for number in bad]
            return response(request, 207, json.dumps({"errors": listed}).encode())

    def close(self) -> None:
        pass


def response(
    request: requests.PreparedRequest, status: int, body: bytes = b""
) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made.raw = io.BytesIO(body)
    made.request = request
    return made


@st.composite
def named(draw: st.DrawFn) -> tuple[tuple[str, ...], bool]:
    """The identities of one operation, and whether it links them."""
    person = draw(st.integers(0, 5))
    kind = draw(st.sampled_from(["id", "email", "both", "merge", "object", "new"]))
    if kind == "both":
        return (f"id:{person}", f"email:{person}"), True
    if kind == "merge":
        return (f"id:{person}", f"id:{draw(st.integers(0, 5))}"), True
    if kind == "object":
        return (f"object:{draw(st.integers(0, 2))}", f"id:{person}"), False
    if kind == "new":
        return (f"id:{draw(st.integers(100, 10_000))}",), False
    return (f"{kind}:{person}",), False


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    drawn=st.lists(named(), min_size=1, max_size=60),
    bad=st.sets(st.integers(0, 59), max_size=4),
    script=st.lists(
        st.tuples(st.sampled_from(FINE + FAULTS), st.integers(0, 4)), max_size=60
    ),
    concurrency=st.integers(1, 4),
    most=st.integers(1, 6),
)
def test_operations_keep_their_order_per_person_and_object(
    drawn: list[tuple[tuple[str, ...], bool]],
    bad: set[int],
    script: list[tuple[str, int]],
    concurrency: int,
    most: int,
) -> None:
    bad = {number for number in bad if number < len(drawn)}
    workspace = Workspace([set(names) for names, _ in drawn], bad, script)
    session = requests.Session()
    session.mount("http://", workspace)
    run = Run(
        "http://workspace",
        session,
        concurrency=concurrency,
        batch_operations=most,
        flush_interval_seconds=0.005,
    )
    jitter = backoff_without_waits()
    with jitter:
        for number, (names, links) in enumerate(drawn):
            endpoint = METRICS if number % 7 == 3 else BATCH
            body = b'{"n":%d}' % number
            run.delivery.put(
                QueuedOperation(
                    "s", "l", body, names, names if links else (), endpoint, number
                )
            )
            if number % 5 == 0:
                run.delivery.checkpoint({"after": number})
        run.delivery.checkpoint({"after": "all"})
        run.delivery.drain()
        run.close()
    assert workspace.problems == []
    assert sorted(run.recorder.delivered_names) == sorted(set(range(len(drawn))) - bad)
    assert set(run.recorder.rejections) == bad
    assert run.recorder.states[-1] == {"after": "all"}
    assert_in_order(drawn, list(dict.fromkeys(workspace.applied)))
    again = list(dict.fromkeys(reversed(workspace.applied)))
    assert_in_order(drawn, again[::-1])


@contextmanager
def backoff_without_waits() -> Iterator[None]:
    import backoff  # noqa: PLC0415 - what is replaced

    original = backoff.full_jitter
    backoff.full_jitter = lambda value: min(value, 1) / 1000
    try:
        yield
    finally:
        backoff.full_jitter = original


def assert_in_order(
    drawn: list[tuple[tuple[str, ...], bool]], applied: list[int]
) -> None:
    """Assert the order of operations on one person, as of the later operation."""
    place = {number: index for index, number in enumerate(applied)}
    people = People()
    for later, (names, links) in enumerate(drawn):
        for name in names:
            people.of(name)
        if links:
            people.link(*names)
        if later not in place:
            continue
        persons = {people.of(name) for name in names}
        for earlier in range(later):
            others = {people.of(name) for name in drawn[earlier][0]}
            if earlier in place and persons & others:
                assert place[earlier] < place[later], (earlier, later)
