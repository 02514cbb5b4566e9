"""Counts the results of a removal, which has no records to write anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from target_customerio.errors import RecordsRejectedError, RejectedRecord
from target_customerio.results.counters import counted
from target_customerio.results.recorder import LOGGED, RunRecorder
from target_customerio.results.summary import LogLine, Summary

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from target_customerio.delivery.sender import RequestStatistics
    from target_customerio.records import Line, Place, SourceStream
    from target_customerio.settings import Settings


NEXT_STEP: Final = "the next --remove-missing"


class RemovalSummary(Summary):
    """Counters of a removal.

    Attributes:
        total: How many operations there are, once that is known.
    """

    total: int | None = None

    def progress(self, statistics: RequestStatistics) -> LogLine:
        """Return the progress line."""
        return self._line("progress", statistics)

    def live_text(
        self,
        statistics: RequestStatistics,
        records_per_second: float,  # noqa: ARG002 - no records are read
    ) -> str:
        """Return the progress line on a terminal."""
        return self._line("progress", statistics).text

    def lines(self, statistics: RequestStatistics) -> Iterator[LogLine]:
        """Yield the line at the end."""
        yield self._line("removal_summary", statistics)

    def _line(self, event: str, statistics: RequestStatistics) -> LogLine:
        totals = self.totals
        counts = {"removed": totals["delivered"], "rejected": totals["rejected"]}
        if self.total is not None:
            counts["left"] = self.total - sum(counts.values())
        text = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        return LogLine(
            f"{text}; {self.cost(statistics)}",
            {"event_type": event, **counts, **self.cost_fields(statistics)},
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
        record: Line,  # noqa: ARG002 - a removal has no record
        error: RejectedRecord,
        shown: RejectedRecord | None = None,
        place: Place | None = None,  # noqa: ARG002 - a removal has no record
    ) -> None:
        """Count and log a removal that is refused; the next step tries it again.

        Args:
            stream: The stream that held the person, object, and so on.
            record: Not used.
            error: Why Customer.io refused the removal.
            shown: What to log instead.
            place: Not used.

        Raises:
            RecordsRejectedError: ``on_rejected`` is ``abort``.
        """
        shown = shown or error
        if self._count_rejected(stream, shown) <= LOGGED:
            self._logger.warning(
                "Stream '%s': removal rejected: %s (%s)",
                stream.title,
                shown.message,
                shown.reason,
            )
        if self._on_rejected == "abort":
            raise RecordsRejectedError(
                f"Stream {stream.title!r}: stopped at the first rejected removal, "
                f"since on_rejected is abort; {NEXT_STEP} tries again"
            )

    def fail_if_rejected(self) -> None:
        """Fail if removals were rejected and ``on_rejected`` is ``fail``.

        Raises:
            RecordsRejectedError: Removals were rejected.
        """
        rejected = self.summary.rejected
        if rejected and self._on_rejected == "fail":
            what = counted(rejected, "removal was", "removals were")
            raise RecordsRejectedError(
                f"{what} rejected; {NEXT_STEP} tries again. All others were applied"
            )
