"""What is sent of an operation when a snapshot knows what was sent before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import UNSET, Raw

from target_customerio.snapshot.snapshot import Snapshot
from target_customerio.track_api.operations import (
    ObjectIdentify,
    PersonDelete,
    PersonEvent,
    PersonIdentify,
    PersonMerge,
    PersonSuppress,
    PersonUnsuppress,
    Relationship,
    SegmentAdd,
)

from .world import Loader

if TYPE_CHECKING:
    from pathlib import Path

    from target_customerio.track_api.operations import Operation

ANN, BOB = "ann@example.com", "bob@example.org"


def person(id_: str = "1", **attributes: Any) -> PersonIdentify:
    return PersonIdentify(identifiers={"id": id_}, attributes=attributes)


def by_email(address: str, **attributes: Any) -> PersonIdentify:
    return PersonIdentify(identifiers={"email": address}, attributes=attributes)


def company(*people: str, role: str = "owner", **attributes: Any) -> ObjectIdentify:
    return ObjectIdentify(
        identifiers={"object_type_id": "1", "object_id": "acme"},
        attributes=attributes,
        cio_relationships=[
            Relationship(
                identifiers={"id": each}, relationship_attributes={"role": role}
            )
            for each in people
        ]
        or UNSET,
    )


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path / "snapshot.db")


def sent(loader: Loader, *operations: Operation, **options: Any) -> list[Any]:
    """Return the attributes that a run sends, one mapping for each operation."""
    assert loader.run(operations, **options)
    loader.check()
    return [getattr(each, "attributes", type(each)) for each in loader.sent]


def test_only_what_differs_is_sent(loader: Loader) -> None:
    row: dict[str, Any] = {"email": ANN, "plan": "free", "seats": 1, "gone": None}
    assert sent(loader, person(**row)) == [row]
    assert sent(loader, person(**row)) == []
    assert sent(loader, person(**row | {"seats": 2})) == [{"seats": 2}]
    assert sent(loader, person(**row | {"seats": 2})) == []


def test_two_streams_that_set_different_attributes_are_both_unchanged(
    loader: Loader,
) -> None:
    rows = (person(plan="free"), person(seats=1))
    assert len(sent(loader, *rows)) == 2
    assert sent(loader, *rows) == []
    assert sent(loader, *rows) == []


def test_two_that_contradict_each_other_are_both_sent(loader: Loader) -> None:
    rows = (person(plan="free"), person(plan="plus"))
    for _ in range(3):
        assert sent(loader, *rows) == [{"plan": "free"}, {"plan": "plus"}]


def test_a_value_that_goes_there_and_back_is_sent_twice(loader: Loader) -> None:
    sent(loader, person(plan="free"))
    rows = (person(plan="plus"), person(plan="free"))
    assert sent(loader, *rows, window=2) == [{"plan": "plus"}, {"plan": "free"}]


def test_what_is_refused_of_one_record_is_not_skipped_in_another(
    loader: Loader,
) -> None:
    rows = (person(plan="plus"), person(plan="plus"))
    assert len(sent(loader, *rows, refused=frozenset({0}))) == 2


def test_a_person_without_attributes_is_sent_once(loader: Loader) -> None:
    assert sent(loader, person()) == [{}]
    assert sent(loader, person()) == []


def test_preferences_are_compared_by_topic(loader: Loader) -> None:
    def row(**topics: bool) -> PersonIdentify:
        return person(cio_subscription_preferences={"topics": topics})

    prefix = "cio_subscription_preferences.topics."
    assert sent(loader, row(a=True, b=True)) == [
        {f"{prefix}a": True, f"{prefix}b": True}
    ]
    assert sent(loader, row(a=True, b=False)) == [{f"{prefix}b": False}]
    encoded = Raw(b'{"topics":{"a":true,"b":false}}')
    assert sent(loader, person(cio_subscription_preferences=encoded)) == []


@pytest.mark.parametrize("row", [{"_update": True}, {}])
def test_what_may_not_be_applied_is_not_remembered(
    loader: Loader, row: dict[str, Any]
) -> None:
    timestamp = UNSET if row else 1
    sent(loader, person(plan="free", seats=1))
    uncertain = PersonIdentify(
        identifiers={"id": "1"}, attributes={"plan": "free", **row}, timestamp=timestamp
    )
    for _ in range(2):
        assert sent(loader, uncertain) == [{"plan": "free", **row}]
    assert sent(loader, person(plan="free", seats=1)) == [{"plan": "free"}]


def test_an_email_that_changes_case_is_the_same_person(loader: Loader) -> None:
    sent(loader, person(email=ANN))
    assert sent(loader, person(email=ANN.upper())) == [{"email": ANN.upper()}]
    assert sent(loader, person(email=ANN.upper())) == []
    assert sent(loader, by_email(ANN, email=ANN.upper())) == []


def test_a_second_address_of_an_id_is_never_remembered(loader: Loader) -> None:
    sent(loader, person(email=ANN, plan="free"))
    for _ in range(2):
        assert sent(loader, person(email=BOB, plan="free")) == [{"email": BOB}]


def test_an_address_that_moves_makes_both_people_unknown(loader: Loader) -> None:
    ann, bob = person("1", email=ANN, plan="free"), person("2", email=BOB, plan="free")
    sent(loader, ann, bob)
    moved = person("2", email=ANN, plan="free")
    assert sent(loader, moved) == [{"email": ANN, "plan": "free"}]
    assert sent(loader, person("1", plan="free")) == [{"plan": "free"}]


def test_a_lead_becomes_a_user(loader: Loader) -> None:
    sent(loader, by_email(ANN, email=ANN, plan="free"))
    row = person("1", email=ANN, plan="free")
    assert sent(loader, row) == [{"email": ANN}]
    assert sent(loader, row, by_email(ANN, email=ANN, plan="free")) == []


def test_a_deleted_person_is_sent_again(loader: Loader) -> None:
    row = person(email=ANN, plan="free")
    sent(loader, row, PersonDelete(identifiers={"id": "1"}))
    assert sent(loader, row) == [{"email": ANN, "plan": "free"}]
    assert sent(loader, row) == []


@pytest.mark.parametrize(
    "forgets",
    [
        PersonMerge(primary={"id": "1"}, secondary={"id": "2"}),
        PersonMerge(primary={"id": "2"}, secondary={"id": "1"}),
        PersonDelete(identifiers={"cio_id": "of-1"}),
        PersonSuppress(identifiers={"id": "1"}),
    ],
)
def test_merges_deletions_and_suppressions_forget(
    loader: Loader, forgets: Operation
) -> None:
    sent(loader, person("1", plan="free"), person("2", plan="free"), forgets)
    assert {"plan": "free"} in sent(loader, person("1", plan="free"))


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize(
    "forgets",
    [
        PersonDelete(identifiers={"id": "1"}),
        PersonMerge(primary={"id": "1"}, secondary={"id": "2"}),
        PersonUnsuppress(identifiers={"id": "1"}),
    ],
)
def test_what_is_sent_after_that_is_known(
    loader: Loader, forgets: Operation, window: int
) -> None:
    """Also if that has no answer yet when it is decided on."""
    sent(loader, person("1", plan="free"), person("2", plan="free"))
    row = person("1", plan="free")
    assert sent(loader, forgets, row, window=window)[1] == {"plan": "free"}
    assert sent(loader, row) == []


def test_what_names_a_suppressed_person_is_sent_each_time(loader: Loader) -> None:
    sent(loader, person(email=ANN), PersonSuppress(identifiers={"id": "1"}))
    for _ in range(2):
        assert sent(loader, person("2", email=ANN)) == [{"email": ANN}]


@pytest.mark.parametrize("window", [1, 2])
def test_an_object_that_a_suppressed_person_names_is_created_later(
    loader: Loader, window: int
) -> None:
    """Also if the suppression has no answer yet."""
    acme = {"object_type_id": "1", "object_id": "acme"}
    member = PersonIdentify(
        identifiers={"id": "1"},
        attributes={},
        cio_relationships=[Relationship(identifiers=acme)],
    )
    loader.run([PersonSuppress(identifiers={"id": "1"}), member], window=window)
    loader.run([ObjectIdentify(identifiers=acme, attributes={})])
    loader.check()
    assert len(loader.sent) == 1


def test_relationships_with_the_same_attributes_are_left_out(loader: Loader) -> None:
    sent(loader, person("1"), person("2"), company("1", name="Acme"))
    assert sent(loader, company("1", name="Acme")) == []
    assert sent(loader, company("1", name="Acme Inc.")) == [{"name": "Acme Inc."}]
    assert loader.sent[0].cio_relationships is UNSET  # type: ignore[attr-defined]
    assert sent(loader, company("1", "2", name="Acme Inc.")) == [{}]
    (change,) = loader.sent
    assert [each.identifiers for each in change.cio_relationships] == [{"id": "2"}]  # type: ignore[attr-defined]
    assert sent(loader, company("1", role="buyer")) == [{}]


def test_memberships_of_known_people_are_sent_once(loader: Loader) -> None:
    added = SegmentAdd(segment_id="7", identifiers={"id": "1"})
    for _ in range(2):
        assert sent(loader, added) == [SegmentAdd]
    sent(loader, person("1"), added)
    assert sent(loader, added) == []
    assert sent(loader, PersonDelete(identifiers={"id": "1"}), person("1"), added)[
        1:
    ] == [{}, SegmentAdd]


@pytest.mark.parametrize(
    "parts_them",
    [
        pytest.param(
            [
                PersonSuppress(identifiers={"id": "1"}),
                PersonUnsuppress(identifiers={"id": "1"}),
            ],
            id="a suppression",
        ),
        pytest.param([PersonDelete(identifiers={"cio_id": "of-1"})], id="a deletion"),
        pytest.param(
            [
                person("2"),
                PersonMerge(primary={"id": "2"}, secondary={"cio_id": "of-1"}),
            ],
            id="a merge",
        ),
    ],
)
def test_an_address_that_an_id_has_lost_is_somebody_else(
    loader: Loader, parts_them: list[Operation]
) -> None:
    sent(loader, person(email=ANN, plan="free"), *parts_them, person(plan="free"))
    for _ in range(2):
        assert sent(loader, by_email(ANN, plan="free")) == [{"plan": "free"}]
    assert sent(loader, person(plan="free")) == [{"plan": "free"}]
    assert sent(loader, person(plan="free")) == []


@pytest.mark.parametrize("lag", [0, 1, 2, 3, 4])
def test_an_address_that_is_being_changed_is_somebody_else(
    tmp_path: Path, lag: int
) -> None:
    loader = Loader(tmp_path / "snapshot.db", lag=lag, email_updates=True)
    rows = [person(email=ANN), person("2"), person(email=BOB), by_email(ANN)]
    assert len(sent(loader, *rows)) == len(rows)


def test_an_id_that_claimed_an_address_does_not_get_another(loader: Loader) -> None:
    sent(loader, person("1", email=ANN), person("2", email=ANN))
    for _ in range(2):
        assert sent(loader, person("2", email=BOB)) == [{"email": BOB}]
        assert sent(loader, by_email(BOB)) == [{}]


def test_an_address_that_an_id_had_before_is_somebody_else(tmp_path: Path) -> None:
    loader = Loader(tmp_path / "snapshot.db", email_updates=True)
    sent(loader, person(email=ANN), person(email=BOB))
    assert sent(loader, by_email(ANN)) == [{}]


def test_an_id_that_may_have_become_another_one_keeps_no_relationship(
    loader: Loader,
) -> None:
    member = SegmentAdd(segment_id="7", identifiers={"id": "2"})
    sent(loader, person("2"), company("2"), member, person("2", email=ANN))
    sent(loader, person("1", email=ANN))
    assert sent(loader, person("2"), company("2"), member) == [{}, {}, SegmentAdd]


@pytest.mark.parametrize("lag", [0, 2, 4])
def test_an_id_and_an_address_whose_record_is_rejected_are_not_one_person(
    tmp_path: Path, lag: int
) -> None:
    loader = Loader(tmp_path / "snapshot.db", lag=lag)
    rows = (person("2", email=ANN), by_email(ANN, plan="free"))
    sent(loader, *rows, refused=frozenset({0}))
    assert sent(loader, person("2", plan="free")) == [{"plan": "free"}]
    assert sent(loader, person("2")) == []


def test_whoever_gets_an_id_in_a_rejected_record_keeps_nothing(
    tmp_path: Path,
) -> None:
    loader = Loader(tmp_path / "snapshot.db", lag=2)
    sent(loader, by_email(ANN, plan="free"))
    rows = (person("2", email=ANN), person("2", seats=1))
    sent(loader, *rows, refused=frozenset({0}))
    assert sent(loader, person("2", plan="free")) == [{"plan": "free"}]


@pytest.mark.parametrize("lag", [0, 2, 4])
def test_streams_by_id_and_by_address_are_both_unchanged(
    tmp_path: Path, lag: int
) -> None:
    loader = Loader(tmp_path / "snapshot.db", lag=lag)
    rows = (person(email=ANN, plan="free"), by_email(ANN, seats=1))
    assert len(sent(loader, *rows)) == 2
    assert sent(loader, *rows) == []
    back = (*rows[1:], *rows[:1])
    assert len(sent(loader, *back, refresh=True)) == 2
    assert sent(loader, *back) == []


def test_events_are_never_skipped(loader: Loader) -> None:
    event = PersonEvent(identifiers={"id": "1"}, name="Paid", attributes={})
    for _ in range(2):
        assert sent(loader, event) == [{}]


def test_a_refresh_sends_everything_and_learns_anew(loader: Loader) -> None:
    row = person(email=ANN, plan="free")
    sent(loader, row)
    assert sent(loader, row, refresh=True) == [{"email": ANN, "plan": "free"}]
    assert sent(loader, row) == []


def test_operations_on_one_entry_share_a_key(tmp_path: Path) -> None:
    with_both, alone = person(email=ANN, plan="free"), person(plan="plus")
    loader = Loader(tmp_path / "snapshot.db")
    loader.run([with_both])
    snapshot = Snapshot(loader.path)
    stream = snapshot.begin("users", "users")
    (decision,) = snapshot.decide([(alone, stream)])
    assert decision.identities == ("id:1", f"email:{ANN}")
    snapshot.close()
