"""Advice for streams whose records are all rejected, logged once per stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from target_customerio.json_codec import decode_leniently

if TYPE_CHECKING:
    from target_customerio.errors import RejectedRecord
    from target_customerio.reader import Line


FIRST_RECORDS: Final = 100
"""Rejected records after which advice is given, if none was accepted before."""

SHORT_STREAM: Final = 10
"""Minimum records of a stream for which advice is given at its end."""

MOST_COLUMNS: Final = 60
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
        "The type of the records is another call than the stream's. To convert each "
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

OTHERWISE: Final = (
    'Looked for: a usable {field}. To map them, set stream_maps: {{"{stream}": '
    '{{"{column}": "AN_EXPRESSION"}}}}, or stream_calls'
)


class _Columns(msgspec.Struct):
    record: dict[str, msgspec.Raw]


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
        advice = ADVICE.get(error.reason, OTHERWISE).format(
            stream=stream,
            field=error.field,
            column=error.field.rpartition(".")[2] or "userId",
            message=error.message,
        )
        return f"{finding} ({error.reason}). Columns: {self._columns}. {advice}"


def _columns_of(line: Line) -> str:
    """Return the column names of a record as text."""
    try:
        record = msgspec.json.decode(line, type=_Columns).record
    except (msgspec.DecodeError, UnicodeError):
        record = decode_leniently(line, str, beyond=str)["record"]
    names = sorted(record)
    rest = len(names) - MOST_COLUMNS
    return ", ".join(names[:MOST_COLUMNS]) + (f" and {rest} more" if rest > 0 else "")
