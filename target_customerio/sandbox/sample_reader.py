"""Reads the people whom a run concerned, at its end, up to limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from target_customerio.sandbox.activity import ACTIVITY_REASONS, IDENTIFIER_CHANGE
from target_customerio.sandbox.sample import (
    Belonging,
    Change,
    Event,
    Ignored,
    IgnoredReason,
    People,
    Person,
)
from target_customerio.sandbox.workspace import (
    NotJSONError,
    decode,
    encode_text,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from target_customerio.track_api.operations import JSON

MAX_PEOPLE: Final = 200
"""Maximum people of a sample."""

MAX_TEXT: Final = 3_000_000
"""Characters of values after which no further person is read."""

MAX_VALUE: Final = 200
"""Maximum characters of a value."""

MAX_ATTRIBUTES: Final = 100
"""Maximum attributes of a person; changed ones come first."""

MAX_EVENTS: Final = 30
"""Maximum events of a person; the latest come first."""

MAX_OTHERS: Final = 20
"""Maximum devices, relationships, segments and ignored operations of a person."""

MAX_DETAILS: Final = 12
"""Maximum attributes of an event, a device or a relationship."""

MAX_EXAMPLES: Final = 3
"""Maximum examples of a reason for which something is ignored."""

_COUNTS: Final = "SELECT state, count(*) FROM concerned GROUP BY state"

_CHOSEN: Final = """
SELECT cio_id, state FROM concerned LEFT JOIN people USING (cio_id)
ORDER BY weight DESC, coalesce(id, email, phone) LIMIT :most
"""

_BEFORE: Final = """
SELECT id, email, phone, attributes FROM before
WHERE cio_id = :person AND attributes IS NOT NULL
"""

_AFTER: Final = "SELECT id, email, phone, attributes FROM people WHERE cio_id = :person"

_EVENT_COUNTS: Final = """
SELECT count(*), coalesce(sum(sequence > :events), 0) FROM events
WHERE cio_id = :person
"""

_EVENTS: Final = """
SELECT type, name, timestamp, received_at, attributes, sequence > :events FROM events
WHERE cio_id = :person
ORDER BY coalesce(timestamp, CAST(strftime('%s', received_at) AS INTEGER)) DESC,
  sequence DESC
LIMIT :most
"""

_BELONGINGS: Final = {
    "device": """
SELECT token, token, json_patch(json_object('platform', platform), attributes),
  received_at >= :since
FROM devices WHERE cio_id = :person ORDER BY last_used DESC, token LIMIT :most
""",
    "object": """
SELECT object_type_id || ':' || object_id,
  coalesce(json_extract(objects.attributes, '$.name'), object_id),
  relationships.attributes, relationships.received_at >= :since
FROM relationships JOIN objects USING (object_type_id, object_id)
WHERE cio_id = :person ORDER BY object_type_id, object_id LIMIT :most
""",
    "segment": """
SELECT CAST(segment_id AS TEXT), segment_id, '{}', received_at >= :since
FROM segment_members WHERE cio_id = :person ORDER BY segment_id LIMIT :most
""",
}
"""Id, name, attributes, and whether they came in this run."""

_GONE: Final = """
SELECT name FROM gone WHERE cio_id = :person AND kind = :kind ORDER BY name LIMIT :most
"""

_NOT_APPLIED: Final = f"sequence > :activity AND name <> '{IDENTIFIER_CHANGE}'"

_REASONS: Final = f"""
SELECT coalesce(reason, name), count(*) FROM activity
WHERE {_NOT_APPLIED} GROUP BY 1 ORDER BY 2 DESC, 1
"""  # noqa: S608 - constants

_IGNORED: Final = f"""
SELECT coalesce(reason, name), person, field, value FROM activity
WHERE {_NOT_APPLIED} AND (cio_id = :person OR coalesce(reason, name) = :reason)
ORDER BY sequence LIMIT :most
"""  # noqa: S608 - constants


class SampleReader:
    """Reads people by the notes of an observation."""

    def __init__(
        self, database: sqlite3.Connection, start: Mapping[str, int | str]
    ) -> None:
        """Read nothing yet.

        Args:
            database: The workspace, with the temporary tables of the observation.
            start: Where the run began: ``since``, its time, and the last rows before it
                in ``events`` and ``activity``.
        """
        self._database = database
        self._start = start
        self._characters = 0

    def people(self) -> People:
        """Return the people whom the run concerned."""
        counts = dict(self._rows(_COUNTS))
        chosen = self._rows(_CHOSEN, most=MAX_PEOPLE)
        sample = sorted(self._sample(chosen), key=_happened, reverse=True)
        return People(counts, tuple(sample), tuple(self._reasons()))

    def _rows(self, statement: str, **values: object) -> list[Any]:
        return self._database.execute(statement, {**self._start, **values}).fetchall()

    def _sample(self, chosen: Sequence[tuple[str, str]]) -> Iterator[Person]:
        for cio_id, state in chosen:
            if self._characters > MAX_TEXT:
                return
            yield self._person(cio_id, state)

    def _person(self, cio_id: str, state: str) -> Person:
        after = self._attributes(_AFTER, cio_id)
        before = after if state == "unchanged" else self._attributes(_BEFORE, cio_id)
        changes = sorted(
            self._changes(before, after), key=lambda each: not each.is_change
        )
        known = after or before
        name = known.get("email") or known.get("id") or known.get("phone") or cio_id
        ((all_events, new_events),) = self._rows(_EVENT_COUNTS, person=cio_id)
        return Person(
            name=self._text(name),
            state=state,
            attributes=changes[:MAX_ATTRIBUTES],
            more_attributes=max(0, len(changes) - MAX_ATTRIBUTES),
            events=tuple(self._events(cio_id)),
            all_events=all_events,
            new_events=new_events,
            objects=tuple(self._belongings(cio_id, "object")),
            devices=tuple(self._belongings(cio_id, "device")),
            segments=tuple(self._belongings(cio_id, "segment")),
            ignored=tuple(self._ignored(MAX_OTHERS, person=cio_id)),
        )

    def _attributes(self, statement: str, cio_id: str) -> dict[str, JSON]:
        """Return identifiers and attributes of a person; empty if unknown."""
        rows = self._rows(statement, person=cio_id)
        if not rows:
            return {}
        *identifiers, attributes = rows[0]
        found = dict(zip(("id", "email", "phone"), identifiers, strict=True))
        return {
            **{name: value for name, value in found.items() if value is not None},
            **_decoded(attributes),
        }

    def _changes(
        self, before: Mapping[str, JSON], after: Mapping[str, JSON]
    ) -> Iterator[Change]:
        for name in {**after, **before}:
            yield Change(
                self._text(name),
                self._text(before[name]) if name in before else None,
                self._text(after[name]) if name in after else None,
                is_change=before.get(name) != after.get(name),
            )

    def _events(self, cio_id: str) -> Iterator[Event]:
        rows = self._rows(_EVENTS, person=cio_id, most=MAX_EVENTS)
        for kind, name, timestamp, received_at, attributes, is_new in rows:
            yield Event(
                kind,
                self._text(name or kind),
                received_at if timestamp is None else timestamp,
                self._details(attributes),
                is_new=bool(is_new),
            )

    def _belongings(self, cio_id: str, kind: str) -> Iterator[Belonging]:
        present: set[str] = set()
        rows = self._rows(_BELONGINGS[kind], person=cio_id, most=MAX_OTHERS)
        for key, name, attributes, is_new in rows:
            present.add(key)
            details = self._details(attributes)
            if key != str(name):
                details = {"id": self._text(key), **details}
            yield Belonging(self._text(name), details, "new" if is_new else "kept")
        gone = self._rows(_GONE, person=cio_id, kind=kind, most=MAX_OTHERS)
        for (name,) in gone:
            if name not in present:
                yield Belonging(self._text(name), {}, "gone")

    def _reasons(self) -> Iterator[IgnoredReason]:
        for reason, count in self._rows(_REASONS):
            examples = tuple(self._ignored(MAX_EXAMPLES, reason=reason))
            meaning = ACTIVITY_REASONS.get(reason, "")
            yield IgnoredReason(reason, meaning, count, examples)

    def _ignored(
        self, most: int, *, person: str | None = None, reason: str | None = None
    ) -> Iterator[Ignored]:
        """Yield what was ignored of a person, or for a reason."""
        rows = self._rows(_IGNORED, person=person, reason=reason, most=most)
        for why, *rest in rows:
            yield Ignored(why, *(self._text(each or "") for each in rest))

    def _details(self, attributes: str) -> dict[str, str]:
        decoded = _decoded(attributes)
        return {
            self._text(name): self._text(decoded[name])
            for name in [*decoded][:MAX_DETAILS]
        }

    def _text(self, value: JSON) -> str:
        """Return a value as text; the beginning of a long one."""
        text = value if isinstance(value, str) else encode_text(value)
        if len(text) > MAX_VALUE:
            text = f"{text[:MAX_VALUE]}… ({len(text):,} characters)"
        self._characters += len(text)
        return text


def _happened(person: Person) -> int:
    """Return how much happened to a person: what the page counts beside the name."""
    changes = sum(each.is_change for each in person.attributes)
    return (
        (changes if person.state == "changed" else 0)
        + person.new_events
        + len(person.ignored)
    )


def _decoded(text: str) -> dict[str, JSON]:
    try:
        decoded: dict[str, JSON] = decode(text)
    except NotJSONError:  # nested deeper than this program reads
        return {}
    return decoded
