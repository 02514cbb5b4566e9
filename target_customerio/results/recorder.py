"""Records the result of each record: counters, rejected records and STATE."""

from __future__ import annotations

import os
import re
import select
import stat
import sys
from collections import Counter, defaultdict
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from target_customerio.errors import (
    MissingKeyPropertyError,
    RecordsRejectedError,
    RejectedRecord,
    StateError,
)
from target_customerio.log_privacy import shown_field
from target_customerio.records import SourceStream
from target_customerio.results.advice import FirstRecords
from target_customerio.results.counters import RECENT_EVENTS, RejectedLine, counted
from target_customerio.results.rejected import RejectedRecords
from target_customerio.results.summary import Summary
from target_customerio.terminal import TERMINAL

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence

    from target_customerio.delivery import QueuedOperation
    from target_customerio.records import Line, Place
    from target_customerio.settings import Settings

MISSING_KEY: Final = "missing_key"
REFUSED: Final = "refused by Customer.io"

REPEATED: Final = "repeated event"
"""Why an event is skipped that a sandbox has received before."""

LOGGED: Final = 10
"""Maximum rejections per stream and reason that are logged one by one."""

_WORD: Final = re.compile(r"[a-z][a-z_]{0,39}")
_FIELD: Final = re.compile(r"[A-Za-z_][\w.\[\]-]{0,99}", re.ASCII)
_stream: Final = attrgetter("stream")
_stream_and_label: Final = attrgetter("stream", "label")
_is_recent: Final = attrgetter("is_recent")


class RunRecorder:
    """Counts records, writes rejected records to their file, and writes STATE.

    The threads of the delivery call it, one at a time, and so does the reading thread.

    Attributes:
        summary: The counters of the run.
        first_records: Advice for each stream, by its name after stream maps.
        reads_rejected: Whether the input contains records that a run rejected.
    """

    def __init__(self, settings: Settings, logger: logging.Logger) -> None:
        """Create the recorder; no file is opened yet.

        Args:
            settings: The settings.
            logger: Logs messages for the user.
        """
        self.summary = Summary(is_plan=settings.plan)
        self.first_records: defaultdict[str, FirstRecords] = defaultdict(FirstRecords)
        self._on_rejected = settings.on_rejected
        self._logger = logger
        self._rejected_records = RejectedRecords(settings.rejected_path)
        # Words of the log, which differ for a plan.
        self._outcome = "rejected"
        self._also_written = f"written to {settings.rejected_path} but "
        self.reads_rejected = False
        # Both the reading thread and the sending threads reject records.
        self._rejecting = Lock()

    @property
    def run(self) -> str:
        """The random id that marks the records that this run has rejected."""
        return self._rejected_records.run

    def skip(self, stream: str, reason: str) -> None:
        """Count a record that was read and skipped before any conversion."""
        counts = self.summary.streams[stream]
        counts.read += 1
        counts.skipped[reason] += 1

    def was_rejected_by_this_run(self, message: Mapping[str, Any]) -> bool:
        """Return whether a RECORD message was written by this run, as a rejected one.

        Warns once if the input contains rejected records.
        """
        if not self.reads_rejected:
            self.reads_rejected = True
            self._logger.warning(
                "The input contains records that an earlier run rejected: their values "
                "may be older than what was sent since"
            )
        return self._rejected_records.was_written_by_this_run(message.get("rejection"))

    def reject(
        self,
        stream: SourceStream,
        record: Line,
        error: RejectedRecord,
        shown: RejectedRecord | None = None,
        place: Place | None = None,
    ) -> None:
        """Write a record to the file of rejected records, count and log it.

        Args:
            stream: The stream of the record.
            record: The record as it arrived.
            error: What is wrong with it.
            shown: What to log instead, if the error may quote the record.
            place: Where in the input it is, if that is known.

        Raises:
            RecordsRejectedError: ``on_rejected`` is ``abort``.
            RejectedFileError: The file cannot be written.
        """
        with self._rejecting:
            line, where = self._store_rejected(stream, record, error, place)
            number = self._count_rejected(stream, shown or error)
        if number <= LOGGED + 1:
            shown = shown or without_names(stream, error)
            if line:
                first = self.summary.streams[stream.title].first_rejected[shown.reason]
                first.append(RejectedLine(line, shown.field))
            self._log_rejection(stream, where, shown, number)
        if self._on_rejected == "abort":
            kind = (
                MissingKeyPropertyError
                if error.reason == MISSING_KEY
                else RecordsRejectedError
            )
            raise kind(
                f"Stream {stream.title!r}: stopped at the first rejected record, since "
                f"on_rejected is abort; correct it in {where}"
            )

    def _store_rejected(
        self,
        stream: SourceStream,
        record: Line,
        error: RejectedRecord,
        place: Place | None,  # noqa: ARG002 - for plans, which write no file
    ) -> tuple[int, str]:
        """Write a rejected record; return its line, 0 without one, and where it is."""
        line = self._rejected_records.add(stream, record, error)
        return line, f"line {line} of {self._rejected_records.path}"

    def _count_rejected(self, stream: SourceStream, error: RejectedRecord) -> int:
        """Count a rejection, and return how many the stream has for this reason."""
        rejected = self.summary.streams[stream.title].rejected
        rejected[error.reason] += 1
        return rejected[error.reason]

    def _log_rejection(
        self, stream: SourceStream, where: str, error: RejectedRecord, number: int
    ) -> None:
        """Log the first rejections for each reason, then once that there are more."""
        fields = {
            "event_type": "rejection",
            "stream_name": stream.title,
            "reason": error.reason,
            "field": error.field,
        }
        if number <= LOGGED:
            self._logger.warning(
                "Stream '%s': record %s, see %s: %s (%s%s)",
                stream.title,
                self._outcome,
                where,
                error.message,
                error.reason,
                f", {error.field}" if error.field else "",
                extra=fields,
            )
        else:
            self._logger.warning(
                "Stream '%s': more than %d records %s (%s); further ones are %snot "
                "logged",
                stream.title,
                LOGGED,
                self._outcome,
                error.reason,
                self._also_written,
                extra=fields,
            )

    def advise(self, stream: SourceStream, record: Line, error: RejectedRecord) -> None:
        """Log advice if all the first records of a stream were rejected."""
        first_records = self.first_records[stream.title]
        if not first_records.done:
            shown = without_names(stream, error)
            advice = first_records.reject(stream.title, record, shown)
            self._log_advice(stream.title, advice)

    def end_streams(self) -> None:
        """Log advice for short streams whose records were all rejected."""
        for stream, first_records in self.first_records.items():
            self._log_advice(stream, first_records.end(stream))

    def _log_advice(self, stream: str, advice: str | None) -> None:
        if advice is not None:
            self._logger.warning("Stream '%s': %s", stream, advice)

    def fail_if_rejected(self) -> None:
        """Fail the run if records were rejected and ``on_rejected`` is ``fail``.

        Raises:
            RecordsRejectedError: The run has failed.
        """
        rejected = self.summary.rejected
        if rejected and self._on_rejected == "fail":
            what = counted(rejected, "record was", "records were")
            raise RecordsRejectedError(
                f"{what} rejected and written to {self._rejected_records.path}; all "
                "others were delivered. Move the file away, correct its records and "
                "load it, or set on_rejected to continue"
            )

    def delivered(self, operations: Sequence[QueuedOperation]) -> None:
        """Count operations that Customer.io accepted."""
        labels = Counter(map(_stream_and_label, operations))
        for (stream, label), count in labels.items():
            self.summary.streams[stream.title].delivered[label] += count
        self.summary.figures[RECENT_EVENTS] += sum(map(_is_recent, operations))

    def repeated(self, operations: Sequence[QueuedOperation]) -> None:
        """Count events that a sandbox dropped, as Customer.io would."""
        for stream, count in Counter(map(_stream, operations)).items():
            self.summary.streams[stream.title].skipped[REPEATED] += count

    def rejected(self, operation: QueuedOperation, error: RejectedRecord) -> None:
        """Reject the record of an operation that Customer.io refused.

        Args:
            operation: The operation.
            error: What is wrong with it.

        Raises:
            RecordsRejectedError: ``on_rejected`` is ``abort``.
            RejectedFileError: The file of rejected records cannot be written.
        """
        stream, line = operation.stream, operation.record
        # The pipeline has queued both; the delivery does not know their types.
        assert isinstance(stream, SourceStream)  # noqa: S101
        assert isinstance(line, (str, bytes))  # noqa: S101
        self.reject(stream, line, error, shown=_without_quotes(error))

    def write_state(self, state: bytes) -> None:
        """Write STATE to standard output.

        Args:
            state: The state, as JSON.

        Raises:
            StateError: Standard output is closed or full.
        """
        try:
            with TERMINAL.above():
                write_line(state)
        except (OSError, ValueError) as error:
            raise StateError(
                "Cannot write STATE to standard output (closed or full); records "
                "delivered after the last STATE will be sent again"
            ) from error

    def close(self) -> None:
        """Close the file of rejected records."""
        with self._rejecting:
            self._rejected_records.close()


def without_names(stream: SourceStream, error: RejectedRecord) -> RejectedRecord:
    """Return an error without names of fields that may be data."""
    field = shown_field(error.field, error.reason, stream.schema)
    return RejectedRecord(error.reason, field, error.message)


def _without_quotes(error: RejectedRecord) -> RejectedRecord:
    """Return an error of Customer.io without text that may quote the record.

    The file of rejected records has it in full.
    """
    return RejectedRecord(
        error.reason if _WORD.fullmatch(error.reason) else "refused",
        error.field if _FIELD.fullmatch(error.field) else "",
        REFUSED,
    )


def write_line(line: bytes) -> None:
    """Write a line to standard output; into a file, whole or not at all.

    Args:
        line: The line without its end, written as it is, in any encoding of the stream.

    Raises:
        OSError: Standard output is closed or full, or the reader has exited.
        ValueError: This process has closed standard output.
    """
    stream = sys.stdout
    if stream is None:
        raise OSError("standard output is closed")
    stream.flush()
    try:
        number = stream.fileno()
    except OSError:  # not a file: a stream that a test has put there
        stream.write(line.decode() + "\n")
        stream.flush()
        return
    _write_all(number, line + b"\n")


def _write_all(number: int, content: bytes) -> None:
    before = os.fstat(number)
    rest = memoryview(content)
    try:
        while rest:
            rest = rest[_written(number, rest) :]
    except OSError:
        # The next run would start with half a line of STATE.
        if len(rest) < len(content) and stat.S_ISREG(before.st_mode):
            os.ftruncate(number, before.st_size)
        raise


def _written(number: int, content: memoryview) -> int:
    """Write as much as possible; return the number of bytes written."""
    try:
        return os.write(number, content)
    except BlockingIOError:  # another process has made the pipe non-blocking
        poll = select.poll()  # `select` takes no number above 1,023
        poll.register(number, select.POLLOUT)
        poll.poll()
        return 0
