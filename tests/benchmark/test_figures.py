"""How the benchmark's figures are formed, and the loads they are made with."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from figures import possible, records_a_second, relative, share
from goals import AT_LEAST, AT_MOST, slowest
from measure import CHUNKS, CLIENT, DESTINATION, LATENCIES, PRODUCT, Result, cost
from report import tables
from results import Results, stored
from rounds import SHORTEST_SECONDS, Run, in_rounds
from snapshots import ALL, CONVERSION, FIRST, ONE, REMEMBERING, UNCHANGED, WITHOUT
from suite import (
    COMPANIES_ONCE,
    EVERYBODY_ONCE,
    FEW_PEOPLE,
    MEMBERSHIPS,
    MEMBERSHIPS_ONCE,
    ONE_COMPANY,
    PARTS,
    STEEP_ZIPF,
    ZIPF,
    Extent,
    Suite,
    recurring,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from goals import Goal
    from measure import Bench, Contender

COUNT = 5_000


def run(speed: float, busiest: int = 1, size: int = 440) -> dict[str, Any]:
    """Return the figures of 100,000 operations of this many bytes."""
    return {
        "records": 100_000,
        "seconds": [100_000 / speed],
        "operations": 100_000,
        "bytes": 100_000 * size,
        "busiest": busiest,
    }


def rounds(*seconds: float) -> dict[str, Any]:
    """Return the figures of 100,000 operations that took this long in each round."""
    return {**run(1), "seconds": [*seconds]}


def test_a_ratio_is_the_median_of_those_of_each_round() -> None:
    # The machine gets slower; the quotient of the medians would be 1.
    ours, other = rounds(2, 1, 4), rounds(1, 2, 8)
    assert records_a_second(ours) == records_a_second(other) == 50_000
    assert relative(ours, other) == 2
    assert relative(other, ours) == 0.5


def test_a_share_is_the_median_of_those_of_each_round() -> None:
    # By the faster of both in each round 1/2, 4/5 and 1; by the medians 1.
    once, some = rounds(1, 4, 8), rounds(2, 5, 2)
    figures = {"0": {EVERYBODY_ONCE: once, "some": some}}
    assert records_a_second(some) == possible(figures, "some", 0) == 50_000
    assert share(figures, "some", 0) == pytest.approx(0.8)


@dataclass(eq=False)
class Machine:
    """A machine on which each run takes a second more than the one before.

    Attributes:
        ran: The names of the inputs.
    """

    ran: list[str] = dataclasses.field(default_factory=list)

    def run(self, contender: Contender, source: Path) -> Result:
        self.ran.append(source.name)
        if contender is REMEMBERING:
            (source.parent / "snapshot.db").write_bytes(b"\0" * 50_000)
        operations = 0 if contender is CONVERSION else 7
        return Result(float(len(self.ran)), 66.9, 1, 3_000, operations, 0.25)

    def instructions(self, *_: object) -> int:
        self.ran.append("")
        return len(self.ran)


def test_runs_are_in_turn_and_back_with_the_start_up_of_their_round(
    tmp_path: Path,
) -> None:
    machine = Machine()
    bench = cast("Bench", machine)
    prepared: list[int] = []

    def prepare() -> None:
        prepared.append(len(machine.ran))

    runs = {
        "a": Run(bench, PRODUCT, tmp_path / "first", 10),
        "b": Run(bench, CHUNKS, tmp_path / "second", 20, PRODUCT, prepare),
    }
    figures = in_rounds(runs, 3, tmp_path / "nothing")
    there, back = ["nothing", "first", "second"], ["nothing", "second", "first"]
    assert machine.ran == [*there, *back, *there]
    assert figures["a"]["seconds"] == [2 - 1, 6 - 4, 8 - 7]
    assert figures["b"]["seconds"] == [3 - 1, 5 - 4, 9 - 7]
    assert figures["b"]["records"] == 20
    assert figures["b"]["server_seconds"] == [0.25, 0.25, 0.25]
    assert prepared == [2, 4, 8]


def test_a_run_that_is_faster_than_its_start_up_takes_some_time(tmp_path: Path) -> None:
    class Speeding(Machine):
        def run(self, contender: Contender, source: Path) -> Result:
            done = super().run(contender, source)
            return dataclasses.replace(done, seconds=1 / len(self.ran))

    runs = {"a": Run(cast("Bench", Speeding()), PRODUCT, tmp_path / "some", 10)}
    figures = in_rounds(runs, 2, tmp_path / "nothing")["a"]
    assert figures["seconds"] == [SHORTEST_SECONDS] * 2
    assert records_a_second(figures) == 10 / SHORTEST_SECONDS


def test_start_up_is_subtracted_as_it_is_at_that_latency(tmp_path: Path) -> None:
    machine = Machine()
    late = Machine(["before"] * 10)
    runs = {
        "at once": Run(cast("Bench", machine), PRODUCT, tmp_path / "some", 1),
        "late": Run(cast("Bench", late), PRODUCT, tmp_path / "some", 1),
    }
    figures = in_rounds(runs, 1, tmp_path / "nothing")
    assert [each["seconds"] for each in figures.values()] == [[1], [1]]


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """Return a suite on a machine that runs nothing."""
    monkeypatch.setattr("suite.segment", lambda _: replace(CLIENT, title=DESTINATION))
    monkeypatch.setattr("suite.serving", lambda *_: nullcontext(Machine()))
    benches = {latency: cast("Bench", Machine()) for latency in LATENCIES}
    return Suite(Extent(40, 80, 20, 3, 2), tmp_path, benches)


@pytest.fixture
def measured(suite: Suite) -> dict[str, Any]:
    """Return the results of all parts."""
    results = Results({})
    results.measure(PARTS, suite.part)
    return results.parts


def states(parts: dict[str, Any]) -> dict[str, str]:
    """Return each goal, and whether it is reached."""
    rows = [line.split("|") for line in tables(parts)["goals"].splitlines()[2:]]
    return {row[1].strip(): row[4].strip() for row in rows}


def test_a_part_that_is_missing_is_not_measured(measured: dict[str, Any]) -> None:
    shown = tables(measured)
    assert "not measured" not in {*states(measured).values()}
    assert "Not measured" not in str(shown)
    for name in PARTS:
        others = {each: part for each, part in measured.items() if each != name}
        missing = [goal for goal, state in states(others).items() if "not" in state]
        assert len(missing) >= 1, name
        if name in ("contenders", "recurring", "snapshots"):
            assert tables(others)[name] == "Not measured."
        alone = states({name: measured[name]})
        assert {goal for goal, state in alone.items() if "not" not in state} >= {
            *missing
        }
    assert {*states({}).values()} == {"not measured"}
    assert {text for name, text in tables({}).items() if name != "goals"} == {
        "Not measured."
    }


def test_charts_are_drawn_of_what_was_measured(
    measured: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("contenders", "recurring"):
        folder = tmp_path / name
        folder.mkdir()
        Results({name: measured[name]}, folder).keep()
        assert {each.name for each in folder.iterdir()} == {
            "results.json",
            f"{name}.svg",
        }


def test_each_part_says_in_how_many_rounds_it_was_measured(
    measured: dict[str, Any],
) -> None:
    for name, part in measured.items():
        every = part["figures"]
        if name in ("contenders", "recurring"):
            runs = [run for runs in every.values() for run in runs.values()]
        elif name == "snapshots":
            runs = [run for runs in every["runs"].values() for run in runs.values()]
        elif name in ("loads", "long"):
            runs = [*every.values()]
        else:
            continue
        assert {len(run["seconds"]) for run in runs} == {part["rounds"]}, name
    assert len(measured["start_up"]["figures"][PRODUCT.title]) == 6
    assert "recurring 3, loads 3, long 2, stalled 1" in tables(measured)["made"]


def test_only_what_is_compared_is_measured_late(measured: dict[str, Any]) -> None:
    snapshots = measured["snapshots"]["figures"]["runs"]
    assert {*snapshots["0"]} == {WITHOUT, FIRST, UNCHANGED, ONE, ALL}
    assert {*snapshots["50"]} == {*snapshots["200"]} == {WITHOUT, ONE}
    recurring = measured["recurring"]["figures"]
    assert recurring["0"].keys() - recurring["200"].keys() == {
        COMPANIES_ONCE,
        MEMBERSHIPS_ONCE,
    }


def test_each_part_is_kept_as_soon_as_it_is_measured(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = {"made": "long ago", "rounds": 9, "figures": {"peak_mb": 5.0}}

    def measure(name: str) -> dict[str, Any]:
        if name == "long":
            raise KeyboardInterrupt
        return suite.part(name)

    results = Results({"stalled": old, "long": old}, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        results.measure(["loads", "start_up", "long", "stalled"], measure)
    kept = stored(tmp_path / "results.json")
    assert [*kept] == ["start_up", "loads", "long", "stalled"]
    assert kept["long"] == kept["stalled"] == old
    assert kept["loads"]["made"].startswith("20")
    said = capsys.readouterr().err
    assert re.fullmatch(r"loads: \d+ s\nstart_up: \d+ s\nlong: ", said)


def test_how_parts_were_made_is_said_once_or_by_part(measured: dict[str, Any]) -> None:
    description = measured["long"]["made"]
    said = tables(measured)["made"]
    assert said.startswith(f"{description}.\n\nRounds: start-up 6, ")
    measured["long"]["made"] = measured["start_up"]["made"] = "another day"
    said = tables(measured)["made"]
    others = "contenders, instructions, recurring, loads, stalled, snapshots"
    assert said.startswith(
        f"- start-up, long: another day.\n- {others}: {description}.\n\nRounds: "
    )


def test_peak_memory_is_that_of_the_program_alone(tmp_path: Path) -> None:
    (tmp_path / "nothing").touch()
    held = b"x" * 150_000_000
    _, peak = cost([sys.executable, "-c", ""], tmp_path / "nothing")
    assert len(held) / 1_000_000 > 150 - 1
    assert 1 < peak < 60


def test_a_program_that_fails_stops_the_benchmark(tmp_path: Path) -> None:
    (tmp_path / "nothing").touch()
    command = [sys.executable, "-c", "import sys; sys.exit('no reason')"]
    with pytest.raises(RuntimeError, match="no reason"):
        cost(command, tmp_path / "nothing")


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
    figures = {"0": runs}
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
def test_loads_are_as_skewed_as_they_say(
    name: str, of_the_busiest: float, tmp_path: Path
) -> None:
    busiest = recurring(COUNT)[name].busiest(tmp_path)
    assert of_the_busiest <= busiest / COUNT * 1.1
    assert busiest / COUNT <= of_the_busiest * (2.5 if name == FEW_PEOPLE else 1.1)


def test_the_busiest_person_of_a_load_is_counted_as_written(tmp_path: Path) -> None:
    load = recurring(COUNT)[ZIPF]
    lines = map(json.loads, load.write(tmp_path).read_text("utf-8").splitlines())
    people = Counter(line["record"]["userId"] for line in lines if "record" in line)
    assert people.most_common(1)[0][1] == load.busiest(tmp_path)
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
