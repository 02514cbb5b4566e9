"""The people whom a run concerned: before and after it, and what belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.sandbox import sample_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_customerio.sandbox.sample import People, Person

    from .conftest import CustomerIO, Operations


@pytest.fixture
def observe(customerio: CustomerIO) -> Callable[..., People]:
    """Return what observes operations to the end of a run."""

    def observed(*operations: Any) -> People:
        observation = customerio.adapter.observe()
        customerio.accept(*operations)
        customerio.adapter.close()
        assert observation.people is not None
        return observation.people

    return observed


def changes(person: Person) -> dict[str, tuple[str | None, str | None]]:
    return {
        each.name: (each.before, each.after)
        for each in person.attributes
        if each.is_change
    }


def test_a_person_is_seen_before_the_first_and_after_the_last_change(
    customerio: CustomerIO, op: type[Operations], observe: Callable[..., People]
) -> None:
    customerio.accept(op.identify({"plan": "free", "city": "Oslo", "tel": 1}, id="1"))
    people = observe(
        op.identify({"plan": "trial"}, id="1"),
        op.identify({"plan": "pro", "email": "ann@example.com", "tel": None}, id="1"),
    )
    assert people.counts == {"changed": 1}
    (person,) = people.sample
    assert (person.name, person.state) == ("ann@example.com", "changed")
    assert changes(person) == {
        "plan": ("free", "pro"),
        "email": (None, "ann@example.com"),
        "tel": ("1", None),
    }
    same = {each.name: each.after for each in person.attributes if not each.is_change}
    assert same == {"id": "1", "city": "Oslo"}
    assert [each.is_change for each in person.attributes] == [True] * 3 + [False] * 2


def test_people_are_created_changed_unchanged_and_removed(
    customerio: CustomerIO, op: type[Operations], observe: Callable[..., People]
) -> None:
    customerio.accept(
        *(op.identify({"plan": "free"}, id=name) for name in "abcdefg"),
    )
    people = observe(
        op.identify({"plan": "pro"}, id="a"),
        op.identify({"plan": "free"}, id="b"),
        op.person("delete", id="c"),
        op.person("suppress", id="d"),
        op.merge({"id": "e"}, {"id": "f"}),
        op.identify({"plan": "new"}, id="new"),
        op.identify({"plan": "new"}, id="passing"),
        op.person("delete", id="passing"),
        op.event(id="g"),
    )
    assert {each.name: each.state for each in people.sample} == {
        "a": "changed",
        "b": "unchanged",
        "c": "removed",
        "d": "removed",
        "e": "unchanged",
        "f": "removed",
        "new": "created",
        "g": "unchanged",
    }
    assert people.counts == {"changed": 1, "unchanged": 3, "removed": 3, "created": 1}
    removed = next(each for each in people.sample if each.name == "c")
    assert changes(removed) == {"id": ("c", None), "plan": ("free", None)}


def test_people_whom_the_run_does_not_concern_are_left_out(
    customerio: CustomerIO, op: type[Operations], observe: Callable[..., People]
) -> None:
    customerio.accept(op.identify(id="1"), op.event(id="1"))
    assert observe().sample == ()


def test_events_are_latest_first_and_tell_what_came_in_this_run(
    customerio: CustomerIO, op: type[Operations], observe: Callable[..., People]
) -> None:
    customerio.accept(op.event("Early", id="1", also={"timestamp": 1_700_000_000}))
    people = observe(
        op.event("Late", id="1", also={"timestamp": 1_800_000_000}),
        op.event("Between", id="1", also={"attributes": {"total": 1.5}}),
    )
    (person,) = people.sample
    assert [(each.name, each.is_new) for each in person.events] == [
        ("Late", True),
        ("Between", True),
        ("Early", False),
    ]
    assert (person.all_events, person.new_events) == (3, 2)
    assert person.events[1].details == {"total": "1.5"}
    assert isinstance(person.events[1].timestamp, str)  # when it was received


def test_what_belongs_to_a_person_is_new_kept_or_gone(
    customerio: CustomerIO, op: type[Operations], observe: Callable[..., People]
) -> None:
    def related(action: str, name: str) -> dict[str, Any]:
        return {
            "type": "object",
            "action": action,
            "identifiers": {"object_type_id": "1", "object_id": name},
            "cio_relationships": [{"identifiers": {"id": "1"}}],
        }

    customerio.accept(
        {**related("identify", "kept"), "attributes": {"name": "Kept & Co"}},
        related("add_relationships", "gone"),
        related("add_relationships", "back"),
        op.device("kept", id="1"),
        op.device("gone", id="1"),
        op.device("moved", id="1"),
    )
    people = observe(
        related("add_relationships", "new"),
        related("delete_relationships", "gone"),
        related("delete_relationships", "back"),
        related("add_relationships", "back"),
        op.device("new", id="1"),
        op.person("delete_device", id="1", also={"device": {"token": "gone"}}),
        op.device("moved", id="2"),
    )
    person = next(each for each in people.sample if each.name == "1")
    assert {each.name: each.state for each in person.objects} == {
        "Kept & Co": "kept",
        "back": "new",
        "new": "new",
        "1:gone": "gone",
    }
    assert {each.name: each.state for each in person.devices} == {
        "kept": "kept",
        "new": "new",
        "gone": "gone",
        "moved": "gone",
    }


def test_what_is_ignored_is_told_by_reason_and_by_person(
    customerio: CustomerIO, op: type[Operations], observe: Callable[..., People]
) -> None:
    customerio.accept(op.identify({"a": 1}, id="1", also={"timestamp": 2000}))
    customerio.accept(op.identify({"a": 0}, id="1", also={"timestamp": 1000}))
    people = observe(
        op.identify({"a": 2}, id="1", also={"timestamp": 1000}),
        op.identify({"a": 3}, id="1", also={"timestamp": 1000}),
        op.merge({"id": "1"}, {"id": "unknown"}),
    )
    assert [(each.reason, each.count) for each in people.ignored] == [
        ("outdated identify", 2),
        ("merge without both people", 1),
    ]
    assert [each.value for each in people.ignored[0].examples] == ['{"a":2}', '{"a":3}']
    assert people.ignored[0].meaning
    (person,) = people.sample
    assert [each.reason for each in person.ignored] == ["outdated identify"] * 2


def test_people_to_whom_most_happened_come_first(
    customerio: CustomerIO, op: type[Operations], observe: Callable[..., People]
) -> None:
    customerio.accept(*(op.identify({"a": 1, "b": 1}, id=name) for name in "123"))
    people = observe(
        op.identify({"c": 1}, id="1"),
        op.identify({"a": 2, "b": 2}, id="2"),
        op.identify({"a": 2}, id="3"),
        *(op.event(id="3") for _ in range(2)),
        op.identify({"a": 1, "b": 1, "c": 1, "d": 1}, id="0"),
    )
    assert [each.name for each in people.sample] == ["3", "2", "1", "0"]


def test_what_is_read_is_bounded(
    op: type[Operations],
    observe: Callable[..., People],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sample_reader, "MAX_PEOPLE", 3)
    monkeypatch.setattr(sample_reader, "MAX_VALUE", 10)
    monkeypatch.setattr(sample_reader, "MAX_ATTRIBUTES", 4)
    monkeypatch.setattr(sample_reader, "MAX_EVENTS", 2)
    people = observe(
        *(
            op.identify({f"a{n}": "x" * 20 for n in range(9)}, id=str(n))
            for n in range(5)
        ),
        *(op.event(id="4", also={"timestamp": 1000 + n}) for n in range(9)),
    )
    assert people.counts == {"created": 5}
    assert len(people.sample) == 3
    busiest = people.sample[0]
    assert busiest.name == "4"
    assert (len(busiest.events), busiest.all_events) == (2, 9)
    assert (len(busiest.attributes), busiest.more_attributes) == (4, 6)
    assert busiest.attributes[1].after == "xxxxxxxxxx… (20 characters)"


def test_values_that_fill_the_page_end_the_sample(
    op: type[Operations],
    observe: Callable[..., People],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sample_reader, "MAX_TEXT", 90)
    people = observe(*(op.identify({"a": "x" * 90}, id=str(n)) for n in range(5)))
    assert len(people.sample) == 1
    assert people.counts == {"created": 5}


def test_a_long_value_that_differs_where_it_is_not_shown_has_changed(
    customerio: CustomerIO, op: type[Operations], observe: Callable[..., People]
) -> None:
    customerio.accept(op.identify({"note": "x" * 900 + "a"}, id="1"))
    (person,) = observe(op.identify({"note": "x" * 900 + "b"}, id="1")).sample
    assert [each.name for each in person.attributes if each.is_change] == ["note"]


def test_nothing_of_the_observation_is_left_in_the_file(
    customerio: CustomerIO, op: type[Operations], observe: Callable[..., People]
) -> None:
    objects = "SELECT count(*) FROM sqlite_master"
    before = customerio.sql(objects)
    customerio.accept(op.identify({"plan": "free"}, id="1"))
    observe(op.identify({"plan": "pro"}, id="1"))
    assert customerio.sql(objects) == before


def test_a_refused_request_leaves_no_note(
    customerio: CustomerIO, op: type[Operations]
) -> None:
    observation = customerio.adapter.observe()
    assert customerio.refuse(op.identify({"a": "x" * 2000}, id="1"))
    customerio.adapter.close()
    assert observation.people is not None
    assert observation.people.sample == ()


def test_people_that_cannot_be_read_are_none(
    customerio: CustomerIO, op: type[Operations], monkeypatch: pytest.MonkeyPatch
) -> None:
    observation = customerio.adapter.observe()
    customerio.accept(op.identify(id="1"))
    monkeypatch.setattr(sample_reader, "_EVENTS", "SELECT nothing")
    customerio.adapter.close()
    assert observation.people is None
