"""A run warns of records that Customer.io may accept but not apply."""

from __future__ import annotations

import gzip
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.command import Outcome, Terminal
    from support.singer import Singer

ANN, BEA = "ann@example.com", "bea@example.com"
DAY = 86_400


def counted(outcome: Outcome, words: str) -> int:
    """Return the number in the summary line that contains this text, or 0."""
    found = [line for line in outcome.lines("INFO") if words in line]
    return int(found[0].split()[0].replace(",", "")) if found else 0


def figures(outcome: Outcome) -> tuple[int, int, int]:
    """Return the counts of moved addresses, changed addresses and old identifies."""
    words = ("moved from one id", "changed", "older than a day")
    moved, changed, old = (counted(outcome, each) for each in words)
    return moved, changed, old


def warned(outcome: Outcome) -> list[str]:
    """Return the input positions in the conflict warnings."""
    return [
        line.split(" was sent with ")[0]
        for line in outcome.lines("WARNING")
        if " was sent with " in line
    ]


def test_a_moved_address_is_counted_and_logged_with_its_line(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("users"),
        b"",
        singer.record("users", user_id="2", email=ANN),
        singer.record("users", user_id="3", email=f" {ANN.upper()}".strip()),
        stream_calls={"users": "identify"},
    )

    assert outcome.code == 0
    assert figures(outcome) == (1, 0, 0)
    assert warned(outcome) == ["Stream 'users', line 4: this e-mail address"]
    assert "save the tap's output with tee" in outcome.lines("WARNING")[-1]
    assert "example.com" not in outcome.stderr


def test_a_moved_address_is_detected_in_calls_and_across_streams(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("a-identifies"),
        singer.schema("b-identifies"),
        singer.record("a-identifies", userId="2", traits={"email": ANN}),
        singer.record("b-identifies", userId="3", traits=json.dumps({"email": ANN})),
        singer.record("b-identifies", userId=BEA, traits={"id": "4"}),
        singer.record("a-identifies", userId="5", traits={"email": BEA}),
    )

    assert figures(outcome) == (2, 0, 0)
    assert warned(outcome) == [
        "Stream 'b-identifies', line 4: this e-mail address",
        "Stream 'a-identifies', line 6: this e-mail address",
    ]


def test_a_changed_address_is_counted_and_logged_with_its_line(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", userId="1", email=ANN),
        singer.record("identifies", userId="1", email=BEA),
    )

    assert figures(outcome) == (0, 1, 0)
    assert warned(outcome) == ["Stream 'identifies', line 3: this id"]


def test_a_stream_without_conflicts_is_not_reported(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.schema("tracks"),
        singer.record("identifies", email=ANN),
        singer.record("identifies", userId="1", email=ANN),
        singer.record("identifies", userId="1", email=ANN),
        singer.record("tracks", userId="2", event="Ordered", email=ANN),
        singer.record("identifies", userId="3"),
    )

    assert figures(outcome) == (0, 0, 0)
    assert warned(outcome) == []


def test_the_first_conflicts_are_logged_and_all_are_counted(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        *(
            singer.record(
                "identifies", userId=f"{turn}-{number}", email=f"{number}@example.com"
            )
            for turn in (1, 2)
            for number in range(100)
        ),
    )

    assert figures(outcome) == (100, 0, 0)
    assert warned(outcome) == [
        f"Stream 'identifies', line {line}: this e-mail address"
        for line in (102, 103, 104)
    ]


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_conflict_in_a_batch_is_logged_with_its_file_and_row(
    terminal: Terminal, singer: Singer, compression: str | None
) -> None:
    rows: list[list[dict[str, Any]]] = [
        [{"userId": "2", "email": ANN}],
        [{"userId": "1"}, {"userId": "3", "email": ANN}],
    ]
    paths = []
    for number, file in enumerate(rows):
        path = terminal.folder / f"{number}.jsonl"
        content = "\n".join(map(json.dumps, file)).encode()
        path.write_bytes(gzip.compress(content) if compression else content)
        paths.append(path.as_uri())
    encoding = {"format": "jsonl"}
    if compression:
        encoding["compression"] = compression
    outcome = terminal.run(
        singer.schema("identifies"),
        {
            "type": "BATCH",
            "stream": "identifies",
            "encoding": encoding,
            "manifest": paths,
        },
        singer.record("identifies", userId="4", email=BEA),
        singer.record("identifies", userId="5", email=BEA),
    )

    assert outcome.code == 0
    assert warned(outcome) == [
        ("Stream 'identifies', row 2 of file 2 (line 2): this e-mail address"),
        "Stream 'identifies', line 4: this e-mail address",
    ]


def test_identifies_older_than_a_day_are_counted(
    terminal: Terminal, singer: Singer
) -> None:
    now = int(time.time())
    records = [
        singer.record("identifies", userId="1", timestamp=now - DAY - 600),
        singer.record("identifies", userId="2", timestamp="2020-01-01T00:00:00Z"),
        singer.record("identifies", userId="3", traits={}, originalTimestamp=1),
        singer.record("identifies", userId="4", timestamp=now - DAY + 600),
        singer.record("identifies", userId="5", timestamp=now),
        singer.record("identifies", userId="6"),
        singer.record("tracks", userId="7", event="Ordered", timestamp=1),
    ]
    schemas = [singer.schema(stream) for stream in ("identifies", "tracks")]

    outcome = terminal.run(*schemas, *records)
    assert figures(outcome) == (0, 0, 3)
    (line,) = [each for each in outcome.lines("INFO") if "older than a day" in each]
    assert "identify_timestamp: omit" in line

    outcome = terminal.run(*schemas, *records, identify_timestamp="omit")
    assert figures(outcome) == (0, 0, 0)
