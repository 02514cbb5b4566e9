"""Records that cannot be delivered are rejected with a reason; others are delivered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.command import Outcome, Terminal
    from support.singer import Singer

SECRET = "ada-lovelace-4711"

BAD: dict[str, tuple[str, str, tuple[str, str]]] = {
    "an identify without an identifier": (
        "identifies",
        '{"traits": {"plan": "SECRET"}}',
        ("no_identifier", "userId"),
    ),
    "a track without an identifier": (
        "tracks",
        '{"event": "SECRET"}',
        ("no_identifier", "userId"),
    ),
    "a track without an event": (
        "tracks",
        '{"userId": "SECRET"}',
        ("required", "event"),
    ),
    "a page with neither a name nor a URL": (
        "pages",
        '{"userId": "SECRET", "properties": {"title": "SECRET"}}',
        ("required", "name"),
    ),
    "a screen without a name": (
        "screens",
        '{"userId": "SECRET"}',
        ("required", "name"),
    ),
    "a group without an object": (
        "groups",
        '{"userId": "SECRET", "traits": {}}',
        ("required", "groupId"),
    ),
    "an alias without the previous id": (
        "aliases",
        '{"userId": "SECRET"}',
        ("required", "previousId"),
    ),
    "an alias of a person to themselves": (
        "aliases",
        '{"userId": "SECRET", "previousId": "SECRET"}',
        ("", ""),
    ),
    "traits that are a list": (
        "identifies",
        '{"userId": "ada", "traits": ["SECRET"]}',
        ("", "traits"),
    ),
    "traits that are a number": (
        "identifies",
        '{"userId": "ada", "traits": 4711}',
        ("", "traits"),
    ),
    "traits that are invalid JSON text": (
        "identifies",
        '{"userId": "ada", "traits": "{\\"plan\\": \\"SECRET"}',
        ("", "traits"),
    ),
    "a boolean user id": (
        "identifies",
        '{"userId": true}',
        ("invalid_type", "userId"),
    ),
    "a blank user id": ("identifies", '{"userId": "  "}', ("blank", "userId")),
    "an empty user id": (
        "identifies",
        '{"userId": ""}',
        ("no_identifier", "userId"),
    ),
    "a float user id": (
        "identifies",
        '{"userId": 4711.0}',
        ("invalid_type", "userId"),
    ),
    "an object as a user id": (
        "identifies",
        '{"userId": {"id": "SECRET"}}',
        ("invalid_type", "userId"),
    ),
    "an operation of 40 KB": (
        "identifies",
        '{"userId": "ada", "traits": {"essay": "SECRET' + "x" * 40_000 + '"}}',
        ("too_large", ""),
    ),
    "a trait that is not a number": (
        "identifies",
        '{"userId": "ada", "traits": {"plan": "SECRET", "score": NaN}}',
        ("not_finite", ""),
    ),
    "an invalid timestamp": (
        "tracks",
        '{"userId": "ada", "event": "A", "timestamp": "SECRET"}',
        ("invalid_timestamp", "timestamp"),
    ),
    "a record that does not match its schema": (
        "strict-identifies",
        '{"userId": "ada", "age": "SECRET", "born": null}',
        ("schema", "age"),
    ),
    "a record without its key property": (
        "strict-identifies",
        '{"age": 4711}',
        ("missing_key", "userId"),
    ),
    "an invalid typed date": (
        "strict-identifies",
        '{"userId": "ada", "born": "SECRET"}',
        ("", "born"),
    ),
    "a failing stream map expression": (
        "mapped-identifies",
        '{"userId": "ada", "amount": "SECRET"}',
        ("stream_map", ""),
    ),
    "half a surrogate pair": (
        "identifies",
        '{"userId": "ada", "traits": {"plan": "SECRET \\ud800"}}',
        ("invalid_text", ""),
    ),
}
NAMES = [name.replace(" ", "_") for name in BAD]


@pytest.fixture(scope="module")
def outcome(new_terminal: Callable[[], Terminal], singer: Singer) -> Outcome:
    calls = ("identifies", "tracks", "pages", "screens", "groups", "aliases")
    strict = {
        "userId": {"type": "string"},
        "age": {"type": ["integer", "null"]},
        "born": {"type": ["string", "null"], "format": "date-time"},
    }
    messages: list[Any] = [singer.schema(stream) for stream in calls]
    messages += [
        singer.schema("strict-identifies", strict, keys=["userId"]),
        singer.schema("mapped-identifies", ["userId", "amount"]),
    ]
    for number, (stream, record, _) in enumerate(BAD.values(), 1):
        line = f'{{"type": "RECORD", "stream": "{stream}", "record": {record}}}'
        messages += [
            line.replace("SECRET", SECRET),
            singer.record("tracks", userId=f"fan-{number}", event="Cheered"),
        ]
    return new_terminal().run(
        *messages,
        singer.state(reached="the end"),
        stream_maps={"mapped-identifies": {"half": "int(amount) / 2"}},
    )


@pytest.mark.parametrize("name", BAD, ids=NAMES)
def test_a_record_is_rejected_with_its_reason_and_field(
    name: str, outcome: Outcome
) -> None:
    place = list(BAD).index(name)
    reason, field = BAD[name][2]
    rejected = outcome.rejected[place]
    assert rejected["stream"] == BAD[name][0]
    assert reason in {"", rejected["rejection"]["reason"]}
    assert field in {"", rejected["rejection"]["field"]}
    assert rejected["rejection"]["reason"]
    assert rejected["rejection"]["message"]


def test_only_the_invalid_records_are_rejected(outcome: Outcome) -> None:
    assert len(outcome.rejected) == len(BAD)


def test_the_valid_records_between_are_delivered_in_order(outcome: Outcome) -> None:
    assert len(outcome.workspace["people"]) == len(BAD)
    assert [event["name"] for event in outcome.workspace["events"]] == (
        ["Cheered"] * len(BAD)
    )


def test_the_run_fails_with_one_line_giving_the_count_and_the_file(
    outcome: Outcome,
) -> None:
    assert f"{len(BAD)} records" in outcome.rejection_error
    assert "rejected.singer.jsonl" in outcome.rejection_error


def test_state_advances_past_rejected_records(outcome: Outcome) -> None:
    assert outcome.states[-1] == {"reached": "the end"}


def test_no_record_value_is_logged(outcome: Outcome) -> None:
    shown = outcome.stderr + outcome.stdout
    assert SECRET not in shown
    assert "4711" not in shown


@pytest.mark.parametrize("name", BAD, ids=NAMES)
def test_each_rejection_is_logged_with_its_stream_and_line(
    name: str, outcome: Outcome
) -> None:
    place = list(BAD).index(name)
    warnings = [line for line in outcome.lines("WARNING") if "record rejected" in line]
    assert len(warnings) == len(BAD)
    assert f"'{BAD[name][0]}'" in warnings[place]
    number = int(warnings[place].rpartition("line ")[2].split()[0])
    written = json.loads(outcome.rejected_lines[number - 1])
    assert written == outcome.rejected[place]


def test_the_size_of_a_record_that_is_too_large_is_reported(outcome: Outcome) -> None:
    (warning,) = [line for line in outcome.lines("WARNING") if "too_large" in line]
    assert "32,768" in warning
    assert "40," in warning


def test_the_summary_counts_rejections_by_stream(outcome: Outcome) -> None:
    counted = {stream: row["rejected"] for stream, row in outcome.table.items()}
    expected = dict.fromkeys(counted, 0)
    for stream, _, _ in BAD.values():
        expected[stream] += 1
    assert counted == expected


def test_a_value_quoted_by_customerio_is_not_logged(
    terminal: Terminal, singer: Singer, stand_in: Any
) -> None:
    error = {
        "batch_index": 0,
        "reason": "invalid",
        "field": "email",
        "message": f"{SECRET}@example is not an email address",
    }
    server = stand_in(200, {"region": "us", "errors": [error]})
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record(
            "identifies", userId="ada", traits={"email": f"{SECRET}@example"}
        ),
        sandbox=None,
        api_url=server.url,
        site_id="site",
        api_key="key",
    )
    assert outcome.reasons == [("invalid", "email")]
    assert SECRET not in outcome.stderr


def test_a_record_filtered_out_by_a_stream_map_is_neither_read_nor_rejected(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies", ["userId", "kind"]),
        singer.record("identifies", userId="ada", kind="person"),
        singer.record("identifies", userId="r2d2", kind="robot"),
        stream_maps={"identifies": {"__filter__": "kind == 'person'"}},
    )
    assert outcome.code == 0
    assert list(outcome.workspace["people"]) == ["id:ada"]


@pytest.mark.parametrize("odd", ["NaN", '"\\ud800"', "Infinity"])
def test_a_rejected_record_keeps_numbers_out_of_range(
    terminal: Terminal, singer: Singer, odd: str
) -> None:
    traits = f'{{"odd":{odd},"n":1E9999999999999999999,"digits":{"7" * 5_000}}}'
    outcome = terminal.run(
        singer.schema("identifies"),
        '{"type":"RECORD","stream":"identifies","record":{"userId":"ada",'
        f'"traits":{traits}}}}}',
        singer.record("identifies", userId="bo"),
    )
    assert outcome.code == 3
    assert list(outcome.workspace["people"]) == ["id:bo"]
    (line,) = [each for each in outcome.rejected_lines if b"7777" in each]
    assert b'"1E9999999999999999999"' in line
    assert b"7" * 5_000 in line


def test_an_integer_of_thousands_of_digits_is_delivered_exactly(
    terminal: Terminal, singer: Singer
) -> None:
    digits = "7" * 900
    outcome = terminal.run(
        singer.schema("identifies"),
        '{"type":"RECORD","stream":"identifies","record":{"userId":"ada",'
        f'"traits":{{"n":{digits}}},"context":{{"n":{"7" * 5_000}}}}}}}',
        singer.state(reached="the end"),
    )
    assert (outcome.code, outcome.states) == (0, [{"reached": "the end"}])
    assert digits in str(outcome.workspace)


def test_a_byte_order_mark_in_a_batch_file_is_ignored(
    terminal: Terminal, singer: Singer
) -> None:
    rows = b'\xef\xbb\xbf{"userId": true}\n{"userId": "bo"}\n'
    (terminal.folder / "rows.jsonl").write_bytes(rows)
    outcome = terminal.run(
        singer.schema("identifies"),
        {
            "type": "BATCH",
            "stream": "identifies",
            "manifest": ["rows.jsonl"],
            "encoding": {"format": "jsonl"},
        },
    )
    assert list(outcome.workspace["people"]) == ["id:bo"]
    assert [each["record"] for each in outcome.rejected] == [{"userId": True}]


@pytest.fixture(scope="module")
def many(new_terminal: Callable[[], Terminal], singer: Singer) -> Outcome:
    nobody = singer.record("identifies", traits={"plan": SECRET})
    boolean = singer.record("identifies", userId=True)
    return new_terminal().run(
        singer.schema("identifies"),
        singer.schema("tracks"),
        singer.record("identifies", userId="ada"),
        *[nobody] * 25,
        *[boolean] * 10,
        *[singer.record("tracks", event=SECRET)] * 11,
        singer.record("tracks", userId="ada", event="Cheered"),
    )


def rejections(outcome: Outcome) -> list[str]:
    return [line for line in outcome.lines("WARNING") if "rejected" in line]


def test_the_first_ten_rejections_per_stream_and_reason_are_logged(
    many: Outcome,
) -> None:
    logged = [
        (line.split("'")[1], line.rpartition("(")[2].split(",")[0])
        for line in rejections(many)
        if "record rejected" in line
    ]
    assert logged == [
        *[("identifies", "no_identifier")] * 10,
        *[("identifies", "invalid_type")] * 10,
        *[("tracks", "no_identifier")] * 10,
    ]
    assert SECRET not in many.stderr


def test_further_rejections_are_announced_once_and_counted(many: Outcome) -> None:
    further = [line for line in rejections(many) if "more than 10" in line]
    assert len(rejections(many)) == 32
    assert [line.split("'")[1] for line in further] == ["identifies", "tracks"]
    assert all("(no_identifier)" in line for line in further)
    assert all("rejected.singer.jsonl" in line for line in further)
    assert many.table["identifies"]["reasons"] == {
        "invalid_type": 10,
        "no_identifier": 25,
    }
    assert many.table["tracks"]["reasons"] == {"no_identifier": 11}
    assert len(many.rejected) == 46
    assert "46 records" in many.rejection_error


def test_rejections_by_customerio_are_counted_after_the_first_ten(
    terminal: Terminal, singer: Singer, stand_in: Any
) -> None:
    errors = [
        {"batch_index": n, "reason": "invalid", "field": "id", "message": SECRET}
        for n in range(30)
    ]
    errors[7]["reason"] = f"{SECRET}!"
    server = stand_in(200, {"region": "us", "errors": errors})
    outcome = terminal.run(
        singer.schema("identifies"),
        *(singer.record("identifies", userId=f"p-{n}") for n in range(30)),
        sandbox=None,
        api_url=server.url,
        site_id="site",
        api_key="key",
        max_concurrent_requests=1,
    )
    assert len(rejections(outcome)) == 10 + 1 + 1
    assert outcome.table["identifies"]["reasons"] == {"invalid": 29, "refused": 1}
    assert SECRET not in outcome.stderr


EXPRESSIONS = {
    "half": ("int(amount) / 2", "half", "ValueError"),
    "a sum": ("amount + 1", "sum", "TypeError: can only concatenate str"),
    "a function": ("twice(amount)", "n", "Function 'twice' not defined"),
    "a key": ("record['nothing']", "n", "missing key 'nothing'"),
    "a key that is a value": ("record[amount]", "n", "KeyError"),
    "an attribute": ("amount.unit", "n", "Attribute 'unit' does not exist"),
    "JSON": ("json.loads(amount)", "n", "JSONDecodeError"),
    "a power": ("int(amount[-4:]) ** 9999999999", "n", "NumberTooHigh"),
    "a filter": ("int(amount) > 2", "__filter__", "ValueError"),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_failing_expression_is_reported_without_a_value(
    name: str, terminal: Terminal, singer: Singer
) -> None:
    expression, key, why = EXPRESSIONS[name]
    outcome = terminal.run(
        singer.schema("identifies", ["userId", "amount"]),
        singer.record("identifies", userId="ada", amount=SECRET),
        stream_maps={"identifies": {key: expression}},
    )
    assert outcome.reasons == [("stream_map", key)]
    (warning,) = rejections(outcome)
    assert repr(expression) in warning
    assert repr(key) in warning
    assert f": {why}" in warning
    (rejected,) = outcome.rejected
    logged = outcome.stderr + json.dumps(rejected["rejection"])
    assert SECRET not in logged
    assert "4711" not in logged


@pytest.mark.parametrize(
    "expression",
    [
        "plan.lower()",
        "record['plan'].strip().lower()",
        "more.plan.name",
        "more['plan']['name']",
        "plan + 'x'",
        "int(plan)",
        "md5(plan)",
        "datetime.datetime.strptime(plan, '%m/%d/%Y').isoformat()",
    ],
)
def test_an_expression_that_fails_for_null_says_so_and_is_quoted_once(
    expression: str, terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies", ["userId", "plan", "more"]),
        singer.record("identifies", userId="ada", plan=None, more={"plan": None}),
        stream_maps={"identifies": {"plan": expression}},
    )
    assert outcome.reasons == [("stream_map", "plan")]
    (warning,) = rejections(outcome)
    assert 'a value in it is null: append "if COLUMN is not None else None"' in warning
    assert warning.count(expression) == 1


@pytest.mark.parametrize("expression", ["plan.nothing", "twice(plan)", "plan + 1"])
def test_an_expression_that_fails_for_a_value_is_not_said_to_be_null(
    expression: str, terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies", ["userId", "plan"]),
        singer.record("identifies", userId="ada", plan="None"),
        stream_maps={"identifies": {"plan": expression}},
    )
    (warning,) = rejections(outcome)
    assert "is null" not in warning
    assert warning.count(expression) == 1


def test_a_name_not_found_by_a_stream_map_is_reported(
    terminal: Terminal, singer: Singer
) -> None:
    outcome = terminal.run(
        singer.schema("identifies", ["id"]),
        singer.record("identifies", id="ada"),
        stream_maps={"identifies": {"userId": "idd"}},
    )
    assert outcome.reasons == [("stream_map", "idd")]
    assert "a name that the record does not have" in outcome.stderr
