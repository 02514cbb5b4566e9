"""Files of BATCH messages, read row by row.

Each row is processed like a RECORD message. Source: the SDK's BATCH specification.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

from target_customerio.errors import InputError, shown_name
from target_customerio.input.parquet_files import parquet_rows
from target_customerio.input.reader import (
    BLOCK_BYTES,
    TOO_LONG,
    LineSplitter,
    LineTooLongError,
)
from target_customerio.json_codec import decode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from target_customerio.records import Row

MAX_PATH_CHARACTERS: Final = 300
"""Maximum characters of a path that an error message shows."""

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
        Each row, its JSON text, and how that was decoded.

    Raises:
        InputError: The file is missing or corrupt, or its format is not supported.
    """
    name, compression = encoding.get("format"), encoding.get("compression")
    shown = _without_secrets(path)
    problem = _why_unsupported(name, compression) or (
        _NOT_LOCAL if local_only and not _is_local(path) else ""
    )
    if problem:
        raise InputError(f"Batch file {shown}: {problem}")
    fail = partial(_broken, shown)
    try:
        with _located(path).open("rb") as file:
            yield from _READERS[str(name)](file, compression, fail)
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


def _why_unsupported(name: object, compression: object) -> str:
    """Return why files of an encoding cannot be read; empty if they can."""
    if not isinstance(name, str) or name not in _READERS:
        return (
            "unsupported format; change batch_config in the tap's settings to one of "
            f"{', '.join(_READERS)}"
        )
    if name == "jsonl" and compression not in COMPRESSIONS:
        return (
            "unsupported compression; change batch_config in the tap's settings to "
            "gzip or none"
        )
    return ""


_NOT_LOCAL: Final = (
    "not a local file, and a sandbox run uses no network; let the tap write its "
    "batches to a local folder"
)


def _located(path: str) -> Path:
    # Slow to import, and needed for batch files only.
    from upath import UPath  # noqa: PLC0415

    found = UPath(path)
    if path.startswith("file:") and "%" in path and not found.exists():
        # Taps of the SDK quote a path that their settings give without a scheme.
        return Path(url2pathname(urlsplit(path).path))
    return cast("Path", found)


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
        return shown_name(path, MAX_PATH_CHARACTERS)
    if path.startswith("data:"):
        return "data:"
    place = re.split("[?#]", path, maxsplit=1)[0]
    return shown_name(
        re.sub("(:/+).*@", r"\1", place, flags=re.DOTALL), MAX_PATH_CHARACTERS
    )


def _missing(path: str, error: ImportError) -> str:
    scheme = path.partition(":")[0].lower()
    if scheme in EXTRAS:
        return f"install target-customerio[{EXTRAS[scheme]}]"
    return f"install the package for {scheme}:// ({error})"


def _broken(path: str, why: str) -> InputError:
    return InputError(f"Batch file {path}: cannot be read ({why}). Run the tap again")


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
                row, decoding = decode_line(line)
            except ValueError:
                raise fail(f"row {number} is not JSON") from None
            if not isinstance(row, dict):
                raise fail(f"row {number} is not an object")
            yield row, line, decoding


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
        except LineTooLongError:
            raise fail(f"row {number + 1} is {TOO_LONG}") from None
        number += len(lines)
        yield from lines
        if not block:
            return


_READERS: Final = {"jsonl": _json_rows, "parquet": parquet_rows}
