"""Which people in a snapshot an operation concerns, and whether that is certain.

Sources: ``PUT /api/v1/customers/{identifier}`` (an identifier in the body finds the
person too; what is set cannot be changed, or only with a workspace setting; an address
belongs to one person) and the schema ``person_common``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from target_customerio.snapshot.entry import SUPPRESSED, UNLINKED, Entry
from target_customerio.snapshot.tables import PERSON
from target_customerio.track_api.operations import PHONE_SEPARATORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_customerio.snapshot.entries import Entries
    from target_customerio.snapshot.hashing import Hasher
    from target_customerio.track_api.operations import JSON, PersonIdentifiers


class PersonMatch(Struct, gc=False):
    """The people that an operation may concern.

    Attributes:
        entry: The entry of the person; None if the snapshot cannot tell who it is.
        is_certain: Whether the operation is known to concern this person and to be
            applied by Customer.io.
        is_contested: Whether identifiers may move between these people, so that all of
            them become unknown.
        others: Further people whom the operation may concern, and who become unknown.
        uncertain: Attributes that Customer.io may ignore.
        aliases: Identifiers of the person to store, as hashes.
        links: Whether the operation gives the person an ``id`` or an address.
        needs_link: Whether the operation concerns this person only if an unanswered
            one gives them the address.
        names_others: Whether the operation names each of the others by an identifier
            of their own.
    """

    entry: Entry | None
    is_certain: bool = True
    is_contested: bool = False
    others: tuple[Entry, ...] = ()
    uncertain: frozenset[str] = frozenset()
    aliases: tuple[int, ...] = ()
    links: bool = False
    needs_link: bool = False
    names_others: bool = False

    @property
    def everyone(self) -> tuple[Entry, ...]:
        """All people whom the operation may concern."""
        return self.others if self.entry is None else (self.entry, *self.others)

    @property
    def held(self) -> tuple[Entry, ...]:
        """The people whom the stream of the operation holds.

        When an address moves from one id to another, the record names the new id alone.
        """
        if self.entry is None or self.names_others:
            return self.everyone
        return (self.entry,)


_NO_ATTRIBUTES: Final[Mapping[str, JSON]] = {}
_NO_NAMES: Final[Mapping[str, int]] = {}
_EMPTY: Final = (None, "")
_SHARED: Final = ("phone", "anonymous_id")
"""Attributes that identify a person and that others may have as well."""


class PersonMatcher:
    """Finds people by the identifiers of operations."""

    def __init__(self, entries: Entries, hasher: Hasher) -> None:
        """Find people among entries."""
        self._entries = entries
        self._alias = hasher.alias

    def find(
        self,
        identifiers: PersonIdentifiers,
        attributes: Mapping[str, JSON] = _NO_ATTRIBUTES,
        names: Mapping[str, int] = _NO_NAMES,
    ) -> PersonMatch:
        """Return the people that an operation may concern, a new one if none is known.

        Args:
            identifiers: The person's identifier.
            attributes: The attributes, which may hold further ones.
            names: The numbers of attributes' names.
        """
        ((kind, value),) = identifiers.items()
        if kind == "id" and "id" not in attributes:
            known = self._known(value, attributes, names)
            if known is not None:
                return known
        ids = _texts(identifiers.get("id"), attributes.get("id"))
        emails = [
            each.lower()
            for each in _texts(identifiers.get("email"), attributes.get("email"))
            if "@" in each
        ]
        emails = [*dict.fromkeys(emails)]
        if kind == "cio_id":
            match = PersonMatch(None, is_certain=False, others=self._all(ids, emails))
        elif len(ids) > 1 or len(emails) > 1:
            match = self._of_several(ids, emails)
        elif kind in _SHARED:
            alias = self._alias(kind, normalized(kind, value))
            aliases = (alias, *(self._alias("email", each) for each in emails))
            match = self._by_alias(aliases, self._all(ids, emails))
            match.is_contested |= bool(ids or emails)
            match.is_certain &= not match.is_contested
        else:
            match = self._by_id_or_email(
                ids[0] if ids else None, emails[0] if emails else None
            )
        if attributes:
            self._check_attributes(match, identifiers, attributes)
        if any(each.flags & SUPPRESSED or each.suppressing for each in match.everyone):
            match.is_certain = False
        return match

    def named(
        self,
        identifiers: PersonIdentifiers,
        attributes: Mapping[str, JSON] = _NO_ATTRIBUTES,
    ) -> list[Entry]:
        """Return all known people who have one of the identifiers of an operation.

        Args:
            identifiers: The person's identifier.
            attributes: The attributes, which may hold further ones.
        """
        ((kind, value),) = identifiers.items()
        ids = _texts(identifiers.get("id"), attributes.get("id"))
        emails = [
            each.lower()
            for each in _texts(identifiers.get("email"), attributes.get("email"))
        ]
        people = {each.number: each for each in self._all(ids, emails)}
        if kind in _SHARED:
            for each in self._entries.by_alias(
                self._alias(kind, normalized(kind, value))
            ):
                people[each.number] = each
        return list(people.values())

    def _known(
        self, id_: str, attributes: Mapping[str, JSON], names: Mapping[str, int]
    ) -> PersonMatch | None:
        """Return the person with an ``id`` whose address is known to be the given one.

        An address becomes unknown as soon as another person claims it.
        """
        entry = self._entries.by_key(PERSON, id_)
        email = attributes.get("email")
        if (
            entry is None
            or not isinstance(email, str)
            or entry.other_key != email.lower()
            or names.get("email") not in entry.known()
            or entry.flags & SUPPRESSED
        ):
            return None
        person = PersonMatch(entry)
        if not attributes.keys().isdisjoint(_SHARED):
            self._check_attributes(person, {"id": id_}, attributes)
        return person

    def _all(self, ids: list[str], emails: list[str]) -> tuple[Entry, ...]:
        """Return everyone who has one of these identifiers."""
        found = [self._entries.by_key(PERSON, each) for each in ids]
        people = {each.number: each for each in found if each is not None}
        for email in emails:
            for each in self._with_email(email):
                people[each.number] = each
        return tuple(people.values())

    def _with_email(self, email: str) -> list[Entry]:
        return self._entries.by_email(email, self._alias("email", email))

    def _of_several(self, ids: list[str], emails: list[str]) -> PersonMatch:
        """Return the people of several ids or addresses, which may move between them.

        An entry without an ``id`` or address of its own claims all addresses.
        """
        everyone = self._all(ids, emails)
        claims = (each for each in everyone if each.is_nameless)
        person = next(claims, None) or self._entries.new(PERSON)
        others = tuple(each for each in everyone if each is not person)
        addresses = {
            *emails,
            *(each.other_key for each in others if isinstance(each.other_key, str)),
        }
        aliases = tuple(self._alias("email", each) for each in sorted(addresses))
        return PersonMatch(
            person,
            is_certain=False,
            is_contested=True,
            others=others,
            aliases=aliases,
            names_others=True,
        )

    def _by_alias(
        self, aliases: tuple[int, ...], named: tuple[Entry, ...]
    ) -> PersonMatch:
        """Return the people with a phone number or anonymous id.

        The match is certain for one person who has no other identifier.
        """
        found = {each.number: each for each in self._entries.by_alias(aliases[0])}
        found.update((each.number, each) for each in named)
        everyone = tuple(found.values())
        if not everyone:
            return PersonMatch(self._entries.new(PERSON), aliases=aliases)
        person, others = everyone[0], everyone[1:]
        is_own = not others and not named and person.is_nameless
        return PersonMatch(
            person,
            is_certain=is_own,
            is_contested=not is_own,
            others=others,
            aliases=aliases,
            names_others=bool(named),
        )

    def _by_id_or_email(self, id_: str | None, email: str | None) -> PersonMatch:
        person = None if id_ is None else self._entries.by_key(PERSON, id_)
        if email is None:
            return PersonMatch(person or self._entries.new(PERSON, id_))
        holders = [each for each in self._with_email(email) if each is not person]
        if person is not None and not holders:
            return self._with_first_email(person, email)
        if not holders:
            person = self._entries.new(PERSON, id_, email)
            person.flags |= UNLINKED
            return PersonMatch(person, links=True)
        if person is None and len(holders) == 1 and holders[0].other_key == email:
            return self._by_email(holders[0], id_)
        return self._contested(person, holders, id_, email)

    def _with_first_email(self, person: Entry, email: str) -> PersonMatch:
        alias = self._alias("email", email)
        is_first = person.other_key is None
        if is_first and not self._entries.has_other_alias(person, alias):
            person.other_key = email
            person.flags |= UNLINKED
            return PersonMatch(person, links=True)
        if person.other_key == email:
            return PersonMatch(person)
        # It keeps the first address, unless the workspace allows a change.
        person.flags |= UNLINKED
        is_stored = person.has_alias(alias, self._entries.by_alias(alias))
        return PersonMatch(
            person,
            uncertain=frozenset({"email"}),
            aliases=() if is_stored else (alias,),
        )

    def _by_email(self, person: Entry, id_: str | None) -> PersonMatch:
        """Return the only person with an address, and give them the ``id`` if any."""
        may_be_linked = person.linking and not person.unlinking
        if id_ is None and (person.is_linked or may_be_linked):
            return PersonMatch(person, needs_link=not person.is_linked)
        if id_ is not None and person.key is None:
            person.key = id_
            person.flags |= UNLINKED
            return PersonMatch(person, links=True)
        return self._contested(None, [person], id_, str(person.other_key))

    def _contested(
        self, person: Entry | None, holders: list[Entry], id_: str | None, email: str
    ) -> PersonMatch:
        """Return the people of an address that several have, or that moves."""
        if person is None and id_ is None:
            # The one who has no id, or who had the address first.
            known = [
                each for each in holders if each.other_key == email and each.is_linked
            ]
            known.sort(key=lambda each: each.key is not None)
            person = known[0] if known else None
        if person is None:
            person = self._entries.new(PERSON, id_, None if id_ else email)
        return PersonMatch(
            person,
            is_certain=False,
            is_contested=True,
            others=tuple(each for each in holders if each is not person),
            aliases=(self._alias("email", email),),
        )

    def _check_attributes(
        self,
        match: PersonMatch,
        identifiers: PersonIdentifiers,
        attributes: Mapping[str, JSON],
    ) -> None:
        """Note which identifiers among the attributes are uncertain or to be stored."""
        uncertain = {*match.uncertain}
        email = attributes.get("email")
        if "email" in attributes and not (isinstance(email, str) and "@" in email):
            has_email = match.entry is None or match.entry.other_key is not None
            if has_email or email not in _EMPTY:
                uncertain.add("email")
        if "id" in attributes and str(attributes["id"]) != identifiers.get("id"):
            uncertain.add("id")
        for kind in _SHARED:
            if kind in attributes:
                self._check_shared(kind, match, identifiers, attributes, uncertain)
        match.uncertain = frozenset(uncertain)

    def _check_shared(
        self,
        kind: str,
        match: PersonMatch,
        identifiers: PersonIdentifiers,
        attributes: Mapping[str, JSON],
        uncertain: set[str],
    ) -> None:
        value = attributes[kind]
        if kind in identifiers and value != identifiers[kind]:
            uncertain.add(kind)
        if value in _EMPTY or not isinstance(value, (str, int)):
            if match.entry is None or match.entry.is_nameless:
                uncertain.add(kind)
            return
        alias = self._alias(kind, normalized(kind, str(value)))
        known = self._entries.by_alias(alias)
        if kind == "anonymous_id" and any(each is not match.entry for each in known):
            uncertain.add(kind)  # only the first person gets it
        is_stored = match.entry is not None and match.entry.has_alias(alias, known)
        if not is_stored and alias not in match.aliases:
            match.aliases += (alias,)


def normalized(kind: str, value: str) -> str:
    """Return an identifier in the form in which identifiers are compared."""
    if kind == "email":
        return value.lower()
    return value.translate(PHONE_SEPARATORS) if kind == "phone" else value


def _texts(*values: JSON) -> list[str]:
    """Return the values that can be identifiers, as text, each once."""
    return [
        *dict.fromkeys(
            str(value)
            for value in values
            if isinstance(value, (str, int)) and value and value is not True
        )
    ]
