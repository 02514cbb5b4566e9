"""The step ``--remove-missing``: removes what is gone from the tables of streams.

It is run after the pipeline, by whoever knows that the pipeline has succeeded: nothing
in a Singer stream says for sure that a table came whole.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tabulate import tabulate

from target_customerio.advice import unmatched_calls
from target_customerio.errors import (
    RecordsRejectedError,
    RejectedRecord,
    RemovalRefusedError,
    SettingsError,
    SnapshotError,
)
from target_customerio.pipeline import Pipeline
from target_customerio.plan import Plan, StreamPlan
from target_customerio.planning import removal_plan
from target_customerio.progress import shown_progress
from target_customerio.recorder import RunRecorder
from target_customerio.records import Place, SourceStream
from target_customerio.report import recording
from target_customerio.snapshot.file import KINDS, located
from target_customerio.snapshot.removal import Remover
from target_customerio.summary import Entry, Summary

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from target_customerio.changes import Changes
    from target_customerio.delivery.sender import RequestStatistics
    from target_customerio.records import Line
    from target_customerio.settings import Settings
    from target_customerio.snapshot.removal import Missing, Removal
    from target_customerio.snapshot.streams import Stream
    from target_customerio.stream_calls import StreamCalls

CLOSE_TIMEOUT_SECONDS: Final = 5.0
"""Maximum wait for requests in flight when the step has failed."""

LOGGED: Final = 10
"""Maximum rejections that are logged one by one."""

MAX_HOLDERS: Final = 3
"""Maximum streams that a line of the table names."""


def remove_missing(
    settings: Settings, logger: logging.Logger, is_stopped: Callable[[], bool]
) -> Plan | None:
    """Remove what is missing from the last runs of streams, or plan that.

    Args:
        settings: The settings of the pipeline.
        logger: Logs messages for the user.
        is_stopped: Tells whether a signal asks to stop.

    Returns:
        The plan, with the setting ``plan``.

    Raises:
        TargetError: Not everything was removed.
    """
    path = settings.snapshot
    if path is None:
        raise SettingsError(
            "snapshot: it is not set, so it is not known what streams held before"
        )
    if not located(path).exists():
        raise SnapshotError(
            f"snapshot: {path} does not exist; run the pipeline first, with this "
            "setting"
        )
    recorder = RemovalRecorder(settings, logger)
    # What is not removed is as known as before.
    pipeline = Pipeline(replace(settings, refresh=False), logger, recorder=recorder)
    with recording(pipeline, logger, "removal"), shown_progress(pipeline):
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
        """Show what is missing, remove it, and fail if some of it is not removed.

        A plan only shows it, and is returned.
        """
        self._pipeline.bind(self._changes)
        snapshot = self._changes.snapshot
        remover = Remover(snapshot)
        calls = self._pipeline.settings.streams
        for line in unknown_names(calls, snapshot.streams):
            self._logger.warning("%s", line)
        removals = remover.plan(calls.removal_of)
        if not removals:
            raise SettingsError(
                "remove_missing: no stream in the snapshot has it; set it in "
                "stream_calls, for example "
                '{"users": {"call": "identify", "remove_missing": true}}'
            )
        for entry in entries(removals):
            self._logger.info("%s", entry.text, extra=entry.fields)
        if self._pipeline.settings.plan:
            self._rehearse(remover, removals, is_stopped)
            return self._plan(removals)
        self._recorder.summary.total = sum(each.total for each in removals)
        try:
            self._send(remover, removals, is_stopped)
        finally:
            snapshot.checkpoint()
        fail_if_refused(removals)
        self._recorder.fail_if_rejected()
        return None

    def _rehearse(
        self,
        remover: Remover,
        removals: Sequence[Removal],
        is_stopped: Callable[[], bool],
    ) -> None:
        """Remove from the temporary copies of a plan, so that its page has the people.

        Without a sandbox there are no people to show.
        """
        settings = self._pipeline.settings
        if settings.report_path is not None and settings.connection.sandbox is not None:
            self._send(remover, removals, is_stopped)

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
        removed, kept = plan.totals["removed"], plan.totals["kept"]
        self._logger.info(
            "Plan: %s to remove, %s kept; nothing was removed",
            f"{removed:,}",
            f"{kept:,}",
            extra={"event_type": "removal_plan", "to_remove": removed, "kept": kept},
        )
        return plan

    def _send(
        self,
        remover: Remover,
        removals: Sequence[Removal],
        is_stopped: Callable[[], bool],
    ) -> None:
        streams = {
            each.stream.number: SourceStream(each.stream.source, b"", each.stream.title)
            for each in removals
        }
        counts = self._recorder.summary.streams
        for stream, operation in remover.operations(removals):
            if is_stopped():
                break
            counts[stream.title].read += 1
            self._pipeline.queue(streams[stream.number], b"", operation, Place())
        self._pipeline.drain()


def fail_if_refused(removals: Sequence[Removal]) -> None:
    """Fail if nothing was removed of some streams.

    Raises:
        RemovalRefusedError: That is so.
    """
    refused = [
        f"stream {each.stream.title!r}: {each.refusal}"
        for each in removals
        if each.refusal
    ]
    if refused:
        whose = "1 stream" if len(refused) == 1 else f"{len(refused)} streams"
        raise RemovalRefusedError(
            f"Nothing was removed of {whose}; {'; '.join(refused)}"
        )


def entries(removals: Sequence[Removal]) -> Iterator[Entry]:
    """Yield the table of what is missing, with its figures for a structured log."""
    rows: list[tuple[str, ...]] = []
    fields = []
    for removal in removals:
        if not removal.kinds:
            rows.append((removal.stream.title, "", "", "", "refused", ""))
            fields.append(_fields(removal, "", None))
        for kind, missing in _shown(removal):
            rows.append(_row(removal, kind, missing))
            fields.append(_fields(removal, KINDS[kind], missing))
    lines = tabulate(
        rows,
        headers=["stream", "", "held before", "missing", "to remove", "kept"],
        tablefmt="simple",
        disable_numparse=True,  # a stream may be named 007
        colalign=["left", "left", "right", "right", "right", "left"],
    ).splitlines()
    for line, figures in zip(lines, [{}, {}, *fields], strict=True):
        yield Entry(line.rstrip(), figures)


def _shown(removal: Removal) -> Sequence[tuple[int, Missing]]:
    """Return the kinds of which a stream held anything; at least one."""
    kinds = [*removal.kinds.items()]
    return [each for each in kinds if each[1].held_before] or kinds[-1:]


def _row(removal: Removal, kind: int, missing: Missing) -> tuple[str, ...]:
    return (
        removal.stream.title,
        KINDS[kind],
        f"{missing.held_before:,}",
        f"{missing.missing:,}",
        "refused" if removal.refusal else f"{len(missing.going):,}",
        ", ".join(_kept(missing)),
    )


def _kept(missing: Missing) -> Iterator[str]:
    """Yield how many stay, and why."""
    if missing.held:
        names = sorted(missing.held_by)
        more = len(names) - MAX_HOLDERS
        by = ", ".join(names[:MAX_HOLDERS]) + (f" and {more} more" if more > 0 else "")
        yield f"{missing.held:,} held by {by}"
    if missing.others:
        yield f"{missing.others:,} without id and e-mail address, merged or suppressed"


def _fields(removal: Removal, kind: str, missing: Missing | None) -> dict[str, object]:
    figures: dict[str, object] = {
        "event_type": "removal",
        "stream_name": removal.stream.title,
        "kind": kind,
        "refusal": removal.refusal,
    }
    if missing is None:
        return figures
    return {
        **figures,
        "held": missing.held_before,
        "missing": missing.missing,
        "to_remove": 0 if removal.refusal else len(missing.going),
        "kept_for_other_streams": missing.held,
        "kept_for_other_reasons": missing.others,
    }


class RemovalSummary(Summary):
    """Counters of a removal.

    Attributes:
        total: How many operations there are.
    """

    total = 0

    def progress(self, statistics: RequestStatistics) -> Entry:
        """Return the progress line."""
        return self._entry("progress", statistics)

    def live_text(
        self,
        statistics: RequestStatistics,
        records_per_second: float,  # noqa: ARG002 - no records are read
    ) -> str:
        """Return the progress line on a terminal."""
        return self._entry("progress", statistics).text

    def entries(self, statistics: RequestStatistics) -> Iterator[Entry]:
        """Yield the line at the end."""
        yield self._entry("removal_summary", statistics)

    def _entry(self, event: str, statistics: RequestStatistics) -> Entry:
        totals = self.totals
        rest = self.total - totals["delivered"] - totals["rejected"]
        return Entry(
            f"{totals['delivered']:,} removed, {totals['rejected']:,} rejected, "
            f"{rest:,} left; {self.cost(statistics)}",
            {
                "event_type": event,
                "removed": totals["delivered"],
                "rejected": totals["rejected"],
                "left": rest,
                **self.cost_fields(statistics),
            },
        )


class RemovalRecorder(RunRecorder):
    """Records the results of removals, which have no record."""

    summary: RemovalSummary

    def __init__(self, settings: Settings, logger: logging.Logger) -> None:
        """Count from zero."""
        super().__init__(settings, logger)
        self.summary = RemovalSummary()

    def reject(
        self,
        stream: SourceStream,
        record: Line,  # noqa: ARG002 - there is none
        error: RejectedRecord,
        shown: RejectedRecord | None = None,
        place: Place | None = None,  # noqa: ARG002 - there is none
    ) -> None:
        """Count and log a removal that is refused; the next step tries it again.

        Args:
            stream: The stream that held it.
            record: Not used.
            error: What is wrong with it.
            shown: What to log instead.
            place: Not used.

        Raises:
            RecordsRejectedError: ``on_rejected`` is ``abort``.
        """
        shown = shown or error
        counts = self.summary.streams[stream.title].rejected
        counts[shown.reason] += 1
        if counts[shown.reason] <= LOGGED:
            self._logger.warning(
                "Stream '%s': removal rejected: %s (%s)",
                stream.title,
                shown.message,
                shown.reason,
            )
        if self._on_rejected == "abort":
            raise RecordsRejectedError(
                f"Stream {stream.title!r}: stopped at the first rejected removal, "
                "since on_rejected is abort"
            )

    def fail_if_rejected(self) -> None:
        """Fail if removals were rejected and ``on_rejected`` is ``fail``.

        Raises:
            RecordsRejectedError: That is so.
        """
        rejected = self.summary.rejected
        if rejected and self._on_rejected == "fail":
            what = "1 removal was" if rejected == 1 else f"{rejected:,} removals were"
            raise RecordsRejectedError(
                f"{what} rejected; the next --remove-missing tries again. All others "
                "were applied"
            )
