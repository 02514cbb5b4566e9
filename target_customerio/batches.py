"""BATCH messages: records that come in files instead of lines.

The files are read as streams, one row after the other, and each row takes the same
road as a RECORD message. Source: the SDK's BATCH specification.
"""

from __future__ import annotations

import gzip
import zlib
from contextlib import nullcontext
from datetime import date, time
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, cast

import msgspec

from target_customerio.errors import InputError
from target_customerio.reading import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS_AT_ONCE: Final = 1_000
"""Rows of a Parquet file that are held at a time."""

_encoder: Final = msgspec.json.Encoder(decimal_format="number")
_UNREADABLE: Final = (OSError, EOFError, zlib.error, ValueError, ImportError)


def rows_of(
    path: str, encoding: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Read the rows of a batch file.

    Args:
        path: Path or URL of the file.
        encoding: Its ``format``, and its ``compression`` if it has one.

    Yields:
        Each row, and the JSON text of it.

    Raises:
        InputError: The file is missing or broken, or its format is unknown.
    """
    name = encoding.get("format")
    read = _READERS.get(name) if isinstance(name, str) else None
    if read is None:
        raise InputError(
            f"The batch file {path} has a format that is none of "
            f"{', '.join(_READERS)}; change batch_config in the tap's settings"
        )
    # Opening files of object stores takes libraries that no other run needs.
    from upath import UPath  # noqa: PLC0415

    # A row that is no record ends the run too, and has its own words for it.
    fail = partial(_broken, path)
    try:
        with UPath(path).open("rb") as file:
            yield from read(cast("IO[bytes]", file), encoding.get("compression"), fail)
    except InputError:
        raise
    except _UNREADABLE as error:
        raise fail(type(error).__name__) from error


def _broken(path: str, why: str) -> InputError:
    return InputError(
        f"The batch file {path} cannot be read ({why}); what came before it has been "
        "delivered. Run the tap again"
    )


def _json_rows(
    file: IO[bytes], compression: str | None, fail: Callable[[str], InputError]
) -> Iterator[tuple[dict[str, Any], bytes]]:
    with gzip.open(file) if compression == "gzip" else nullcontext(file) as lines:
        for number, line in enumerate(lines, 1):
            if line.isspace():
                continue
            row = decoded(line)
            if not isinstance(row, dict):
                raise fail(f"row {number} is no record")
            yield row, line


def _parquet_rows(
    file: IO[bytes],
    compression: str | None,  # noqa: ARG001 - Parquet has its own
    fail: Callable[[str], InputError],
) -> Iterator[tuple[dict[str, Any], bytes]]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - comes with the extra
    except ImportError:
        raise fail(
            "Parquet files need the extra: install target-customerio[parquet]"
        ) from None
    for batch in parquet.ParquetFile(file).iter_batches(batch_size=ROWS_AT_ONCE):
        for row in batch.to_pylist():
            record = {name: _json_value(value) for name, value in row.items()}
            yield record, _encoder.encode(record)


def _json_value(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    """Put a value of a Parquet file as JSON would have it; NaN stays what it is."""
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): _json_value(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_json_value(inner) for inner in value]
    return value


_READERS: Final = {"jsonl": _json_rows, "parquet": _parquet_rows}
