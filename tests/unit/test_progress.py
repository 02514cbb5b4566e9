"""The figures of the live line."""

from __future__ import annotations

from typing import Any

import pytest

from target_customerio.delivery.sender import RequestStatistics
from target_customerio.progress import LIVE_SECONDS, RATE_SECONDS, Drawing
from target_customerio.results.summary import Summary


class FakeLine:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.error: Exception | None = None

    def show(self, text: str) -> None:
        self.texts.append(text)
        if self.error is not None:
            raise self.error


class FakePipeline:
    """A pipeline of which only counters are read."""

    def __init__(self) -> None:
        self.recorder = self
        self.summary = Summary()
        self.statistics = RequestStatistics(in_flight=2, seconds_throttled=3.4)


def shown(read_per_second: list[int]) -> list[str]:
    """Return the live lines of seconds with numbers of records."""
    line, pipeline = FakeLine(), FakePipeline()
    now = 0.0
    draw = Drawing(pipeline, line, lambda: now)  # type: ignore[arg-type] # fakes
    steps = round(1 / LIVE_SECONDS)
    for number in read_per_second:
        for _ in range(steps):
            now += LIVE_SECONDS
            pipeline.summary.streams["a"].read += number // steps
            draw()
    return line.texts


def test_the_rate_is_that_of_the_last_seconds() -> None:
    texts = shown([1000] * 10 + [2000] * (round(RATE_SECONDS) + 1) + [0] * 10)
    rates = [text.split(", ")[3] for text in texts]
    steps = round(1 / LIVE_SECONDS)
    assert rates[0] == rates[10 * steps - 1] == "1,000 records/s"
    assert rates[16 * steps - 1] == "2,000 records/s"
    assert rates[-1] == "0 records/s"


def test_all_figures_are_shown() -> None:
    assert shown([1000])[-1] == (
        "1,000 records, 0 delivered, 0 rejected, 1,000 records/s, 2 in flight, "
        "3 s throttled"
    )


@pytest.mark.parametrize("error", [OSError("hung up"), ValueError("closed")])
def test_a_terminal_that_is_gone_is_no_error(error: Exception) -> None:
    line: Any = FakeLine()
    line.error = error
    draw = Drawing(FakePipeline(), line)  # type: ignore[arg-type] # fakes
    draw()
    assert len(line.texts) == 1
