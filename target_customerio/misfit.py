"""Help for a stream that does not fit: said once, when nothing of it gets through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_customerio.errors import RejectedRecord

FIRST_RECORDS: Final = 100
"""How many records of a stream are watched."""

MOST_COLUMNS: Final = 60
"""How many names of columns are shown."""

ADVICE: Final[dict[str, tuple[str, str]]] = {
    "no_identifier": (
        "userId or user_id, an e-mail address in email, for events anonymousId too",
        'stream_maps: {{"{stream}": {{"userId": "YOUR_COLUMN"}}}}',
    ),
    "required": (
        "{field}, under this name or in snake_case, in lower or upper case",
        'stream_maps: {{"{stream}": {{"{column}": "YOUR_COLUMN"}}}}',
    ),
    "schema": (
        "records that fit the stream's own schema",
        "validate_records: false, or better a mended catalog of the tap",
    ),
    "wrong_call": (
        "records whose type is the stream's call",
        'stream_calls: {{"{stream}": "by_type"}}',
    ),
    "missing_key": (
        "the stream's key property {field}",
        "the primary key of the stream in the tap's settings or catalog",
    ),
}
"""What was looked for, and which setting would help, by the reason of a rejection."""

OTHERWISE: Final = (
    "a usable {field}",
    'stream_maps: {{"{stream}": {{"{column}": "AN_EXPRESSION"}}}}, or stream_calls',
)


class FirstRecords:
    """Watches whether the first records of a stream all fail for the same reason."""

    def __init__(self, stream: str) -> None:
        """Watch a stream until ``done``, which a record that gets through is too.

        Args:
            stream: The stream's name.
        """
        self._stream = stream
        self._reasons: set[str] = set()
        self._seen = 0
        self.done = False

    def reject(self, record: Mapping[str, object], error: RejectedRecord) -> str | None:
        """Take note of a rejected record.

        Args:
            record: The record; only the names of its columns are used.
            error: What is wrong with it.

        Returns:
            What to tell the user, once.
        """
        self._seen += 1
        self._reasons.add(error.reason)
        self.done = self._seen == FIRST_RECORDS or len(self._reasons) > 1
        if not self.done or len(self._reasons) > 1:
            return None
        looked_for, setting = ADVICE.get(error.reason, OTHERWISE)
        column = error.field.rpartition(".")[2] or "userId"
        words = {"stream": self._stream, "field": error.field, "column": column}
        names = sorted(record)
        rest = len(names) - MOST_COLUMNS
        more = f" and {rest} more" if rest > 0 else ""
        return (
            f"the first {FIRST_RECORDS} records were all rejected ({error.reason}). "
            f"Their columns: {', '.join(names[:MOST_COLUMNS])}{more}. "
            f"Looked for: {looked_for.format(**words)}. "
            f"To map them, set {setting.format(**words)}"
        )
