from __future__ import annotations

import gzip
import io
import json
import math
import os
import resource
import tracemalloc
from contextlib import suppress
from decimal import Decimal
from itertools import chain
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_customerio.errors import InputError
from target_customerio.input import reader
from target_customerio.input.reader import (
    LineSplitter,
    LineTooLongError,
    MessageReader,
    StopReading,
)
from target_customerio.json_codec import Decoding, decode_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_any_json_round_trips(value: Any) -> None:
    assert decode_line(json.dumps(value).encode()) == (value, Decoding.STRICT)
    assert decode_line(json.dumps(value, ensure_ascii=False).encode()) == (
        value,
        Decoding.STRICT,
    )
    assert decode_line(json.dumps(value)) == (value, Decoding.STRICT)


@pytest.mark.parametrize("text", ["1.10", "0.1", "1e5", "1E-7", "-0.0", "1.0000000001"])
def test_decimals_keep_their_digits(text: str) -> None:
    value, _ = decode_line(text.encode())
    assert isinstance(value, Decimal)
    assert str(value) == str(Decimal(text))


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 2**64, -(2**64), 10**40])
def test_long_integers_stay_integers(number: int) -> None:
    value, _ = decode_line(str(number).encode())
    assert type(value) is int
    assert value == number


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_non_finite_numbers_are_read_and_other_values_stay_exact(text: str) -> None:
    value, decoding = decode_line(f'{{"a": {text}, "b": 1.10, "c": {10**30}}}'.encode())
    assert decoding is Decoding.LENIENT
    assert not math.isfinite(value["a"])
    assert str(value["b"]) == "1.10"
    assert value["c"] == 10**30


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"nul", b'{"a": 1} {"b": 2}', b"\xff", b'"\xff"', b"[" * 200_000, "ab"],
)
def test_invalid_json_raises_value_error(line: bytes | str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any message
        decode_line(line)


@pytest.mark.parametrize("exponent", ["10000000000000000000", "-10000000000000000000"])
def test_a_number_out_of_range_is_distinguished_from_others(exponent: str) -> None:
    value, decoding = decode_line(f'{{"a": 1e{exponent}, "b": 1.10}}'.encode())
    assert decoding is Decoding.LENIENT
    assert math.isnan(value["a"])
    assert str(value["b"]) == "1.10"


def contents(reader: MessageReader, source: Any) -> Iterator[Any]:
    """Yield the messages as the target handles them: none after a stop."""
    for messages in reader.messages(source):
        for message in messages:
            if reader.stopped:
                return
            yield message.content


def numbers_in(source: Any) -> list[int]:
    return [each["n"] for each in contents(MessageReader(), source)]


def test_a_file_is_read_from_its_current_position(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(b'{"type":"RECORD","n":%d}\n' % n for n in range(9)))
    with path.open("rb") as source:
        assert numbers_in(source) == list(range(9))
    with path.open("rb") as source:
        source.readline()
        assert numbers_in(source) == list(range(1, 9))
    with path.open(encoding="utf-8") as source:
        assert numbers_in(source) == list(range(9))


@pytest.mark.parametrize("mode", ["rb", "rt"])
def test_a_compressed_file_is_read_through_its_reader(
    tmp_path: Path, mode: Any
) -> None:
    path = tmp_path / "lines.gz"
    path.write_bytes(gzip.compress(b'{"type":"RECORD","n":1}\n'))
    with gzip.open(path, mode) as source:
        assert numbers_in(source) == [1]


def read(text: bytes | str) -> list[Any]:
    source = io.BytesIO(text) if isinstance(text, bytes) else io.StringIO(text)
    return list(contents(MessageReader(), source))


def test_messages_are_read_in_order_with_their_line_numbers() -> None:
    lines = b'{"type":"RECORD","n":1}\n\n  \n{"type":"STATE"}\r\n{"type":"RECORD"}'
    found = [
        (each.kind, each.number)
        for messages in MessageReader().messages(io.BytesIO(lines))
        for each in messages
    ]
    assert found == [("RECORD", 1), ("STATE", 4), ("RECORD", 5)]


def test_text_is_read_like_bytes() -> None:
    assert read('{"type":"RECORD","a":"é"}\n') == [{"type": "RECORD", "a": "é"}]


def test_the_line_of_a_message_is_kept_as_received() -> None:
    line = b'{ "type":"STATE", "a":1.10}\n'
    lists = MessageReader().messages(io.BytesIO(line))
    assert [each.line for messages in lists for each in messages] == [line]


@pytest.mark.parametrize(
    ("line", "decoding"),
    [
        (b'{"type":"STATE","a":1.10}', Decoding.STRICT),
        (b'{"type":"STATE","a":NaN}', Decoding.LENIENT),
        (
            b'{"type":"RECORD","a":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
            Decoding.TRUNCATED,
        ),
    ],
    ids=["valid", "NaN", "deep"],
)
def test_a_message_says_how_its_line_was_decoded(
    line: bytes, decoding: Decoding
) -> None:
    lists = MessageReader().messages(io.BytesIO(line))
    assert [each.decoding for messages in lists for each in messages] == [decoding]


@pytest.mark.parametrize(
    ("line", "clue"),
    [
        (b"secret", "Line 2: not JSON"),
        (b"[]", "Line 2: not a Singer message"),
        (b'{"a": "secret"}', "Line 2: not a Singer message"),
        (b'{"type": null}', "Line 2: not a Singer message"),
        (b'{"type": {"a": "secret"}}', "Line 2: not a Singer message"),
    ],
)
def test_an_invalid_line_is_reported_with_its_number(line: bytes, clue: str) -> None:
    with pytest.raises(InputError, match=clue) as caught:
        read(b'{"type":"STATE"}\n' + line + b"\n")
    assert "secret" not in str(caught.value)


def test_a_stopped_reader_reads_no_further() -> None:
    reader = MessageReader()
    seen = []
    for message in contents(reader, io.BytesIO(b'{"type":"STATE"}\n' * 5)):
        seen.append(message)
        reader.stop()
    assert len(seen) == 1


def test_a_waiting_reader_is_woken() -> None:
    reader = MessageReader()

    class Waiting(io.RawIOBase):
        def readline(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002
            reader.stop()
            raise AssertionError

    assert list(contents(reader, Waiting())) == []


def test_everything_read_is_yielded_before_waiting_for_more() -> None:
    descriptor, into = os.pipe()
    happened: list[Any] = []
    more = [b'{"type":"RECORD","n":%d}\n' % n for n in range(3)]
    with os.fdopen(descriptor, "rb") as source:
        for messages in MessageReader().messages(source):
            happened += [each.content["n"] for each in messages] or ["waits"]
            if messages:
                continue
            if more:
                os.write(into, more.pop(0) * 2)
            else:
                os.close(into)
    assert happened == ["waits", 0, 0, "waits", 1, 1, "waits", 2, 2, "waits"]


@pytest.mark.parametrize("stops_at", [0, 1, 40, 99])
def test_nothing_is_yielded_after_stop(stops_at: int, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(b'{"type":"RECORD","n":%d}\n' % n for n in range(100)))
    reader = MessageReader()
    seen = []
    with path.open("rb") as source:
        for message in contents(reader, source):
            seen.append(message["n"])
            if message["n"] == stops_at:
                reader.stop()
    assert seen == list(range(stops_at + 1))


@pytest.mark.parametrize("good", [0, 1, 31, 32, 33, 70])
def test_lines_before_an_invalid_line_are_yielded(good: int, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"type":"RECORD"}\n' * good + b"secret\n" + b"{}\n" * 9)
    seen: list[Any] = []
    with (
        path.open("rb") as source,
        pytest.raises(InputError, match=f"Line {good + 1}: not JSON"),
    ):
        seen.extend(contents(MessageReader(), source))
    assert len(seen) == good


def test_the_wake_up_exception_is_not_caught_by_except_exception() -> None:
    assert not issubclass(StopReading, Exception)


# Long lines


LIMIT = 64


@pytest.fixture
def _short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_LINE_BYTES", LIMIT)
    monkeypatch.setattr(reader, "BLOCK_BYTES", LIMIT // 4)
    monkeypatch.setattr(LineSplitter.__init__, "__defaults__", (LIMIT,))


@given(
    st.lists(st.sampled_from([b"a", b"\r", b" ", b"\n", b"bc" * 9]), max_size=40),
    st.integers(1, 20),
)
def test_blocks_are_split_as_a_whole_file_would_be(
    parts: list[bytes], size: int
) -> None:
    content = b"".join(parts)
    splitter = LineSplitter(20)
    expected = content.split(b"\n")
    found: list[bytes] = []
    try:
        for start in range(0, len(content), size):
            found += splitter.split(content[start : start + size])
            held = sum(map(len, splitter._unfinished))  # noqa: SLF001 - what it holds
            assert held <= 20
        found += splitter.split(b"")
    except LineTooLongError:
        assert len(expected[len(found)]) > 20
        assert max(map(len, expected[: len(found)]), default=0) <= 20
    else:
        assert max(map(len, expected)) <= 20
        # Lines keep their newline.
        assert b"".join(found) == content
        assert [line.removesuffix(b"\n") for line in found] == expected


def source_of(kind: str, content: bytes, folder: Path) -> Any:
    path = folder / "lines"
    path.write_bytes(content)
    match kind:
        case "file":
            return path.open("rb")
        case "text file":
            return path.open(encoding="utf-8")
        case "bytes":
            return io.BytesIO(content)
        case "text":
            return io.StringIO(content.decode(), newline="\n")
        case _:
            path.write_bytes(gzip.compress(content))
            return gzip.open(path)


@pytest.mark.usefixtures("_short_lines")
@pytest.mark.parametrize("kind", ["file", "text file", "bytes", "text", "gzip"])
@pytest.mark.parametrize("end", [b"\n", b"", b"\n{}\n"])
@pytest.mark.parametrize("filler", [b"x", b" ", b"\r", b"\t"])
def test_a_line_over_the_limit_ends_the_input(
    kind: str, end: bytes, filler: bytes, tmp_path: Path
) -> None:
    before = b'{"type":"RECORD","n":1}\n\n'
    seen: list[Any] = []
    with source_of(kind, before + filler * (LIMIT + 1) + end, tmp_path) as source:
        expected = "Line 3: longer than 16 MiB. Make sure that the tap ends"
        batches = MessageReader().messages(source)
        with pytest.raises(InputError, match=expected):
            seen.extend(chain.from_iterable(batches))
    assert len(seen) == 1


@pytest.mark.usefixtures("_short_lines")
@pytest.mark.parametrize("kind", ["file", "text file", "bytes", "text", "gzip"])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_of_exactly_the_limit_is_read(
    kind: str, end: bytes, tmp_path: Path
) -> None:
    start = b'{"type":"RECORD","n":"'
    line = start + b"x" * (LIMIT - len(start) - 2) + b'"}'
    assert len(line) == LIMIT
    with source_of(kind, line + end, tmp_path) as source:
        assert len(numbers_in(source)) == 1


def test_a_line_without_an_end_is_not_held() -> None:
    ours, theirs = os.pipe()
    sent = 0

    def feed() -> None:
        nonlocal sent
        with suppress(BrokenPipeError), os.fdopen(theirs, "wb") as pipe:
            for _ in range(200):
                pipe.write(b"x" * 1_000_000)
                sent += 1_000_000

    feeder = Thread(target=feed)
    feeder.start()
    tracemalloc.start()
    with (
        os.fdopen(ours, "rb") as source,
        pytest.raises(InputError, match="Line 1: longer than 16 MiB"),
    ):
        list(MessageReader().messages(source))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    feeder.join()
    assert peak < 20_000_000
    assert sent < 20_000_000


def test_descriptors_may_have_high_numbers() -> None:
    """Some parents leave many files open, and `select` takes no number above 1,023."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, limits[1]), limits[1]))
    ours, theirs = os.pipe()
    try:
        os.dup2(ours, 1_500)
        os.write(theirs, b"x")
        reader.Alarm().wait_for(1_500)
    finally:
        for each in (ours, theirs, 1_500):
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
