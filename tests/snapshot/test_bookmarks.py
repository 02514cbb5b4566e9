"""Which streams are full tables, by the bookmarks that taps write."""

from __future__ import annotations

from typing import Any

import pytest

from target_customerio.snapshot.bookmarks import Bookmarks

STREAM = "public-users"


def is_full(*states: Any, streams: tuple[str, ...] = (STREAM, "orders")) -> bool:
    bookmarks = Bookmarks()
    for each in states:
        bookmarks.add(each)
    return bookmarks.is_full_table(STREAM, streams)


def with_bookmark(bookmark: Any, name: str = STREAM) -> dict[str, Any]:
    return {"bookmarks": {name: bookmark, "orders": {"replication_key_value": 1}}}


@pytest.mark.parametrize(
    "bookmark",
    [
        pytest.param({}, id="SDK"),
        pytest.param({"starting_replication_value": None}, id="SDK, started"),
        pytest.param({"partitions": []}, id="SDK, no partitions"),
        pytest.param(
            {"partitions": [{"context": {"team": 1}}, {"context": {"team": 2}}]},
            id="SDK, partitions",
        ),
        pytest.param({"version": 1700000000000}, id="singer-python"),
        pytest.param(
            {"last_replication_method": "FULL_TABLE", "version": 1, "xmin": None},
            id="pipelinewise-tap-postgres",
        ),
        pytest.param({"initial_full_table_complete": True, "version": 1}, id="mysql"),
        pytest.param(None, id="null"),
    ],
)
def test_bookmarks_of_full_tables(bookmark: Any) -> None:
    assert is_full(with_bookmark(bookmark))


@pytest.mark.parametrize(
    "bookmark",
    [
        pytest.param(
            {"replication_key": "at", "replication_key_value": "2026"}, id="SDK"
        ),
        pytest.param({"replication_key": "at"}, id="SDK, no rows"),
        pytest.param({"starting_replication_value": "2026"}, id="SDK, started"),
        pytest.param({"progress_markers": {"Note": "x"}}, id="SDK, unsorted"),
        pytest.param(
            {"partitions": [{"context": {"team": 1}, "replication_key_value": 1}]},
            id="SDK, partitions",
        ),
        pytest.param({"partitions": {"team": 1}}, id="other partitions"),
        pytest.param({"partitions": [1]}, id="no partitions"),
        pytest.param(
            {
                "last_replication_method": "LOG_BASED",
                "lsn": 108197216,
                "version": 1,
                "xmin": None,
            },
            id="log based",
        ),
        pytest.param({"last_replication_method": "LOG_BASED"}, id="log based, new"),
        pytest.param({"log_file": "mysql-bin.1", "log_pos": 4}, id="binary log"),
        pytest.param({"xmin": "1234", "version": 1}, id="half a table"),
        pytest.param({"last_pk_fetched": {"id": 5}}, id="half a table, mysql"),
        pytest.param({"offset": 0}, id="zero"),
        pytest.param({"done": False}, id="false"),
        pytest.param("2026-01-01", id="text"),
        pytest.param([1], id="a list"),
    ],
)
def test_bookmarks_of_others(bookmark: Any) -> None:
    assert not is_full(with_bookmark(bookmark))


def of_pipelinewise(xmin: int | None) -> dict[str, Any]:
    method = {"last_replication_method": "FULL_TABLE", "version": 1}
    return with_bookmark({**method, "xmin": xmin})


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        pytest.param([None, None], True, id="small"),
        pytest.param([None, 12, 17, None], True, id="large"),
        pytest.param([12, 17, None], False, id="goes on"),
        pytest.param([12, None, 17, None], False, id="goes on with an older one"),
        pytest.param([None, 12], False, id="is cut"),
        pytest.param([12], False, id="only the middle"),
    ],
)
def test_a_full_table_is_read_from_its_start_to_its_end(
    places: list[int | None], *, expected: bool
) -> None:
    assert is_full(*map(of_pipelinewise, places)) is expected


def test_a_log_is_never_a_full_table() -> None:
    states = [
        with_bookmark({"last_replication_method": "LOG_BASED", "xmin": each})
        for each in (None, 5, None)
    ]
    assert not is_full(*states)
    assert not is_full(with_bookmark({}), with_bookmark({"xmin": 5}), with_bookmark({}))


def test_every_state_counts() -> None:
    assert not is_full(with_bookmark({"xmin": "12"}), with_bookmark({"xmin": None}))


@pytest.mark.parametrize(
    "value",
    [
        {STREAM: "2026-01-01"},
        {"bookmarks": {}, "offset": 7},
        {"bookmarks": ["users"]},
        {"start_date": "2026-01-01"},
        [1],
        "2026",
        0,
    ],
)
def test_a_state_of_another_shape_makes_no_stream_a_full_table(value: Any) -> None:
    assert not is_full(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"bookmarks": {}},
        {"bookmarks": None},
        {"bookmarks": {}, "currently_syncing": STREAM},
        {"bookmarks": {}, "currently_syncing": None, "offset": None},
    ],
)
def test_a_state_that_says_nothing(value: Any) -> None:
    assert is_full(value)


def test_no_state_at_all() -> None:
    assert is_full()


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("shop-public-users", False),
        ("shop.PUBLIC-USERS", False),
        ("Public-Users", False),
        ("other", True),
        ("republic-users", True),
        ("orders", True),
        ("shop-orders-public-users", True),
    ],
)
def test_a_bookmark_may_have_a_longer_name_than_its_stream(
    name: str, *, full: bool
) -> None:
    streams = (STREAM, "orders", "shop-orders-public-users")
    assert is_full({"bookmarks": {name: {"lsn": 1}}}, streams=streams) is full
