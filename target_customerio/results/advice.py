"""Advice on likely mistakes: rejected streams, risky operations, empty tables."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from target_customerio.address_book import CONFLICTS, AddressBook
from target_customerio.errors import shown_name
from target_customerio.json_codec import decode_line
from target_customerio.records import Place
from target_customerio.results.counters import (
    OLD_IDENTIFIES,
    OLD_SECONDS,
    counted_kinds,
)

if TYPE_CHECKING:
    import logging
    from collections import Counter
    from collections.abc import Iterator, Mapping

    from target_customerio.errors import RejectedRecord
    from target_customerio.records import Line, SourceStream
    from target_customerio.track_api.operations import PersonIdentify


FIRST_RECORDS: Final = 100
"""Number of records: if the first ones are all rejected, advice is given."""

SHORT_STREAM: Final = 10
"""Minimum records of a stream for which advice is given at its end."""

MAX_COLUMNS: Final = 60
"""Maximum column names shown."""

MAP_COLUMN: Final = (
    'To map them, set stream_maps: {{"{stream}": {{"{column}": "YOUR_COLUMN"}}}}'
)

ADVICE: Final = {
    "no_identifier": (
        "Looked for: userId or user_id, an e-mail address in email, for events "
        "anonymousId too. " + MAP_COLUMN
    ),
    "required": (
        "Looked for: {field}, under this name or in snake_case, in lower or "
        "upper case. " + MAP_COLUMN
    ),
    "schema": (
        "The records do not match the stream's schema. Correct the tap's catalog, or "
        "set validate_records to false"
    ),
    "wrong_call": (
        "The type of the records names another call than the stream's. To convert each "
        "record as the call that its type names, set stream_calls: "
        '{{"{stream}": "by_type"}}'
    ),
    "missing_key": (
        "Looked for: the stream's key property {field}. Correct the primary key of the "
        "stream in the tap's settings or catalog"
    ),
    "stream_map": "First error: {message}",
}
"""Advice by the reason of the rejections."""

OTHER_ADVICE: Final = (
    'Looked for: a usable {field}. To map them, set stream_maps: {{"{stream}": '
    '{{"{column}": "AN_EXPRESSION"}}}}, or stream_calls'
)


class FirstRecords:
    """Detects that the first records of a stream are all rejected for one reason.

    Attributes:
        done: No advice will be given any more; to be set once a record is accepted.
    """

    def __init__(self) -> None:
        """Start before the first record."""
        self.done = False
        self._seen = 0
        self._error: RejectedRecord | None = None
        self._columns = ""

    def reject(self, stream: str, line: Line, error: RejectedRecord) -> str | None:
        """Count a rejected record; return the advice once it is due.

        Of the record's line only the column names are used.
        """
        if self.done:
            return None
        if self._error is None:
            self._error, self._columns = error, _columns_of(line)
        self._seen += 1
        if error.reason != self._error.reason:
            self.done = True
        elif self._seen == FIRST_RECORDS:
            return self._advice(
                stream, f"the first {FIRST_RECORDS} records were all rejected"
            )
        return None

    def end(self, stream: str) -> str | None:
        """Return the advice due at the end of the stream, if any."""
        if self.done or self._seen < SHORT_STREAM:
            return None
        return self._advice(stream, f"all {self._seen} records were rejected")

    def _advice(self, stream: str, finding: str) -> str:
        self.done = True
        error = self._error
        assert error is not None  # noqa: S101 - a record has been rejected
        advice = ADVICE.get(error.reason, OTHER_ADVICE).format(
            stream=stream,
            field=error.field,
            column=error.field.rpartition(".")[2] or "userId",
            message=error.message,
        )
        return f"{finding} ({error.reason}). Columns: {self._columns}. {advice}"


def _columns_of(line: Line) -> str:
    """Return the column names of a record as text."""
    message, _ = decode_line(line)
    names = sorted(message["record"])
    rest = len(names) - MAX_COLUMNS
    shown = ", ".join(map(shown_name, names[:MAX_COLUMNS]))
    return shown + (f" and {rest} more" if rest > 0 else "")


LOGGED_CONFLICTS: Final = 3
"""Maximum conflicts of each kind that are logged; the summary counts all of them."""


class OperationWarnings:
    """Warns of operations that may have another effect than intended; counts them."""

    def __init__(self, figures: Counter[str], logger: logging.Logger) -> None:
        """Start before the first operation.

        Args:
            figures: Counters of the whole run, see :mod:`target_customerio.results`.
            logger: Logs messages for the user.
        """
        self._figures = figures
        self._logger = logger
        self._address_book = AddressBook()
        self._old_before = time.time() - OLD_SECONDS
        self._without_time: set[str] = set()

    def check_identify(
        self, identify: PersonIdentify, stream: SourceStream, place: Place | int
    ) -> None:
        """Count an identify that Customer.io may accept but not apply."""
        figures = self._figures
        moment = identify.timestamp
        if moment is not UNSET and moment < self._old_before:
            figures[OLD_IDENTIFIES] += 1
        for conflict in self._address_book.add(identify):
            figures[conflict.value] += 1
            if figures[conflict.value] <= LOGGED_CONFLICTS:
                self._logger.warning(CONFLICTS[conflict], stream.title, Place.of(place))

    def warn_without_time(self, stream: SourceStream) -> None:
        """Warn once per stream: its events can trigger campaigns."""
        if stream.title not in self._without_time:
            self._without_time.add(stream.title)
            self._logger.warning(
                "Stream '%s': events have no timestamp: Customer.io dates them now, so "
                "they can trigger campaigns. If a column holds the time, map it to "
                "timestamp with stream_maps",
                stream.title,
            )


def nothing_left(stream: str, missing: Mapping[str, int], held: int) -> Iterator[str]:
    """Yield a warning if a stream holds nothing by now, but did before.

    Args:
        stream: Its name.
        missing: How many are missing, by the kinds that the removal step removes.
        held: How many of these it holds.
    """
    gone = counted_kinds({kind: count for kind, count in missing.items() if count})
    if gone and not held:
        yield (
            f"Stream '{stream}': its table was empty, or stream_maps filtered out all "
            f"of its rows, so all that it held before is missing now ({gone}). If that "
            "is wrong, correct it and run the pipeline again before --remove-missing"
        )
