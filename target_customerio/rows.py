"""Rows of a program instead of a tap: :func:`deliver` loads an iterable of mappings.

A row becomes the text of the RECORD that a tap built with the SDK would write for it,
and is read like one. So conversion, event ids and the file of rejected records cannot
differ from those of the command.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from target_customerio.command_line import lower_note_on_environment
from target_customerio.errors import InputError, SettingsError
from target_customerio.json_codec import Decoding, decode, decode_line, encode
from target_customerio.progress import logged_progress
from target_customerio.records import Place, is_stream_name
from target_customerio.report import recording
from target_customerio.results.counters import RECENT_EVENTS
from target_customerio.row_values import RowEncoder, UnsupportedValueError, schema_of
from target_customerio.settings.config import call_errors
from target_customerio.settings.stream_calls import removal_errors
from target_customerio.target import TargetCustomerIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_customerio.pipeline import Pipeline
    from target_customerio.plan import Plan
    from target_customerio.run import Run


@dataclass(frozen=True)
class DeliverySummary:
    """What happened to the rows of one call of :func:`deliver`.

    Attributes:
        read: The number of rows read. Each of them is counted in one of the next three,
            by operation or reason.
        delivered: Operations that Customer.io accepted, for example
            ``{"person identify": 2}``.
        skipped: Rows skipped by a documented rule.
        rejected: Rows rejected here or by Customer.io; they are in the file of rejected
            records.
        recent_events: Events younger than 72 hours, which can trigger campaigns.
        requests: Requests sent, retries included.
        retries: Requests that had been sent before.
        bytes_sent: Bytes of request bodies.
        seconds: Seconds from start to end.
        plan: What a run would do, with the setting ``plan``. Nothing is delivered then.
    """

    read: int = 0
    delivered: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    recent_events: int = 0
    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    seconds: float = 0.0
    plan: Plan | None = None


def deliver(
    rows: Iterable[Mapping[str, Any]],
    *,
    call: str | Mapping[str, Any],
    config: Mapping[str, Any],
    stream: str,
    key_properties: Sequence[str] = (),
    schema: Mapping[str, Any] | None = None,
) -> DeliverySummary:
    """Deliver rows to Customer.io as the command delivers the records of a stream.

    Order, retries, rejected records and event ids are those of the command: the same
    rows give the same event ids, so that Customer.io drops the events of a call that is
    tried again.

    It writes no STATE, reads no environment variables, and leaves signals and logging
    to the caller: it logs to the logger ``target-customerio``. It can be called any
    number of times, also by several threads at once: each call has its own connections
    and its own share of memory, and knows nothing of the others. So their rates add up,
    and order holds within a call only. With ``snapshot``, one call at a time can use
    the file, and the rows count as a full table.

    Values are what JSON has, and ``Decimal``, ``datetime`` (UTC if it has no offset),
    ``date``, ``time``, ``UUID``, ``bytes`` (as hexadecimal digits), named tuples and
    rows of Spark inside a row. A NaN or an infinity rejects the row.

    Args:
        rows: The rows, which are read one by one.
        call: What the rows are, as a value of the setting ``stream_calls``: a call such
            as ``"identify"``, or an object with a call and its settings.
        config: The settings; ``rejected_records_path`` should be a file of this call
            alone. With ``stream_calls`` it may name the streams that ``stream_maps``
            makes of this one.
        stream: The stream's name. Event ids depend on it.
        key_properties: The columns that identify a row. Event ids depend on them where
            a row has no ``messageId``.
        schema: The JSON schema of the rows. Without it, columns that hold ``datetime``
            or ``date`` values are typed as such, and nothing is validated.

    Returns:
        What happened to the rows.

    Raises:
        SettingsError: Settings are invalid, or the call is.
        InputError: A row is not a mapping or holds a value of an unsupported type, or
            another argument is invalid. What came before the row was delivered.
        DeliveryError: Customer.io cannot be reached, or does not accept the
            credentials.
        RecordsRejectedError: Rows were rejected, and ``on_rejected`` is ``fail`` (all
            others were delivered) or ``abort``.
        TargetError: Any other failure of the run; the base class of all of these.
    """
    source = _RowStream(
        _checked_name(stream), [*_names(key_properties)], _checked_schema(schema)
    )
    target = _target({**config}, stream, call)
    with recording(target.pipeline, target.logger):
        with logged_progress(target.pipeline), target.run as run:
            source.load(rows, run)
            run.finish(has_all_streams=False)
        target.pipeline.recorder.fail_if_rejected()
    return _summary_of(target.pipeline)


_CREATING: Final = Lock()
"""The SDK changes the schema of the settings, which all targets share, in place."""


def _target(
    config: dict[str, Any], stream: str, call: str | Mapping[str, Any]
) -> TargetCustomerIO:
    own = {**call} if isinstance(call, Mapping) else call
    if errors := call_errors(own, "call") or [*removal_errors(own, "call")]:
        raise SettingsError(*errors)
    calls = config.get("stream_calls") or {}
    if isinstance(calls, Mapping):  # else its own check explains it
        config["stream_calls"] = {**calls, stream: own}
    logger = TargetCustomerIO.logger
    with _CREATING:
        logger.addFilter(lower_note_on_environment)
        try:
            return TargetCustomerIO(config=deepcopy(config), handles_signals=False)
        finally:
            logger.removeFilter(lower_note_on_environment)


def _summary_of(pipeline: Pipeline) -> DeliverySummary:
    summary, statistics = pipeline.recorder.summary, pipeline.statistics
    streams = summary.streams.values()
    records = DeliverySummary(
        read=sum(each.read for each in streams),
        skipped=dict(sum((each.skipped for each in streams), Counter())),
        rejected=dict(sum((each.rejected for each in streams), Counter())),
        seconds=round(summary.seconds, 3),
        plan=pipeline.plan,
    )
    if pipeline.plan is not None:
        return records
    return replace(
        records,
        delivered=dict(sum((each.delivered for each in streams), Counter())),
        recent_events=summary.figures[RECENT_EVENTS],
        requests=statistics.requests,
        retries=statistics.retries,
        bytes_sent=statistics.bytes_sent,
    )


def _names(key_properties: Sequence[str]) -> Sequence[str]:
    names: list[object] = [*key_properties]
    if isinstance(key_properties, str) or not all(
        isinstance(each, str) for each in names
    ):
        raise InputError("key_properties: expected a list of column names")
    return key_properties


def _checked_name(name: object) -> str:
    if not is_stream_name(name):
        raise InputError("stream: expected printable text")
    return name


def _checked_schema(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    try:
        content = decode(encode({**schema}))
    except TypeError as error:
        raise InputError("schema: expected a JSON schema") from error
    if not isinstance(content.get("properties") or {}, dict):
        raise InputError("schema: expected an object under `properties`")
    return dict(content)


class _RowStream:
    """A stream whose records are rows; its schema follows the rows unless given."""

    def __init__(
        self, name: str, keys: list[str], schema: dict[str, Any] | None
    ) -> None:
        """Prepare for the rows of a stream."""
        self._name = name
        self._keys = keys
        self._schema = schema
        self._encoder = RowEncoder()
        self._dates = -1

    def load(self, rows: Iterable[Mapping[str, Any]], run: Run) -> None:
        """Load rows, in order."""
        encoder = self._encoder
        self._announce(run)
        for number, row in enumerate(rows, 1):
            try:
                line = encoder.line_of(row)
                record, decoding = decode_line(line)
            except (UnsupportedValueError, ValueError) as error:
                raise InputError(f"Row {number}: {error}") from error
            if self._schema is None and len(encoder.dates) > self._dates:
                self._announce(run)
            decoding = Decoding.TRUNCATED if encoder.was_truncated else decoding
            prepared = run.streams[self._name]
            run.load(prepared, record, _message(line), Place(row=number), decoding)

    def _announce(self, run: Run) -> None:
        """Add the stream, or replace its schema when columns turn out to be dates."""
        schema = self._schema
        if schema is None:
            self._dates = len(self._encoder.dates)
            schema = schema_of(self._encoder.dates)
        line = encode(
            {
                "type": "SCHEMA",
                "stream": self._name,
                "schema": schema,
                "key_properties": self._keys,
            }
        )
        run.add_stream(self._name, schema, self._keys, line)


def _message(line: bytes) -> bytes:
    return b'{"record":%b}' % line
