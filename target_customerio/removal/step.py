"""The step: finds what is missing, shows it, and removes it or returns the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from target_customerio.errors import (
    RemovalRefusedError,
    SettingsError,
    SnapshotError,
    telling_what_follows,
)
from target_customerio.pipeline import CLOSE_TIMEOUT_SECONDS, Pipeline
from target_customerio.plan import Plan, StreamPlan
from target_customerio.plan.counts import removal_plan
from target_customerio.plan.text import refusals
from target_customerio.progress import shown_progress
from target_customerio.records import Place, SourceStream
from target_customerio.removal.recorder import NEXT_STEP, RemovalRecorder
from target_customerio.removal.table import removal_lines
from target_customerio.report import recording
from target_customerio.results.counters import counted
from target_customerio.settings.similar_names import unmatched_calls
from target_customerio.snapshot.file import located
from target_customerio.snapshot.removal import RemovalFinder

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from target_customerio.changes import Changes
    from target_customerio.settings import Settings
    from target_customerio.settings.stream_calls import StreamCalls
    from target_customerio.snapshot.missing import Removal
    from target_customerio.snapshot.streams import Stream


def remove_missing(
    settings: Settings, logger: logging.Logger, is_stopped: Callable[[], bool]
) -> Plan | None:
    """Remove what is missing from the last runs of streams, or plan the removal.

    Args:
        settings: The settings of the pipeline.
        logger: Logs messages for the user.
        is_stopped: Tells whether a signal asks to stop.

    Returns:
        The plan; None without the setting ``plan``.

    Raises:
        TargetError: Something that is missing was not removed.
    """
    path = settings.snapshot
    if path is None:
        raise SettingsError(
            "snapshot: not set; set it to the path of the pipeline's snapshot"
        )
    if not located(path).exists():
        raise SnapshotError(
            f"snapshot: {path} does not exist; run the pipeline first, with this "
            "setting"
        )
    recorder = RemovalRecorder(settings, logger)
    # A removal sends nothing anew, so refreshing would only lose what is known.
    pipeline = Pipeline(replace(settings, refresh=False), logger, recorder=recorder)
    with (
        recording(pipeline, logger, "removal"),
        telling_what_follows(f"{NEXT_STEP} removes what is left"),
        shown_progress(pipeline),
    ):
        try:
            pipeline.start()
            assert pipeline.changes is not None  # noqa: S101 - there is a snapshot
            step = RemovalStep(pipeline, pipeline.changes, recorder, logger)
            plan = step.run(is_stopped)
        finally:
            pipeline.end(timeout_seconds=CLOSE_TIMEOUT_SECONDS)
        pipeline.is_complete = not is_stopped()
        pipeline.plan = plan
    return plan


def unknown_names(calls: StreamCalls, streams: Iterable[Stream]) -> Iterator[str]:
    """Yield a line for each name in ``stream_calls`` that the snapshot does not have.

    Args:
        calls: The settings of streams; only those with ``remove_missing`` count.
        streams: The streams of the snapshot.
    """
    for each in unmatched_calls(calls.removing, [each.name for each in streams]):
        meant = "" if each.closest is None else f" (did you mean {each.closest!r}?)"
        yield f"stream_calls: the snapshot has no stream {each.name!r}{meant}"


class RemovalStep:
    """Removes what is missing, through the pipeline of a run."""

    def __init__(
        self,
        pipeline: Pipeline,
        changes: Changes,
        recorder: RemovalRecorder,
        logger: logging.Logger,
    ) -> None:
        """Remove through a pipeline that has started."""
        self._pipeline = pipeline
        self._changes = changes
        self._recorder = recorder
        self._logger = logger

    def run(self, is_stopped: Callable[[], bool]) -> Plan | None:
        """Show what is missing and remove it, or return the plan of the removal.

        Args:
            is_stopped: Tells whether a signal asks to stop.

        Returns:
            The plan; None without the setting ``plan``.

        Raises:
            TargetError: Something that is missing was not removed.
        """
        self._pipeline.bind(self._changes)
        snapshot = self._changes.snapshot
        calls = self._pipeline.settings.streams
        for warning in unknown_names(calls, snapshot.streams):
            self._logger.warning("%s", warning)
        removals = self._changes.removals(calls)
        if not removals:
            raise SettingsError(
                "remove_missing: not set for any stream in the snapshot; set it in "
                "stream_calls, for example "
                '{"users": {"call": "identify", "remove_missing": true}}'
            )
        for line in removal_lines(removals):
            self._logger.info("%s", line.text, extra=line.fields)
        if self._pipeline.settings.plan:
            self._rehearse(removals, is_stopped)
            return self._plan(removals)
        self._recorder.summary.total = sum(each.total for each in removals)
        try:
            self._send(removals, is_stopped)
        finally:
            snapshot.checkpoint()
        if is_stopped():
            self._logger.warning("Stopped by a signal; %s continues", NEXT_STEP)
        fail_if_refused(removals)
        self._recorder.fail_if_rejected()
        return None

    def _rehearse(
        self, removals: Sequence[Removal], is_stopped: Callable[[], bool]
    ) -> None:
        """Remove from the temporary copies that a plan works on, for its page.

        Only the page of a plan for a sandbox shows people, and so needs this.
        """
        settings = self._pipeline.settings
        if settings.report_path is not None and settings.connection.sandbox is not None:
            self._send(removals, is_stopped)

    def _plan(self, removals: Sequence[Removal]) -> Plan:
        settings = self._pipeline.settings
        for each in removals:
            if each.refusal:
                self._logger.warning(
                    "Stream %r: nothing would be removed: %s",
                    each.stream.title,
                    each.refusal,
                )
        plan = Plan(
            settings.connection.destination,
            settings.snapshot,
            tuple(
                StreamPlan(each.stream.title, removal=removal_plan([each]))
                for each in removals
            ),
        )
        totals = plan.totals
        removed, kept = totals["removed"], totals["kept"]
        counts = f"{removed:,} to remove, {kept:,} kept"
        self._logger.info(
            "Plan: %s",
            "; ".join(filter(None, [counts, refusals(plan), "nothing was removed"])),
            extra={
                "event_type": "removal_plan",
                "to_remove": removed,
                "kept": kept,
                "refused": totals["refused"],
            },
        )
        return plan

    def _send(
        self, removals: Sequence[Removal], is_stopped: Callable[[], bool]
    ) -> None:
        streams = {
            each.stream.number: SourceStream(each.stream.source, b"", each.stream.title)
            for each in removals
        }
        counts = self._recorder.summary.streams
        finder = RemovalFinder(self._changes.snapshot)
        for stream, operation in finder.operations(removals):
            if is_stopped():
                break
            counts[stream.title].read += 1
            self._pipeline.queue(streams[stream.number], b"", operation, Place())
        self._pipeline.drain()


def fail_if_refused(removals: Sequence[Removal]) -> None:
    """Fail if the removal of some streams was refused.

    Raises:
        RemovalRefusedError: The removal of at least one stream was refused.
    """
    refused = [
        f"stream {each.stream.title!r}: {each.refusal}"
        for each in removals
        if each.refusal
    ]
    if refused:
        whose = counted(len(refused), "stream")
        raise RemovalRefusedError(
            f"Nothing was removed for {whose}; {'; '.join(refused)}"
        )
