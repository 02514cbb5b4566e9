"""Halving, rejection and the end of the run after many failures."""

from __future__ import annotations

import threading
import time
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.command import wait_until
from support.customerio import Reply, Request
from support.hypotheses import examples

from target_customerio.delivery.queued_operation import QueuedOperation
from target_customerio.delivery.retries import (
    Attempts,
    Part,
    RetryBudget,
    UndecidedOperations,
    Verdict,
)
from target_customerio.errors import DeliveryError
from target_customerio.track_api.endpoints import BATCH
from target_customerio.track_api.responses import Retry

from .run import event, report

if TYPE_CHECKING:
    from support.customerio import Customerio, Script

    from .conftest import StartRun
    from .run import Run

FAILED = Retry("failed with HTTP 500")
LIMITED = Retry("failed with HTTP 429", 1.0, rate_limited=True)


def failing(names: set[str], reply: Reply = Reply(500)) -> Script:  # noqa: B008 - frozen
    return lambda request: (
        reply if names.intersection(request.names) else Reply(delay=0.01)
    )


class Feed:
    """Others that are accepted all the time."""

    def __init__(self, run: Run) -> None:
        self.ended = threading.Event()
        self._run = run
        self._thread = threading.Thread(target=self._put)

    def _put(self) -> None:
        number = 0
        while not self.ended.wait(0.01):
            self._run.put(event(f"other {number}"))
            number += 1

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._thread.join()


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize(
    "reply", [Reply(500), Reply(503), Reply(404), Reply(499), Reply(fault="reset")]
)
def test_an_operation_that_alone_keeps_failing_is_rejected(
    customerio: Customerio, start_run: StartRun, reply: Reply
) -> None:
    customerio.script = failing({"bad"}, reply)
    run = start_run(
        concurrency=2,
        batch_operations=8,
        flush_interval_seconds=0.02,
        max_retry_seconds=1,
    )
    names = [f"{number}" for number in range(7)]
    run.deliver(event("first"))
    with Feed(run):
        run.put(*(event(name) for name in names[:4]), event("bad", "3"))
        run.put(*(event(name) for name in names[4:]))
        wait_until(lambda: "bad" in run.recorder.rejections)
    run.delivery.drain()
    assert run.recorder.rejections.keys() == {"bad"}
    assert {*names} <= {*run.recorder.delivered_names}
    error = run.recorder.rejections["bad"]
    assert error.reason == "undeliverable"
    assert "attempts" in error.message
    assert "\n" not in error.message


@pytest.mark.usefixtures("short_waits")
def test_those_who_share_a_request_with_it_do_not_wait_for_it(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = failing({"bad"})
    run = start_run(concurrency=2, batch_operations=8, flush_interval_seconds=0.02)
    run.deliver(event("first"))
    with Feed(run):
        run.put(event("a"), event("bad", "p"), event("after bad", "p"), event("b"))
        wait_until(lambda: {"a", "b"} <= {*run.recorder.delivered_names})
    assert "after bad" not in run.recorder.delivered_names
    assert not run.recorder.rejections


@pytest.mark.usefixtures("short_waits")
def test_an_operation_sent_alone_by_its_endpoint_is_rejected(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = lambda request: Reply(500 if b"bad" in request.body else 200)
    run = start_run(concurrency=2, flush_interval_seconds=0.02, max_retry_seconds=1)
    with Feed(run):
        run.put(report("bad"))
        wait_until(lambda: run.recorder.rejections)
    assert run.recorder.rejections["bad"].reason == "undeliverable"


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("reply", [Reply(500), Reply(fault="silence")])
@pytest.mark.parametrize("position", [0, 3, 7])
def test_it_is_rejected_also_when_the_input_has_ended(
    customerio: Customerio, start_run: StartRun, position: int, reply: Reply
) -> None:
    """Others were accepted after a request with it had failed several times."""
    customerio.script = failing({"bad"}, reply)
    run = start_run(
        concurrency=2,
        batch_operations=8,
        max_retry_seconds=1 if reply.status == 500 else 3,
        request_timeout_seconds=0.05,
        is_impatient=lambda body: b'"bad"' in (body or b""),
    )
    names = [f"{number}" for number in range(14)]
    batch = [*names[:position], "bad", *names[position:]]
    run.deliver(*(event(name) for name in batch), event("after bad", "bad"))
    assert run.recorder.rejections.keys() == {"bad"}
    assert run.recorder.rejections["bad"].reason == "undeliverable"
    assert sorted(run.recorder.delivered_names) == sorted([*names, "after bad"])
    assert run.recorder.states == [{"after": 16}]


@pytest.mark.usefixtures("short_waits")
def test_several_at_fault_are_rejected(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = failing({"bad 1", "bad 2", "bad 3"})
    run = start_run(
        concurrency=3,
        batch_operations=4,
        max_retry_seconds=1,
        flush_interval_seconds=0.02,
    )
    with Feed(run):
        run.put(*map(event, ["bad 1", "a", "bad 2", "b", "c", "d", "e", "bad 3"]))
        wait_until(lambda: {*"abcde"} <= {*run.recorder.delivered_names})
    run.delivery.drain()
    assert run.recorder.rejections.keys() == {"bad 1", "bad 2", "bad 3"}


@pytest.mark.usefixtures("short_waits")
def test_the_half_at_fault_does_not_hold_up_the_other_one(
    customerio: Customerio, start_run: StartRun
) -> None:
    """So that others are accepted before the retry budget is used up."""
    customerio.script = failing({"bad"})
    run = start_run(concurrency=2, batch_operations=8, flush_interval_seconds=0.02)
    run.deliver(event("first"))
    with Feed(run):
        run.put(event("bad"), *(event(name) for name in "abcdefg"))
        wait_until(lambda: set("abcdefg") <= {*run.recorder.delivered_names})
    sizes = [len(each.names) for each in customerio.requests if "bad" in each.names]
    assert sizes[:9] == [8] * 5 + [4, 4, 2, 2]
    customerio.script = lambda _: Reply()


@pytest.mark.usefixtures("short_waits")
def test_in_an_outage_nothing_is_halved_or_rejected(
    customerio: Customerio, start_run: StartRun
) -> None:
    run = start_run(concurrency=4, batch_operations=4, max_retry_seconds=0.5)
    run.deliver(event("first"))
    customerio.script = lambda _: Reply(500)
    with pytest.raises(DeliveryError, match="4 operations could not be delivered"):
        run.deliver(*(event(f"{number}") for number in range(16)))
    assert not run.recorder.rejections
    assert {len(each.names) for each in customerio.requests[1:]} == {4}


@pytest.mark.parametrize("header", [{"Retry-After": "0.2"}, {}])
def test_the_run_goes_on_while_anything_is_accepted(
    customerio: Customerio, start_run: StartRun, header: dict[str, str]
) -> None:
    """Ten connections share four requests per window, and each fails for long."""
    windows: Counter[int] = Counter()

    def script(request: Request) -> Reply:
        window = int(request.arrived / 0.2)
        windows[window] += 1
        return Reply(429, headers=header) if windows[window] > 4 else Reply()

    customerio.script = script
    run = start_run(
        concurrency=10,
        batch_operations=1,
        max_retry_seconds=0.6 if header else 3,
        requests_per_second=200,
    )
    names = [f"{number}" for number in range(40)]
    started = time.monotonic()
    run.deliver(*(event(name) for name in names))
    assert sorted(run.recorder.delivered_names) == sorted(names)
    assert time.monotonic() - started < 60


def attempts(retry_budget: RetryBudget, size: int = 1) -> Attempts:
    return Attempts(retry_budget, size, retry_budget.accepted)


def test_the_retry_budget_counts_from_the_first_failure_after_a_decision() -> None:
    retry_budget = RetryBudget(600)
    assert retry_budget.left(10_000) == 600
    retry_budget.failed(100)
    retry_budget.failed(400)
    assert retry_budget.left(500) == 200
    retry_budget.decided(accepted=True)
    retry_budget.failed(500)
    assert retry_budget.left(700) == 400


def test_the_run_ends_when_nothing_was_decided_for_the_whole_time() -> None:
    retry_budget = RetryBudget(600)
    tried = attempts(retry_budget, 1000)
    now = 0.0
    verdict = tried.failed(now, FAILED)
    while not isinstance(verdict, Verdict):
        assert 0 <= verdict <= 60
        now += max(verdict, 0.1)
        verdict = tried.failed(now, FAILED)
    assert verdict is Verdict.END_RUN
    assert now == pytest.approx(600)


@pytest.mark.parametrize("seconds", [0.1, 5, 60, 600, 6_000])
def test_several_attempts_fit_into_the_time_for_retries(seconds: float) -> None:
    tried = attempts(RetryBudget(seconds))
    waits = [tried.failed(0, FAILED) for _ in range(200)]
    longest = max(each for each in waits if not isinstance(each, Verdict))
    assert 0.5 * min(60, seconds / 10) < longest <= min(60, seconds / 10)


def failing_attempts(retry_budget: RetryBudget, size: int = 1000) -> Attempts:
    tried = attempts(retry_budget, size)
    for now in range(5):
        assert not tried.is_failing
        tried.failed(now, FAILED)
        retry_budget.decided(accepted=True)
    assert tried.is_failing
    return tried


def test_a_half_of_a_failing_request_is_failing_after_two_failures() -> None:
    retry_budget = RetryBudget(600)
    half = failing_attempts(retry_budget).part(500)
    retry_budget.decided(accepted=True)
    verdicts = []
    for now in (10, 20):
        half.failed(now, FAILED)
        verdicts.append(half.is_failing)
    assert verdicts == [False, True]
    assert not half.part(250).is_failing


@pytest.mark.parametrize("size", [1, 2])
def test_halves_in_an_outage_are_not_failing(size: int) -> None:
    retry_budget = RetryBudget(600)
    half = failing_attempts(retry_budget).part(size)
    for now in range(10, 600):
        assert half.failed(now, FAILED) is not Verdict.REJECT
        assert not half.is_failing


@pytest.mark.parametrize("size", [1, 1000])
def test_refusals_by_the_rate_limit_say_nothing_of_the_operations(size: int) -> None:
    retry_budget = RetryBudget(600)
    tried = attempts(retry_budget, size)
    for now in range(0, 3_000, 10):
        assert not isinstance(tried.failed(now, LIMITED), Verdict)
        retry_budget.decided(accepted=True)
    assert not tried.is_failing


def test_acceptances_at_the_beginning_of_an_outage_prove_nothing() -> None:
    retry_budget = RetryBudget(600)
    tried = attempts(retry_budget)
    tried.failed(0, FAILED)
    retry_budget.decided(accepted=True)  # was in flight
    verdicts = [tried.failed(now, FAILED) for now in (1, 2, 5, 10, 60, 600, 602)]
    assert verdicts[-1] is Verdict.END_RUN
    assert Verdict.REJECT not in verdicts


def test_refused_operations_do_not_prove_that_others_are_accepted() -> None:
    retry_budget = RetryBudget(600)
    tried = attempts(retry_budget)
    for now in range(0, 3_000, 10):
        assert not isinstance(tried.failed(now, FAILED), Verdict)
        retry_budget.decided(accepted=False)
    assert not tried.is_failing


KEYS = st.sampled_from("abcdefgh")


@settings(max_examples=examples(200), deadline=None)
@given(
    named=st.lists(
        st.lists(KEYS, min_size=1, max_size=2, unique=True), min_size=1, max_size=30
    ),
    steps=st.lists(st.sampled_from(["fail", "failing", "halve", "decide"])),
)
def test_parts_keep_the_order_per_key(named: list[list[str]], steps: list[str]) -> None:
    operations = [
        QueuedOperation(
            "s", "l", b"{}", tuple(keys), (), BATCH, number, keys=tuple(keys)
        )
        for number, keys in enumerate(named)
    ]
    retry_budget = RetryBudget(600)
    undecided = UndecidedOperations(operations, retry_budget)
    decided: list[Any] = []
    for step in (*steps, *["decide"] * len(named)):
        if undecided:
            part = undecided.pop()
            if step == "decide":
                decided += [each.record for each in part.operations]
            else:
                put_back(undecided, part, step, retry_budget)
    assert sorted(decided) == list(range(len(named)))
    pairs = combinations(range(len(named)), 2)
    for earlier, later in pairs:
        if not set(named[later]).isdisjoint(named[earlier]):
            assert decided.index(earlier) < decided.index(later)


def put_back(
    undecided: UndecidedOperations, part: Part, step: str, retry_budget: RetryBudget
) -> None:
    if step == "halve" and len(part.operations) > 1:
        undecided.halve(part.operations, part.attempts)
        return
    retry_budget.decided(accepted=True)
    for _ in range(5 if step == "failing" else 1):
        part.attempts.failed(0, FAILED)
    undecided.retry(part)
