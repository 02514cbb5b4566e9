"""Made-up records, the same for every contender and every run."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SEED = 20260301
STARTED = datetime(2026, 5, 1, tzinfo=timezone.utc)
ITEM_BYTES = 110
PLAIN_BYTES = 300
"""Approximate size of a record without items."""

DETAILS: dict[str, Any] = {
    "order_id": {"type": "string"},
    "total": {"type": "number"},
    "currency": {"type": "string"},
    "quantity": {"type": "integer"},
    "is_gift": {"type": "boolean"},
    "coupon": {"type": ["string", "null"]},
    "due_at": {"type": "string", "format": "date-time"},
    "items": {"type": "array", "items": {"type": "object"}},
}
TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
SHARES = {
    "tracks": 50,
    "identifies": 20,
    "pages": 12,
    "screens": 8,
    "groups": 8,
    "aliases": 2,
}
"""The percentage of each call in the mix."""

OWN_FIELDS: dict[str, tuple[str, ...]] = {
    "tracks": ("userId", "event"),
    "identifies": ("userId",),
    "pages": ("userId", "name"),
    "screens": ("userId", "name"),
    "groups": ("userId", "groupId"),
    "aliases": ("userId", "previousId"),
}
SNAKE_CASE = {
    "messageId": "message_id",
    "userId": "user_id",
    "groupId": "group_id",
    "previousId": "previous_id",
}
CONTAINERS = {"identifies": "traits", "groups": "traits", "aliases": None}
"""The container of a call's details; ``properties`` for any other call."""


@dataclass(frozen=True)
class Load:
    """The input of a contender.

    Attributes:
        count: The number of records.
        size: Approximate bytes of a record.
        calls: Events alone; all six calls; group calls; or group calls without traits,
            which are memberships.
        rows: Details in one container, or in a column each.
        people: How many people the records are about; ``None``: another in each.
        companies: How many companies the group calls are about; ``None``: another in
            each.
        exponent: The exponent of Zipf's law, by which some people come more often.
    """

    count: int
    size: int = 500
    calls: Literal["track", "mixed", "group", "membership"] = "track"
    rows: Literal["nested", "flat"] = "nested"
    people: int | None = 50_000
    companies: int | None = 1_000
    exponent: float = 0

    @property
    def name(self) -> str:
        """The name of the load's file."""
        shape = f"{self.calls}-{self.rows}-{self.size}"
        keys = f"{self.people}-{self.companies}-{self.exponent}"
        return f"{shape}-{keys}-{self.count}.singer"

    def write(self, folder: Path) -> Path:
        """Write the load as Singer messages, unless the file exists."""
        path = folder / self.name
        if not path.exists():
            write_lines(path, chain(self.schemas(), self.messages()))
        return path

    def schemas(self) -> list[dict[str, Any]]:
        """Make the SCHEMA messages of all the streams."""
        return [
            {
                "type": "SCHEMA",
                "stream": stream,
                "key_properties": [self.column("messageId")],
                "schema": {"type": "object", "properties": self._columns_of(stream)},
            }
            for stream in self.streams
        ]

    def messages(self) -> Iterator[dict[str, Any]]:
        """Make the RECORD messages, and a STATE message after every thousandth."""
        draw = random.Random(SEED)
        shares = [SHARES[stream] for stream in self.streams]
        for number in range(self.count):
            stream = self.streams[0]
            if len(shares) > 1:
                (stream,) = draw.choices(self.streams, shares)
            record = self._record(stream, number, draw)
            yield {"type": "RECORD", "stream": stream, "record": record}
            if number % 1_000 == 999:
                yield {"type": "STATE", "value": {"bookmarks": {"at": number}}}

    def busiest(self, folder: Path) -> int:
        """Count the operations of the person or company that has most of them.

        Memberships of different people need no order, so they count for people alone.
        """
        keys = ("userId",) if self.calls == "membership" else ("userId", "groupId")
        columns = "|".join(map(self.column, keys))
        named = re.compile(rf'"(?:{columns})":"([^"]+)')
        with self.write(folder).open(encoding="utf-8") as lines:
            counts = Counter(name for line in lines for name in named.findall(line))
        return max(counts.values(), default=0)

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams of the load."""
        if self.calls == "mixed":
            return tuple(SHARES)
        return ("tracks",) if self.calls == "track" else ("groups",)

    def column(self, field: str) -> str:
        """Return the column of a field."""
        return field if self.rows == "nested" else SNAKE_CASE.get(field, field)

    def _columns_of(self, stream: str) -> dict[str, Any]:
        fields = {
            self.column(name): TEXT for name in ("messageId", *OWN_FIELDS[stream])
        }
        fields["timestamp"] = TIME
        return {**fields, **self._laid_out(stream, DETAILS, as_schema=True)}

    def _record(self, stream: str, number: int, draw: random.Random) -> dict[str, Any]:
        person = self._person(number, draw)
        company = number if self.companies is None else person % self.companies
        values = {
            "userId": f"person-{person:08}",
            "event": "Order Completed",
            "name": f"Product {person % 100}",
            "groupId": f"company-{company:06}",
            "previousId": f"visitor-{number:08}",
        }
        moment = STARTED + timedelta(milliseconds=number * 1_337)
        return {
            self.column("messageId"): f"made-up-{draw.getrandbits(96):024x}",
            **{self.column(name): values[name] for name in OWN_FIELDS[stream]},
            "timestamp": moment.isoformat(timespec="milliseconds")[:-6] + "Z",
            **self._laid_out(stream, self._details(number, moment, draw)),
        }

    def _person(self, number: int, draw: random.Random) -> int:
        if self.people is None:
            return number
        if self.exponent:
            weights = _zipf(self.people, self.exponent)
            return draw.choices(range(self.people), cum_weights=weights)[0]
        return draw.randrange(self.people)

    def _details(
        self, number: int, moment: datetime, draw: random.Random
    ) -> dict[str, Any]:
        details = {
            "order_id": f"order-{number:010}",
            "total": int(draw.random() * 10_000) / 100,
            "currency": "EUR",
            "quantity": 1 + int(draw.random() * 8),
            "is_gift": draw.random() < 0.1,
            "coupon": None,
            "due_at": (moment + timedelta(days=14)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        items = [
            {
                "sku": f"sku-{int(draw.random() * 10**6):06}",
                "name": "A thing of some length",
                "price": int(draw.random() * 10_000) / 100,
                "quantity": 1 + int(draw.random() * 8),
                "colours": ["red", "green"],
            }
            for _ in range(round((self.size - PLAIN_BYTES) / ITEM_BYTES))
        ]
        return {**details, "items": items} if items else details

    def _laid_out(
        self, stream: str, details: dict[str, Any], *, as_schema: bool = False
    ) -> dict[str, Any]:
        container = CONTAINERS.get(stream, "properties")
        if container is None or self.calls == "membership":
            return {}
        if self.rows == "flat":
            return details
        if as_schema:
            return {container: {"type": "object", "properties": details}}
        return {container: details}


def write_lines(path: Path, messages: Iterable[dict[str, Any]]) -> None:
    """Write Singer messages, a line each."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        file.writelines(encode(message) + b"\n" for message in messages)


@cache
def _zipf(people: int, exponent: float) -> list[float]:
    """Return the cumulative weights of people by Zipf's law."""
    return list(accumulate(1 / rank**exponent for rank in range(1, people + 1)))
