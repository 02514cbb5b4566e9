"""What the benchmark's figures are compared with, and the loads they are made with."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from report import AT_LEAST, AT_MOST, possible, share, slowest
from suite import (
    COMPANIES_ONCE,
    EVERYBODY_ONCE,
    FEW_PEOPLE,
    MEMBERSHIPS,
    MEMBERSHIPS_ONCE,
    ONE_COMPANY,
    STEEP_ZIPF,
    ZIPF,
    recurring,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from report import Goal

COUNT = 5_000


def run(speed: float, busiest: int = 1, size: int = 440) -> dict[str, Any]:
    """Return the figures of 100,000 operations of this many bytes."""
    return {
        "microseconds": 1_000_000 / speed,
        "operations": 100_000,
        "bytes": 100_000 * size,
        "busiest": busiest,
    }


@pytest.mark.parametrize(
    ("latency", "busiest", "size", "expected"),
    [
        pytest.param(0, 1, 440, 75_000, id="cpu"),
        pytest.param(0, 100_000, 440, 75_000, id="no latency, no wait"),
        pytest.param(200, 1, 440, 40_000, id="eight requests of 1,000"),
        pytest.param(200, 1, 1_000, 20_000, id="eight requests of 500,000 bytes"),
        pytest.param(50, 1, 440, 75_000, id="cpu before connections"),
        pytest.param(200, 12_500, 440, 40_000, id="one person, on one of eight"),
        pytest.param(200, 20_000, 440, 25_000, id="one person's requests"),
        pytest.param(200, 100_000, 440, 5_000, id="all of one company"),
        pytest.param(50, 100_000, 440, 20_000, id="all of one company, sooner"),
    ],
)
def test_what_is_possible_is_what_the_scarcest_allows(
    latency: int, busiest: int, size: int, expected: float
) -> None:
    figures = {
        "0": {EVERYBODY_ONCE: run(75_000), "some": run(60_000)},
        str(latency): {EVERYBODY_ONCE: run(75_000), "some": run(4_000, busiest, size)},
    }
    assert possible(figures, "some", latency) == pytest.approx(expected)
    assert share(figures, "some", latency) == pytest.approx(4_000 / expected)


def test_cpu_allows_the_faster_of_the_load_and_everybody_once() -> None:
    figures = {"0": {EVERYBODY_ONCE: run(75_000), "cheap": run(90_000)}}
    assert possible(figures, "cheap", 0) == pytest.approx(90_000)
    assert possible({"0": {"target": run(60_000)}}, "target", 0) == pytest.approx(
        60_000
    )


def test_group_calls_are_compared_with_group_calls() -> None:
    runs = {
        EVERYBODY_ONCE: run(75_000),
        ZIPF: run(72_000),
        COMPANIES_ONCE: run(50_000),
        ONE_COMPANY: run(47_000),
    }
    figures = {"recurring": {"0": runs}}
    assert slowest(figures) == pytest.approx(0.94)
    assert possible({"0": runs}, ONE_COMPANY, 0) == pytest.approx(50_000)
    runs[ZIPF] = run(60_000)
    assert slowest(figures) == pytest.approx(0.8)
    del runs[COMPANIES_ONCE]
    assert slowest(figures) is None


@pytest.mark.parametrize(
    ("name", "of_the_busiest"),
    [
        (EVERYBODY_ONCE, 1 / COUNT),
        (FEW_PEOPLE, 1 / 500),
        (ZIPF, 1 / 11.397),  # the 50,000th harmonic number
        (STEEP_ZIPF, 1 / 5.017),
        (COMPANIES_ONCE, 1 / COUNT),
        (ONE_COMPANY, 1),
        (MEMBERSHIPS_ONCE, 1 / COUNT),
        (MEMBERSHIPS, 1 / COUNT),
    ],
)
def test_loads_are_as_skewed_as_they_say(name: str, of_the_busiest: float) -> None:
    busiest = recurring(COUNT)[name].busiest
    assert of_the_busiest <= busiest / COUNT * 1.1
    assert busiest / COUNT <= of_the_busiest * (2.5 if name == FEW_PEOPLE else 1.1)


def test_the_busiest_person_of_a_load_is_counted_as_written(tmp_path: Path) -> None:
    load = recurring(COUNT)[ZIPF]
    lines = map(json.loads, load.write(tmp_path).read_text("utf-8").splitlines())
    people = Counter(line["record"]["userId"] for line in lines if "record" in line)
    assert people.most_common(1)[0][1] == load.busiest
    assert people.total() == COUNT


def test_memberships_are_group_calls_of_one_company_without_traits() -> None:
    messages = list(recurring(100)[MEMBERSHIPS].messages())
    records = [each["record"] for each in messages if each["type"] == "RECORD"]
    assert {each["stream"] for each in messages if "stream" in each} == {"groups"}
    assert {each["groupId"] for each in records} == {"company-000000"}
    assert len({each["userId"] for each in records}) == 100
    assert {*records[0]} == {"messageId", "userId", "groupId", "timestamp"}


@pytest.mark.parametrize("name", [COMPANIES_ONCE, MEMBERSHIPS_ONCE])
def test_everybody_and_every_company_comes_once(name: str) -> None:
    messages = list(recurring(100)[name].messages())
    records = [each["record"] for each in messages if each["type"] == "RECORD"]
    for field in ("userId", "groupId"):
        assert len({each[field] for each in records}) == 100


@pytest.mark.parametrize(
    ("goal", "measured", "row"),
    [
        (AT_MOST, 1.05, ["at most 1.05", "1.05", "reached"]),
        (AT_MOST, 1.06, ["at most 1.05", "1.06", "missed"]),
        (AT_LEAST, 1.05, ["at least 1.05", "1.05", "reached"]),
        (AT_LEAST, 1.04, ["at least 1.05", "1.04", "missed"]),
        (AT_LEAST, None, ["at least 1.05", "-", "not measured"]),
    ],
)
def test_a_goal_is_reached_or_missed(
    goal: Callable[..., Goal], measured: float | None, row: list[str]
) -> None:
    assert goal("some figure", 1.05, lambda _: measured).row({}) == [
        "some figure",
        *row,
    ]
