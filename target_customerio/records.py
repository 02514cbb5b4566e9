"""A record with its source, and the streams that records belong to."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_customerio.json_codec import Decoding
    from target_customerio.mapping.converter import Converter, ConverterByType
    from target_customerio.mapping.schema_types import DateTree

Line: TypeAlias = str | bytes
"""A message as it arrived."""

Row: TypeAlias = "tuple[dict[str, Any], bytes, Decoding]"
"""A row of a batch file, its JSON text, and how that was decoded."""


UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of control characters, halves of surrogate pairs and line breaks.

``str.isprintable`` also refuses special spaces, joined emoji, and characters that are
newer than the version of Python; sheets and tables have such names.
"""


def is_stream_name(name: object) -> TypeGuard[str]:
    """Tell whether a stream can have a name: text that breaks no line of the log."""
    if not isinstance(name, str):
        return False
    return name.isprintable() or UNPRINTABLE.isdisjoint(map(unicodedata.category, name))


class Place(Struct, frozen=True, gc=False):
    """Where in the input a record is, counted from 1; 0 where it does not apply.

    Attributes:
        line: The line of its message.
        file: Of a BATCH message, the file in its manifest.
        row: The row in that file.
    """

    line: int = 0
    file: int = 0
    row: int = 0

    @classmethod
    def of(cls, place: Place | int) -> Place:
        """Return a place as it is, or that of a line."""
        return place if isinstance(place, Place) else cls(place)

    def __str__(self) -> str:
        """Return the place as text for the log."""
        if self.file:
            return f"row {self.row} of file {self.file} (line {self.line})"
        return f"line {self.line}" if self.line else f"row {self.row}"


class SourceStream(Struct, frozen=True, eq=False):
    """What the records of a stream have in common until its SCHEMA changes.

    Attributes:
        name: The stream as the tap names it.
        schema: The stream's SCHEMA message as it arrived.
        title: The stream as the summary names it, which stream maps may have renamed.
    """

    name: str
    schema: Line
    title: str


class MappedStream(Struct, frozen=True, eq=False):
    """A stream after stream maps, as described by its last SCHEMA message.

    Attributes:
        source: The stream that it is made of.
        schema: Its JSON schema, before stream maps and flattening.
        key_properties: Its primary key; after stream maps if they set it.
        key_is_mapped: Whether stream maps set the primary key.
        unique_name: The name after stream maps; unique per mapped stream.
        is_shared: Whether the source stream is mapped to several streams.
        map_dates: Converts the date fields of the schema to those of mapped records.
    """

    source: SourceStream
    schema: Mapping[str, Any]
    key_properties: tuple[str, ...] = ()
    key_is_mapped: bool = False
    unique_name: str = ""
    is_shared: bool = False
    map_dates: Callable[[DateTree], DateTree] | None = None


class OpenStream(Struct, frozen=True, eq=False):
    """A mapped stream that is open in its sink: how its records are converted.

    Attributes:
        source: The stream that it is made of.
        key_properties: Its primary key.
        converter: Converts its records; ``None`` if they are ignored.
    """

    source: SourceStream
    key_properties: tuple[str, ...] = ()
    converter: Converter | ConverterByType | None = None


class IncomingRecord(Struct, eq=False, gc=False):
    """A record with its source.

    Attributes:
        record: The record after stream maps.
        stream: The stream that it belongs to.
        line: The record as it arrived.
        place: Where in the input it is; for the record of a RECORD message its line,
            since a number costs less than a place for each record.
        from_json: Whether ``record`` is exactly what a JSON decoder returns for
            ``line``.
        arrived: The record before stream maps, if they were applied.
    """

    record: dict[str, Any]
    stream: OpenStream
    line: Line
    place: Place | int
    from_json: bool
    arrived: dict[str, Any] | None = None
