"""The comparison with a plain load can fail: each of these mistakes makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.snapshot.entries import Entries
from target_customerio.snapshot.journal import Intent, Journal
from target_customerio.track_api.operations import PersonIdentify

from .world import Loader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AFTER_INTENT, AFTER_REQUEST = 1, 2


def plan(value: str) -> PersonIdentify:
    return PersonIdentify(identifiers={"id": "1"}, attributes={"plan": value})


def killed_before_the_request(loader: Loader) -> None:
    loader.run([plan("free")])
    assert not loader.run([plan("plus")], kill_after=AFTER_INTENT)
    loader.run([plan("plus")])


def killed_before_the_answer(loader: Loader) -> None:
    loader.run([plan("free")])
    assert not loader.run([plan("plus")], kill_after=AFTER_REQUEST)
    loader.run([plan("free")])


def refused_while_another_waits(loader: Loader) -> None:
    loader.run([plan("free")])
    loader.run([plan("plus"), plan("plus")], window=2, refused=frozenset({0}))


def write_the_hash_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def intend(journal: Any, tickets: Any, _next: int) -> Intent:
        journal.answer(Intent(0, len(tickets)), tickets, ())
        for ticket in tickets:
            for effect in ticket.effects:
                effect.is_new = False  # written by now
        return Intent(0, len(tickets))

    monkeypatch.setattr(Journal, "intend", intend)


def forget_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Journal, "intend", lambda _journal, tickets, _next: Intent(0, len(tickets))
    )


def trust_what_is_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Entries.take

    def trusting(entries: Any, effect: Any) -> None:
        take(entries, effect)
        effect.entry.pending = {}
        effect.apply(effect.entry, delivered=True)

    monkeypatch.setattr(Entries, "take", trusting)


SCENARIOS = {
    killed_before_the_request: write_the_hash_before_the_answer,
    killed_before_the_answer: forget_the_mark,
    refused_while_another_waits: trust_what_is_queued,
}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
def test_a_right_snapshot_makes_no_difference(
    scenario: Callable[[Loader], None], tmp_path: Path
) -> None:
    loader = Loader(tmp_path / "snapshot.db")
    scenario(loader)
    loader.check()


@pytest.mark.parametrize(
    ("scenario", "sabotage"), SCENARIOS.items(), ids=lambda each: each.__name__
)
def test_a_wrong_one_does(
    scenario: Callable[[Loader], None],
    sabotage: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    sabotage(monkeypatch)
    loader = Loader(tmp_path / "snapshot.db")
    scenario(loader)
    with pytest.raises(AssertionError):
        loader.check()
