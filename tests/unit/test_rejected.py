from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hypotheses import examples

from target_customerio.errors import RejectedFileError, RejectedRecord
from target_customerio.private_files import why_not_writable
from target_customerio.records import SourceStream
from target_customerio.results.rejected import RejectedRecords

if TYPE_CHECKING:
    from collections.abc import Callable

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


def sent(
    record: bytes, stream: str = "a", schema: bytes = SCHEMA
) -> tuple[SourceStream, bytes]:
    """Return the stream of a record and its RECORD message."""
    line = b'{"type":"RECORD","stream":%b,"record":%b}\n'
    message = line % (json.dumps(stream).encode(), record)
    return SourceStream(stream, schema, stream), message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rejected.jsonl"


def add(records: RejectedRecords) -> None:
    try:
        records.add(*sent(b"{}"), ERROR)
    finally:
        records.close()


def written(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_no_file_is_created_before_the_first_rejection(path: Path) -> None:
    RejectedRecords(str(path)).close()
    assert not path.exists()


def test_add_returns_the_line_number(path: Path) -> None:
    records = RejectedRecords(str(path))
    numbers = [records.add(*sent(b"{}"), ERROR) for _ in range(3)]
    records.close()
    assert numbers == [2, 3, 4]
    again = RejectedRecords(str(path))
    assert again.add(*sent(b"{}"), ERROR) == 6
    again.close()
    assert written(path)[5]["type"] == "RECORD"


def test_an_existing_file_becomes_readable_only_by_its_owner(path: Path) -> None:
    path.touch(mode=0o644)
    path.chmod(0o644)
    add(RejectedRecords(str(path)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_is_refused(path: Path, *, exists: bool) -> None:
    other = path.with_name("other")
    if exists:
        other.write_bytes(b"private\n")
    path.symlink_to(other)
    assert why_not_writable(str(path)) == "a symbolic link"
    with pytest.raises(RejectedFileError, match="a symbolic link"):
        add(RejectedRecords(str(path)))
    assert other.exists() == exists
    assert not exists or other.read_bytes() == b"private\n"


def test_a_link_made_between_the_check_and_the_opening_is_not_followed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = path.with_name("other")
    path.symlink_to(other)

    def missing(_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(os, "lstat", missing)
    with pytest.raises(RejectedFileError, match="symbolic link"):
        add(RejectedRecords(str(path)))
    assert not other.exists()


def test_a_pipe_is_refused_without_waiting_for_its_reader(path: Path) -> None:
    os.mkfifo(path)
    assert why_not_writable(str(path)) == "not a regular file"
    with pytest.raises(RejectedFileError, match="not a regular file"):
        add(RejectedRecords(str(path)))


def test_a_file_of_another_user_that_others_can_read_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.touch(mode=0o644)
    path.chmod(0o644)
    monkeypatch.setattr(
        "target_customerio.private_files._user", lambda: os.getuid() + 1
    )
    assert "another user" in (why_not_writable(str(path)) or "")
    with pytest.raises(RejectedFileError, match="another user"):
        add(RejectedRecords(str(path)))


def move_away(path: Path) -> None:
    path.rename(path.with_name("moved"))


def replace(path: Path) -> None:
    """Do what `sed -i` does."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("touch", "number", "kinds"),
    [
        (move_away, 2, "SR"),
        (Path.unlink, 2, "SR"),
        (replace, 5, "SRRSR"),
        (empty, 2, "SR"),
    ],
)
def test_records_are_found_at_the_path_however_the_file_was_touched(
    path: Path, touch: Callable[[Path], None], number: int, kinds: str
) -> None:
    records = RejectedRecords(str(path))
    records.add(*sent(b"{}"), ERROR)
    records.add(*sent(b"{}"), ERROR)
    touch(path)
    assert records.add(*sent(b'{"after":1}'), ERROR) == number
    records.close()
    assert "".join(each["type"][0] for each in written(path)) == kinds
    assert written(path)[number - 1]["record"] == {"after": 1}


def test_a_record_is_not_lost_if_the_file_is_removed_while_it_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = RejectedRecords(str(path))
    records.add(*sent(b"{}"), ERROR)
    write = os.write

    def removed(file: int, data: Any) -> int:
        monkeypatch.undo()
        path.unlink()
        return write(file, data)

    monkeypatch.setattr(os, "write", removed)
    assert records.add(*sent(b'{"after":1}'), ERROR) == 2
    records.close()
    assert written(path)[1]["record"] == {"after": 1}


def test_a_file_whose_number_changes_all_the_time_is_written_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network file systems."""
    monkeypatch.setattr(os.path, "samestat", lambda *_: False)
    records = RejectedRecords(str(path))
    assert records.add(*sent(b"{}"), ERROR) == 2
    records.close()
    assert len(written(path)) == 2


def test_two_runs_share_a_file_with_right_numbers_and_schemas(path: Path) -> None:
    other_schema = SCHEMA.replace(b"{}}", b"{ }}")
    one, two = RejectedRecords(str(path)), RejectedRecords(str(path))
    assert one.add(*sent(b'{"n":1}'), ERROR) == 2
    assert two.add(*sent(b'{"n":2}', schema=other_schema), ERROR) == 4
    assert two.add(*sent(b'{"n":3}', schema=other_schema), ERROR) == 5
    assert one.add(*sent(b'{"n":4}'), ERROR) == 7
    one.close()
    two.close()
    lines = path.read_bytes().splitlines()
    assert [line + b"\n" for line in lines if b"SCHEMA" in line] == [
        SCHEMA,
        other_schema,
        SCHEMA,
    ]
    runs = [each["rejection"]["run"] for each in written(path) if "rejection" in each]
    assert runs == [one.run, two.run, two.run, one.run]


def test_processes_share_a_file_with_whole_lines_and_right_numbers(path: Path) -> None:
    long = b'{"text":"%b","n":%d}'

    def work(letter: bytes, sink: int) -> None:
        records = RejectedRecords(str(path))
        for n in range(60):
            number = records.add(*sent(long % (letter * 9_000, n)), ERROR)
            os.write(sink, b"%d %b %d\n" % (number, letter, n))

    expected: dict[int, tuple[str, int]] = {}
    ends = []
    for letter in (b"a", b"b", b"c"):
        ours, theirs = os.pipe()
        pid = os.fork()
        if not pid:
            with contextlib.suppress(BaseException):
                work(letter, theirs)
            os._exit(0)
        os.close(theirs)
        ends.append((pid, ours))
    for pid, ours in ends:
        with os.fdopen(ours) as lines:
            for line in lines:
                number, letter_, n = line.split()
                expected[int(number)] = (letter_, int(n))
        os.waitpid(pid, 0)
    found = {
        number: (each["record"]["text"][0], each["record"]["n"])
        for number, each in enumerate(written(path), 1)
        if each["type"] == "RECORD"
    }
    assert len(found) == 180
    assert found == expected


def test_a_schema_is_repeated_only_when_it_changes(path: Path) -> None:
    other = SCHEMA.replace(b"{}}", b"{ }}")
    records = RejectedRecords(str(path))
    for schema in (SCHEMA, SCHEMA, other, SCHEMA):
        records.add(*sent(b"{}", schema=schema), ERROR)
    records.add(*sent(b"{}", stream="b", schema=SCHEMA), ERROR)
    records.close()
    kinds = [each["type"][0] for each in written(path)]
    assert "".join(kinds) == "SRRSRSRSR"


def test_a_line_can_be_text_instead_of_bytes(path: Path) -> None:
    records = RejectedRecords(str(path))
    line = '{"type":"RECORD","stream":"a","record":{"name":"é"}}'
    records.add(SourceStream("a", SCHEMA.decode(), "a"), line, ERROR)
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
    records.add(*sent(arrived), ERROR)
    records.close()
    assert b'"record":' + kept + b',"rejection"' in path.read_bytes()


@pytest.mark.parametrize("beside", [b"", b',"c":NaN'], ids=["alone", "beside_NaN"])
def test_half_a_surrogate_pair_is_kept_and_numbers_stay_numbers(
    path: Path, beside: bytes
) -> None:
    records = RejectedRecords(str(path))
    records.add(*sent(b'{"a":"\\ud800","b":1.10' + beside + b"}"), ERROR)
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
    records.add(*sent(text), ERROR)
    records.close()
    line = path.read_bytes().splitlines()[1]
    assert line.startswith(b'{"type":"RECORD","stream":"a","record":' + text + b",")
    assert json.loads(line)["rejection"].keys() == {
        "reason",
        "field",
        "message",
        "at",
        "run",
    }


def test_only_rejections_of_this_run_are_recognised_as_its_own(path: Path) -> None:
    before = RejectedRecords(str(path))
    before.add(*sent(b"{}"), ERROR)
    before.close()
    old = written(path)[1]["rejection"]
    records = RejectedRecords(str(path))
    records.add(*sent(b"{}"), ERROR)
    records.close()
    new = written(path)[3]["rejection"]
    assert records.was_written_by_this_run(new)
    assert not records.was_written_by_this_run(old)


def test_a_rejection_of_another_run_at_the_same_time_is_not_our_own(
    path: Path,
) -> None:
    """The clock may have been set back, or the other run goes on."""
    one, two = RejectedRecords(str(path)), RejectedRecords(str(path))
    two.add(*sent(b"{}"), ERROR)
    two.close()
    assert not one.was_written_by_this_run(written(path)[1]["rejection"])


@pytest.mark.parametrize(
    "rejection", [None, "x", 5, [], {}, {"run": None}, {"run": 5}, {"at": "2020-01-01"}]
)
def test_a_foreign_rejection_is_not_recognised_as_our_own(
    path: Path, rejection: object
) -> None:
    assert not RejectedRecords(str(path)).was_written_by_this_run(rejection)


def test_a_folder_as_the_path_is_reported_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(RejectedFileError, match="rejected_records_path"):
        RejectedRecords(str(tmp_path)).add(*sent(b"{}"), ERROR)


def test_a_partially_written_line_is_removed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = RejectedRecords(str(path))
    records.add(*sent(b"{}"), ERROR)
    before = path.read_bytes()
    write = os.write
    room = [10]

    def cramped(file: int, data: Any) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        done = write(file, bytes(data)[: room[0]])
        room[0] = 0
        return done

    monkeypatch.setattr(os, "write", cramped)
    with pytest.raises(RejectedFileError, match="No space left"):
        records.add(*sent(b"{}"), ERROR)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert records.add(*sent(b"{}"), ERROR) == 3
    records.close()
