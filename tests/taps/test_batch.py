"""BATCH messages: rows of files are processed like records."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import sys
import tracemalloc
from contextlib import closing
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pytest
from pyarrow import parquet
from singer_sdk.helpers._batch import StorageTarget

from target_customerio.errors import InputError
from target_customerio.input.batch_files import EXTRAS, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ENCODINGS: dict[str, dict[str, str]] = {
    "jsonl": {"format": "jsonl"},
    "jsonl.gz": {"format": "jsonl", "compression": "gzip"},
    "parquet": {"format": "parquet"},
}
Rows = list[dict[str, Any]]


def write(path: Path, rows: Rows) -> str:
    """Write rows in the format of the file name's extension."""
    if path.name.endswith(".parquet"):
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return str(path)


def batch(encoding: str, files: Iterable[str], stream: str = "rows") -> dict[str, Any]:
    return {
        "type": "BATCH",
        "stream": stream,
        "encoding": ENCODINGS[encoding],
        "manifest": list(files),
    }


@pytest.fixture
def files(terminal: Any) -> Callable[[str, Iterable[Rows]], list[str]]:
    """Return a function that writes files of rows and returns their paths."""
    written = 0

    def files(encoding: str, contents: Iterable[Rows]) -> list[str]:
        nonlocal written
        paths = []
        for rows in contents:
            written += 1
            path = terminal.folder / f"part-{written}.{encoding}"
            paths.append(write(path, rows))
        return paths

    return files


def requests_of(outcome: Any) -> list[dict[str, Any]]:
    """Return the operations in the order in which they were sent."""
    with closing(sqlite3.connect(outcome.folder / "workspace.db")) as workspace:
        rows = workspace.execute(
            "SELECT body FROM requests WHERE path = '/api/v2/batch' ORDER BY sequence"
        ).fetchall()
    return [operation for (body,) in rows for operation in json.loads(body)["batch"]]


ROAD = {
    "stream_calls": {"rows": "identify"},
    "stream_maps": {
        "rows": {"userId": "key", "key": None, "__filter__": "n != 4", "twice": "n * 2"}
    },
    "on_rejected": "continue",
    "max_concurrent_requests": 1,
    "batch_size_rows": 3,
}
SCHEMA = {
    "key": {"type": ["string", "null"]},
    "n": {"type": "integer"},
    "twice": {"type": "integer"},
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_rows_of_a_manifest_are_processed_like_records(
    encoding: str, terminal: Any, singer: Any, files: Any
) -> None:
    def row(number: int, **more: Any) -> dict[str, Any]:
        return {"key": "ann", "n": number, **more}

    parts = files(
        encoding,
        [
            [row(1), row(2)],
            [row(3), row(4)],  # the filter drops 4
            [row(5, key=None)],  # no identifier
            [row(6), row(7)],
        ],
    )
    (wrong,) = files(encoding, [[{"key": "ann", "n": "nine"}]])

    outcome = terminal.run(
        singer.schema("rows", SCHEMA),
        singer.record("rows", **row(0)),
        batch(encoding, parts),
        singer.record("rows", **row(8)),
        batch(encoding, [wrong]),
        singer.record("rows", **row(10)),
        singer.state(at="the end"),
        **ROAD,
    )

    assert (outcome.code, outcome.errors) == (0, [])
    assert [each["attributes"] for each in requests_of(outcome)] == [
        {"n": number, "twice": number * 2} for number in (0, 1, 2, 3, 6, 7, 8, 10)
    ]
    assert outcome.states == [{"at": "the end"}]
    assert outcome.table["rows"]["read"] == 11
    assert outcome.table["rows"]["skipped"] == {"left out by stream_maps": 1}
    assert [(each["stream"], each["record"]) for each in outcome.rejected] == [
        ("rows", row(5, key=None)),
        ("rows", {"key": "ann", "n": "nine"}),
    ]
    assert [reason for reason, _ in outcome.reasons] == ["no_identifier", "schema"]
    metric = [
        json.loads(line.partition("METRIC: ")[2])
        for line in outcome.lines("INFO")
        if '"record_count"' in line
    ]
    assert sum(each["value"] for each in metric) == 10  # not what the filter drops


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_rows_are_validated_against_the_stream_s_schema(
    encoding: str, terminal: Any, singer: Any, files: Any
) -> None:
    rows = [{"userId": "a", "n": "no number"}, {"userId": "b", "n": "none either"}]

    outcome = terminal.run(
        singer.schema("identifies", {"n": {"type": "integer"}}, ["userId"]),
        batch(encoding, files(encoding, [rows]), "identifies"),
        on_rejected="continue",
    )

    assert outcome.reasons == [("schema", "n")] * 2
    assert [each["record"] for each in outcome.rejected] == rows


def test_a_corrected_row_of_a_file_can_be_piped_in_again(
    terminal: Any, singer: Any, files: Any
) -> None:
    parts = files("parquet", [[{"email": None, "born": date(2000, 2, 29)}]])
    properties = {"email": {}, "born": {"type": "string", "format": "date"}}
    first = terminal.run(
        singer.schema("identifies", properties),
        batch("parquet", parts, "identifies"),
        on_rejected="continue",
    )
    corrected = first.rejected_path.read_text().replace("null", '"ann@example.com"')
    first.rejected_path.unlink()

    again = terminal.run(feed=corrected.encode())

    person = again.workspace["people"]["email:ann@example.com"]
    assert person["attributes"] == {"born": 951782400}


MEMORY = """
import re, sys
from target_customerio.target import TargetCustomerIO
try:
    TargetCustomerIO.cli(["--config", "config.json", "--input", sys.argv[1]])
finally:
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())
    print("PEAK", peak[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("encoding", ["jsonl.gz", "parquet"])
def test_a_big_file_is_read_as_a_stream(
    encoding: str, terminal: Any, singer: Any
) -> None:
    def peak(rows: int) -> int:
        """Return the peak memory, in megabytes, of a run on a file."""
        path = terminal.folder / f"big-{rows}.{encoding}"
        padding = "x" * 2_000
        made = ({"key": f"p-{n % 7}", "n": n, "pad": padding} for n in range(rows))
        if encoding == "parquet":
            schema = pa.schema(
                {"key": pa.string(), "n": pa.int64(), "pad": pa.string()}
            )
            with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
                for _ in range(rows // 2_000):
                    some = [next(made) for _ in range(2_000)]
                    writer.write_table(pa.Table.from_pylist(some, schema))
        else:
            with gzip.open(path, "wt", compresslevel=1) as file:
                file.writelines(json.dumps(row) + "\n" for row in made)
        messages = [singer.schema("rows", ["key", "n", "pad"])]
        messages.append(batch(encoding, [str(path)]))
        tape = terminal.folder / "tape.jsonl"
        tape.write_text("".join(json.dumps(each) + "\n" for each in messages))
        terminal.write(
            {
                "sandbox": "workspace.db",
                "stream_calls": {"rows": "identify"},
                "stream_maps": {
                    "rows": {"userId": "key", "pad": None, "__filter__": "n % 50 == 0"}
                },
            }
        )
        outcome = terminal.type("-c", MEMORY, str(tape), python=True)
        assert outcome.code == 0, outcome.stderr
        assert outcome.table["rows"]["delivered"] == {"person identify": rows // 50}
        (peak,) = re.findall(r"PEAK (\d+)", outcome.stdout)
        return int(peak) // 1024

    # 40 MB more of rows: memory may only grow by what is held at a time.
    assert peak(22_000) < peak(2_000) + 20


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def garbled(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + b"\xff\x00\xfe\x01" * 8 + content[middle + 32 :]


def overwritten(_content: bytes) -> bytes:
    return b"neither this nor that\n"


def removed(_content: bytes) -> None:
    return None


def emptied(_content: bytes) -> bytes:
    return b""


BREAKAGES = (truncated, garbled, overwritten, removed)
CASES = [
    *((encoding, breakage) for encoding in ENCODINGS for breakage in BREAKAGES),
    ("parquet", emptied),
]


@pytest.mark.parametrize(("encoding", "breakage"), CASES)
def test_a_broken_file_ends_the_run_after_what_came_before_it(
    encoding: str,
    breakage: Callable[[bytes], bytes | None],
    terminal: Any,
    singer: Any,
    files: Any,
) -> None:
    def rows(part: int) -> Rows:
        return [
            {"userId": f"p-{part}-{n}", "text": f"{part}-{n}-secret" * 9}
            for n in range(40)
        ]

    parts = files(encoding, map(rows, range(5)))
    content = breakage(Path(parts[3]).read_bytes())
    path = terminal.folder / f"part-4.{encoding}"
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    outcome = terminal.run(
        singer.schema("identifies", ["userId", "text"]),
        batch(encoding, parts[:2], "identifies"),
        singer.state(parts=2),
        batch(encoding, parts[2:], "identifies"),
        singer.state(parts=5),
    )

    assert str(path) in outcome.error
    assert "secret" not in outcome.stderr
    assert outcome.states == [{"parts": 2}]
    people = outcome.workspace["people"]
    assert {f"id:p-{part}-{n}" for part in range(3) for n in range(40)} <= people.keys()
    assert not any(person.startswith("id:p-4") for person in people)


def test_an_empty_file_is_valid(terminal: Any, singer: Any, files: Any) -> None:
    parts = files("jsonl", [[], [{"userId": "ann"}]])
    parts += files("jsonl.gz", [[]])

    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        batch("jsonl", parts[:2], "identifies"),
        batch("jsonl.gz", parts[2:], "identifies"),
        batch("jsonl", [], "identifies"),
        singer.state(done=True),
    )

    assert (outcome.code, list(outcome.workspace["people"])) == (0, ["id:ann"])
    assert outcome.states == [{"done": True}]


@pytest.mark.parametrize(
    ("content", "compression"),
    [
        (b"", "gzip"),
        (gzip.compress(b""), "gzip"),
        (gzip.compress(b"\n \r\n"), "gzip"),
        (gzip.compress(b"\xef\xbb\xbf"), "gzip"),
        (b"\xef\xbb\xbf\n", None),
        (b"", "none"),
    ],
    ids=["empty", "empty gzip", "blank gzip", "gzip mark", "mark", "empty none"],
)
def test_a_file_without_rows_is_valid(
    content: bytes, compression: str | None, terminal: Any, singer: Any
) -> None:
    path = terminal.folder / "rows.jsonl.gz"
    path.write_bytes(content)

    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        {
            **batch("jsonl", [str(path)], "identifies"),
            "encoding": {"format": "jsonl", "compression": compression},
        },
        singer.state(done=True),
    )

    assert (outcome.code, outcome.states) == (0, [{"done": True}])


@pytest.mark.parametrize(
    ("path", "extra"),
    [
        ("s3://bucket/rows.jsonl.gz", "s3"),
        ("s3a://bucket/rows.jsonl.gz", "s3"),
        ("gs://bucket/rows.jsonl.gz", "gcs"),
        ("gcs://bucket/rows.jsonl.gz", "gcs"),
        ("az://container/rows.jsonl.gz", "azure"),
        ("abfs://container/rows.jsonl.gz", "azure"),
        ("https://example.com/rows.jsonl.gz", "http"),
        ("http://example.com/rows.jsonl.gz", "http"),
        ("sftp://example.com/rows.jsonl.gz", "sftp"),
    ],
)
def test_a_file_that_needs_an_extra_names_it(path: str, extra: str) -> None:
    with pytest.raises(InputError) as caught:
        list(rows_of(path, {"format": "jsonl", "compression": "gzip"}))

    assert str(caught.value) == (
        f"Batch file {path}: cannot be opened; install target-customerio[{extra}]"
    )


def test_the_extras_are_those_of_the_package() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    section = project.partition("[project.optional-dependencies]\n")[2]
    extras = re.findall(r"^(\w+) = ", section.partition("\n\n")[0], re.MULTILINE)

    assert extras == sorted({*EXTRAS.values(), "parquet"})


@pytest.mark.parametrize(
    "path",
    [
        "https://ann:sesame@example.com/rows?X-Amz-Signature=sesame",
        "smb://ann:sesame@example.com/share/rows",
        "https://example.com?token=sesame/rows",
    ],
)
def test_an_error_does_not_contain_secrets_of_a_url(path: str) -> None:
    with pytest.raises(InputError, match=r"example\.com") as caught:
        list(rows_of(path, {"format": "jsonl"}))

    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    ["[1]", '"text"', "nonsense", '{"userId": "b"', "null", '{"userId": "\x01"}'],
)
def test_an_invalid_line_is_reported_with_its_file(
    line: str, terminal: Any, singer: Any
) -> None:
    path = terminal.folder / "rows.jsonl"
    path.write_text('{"userId": "ann"}\n\n' + line + '\n{"userId": "bob"}\n')

    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        batch("jsonl", [str(path)], "identifies"),
        singer.state(done=True),
    )

    assert str(path) in outcome.error
    assert list(outcome.workspace["people"]) == ["id:ann"]
    assert outcome.states == []


@pytest.mark.parametrize("filler", [b"x", b" ", b"\r"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_a_row_over_16_mib_is_reported_and_not_held(
    compression: str, filler: bytes, terminal: Any
) -> None:
    path = terminal.folder / "rows.jsonl"
    is_packed = compression == "gzip"
    # What follows the first 16 MiB must not be read.
    size = 64 << 20 if is_packed else 17 << 20
    with gzip.open(path, "wb", 1) if is_packed else path.open("wb") as file:
        file.write(b'{"userId": "ann"}\n')
        for _ in range(size >> 20):
            file.write(filler * (1 << 20))
    encoding = {"format": "jsonl", "compression": compression}

    tracemalloc.start()
    rows = rows_of(str(path), encoding)
    assert next(rows)[0] == {"userId": "ann"}
    with pytest.raises(InputError, match=r"rows.jsonl.*row 2 is longer than 16 MiB"):
        next(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 << 20


def test_a_row_over_16_mib_ends_the_run_after_those_before_it(
    terminal: Any, singer: Any
) -> None:
    path = terminal.folder / "rows.jsonl.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(b'{"userId": "ann"}\n{"userId": "' + b"x" * (17 << 20))

    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        singer.state(reached="before"),
        batch("jsonl.gz", [str(path)], "identifies"),
        singer.state(reached="after"),
    )

    assert "Line 3" in outcome.error
    assert "row 2 is longer than 16 MiB" in outcome.error
    assert list(outcome.workspace["people"]) == ["id:ann"]
    assert outcome.states == [{"reached": "before"}]


@pytest.mark.parametrize(
    "encoding",
    [
        {"format": "csv"},
        {"format": ["jsonl"]},
        {},
        {"format": "jsonl", "compression": "zstd"},
    ],
)
def test_an_unknown_encoding_is_reported(
    encoding: dict[str, Any], terminal: Any, singer: Any, files: Any
) -> None:
    (path,) = files("jsonl", [[{"userId": "ann"}]])

    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        {**batch("jsonl", [path], "identifies"), "encoding": encoding},
    )

    assert path in outcome.error


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_file_may_be_named_by_its_url(
    encoding: str, terminal: Any, singer: Any, files: Any
) -> None:
    (path,) = files(encoding, [[{"userId": "ann"}]])

    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        batch(encoding, [Path(path).as_uri()], "identifies"),
    )

    assert (outcome.code, list(outcome.workspace["people"])) == (0, ["id:ann"])


# What only Parquet has: columns with types.

UTC = timezone.utc
INDIA = "Asia/Kolkata"
AT = datetime(2026, 3, 1, 12, 34, 56, 789012)  # noqa: DTZ001 - columns without a zone
SECONDS = int(AT.replace(tzinfo=UTC).timestamp())
NANOSECONDS = SECONDS * 10**9 + 789_012_345

Typed = tuple[pa.DataType, Any, Any]
COLUMNS: dict[str, Typed] = {
    "seconds": (pa.timestamp("s"), AT.replace(microsecond=0), SECONDS),
    "milliseconds": (pa.timestamp("ms"), AT.replace(microsecond=789000), SECONDS),
    "microseconds": (pa.timestamp("us"), AT, SECONDS),
    "nanoseconds": (pa.timestamp("ns"), NANOSECONDS, SECONDS),
    "utc": (pa.timestamp("us", "UTC"), AT.replace(tzinfo=UTC), SECONDS),
    "zoned": (pa.timestamp("us", INDIA), AT.replace(tzinfo=UTC), SECONDS),
    "zoned_fine": (pa.timestamp("ns", INDIA), NANOSECONDS, SECONDS),
    "before": (pa.timestamp("ns"), -1000, -1),
    "day": (pa.date32(), date(2024, 2, 29), 1709164800),
    "clock": (pa.time64("us"), time(1, 2, 3, 4), "01:02:03.000004"),
    "clock_fine": (pa.time64("ns"), 3_723_000_004_005, "01:02:03.000004"),
    "decimal": (
        pa.decimal128(38, 9),
        Decimal("12345678901234567890123456789.123456789"),
        Decimal("12345678901234567890123456789.123456789"),
    ),
    "cents": (pa.decimal128(10, 2), Decimal("-0.10"), Decimal("-0.10")),
    "wide": (pa.decimal256(76, 0), Decimal(10**75), 10**75),
    "big": (pa.uint64(), 2**64 - 1, 2**64 - 1),
    "double": (pa.float64(), 0.1, Decimal("0.1")),
    "single": (pa.float32(), 0.5, Decimal("0.5")),
    "uuid": (
        pa.uuid(),
        UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").bytes,
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ),
    "bytes": (pa.binary(), b"\x00\xff", "00ff"),
    "more_bytes": (pa.large_binary(), b"\xfe", "fe"),
    "hash": (pa.binary(2), b"\x0a\x0b", "0a0b"),
    "hashes": (pa.list_(pa.binary()), [b"\x01", None], ["01", None]),
    "truth": (pa.bool_(), False, False),
    "nothing": (pa.null(), None, None),
    "text": (pa.large_string(), 'it\'s 👩‍👧 "q" \\ \n', 'it\'s 👩‍👧 "q" \\ \n'),
    "choice": (pa.dictionary(pa.int8(), pa.string()), "red", "red"),
    "list": (pa.list_(pa.int64()), [1, None, 2**53 + 1], [1, None, 2**53 + 1]),
    "times": (pa.list_(pa.timestamp("ns")), [NANOSECONDS], [SECONDS]),
    "structs": (
        pa.list_(pa.struct({"at": pa.timestamp("ns", "UTC"), "n": pa.int8()})),
        [{"at": NANOSECONDS, "n": 1}, None, {"at": None, "n": None}],
        [{"at": SECONDS, "n": 1}, None, {"at": None, "n": None}],
    ),
    "struct": (
        pa.struct({"deep": pa.struct({"day": pa.date32(), "d": pa.decimal128(5, 2)})}),
        {"deep": {"day": date(1970, 1, 2), "d": Decimal("1.50")}},
        {"deep": {"day": "1970-01-02", "d": Decimal("1.50")}},
    ),
    "map": (
        pa.map_(pa.string(), pa.int64()),
        [("a", 1), ("b", None)],
        {"a": 1, "b": None},
    ),
    "no_map": (pa.map_(pa.string(), pa.int64()), [], {}),
    "maps": (
        pa.list_(pa.map_(pa.string(), pa.list_(pa.map_(pa.string(), pa.date32())))),
        [[("a", [[("b", date(1970, 1, 2))]])]],
        [{"a": [{"b": "1970-01-02"}]}],
    ),
}


def table_of(columns: dict[str, Typed]) -> pa.Table:
    return pa.table(
        {
            "userId": pa.array(["ann"]),
            **{
                name: pa.array([value], type_)
                for name, (type_, value, _) in columns.items()
            },
        }
    )


def test_columns_of_every_type_are_delivered(terminal: Any, singer: Any) -> None:
    path = terminal.folder / "typed.parquet"
    parquet.write_table(table_of(COLUMNS), path)
    moment = {"type": ["string", "null"], "format": "date-time"}
    dates: dict[str, Any] = {
        name: moment
        for name, (type_, *_) in COLUMNS.items()
        if pa.types.is_timestamp(type_)
    }
    dates["day"] = {"type": ["string", "null"], "format": "date"}
    dates["times"] = {"type": "array", "items": moment}
    moments = {"type": ["object", "null"], "properties": {"at": moment}}
    dates["structs"] = {"type": "array", "items": moments}

    outcome = terminal.run(
        singer.schema("identifies", dates),
        batch("parquet", [str(path)], "identifies"),
        singer.state(done=True),
    )

    assert (outcome.code, outcome.reasons, outcome.errors) == (0, [], [])
    assert outcome.workspace["people"]["id:ann"]["attributes"] == {
        name: expected
        for name, (_, _, expected) in COLUMNS.items()
        if expected is not None
    }


NO_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": -float("inf")}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("typed", [False, True])
def test_nan_is_rejected_and_written_as_text(
    terminal: Any, singer: Any, *, nested: bool, typed: bool
) -> None:
    column = pa.array([1.5, *NO_NUMBERS.values(), None], pa.float32())
    if nested:
        column = pa.StructArray.from_arrays([column], ["n"])
    path = terminal.folder / "rows.parquet"
    people = ["first", *NO_NUMBERS, "last"]
    parquet.write_table(pa.table({"userId": people, "score": column}), path)
    score: dict[str, Any] = {"type": ["number", "null"]}
    if nested:
        score = {"type": "object", "properties": {"n": score}}

    outcome = terminal.run(
        singer.schema("identifies", {"score": score if typed else {}}),
        batch("parquet", [str(path)], "identifies"),
        on_rejected="continue",
    )

    assert outcome.code == 0
    assert list(outcome.workspace["people"]) == ["id:first", "id:last"]
    reason = "schema" if typed else "not_finite"
    assert [found for found, _ in outcome.reasons] == [reason] * 3
    assert [each["record"] for each in outcome.rejected] == [
        {"userId": text, "score": {"n": text} if nested else text}
        for text in NO_NUMBERS
    ]


@pytest.mark.parametrize(
    ("type_", "value", "kept"),
    [
        (pa.duration("s"), timedelta(days=1), "P1D"),
        (pa.duration("ns"), 1, "P0D"),
    ],
)
def test_values_that_json_cannot_express_are_rejected(
    type_: pa.DataType, value: Any, kept: str, terminal: Any, singer: Any
) -> None:
    path = terminal.folder / "rows.parquet"
    columns = {"userId": pa.array(["ann", "bob"]), "x": pa.array([value, None], type_)}
    parquet.write_table(pa.table(columns), path)

    outcome = terminal.run(
        singer.schema("identifies", {"x": {}}),
        batch("parquet", [str(path)], "identifies"),
        singer.state(done=True),
        on_rejected="continue",
    )

    assert outcome.code == 0
    assert list(outcome.workspace["people"]) == ["id:bob"]
    assert [reason for reason, _ in outcome.reasons] == ["invalid_type"]
    assert outcome.rejected[0]["record"] == {"userId": "ann", "x": kept}
    assert outcome.states == [{"done": True}]


def test_a_time_out_of_range_does_not_end_the_run(terminal: Any, singer: Any) -> None:
    path = terminal.folder / "rows.parquet"
    columns = {
        "userId": pa.array(["ann", "bob"]),
        "at": pa.array([10**12, 0], pa.timestamp("s")),
    }
    parquet.write_table(pa.table(columns), path)

    outcome = terminal.run(
        singer.schema(
            "identifies", {"at": {"type": ["string", "null"], "format": "date-time"}}
        ),
        batch("parquet", [str(path)], "identifies"),
        singer.state(done=True),
        on_rejected="continue",
    )

    assert outcome.code == 0
    assert outcome.states == [{"done": True}]
    assert outcome.workspace["people"]["id:bob"]["attributes"] == {"at": 0}
    (rejected,) = outcome.rejected
    # Parquet has milliseconds at the coarsest.
    assert rejected["record"] == {"userId": "ann", "at": 10**15}
    assert rejected["rejection"]["reason"] == "schema"


def test_parquet_without_its_library_says_what_to_install(
    terminal: Any, singer: Any, files: Any
) -> None:
    (path,) = files("parquet", [[{"userId": "ann"}]])
    terminal.environment["PYTHONPATH"] = str(terminal.folder)
    (terminal.folder / "pyarrow.py").write_text("raise ImportError")

    outcome = terminal.run(
        singer.schema("identifies", ["userId"]),
        batch("parquet", [path], "identifies"),
    )

    assert path in outcome.error
    assert "target-customerio[parquet]" in outcome.error


# Paths, and files elsewhere


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (
            "https://h.example/a.jsonl?X-Amz-Signature=sesame",
            "https://h.example/a.jsonl",
        ),
        ("https://user:sesame@h.example/a.jsonl", "https://h.example/a.jsonl"),
        ("s3://KEY:sesame@bucket/a.jsonl", "s3://bucket/a.jsonl"),
        ("s3://KEY:ses/sesame@bucket/a.jsonl", "s3://bucket/a.jsonl"),
        ("s3://KEY:se@sesame@bucket/a.jsonl", "s3://bucket/a.jsonl"),
        ("s3:/KEY:sesame@bucket/a.jsonl", "s3:/bucket/a.jsonl"),
        ("simplecache::s3://KEY:sesame@bucket/a", "simplecache::s3://bucket/a"),
        ("zip://a.jsonl::https://u:sesame@h/z.zip?sig=sesame", "zip://h/z.zip"),
        ("https://h.example/a.jsonl#sesame", "https://h.example/a.jsonl"),
        ("data:text/plain,sesame", "data:"),
        ("https://h.example/a\n2026 | ERROR | sesame?", "https://h.example/a\\n2026"),
        ("/folder/file?b#c@d.jsonl", "/folder/file?b#c@d.jsonl"),
    ],
)
def test_a_path_is_shown_on_one_line_without_secrets(path: str, shown: str) -> None:
    with pytest.raises(InputError) as caught:
        list(rows_of(path, {"format": "csv"}))
    assert str(caught.value).startswith(f"Batch file {shown}")
    assert "sesame" not in str(caught.value).replace("| sesame", "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "ftp://127.0.0.1:9/a.jsonl",
        "webhdfs://127.0.0.1:9/a.jsonl",
        "simplecache::ftp://127.0.0.1:9/a.jsonl",
        "file::ftp://127.0.0.1:9/a.jsonl",
        "http:/127.0.0.1:9/a.jsonl",
        "https://127.0.0.1:9/a.jsonl",
        "s3://bucket/a.jsonl",
    ],
)
def test_a_sandbox_run_reads_local_files_only(
    path: str, terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("rows"),
        batch("jsonl", [path]),
        stream_calls={"rows": "identify"},
    )
    assert "not a local file" in outcome.error


@pytest.mark.parametrize("prefix", ["", "file://", "local://", "file:"])
def test_a_sandbox_run_reads_local_files_however_they_are_named(
    prefix: str, terminal: Any, singer: Any, files: Any
) -> None:
    (path,) = files("jsonl", [[{"userId": "ada"}]])
    outcome = terminal.run(
        singer.schema("rows"),
        batch("jsonl", [prefix + path]),
        stream_calls={"rows": "identify"},
    )
    assert outcome.code == 0
    assert list(outcome.workspace["people"]) == ["id:ada"]


@pytest.mark.parametrize("name", ["my rows #1?.jsonl", "100% é.jsonl", "a%20b.jsonl"])
def test_files_are_found_whether_or_not_their_urls_are_quoted(
    name: str, terminal: Any, singer: Any
) -> None:
    folder = terminal.folder / "a folder"
    folder.mkdir()
    path = Path(write(folder / name, [{"userId": "ada"}]))
    # The SDK quotes a path without a scheme, and leaves a URL as it is.
    urls = [
        StorageTarget(root=root).get_url(name)
        for root in (str(folder), f"file://{folder}")
    ]
    assert urls == [path.as_uri(), f"file://{path}"]
    for url in urls:
        outcome = terminal.run(
            singer.schema("rows"),
            batch("jsonl", [url]),
            singer.state(url=url),
            stream_calls={"rows": "identify"},
        )
        assert (outcome.code, outcome.states) == (0, [{"url": url}])


def test_a_quoted_url_names_no_other_file_that_exists(
    terminal: Any, singer: Any
) -> None:
    for name, user_id in (("a%20b.jsonl", "ada"), ("a b.jsonl", "ben")):
        write(terminal.folder / name, [{"userId": user_id}])
    outcome = terminal.run(
        singer.schema("rows"),
        batch("jsonl", [f"file://{terminal.folder}/a%20b.jsonl"]),
        stream_calls={"rows": "identify"},
    )
    assert list(outcome.workspace["people"]) == ["id:ada"]


@pytest.mark.parametrize(
    "columns",
    [
        pa.schema(
            [("userId", pa.string()), ("a\n", pa.string()), ("a\n", pa.string())]
        ),
        pa.schema(
            [
                (
                    "s",
                    pa.struct(
                        [pa.field("a\n", pa.int64()), pa.field("a\n", pa.int64())]
                    ),
                )
            ]
        ),
        pa.schema(
            [
                (
                    "l",
                    pa.list_(
                        pa.struct(
                            [pa.field("a\n", pa.int8()), pa.field("a\n", pa.int8())]
                        )
                    ),
                )
            ]
        ),
    ],
    ids=["columns", "fields", "fields in a list"],
)
def test_two_columns_of_one_name_are_an_error(columns: Any, tmp_path: Path) -> None:
    parquet.write_table(columns.empty_table(), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"two columns are named 'a\\n'"):
        list(rows_of(str(tmp_path / "a.parquet"), ENCODINGS["parquet"]))


def test_invalid_text_in_a_parquet_file_is_an_error_that_says_so(
    tmp_path: Path,
) -> None:
    stored = pa.array([b"good", b"\xff\xfe"], pa.binary())
    texts = pa.Array.from_buffers(pa.string(), 2, stored.buffers())
    table = pa.table([pa.array(["1", "2"]), texts], names=["userId", "name"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="a text is not valid UTF-8"):
        list(rows_of(str(tmp_path / "a.parquet"), ENCODINGS["parquet"]))


def test_long_text_that_many_rows_share_is_not_copied_for_all_of_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "shared.parquet"
    text = "x" * 200_000
    texts = [text, None, "", text] * 250
    table = pa.table({"n": range(1_000), "text": texts, "same": ["a"] * 1_000})
    parquet.write_table(table, path)
    del table

    tracemalloc.start()
    most = 0
    for number, (row, *_) in enumerate(rows_of(str(path), {"format": "parquet"})):
        assert row == {"n": number, "text": texts[number], "same": "a"}
        most = max(most, pa.total_allocated_bytes())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert number == 999
    assert most < 20_000_000  # of 100 MB
    assert peak < 20_000_000


@pytest.mark.parametrize("columns", [1, 2])
def test_a_parquet_row_over_16_mib_is_reported(columns: int, tmp_path: Path) -> None:
    path = tmp_path / "long.parquet"
    long = "x" * ((17 << 20) // columns)
    text = {f"column_{number}": ["a", long, "a"] for number in range(columns)}
    parquet.write_table(pa.table(text), path, use_dictionary=False)
    rows = rows_of(str(path), {"format": "parquet"})
    assert next(rows)[0] == dict.fromkeys(text, "a")
    with pytest.raises(InputError, match="row 2 is longer than 16 MiB"):
        next(rows)


def test_a_parquet_cell_that_unpacks_to_much_more_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    schema = pa.schema({"text": pa.string()})
    with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
        writer.write_table(pa.table({"text": ["a", "b"]}))
        writer.write_table(pa.table({"text": ["x" * (34 << 20)]}))
    rows = rows_of(str(path), {"format": "parquet"})
    assert [next(rows)[0]["text"], next(rows)[0]["text"]] == ["a", "b"]
    before = pa.total_allocated_bytes()
    with pytest.raises(InputError, match="a row after row 2 is longer than 16 MiB"):
        next(rows)
    assert pa.total_allocated_bytes() - before < 1 << 20
