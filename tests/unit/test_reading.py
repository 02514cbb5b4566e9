from __future__ import annotations

import gzip
import io
import json
import math
import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_customerio.errors import InputError
from target_customerio.json_codec import decode_line
from target_customerio.reader import MessageReader, StopReading

if TYPE_CHECKING:
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_read_as_it_is(value: Any) -> None:
    assert decode_line(json.dumps(value).encode()) == (value, True)
    assert decode_line(json.dumps(value, ensure_ascii=False).encode()) == (value, True)
    assert decode_line(json.dumps(value)) == (value, True)


@pytest.mark.parametrize("text", ["1.10", "0.1", "1e5", "1E-7", "-0.0", "1.0000000001"])
def test_decimals_keep_their_digits(text: str) -> None:
    value, _ = decode_line(text.encode())
    assert isinstance(value, Decimal)
    assert str(value) == str(Decimal(text))


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 2**64, -(2**64), 10**40])
def test_integers_stay_integers_however_long(number: int) -> None:
    value, _ = decode_line(str(number).encode())
    assert type(value) is int
    assert value == number


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_is_read_and_the_rest_beside_it_exactly(text: str) -> None:
    value, is_valid = decode_line(f'{{"a": {text}, "b": 1.10, "c": {10**30}}}'.encode())
    assert not is_valid
    assert not math.isfinite(value["a"])
    assert str(value["b"]) == "1.10"
    assert value["c"] == 10**30


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"nul", b'{"a": 1} {"b": 2}', b"\xff", b'"\xff"', b"[" * 200_000, "ab"],
)
def test_what_is_no_json_is_a_value_error(line: bytes | str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any will do
        decode_line(line)


@pytest.mark.parametrize("exponent", ["10000000000000000000", "-10000000000000000000"])
def test_a_number_that_no_machine_holds_is_told_from_others(exponent: str) -> None:
    value, is_valid = decode_line(f'{{"a": 1e{exponent}, "b": 1.10}}'.encode())
    assert not is_valid
    assert math.isnan(value["a"])
    assert str(value["b"]) == "1.10"


def numbers_in(source: Any) -> list[int]:
    seen: list[Any] = []
    MessageReader().process_lines(source, {"RECORD": seen.append})
    return [each["n"] for each in seen]


def test_a_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
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
def test_a_file_that_is_unpacked_on_the_way_is_left_to_its_reader(
    tmp_path: Path, mode: Any
) -> None:
    path = tmp_path / "lines.gz"
    path.write_bytes(gzip.compress(b'{"type":"RECORD","n":1}\n'))
    with gzip.open(path, mode) as source:
        assert numbers_in(source) == [1]


def read(text: bytes | str) -> list[Any]:
    seen: list[Any] = []
    source = io.BytesIO(text) if isinstance(text, bytes) else io.StringIO(text)
    callbacks = dict.fromkeys(("RECORD", "STATE"), seen.append)
    MessageReader().process_lines(source, callbacks)
    return seen


def test_messages_come_in_order_and_are_counted() -> None:
    lines = b'{"type":"RECORD","n":1}\n\n  \n{"type":"STATE"}\r\n{"type":"RECORD"}'
    seen: list[Any] = []
    callbacks = dict.fromkeys(("RECORD", "STATE"), seen.append)
    counts = MessageReader().process_lines(io.BytesIO(lines), callbacks)
    assert [each["type"] for each in seen] == ["RECORD", "STATE", "RECORD"]
    assert counts == {"RECORD": 2, "STATE": 1}


def test_text_is_read_like_bytes() -> None:
    assert read('{"type":"RECORD","a":"é"}\n') == [{"type": "RECORD", "a": "é"}]


def test_the_line_at_hand_is_kept_as_it_arrived() -> None:
    reader = MessageReader()
    line = b'{ "type":"STATE", "a":1.10}\n'
    kept: list[Any] = []
    reader.process_lines(
        io.BytesIO(line), {"STATE": lambda _: kept.append(reader.line)}
    )
    assert kept == [line]


@pytest.mark.parametrize(
    ("line", "clue"),
    [
        (b"secret", "Line 2: not JSON"),
        (b"[]", "Line 2: not a Singer message"),
        (b'{"a": "secret"}', "Line 2: not a Singer message"),
        (b'{"type": null}', "Line 2: not a Singer message"),
        (b'{"type": "CHART", "a": "secret"}', "Line 2: unknown message type 'CHART'"),
    ],
)
def test_a_line_that_is_no_message_is_named_by_its_number(
    line: bytes, clue: str
) -> None:
    with pytest.raises(InputError, match=clue) as caught:
        read(b'{"type":"STATE"}\n' + line + b"\n")
    assert "secret" not in str(caught.value)


def test_a_long_name_is_not_repeated_in_full() -> None:
    with pytest.raises(InputError) as caught:
        read(json.dumps({"type": "X" * 5_000}))
    assert len(str(caught.value)) < 300


def test_a_reader_that_was_told_to_stop_reads_no_further() -> None:
    reader = MessageReader()
    seen: list[Any] = []

    def stop(message: dict[str, Any]) -> None:
        seen.append(message)
        reader.stop()

    reader.process_lines(io.BytesIO(b'{"type":"STATE"}\n' * 5), {"STATE": stop})
    assert len(seen) == 1


def test_a_reader_that_waits_is_woken() -> None:
    reader = MessageReader()

    class Waiting(io.RawIOBase):
        def readline(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002
            reader.stop()
            raise AssertionError

    reader.process_lines(Waiting(), {})


def test_everything_is_handed_on_before_more_is_waited_for() -> None:
    descriptor, into = os.pipe()
    happened: list[Any] = []
    more = [b'{"type":"RECORD","n":%d}\n' % n for n in range(3)]

    def before_waiting() -> None:
        happened.append("waits")
        if more:
            os.write(into, more.pop(0) * 2)
        else:
            os.close(into)

    reader = MessageReader(before_waiting)
    with os.fdopen(descriptor, "rb") as source:
        counts = reader.process_lines(
            source, {"RECORD": lambda message: happened.append(message["n"])}
        )
    assert happened == ["waits", 0, 0, "waits", 1, 1, "waits", 2, 2, "waits"]
    assert counts == {"RECORD": 6}


@pytest.mark.parametrize("stops_at", [0, 1, 40, 99])
def test_nothing_is_handed_on_after_the_reader_was_told_to_stop(
    stops_at: int, tmp_path: Path
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(b'{"type":"RECORD","n":%d}\n' % n for n in range(100)))
    reader = MessageReader()
    seen: list[int] = []

    def take(message: dict[str, Any]) -> None:
        seen.append(message["n"])
        if message["n"] == stops_at:
            reader.stop()

    with path.open("rb") as source:
        reader.process_lines(source, {"RECORD": take})
    assert seen == list(range(stops_at + 1))


@pytest.mark.parametrize("good", [0, 1, 31, 32, 33, 70])
def test_what_comes_before_a_bad_line_is_handed_on(good: int, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"type":"RECORD"}\n' * good + b"secret\n" + b"{}\n" * 9)
    seen: list[Any] = []
    with (
        path.open("rb") as source,
        pytest.raises(InputError, match=f"Line {good + 1}: not JSON"),
    ):
        MessageReader().process_lines(source, {"RECORD": seen.append})
    assert len(seen) == good


def test_the_wake_up_call_is_no_exception_that_a_handler_would_swallow() -> None:
    assert not issubclass(StopReading, Exception)
