"""The accounts of a run: what became of each record, and how far STATE has come."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

from target_customerio.advice import FirstRecords
from target_customerio.errors import (
    MissingKeyPropertyError,
    RecordsRejectedError,
    RejectedRecord,
    StateError,
)
from target_customerio.json_codec import encode_anything
from target_customerio.output import write_line
from target_customerio.rejected import RejectedRecords
from target_customerio.summary import RECENT_EVENTS, Summary

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence

    from target_customerio.delivery import QueuedOperation
    from target_customerio.reader import Line
    from target_customerio.rejected import SourceStream
    from target_customerio.settings import Settings

MISSING_KEY: Final = "missing_key"
ELSEWHERE: Final = "another shard"
REFUSED: Final = "refused by Customer.io"

LOGGED: Final = 10
"""Most rejections of a stream for one reason that are logged one by one."""

_WORD: Final = re.compile(r"[a-z][a-z_]{0,39}")
_FIELD: Final = re.compile(r"[A-Za-z_][\w.\[\]-]{0,99}", re.ASCII)
_stream_and_label: Final = attrgetter("stream", "label")
_is_recent: Final = attrgetter("is_recent")


class Accounts:
    """Counts records, puts the rejected ones aside, and writes STATE.

    It is the listener of the delivery, whose threads call it one at a time; the thread
    that reads records calls it too.
    """

    def __init__(self, settings: Settings, logger: logging.Logger) -> None:
        """Open nothing yet.

        Args:
            settings: The settings.
            logger: Takes what the user should know.
        """
        self.summary = Summary()
        self.first_records: defaultdict[str, FirstRecords] = defaultdict(FirstRecords)
        """Of each stream, by the name that it has in the summary."""
        self._on_rejected = settings.on_rejected
        self._logger = logger
        self._rejected_records = RejectedRecords(settings.rejected_path)
        self._reads_rejected = False
        # The thread that reads rejects records, and so do those that send.
        self._rejecting = Lock()

    def skip(self, stream: str, reason: str) -> None:
        """Count a record that comes to no sink, or to one that only counts.

        Args:
            stream: The name of the stream in the summary.
            reason: The rule that leaves it out.
        """
        counts = self.summary.streams[stream]
        counts.read += 1
        counts.skipped[reason] += 1

    def leave_to_another_shard(self, stream: str) -> None:
        """Count a record that a sink has read and that falls to another shard.

        Args:
            stream: The name of the stream in the summary.
        """
        self.summary.streams[stream].skipped[ELSEWHERE] += 1

    def is_echo(self, message: Mapping[str, Any]) -> bool:
        """Tell whether a record comes out of this run's own rejected records.

        Args:
            message: The RECORD message.

        Returns:
            Whether it does, and has been dealt with.
        """
        if not self._reads_rejected:
            self._reads_rejected = True
            self._logger.warning(
                "The input contains records that an earlier run rejected: their values "
                "may be older than what was sent since"
            )
        return self._rejected_records.was_written_by_this_run(message.get("rejection"))

    def put_aside(
        self,
        stream: SourceStream,
        record: Line,
        error: RejectedRecord,
        shown: RejectedRecord | None = None,
    ) -> None:
        """Write a record to the file of rejected records, and say so.

        Args:
            stream: The stream of the record.
            record: The record as it arrived.
            error: What is wrong with it.
            shown: What is said of it where the error itself may quote the record.

        Raises:
            RecordsRejectedError: The run is to stop at the first.
            RejectedFileError: It cannot be put aside.
        """
        shown = shown or error
        with self._rejecting:
            line = self._rejected_records.add(stream.source(record), error)
            rejected = self.summary.streams[stream.title].rejected
            rejected[shown.reason] += 1
            number = rejected[shown.reason]
        where = f"line {line} of {self._rejected_records.path}"
        self._log_rejection(stream.title, where, shown, number)
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

    def _log_rejection(
        self, stream: str, where: str, error: RejectedRecord, number: int
    ) -> None:
        """Log the first rejections for each reason, and once that there are more."""
        fields = {
            "event_type": "rejection",
            "stream_name": stream,
            "reason": error.reason,
            "field": error.field,
        }
        if number <= LOGGED:
            self._logger.warning(
                "Stream '%s': record rejected, see %s: %s (%s%s)",
                stream,
                where,
                error.message,
                error.reason,
                f", {error.field}" if error.field else "",
                extra=fields,
            )
        elif number == LOGGED + 1:
            self._logger.warning(
                "Stream '%s': more than %d records rejected (%s); further ones are "
                "written to %s but not logged",
                stream,
                LOGGED,
                error.reason,
                self._rejected_records.path,
                extra=fields,
            )

    def advise(self, stream: str, record: Line, error: RejectedRecord) -> None:
        """Say what to do if a stream does not fit: all its first records are rejected.

        Args:
            stream: The name of the stream in the summary.
            record: The record as it arrived.
            error: What is wrong with it.
        """
        advice = self.first_records[stream].reject(stream, record, error)
        self._log_advice(stream, advice)

    def end_streams(self) -> None:
        """Say what to do about short streams that do not fit."""
        for stream, first_records in self.first_records.items():
            self._log_advice(stream, first_records.end(stream))

    def _log_advice(self, stream: str, advice: str | None) -> None:
        if advice is not None:
            self._logger.warning("Stream '%s': %s", stream, advice)

    def judge(self) -> None:
        """Fail the run if records were rejected and the settings say so.

        Raises:
            RecordsRejectedError: They were, and they do.
        """
        rejected = self.summary.rejected
        if rejected and self._on_rejected == "fail":
            what = "1 record was" if rejected == 1 else f"{rejected:,} records were"
            raise RecordsRejectedError(
                f"{what} rejected and written to {self._rejected_records.path}; all "
                "others were delivered. Move the file away, correct its records and "
                "load it, or set on_rejected to continue"
            )

    def delivered(self, operations: Sequence[QueuedOperation]) -> None:
        """Count operations that Customer.io has taken.

        Args:
            operations: The operations.
        """
        labels = Counter(map(_stream_and_label, operations))
        for (stream, label), count in labels.items():
            self.summary.streams[stream.title].delivered[label] += count
        self.summary.figures[RECENT_EVENTS] += sum(map(_is_recent, operations))

    def rejected(self, operation: QueuedOperation, error: RejectedRecord) -> None:
        """Put aside the record of an operation that Customer.io has refused.

        Args:
            operation: The operation.
            error: What is wrong with it.

        Raises:
            RecordsRejectedError: The run is to stop at the first.
            RejectedFileError: It cannot be put aside.
        """
        stream = cast("SourceStream", operation.stream)
        line = cast("Line", operation.record)
        self.put_aside(stream, line, error, shown=_without_quotes(error))

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Write STATE, as the Singer specification wants it.

        Args:
            state: The state.

        Raises:
            StateError: Nobody takes it.
        """
        try:
            write_line(encode_anything(state))
        except (OSError, ValueError) as error:
            raise StateError(
                "Cannot write STATE to standard output (closed or full); records "
                "delivered after the last STATE will be sent again"
            ) from error

    def close(self) -> None:
        """Close the file of rejected records."""
        with self._rejecting:
            self._rejected_records.close()


def _without_quotes(error: RejectedRecord) -> RejectedRecord:
    """Keep of what Customer.io says only what is a word of its own or a field's name.

    The rest may quote a value of the record; the file has it in full.
    """
    return RejectedRecord(
        error.reason if _WORD.fullmatch(error.reason) else "refused",
        error.field if _FIELD.fullmatch(error.field) else "",
        REFUSED,
    )
