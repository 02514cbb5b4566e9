"""What is removed because it is gone from its source, and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_customerio.snapshot.missing import Candidate, Kept, limit_of
from target_customerio.snapshot.removal import RemovalFinder
from target_customerio.snapshot.snapshot import Snapshot
from target_customerio.track_api.operations import (
    ObjectDelete,
    ObjectDeleteRelationships,
    ObjectIdentify,
    PersonDelete,
    PersonIdentify,
    PersonMerge,
    Relationship,
    SegmentAdd,
    SegmentRemove,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from target_customerio.snapshot.missing import Removal
    from target_customerio.snapshot.streams import Stream
    from target_customerio.track_api.operations import ObjectIdentifiers, Operation

ALL = 1_000_000


class Runs:
    """Runs of streams on one snapshot."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(
        self,
        operations: Sequence[Operation],
        stream: str = "users",
        *,
        source: str | None = None,
        ends: dict[str, bool] | None = None,
        update_only: bool = False,
        call: str = "identify",
    ) -> None:
        snapshot = Snapshot(self.path)
        begun = snapshot.begin(stream, source or stream, call, update_only=update_only)
        deliver(snapshot, [(each, begun) for each in operations])
        if ends != {}:
            how = {"ended_well": True, "full_table": True, **(ends or {})}
            begun.unreadable = how.pop("unreadable", False)
            snapshot.end(begun, **how)
        snapshot.close()

    def remove(
        self, stream: str = "users", most: int | str = ALL, *, deliver_them: bool = True
    ) -> tuple[list[Operation], str]:
        snapshot = Snapshot(self.path)
        ((call, update_only),) = {
            (each.call, each.update_only) for each in snapshot.streams.named(stream)
        }
        rule = removing(call, most, update_only=update_only)
        removals = missing_from(snapshot, {stream: rule})
        gone = removed_by(snapshot, removals)
        refusal = "".join(removal.refusal for removal in removals)
        if deliver_them:
            deliver(snapshot, [(each, None) for each in gone])
        snapshot.checkpoint()
        snapshot.close()
        return gone, refusal

    def remove_all(self) -> set[str]:
        """Remove what every stream misses; return the ids of the people."""
        snapshot = Snapshot(self.path)
        removals = missing_from(snapshot)
        gone = removed_by(snapshot, removals)
        deliver(snapshot, [(each, None) for each in gone])
        snapshot.checkpoint()
        snapshot.close()
        names = [each.identifiers["id"] for each in gone if type(each) is PersonDelete]
        assert len(names) == len(gone) == len({*names})
        return {*names}


def removing(
    call: str = "identify", most: int | str = ALL, *, update_only: bool = False
) -> Callable[[Stream], Candidate]:
    """Return the settings of a stream that asks for removal."""
    return lambda stream: Candidate(
        stream, call, update_only, remove_missing=True, max_deletions=most
    )


def missing_from(
    snapshot: Snapshot, rules: dict[str, Callable[[Stream], Candidate]] | None = None
) -> list[Removal]:
    """Return what is missing from streams: those with a rule, or all."""
    return RemovalFinder(snapshot).find(
        [
            (removing() if rules is None else rules[each.name])(each)
            for each in snapshot.streams
            if rules is None or each.name in rules
        ]
    )


def removed_by(snapshot: Snapshot, removals: Sequence[Removal]) -> list[Operation]:
    return [each for _, each in RemovalFinder(snapshot).operations(removals)]


def deliver(snapshot: Snapshot, operations: Sequence[tuple[Operation, Any]]) -> None:
    for each in operations:
        (decision,) = snapshot.decide([each])
        tickets = [] if decision.ticket is None else [decision.ticket]
        snapshot.answer(snapshot.intend(tickets), tickets)


def person(id_: str, **attributes: Any) -> PersonIdentify:
    return PersonIdentify(identifiers={"id": id_}, attributes=attributes)


def lead(email: str) -> PersonIdentify:
    return PersonIdentify(identifiers={"email": email}, attributes={"email": email})


def deleted(*ids: str) -> list[Operation]:
    return [PersonDelete(identifiers={"id": each}) for each in ids]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "snapshot.db")


PEOPLE = [person("1"), person("2"), person("3")]


def test_what_is_missing_is_removed_once(runs: Runs) -> None:
    runs.load(PEOPLE)
    runs.load(PEOPLE[:1])
    assert runs.remove() == (deleted("2", "3"), "")
    assert runs.remove() == ([], "")
    runs.load(PEOPLE)
    assert runs.remove() == ([], "")


def test_what_awaits_removal_waits_over_several_runs(runs: Runs) -> None:
    runs.load(PEOPLE)
    runs.load(PEOPLE[:2])
    runs.load(PEOPLE[:1])
    assert runs.remove()[0] == deleted("2", "3")


def test_what_comes_back_before_the_removal_stays(runs: Runs) -> None:
    runs.load(PEOPLE)
    runs.load(PEOPLE[:1])
    runs.load(PEOPLE)
    assert runs.remove() == ([], "")


@pytest.mark.parametrize(
    "ends",
    [{}, {"ended_well": False}, {"full_table": False}, {"unreadable": True}],
    ids=["killed", "failed", "incremental", "unreadable"],
)
def test_a_stream_that_did_not_come_whole_removes_nothing(
    runs: Runs, ends: dict[str, bool]
) -> None:
    runs.load(PEOPLE)
    runs.load(PEOPLE[:1], ends=ends)
    gone, refusal = runs.remove()
    assert gone == []
    assert refusal
    runs.load(PEOPLE[:2])
    assert runs.remove() == (deleted("3"), "")


@pytest.mark.parametrize(
    "ends", [None, {}, {"ended_well": False}, {"full_table": False}]
)
def test_whom_another_stream_holds_stays(
    runs: Runs, ends: dict[str, bool] | None
) -> None:
    runs.load(PEOPLE)
    runs.load([person("2")], "members")
    runs.load([person("3")], "members", ends=ends)
    runs.load(PEOPLE[:1])
    # A full table holds what it had in its last run, any other all it ever had.
    assert runs.remove()[0] == (deleted("2") if ends is None else [])


def test_what_still_awaits_removal_is_held_by_a_stream_that_fails(runs: Runs) -> None:
    runs.load([person("2")], "members")
    runs.load([], "members")
    runs.load([], "members", ends={"ended_well": False})
    runs.load(PEOPLE)
    runs.load(PEOPLE[:1])
    assert runs.remove()[0] == deleted("3")
    runs.load([], "members")
    assert runs.remove()[0] == deleted("2")


def test_two_sources_under_one_alias_hold_for_themselves(runs: Runs) -> None:
    runs.load(PEOPLE[:2], source="crm-users")
    runs.load(PEOPLE[2:], source="shop-users")
    runs.load(PEOPLE[2:], source="shop-users")
    assert runs.remove() == ([], "")


def test_a_membership_holds_its_person(runs: Runs) -> None:
    member = SegmentAdd(segment_id="7", identifiers={"id": "2"})
    runs.load(PEOPLE)
    runs.load([member], "memberships", call="segment")
    runs.load(PEOPLE[:1])
    assert runs.remove()[0] == deleted("3")
    runs.load([], "memberships", call="segment")
    removed = SegmentRemove(segment_id="7", identifiers={"id": "2"})
    assert runs.remove("memberships")[0] == [removed]
    assert runs.remove()[0] == deleted("2")


def test_who_leaves_a_segment_is_not_deleted(runs: Runs) -> None:
    member = SegmentAdd(segment_id="7", identifiers={"id": "2"})
    runs.load([person("2"), member], "memberships", call="segment")
    runs.load([], "memberships", call="segment")
    assert runs.remove("memberships")[0] == [
        SegmentRemove(segment_id="7", identifiers={"id": "2"})
    ]
    # Nor when the stream is a table of people later.
    runs.load([person("3")], "memberships")
    assert runs.remove("memberships") == ([], "")


def test_a_stream_of_another_call_than_before_waits_for_a_run(runs: Runs) -> None:
    runs.load(PEOPLE, "memberships", call="segment")
    runs.load([], "memberships", call="segment")
    snapshot = Snapshot(runs.path)
    (removal,) = missing_from(snapshot)
    snapshot.close()
    assert removal.refusal == (
        "its call was segment in its last run and is identify now; run the pipeline "
        "first"
    )


def test_what_a_stream_was_refused_stays_for_other_streams(runs: Runs) -> None:
    runs.load([person("0"), *(person(f"user-{number}") for number in range(9))])
    runs.load([person(str(number)) for number in range(20)], "crm")
    runs.load([])
    runs.load([person(str(number)) for number in range(1, 19)], "crm")
    snapshot = Snapshot(runs.path)
    rules = {"users": removing(most="10%"), "crm": removing(most="50%")}
    plans = missing_from(snapshot, rules)
    snapshot.close()
    assert [bool(each.refusal) for each in plans] == [True, False]
    assert plans[1].total == 1
    assert plans[1].kinds[0].kept == Kept(held=1, holders={"users"})


def test_what_two_streams_miss_is_removed_once(runs: Runs) -> None:
    for stream in ("users", "crm"):
        runs.load(PEOPLE, stream)
    for stream in ("users", "crm"):
        runs.load(PEOPLE[:1], stream)
    snapshot = Snapshot(runs.path)
    plans = missing_from(snapshot)
    snapshot.close()
    assert [each.total for each in plans] == [2, 0]


def test_who_was_missing_while_a_stream_was_update_only_stays(runs: Runs) -> None:
    for rows in (PEOPLE, PEOPLE[:2]):
        runs.load(rows, "scores", update_only=True)
    runs.load(PEOPLE[:1], "scores", ends={"ended_well": False})
    runs.load(PEOPLE[:1], "scores")
    assert runs.remove("scores") == ([], "")
    runs.load([], "scores")
    assert runs.remove("scores")[0] == deleted("1")


def test_the_relationship_of_an_address_that_another_entry_claims_stays(
    runs: Runs,
) -> None:
    acme = {"object_type_id": "1", "object_id": "acme"}

    def member(**identifiers: Any) -> ObjectIdentify:
        related = [Relationship(identifiers=identifiers)]
        return ObjectIdentify(
            identifiers=acme, attributes={}, cio_relationships=related
        )

    runs.load([person("1", email="old@example.com")])
    runs.load([lead("new@example.com")], "leads")
    runs.load([person("1", email="new@example.com")])
    one, other = member(email="new@example.com"), member(id="1")
    runs.load([one, other], "companies", call="group")
    runs.load([other], "companies", call="group")
    assert runs.remove("companies") == ([], "")


def test_relationships_and_objects_go_by_themselves(runs: Runs) -> None:
    acme = {"object_type_id": "1", "object_id": "acme"}
    hooli = {"object_type_id": "2", "object_id": "hooli"}
    related = [Relationship(identifiers={"id": "1"})]
    runs.load(
        [
            ObjectIdentify(identifiers=acme, attributes={}, cio_relationships=related),
            ObjectIdentify(identifiers=hooli, attributes={}),
        ],
        "companies",
        call="group",
    )
    runs.load(
        [person("1"), ObjectIdentify(identifiers=acme, attributes={})],
        "companies",
        call="group",
    )
    assert runs.remove("companies")[0] == [
        ObjectDeleteRelationships(identifiers=acme, cio_relationships=related),
        ObjectDelete(identifiers=hooli),
    ]


def test_a_lead_with_the_address_of_a_user_stays(runs: Runs) -> None:
    runs.load([lead("ann@example.com"), lead("bob@example.com")], "leads")
    runs.load([person("1", email="Ann@example.com")])
    runs.load([], "leads")
    assert runs.remove("leads")[0] == [
        PersonDelete(identifiers={"email": "bob@example.com"})
    ]


def test_a_lead_whose_address_another_id_claims_stays(runs: Runs) -> None:
    runs.load([person("1", email="old@example.com")])
    runs.load([lead("new@example.com")], "leads")
    runs.load([person("1", email="NEW@example.com")])
    runs.load([], "leads")
    assert runs.remove("leads") == ([], "")


ACME: Final[ObjectIdentifiers] = {"object_type_id": "1", "object_id": "acme"}


def employee(**more: Any) -> PersonIdentify:
    """Return an identify of somebody with a relationship."""
    return PersonIdentify(
        identifiers={"id": "1"},
        attributes={},
        cio_relationships=[Relationship(identifiers=ACME)],
        **more,
    )


def company(**identifiers: str) -> ObjectIdentify:
    """Return an object with a relationship."""
    return ObjectIdentify(
        identifiers=ACME,
        attributes={},
        cio_relationships=[Relationship(identifiers=identifiers)],
    )


def test_a_relationship_whose_row_has_a_time_now_stays(runs: Runs) -> None:
    runs.load([employee()])
    runs.load([employee(timestamp=1_700_000_000)])
    assert runs.remove() == ([], "")
    runs.load([person("1")])
    (removed,) = runs.remove()[0]
    assert isinstance(removed, ObjectDeleteRelationships)


def test_a_relationship_of_somebody_whose_address_moves_stays(runs: Runs) -> None:
    by_email = company(email="ann@example.com")
    runs.load([person("1", email="ann@example.com"), person("2")])
    runs.load([by_email], "companies", call="group")
    runs.load([person("1"), person("2", email="ann@example.com")])
    runs.load([by_email], "companies", call="group")
    assert runs.remove("companies") == ([], "")


@pytest.mark.parametrize(
    "row",
    [
        PersonIdentify(
            identifiers={"cio_id": "0a"}, attributes={"email": "ANN@example.com"}
        ),
        PersonIdentify(
            identifiers={"email": "bea@example.com"},
            attributes={"email": "Ann@example.com"},
        ),
    ],
    ids=["a cio_id", "two addresses"],
)
def test_an_address_that_a_row_names_beside_another_identifier_is_held(
    runs: Runs, row: PersonIdentify
) -> None:
    runs.load([lead("bea@example.com"), lead("ann@example.com")], "leads")
    runs.load([row])
    runs.load([lead("bea@example.com")], "leads")
    assert runs.remove("leads") == ([], "")


@pytest.mark.parametrize("kind", ["cio_id", "id"])
def test_an_id_that_a_row_names_beside_another_one_is_held(
    runs: Runs, kind: str
) -> None:
    row: Any = {kind: "7"}
    runs.load([PersonIdentify(identifiers=row, attributes={"id": "2"})], "crm")
    runs.load([*PEOPLE, person("7")])
    runs.load([PersonIdentify(identifiers=row, attributes={"id": "2"})], "crm")
    runs.load([person("1"), person("7")])
    assert runs.remove()[0] == deleted("3")


def test_merged_people_are_never_removed(runs: Runs) -> None:
    merge = PersonMerge(primary={"id": "1"}, secondary={"id": "2"})
    runs.load(PEOPLE)
    snapshot = Snapshot(runs.path)
    deliver(snapshot, [(merge, None)])
    snapshot.close()
    runs.load(PEOPLE)
    runs.load(PEOPLE[:1])
    assert runs.remove()[0] == deleted("3")


def test_what_an_update_only_stream_holds_is_never_removed(runs: Runs) -> None:
    updates = [PersonIdentify(identifiers={"id": "2"}, attributes={"_update": True})]
    runs.load(PEOPLE)
    runs.load(updates, "scores", update_only=True)
    runs.load([], "scores", update_only=True)
    runs.load(PEOPLE[:1])
    assert runs.remove()[0] == deleted("3")
    assert runs.remove("scores") == ([], "")


def test_a_cio_id_is_not_removed(runs: Runs) -> None:
    by_cio_id = PersonIdentify(identifiers={"cio_id": "abc"}, attributes={})
    runs.load([by_cio_id, person("1")])
    runs.load([person("1")])
    assert runs.remove() == ([], "")


def test_a_removal_that_is_killed_goes_on(runs: Runs) -> None:
    runs.load(PEOPLE)
    runs.load(PEOPLE[:1])
    snapshot = Snapshot(runs.path)
    removals = missing_from(snapshot, {"users": removing(most="67%")})
    first, second = removed_by(snapshot, removals)
    deliver(snapshot, [(first, None)])
    (decision,) = snapshot.decide([(second, None)])
    assert decision.ticket is not None
    snapshot.intend([decision.ticket])  # sent, and killed before the answer
    snapshot.close()
    assert runs.remove(most="67%") == ([second], "")
    assert runs.remove() == ([], "")


def test_what_was_removed_before_a_kill_does_not_count_any_more(runs: Runs) -> None:
    runs.load(PEOPLE)
    runs.load(PEOPLE[:1])
    snapshot = Snapshot(runs.path)
    for operation in removed_by(snapshot, missing_from(snapshot)):
        (decision,) = snapshot.decide([(operation, None)])
        assert decision.ticket is not None
        snapshot.answer(snapshot.intend([decision.ticket]), [decision.ticket])
    snapshot.file.close()  # killed before it was noted whom the stream holds
    assert runs.remove() == ([], "")
    runs.load(PEOPLE[:1])
    snapshot = Snapshot(runs.path)
    assert [each.held_before for each in snapshot.streams] == [(1, 0, 0, 0)]
    snapshot.close()


def test_what_refers_to_others_goes_first_whatever_its_stream(runs: Runs) -> None:
    acme = {"object_type_id": "1", "object_id": "acme"}
    member = SegmentAdd(segment_id="7", identifiers={"id": "3"})
    company = ObjectIdentify(
        identifiers=acme,
        attributes={},
        cio_relationships=[Relationship(identifiers={"id": "3"})],
    )
    tables: Any = {
        "users": ("identify", PEOPLE, PEOPLE[:2]),
        "companies": ("group", [company], []),
        "members": ("segment", [member], []),
    }
    for rows in (1, 2):
        for stream, table in tables.items():
            runs.load(table[rows], stream, call=table[0])
    snapshot = Snapshot(runs.path)
    rules = {stream: removing(table[0]) for stream, table in tables.items()}
    removals = missing_from(snapshot, rules)
    found = [type(operation) for operation in removed_by(snapshot, removals)]
    snapshot.close()
    assert found == [
        SegmentRemove,
        ObjectDeleteRelationships,
        ObjectDelete,
        PersonDelete,
    ]


class Held:
    """What a stream holds, as the contract says it."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.missing: set[str] = set()
        self.is_whole = False

    def load(self, rows: set[str], *, is_whole: bool) -> None:
        self.is_whole = is_whole
        if is_whole:
            self.missing = (self.held | self.missing) - rows
            self.held = rows
        else:
            self.held |= rows
            self.missing -= rows

    @property
    def holding(self) -> set[str]:
        return self.held if self.is_whole else self.held | self.missing


def expected_to_go(streams: dict[str, Held]) -> set[str]:
    gone: set[str] = set()
    for name, stream in streams.items():
        if stream.is_whole:
            others = [each.holding for other, each in streams.items() if other != name]
            gone |= stream.missing.difference(stream.held, *others)
    return gone


ENDS: Final[tuple[dict[str, bool] | None, ...]] = (
    None,
    None,
    None,
    {},
    {"ended_well": False},
    {"full_table": False},
)
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(["users", "crm"]),
        st.sets(st.sampled_from("123")),
        st.sampled_from(ENDS),
        st.booleans(),
    ),
    max_size=8,
)


@given(steps=STEPS)
def test_exactly_those_go_whom_no_stream_holds(
    steps: list[tuple[str, set[str], dict[str, bool] | None, bool]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    runs = Runs(tmp_path_factory.mktemp("runs") / "snapshot.db")
    streams: dict[str, Held] = {}
    for name, rows, ends, removes in steps:
        runs.load([person(each) for each in sorted(rows)], name, ends=ends)
        streams.setdefault(name, Held()).load(rows, is_whole=ends is None)
        if removes:
            expected = expected_to_go(streams)
            assert runs.remove_all() == expected
            for each in streams.values():
                each.held -= expected
                each.missing -= expected


def test_too_many_are_refused_by_kind(runs: Runs) -> None:
    people = [person(str(number)) for number in range(100)]
    runs.load(people)
    runs.load(people[:89])
    gone, refusal = runs.remove(most="10%", deliver_them=False)
    assert gone == []
    assert "11 of 100 people" in refusal
    assert "max_deletions (10%) allows 10" in refusal
    assert len(runs.remove(most=11)[0]) == 11


@pytest.mark.parametrize(
    ("setting", "held", "limit"),
    [
        ("10%", 100, 10),
        ("29%", 100, 29),
        ("10%", 19, 1),
        ("10%", 5, 1),
        ("100%", 5, 4),
        ("10%", 1, 0),
        ("0.5%", 1000, 5),
        (3, 2, 3),
        ("3", 2, 3),
        (0, 100, 0),
    ],
)
def test_the_limit(setting: int | str, held: int, limit: int) -> None:
    assert limit_of(setting, held) == limit


ANN, BOB = "ann@example.com", "bob@example.org"


@pytest.mark.parametrize(
    "parts_them",
    [
        pytest.param(
            [PersonMerge(primary={"id": "1"}, secondary={"id": "9"})], id="a merge"
        ),
        pytest.param([person("2", email=ANN)], id="another id claims the address"),
        pytest.param([person("1", email=BOB)], id="another address"),
        pytest.param(
            [PersonIdentify(identifiers={"email": BOB}, attributes={"email": ANN})],
            id="a contradiction",
        ),
    ],
)
def test_an_id_stays_while_a_stream_holds_an_address_that_may_be_its_own(
    runs: Runs, parts_them: list[Operation]
) -> None:
    runs.load([person("1", email=ANN), person("5")])
    runs.load(parts_them, stream="others", ends={"full_table": False})
    runs.load([lead(ANN)], stream="leads")
    runs.load([person("5")])
    assert runs.remove()[0] == []


def test_it_goes_once_no_stream_holds_the_address(runs: Runs) -> None:
    runs.load([person("1", email=ANN), person("5")])
    merge = PersonMerge(primary={"id": "1"}, secondary={"id": "9"})
    runs.load([merge], stream="merges", ends={"full_table": False})
    runs.load([lead(ANN)], stream="leads")
    runs.load([person("5")])
    assert runs.remove()[0] == []
    runs.load([], stream="leads")
    assert runs.remove()[0] == deleted("1")


@pytest.mark.parametrize("claims", [ANN, BOB])
def test_the_id_that_got_an_address_stays_while_a_stream_holds_it(
    runs: Runs, claims: str
) -> None:
    runs.load([person("1", email=ANN)])
    runs.load([person("1", email=BOB), person("2", email=ANN)])
    runs.load([lead(claims)], stream="leads")
    runs.load([person("3")])
    kept = {"1"} if claims == BOB else {"1", "2"}
    assert runs.remove()[0] == deleted(*sorted({"1", "2"} - kept))
