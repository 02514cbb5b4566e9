"""Advice for a stream that does not fit: given once, if all records are rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from target_customerio.json_codec import decode_leniently

if TYPE_CHECKING:
    from target_customerio.errors import RejectedRecord
    from target_customerio.reader import Line


FIRST_RECORDS: Final = 100
"""How many records of a stream are watched."""

SHORT_STREAM: Final = 10
"""How many records a stream has at least whose end is waited for."""

MOST_COLUMNS: Final = 60
"""How many names of columns are shown."""

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
        "They do not fit the stream's own schema. Correct the tap's catalog, or set "
        "validate_records to false"
    ),
    "wrong_call": (
        "Their type names another call than the stream's. To take each record for the "
        'call that its type names, set stream_calls: {{"{stream}": "by_type"}}'
    ),
    "missing_key": (
        "Looked for: the stream's key property {field}. Correct the primary key of the "
        "stream in the tap's settings or catalog"
    ),
    "stream_map": "For the first of them, {message}",
}
"""What to do, by the reason of the rejections."""

OTHERWISE: Final = (
    'Looked for: a usable {field}. To map them, set stream_maps: {{"{stream}": '
    '{{"{column}": "AN_EXPRESSION"}}}}, or stream_calls'
)


class _Columns(msgspec.Struct):
    record: dict[str, msgspec.Raw]


class FirstRecords:
    """Watches whether the first records of a stream are all rejected for one reason.

    Attributes:
        done: Whether there is nothing more to watch: set it for a record that is not
            rejected.
    """

    def __init__(self) -> None:
        """Watch a stream from its first record on."""
        self.done = False
        self._seen = 0
        self._error: RejectedRecord | None = None
        self._columns = ""

    def reject(self, stream: str, line: Line, error: RejectedRecord) -> str | None:
        """Take note of a rejected record.

        Args:
            stream: The stream's name.
            line: The record as it arrived; only the names of its columns are used.
            error: What is wrong with it.

        Returns:
            What to tell the user, once.
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
        """Take note that the stream has no more records.

        Args:
            stream: The stream's name.

        Returns:
            What to tell the user, once.
        """
        if self.done or self._seen < SHORT_STREAM:
            return None
        return self._advice(stream, f"all {self._seen} records were rejected")

    def _advice(self, stream: str, finding: str) -> str:
        self.done = True
        error = self._error
        assert error is not None  # noqa: S101 - a record has been rejected
        advice = ADVICE.get(error.reason, OTHERWISE).format(
            stream=stream,
            field=error.field,
            column=error.field.rpartition(".")[2] or "userId",
            message=error.message,
        )
        return f"{finding} ({error.reason}). Their columns: {self._columns}. {advice}"


def _columns_of(line: Line) -> str:
    """Name the columns of a record."""
    try:
        record = msgspec.json.decode(line, type=_Columns).record
    except (msgspec.DecodeError, UnicodeError):
        record = decode_leniently(line, str, beyond=str)["record"]
    names = sorted(record)
    rest = len(names) - MOST_COLUMNS
    return ", ".join(names[:MOST_COLUMNS]) + (f" and {rest} more" if rest > 0 else "")
