"""The file of rejected records: Singer messages, which can be piped in again.

It contains each record as it arrived (byte for byte if that is valid JSON), and beside
it the reason of the rejection.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

import msgspec

from target_customerio.errors import RejectedFileError, RejectedRecord
from target_customerio.json_codec import decode_leniently, encode, encode_anything

if TYPE_CHECKING:
    from target_customerio.reader import Line

OWNER_ONLY: Final = 0o600
_MESSAGES_START: Final = (
    b'{"type":"RECORD",',
    b'{"type":"SCHEMA",',
    b'{"type": "SCHEMA",',
)
_NOT_FINITE: Final = {"NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity"}


class _RecordLine(msgspec.Struct):
    record: msgspec.Raw


class Source(msgspec.Struct):
    """Where an operation comes from.

    Attributes:
        stream: The stream as the tap names it.
        schema: The stream's SCHEMA message as it arrived.
        line: The RECORD message as it arrived.
    """

    stream: str
    schema: Line
    line: Line


class SourceStream(msgspec.Struct, frozen=True, eq=False):
    """What the records of a stream have in common until its SCHEMA changes.

    Attributes:
        name: The stream as the tap names it.
        schema: The stream's SCHEMA message as it arrived.
        title: The stream as the summary names it, which stream maps may have renamed.
    """

    name: str
    schema: Line
    title: str

    def source(self, line: Line) -> Source:
        """Point to one of the records.

        Args:
            line: The RECORD message as it arrived.

        Returns:
            Where its operation comes from.
        """
        return Source(self.name, self.schema, line)


def why_not_writable(path: str) -> str | None:
    """Return why a file cannot be written, if so; leave no file behind."""
    try:
        if Path(path).is_fifo():
            return None  # opening it would block until there is a reader
        if Path(path).exists():
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
        else:
            with TemporaryFile(dir=Path(path).resolve().parent):
                pass
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


class RejectedRecords:
    """Appends rejected records to a file, which is created at the first of them.

    Not thread-safe.
    """

    def __init__(self, path: str) -> None:
        """Do not open the file yet."""
        self.path = path
        self._since = _now()
        self._file: int | None = None
        self._lines = 0
        self._schemas: dict[str, Line] = {}

    def add(self, source: Source, error: RejectedRecord) -> int:
        """Append a rejected record; return the number of its line in the file.

        Raises:
            RejectedFileError: The file cannot be written.
        """
        try:
            if self._file is None:
                self._file = self._open()
            if self._schemas.get(source.stream) != source.schema:
                self._write(_as_bytes(source.schema).strip())
                self._schemas[source.stream] = source.schema
            self._write(_rejected_line(source, error))
        except OSError as problem:
            raise RejectedFileError(
                f"Cannot write rejected records to {self.path} ({problem.strerror}); "
                "make room or change rejected_records_path"
            ) from problem
        return self._lines

    def was_written_by_this_run(self, rejection: object) -> bool:
        """Return whether this run wrote a record, given its ``rejection`` object.

        When the file itself is the input, records that are rejected again are appended
        to it, and would be read again endlessly.
        """
        at = rejection.get("at") if isinstance(rejection, dict) else None
        return isinstance(at, str) and self._since <= at <= _now()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        path = Path(self.path)
        last = b"\n"
        if path.is_file():
            with path.open("rb") as lines:
                for line in lines:
                    self._lines, last = self._lines + 1, line
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        file = os.open(path, flags, OWNER_ONLY)
        if last.endswith(b"\n"):
            return file
        if _is_half_a_message(last):
            # An earlier run was killed while it wrote this line. The tap sends the
            # record again; half a line would make the file invalid input.
            os.ftruncate(file, os.fstat(file).st_size - len(last))
            self._lines -= 1
        else:
            os.write(file, b"\n")
        return file

    def _write(self, line: bytes) -> None:
        """Write a line, whole or not at all."""
        assert self._file is not None  # noqa: S101 - opened by the only caller
        before = os.fstat(self._file).st_size
        rest = memoryview(line + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            if before < os.fstat(self._file).st_size:
                os.ftruncate(self._file, before)
            raise
        self._lines += 1


def _is_half_a_message(line: bytes) -> bool:
    if not line or not any(
        start.startswith(line[: len(start)]) for start in _MESSAGES_START
    ):
        return False
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError):
        return True
    return False


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def _rejected_line(source: Source, error: RejectedRecord) -> bytes:
    rejection = {
        "reason": error.reason,
        "field": error.field,
        "message": error.message,
        "at": _now(),
    }
    return b'{"type":"RECORD","stream":%b,"record":%b,"rejection":%b}' % (
        encode(source.stream),
        _record_as_it_arrived(source.line),
        encode(rejection),
    )


def _as_bytes(line: Line) -> bytes:
    return line.encode() if isinstance(line, str) else line


def _record_as_it_arrived(line: Line) -> bytes:
    try:
        return bytes(msgspec.json.decode(line, type=_RecordLine).record)
    except (msgspec.DecodeError, UnicodeError):
        message = decode_leniently(line, _NOT_FINITE.__getitem__, beyond=str)
    return encode_anything(message["record"])
