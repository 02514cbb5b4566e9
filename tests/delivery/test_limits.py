"""Limits on size, rate, concurrency and memory, measured at the server."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from support.command import wait_until
from support.customerio import Reply, Request

from target_customerio.delivery import Limits
from target_customerio.delivery.throttle import Gate, StoppedError

from .run import event, waits

if TYPE_CHECKING:
    from support.customerio import Customerio

    from .conftest import StartRun


def most_in_any_second(arrivals: list[float], seconds: float = 1.0) -> int:
    arrivals = sorted(arrivals)
    return max(
        sum(1 for each in arrivals if start <= each <= start + seconds)
        for start in arrivals
    )


@pytest.mark.parametrize(
    ("rate", "requests", "at_least"), [(5, 13, 2), (20, 50, 2), (2.9, 5, 2)]
)
def test_requests_per_second_holds_in_any_second_at_the_server(
    customerio: Customerio,
    start_run: StartRun,
    rate: float,
    requests: int,
    at_least: float,
) -> None:
    def uneven(request: Request) -> Reply:
        return Reply(
            503 if request.number % 7 == 5 else 200, delay=request.number % 3 / 50
        )

    customerio.script = uneven
    run = start_run(requests_per_second=rate, batch_operations=1)
    started = time.monotonic()
    run.deliver(*(event(f"{number}") for number in range(requests)))
    assert time.monotonic() - started >= at_least
    arrivals = [each.arrived for each in customerio.requests]
    assert most_in_any_second(arrivals) <= int(rate)
    assert run.delivery.statistics.seconds_throttled > 0.5


def test_a_rate_below_one_allows_one_request_per_inverse(
    customerio: Customerio, start_run: StartRun
) -> None:
    run = start_run(requests_per_second=0.5, batch_operations=1)
    run.deliver(event("a"), event("b"))
    first, second = (each.arrived for each in customerio.requests)
    assert 2 < second - first < 10


def test_a_delayed_request_counts_in_the_second_of_its_arrival() -> None:
    """A limiter that counts from the start of requests would send too early."""
    gate = Gate(1)
    times: list[float] = []

    def send(slow: float) -> None:
        with gate.slot():
            time.sleep(slow)
            times.append(time.monotonic())

    delayed = threading.Thread(target=send, args=(0.5,))
    delayed.start()
    time.sleep(0.1)
    send(0)
    delayed.join()
    assert times[1] - times[0] > 1


def test_concurrent_requests_are_limited_and_connections_reused(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = lambda _: Reply(delay=0.02)
    run = start_run(concurrency=3, batch_operations=2)
    run.deliver(*(event(f"{number}") for number in range(60)))
    assert len(customerio.requests) == 30
    assert customerio.max_in_flight == 3
    assert customerio.connections == 3


def test_requests_keep_to_the_maximum_bytes_and_operations(
    customerio: Customerio, start_run: StartRun
) -> None:
    run = start_run(concurrency=2, batch_bytes=5_000, batch_operations=40)
    run.deliver(*(event(f"{number}", padding=number % 300) for number in range(400)))
    assert len(customerio.operations) == 400
    assert max(len(each.body) for each in customerio.requests) <= 5_000
    assert max(len(each.operations) for each in customerio.requests) <= 40
    sent = run.delivery.statistics
    assert sent.requests == len(customerio.requests)
    assert sent.bytes_sent == sum(len(each.body) for each in customerio.requests)


@pytest.mark.parametrize("people", [1, 1_000])
def test_put_blocks_when_customerio_is_slow(
    customerio: Customerio, start_run: StartRun, people: int
) -> None:
    stalled = threading.Event()

    def script(_: Request) -> Reply:
        customerio.hold(stalled)
        return Reply()

    customerio.script = script
    run = start_run(concurrency=2, batch_bytes=10_000, batch_operations=50)
    count = 1_000

    def put() -> None:
        for number in range(count):
            run.put(event(f"{number}", f"{number % people}", padding=500))

    reader = threading.Thread(target=put)
    reader.start()
    queue = run.delivery._queue  # noqa: SLF001 - its size is tested
    wait_until(lambda: queue.held_bytes > 0.5 * run.limits.held_bytes)
    time.sleep(0.5)
    assert reader.is_alive(), "put did not block"
    assert queue.held_bytes <= run.limits.held_bytes
    assert queue.held_operations <= run.limits.held_operations
    stalled.set()
    reader.join()
    run.delivery.drain()
    assert len(customerio.operations) == count


def test_a_blocked_put_ends_when_the_run_fails(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = lambda _: Reply(401, delay=0.3)
    run = start_run(concurrency=1, batch_operations=1)
    started = time.monotonic()
    with pytest.raises(Exception, match="refused the credentials"):
        run.put(*(event(f"{number}") for number in range(10)))
    assert time.monotonic() - started < 30


def test_few_records_are_sent_after_flush_interval_seconds(
    customerio: Customerio, start_run: StartRun
) -> None:
    run = start_run(flush_interval_seconds=1)
    run.put(event("a"))
    time.sleep(0.05)
    run.put(event("b"))
    run.delivery.checkpoint({"at": "b"})
    # Without drain.
    wait_until(lambda: run.recorder.states == [{"at": "b"}], what="STATE")
    assert [each.names for each in customerio.requests] == [["a", "b"]]


def test_drain_does_not_wait_for_the_flush_interval(
    customerio: Customerio, start_run: StartRun
) -> None:
    run = start_run(flush_interval_seconds=300)
    started = time.monotonic()
    run.deliver(event("a"))
    assert time.monotonic() - started < 60
    assert customerio.names == ["a"]


def test_a_state_without_operations_before_it_is_written_at_once(
    start_run: StartRun,
) -> None:
    run = start_run()
    run.delivery.checkpoint({"at": "start"})
    assert run.recorder.states == [{"at": "start"}]
    run.delivery.drain()


def test_states_are_written_in_order_while_records_keep_coming(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = lambda request: Reply(delay=request.number % 4 / 100)
    run = start_run(batch_operations=5)
    for number in range(300):
        run.put(event(f"{number}"))
        run.delivery.checkpoint({"at": number})
    run.delivery.drain()
    ats = [state["at"] for state in run.recorder.states]
    assert ats == sorted(set(ats))
    assert ats[-1] == 299
    assert len(ats) > 5


def test_the_recorder_is_called_by_one_thread_at_a_time(start_run: StartRun) -> None:
    run = start_run(concurrency=4, batch_operations=1)
    run.recorder.seconds_per_call = 0.005
    for number in range(40):
        run.put(event(f"{number}"))
        run.delivery.checkpoint({"at": number})
    run.delivery.drain()
    assert len(run.recorder.delivered_names) == 40


def test_close_sends_nothing_more_and_wakes_all_threads(
    customerio: Customerio, start_run: StartRun
) -> None:
    customerio.script = lambda _: Reply(503)
    run = start_run(concurrency=1, max_retry_seconds=100, flush_interval_seconds=0.02)
    run.put(event("a"))
    run.delivery.checkpoint({"after": "a"})
    customerio.wait_for(1)
    run.delivery.close(60)
    sent = len(customerio.requests)
    time.sleep(0.3)
    assert len(customerio.requests) == sent
    assert run.recorder.states == []
    with pytest.raises(StoppedError):
        run.put(event("b"))


def test_threads_start_with_the_first_operation_and_end_with_close(
    start_run: StartRun,
) -> None:
    before = threading.active_count()
    run = start_run(concurrency=3)
    run.delivery.checkpoint({})
    assert not [each for each in threading.enumerate() if "lane-" in each.name]
    run.deliver(event("a"))
    assert len([each for each in threading.enumerate() if "lane-" in each.name]) == 3
    run.delivery.close(60)
    assert not [each for each in threading.enumerate() if "lane-" in each.name]
    assert threading.active_count() <= before + 3


def test_the_defaults_are_the_documented_limits() -> None:
    limits = Limits()
    assert (limits.batch_bytes, limits.operation_bytes) == (500_000, 32_768)
    assert (limits.batch_operations, limits.concurrency) == (1000, 8)
    assert (limits.requests_per_second, limits.max_retry_seconds) == (100, 600)


def test_the_waits_between_retries_double(
    customerio: Customerio,
    start_run: StartRun,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    drawn: list[float] = []

    def jitter(value: float) -> float:
        drawn.append(value)
        return value / 20

    monkeypatch.setattr("backoff.full_jitter", jitter)
    customerio.reply_next(*[Reply(500)] * 4)
    start_run(max_retry_seconds=600).deliver(event("a"))
    assert drawn == [1, 2, 4, 8]
    assert waits(caplog) == [0.1, 0.1, 0.2, 0.4]
    arrivals = [each.arrived for each in customerio.requests]
    waited = [later - earlier for earlier, later in pairwise(arrivals)]
    assert all(
        value / 20 <= each < 10 for value, each in zip(drawn, waited, strict=True)
    )
