"""The snapshot in a run: what is written when, around requests and STATE."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.changes import Changes, RememberingSender
from target_customerio.delivery import RequestStatistics
from target_customerio.delivery.sender import Result
from target_customerio.errors import RejectedRecord, SnapshotError
from target_customerio.records import SourceStream
from target_customerio.settings.stream_calls import StreamCalls
from target_customerio.track_api.operations import PersonEvent, PersonIdentify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from target_customerio.delivery import QueuedOperation

USERS = SourceStream("users", b"{}", "users")
CRM = SourceStream("crm", b"{}", "crm")
RULES = StreamCalls({"users": "identify", "crm": "identify"})


class Answers:
    """A sender with one answer for each operation."""

    statistics = RequestStatistics()

    def __init__(self, path: Path, reason: str | None = None) -> None:
        self.path = path
        self.reason = reason
        self.intents: list[int] = []

    def deliver(self, operations: Sequence[QueuedOperation]) -> Iterator[Result]:
        self.intents.append(rows(self.path, "SELECT count(*) FROM intents")[0][0])
        if self.reason is None:
            yield Result(delivered=operations)
            return
        error = RejectedRecord(self.reason, "", "no")
        yield Result(rejected=[(each, error) for each in operations])

    def stop(self) -> None:
        """Do nothing."""


def rows(path: Path, statement: str) -> list[Any]:
    """Read the file as another process would."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(statement).fetchall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "snapshot.db"


@pytest.fixture
def start(path: Path) -> Iterator[Callable[..., Changes]]:
    """Return what starts a run; the one before ends."""
    started: list[Changes] = []

    def begin() -> Changes:
        for each in started:
            each.close()
        changes = Changes(str(path), refresh=False)
        started.append(changes)
        changes.open()
        changes.bind("1")
        for stream in (USERS, CRM):
            rule = RULES.rule_of(stream.name)
            assert rule is not None
            changes.begin(stream, rule)
        return changes

    yield begin
    for each in started:
        each.close()


def person(**attributes: Any) -> PersonIdentify:
    return PersonIdentify(identifiers={"id": "1"}, attributes=attributes)


def load(
    changes: Changes, sender: Any, *operations: Any, stream: SourceStream = USERS
) -> int:
    """Compare and send operations in one request; return how many were sent."""
    encode = changes.encoder([(each, stream, b"{}") for each in operations])
    queued = [encode(each, stream, b"{}") for each in operations]
    sent = [each for each in queued if each is not None]
    if sent:
        list(RememberingSender(sender, changes).deliver(sent))
    return len(sent)


def test_a_request_is_noted_before_it_is_sent(
    start: Callable[[], Changes], path: Path
) -> None:
    sender = Answers(path)
    changes = start()
    assert load(changes, sender, person(plan="a")) == 1
    assert sender.intents == [1]
    assert rows(path, "SELECT count(*) FROM intents") == [(0,)]
    assert load(changes, sender, person(plan="a")) == 0


def test_requests_with_events_alone_are_not_noted(
    start: Callable[[], Changes], path: Path
) -> None:
    sender = Answers(path)
    event = PersonEvent(identifiers={"id": "1"}, name="Paid", attributes={})
    load(start(), sender, event)
    assert sender.intents == [0]


def test_nothing_is_known_of_what_was_refused(
    start: Callable[[], Changes], path: Path
) -> None:
    load(start(), Answers(path, "too_long"), person(plan="a"))
    assert rows(path, "SELECT count(*) FROM entries") == [(0,)]
    assert rows(path, "SELECT count(*) FROM intents") == [(0,)]
    assert load(start(), Answers(path), person(plan="a")) == 1


def test_what_was_given_up_may_have_been_applied(
    start: Callable[[], Changes], path: Path
) -> None:
    changes = start()
    load(changes, Answers(path), person(plan="a"))
    load(changes, Answers(path, "undeliverable"), person(plan="b"))
    assert load(changes, Answers(path, "undeliverable"), person(plan="a")) == 1
    assert load(start(), Answers(path), person(plan="a")) == 1
    assert load(start(), Answers(path), person(plan="a")) == 0


def test_what_was_given_up_is_known_by_its_identifiers(
    start: Callable[[], Changes], path: Path
) -> None:
    load(start(), Answers(path, "undeliverable"), person(plan="a"))
    start()
    assert rows(path, "SELECT a FROM entries") == [("1",)]


def test_what_cannot_be_encoded_is_answered_at_once(
    start: Callable[[], Changes], path: Path
) -> None:
    changes = start()
    load(changes, Answers(path), person(plan="a"))
    with pytest.raises(RejectedRecord):
        load(changes, Answers(path), person(plan="b" * 40_000))
    assert rows(path, "SELECT count(*) FROM intents") == [(0,)]
    assert load(changes, Answers(path), person(plan="a")) == 1  # unknown, so sent
    assert load(changes, Answers(path), person(plan="a")) == 0


def test_what_streams_hold_is_written_before_state(
    start: Callable[[], Changes], path: Path
) -> None:
    changes = start()
    load(changes, Answers(path), person(plan="a"))
    holds = "SELECT count(*) FROM holds"
    assert rows(path, holds) == [(1,)]
    changes.hold(CRM, person(plan="a"))
    assert rows(path, holds) == [(1,)]
    changes.checkpoint({})
    assert rows(path, holds) == [(2,)]


def test_what_is_not_sent_has_not_changed_the_order(
    start: Callable[[], Changes], path: Path
) -> None:
    changes = start()
    row = {"email": "ann@example.com", "phone": "+1 555 0100"}
    load(changes, Answers(path), person(plan="a", **row))
    operation = person(plan="b", **row)
    queued = changes.encoder([(operation, USERS, b"{}")])(operation, USERS, b"{}")
    assert queued is not None
    assert b"phone" not in queued.body
    assert set(operation.identities()) <= set(queued.identities)
    assert queued.linked == operation.linked_identities()


def test_it_cannot_be_used_before_it_is_open(path: Path) -> None:
    with pytest.raises(SnapshotError):
        Changes(str(path), refresh=False).bind("1")
