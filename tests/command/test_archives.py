"""Archives of calls and tables of rows, through the command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ANN = {"userId": "u1", "context": {"ip": "203.0.113.9"}}


@pytest.fixture(scope="module")
def archive(new_terminal: Callable[[], Any], singer: Any) -> Any:
    """Run an archive of every call, including some not intended for Customer.io."""
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


def test_the_type_of_a_record_decides_its_call(archive: Any) -> None:
    assert archive.table["archive"]["delivered"] == {
        "person identify": 1,
        "person event": 3,
        "person page": 1,
        "person screen": 1,
        "object identify": 1,
        "person merge": 1,
    }


def test_records_not_intended_for_customer_io_are_skipped_and_counted(
    archive: Any,
) -> None:
    assert archive.table["archive"]["skipped"] == {"integrations": 3}


def test_records_without_a_call_are_rejected(archive: Any) -> None:
    assert archive.reasons == [("wrong_call", "type"), ("required", "type")]


def test_an_invalid_context_causes_one_warning(archive: Any) -> None:
    (warning,) = [line for line in archive.lines("WARNING") if "context" in line]
    assert "'archive'" in warning
    assert "web" not in warning


def test_a_call_in_the_stream_of_another_call_is_rejected(
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


def test_an_unmapped_stream_can_be_mapped_by_type(terminal: Any, singer: Any) -> None:
    assert "by_type" in terminal.run(singer.schema("archive")).error
