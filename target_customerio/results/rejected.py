"""The file of rejected records: Singer messages, which can be piped in again.

It contains each record as it arrived (byte for byte if that is valid JSON), with the
reason of its rejection.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from errno import EPERM
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import msgspec

from target_customerio.errors import RejectedFileError, RejectedRecord
from target_customerio.json_codec import (
    NestedTooDeeplyError,
    decode_leniently,
    encode,
    encode_anything,
    find_object,
)
from target_customerio.private_files import (
    OWNER_ONLY,
    is_open_to_others,
    open_flags,
    why_refused,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_customerio.records import Line, SourceStream

# Windows does not have this function.
_lock = getattr(os, "lockf", None)

_MESSAGES_START: Final = (
    b'{"type":"RECORD",',
    b'{"type":"SCHEMA",',
    b'{"type": "SCHEMA",',
)
_NOT_FINITE: Final = {"NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity"}


class _RecordLine(msgspec.Struct):
    record: msgspec.Raw


class RejectedRecords:
    """Appends rejected records to a file, which is created at the first of them.

    Several runs may share the file. It may be moved away or replaced during a run: then
    the next record starts a new file at the path, or continues the one that is there.

    Not thread-safe.

    Attributes:
        path: The path of the file.
        run: A random id, which marks the records that this run has written.
    """

    def __init__(self, path: str) -> None:
        """Do not open the file yet."""
        self.path = path
        self.run = uuid4().hex
        self._file: int | None = None
        self._forget()

    def add(self, stream: SourceStream, line: Line, error: RejectedRecord) -> int:
        """Append a rejected record; return the number of its line in the file.

        Args:
            stream: The stream of the record.
            line: The record as it arrived.
            error: What is wrong with it.

        Raises:
            RejectedFileError: The file cannot be written.
        """
        record = self._rejected_line(stream.name, line, error)
        try:
            for is_last_try in (False, False, False, True):
                file = self._opened()
                with _locked(file):
                    # Another process may replace or remove the file at any time.
                    if not (is_last_try or self._is_in_place(file)):
                        continue
                    self._read_what_others_wrote(file)
                    self._append(file, self._schema_unless_known(stream) + record)
                    self._schemas[stream.name] = stream.schema
                    if os.fstat(file).st_nlink or self._is_in_place(file):
                        break
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
        return isinstance(rejection, dict) and rejection.get("run") == self.run

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _forget(self) -> None:
        """Forget size, lines and schemas, which belong to another file."""
        self._size = self._lines = 0
        self._schemas: dict[str, Line] = {}

    def _opened(self) -> int:
        """Return the open file at the path, opened anew if the path leads elsewhere."""
        if self._file is not None and not self._is_in_place(self._file):
            self.close()
        if self._file is None:
            self._forget()
            self._file = self._open()
        return self._file

    def _is_in_place(self, file: int) -> bool:
        """Return whether the path still leads to the file."""
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(file))
        except FileNotFoundError:
            return False

    def _open(self) -> int:
        with suppress(FileNotFoundError):
            problem = why_refused(os.lstat(self.path))
            if problem is not None:
                raise OSError(EPERM, problem)
        file = os.open(self.path, open_flags() | os.O_CREAT, OWNER_ONLY)
        if is_open_to_others(os.fstat(file)):
            # Fails on file systems without permissions.
            with suppress(PermissionError):
                os.chmod(file, OWNER_ONLY)  # noqa: PTH101 - the open file
        return file

    def _read_what_others_wrote(self, file: int) -> None:
        """Count the lines that other runs wrote, and end the last one."""
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size == self._size:
            return
        if found.st_size < self._size:
            self._size = self._lines = 0
        # Another run may have written another schema.
        self._schemas.clear()
        last = b"\n"
        with open(file, "rb", closefd=False) as content:
            content.seek(self._size)
            for line in content:
                self._lines, last = self._lines + 1, line
        self._size = found.st_size
        if not last.endswith(b"\n"):
            self._end_line(file, last)

    def _end_line(self, file: int, last: bytes) -> None:
        """Complete the last line of the file, or remove it if it is half a message."""
        if _is_half_a_message(last):
            # An earlier run was killed while it wrote this line. The tap sends the
            # record again; half a line would make the file invalid input.
            self._size -= len(last)
            self._lines -= 1
            os.ftruncate(file, self._size)
        else:
            os.write(file, b"\n")
            self._size += 1

    def _append(self, file: int, lines: bytes) -> None:
        """Append lines, all of them or nothing."""
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError:
            if self._size < os.fstat(file).st_size:
                os.ftruncate(file, self._size)
            raise
        self._lines += lines.count(b"\n")
        self._size += len(lines)

    def _schema_unless_known(self, stream: SourceStream) -> bytes:
        if self._schemas.get(stream.name) == stream.schema:
            return b""
        return _as_bytes(stream.schema).strip() + b"\n"

    def _rejected_line(self, stream: str, line: Line, error: RejectedRecord) -> bytes:
        rejection = {
            "reason": error.reason,
            "field": error.field,
            "message": error.message,
            "at": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
            "run": self.run,
        }
        return b'{"type":"RECORD","stream":%b,"record":%b,"rejection":%b}\n' % (
            encode(stream),
            _record_as_it_arrived(line),
            encode(rejection),
        )


@contextmanager
def _locked(file: int) -> Iterator[None]:
    """Keep other runs from writing to a file; no lock where the platform has none."""
    _set_lock(file, "F_LOCK")
    try:
        yield
    finally:
        _set_lock(file, "F_ULOCK")


def _set_lock(file: int, change: str) -> None:
    if _lock is not None:
        with suppress(OSError):  # a file system without locks, or not a file
            os.lseek(file, 0, os.SEEK_SET)  # locks what follows
            _lock(file, getattr(os, change), 0)


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


def _as_bytes(line: Line) -> bytes:
    return line.encode() if isinstance(line, str) else line


def _record_as_it_arrived(line: Line) -> bytes:
    try:
        return bytes(msgspec.json.decode(line, type=_RecordLine).record)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        message = decode_leniently(line, _NOT_FINITE.__getitem__, out_of_range=str)
        return encode_anything(message["record"])
    except (NestedTooDeeplyError, RecursionError):
        return find_object(_as_bytes(line), "record")
