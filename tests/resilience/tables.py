"""Tables whose values go back and forth from one run to the next.

What a table leaves in a workspace depends on nothing that was there before: it has
always the same people, companies, relationships and memberships, and the last good row
of each names all of their attributes. So after a run to the end, the workspace is that
of the last table alone, however many runs were killed before.

The first stream names the id and the address of each person, the others one of them by
chance. In later runs its rows may be left out as unchanged, or precede the last STATE:
then only the snapshot knows that both are one person.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from support.singer import record, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.singer import Message

PEOPLE = 120
COMPANIES = 15
TOO_LONG = "x" * 1001
"""A value that Customer.io refuses."""

SCHEMAS = [
    schema("users", {"user_id": {}, "email": {}}, ["user_id"]),
    schema("crm", {"user_id": {}}, ["user_id"]),
    schema("companies", {"group_id": {}, "user_id": {}}, ["group_id", "user_id"]),
    schema("members", {"segment_id": {}, "user_id": {}}, ["user_id"]),
    schema("leads", {"user_id": {}}, ["user_id"]),
    schema("opened", {"user_id": {}, "event": {}}, ["user_id"]),
]
STREAM_CALLS = {
    "users": "identify",
    "crm": "identify",
    "companies": "group",
    "members": "segment",
    "leads": "identify",
    "opened": "track",
}


class Table:
    """The rows of one run."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.records: list[Message] = []
        people = [*range(PEOPLE)]
        self.draw.shuffle(people)
        for number in people:
            self._person(number)
        for number in people:
            for add in self.draw.sample((self._lead, self._crm), 2):
                add(number)
        for number in people:
            self._device(number)
        for number in people:
            self._company(number)
        for number in range(0, PEOPLE, 3):
            self._add("members", segment_id=7, user_id=self._name(number))

    def messages(self, position: int, states: random.Random) -> Iterator[Message]:
        """Yield the records after a position, with STATE at random intervals."""
        yield from SCHEMAS
        pause = states.randint(5, 60)
        for number, each in enumerate(self.records[position:], position + 1):
            yield each
            pause -= 1
            if pause == 0 or number == len(self.records):
                yield state({"bookmarks": {}, "sent": number})
                pause = states.randint(5, 60)

    def _person(self, number: int) -> None:
        row = self._row(number)
        chance = self.draw.random()
        if chance < 0.15:
            self._add("users", **self._row(number))  # there and back
        elif chance < 0.25:
            self._add("users", **{**row, "bio": TOO_LONG})
        elif chance < 0.3:
            gone = "2026-01-01T00:00:00Z"
            self._add("users", user_id=number, _sdc_deleted_at=gone)
        self._add("users", **row)

    def _row(self, number: int) -> dict[str, Any]:
        pick = self.draw.choice
        return {
            "user_id": number,
            "email": f"p{number}@example.com",
            "plan": pick(("free", "plus", None)),
            "seats": pick((1, 2)),
            "bio": pick(("short", None)),
            "unsubscribed": pick((True, False)),
            "cio_subscription_preferences": {
                "topics": {name: pick((True, False)) for name in ("t1", "t2")}
            },
        }

    def _crm(self, number: int) -> None:
        pick = self.draw.choice
        row = {"user_id": number, "plan": pick(("free", "plus")), "stage": pick("xy")}
        if self.draw.random() < 0.15:
            self._add("crm", **{**row, "bio": TOO_LONG})
        self._add("crm", **row)

    def _name(self, number: int) -> int | str:
        return self.draw.choice((number, f"p{number}@example.com"))

    def _lead(self, number: int) -> None:
        """Name a person by address, with an attribute that another stream sets too."""
        pick = self.draw.choice
        row = {"user_id": f"p{number}@example.com", "stage": pick("xy")}
        if self.draw.random() < 0.15:
            self._add("leads", **{**row, "bio": TOO_LONG})
        self._add("leads", **row, source=pick(("fair", "ad")))

    def _device(self, number: int) -> None:
        """Add and delete a device, by id or address; at the end it is there or not."""
        device = {"context_device_token": f"{number}:APA91"}
        for event in self.draw.sample(("Application Opened", "Device Deleted"), 2):
            self._add("opened", user_id=self._name(number), event=event, **device)

    def _company(self, number: int) -> None:
        pick = self.draw.choice
        company = number % COMPANIES
        row = {
            "group_id": company,
            "user_id": self._name(number),
            "tier": company % 2,
        }
        role = {"role": pick(("owner", "buyer"))}
        self._add("companies", **row, relationship_attributes=role)
        if number < COMPANIES:
            self._add("companies", group_id=company, size=pick((1, 2)))

    def _add(self, stream: str, **row: Any) -> None:
        self.records.append(record(stream, **row))
