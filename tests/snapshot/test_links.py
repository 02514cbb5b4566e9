"""What names one person: order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.track_api.operations import (
    ObjectIdentify,
    PersonEvent,
    PersonIdentify,
    Relationship,
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


