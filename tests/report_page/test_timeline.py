"""Counters over time: sampled in bounded memory, drawn in round figures."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_customerio.report.charts import Chart, Series, ticks
from target_customerio.report.figures import MAX_COLUMNS, over_time
from target_customerio.report.timeline import MAX_SAMPLES, Sample, Timeline, Totals


def test_samples_are_bounded_and_cover_the_whole_run() -> None:
    now = 0.0
    timeline = Timeline(Totals, clock=lambda: now)
    for _ in range(10_000):
        now += timeline.interval
        timeline.take()
    samples = timeline.samples
    assert MAX_SAMPLES / 2 <= len(samples) <= MAX_SAMPLES
    assert samples[0] == Sample(0.0, Totals())
    assert samples[-1].seconds == now
    gaps = [after.seconds - before.seconds for before, after in pairwise(samples)]
    assert max(gaps) <= 2.1 * timeline.interval


def test_a_block_is_sampled_to_its_end_also_if_it_fails() -> None:
    totals = Totals({"person event": 1})
    timeline = Timeline(lambda: totals)
    with pytest.raises(KeyError), timeline:
        raise KeyError
    assert timeline.samples[-1].totals is totals
    assert len(timeline.samples) >= 2


@given(st.lists(st.tuples(st.floats(0.001, 5), st.integers(0, 1000)), max_size=300))
def test_columns_lose_nothing(steps: list[tuple[float, int]]) -> None:
    seconds, delivered = 0.0, 0
    samples = [Sample(0.0, Totals())]
    for step, number in steps:
        seconds, delivered = seconds + step, delivered + number
        samples.append(Sample(seconds, Totals({"person event": delivered})))
    columns = over_time(samples)
    assert len(columns) <= MAX_COLUMNS
    drawn = sum(
        each.rate(lambda at: at.delivered.get("person event", 0)) * each.seconds
        for each in columns
    )
    assert drawn == pytest.approx(delivered)
    assert sum(each.seconds for each in columns) == pytest.approx(seconds)


@given(st.floats(0.0001, 1e12), st.integers(2, 8), st.sampled_from([0.0, 1.0]))
def test_an_axis_has_few_round_values_and_reaches_the_highest(
    highest: float, most: int, least: float
) -> None:
    found = ticks(highest, most, least)
    assert found[0] == 0
    assert 2 <= len(found) <= most + 2
    assert found[-1] >= highest * 0.99
    step = found[1]
    assert step >= least
    digits = f"{step:.0e}"[0]
    assert digits in "1259"  # 9 for a step that a float has as 0.999...


def test_a_chart_has_its_labels_and_no_style_of_its_own() -> None:
    chart = Chart(
        "Records",
        "Stream",
        ["a & b", "<c>"],
        [Series("delivered", "good", [3, 4])],
        str,
        min_step=1,
        is_horizontal=True,
    )
    pictures = chart.pictures()
    assert pictures.count("<svg") == 2
    assert "a &amp; b" in pictures
    assert "&lt;c&gt;" in pictures
    assert 'aria-label="Records"' in pictures
    for part in ("style", "<script", "http:", "<desc", "id="):
        assert part not in pictures
