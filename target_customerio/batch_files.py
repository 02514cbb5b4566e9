"""Files of BATCH messages, read row by row.

Each row is processed like a RECORD message. Source: the SDK's BATCH specification.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from contextlib import nullcontext
from decimal import Decimal
from functools import partial
from math import isfinite
from typing import IO, TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from target_customerio.errors import InputError, shown_name
from target_customerio.json_codec import Form, decode_line, encode
from target_customerio.reader import (
    BLOCK_BYTES,
    TOO_LONG,
    LineSplitter,
    LineTooLong,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date, time

    from target_customerio.track_api.operations import JSON

    Row = tuple[dict[str, Any], bytes, Form]

LONGEST_PATH: Final = 300
"""Maximum characters of a path that an error message shows."""

ROWS_AT_ONCE: Final = 1_000
"""Rows of a Parquet file in memory at a time."""

_UNREADABLE: Final = (
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    NotImplementedError,  # raised by pyarrow for features that it does not support
)
COMPRESSIONS: Final = (None, "", "none", "gzip")
"""Compressions of JSON lines (the SDK's ``JSONLinesEncoding``)."""

EXTRAS: Final = {
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
    "gcs": "gcs",
    "gs": "gcs",
    "http": "http",
    "https": "http",
    "s3": "s3",
    "s3a": "s3",
    "sftp": "sftp",
    "ssh": "sftp",
}
"""Extra of this package needed for a kind of storage, by URL scheme."""


def rows_of(
    path: str, encoding: dict[str, Any], *, local_only: bool = False
) -> Iterator[Row]:
    """Read the rows of a batch file.

    Args:
        path: Path or URL of the file.
        encoding: Its ``format``, and its ``compression`` if it has one.
        local_only: Whether files on other machines are refused.

    Yields:
        Each row, its JSON text, and what they have in common.

    Raises:
        InputError: The file is missing or corrupt, or its format is not supported.
    """
    name = encoding.get("format")
    read = _READERS.get(name) if isinstance(name, str) else None
    shown = _without_secrets(path)
    if read is None:
        raise InputError(
            f"Batch file {shown}: unsupported format; change batch_config in the tap's "
            f"settings to one of {', '.join(_READERS)}"
        )
    if name == "jsonl" and encoding.get("compression") not in COMPRESSIONS:
        raise InputError(
            f"Batch file {shown}: unsupported compression; change batch_config in the "
            "tap's settings to gzip or none"
        )
    if local_only and not _is_local(path):
        raise InputError(
            f"Batch file {shown}: not a local file, and a sandbox run uses no network; "
            "let the tap write its batches to a local folder"
        )
    # Slow to import, and needed for batch files only.
    from upath import UPath  # noqa: PLC0415

    fail = partial(_broken, shown)
    try:
        with UPath(path).open("rb") as file:
            yield from read(cast("IO[bytes]", file), encoding.get("compression"), fail)
    except InputError:
        raise
    except ImportError as error:
        raise InputError(
            f"Batch file {shown}: cannot be opened; {_missing(path, error)}"
        ) from error
    except UnicodeError as error:
        raise fail("a text is not valid UTF-8") from error
    except _UNREADABLE as error:
        raise fail(type(error).__name__) from error


_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/|data:")
"""The start of a URL, also of one that names its parts with `::`."""
_LOCAL: Final = frozenset({"file", "local"})


def _is_local(path: str) -> bool:
    url = _URL.match(path)
    return "::" not in path and (url is None or url["scheme"] in _LOCAL)


def _without_secrets(path: str) -> str:
    """Return a URL without user, password, query and data, on one line.

    The query may hold a signature. A password may hold any character.
    """
    if _URL.search(path) is None:
        return shown_name(path, LONGEST_PATH)
    if path.startswith("data:"):
        return "data:"
    place = re.split("[?#]", path, maxsplit=1)[0]
    return shown_name(re.sub("(:/+).*@", r"\1", place, flags=re.DOTALL), LONGEST_PATH)


def _missing(path: str, error: ImportError) -> str:
    scheme = path.partition(":")[0].lower()
    if scheme in EXTRAS:
        return f"install target-customerio[{EXTRAS[scheme]}]"
    return f"install the package for {scheme}:// ({error})"


def _broken(path: str, why: str) -> InputError:
    return InputError(
        f"Batch file {path}: cannot be read ({why}); everything before it was "
        "delivered. Run the tap again"
    )


def _json_rows(
    file: IO[bytes], compression: str | None, fail: Callable[[str], InputError]
) -> Iterator[Row]:
    with gzip.open(file) if compression == "gzip" else nullcontext(file) as content:
        for number, line in enumerate(_lines_in(cast("IO[bytes]", content), fail), 1):
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901 - the same line
            if not line or line.isspace():
                continue
            try:
                row, form = decode_line(line)
            except ValueError:
                raise fail(f"row {number} is not JSON") from None
            if not isinstance(row, dict):
                raise fail(f"row {number} is not an object")
            yield row, line, form


def _lines_in(content: IO[bytes], fail: Callable[[str], InputError]) -> Iterator[bytes]:
    """Yield the lines of a file; hold no line that is too long."""
    # Does not wait for a whole block of a pipe; files of remote storage lack it.
    read: Callable[[int], bytes] = getattr(content, "read1", content.read)
    splitter = LineSplitter()
    number = 0
    while True:
        block = read(BLOCK_BYTES)
        try:
            lines = splitter.split(block)
        except LineTooLong:
            raise fail(f"row {number + 1} is {TOO_LONG}") from None
        number += len(lines)
        yield from lines
        if not block:
            return


def _parquet_rows(
    file: IO[bytes],
    compression: str | None,  # noqa: ARG001 - Parquet compresses inside the file
    fail: Callable[[str], InputError],
) -> Iterator[Row]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - comes with the extra
    except ImportError:
        raise fail("for Parquet, install target-customerio[parquet]") from None
    parquet_file = parquet.ParquetFile(file)
    _refuse_doubles(parquet_file.schema_arrow, fail)
    for batch in parquet_file.iter_batches(batch_size=ROWS_AT_ONCE):
        for record in _records_in(batch):
            yield record, encode(record), Form.LENIENT


def _refuse_doubles(columns: Any, fail: Callable[[str], InputError]) -> None:  # noqa: ANN401 - pyarrow has no types
    """Raise if two columns, or two fields of a column, have one name."""
    import pyarrow as pa  # noqa: PLC0415 - comes with the extra

    names = [column.name for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise fail(f"two columns are named {shown_name(name)!r}")
    for column in columns:
        kind = column.type
        while pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = kind.value_type
        if pa.types.is_struct(kind):
            _refuse_doubles(kind, fail)


def _records_in(batch: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - pyarrow has no types
    """Yield the rows of a Parquet batch as JSON values."""
    try:
        yield from _converted(batch)
    except (OverflowError, ValueError):
        # Some row has a time that Python cannot represent. It stays a number.
        for index in range(batch.num_rows):
            row = batch.slice(index, 1)
            try:
                yield from _converted(row)
            except (OverflowError, ValueError):
                yield from _converted(row, numbers=True)


def _converted(batch: Any, *, numbers: bool = False) -> list[dict[str, Any]]:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa  # noqa: PLC0415 - comes with the extra

    schema = pa.schema(
        [
            field.with_type(_representable(field.type, numbers=numbers))
            for field in batch.schema
        ]
    )
    if schema != batch.schema:
        batch = batch.cast(schema, safe=False)
    rows: list[dict[str, Any]] = batch.to_pylist()
    for field in schema:
        convert = _conversion(field.type)
        if convert is not None:
            for row in rows:
                row[field.name] = convert(row[field.name])
    return rows


def _representable(kind: Any, *, numbers: bool) -> Any:  # noqa: ANN401, PLR0911 - pyarrow has no types
    """Return the closest type whose values Python can represent.

    Nanoseconds become microseconds, and times with a zone become UTC. With ``numbers``,
    times become the numbers that they are in the file.
    """
    import pyarrow as pa  # noqa: PLC0415 - comes with the extra

    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_representable(kind.value_type, numbers=numbers))
    if pa.types.is_struct(kind):
        return pa.struct(
            [
                field.with_type(_representable(field.type, numbers=numbers))
                for field in kind
            ]
        )
    if pa.types.is_map(kind):
        return pa.map_(kind.key_type, _representable(kind.item_type, numbers=numbers))
    if numbers and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return pa.int32() if pa.types.is_date32(kind) else pa.int64()
    if pa.types.is_timestamp(kind):
        unit = "us" if kind.unit == "ns" else kind.unit
        return pa.timestamp(unit, None if kind.tz is None else "UTC")
    if pa.types.is_time64(kind):
        return pa.time64("us")
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    return kind


def _conversion(kind: Any) -> Callable[[Any], Any] | None:  # noqa: ANN401 - pyarrow has no types
    """Return the conversion of a type's values to JSON, or ``None`` if not needed."""
    import pyarrow as pa  # noqa: PLC0415 - comes with the extra

    convert: Callable[[Any], Any] | None = None
    if pa.types.is_floating(kind):
        convert = _finite
    elif (
        pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind)
    ):
        convert = _iso_format
    elif isinstance(kind, pa.BaseExtensionType):
        convert = _uuid_text
    elif pa.types.is_map(kind):
        convert = partial(_object, _conversion(kind.item_type) or _same)
    elif pa.types.is_list(kind):
        inner = _conversion(kind.value_type)
        convert = inner and partial(_list, inner)
    elif pa.types.is_struct(kind):
        inners = {field.name: _conversion(field.type) for field in kind}
        known = {name: inner for name, inner in inners.items() if inner is not None}
        convert = partial(_struct, known) if known else None
    return convert and partial(_unless_null, convert)


def _unless_null(convert: Callable[[Any], Any], value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    return None if value is None else convert(value)


def _same(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    return value


def _finite(value: float) -> float | Decimal:
    """Keep NaN and infinities as decimals: encoded as such, they differ from null."""
    return value if isfinite(value) else Decimal(value)


def _iso_format(value: date | time) -> str:
    return value.isoformat()


def _uuid_text(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


def _list(convert: Callable[[Any], Any], value: list[Any]) -> list[Any]:
    return [convert(item) for item in value]


def _object(convert: Callable[[Any], Any], value: list[tuple[Any, Any]]) -> JSON:
    return {str(name): convert(inner) for name, inner in value}


def _struct(
    conversions: dict[str, Callable[[Any], Any]], value: dict[str, Any]
) -> JSON:
    for name, convert in conversions.items():
        value[name] = convert(value[name])
    return value


_READERS: Final = {"jsonl": _json_rows, "parquet": _parquet_rows}
