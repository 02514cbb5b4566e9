"""Archives of calls and tables of rows, through the command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ANN = {"userId": "u1", "context": {"ip": "203.0.113.9"}}


@pytest.fixture(scope="module")
def archive(new_terminal: Callable[[], Any], singer: Any) -> Any:
    """Run an archive of calls of every kind, some of them not for Customer.io."""
    terminal = new_terminal()
    calls: list[dict[str, Any]] = [
        {"type": "identify", "traits": {"plan": "pro"}},
        {"type": "track", "event": "Signed Up", "properties": {"plan": "pro"}},
        {"type": "page", "context": {"page": {"url": "https://example.com/"}}},
        {"type": "SCREEN", "name": "Start"},
        {"type": "group", "groupId": "acme", "traits": []},
        {"type": "alias", "previousId": "u0"},
        {"type": "identify", "integrations": {"All": False}},
        {"type": "track", "integrations": '{"Customer.io": false}'},
        {"integrations": {"customerio": False}, "seats": "does not fit"},
        {"type": "track", "event": "Bought", "context": "web"},
        {"type": "track", "event": "Bought", "context": ["web"]},
        {"type": "delete"},
        {},
    ]
    return terminal.run(
        singer.schema("archive", {"seats": {"type": "integer"}}),
        *(singer.record("archive", **{**ANN, **call}) for call in calls),
        stream_calls={"archive": "by_type"},
        on_rejected="continue",
    )


def test_every_record_becomes_what_its_type_says(archive: Any) -> None:
    assert archive.table["archive"]["delivered"] == {
        "person identify": 1,
        "person event": 3,
        "person page": 1,
        "person screen": 1,
        "object identify": 1,
        "person merge": 1,
    }


def test_records_not_meant_for_customer_io_are_skipped_and_counted(
    archive: Any,
) -> None:
    assert archive.table["archive"]["skipped"] == {"integrations": 3}


def test_records_that_name_no_call_are_rejected(archive: Any) -> None:
    assert archive.reasons == [("wrong_call", "type"), ("required", "type")]


def test_a_context_that_is_no_object_is_warned_of_once(archive: Any) -> None:
    (warning,) = [line for line in archive.lines("WARNING") if "context" in line]
    assert "'archive'" in warning
    assert "web" not in warning


def test_a_call_in_the_stream_of_another_is_rejected(
    terminal: Any, singer: Any
) -> None:
    outcome = terminal.run(
        singer.schema("identifies"),
        singer.record("identifies", **ANN, type="track", event="Bought", properties={}),
        singer.record("identifies", **ANN, type="identify", request_ip="203.0.113.9"),
        on_rejected="continue",
    )
    assert outcome.reasons == [("wrong_call", "type")]
    assert outcome.table["identifies"]["delivered"] == {"person identify": 1}
    people = outcome.workspace["people"]
    assert "request_ip" not in str(people)


def test_the_call_of_an_unmapped_stream_may_be_by_type(
    terminal: Any, singer: Any
) -> None:
    assert "by_type" in terminal.run(singer.schema("archive")).error
