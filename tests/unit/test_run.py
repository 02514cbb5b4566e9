"""A run takes rows from anywhere; the command is one of its users."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from support.workspace import contents_of

from target_customerio.errors import RejectedFileError, TargetError
from target_customerio.json_codec import Decoding
from target_customerio.records import Place
from target_customerio.target import TargetCustomerIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from target_customerio.run import Run

SCHEMA = {"properties": {"user_id": {"type": "string"}, "plan": {}}}


@pytest.fixture
def new_run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    handlers = {
        each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)
    }

    def create(**settings: Any) -> Run:
        config = {
            "sandbox": str(tmp_path / "workspace.db"),
            "rejected_records_path": str(tmp_path / "rejected.jsonl"),
            "stream_calls": {"rows": "identify"},
        }
        return TargetCustomerIO(config=config | settings).run

    yield create
    for number, handler in handlers.items():
        signal.signal(number, handler)


def load(run: Run, *rows: dict[str, Any]) -> None:
    line = json.dumps({"type": "SCHEMA", "stream": "rows", "schema": SCHEMA})
    run.add_stream("rows", SCHEMA, ["user_id"], line)
    for number, row in enumerate(rows, 1):
        text = json.dumps({"record": row})
        run.load(run.streams["rows"], row, text, Place(row=number), Decoding.STRICT)


def people(folder: Path) -> list[str]:
    return list(contents_of(folder / "workspace.db")["people"])


def test_rows_are_delivered_and_summarized(
    new_run: Callable[..., Run], tmp_path: Path
) -> None:
    with new_run() as run:
        load(run, {"user_id": "ada", "plan": "pro"}, {"user_id": 5}, {"user_id": "bo"})
        summary = run.finish()
    counts = summary.streams["rows"]
    assert (counts.read, counts.rejected) == (3, {"schema": 1})
    assert counts.delivered.total() == 2
    assert people(tmp_path) == ["id:ada", "id:bo"]
    lines = (tmp_path / "rejected.jsonl").read_text().splitlines()
    schema, rejected = map(json.loads, lines)
    assert (schema["type"], rejected["record"]) == ("SCHEMA", {"user_id": 5})


def load_and_fail(run: Run) -> None:
    with run:
        load(run, {"user_id": "ada"})
        raise ZeroDivisionError


def test_rows_before_an_error_are_delivered(
    new_run: Callable[..., Run], tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        load_and_fail(new_run())
    assert people(tmp_path) == ["id:ada"]


def test_an_error_of_the_delivery_matters_more_than_one_of_the_rows(
    new_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RejectedFileError("no room")

    run = new_run()
    monkeypatch.setattr(run.pipeline, "drain", fail)
    with pytest.raises(TargetError, match="no room"):
        load_and_fail(run)


def test_a_row_is_named_by_its_number(
    new_run: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    email = "ann@example.com"
    with new_run() as run:
        load(run, *({"user_id": each, "email": email} for each in ("1", "2")))
        run.finish()
    assert "Stream 'rows', row 2: this e-mail address" in caplog.text


def test_a_stream_keeps_its_sink_while_its_schema_is_the_same(
    new_run: Callable[..., Run],
) -> None:
    with new_run() as run:
        load(run)
        before = run.streams["rows"]
        load(run, {"user_id": "ada"})
        assert run.streams["rows"] is before
        run.finish()
