"""What names one person, while that has no answer, or is refused or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.snapshot.snapshot import Snapshot
from target_customerio.track_api.operations import (
    ObjectIdentify,
    PersonDelete,
    PersonEvent,
    PersonIdentify,
    Relationship,
    SegmentAdd,
)

from .world import Loader

if TYPE_CHECKING:
    from pathlib import Path

    from target_customerio.track_api.operations import Operation, PersonIdentifiers

ANN, BOB, PHONE = "ann@example.com", "bob@example.org", "+4915112345"
ACME = {"object_type_id": "1", "object_id": "acme"}
WHO: dict[str, PersonIdentifiers] = {
    "id": {"id": "1"},
    "email": {"email": ANN},
    "phone": {"phone": PHONE},
    "anonymous_id": {"anonymous_id": "v"},
}
FIRST = frozenset({0})
SECOND = frozenset({1})
LAGS = pytest.mark.parametrize("lag", range(5))


def by_email(address: str = ANN, **attributes: Any) -> PersonIdentify:
    return PersonIdentify(identifiers={"email": address}, attributes=attributes)


def named_by(kind: str, **attributes: Any) -> PersonIdentify:
    return PersonIdentify(identifiers=WHO[kind], attributes=attributes)


def by_id(**attributes: Any) -> PersonIdentify:
    return named_by("id", **attributes)


def owner(kind: str) -> ObjectIdentify:
    return ObjectIdentify(
        identifiers=ACME,
        attributes={},
        cio_relationships=[Relationship(identifiers=WHO[kind])],
    )


def event(kind: str) -> PersonEvent:
    return PersonEvent(identifiers=WHO[kind], name="e", attributes={})


@pytest.fixture
def loader(tmp_path: Path, lag: int) -> Loader:
    return Loader(tmp_path / "snapshot.db", lag=lag)


def load(loader: Loader, *operations: Operation, **options: Any) -> int:
    """Load operations; return how many of them are sent."""
    loader.run(operations, **options)
    loader.check()
    return len(loader.sent)


# Order, which the loader checks


@pytest.mark.parametrize("lag", [0])
@pytest.mark.parametrize("first", WHO)
@pytest.mark.parametrize("second", WHO)
def test_what_names_a_person_differently_is_ordered_if_the_row_is_unchanged(
    loader: Loader, first: str, second: str
) -> None:
    row = by_id(email=ANN, phone=PHONE, anonymous_id="v")
    load(loader, row)
    assert load(loader, event(first), row, event(second)) == len((first, second))


# A link that is refused while others are decided on


@LAGS
def test_an_id_that_a_lead_gets_is_somebody_else_if_that_is_refused(
    loader: Loader,
) -> None:
    load(loader, by_email(plan="free"))
    load(loader, by_id(email=ANN), by_id(plan="free"), refused=FIRST)
    assert load(loader, by_id(plan="free")) <= 1


@LAGS
def test_so_is_an_address_that_an_id_gets(loader: Loader) -> None:
    load(loader, by_id(plan="free"))
    load(loader, by_id(email=ANN), by_email(plan="free"), refused=FIRST)


@LAGS
@pytest.mark.parametrize("kind", ["id", "email"])
def test_relationships_and_memberships_stay_with_whom_they_were_of(
    loader: Loader, kind: str
) -> None:
    other = "email" if kind == "id" else "id"
    link = by_id(email=ANN)
    member = SegmentAdd(segment_id="7", identifiers=WHO[kind])
    of_other = SegmentAdd(segment_id="7", identifiers=WHO[other])
    load(loader, named_by(kind), owner(kind), member)
    new = named_by(other, seats=1), owner(other), of_other
    load(loader, link, *new, refused=FIRST)
    load(loader, owner(other), of_other)


@LAGS
def test_relationships_stay_known_if_the_link_is_accepted(loader: Loader) -> None:
    load(loader, by_email(), owner("email"))
    load(loader, by_id(email=ANN), owner("id"))
    assert load(loader, by_id(email=ANN), owner("id"), owner("email")) == 0


BAD = pytest.mark.parametrize("bad", ["too large", "\ud800"])
KNOWN = pytest.mark.parametrize(("known", "new"), [("id", "email"), ("email", "id")])


@LAGS
@BAD
@KNOWN
def test_a_link_that_cannot_be_sent_is_none_later(
    loader: Loader, known: str, new: str, bad: str
) -> None:
    """Although it is rejected before what was sent earlier is answered."""
    link = by_id(email=ANN, note=bad)
    load(loader, named_by(known, plan="free"))
    rows = named_by(known, plan="plus"), link, named_by(known, seats=3)
    load(loader, *rows, unsendable=SECOND)
    load(loader, named_by(new, seats=9))
    load(loader, named_by(known, seats=9))


@LAGS
@BAD
@KNOWN
def test_a_link_that_cannot_be_sent_is_none_at_once(
    loader: Loader, known: str, new: str, bad: str
) -> None:
    link = by_id(email=ANN, note=bad)
    load(loader, named_by(known, plan="free"))
    rows = named_by(new, seats=3), named_by(new, plan="plus")
    load(loader, named_by(known, plan="plus"), link, *rows, unsendable=SECOND)
    load(loader, named_by(new, plan="plus"))


def test_a_relationship_that_cannot_be_encoded_is_left_to_the_encoder(
    tmp_path: Path,
) -> None:
    bad = Relationship(identifiers=ACME, relationship_attributes={"role": "\ud800"})
    operation = PersonIdentify(
        identifiers={"id": "1"}, attributes={}, cio_relationships=[bad]
    )
    snapshot = Snapshot(tmp_path / "snapshot.db")
    (decision,) = snapshot.decide([(operation, None)])
    assert (decision.operation, decision.ticket) == (operation, None)
    snapshot.close()


# Identifiers that an answer takes away, or leaves behind


@LAGS
def test_a_phone_number_is_known_of_whoever_comes_back_after_a_deletion(
    loader: Loader,
) -> None:
    row = by_id(phone=PHONE, plan="free")
    load(loader, row)
    load(loader, PersonDelete(identifiers={"id": "1"}), row)
    load(loader, named_by("phone", plan="plus"))
    load(loader, by_id(plan="free"))


@LAGS
def test_a_phone_number_is_known_although_its_first_record_is_refused(
    loader: Loader,
) -> None:
    rows = by_id(phone=PHONE, seats=1), by_id(phone=PHONE, plan="free")
    load(loader, *rows, refused=FIRST)
    load(loader, named_by("phone", plan="plus"))
    load(loader, by_id(plan="free"))


@LAGS
def test_a_second_address_is_known_of_whoever_comes_back_after_a_deletion(
    tmp_path: Path, lag: int
) -> None:
    loader = Loader(tmp_path / "snapshot.db", lag=lag, email_updates=True)
    row = by_id(email=BOB, plan="free")
    load(loader, by_id(email=ANN), row)
    load(loader, PersonDelete(identifiers={"id": "1"}), row)
    load(loader, by_email(BOB, plan="plus"))
    load(loader, by_id(plan="free"))


@pytest.mark.parametrize("lag", [0, 2])
@pytest.mark.parametrize(
    ("before", "link"),
    [
        pytest.param(by_id(), by_id(email=ANN, plan="free"), id="an address"),
        pytest.param(by_email(), by_email(id="1", plan="free"), id="an id"),
    ],
)
def test_an_identifier_stays_known_although_an_earlier_operation_was_given_up(
    loader: Loader, before: PersonIdentify, link: PersonIdentify
) -> None:
    given_up = PersonIdentify(identifiers=before.identifiers, attributes={"seats": 1})
    load(loader, before)
    load(loader, given_up, link, given_up=FIRST)
    snapshot = Snapshot(loader.path)
    found = snapshot.file.reader.execute("SELECT a, b FROM entries").fetchall()
    snapshot.close()
    assert found == [("1", ANN)]
