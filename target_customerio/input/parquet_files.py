"""Rows of Parquet files as JSON values, a few at a time."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from math import isfinite
from typing import IO, TYPE_CHECKING, Any, Final
from uuid import UUID

from target_customerio.errors import shown_name
from target_customerio.input.reader import BLOCK_BYTES, MAX_LINE_BYTES, TOO_LONG
from target_customerio.json_codec import Decoding, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date, time

    from target_customerio.errors import InputError
    from target_customerio.records import Row
    from target_customerio.track_api.operations import JSON

ROWS_AT_ONCE: Final = 1_000
"""Maximum rows in memory at a time."""

BYTES_AT_ONCE: Final = 4 << 20
"""Approximate maximum bytes of such rows, unless a single row is longer."""


def parquet_rows(
    file: IO[bytes],
    compression: str | None,  # noqa: ARG001 - Parquet compresses inside the file
    fail: Callable[[str], InputError],
) -> Iterator[Row]:
    """Yield the rows of a Parquet file; raise what `fail` returns if it is broken."""
    try:
        from pyarrow import parquet  # noqa: PLC0415 - comes with the extra
    except ImportError:
        raise fail("for Parquet, install target-customerio[parquet]") from None
    outline = parquet.ParquetFile(file)
    _refuse_equal_names(outline.schema_arrow, fail)
    number = 0
    for part in _parts_of(outline, file, fail):
        for record in _records_in(part):
            number += 1
            line = encode(record)
            if len(line) > MAX_LINE_BYTES:
                raise fail(f"row {number} is {TOO_LONG}")
            yield record, line, Decoding.LENIENT


def _parts_of(
    outline: Any,  # noqa: ANN401 - pyarrow has no types
    file: IO[bytes],
    fail: Callable[[str], InputError],
) -> Iterator[Any]:
    """Yield batches of rows that take about :data:`BYTES_AT_ONCE` of memory."""
    from pyarrow import parquet  # noqa: PLC0415 - comes with the extra

    metadata = outline.metadata
    # Text that many rows share is not copied for each row until its length is known.
    shared = _columns_with_dictionary(metadata, outline.schema_arrow)
    content = parquet.ParquetFile(
        file, metadata=metadata, read_dictionary=shared, buffer_size=BLOCK_BYTES
    )
    before = 0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for column in map(group.column, range(group.num_columns)):
            limit = (column.num_values + 1) * MAX_LINE_BYTES
            if column.total_uncompressed_size > limit:
                raise fail(f"a row after row {before} is {TOO_LONG}")
        before += group.num_rows
        average = group.total_byte_size // max(1, group.num_rows)
        count = max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE // max(1, average)))
        for batch in content.iter_batches(batch_size=count, row_groups=[index]):
            yield from _decoded(batch)


def _columns_with_dictionary(metadata: Any, schema: Any) -> list[str]:  # noqa: ANN401 - pyarrow has no types
    """Return the text columns that keep each distinct text once."""
    import pyarrow as pa  # noqa: PLC0415 - comes with the extra

    text = {field.name for field in schema if pa.types.is_string(field.type)}
    return sorted(
        {
            column.path_in_schema
            for group in map(metadata.row_group, range(metadata.num_row_groups))
            for column in map(group.column, range(group.num_columns))
            if column.path_in_schema in text
            and any("DICTIONARY" in each for each in column.encodings)
        }
    )


def _decoded(batch: Any) -> Iterator[Any]:  # noqa: ANN401 - pyarrow has no types
    """Yield a batch with its text copied to each row, in parts if that is long."""
    import pyarrow as pa  # noqa: PLC0415 - comes with the extra
    from pyarrow import compute  # noqa: PLC0415 - comes with the extra

    shared = [each for each in batch.columns if pa.types.is_dictionary(each.type)]
    max_row_bytes = sum(
        compute.max(compute.binary_length(each.dictionary)).as_py() or 0
        for each in shared
    )
    count = max(1, BYTES_AT_ONCE // max(1, max_row_bytes))
    for start in range(0, batch.num_rows, count):
        part = batch.slice(start, count)
        yield pa.RecordBatch.from_arrays(
            [
                each.dictionary_decode() if pa.types.is_dictionary(each.type) else each
                for each in part.columns
            ],
            names=batch.schema.names,
        )


def _refuse_equal_names(columns: Any, fail: Callable[[str], InputError]) -> None:  # noqa: ANN401 - pyarrow has no types
    """Raise if two columns, or two fields of a column, have one name."""
    import pyarrow as pa  # noqa: PLC0415 - comes with the extra

    names = [column.name for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise fail(f"two columns are named '{shown_name(name)}'")
    for column in columns:
        kind = column.type
        while pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = kind.value_type
        if pa.types.is_struct(kind):
            _refuse_equal_names(kind, fail)


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
    elif (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    ):
        convert = bytes.hex  # as in rows of programs
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
