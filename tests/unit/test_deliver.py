"""The public function: rows are delivered as the command delivers records."""

from __future__ import annotations

import json
import logging
import math
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from support.customerio import Reply, always
from support.workspace import contents_of

from target_customerio import DeliverySummary, deliver
from target_customerio.errors import (
    CredentialsError,
    DeliveryError,
    InputError,
    MissingKeyPropertyError,
    RecordsRejectedError,
    RejectedFileError,
    SettingsError,
    SnapshotError,
    UnmappedStreamError,
)
from target_customerio.plan import OperationPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.command import Terminal
    from support.customerio import Customerio
    from support.singer import Singer

    StandIn = Callable[..., Customerio]

MOMENT = datetime(2023, 3, 21, 14, 9, 57, 123_456, tzinfo=timezone.utc)
SECONDS = 1_679_407_797


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    return {
        "sandbox": str(tmp_path / "rows.db"),
        "rejected_records_path": str(tmp_path / "rows.jsonl"),
    }


@pytest.fixture
def to(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return what makes the configuration for a server."""

    def config(server: Customerio, **more: Any) -> dict[str, Any]:
        return {
            "site_id": "made-up",
            "api_key": "made-up",
            "api_url": server.url,
            "rejected_records_path": str(tmp_path / "rows.jsonl"),
            **more,
        }

    return config


def workspace(config: dict[str, Any]) -> dict[str, Any]:
    return contents_of(Path(config["sandbox"]))


STREAMS: dict[str, tuple[list[str], list[dict[str, Any]]]] = {
    "identify": (
        ["user_id"],
        [
            {"user_id": 5, "email": "ann@example.com", "plan": None},
            {"user_id": "7", "balance": 19.9, "since": MOMENT.isoformat()},
            {"user_id": " ", "plan": "free"},
        ],
    ),
    "track": (
        ["order_no", "line"],
        [
            {"order_no": 1, "line": 1, "user_id": "5", "event": "Ordered"},
            {"order_no": 1, "line": 2, "user_id": "5", "event": "Ordered", "n": 10**20},
            {"order_no": 2, "line": 1, "user_id": None, "event": "Ordered"},
            {"messageId": "m-1", "userId": "5", "event": "Signed Up", "properties": {}},
        ],
    ),
    "page": (["id"], [{"id": 1, "user_id": "5", "name": "Home"}]),
    "screen": (["id"], [{"id": 1, "user_id": "5", "name": "Home"}]),
    "group": (["group_id"], [{"group_id": "g", "user_id": "5", "name": "Acme"}]),
    "alias": ([], [{"user_id": "5", "previous_id": "7"}]),
    "segment": (["user_id"], [{"segment_id": 3, "user_id": "5", "action": "add"}]),
}


def by_command(
    terminal: Terminal,
    singer: Singer,
    call: str,
    keys: list[str],
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    """Deliver the same rows from Singer messages; return the workspace."""
    outcome = terminal.run(
        {"type": "SCHEMA", "stream": "db-rows", "schema": {}, "key_properties": keys},
        *(singer.record("db-rows", **row) for row in rows),
        stream_calls={"db-rows": call},
        on_rejected="continue",
    )
    assert outcome.code == 0, outcome.stderr
    return outcome.workspace


@pytest.mark.parametrize("call", STREAMS)
def test_rows_give_what_the_command_gives_event_ids_included(
    terminal: Terminal, singer: Singer, config: dict[str, Any], call: str
) -> None:
    keys, rows = STREAMS[call]
    deliver(
        iter(rows),
        call=call,
        config={**config, "on_rejected": "continue"},
        stream="db-rows",
        key_properties=keys,
    )
    assert workspace(config) == by_command(terminal, singer, call, keys, rows)


KEYS: list[tuple[Any, str]] = [
    (1, "1"),
    ("1", '"1"'),
    (10**30, "1" + "0" * 30),
    (Decimal("1.50"), "1.50"),
    (Decimal("1E+3"), "1E+3"),
    (0.1, "0.1"),
    (-0.0, "-0.0"),
    (1e22, "1e22"),
    ("\u00e9", '"\\u00e9"'),
    ("", '""'),
    (True, "true"),
    ({"a": [1]}, '{"a": [1]}'),
    (UUID(int=7), f'"{UUID(int=7)}"'),
    (date(2024, 2, 29), '"2024-02-29"'),
    (MOMENT, '"2023-03-21T14:09:57.123456+00:00"'),
]


def test_an_event_has_the_id_that_the_command_gives_it_whatever_its_key(
    config: dict[str, Any], terminal: Terminal, singer: Singer
) -> None:
    deliver(
        ({"key": key, "user_id": "5", "event": "Ordered"} for key, _ in KEYS),
        call="track",
        config=config,
        stream="db-rows",
        key_properties=["key"],
    )
    outcome = terminal.run(
        singer.schema("db-rows", keys=["key"]),
        *(
            '{"type": "RECORD", "stream": "db-rows", "record": {"key": '
            f'{text}, "user_id": "5", "event": "Ordered"}}}}'
            for _, text in KEYS
        ),
        stream_calls={"db-rows": "track"},
    )
    ids = [each["id"] for each in workspace(config)["events"]]
    assert len(set(ids)) == len(KEYS)
    assert ids == [each["id"] for each in outcome.workspace["events"]]


def test_events_of_a_call_that_is_tried_again_are_not_doubled(
    config: dict[str, Any],
) -> None:
    keys, rows = STREAMS["track"]
    arguments: dict[str, Any] = {
        "call": "track",
        "config": {**config, "on_rejected": "continue"},
        "stream": "db-rows",
        "key_properties": keys,
    }
    first = deliver(rows, **arguments)
    before = workspace(config)
    second = deliver(rows, **arguments)
    assert workspace(config) == before
    assert first.delivered == {"person event": 2}
    assert (second.read, second.delivered) == (first.read, {})
    assert second.skipped == {"repeated event": 2}
    assert second.rejected == first.rejected


def test_the_summary_counts_each_row_once(config: dict[str, Any]) -> None:
    rows: list[dict[str, Any]] = [
        {"user_id": "1"},
        {"user_id": "2"},
        {"anonymous_id": "a"},
        {"user_id": " "},
    ]
    summary = deliver(
        rows,
        call="identify",
        config={**config, "on_rejected": "continue"},
        stream="people",
    )
    assert summary.read == 4
    assert summary.delivered == {"person identify": 2}
    assert sum(summary.skipped.values()) == 1
    assert summary.rejected == {"blank": 1}
    assert summary.requests >= 2
    assert summary.bytes_sent > 0
    assert pickle.loads(pickle.dumps(summary)) == summary
    with pytest.raises(FrozenInstanceError):
        summary.read = 5  # type: ignore[misc] # the case


def test_recent_events_are_counted(config: dict[str, Any]) -> None:
    now = datetime.now(timezone.utc)
    rows = [
        {"id": number, "user_id": "1", "event": "Ordered", "timestamp": at}
        for number, at in enumerate([now, now - timedelta(days=4)])
    ]
    summary = deliver(
        rows, call="track", config=config, stream="o", key_properties=["id"]
    )
    assert summary.recent_events == 1


def test_no_rows_are_no_error(config: dict[str, Any]) -> None:
    assert deliver([], call="identify", config=config, stream="people").read == 0


def test_times_of_python_become_unix_seconds_at_any_precision(
    config: dict[str, Any],
) -> None:
    deliver(
        [
            {"user_id": "1", "at": None, "note": "2024-01-01"},
            {"user_id": "2", "at": MOMENT, "on": date(1970, 1, 2), "x": {"at": MOMENT}},
            {"user_id": "3", "at": "soon", "on": None},
        ],
        call="identify",
        config=config,
        stream="people",
    )
    people = workspace(config)["people"]
    assert people["id:1"]["attributes"] == {"note": "2024-01-01"}
    assert people["id:2"]["attributes"] == {
        "at": SECONDS,
        "on": 86_400,
        "x": {"at": SECONDS},
    }
    assert people["id:3"]["attributes"] == {"at": "soon"}


def test_a_schema_validates_the_rows(config: dict[str, Any]) -> None:
    summary = deliver(
        [{"user_id": "1", "n": 1}, {"user_id": "2", "n": "x"}],
        call="identify",
        config={**config, "on_rejected": "continue"},
        stream="people",
        schema={"properties": {"user_id": {}, "n": {"type": "integer"}}},
    )
    assert summary.rejected == {"schema": 1}
    assert list(workspace(config)["people"]) == ["id:1"]


@pytest.mark.parametrize("number", [math.nan, math.inf, Decimal("NaN")])
def test_a_number_that_is_not_finite_rejects_its_row(
    config: dict[str, Any], number: Any
) -> None:
    summary = deliver(
        [{"user_id": "1", "n": number}, {"user_id": "2", "n": 1}],
        call="identify",
        config={**config, "on_rejected": "continue"},
        stream="people",
    )
    assert summary.rejected == {"not_finite": 1}
    assert list(workspace(config)["people"]) == ["id:2"]


def test_what_is_nested_too_deeply_rejects_its_row(config: dict[str, Any]) -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    rows: list[dict[str, Any]] = [{"user_id": "1", "deep": deep}, {"user_id": "2"}]
    summary = deliver(
        rows,
        call="identify",
        config={**config, "on_rejected": "continue"},
        stream="people",
    )
    assert summary.rejected == {"too_deep": 1}


def test_rejected_rows_fail_the_call_and_can_be_loaded_by_the_command(
    config: dict[str, Any], terminal: Terminal, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "user_id": " ", "n": Decimal("1.50"), "at": MOMENT},
        {"id": 2},
    ]
    arguments: dict[str, Any] = {
        "call": "identify",
        "config": config,
        "stream": "people",
        "key_properties": ["id"],
    }
    with pytest.raises(RecordsRejectedError, match="2 records were rejected") as caught:
        deliver([*rows, {"id": 3, "user_id": "3"}], **arguments)
    assert caught.value.exit_code == 3
    assert list(workspace(config)["people"]) == ["id:3"]
    rejected = tmp_path / "rows.jsonl"
    schema, first, *_ = rejected.read_text().splitlines()
    assert json.loads(schema)["key_properties"] == ["id"]
    assert '"n":1.50,"at":"2023-03-21T14:09:57.123456+00:00"' in first
    corrected = rejected.read_text().replace('"user_id":" "', '"user_id":"1"')
    outcome = terminal.run(feed=corrected.encode(), stream_calls={"people": "identify"})
    assert outcome.workspace["people"]["id:1"]["attributes"] == {
        "n": 1.5,
        "at": SECONDS,
    }


def test_abort_stops_at_the_first_rejected_row(config: dict[str, Any]) -> None:
    taken: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(1000):
            taken.append(number)
            yield {"id": number, "user_id": str(number)} if number != 2 else {}

    with pytest.raises(MissingKeyPropertyError):
        deliver(
            rows(),
            call="identify",
            config={**config, "on_rejected": "abort"},
            stream="people",
            key_properties=["id"],
        )
    assert taken == [0, 1, 2]
    assert list(workspace(config)["people"]) == ["id:0", "id:1"]


def test_an_error_of_the_rows_comes_after_what_precedes_them(
    config: dict[str, Any],
) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield {"user_id": "1"}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        deliver(rows(), call="identify", config=config, stream="people")
    assert list(workspace(config)["people"]) == ["id:1"]


def test_an_unsupported_value_ends_the_call_after_what_precedes_it(
    config: dict[str, Any],
) -> None:
    with pytest.raises(InputError, match="Row 2: tags: values of type set"):
        deliver(
            [{"user_id": "1"}, {"user_id": "2", "tags": {"a"}}],
            call="identify",
            config=config,
            stream="people",
        )
    assert list(workspace(config)["people"]) == ["id:1"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"call": "nothing"}, SettingsError, "^call: expected one of identify, track"),
        ({"call": None}, SettingsError, "^call: expected one of identify, track"),
        ({"call": []}, SettingsError, "^call: expected one of identify, track"),
        ({"call": {}}, SettingsError, "^call: expected an object with call"),
        (
            {"call": {"update_only": True}},
            SettingsError,
            "^call: expected an object with call",
        ),
        (
            {"call": {"call": "nothing"}},
            SettingsError,
            "^call.call: expected one of identify, track",
        ),
        (
            {"call": {"call": {"call": "identify"}}},
            SettingsError,
            "^call.call: expected one of identify, track",
        ),
        (
            {"call": {"call": "identify", "update_only": "yes"}},
            SettingsError,
            "^call.update_only: expected true or false",
        ),
        (
            {"call": MappingProxyType({"call": "identify", "updated": True})},
            SettingsError,
            "^call: unknown entry; expected only call, update_only",
        ),
        (
            {"call": {"call": "track", "remove_missing": True}},
            SettingsError,
            "^call.remove_missing: a track stream has nothing that can be removed",
        ),
        (
            {"config": {"stream_calls": {"others": "nothing"}}},
            SettingsError,
            "stream_calls.others: expected one of identify, track",
        ),
        ({"config": {}}, SettingsError, "site_id: missing"),
        ({"config": {"stream_calls": "x"}}, SettingsError, "stream_calls: expected"),
        ({"config": {"sandbx": "x"}}, SettingsError, "did you mean 'sandbox'"),
        ({"key_properties": "id"}, InputError, "key_properties: expected a list"),
        ({"key_properties": [1]}, InputError, "key_properties: expected a list"),
        ({"schema": {"properties": ["a"]}}, InputError, "schema: expected an object"),
        ({"schema": {"properties": {"a": object()}}}, InputError, "schema: expected"),
        ({"stream": "two\nlines"}, InputError, "stream: expected printable text"),
        ({"stream": 5}, InputError, "stream: expected printable text"),
    ],
)
def test_invalid_arguments_are_named(
    config: dict[str, Any],
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    given = {"call": "identify", "config": config, "stream": "people", **arguments}
    with pytest.raises(error, match=message):
        deliver([], **given)


def test_a_call_may_have_settings_and_the_configuration_stays_as_it_is(
    config: dict[str, Any],
) -> None:
    config |= {"stream_calls": {"people": "track", "others": "page"}}
    before = json.dumps(config)
    deliver(
        [{"user_id": "1"}],
        call={"call": "identify", "update_only": True},
        config=config,
        stream="people",
    )
    assert workspace(config)["people"] == {}
    assert json.dumps(config) == before


def test_names_of_other_streams_in_the_settings_are_no_mistake(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config["stream_calls"] = {"peoples": "identify"}
    deliver([{"user_id": "1"}], call="identify", config=config, stream="people")
    assert "peoples" not in caplog.text


def test_a_stream_that_stream_maps_make_needs_its_own_call(
    config: dict[str, Any],
) -> None:
    maps = {"people": {"__alias__": "renamed"}}
    arguments: dict[str, Any] = {"call": "identify", "stream": "people"}
    row = {"user_id": "1"}
    with pytest.raises(UnmappedStreamError, match="'renamed' is not mapped"):
        deliver([row], config={**config, "stream_maps": maps}, **arguments)
    calls = {"renamed": "identify"}
    config = {**config, "stream_maps": maps, "stream_calls": calls}
    assert deliver([row], config=config, **arguments).read == 1
    assert list(workspace(config)["people"]) == ["id:1"]


def test_order_per_person_holds_through_retries(
    stand_in: StandIn, to: Callable[..., dict[str, Any]]
) -> None:
    server = stand_in(greets=True)
    rows = [
        {"id": number, "user_id": str(number % 7), "event": f"e{number}"}
        for number in range(200)
    ]
    failed: list[int] = []

    def sometimes_fail(request: Any) -> Reply:
        if request.method == "POST" and request.number in {2, 3}:
            failed.append(request.number)
            return Reply(503, headers={"Retry-After": "0"})
        return always(Reply(), region=Reply.of({"region": "us"}))(request)

    server.script = sometimes_fail
    summary = deliver(
        rows,
        call="track",
        config=to(server, batch_size_rows=10, requests_per_second=10_000),
        stream="events",
        key_properties=["id"],
    )
    assert failed
    assert summary.retries == len(failed)
    assert summary.delivered == {"person event": 200}
    for person in range(7):
        names = [
            each["name"]
            for each in server.taken
            if each["identifiers"]["id"] == str(person)
        ]
        assert names == [f"e{number}" for number in range(person, 200, 7)]


def test_wrong_credentials_are_the_commands_error(
    stand_in: StandIn, to: Callable[..., dict[str, Any]]
) -> None:
    server = stand_in(401)
    with pytest.raises(CredentialsError) as caught:
        deliver([{"user_id": "1"}], call="identify", config=to(server), stream="people")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)


def test_an_outage_is_told_without_a_word_of_state(
    stand_in: StandIn, to: Callable[..., dict[str, Any]]
) -> None:
    server = stand_in(503, greets=True)
    config = to(server, max_retry_seconds=0.2)
    with pytest.raises(DeliveryError) as caught:
        deliver([{"user_id": "1"}], call="identify", config=config, stream="people")
    assert re.fullmatch(
        r"1 operation could not be delivered after \d+ attempts in \d s \(the last "
        r"request failed with HTTP 503\)",
        str(caught.value),
    )


def test_errors_can_be_pickled() -> None:
    for error in (SettingsError("a", "b"), RejectedFileError("x"), InputError("y")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))


def test_nothing_of_the_process_is_changed(
    config: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    def state() -> list[Any]:
        root = logging.getLogger()
        ours = logging.getLogger("target-customerio")
        return [
            signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM),
            [*root.handlers],
            root.level,
            [*ours.handlers],
            [*ours.filters],
            ours.level,
            sys.excepthook,
            sys.getswitchinterval(),
            dict(os.environ),
        ]

    before = state()
    deliver([{"user_id": "1"}], call="identify", config=config, stream="people")
    assert state() == before
    assert capfd.readouterr().out == ""


def test_calls_in_threads_do_not_know_of_each_other(
    config: dict[str, Any], tmp_path: Path
) -> None:
    ready = threading.Barrier(4)

    def load(number: int) -> DeliverySummary:
        own = {**config, "sandbox": str(tmp_path / f"{number}.db")}
        ready.wait(60)
        return deliver(
            ({"user_id": f"{number}-{row}"} for row in range(10 * number + 1)),
            call="identify",
            config=own,
            stream="people",
        )

    with ThreadPoolExecutor(4) as pool:
        summaries = list(pool.map(load, range(4)))
    assert [each.read for each in summaries] == [1, 11, 21, 31]
    for number in range(4):
        people = contents_of(tmp_path / f"{number}.db")["people"]
        assert len(people) == 10 * number + 1


def test_importing_the_package_is_cheap() -> None:
    program = (
        "import sys, target_customerio\n"
        "assert not {'singer_sdk', 'msgspec', 'requests'} & sys.modules.keys()\n"
        "assert 'deliver' in dir(target_customerio)\n"
        "from target_customerio import DeliverySummary, deliver\n"
        "assert callable(deliver)\n"
        "try:\n    target_customerio.other\n"
        "except AttributeError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "has no attribute 'other'" in done.stdout, done.stderr


# Only changes, and plans


def test_rows_are_compared_with_a_snapshot(
    config: dict[str, Any], tmp_path: Path
) -> None:
    config["snapshot"] = str(tmp_path / "snapshot.db")
    rows: list[dict[str, Any]] = [{"user_id": n, "plan": "free"} for n in range(3)]
    deliver(rows, call="identify", config=config, stream="users")
    rows[1]["plan"] = "plus"
    summary = deliver(rows, call="identify", config=config, stream="users")
    assert summary.delivered == {"person identify": 1}
    assert summary.skipped == {"unchanged": 2}


def test_a_plan_is_returned_and_nothing_is_delivered(
    config: dict[str, Any], tmp_path: Path
) -> None:
    config["snapshot"] = str(tmp_path / "snapshot.db")
    rows: list[dict[str, Any]] = [{"user_id": n, "plan": "free"} for n in range(3)]
    deliver(rows, call="identify", config=config, stream="users")
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    rows[1]["plan"] = "plus"
    rows += [{"user_id": 8}, {"plan": "nobody's"}]

    summary = deliver(
        rows, call="identify", config={**config, "plan": True}, stream="users"
    )

    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before
    plan = summary.plan
    assert plan is not None
    (stream,) = plan.streams
    assert stream.operations == (
        OperationPlan("person identify", 1, 1, 2, attributes={"plan": 1}),
    )
    assert summary == DeliverySummary(
        read=5,
        skipped={"unchanged": 2},
        rejected={"no_identifier": 1},
        seconds=summary.seconds,
        plan=plan,
    )


def test_a_second_call_cannot_use_the_snapshot_meanwhile(
    config: dict[str, Any], tmp_path: Path
) -> None:
    config["snapshot"] = str(tmp_path / "snapshot.db")

    def rows() -> Iterator[dict[str, Any]]:
        yield {"user_id": 1}
        with pytest.raises(SnapshotError, match="is in use by another run"):
            deliver([], call="identify", config=config, stream="others")

    deliver(rows(), call="identify", config=config, stream="users")
