"""The figures of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.snapshot.plan import Figures, Tally
from target_customerio.snapshot.snapshot import Snapshot
from target_customerio.track_api.operations import PersonIdentify

if TYPE_CHECKING:
    from pathlib import Path


def person(id_: str, **attributes: object) -> PersonIdentify:
    return PersonIdentify(identifiers={"id": id_}, attributes=attributes)


def figures(path: Path, *rows: PersonIdentify, at_once: int) -> dict[str, Figures]:
    """Load rows; answers come after so many of them."""
    snapshot, tally = Snapshot(path), Tally()
    stream = snapshot.begin("users", "users")
    for start in range(0, len(rows), at_once):
        decisions = snapshot.decide(
            [(row, stream) for row in rows[start : start + at_once]]
        )
        tally.add(stream, decisions)
        tickets = [each.ticket for each in decisions if each.ticket is not None]
        snapshot.answer(snapshot.intend(tickets), tickets)
    found = tally.figures(stream)
    snapshot.end(stream, well=True, full_table=True)
    snapshot.close()
    return found


def test_people_count_once_however_fast_answers_come(tmp_path: Path) -> None:
    before = [person(each, plan="free", seats=1) for each in "1234"]
    after = [
        person("1", plan="plus", seats=1),
        person("1", plan="plus", seats=2),
        person("2", plan="free", seats=1),
        person("3", plan="plus"),
        person("5", plan="free"),
        person("5", plan="free"),
    ]
    expected = Figures(1, 2, 1, {"plan": 3, "seats": 1})
    for at_once in (1, 6):
        path = tmp_path / f"{at_once}.db"
        figures(path, *before, at_once=1)
        assert figures(path, *after, at_once=at_once) == {"person identify": expected}
