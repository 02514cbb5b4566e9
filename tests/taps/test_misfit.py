"""Advice for a stream that does not match: logged once, without values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

PLENTY = 130
HELP = "the first 100 records were all rejected"


def run(
    terminal: Any,
    singer: Any,
    stream: str,
    rows: Iterable[dict[str, Any]],
    *,
    schema: dict[str, Any] | None = None,
    keys: Iterable[str] = (),
    **settings: Any,
) -> Any:
    outcome = terminal.run(
        singer.schema(stream, schema or {}, keys),
        *(singer.record(stream, **row) for row in rows),
        **{"on_rejected": "continue", **settings},
    )
    assert outcome.code == 0, outcome.stderr
    return outcome


def helped(outcome: Any) -> list[str]:
    return [line for line in outcome.lines("WARNING") if HELP in line]


NOBODY = {"customer_no": 4711, "surname": "Hidden-Value", "signup": "2026-01-01"}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "no identifier": (
        "people",
        NOBODY,
        {"stream_calls": {"people": "identify"}},
        ("no_identifier", "userId or user_id", "stream_maps", '"people"'),
    ),
    "an event has no name": (
        "clicks",
        {"user_id": "Hidden-Value", "button": 1},
        {"stream_calls": {"clicks": "track"}},
        ("required", "event", "stream_maps", '"clicks": {"event"'),
    ),
    "a page has no name": (
        "pages",
        {"user_id": "Hidden-Value"},
        {},
        ("required", '"pages": {"name"'),
    ),
    "an object has no id": (
        "firms",
        {"firm_no": 1, "name": "Hidden-Value"},
        {"stream_calls": {"firms": "group"}},
        ("required", "groupId", '"firms": {"groupId"'),
    ),
    "a segment has no id": (
        "vips",
        {"user_id": "Hidden-Value"},
        {"stream_calls": {"vips": "segment"}},
        ("required", "segmentId", '"vips": {"segmentId"'),
    ),
    "a merge has one side": (
        "aliases",
        {"user_id": "Hidden-Value"},
        {},
        ("required", "previousId", '"aliases": {"previousId"'),
    ),
    "an invalid time": (
        "tracks",
        {"user_id": "a", "event": "b", "timestamp": "Hidden-Value"},
        {},
        ("invalid_timestamp", "timestamp", '"tracks": {"timestamp"'),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_stream_that_does_not_fit_is_explained_once(
    case: str, terminal: Any, singer: Any
) -> None:
    stream, row, settings, words = CASES[case]

    outcome = run(terminal, singer, stream, [row] * PLENTY, **settings)

    (line,) = helped(outcome)
    assert f"Stream '{stream}'" in line
    assert f"Columns: {', '.join(sorted(row))}." in line
    assert [word for word in words if word not in line] == []
    assert "Hidden-Value" not in outcome.stderr
    assert "4711" not in outcome.stderr
    assert "str(" not in line  # would turn null into the person "None"
    assert len(outcome.rejected) == PLENTY


def test_a_schema_that_its_own_rows_do_not_fit_is_explained(
    terminal: Any, singer: Any
) -> None:
    outcome = run(
        terminal,
        singer,
        "identifies",
        [{"userId": "ann", "n": "Hidden-Value"}] * PLENTY,
        schema={"n": {"type": "integer"}},
    )

    (line,) = helped(outcome)
    assert "validate_records" in line
    assert "Hidden-Value" not in outcome.stderr


def test_rows_without_their_key_are_explained(terminal: Any, singer: Any) -> None:
    outcome = run(
        terminal,
        singer,
        "identifies",
        [{"userId": "ann"}] * PLENTY,
        schema={"row_no": {}},
        keys=["row_no"],
    )

    (line,) = helped(outcome)
    assert "row_no" in line
    assert "primary key" in line


def test_the_advice_works(terminal: Any, singer: Any) -> None:
    rows = [{"customer_no": number} for number in range(PLENTY)]
    row_schema = {"customer_no": {"type": "integer"}}
    first = run(terminal, singer, "identifies", rows, schema=row_schema)
    (line,) = helped(first)
    assert '{"identifies": {"userId": "YOUR_COLUMN"}}' in line

    second = run(
        terminal,
        singer,
        "identifies",
        rows,
        schema=row_schema,
        stream_maps={"identifies": {"userId": "customer_no"}},
    )

    assert len(second.workspace["people"]) == PLENTY
    assert helped(second) == []


GOOD = {"user_id": "ann"}


@pytest.mark.parametrize("at", [0, 50, 99])
def test_one_delivered_record_prevents_the_advice(
    at: int, terminal: Any, singer: Any
) -> None:
    rows: list[dict[str, Any]] = [NOBODY] * PLENTY
    rows[at] = GOOD

    assert helped(run(terminal, singer, "identifies", rows)) == []


def test_a_skipped_record_counts_as_delivered(terminal: Any, singer: Any) -> None:
    rows: list[dict[str, Any]] = [{"anonymous_id": "visitor"}, *[NOBODY] * PLENTY]

    assert helped(run(terminal, singer, "identifies", rows)) == []


def test_different_reasons_are_left_to_their_own_lines(
    terminal: Any, singer: Any
) -> None:
    rows: list[dict[str, Any]] = [NOBODY] * PLENTY
    rows[98] = {"user_id": True}

    assert helped(run(terminal, singer, "identifies", rows)) == []


def test_ninety_nine_rejections_cause_no_advice(terminal: Any, singer: Any) -> None:
    assert helped(run(terminal, singer, "identifies", [NOBODY] * 99)) == []


def helped_at_the_end(outcome: Any) -> list[str]:
    return [
        line
        for line in outcome.lines("WARNING")
        if "records were rejected" in line and "Stream '" in line
    ]


@pytest.mark.parametrize("rows", [10, 11, 99])
def test_a_short_stream_that_does_not_fit_is_explained_at_its_end(
    rows: int, terminal: Any, singer: Any
) -> None:
    outcome = run(terminal, singer, "identifies", [NOBODY] * rows)

    (line,) = helped_at_the_end(outcome)
    assert f"all {rows} records were rejected (no_identifier)" in line
    assert "Columns: customer_no, signup, surname." in line
    assert '{"identifies": {"userId": "YOUR_COLUMN"}}' in line
    assert "Hidden-Value" not in outcome.stderr


@pytest.mark.parametrize("reader", ["no Singer", '{"type":"RECORD","stream":"x"}'])
def test_a_short_stream_is_explained_too_if_the_input_ends_badly(
    reader: str, terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        *[singer.record("identifies", **NOBODY)] * 10,
        reader,
        on_rejected="continue",
    )

    assert outcome.code == 1
    assert len(helped_at_the_end(outcome)) == 1


@pytest.mark.parametrize(
    "rows",
    [
        [NOBODY] * 9,
        [GOOD, *[NOBODY] * 20],
        [*[NOBODY] * 20, GOOD],
        [*[NOBODY] * 20, {"user_id": True}],
        [GOOD] * 10,
    ],
    ids=["too few", "first fits", "last fits", "two reasons", "all fit"],
)
def test_a_short_stream_is_explained_only_if_all_of_it_is_rejected_for_one_reason(
    rows: list[dict[str, Any]], terminal: Any, singer: Any
) -> None:
    assert helped_at_the_end(run(terminal, singer, "identifies", rows)) == []


def test_a_stream_that_has_been_explained_is_not_explained_at_its_end(
    terminal: Any, singer: Any
) -> None:
    outcome = run(terminal, singer, "identifies", [NOBODY] * PLENTY)
    assert len(helped(outcome)) == 1
    assert helped_at_the_end(outcome) == []


def test_a_changed_schema_does_not_restart_the_count(
    terminal: Any, singer: Any
) -> None:
    messages = [
        message
        for number in range(10)
        for message in (
            singer.schema("identifies", {f"column_{number}": {}}),
            singer.record("identifies", **NOBODY),
        )
    ]
    outcome = terminal.run(*messages, on_rejected="continue")
    assert len(helped_at_the_end(outcome)) == 1


@pytest.mark.parametrize(
    ("expression", "word"),
    [("idd", "'idd'"), ("int(surname)", "ValueError"), ("customer_no + surname", "+")],
)
@pytest.mark.parametrize("rows", [10, PLENTY])
def test_a_stream_map_that_fails_is_explained(
    rows: int, expression: str, word: str, terminal: Any, singer: Any
) -> None:
    outcome = run(
        terminal,
        singer,
        "identifies",
        [NOBODY] * rows,
        stream_maps={"identifies": {"userId": expression}},
    )

    (line,) = helped(outcome) + helped_at_the_end(outcome)
    assert "(stream_map)" in line
    assert "Columns: customer_no, signup, surname." in line
    assert f"the expression '{expression}' for 'userId'" in line
    assert word in line
    assert "Hidden-Value" not in outcome.stderr
    assert "4711" not in outcome.stderr


def test_columns_with_infinite_numbers_are_named(terminal: Any, singer: Any) -> None:
    record = '{"type":"RECORD","stream":"tracks","record":{"at":NaN,"user_id":"a"}}'
    outcome = terminal.run(
        singer.schema("tracks"), *[record] * 10, on_rejected="continue"
    )

    (line,) = helped_at_the_end(outcome)
    assert "Columns: at, user_id." in line


def test_each_stream_is_explained_separately(terminal: Any, singer: Any) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.schema("pages"),
        singer.schema("tracks"),
        *(
            singer.record(stream, **row)
            for _ in range(PLENTY)
            for stream, row in (
                ("identifies", NOBODY),
                ("pages", {"user_id": "ann"}),
                ("tracks", {"user_id": "ann", "event": "fits"}),
            )
        ),
        on_rejected="continue",
    )

    assert [line.split("'")[1] for line in helped(outcome)] == ["identifies", "pages"]


def test_only_the_first_of_many_columns_are_listed(terminal: Any, singer: Any) -> None:
    row = {f"column_{number:03}": number for number in range(75)}

    (line,) = helped(run(terminal, singer, "identifies", [row] * PLENTY))

    assert "column_059 and 15 more" in line
    assert "column_060" not in line
