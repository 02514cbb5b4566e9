"""The rate adapts to what the server admits: simulated servers, without waiting."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hypotheses import IN_CI, examples

from target_customerio.delivery.throttle import Throttle

from .simulation import Server, simulate

if TYPE_CHECKING:
    from .simulation import Header, Kind

RATES = [1, 2, 5, 10, 20, 50]
CONNECTIONS = [1, 2, 4, 8, 16, 32] if IN_CI else [1, 8, 32]
KINDS: list[Kind] = ["fixed window", "sliding window", "token bucket"]
HEADERS: list[Header] = ["whole seconds", "seconds", "one", "zero", "absent"]


@pytest.fixture(autouse=True)
def same_jitter() -> None:
    random.seed(1)


def share_used(server: Server, connections: int, latency: float, seed: int) -> float:
    """The share of what the server admits in the minute after ten seconds."""
    simulate(server, connections=connections, latency=latency, seconds=72, seed=seed)
    possible = 60 * min(server.rate, 0.95 * connections / latency)
    return len([each for each in server.admitted if 10 <= each < 70]) / possible


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("header", HEADERS)
def test_three_quarters_of_what_a_server_admits_are_used(
    kind: Kind, header: Header
) -> None:
    shares = {
        (rate, connections): share_used(
            Server(kind, rate, header=header, phase=0.37), connections, 0.02, rate
        )
        for rate in RATES
        for connections in CONNECTIONS
    }
    assert min(shares.values()) >= 0.75, shares


@settings(max_examples=examples(40), deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    size_and_period=st.sampled_from([(1, 1), (5, 3), (20, 2), (50, 1), (100, 3)]),
    header=st.sampled_from(HEADERS),
    connections=st.integers(1, 32),
    latency=st.floats(0.001, 0.2),
    seed=st.integers(0, 99),
)
def test_servers_of_many_kinds_are_used_well(
    kind: Kind,
    size_and_period: tuple[int, int],
    header: Header,
    connections: int,
    latency: float,
    seed: int,
) -> None:
    """An unlucky run falls short of three quarters by some per cent."""
    random.seed(seed)
    size, period = size_and_period
    server = Server(kind, size / period, period, header, phase=seed / 99)
    assert share_used(server, connections, latency, seed) >= 0.7


@settings(max_examples=examples(40), deadline=None)
@given(
    limit=st.integers(1, 100),
    rate=st.floats(0.5, 200),
    connections=st.integers(1, 32),
    latency=st.floats(0.001, 1),
    seed=st.integers(0, 9),
)
def test_the_limit_holds_in_any_second_at_the_server(
    limit: int, rate: float, connections: int, latency: float, seed: int
) -> None:
    server = Server("fixed window", rate)
    simulate(
        server,
        connections=connections,
        latency=latency,
        seconds=20,
        limit=limit,
        seed=seed,
    )
    arrivals = sorted(server.admitted + server.refused)
    for first, later in zip(arrivals, arrivals[limit:], strict=False):
        assert later - first > 1


def test_a_rate_below_one_allows_one_request_per_inverse() -> None:
    throttle = Throttle(0.5)
    throttle.start(0)
    throttle.end(0.1)
    assert throttle.delay(0.1) == 2


@pytest.mark.parametrize("rate", RATES)
def test_few_requests_are_refused(rate: int) -> None:
    server = Server("sliding window", rate)
    simulate(server, connections=32, latency=0.05, seconds=70)
    refused = [each for each in server.refused if each > 10]
    assert len(refused) <= 10 + 0.05 * 60 * rate


def test_the_rate_recovers_when_the_server_stops_to_limit_it() -> None:
    server = Server("sliding window", 1, lasts=60)
    simulate(server, connections=32, latency=0.01, seconds=180)
    assert len([each for each in server.admitted if 170 <= each < 180]) > 900


@pytest.mark.parametrize("retry_after", [None, 1.0])
def test_requests_do_not_start_all_at_once_after_a_pause(
    retry_after: float | None,
) -> None:
    throttle = Throttle(50)
    throttle.start(0)
    until = 0.1 + throttle.refused(0, 0.1, retry_after, at_most=600)
    assert throttle.delay(until) == 0
    throttle.start(until)
    assert throttle.delay(until) == pytest.approx(1 / throttle.rate(until))


def test_a_pause_of_any_failure_also_spreads_the_requests() -> None:
    throttle = Throttle(50)
    throttle.pause(0, 3)
    assert throttle.delay(1) == 2
    throttle.start(3)
    assert 1 / 50 < (throttle.delay(3) or 0) < 2 / 50


def test_a_pause_is_what_the_server_asks_for() -> None:
    throttle = Throttle(50)
    assert throttle.refused(0, 0.1, 7.0, at_most=600) == 7
    assert throttle.refused(0.05, 0.2, 2.0, at_most=600) == pytest.approx(6.9)
    assert throttle.delay(1.1) == pytest.approx(6)


def test_a_pause_is_at_most_what_is_left() -> None:
    throttle = Throttle(50)
    assert throttle.refused(0, 0, 3600, at_most=5) == 5
    assert throttle.delay(5) == 0


def test_a_pause_cut_short_does_not_slow_down_the_requests_after_it() -> None:
    """The server is asked again sooner, so that does not show what it admits."""
    throttle = Throttle(100)
    throttle.start(0)
    throttle.start(0)
    throttle.end(0.01)
    throttle.admitted(0)
    throttle.end(0.02)
    throttle.refused(0, 0.02, 3_600, at_most=0.5)
    assert throttle.rate(0.52) > 10


def test_requests_in_flight_lower_the_rate_once() -> None:
    throttle = Throttle(100)
    for _ in range(10):
        throttle.start(0)
    throttle.refused(0, 0.1, None, at_most=600)
    lowered = throttle.rate(0.2)
    for _ in range(9):
        throttle.refused(0, 0.2, None, at_most=600)
    assert throttle.rate(0.2) == lowered < 100


@pytest.mark.parametrize("limit", [100, 2, 0.1])
def test_the_rate_never_exceeds_the_limit(limit: float) -> None:
    throttle = Throttle(limit)
    throttle.refused(0, 0, 1.0, at_most=600)
    rates: list[Any] = [throttle.rate(seconds) for seconds in range(1, 3_000)]
    assert rates == sorted(rates)
    assert rates[-1] == limit
    assert rates[0] < limit
