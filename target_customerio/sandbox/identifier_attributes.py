"""Identifiers among a person's attributes: ``id``, ``email``, ``phone``, ..."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_customerio.sandbox.activity import (
    INVALID_EMAIL,
    identifier_fixed,
    identifier_taken,
)
from target_customerio.sandbox.identity import (
    display_name,
    find,
    normalize,
    set_identifier,
)
from target_customerio.sandbox.objects import anonymous, move_relationships
from target_customerio.sandbox.values import is_empty

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_customerio.sandbox.activity import Activity
    from target_customerio.sandbox.store import Transaction
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        PersonIdentifiers,
    )


_EMAIL = re.compile(r".+@.+", re.DOTALL)


@dataclass
class Person:
    """A row of ``people``, and the identifier that the operation used."""

    cio_id: str
    identifiers: PersonIdentifiers
    id: str | None
    email: str | None
    phone: str | None
    attributes: Attributes
    updated_at: int | None

    @property
    def identified_by(self) -> str:
        """The kind of identifier that the operation used."""
        return next(iter(self.identifiers))

    def would_lose_last_identifier(self, new: str | None) -> bool:
        """Return whether replacing an identifier with ``new`` leaves none."""
        return new is None and sum(map(bool, (self.id, self.email, self.phone))) == 1


def apply_identifier(
    transaction: Transaction, person: Person, name: str, value: JSON
) -> bool:
    """Set an attribute that is an identifier, if the person may have it.

    Returns whether the value is (also) stored as an ordinary attribute.
    """
    setter = _SETTERS.get(name)
    return setter is None or setter(transaction, person, name, value)


def _set_id(transaction: Transaction, person: Person, kind: str, value: JSON) -> bool:
    """Set an ``id`` or e-mail address that is unset and belongs to nobody else.

    Source: "If you want to update a person's identifiers after they are set, you must
    reference them using their ``cio_id``", except an ``email`` if the workspace allows
    updates by ``id``. An identifier of another person produces an *Attribute Update
    Failure*. A person's last identifier cannot be removed.
    """
    present = getattr(person, kind)
    new = None if is_empty(value) else str(value)
    if _is_same(kind, present, new):
        return False
    holder = find(transaction, kind, new) if new else None
    if holder:
        _log(transaction, identifier_taken(kind), person, kind, new, holder)
    elif present and not _may_change(transaction, person, kind, new):
        _log(transaction, identifier_fixed(kind), person, kind, new)
    else:
        set_identifier(transaction, person.cio_id, kind, new)
        setattr(person, kind, new)
    return False


def _set_email(
    transaction: Transaction, person: Person, kind: str, value: JSON
) -> bool:
    """Set an e-mail address; a value that cannot be one is logged and ignored.

    The description does not say what Customer.io does with such a value. Two people
    with the same value, such as "n/a", must not become one.
    """
    if is_empty(value) or is_email(value):
        return _set_id(transaction, person, kind, value)
    _log(transaction, INVALID_EMAIL, person, kind, str(value))
    return False


def is_email(value: JSON) -> bool:
    """Return whether a value has the form that all e-mail addresses have."""
    return isinstance(value, str) and bool(_EMAIL.fullmatch(value))


def _may_change(
    transaction: Transaction, person: Person, kind: str, new: str | None
) -> bool:
    """Return whether the operation may change or remove an identifier that is set."""
    if person.identified_by == "cio_id":
        return not person.would_lose_last_identifier(new)
    return (
        transaction.email_updates
        and kind == "email"
        and person.identified_by == "id"
        and new is not None
    )


def _set_phone(
    transaction: Transaction, person: Person, kind: str, value: JSON
) -> bool:
    """Set a phone number, which several people may share and which can be changed.

    The operation that identifies the person by phone cannot change it.
    """
    new = None if is_empty(value) else str(value)
    if new == person.phone:
        return False
    if person.identified_by == "phone" or person.would_lose_last_identifier(new):
        _log(transaction, identifier_fixed(kind), person, kind, new)
    else:
        set_identifier(transaction, person.cio_id, kind, new)
        person.phone = new
    return False


def _set_anonymous_id(
    transaction: Transaction, person: Person, kind: str, value: JSON
) -> bool:
    """Link an ``anonymous_id`` to the first person who gets it.

    Source: schema ``anonymous_id``: "must be unique and is not reusable".
    """
    if is_empty(value):
        return True
    anonymous_id = str(value)
    holder = find(transaction, kind, anonymous_id)
    if holder is None:
        _link_anonymous_id(transaction, anonymous_id, person.cio_id)
    elif holder != person.cio_id:
        _log(transaction, identifier_taken(kind), person, kind, anonymous_id, holder)
        return False
    return True


def _link_anonymous_id(
    transaction: Transaction, anonymous_id: str, person: str
) -> None:
    """Give a person the events and relationships of an ``anonymous_id``.

    Source: schemas ``anonymous_id`` (events) and ``object_identify_anonymous``
    (relationships). The age of the events does not matter here.
    """
    transaction.database.execute(
        "INSERT INTO anonymous_ids VALUES (?, ?)", (anonymous_id, person)
    )
    transaction.database.execute(
        "UPDATE events SET cio_id = ? WHERE anonymous_id = ?", (person, anonymous_id)
    )
    move_relationships(transaction, anonymous(anonymous_id), person)


def _log(
    transaction: Transaction,
    activity: Activity,
    person: Person,
    kind: str,
    value: str | None,
    holder: str | None = None,
) -> None:
    """Log an identifier that a person did not get."""
    transaction.log_activity(
        activity,
        person.identifiers,
        kind,
        value,
        cio_id=person.cio_id,
        holder=holder and display_name(transaction, holder),
    )


def _is_same(kind: str, present: str | None, new: str | None) -> bool:
    if not present or not new:
        return present == new
    return normalize(kind, present) == normalize(kind, new)


_SETTERS: dict[str, Callable[[Transaction, Person, str, JSON], bool]] = {
    "id": _set_id,
    "email": _set_email,
    "phone": _set_phone,
    "anonymous_id": _set_anonymous_id,
}
