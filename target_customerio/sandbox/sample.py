"""A sample of the people whom a run concerned, before and after it, for the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Change:
    """An attribute before and after the run.

    Attributes:
        name: Its name.
        before: Its value as text, the beginning of a long one; ``None`` if it did not
            exist.
        after: The same after the run.
        is_change: Whether the run changed it; long values may differ where they are
            not shown.
    """

    name: str
    before: str | None
    after: str | None
    is_change: bool


@dataclass(frozen=True)
class Event:
    """An event, page view or screen view.

    Attributes:
        kind: ``event``, ``page``, ``screen`` or a report on content.
        name: Its name.
        timestamp: When it happened, in Unix seconds; if that was not sent, when it was
            received, as ISO text.
        details: Its attributes, as text.
        is_new: Whether it came in this run.
    """

    kind: str
    name: str
    timestamp: int | str
    details: Mapping[str, str]
    is_new: bool


@dataclass(frozen=True)
class Belonging:
    """Something that belongs to a person: a device, an object or a segment.

    Attributes:
        name: Its name or id.
        details: Its attributes, as text.
        state: ``new`` in this run, ``kept``, or ``gone`` (removed in this run).
    """

    name: str
    details: Mapping[str, str]
    state: str


@dataclass(frozen=True)
class Ignored:
    """Something that Customer.io accepts and does not apply."""

    reason: str
    person: str
    field: str
    value: str


@dataclass(frozen=True)
class IgnoredReason:
    """How often something was ignored for a reason.

    Attributes:
        reason: The reason.
        meaning: The reason in words.
        count: How often.
        examples: Some of the cases.
    """

    reason: str
    meaning: str
    count: int
    examples: Sequence[Ignored]


@dataclass(frozen=True)
class Person:
    """A person whom the run concerned.

    Attributes:
        name: E-mail address, else id, else phone.
        state: ``created``, ``changed``, ``unchanged`` or ``removed``.
        attributes: Identifiers and attributes, those that changed first.
        more_attributes: How many are left out.
        events: The latest events.
        all_events: How many events there are.
        new_events: How many of them came in this run.
        objects: Objects such as companies.
        devices: Devices for push messages.
        segments: Manual segments.
        ignored: What Customer.io would not apply.
    """

    name: str
    state: str
    attributes: Sequence[Change]
    more_attributes: int = 0
    events: Sequence[Event] = ()
    all_events: int = 0
    new_events: int = 0
    objects: Sequence[Belonging] = ()
    devices: Sequence[Belonging] = ()
    segments: Sequence[Belonging] = ()
    ignored: Sequence[Ignored] = ()


@dataclass(frozen=True)
class People:
    """The people whom a run concerned.

    Attributes:
        counts: How many were ``created``, ``changed``, ``unchanged`` and ``removed``.
        sample: Some of them; those with the most changes and events first.
        ignored: What Customer.io would accept and not apply, by reason.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    sample: Sequence[Person] = ()
    ignored: Sequence[IgnoredReason] = ()
