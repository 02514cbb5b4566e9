"""Observes a run and writes its page when the run ends, however it ends."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from target_customerio.log_privacy import traceback_of
from target_customerio.report.content import content_of
from target_customerio.report.timeline import Period, Timeline, Totals

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from pathlib import Path

    from target_customerio.pipeline import Pipeline
    from target_customerio.report.content import Content


@contextmanager
def recording(
    pipeline: Pipeline, logger: logging.Logger, what: str = "run"
) -> Iterator[None]:
    """Write the page of the run in the block, if ``report_path`` is set.

    A page that cannot be written is logged, and does not change how the run ends: its
    records are delivered, and would be sent again.

    Args:
        pipeline: The pipeline of the run.
        logger: Logs messages for the user.
        what: What the run is: ``run`` or ``removal``.
    """
    path = pipeline.settings.report_path
    if path is None:
        yield
        return
    shown = pipeline.settings.given["report_path"]
    started = datetime.now(timezone.utc)
    timeline = Timeline(lambda: _totals(pipeline))
    observation = pipeline.observe()
    ending: BaseException | None = None
    try:
        with timeline:
            yield
    except BaseException as error:
        ending = error
        raise
    finally:
        try:
            ended = datetime.now(timezone.utc)
            period = Period(started, ended, timeline.samples, ending)
            people = None if observation is None else observation.people
            _write(path, content_of(pipeline, what, period, people))
        except Exception as problem:  # noqa: BLE001 - the records are delivered
            reason = getattr(problem, "strerror", None) or type(problem).__name__
            logger.warning(
                "Cannot write the report to %s (%s); check report_path and the disk",
                shown,
                reason,
            )
            logger.debug("%s", traceback_of(problem))
        else:
            logger.info("Report written to %s", shown)


def _totals(pipeline: Pipeline) -> Totals:
    """Return the counters; other threads change them meanwhile."""
    delivered: Counter[str] = Counter()
    skipped = rejected = 0
    for counts in [*pipeline.recorder.summary.streams.values()]:
        delivered += counts.delivered.copy()
        skipped += counts.skipped.total()
        rejected += counts.rejected.total()
    statistics = pipeline.statistics
    return Totals(
        delivered,
        skipped,
        rejected,
        statistics.requests,
        statistics.retries,
        statistics.seconds_throttled,
    )


def _write(path: Path, content: Content) -> None:
    # Most runs write no page: the template engine and the charts take time to import.
    from target_customerio.report.page import render, write  # noqa: PLC0415

    write(path, render(content), is_private=content.is_sandbox)
