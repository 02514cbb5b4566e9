"""A snapshot makes no difference to what Customer.io has in the end."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from support.hypotheses import examples

from target_customerio.track_api.operations import (
    Device,
    DeviceToken,
    ObjectAddRelationships,
    ObjectDelete,
    ObjectDeleteRelationships,
    ObjectIdentify,
    ObjectIdentifyAnonymous,
    PersonAddDevice,
    PersonDelete,
    PersonDeleteDevice,
    PersonEvent,
    PersonIdentify,
    PersonMerge,
    PersonSuppress,
    PersonUnsuppress,
    Relationship,
    SegmentAdd,
    SegmentRemove,
)

from .world import CIO, Loader

if TYPE_CHECKING:
    import random
    from pathlib import Path


IDS = ("1", "2", "3")
EMAILS = ("ann@example.com", "Ann@example.com", "bob@example.org")
PHONES = ("+4915112345", "+4915167890")
SPELLINGS = (*PHONES, "+49 151 12345", None, "")
VISITORS = ("v", "w")

ids = st.sampled_from(IDS)
emails = st.sampled_from(EMAILS)
values = st.sampled_from((1, 2, None, "", "x", [1], Raw(b'{"a":\n1}')))
preferences = st.one_of(
    # The sandbox replaces topics that are sent as an object: all of them are sent.
    st.fixed_dictionaries({"a": st.booleans(), "b": st.booleans()}).map(
        lambda topics: {"cio_subscription_preferences": {"topics": topics}}
    ),
    st.booleans().map(lambda value: {"cio_subscription_preferences.topics.a": value}),
)
by_id = ids.map(lambda value: {"id": value})
by_email = emails.map(lambda value: {"email": value})
people = st.one_of(by_id, by_id, by_email)
everyone = st.one_of(
    people,
    st.sampled_from(PHONES).map(lambda value: {"phone": value}),
    ids.map(lambda value: {"cio_id": CIO + value}),
)
mergeable = st.one_of(people, ids.map(lambda value: {"cio_id": CIO + value}))
companies = st.sampled_from(("acme", "hooli")).map(
    lambda value: {"object_type_id": "1", "object_id": value}
)
plain = st.dictionaries(st.sampled_from("pq"), values, max_size=2)
attributes = st.fixed_dictionaries(
    {},
    optional={
        "p": values,
        "q": values,
        "email": st.one_of(emails, emails, st.sampled_from((None, "n/a"))),
        "phone": st.sampled_from(SPELLINGS),
        "id": st.one_of(ids, ids.map(int), st.none()),
        "anonymous_id": st.sampled_from(VISITORS),
        "_update": st.just(value=True),
    },
)
related_objects = st.lists(
    st.builds(Relationship, identifiers=companies, relationship_attributes=plain),
    min_size=1,
    max_size=1,
)
related_people = st.lists(
    st.builds(Relationship, identifiers=mergeable, relationship_attributes=plain),
    min_size=1,
    max_size=1,
)
by_visitor = st.sampled_from(VISITORS).map(lambda value: {"anonymous_id": value})
visitors = st.lists(
    st.builds(
        Relationship,
        identifiers=by_visitor,
        relationship_attributes=plain,
    ),
    min_size=1,
    max_size=1,
)
segment = st.sampled_from("12")
simple = st.builds(
    PersonIdentify,
    identifiers=people,
    attributes=st.fixed_dictionaries(
        {}, optional={"p": values, "q": values, "email": emails}
    ),
)
operations = st.one_of(
    simple,
    simple,
    simple,
    st.builds(PersonIdentify, identifiers=everyone, attributes=attributes),
    st.builds(PersonIdentify, identifiers=people, attributes=preferences),
    st.builds(
        PersonIdentify,
        identifiers=everyone,
        attributes=plain,
        timestamp=st.integers(1, 3),
    ),
    st.builds(
        PersonIdentify,
        identifiers=people,
        attributes=plain,
        cio_relationships=related_objects,
    ),
    st.builds(PersonDelete, identifiers=everyone),
    st.builds(PersonSuppress, identifiers=everyone),
    st.builds(PersonUnsuppress, identifiers=everyone),
    st.builds(PersonMerge, primary=mergeable, secondary=mergeable),
    st.builds(ObjectIdentify, identifiers=companies, attributes=plain),
    st.builds(
        ObjectIdentify,
        identifiers=companies,
        attributes=plain,
        cio_relationships=related_people,
    ),
    st.builds(
        ObjectIdentifyAnonymous,
        identifiers=companies,
        attributes=plain,
        cio_relationships=visitors,
    ),
    st.builds(
        ObjectAddRelationships, identifiers=companies, cio_relationships=related_people
    ),
    st.builds(
        ObjectDeleteRelationships,
        identifiers=companies,
        cio_relationships=related_people,
    ),
    st.builds(ObjectDelete, identifiers=companies),
    st.builds(SegmentAdd, segment_id=segment, identifiers=mergeable),
    st.builds(SegmentRemove, segment_id=segment, identifiers=mergeable),
    st.builds(
        PersonEvent,
        identifiers=st.one_of(everyone, by_visitor),
        name=st.just("e"),
        attributes=plain,
    ),
    st.builds(
        PersonAddDevice,
        identifiers=everyone,
        device=st.just(Device(token="t", platform="ios")),
    ),
    st.builds(
        PersonDeleteDevice,
        identifiers=everyone,
        device=st.just(DeviceToken(token="t")),
    ),
)
positions = st.frozensets(st.integers(0, 5), max_size=2)
runs = st.lists(
    st.fixed_dictionaries(
        {
            "operations": st.lists(operations, min_size=1, max_size=6),
            "window": st.integers(1, 4),
            "stream": st.sampled_from(("users", "leads")),
            "refresh": st.sampled_from((False, False, False, True)),
            "refused": positions,
            "given_up": positions,
            "unsendable": positions,
            "halved": st.booleans(),
            "kill_after": st.one_of(st.none(), st.integers(0, 12)),
            "again": st.booleans(),
        }
    ),
    min_size=1,
    max_size=4,
)

numbers = itertools.count()


def load(folder: Path, program: list[dict[str, Any]], **options: Any) -> None:
    loader = Loader(folder / f"{next(numbers)}.db", **options)
    for run in program:
        again = run["again"]
        options = {name: each for name, each in run.items() if name != "again"}
        for _ in range(1 + again):
            if not loader.run(**options):
                # A run that is killed is started again from the last STATE.
                assert loader.run(**{**options, "kill_after": None})
            loader.check()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snapshots")


@settings(max_examples=examples(400))
@given(
    program=runs,
    lag=st.integers(0, 2),
    email_updates=st.booleans(),
    draw=st.one_of(st.none(), st.randoms(use_true_random=False)),
)
def test_it_ends_as_without_a_snapshot(
    folder: Path,
    program: list[dict[str, Any]],
    lag: int,
    draw: random.Random | None,
    *,
    email_updates: bool,
) -> None:
    load(folder, program, lag=lag, email_updates=email_updates, draw=draw)
