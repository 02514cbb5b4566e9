"""Conflicts between ids and e-mail addresses within a run."""

from __future__ import annotations

import tracemalloc
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_customerio.address_book import MAX_BYTES, AddressBook, Conflict
from target_customerio.track_api.operations import (
    Attributes,
    PersonIdentifiers,
    PersonIdentify,
)

ANN, BEA, CEM = "ann@example.com", "bea@example.com", "cem@example.com"
MOVED, CHANGED = [Conflict.MOVED_ADDRESS], [Conflict.CHANGED_ADDRESS]


def add(
    book: AddressBook,
    identifiers: PersonIdentifiers,
    attributes: Attributes | None = None,
) -> list[Conflict]:
    identify = PersonIdentify(identifiers=identifiers, attributes=attributes or {})
    return [*book.add(identify)]


def pairs(book: AddressBook, *pairs: tuple[str, str]) -> list[list[Conflict]]:
    return [add(book, {"id": id_}, {"email": email}) for id_, email in pairs]


def test_an_address_with_a_different_id_has_moved() -> None:
    assert pairs(AddressBook(), ("2", ANN), ("3", ANN)) == [[], MOVED]


def test_an_id_with_a_different_address_has_changed_it() -> None:
    assert pairs(AddressBook(), ("1", ANN), ("1", BEA)) == [[], CHANGED]


def test_a_known_address_with_another_known_id_is_both() -> None:
    found = pairs(AddressBook(), ("1", ANN), ("2", BEA), ("1", BEA))
    assert found == [[], [], MOVED + CHANGED]


def test_each_address_and_each_id_is_reported_once() -> None:
    found = pairs(
        AddressBook(), ("2", ANN), ("3", ANN), ("2", ANN), ("3", ANN), ("4", ANN)
    )
    assert found == [[], MOVED, [], [], []]
    found = pairs(AddressBook(), ("1", ANN), ("1", BEA), ("1", ANN), ("1", CEM))
    assert found == [[], CHANGED, [], []]


def test_a_repeated_pair_is_not_a_conflict_in_upper_or_lower_case() -> None:
    assert pairs(AddressBook(), ("1", ANN), ("1", ANN.upper()), ("1", ANN)) == [[]] * 3


def test_two_ids_with_different_addresses_do_not_conflict() -> None:
    assert pairs(AddressBook(), ("1", ANN), ("2", BEA)) == [[], []]


@pytest.mark.parametrize("id_", ["2", 2])
def test_a_person_can_be_identified_by_address(id_: str | int) -> None:
    book = AddressBook()
    assert add(book, {"email": ANN}) == []
    assert add(book, {"email": ANN}, {"id": id_}) == []
    assert add(book, {"id": "2"}, {"email": ANN}) == []
    assert add(book, {"email": ANN}, {"id": "3"}) == MOVED


@pytest.mark.parametrize("email", [None, "", "n/a", 7, {"a": 1}])
def test_invalid_addresses_are_ignored(email: object) -> None:
    book = AddressBook()
    assert add(book, {"id": "2"}, {"email": email}) == []
    assert add(book, {"id": "3"}, {"email": email}) == []


@pytest.mark.parametrize("kind", ["cio_id", "phone"])
def test_other_identifiers_are_ignored(kind: str) -> None:
    book = AddressBook()
    assert add(book, {"id": "2"}, {"email": ANN}) == []
    assert add(book, {kind: "3"}, {"email": ANN}) == []


def test_an_id_that_looks_like_an_address_is_distinguished_from_it() -> None:
    assert pairs(AddressBook(), (ANN, BEA), ("1", ANN)) == [[], []]
    assert pairs(AddressBook(), (ANN, ANN), (ANN, BEA)) == [[], CHANGED]


@given(st.lists(st.tuples(st.sampled_from("1234"), st.sampled_from([ANN, BEA, CEM]))))
def test_counts_match_a_simple_model(
    seen: list[tuple[str, str]],
) -> None:
    found = [*chain.from_iterable(pairs(AddressBook(), *seen))]
    ids_of = {
        email: {id_ for id_, other in seen if other == email} for _, email in seen
    }
    emails_of = {
        id_: {email for other, email in seen if other == id_} for id_, _ in seen
    }
    assert found.count(Conflict.MOVED_ADDRESS) == sum(
        len(ids) > 1 for ids in ids_of.values()
    )
    assert found.count(Conflict.CHANGED_ADDRESS) == sum(
        len(emails) > 1 for emails in emails_of.values()
    )


def test_recent_pairs_are_remembered_and_memory_is_bounded() -> None:
    share = 16  # of the memory, and so of the pairs; every pair takes as much
    book = AddressBook(MAX_BYTES // share)
    count = 300_000 // share
    tracemalloc.start()
    try:
        for number in range(count):
            pairs(book, (f"{number}", f"{number}@example.com"))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < MAX_BYTES // share
    recent = 40_000 // share
    latest = [("other", f"{n}@example.com") for n in range(count - recent, count)]
    assert [each[:1] for each in pairs(book, *latest)] == [MOVED] * recent


def test_a_frequent_pair_is_not_evicted() -> None:
    book = AddressBook(max_bytes=2_000)
    for number in range(1_000):
        assert pairs(book, ("1", ANN), (f"{number}", f"{number}@example.com"))[0] == []
    assert pairs(book, ("2", ANN)) == [MOVED]
