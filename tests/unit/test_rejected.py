from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hypotheses import examples

from target_customerio.errors import RejectedFileError, RejectedRecord
from target_customerio.rejected import RejectedRecords, Source

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = b'{"type":"SCHEMA","stream":"a","schema":{"properties":{}}}\n'
ERROR = RejectedRecord("reason", "field", "message")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def source(record: bytes, stream: str = "a", schema: bytes = SCHEMA) -> Source:
    line = b'{"type":"RECORD","stream":%b,"record":%b}\n'
    return Source(stream, schema, line % (json.dumps(stream).encode(), record))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rejected.jsonl"


def written(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_no_file_is_created_before_the_first_rejection(path: Path) -> None:
    RejectedRecords(str(path)).close()
    assert not path.exists()


def test_add_returns_the_line_number(path: Path) -> None:
    records = RejectedRecords(str(path))
    numbers = [records.add(source(b"{}"), ERROR) for _ in range(3)]
    records.close()
    assert numbers == [2, 3, 4]
    again = RejectedRecords(str(path))
    assert again.add(source(b"{}"), ERROR) == 6
    again.close()
    assert written(path)[5]["type"] == "RECORD"


def test_the_mode_of_an_existing_file_is_not_changed(path: Path) -> None:
    path.touch(mode=0o640)
    path.chmod(0o640)
    records = RejectedRecords(str(path))
    records.add(source(b"{}"), ERROR)
    records.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_schema_is_repeated_only_when_it_changes(path: Path) -> None:
    other = SCHEMA.replace(b"{}}", b"{ }}")
    records = RejectedRecords(str(path))
    for schema in (SCHEMA, SCHEMA, other, SCHEMA):
        records.add(source(b"{}", schema=schema), ERROR)
    records.add(source(b"{}", stream="b", schema=SCHEMA), ERROR)
    records.close()
    kinds = [each["type"][0] for each in written(path)]
    assert "".join(kinds) == "SRRSRSRSR"


def test_a_line_can_be_text_instead_of_bytes(path: Path) -> None:
    records = RejectedRecords(str(path))
    line = '{"type":"RECORD","stream":"a","record":{"name":"é"}}'
    records.add(Source("a", SCHEMA.decode(), line), ERROR)
    records.close()
    assert written(path)[1]["record"] == {"name": "é"}


@pytest.mark.parametrize(
    ("arrived", "kept"),
    [
        (b'{"a":NaN}', b'{"a":"NaN"}'),
        (b'{"a":[Infinity,{"b":-Infinity}]}', b'{"a":["Infinity",{"b":"-Infinity"}]}'),
        (b'{"a":NaN,"b":1.10}', b'{"a":"NaN","b":1.10}'),
        (b'{"a":NaN,"b":%d}' % 10**30, b'{"a":"NaN","b":%d}' % 10**30),
    ],
)
def test_non_finite_numbers_become_text_and_others_keep_their_digits(
    path: Path, arrived: bytes, kept: bytes
) -> None:
    records = RejectedRecords(str(path))
    records.add(source(arrived), ERROR)
    records.close()
    assert b'"record":' + kept + b',"rejection"' in path.read_bytes()


@pytest.mark.parametrize("beside", [b"", b',"c":NaN'], ids=["alone", "beside_NaN"])
def test_half_a_surrogate_pair_is_kept_and_numbers_stay_numbers(
    path: Path, beside: bytes
) -> None:
    records = RejectedRecords(str(path))
    records.add(source(b'{"a":"\\ud800","b":1.10' + beside + b"}"), ERROR)
    records.close()
    record = json.loads(path.read_bytes().splitlines()[1])["record"]
    assert record["a"] == "\ud800"
    assert record["b"] == 1.1


@settings(
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,  # slow on a busy machine
    ],
    max_examples=examples(50),
)
@given(record=st.dictionaries(st.text(), JSON), ascii_only=st.booleans())
def test_any_record_is_written_byte_for_byte(
    path: Path, record: dict[str, Any], *, ascii_only: bool
) -> None:
    text = json.dumps(record, ensure_ascii=ascii_only, indent=None).encode()
    path.unlink(missing_ok=True)
    records = RejectedRecords(str(path))
    records.add(source(text), ERROR)
    records.close()
    line = path.read_bytes().splitlines()[1]
    assert line.startswith(b'{"type":"RECORD","stream":"a","record":' + text + b",")
    assert json.loads(line)["rejection"].keys() == {"reason", "field", "message", "at"}


def test_only_rejections_of_this_run_are_recognised_as_its_own(path: Path) -> None:
    before = RejectedRecords(str(path))
    before.add(source(b"{}"), ERROR)
    before.close()
    old = written(path)[1]["rejection"]
    records = RejectedRecords(str(path))
    records.add(source(b"{}"), ERROR)
    records.close()
    new = written(path)[3]["rejection"]
    assert records.was_written_by_this_run(new)
    assert not records.was_written_by_this_run(old)


@pytest.mark.parametrize("rejection", [None, "x", 5, [], {}, {"at": None}, {"at": 5}])
def test_a_foreign_rejection_is_not_recognised_as_our_own(
    path: Path, rejection: object
) -> None:
    assert not RejectedRecords(str(path)).was_written_by_this_run(rejection)


def test_a_folder_as_the_path_is_reported_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(RejectedFileError, match="rejected_records_path"):
        RejectedRecords(str(tmp_path)).add(source(b"{}"), ERROR)


def test_a_partially_written_line_is_removed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = RejectedRecords(str(path))
    records.add(source(b"{}"), ERROR)
    before = path.read_bytes()
    write = os.write
    room = [10]

    def cramped(file: int, data: Any) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        done = write(file, bytes(data)[: room[0]])
        room[0] = 0
        return done

    monkeypatch.setattr("target_customerio.rejected.os.write", cramped)
    with pytest.raises(RejectedFileError, match="No space left"):
        records.add(source(b"{}"), ERROR)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert records.add(source(b"{}"), ERROR) == 3
    records.close()


@pytest.mark.parametrize("at", ["2099-01-01T00:00:00.000000+00:00", "yesterday"])
def test_a_rejection_with_a_different_clock_is_not_our_own(path: Path, at: str) -> None:
    assert not RejectedRecords(str(path)).was_written_by_this_run({"at": at})
