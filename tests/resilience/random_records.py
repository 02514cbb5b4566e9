"""A long stream of random records of every kind that is safe to replay.

After a crash, everything since the last STATE is sent again, although some or all of it
has been applied. For this stream that makes no difference: events have ids, and the
last value of an attribute, a relationship or a device wins. Records for which a replay
makes a difference in Customer.io itself, whatever the target does, are left out:

* An event of a person after that person was deleted or suppressed. Replayed, the
  deletion takes the event with it, and Customer.io, which remembers the event's id,
  does not take the event again. (People do come back after a deletion, with attributes,
  devices and relationships.)
* A record of a person who is suppressed and later unsuppressed. It was ignored, but
  replayed after the unsuppression it is not. (Records of people who stay suppressed are
  included.)
* A record of a person who was merged into another. Replayed, the merge would take what
  that record made as well. For the same reason the primary of a merge exists before
  it, is in no merge as a secondary, and is never deleted, and what it has taken over
  (attributes, an object of the secondary's own) is never removed from it.
* Updates of one person with and without timestamps. Replayed, an update without one
  wins over an older one with one, which Customer.io ignores the second time. (Updates
  that come later than newer ones are there.)
* An e-mail address for people who are deleted. Replayed, the address creates another
  person before the deletion by id.
* A device that belongs to two people, a phone number that two people are identified by,
  and an anonymous visitor's relationship with an object that the person has one with
  already: their order among several people is not guaranteed.
* A change from one identifier of a person (id or e-mail address) to the other without
  an identify that names both in between, except for events and relationships. After a
  restart the target does not know that the two belong to the same person.
* A request that is applied only after the client has abandoned and retried it.

Delivery reports have no id, so one that is sent again counts twice; they are compared
as a set.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from support.singer import record, schema, state
from ulid import ULID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.singer import Message

START = 1_760_000_000
TEXT = {"type": ["string", "null"]}
OPEN = {"type": ["object", "null"]}
COMMON = {
    "messageId": TEXT,
    "userId": TEXT,
    "anonymousId": TEXT,
    "timestamp": TEXT,
    "context": OPEN,
}
SCHEMAS = [
    schema("identifies", {**COMMON, "traits": OPEN}, ["messageId"]),
    schema(
        "crm.identify",
        {
            "user_id": TEXT,
            "plan": TEXT,
            "credit": {"type": ["number", "null"]},
            "seen_at": {"type": ["string", "null"], "format": "date-time"},
            "timestamp": TEXT,
            "_sdc_deleted_at": TEXT,
        },
        ["user_id"],
    ),
    schema("tracks", {**COMMON, "event": TEXT, "properties": OPEN}, ["messageId"]),
    schema("pages", {**COMMON, "name": TEXT, "properties": OPEN}, ["messageId"]),
    schema("screens", {**COMMON, "name": TEXT, "properties": OPEN}, ["messageId"]),
    schema("groups", {**COMMON, "groupId": TEXT, "traits": OPEN}, ["messageId"]),
    schema("aliases", {**COMMON, "previousId": TEXT}, ["messageId"]),
]
COMPANIES = 400
HOT_COMPANIES = 5
CITIES = ("Cork", "Graz", "Łódź", "Umeå", "Győr", "東京")
PLANS = ("free", "plus", "business", None)

Name = Literal["id", "email"]


@dataclass
class Person:
    """A person and what was sent about them."""

    number: int
    kind: str
    stamped: bool = False
    known: bool = False
    named: Name = "id"
    gone: bool = False
    deletions: int = 0
    visits: int = 0
    joined: bool = False
    events: list[int] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def email(self) -> str:
        return f"{self.kind}.{self.number}@example.com"

    @property
    def visitor(self) -> str:
        return f"visitor-of-{self.id}"

    def name(self, kind: Name) -> str:
        return self.id if kind == "id" else self.email


class RandomRecords:
    """The records, and the events expected in the workspace at the end."""

    def __init__(self, seed: int, size: int) -> None:
        self.seed = seed
        self.draw = random.Random(seed)
        self.records: list[Message] = []
        self.stamped_records = 0
        self.rejected = 0
        self.devices = Counter[str]()
        self.events: set[int] = set()
        """The numbers of the events expected at the end."""
        people = max(60, size // 40)
        self.regulars = self._people_of("regular", people * 3 // 4)
        self.leads = self._people_of("lead", people * 2 // 5)
        self.leavers = self._people_of("leaver", people // 12)
        self.suppressed = self._people_of("suppressed", people // 16)
        self.pardoned = self._people_of("pardoned", people // 20)
        self.callers = self._people_of("caller", people // 25)
        self.hot = self.regulars[:10]
        self._generate(size)

    @property
    def people(self) -> int:
        return sum(
            len(each)
            for each in (
                self.regulars,
                self.leads,
                self.leavers,
                self.suppressed,
                self.pardoned,
                self.callers,
            )
        )

    def messages(self, position: int, states: random.Random) -> Iterator[Message]:
        """Yield the records after a position, with STATE at random intervals.

        Args:
            position: Number of records before the last STATE.
            states: Random source of the intervals.

        Yields:
            Singer messages.
        """
        yield from SCHEMAS
        pause = states.randint(50, 200)
        for number, each in enumerate(self.records[position:], position + 1):
            yield each
            pause -= 1
            if pause == 0 or number == len(self.records):
                yield state({"sent": number})
                pause = states.randint(50, 200)

    def _people_of(self, kind: str, count: int) -> list[Person]:
        return [
            Person(number, kind, stamped=number % 2 == 0) for number in range(count)
        ]

    def _generate(self, size: int) -> None:
        kinds: list[tuple[Callable[[], None], int]] = [
            (self._regular, 700),
            (self._lead, 90),
            (self._leaver, 60),
            (self._suppressed, 30),
            (self._pardoned, 30),
            (self._caller, 15),
            (self._object, 40),
            (self._report, 3),
            (self._mistake, 20),
        ]
        generators, weights = zip(*kinds, strict=True)
        while len(self.records) < size:
            (generate,) = self.draw.choices(generators, weights)
            generate()

    @property
    def _n(self) -> int:
        return len(self.records)

    def _add(self, stream: str, **content: Any) -> None:
        if stream != "crm.identify":
            ulid = ULID.from_bytes(self.draw.randbytes(16))
            ulids = self._n % 3
            content["messageId"] = str(ulid) if ulids else f"{self.seed}-m-{self._n}"
        self.records.append(record(stream, **content))

    def _time(self, *, late: bool = False) -> str:
        seconds = START + self._n - (self.draw.randint(1, 5000) if late else 0)
        moment = datetime.fromtimestamp(seconds, timezone.utc)
        return moment.isoformat(timespec="milliseconds")

    # What people do

    def _identify(self, person: Person, **traits: Any) -> None:
        when = {}
        if person.stamped:
            late = person.kind == "regular" and self.draw.random() < 0.1
            when["timestamp"] = self._time(late=late)
            self.stamped_records += 1
        who = person.name(person.named)
        self._add("identifies", userId=who, traits=traits, **when)

    def _traits(self) -> dict[str, Any]:
        every = {
            "plan": self.draw.choice(PLANS),
            "credit": self.draw.choice([None, 0, 12345678901234567890, 1.10, ""]),
            "city": self.draw.choice(CITIES),
            "n": self._n,
            "tags": self.draw.sample("abcdef", 3),
            "address": {"city": self.draw.choice(CITIES), "since": self._time()},
            "source": self.draw.choice(("web", "app")),
            "created_at": self._time(),
        }
        names = self.draw.sample(sorted(every), self.draw.randint(0, 4))
        return {name: every[name] for name in names}

    def _event(self, person: Person, who: dict[str, str]) -> None:
        n = self._n
        person.events.append(n)
        if person.kind in ("regular", "lead") or not person.gone:
            self.events.add(n)
        properties: dict[str, Any] = {
            "n": n,
            "total": self.draw.choice([1, 2.50, 99999999999999999]),
        }
        kind = self.draw.randrange(8)
        when = {"timestamp": self._time()} if self.draw.random() < 0.7 else {}
        common: dict[str, Any] = {**who, **when, "properties": properties}
        if kind == 0:
            self._add("pages", name=self.draw.choice(("Home", "Help")), **common)
        elif kind == 1:
            self._add("screens", name=self.draw.choice(("Start", "Basket")), **common)
        elif kind == 2 and "userId" in who:
            properties["actionType"] = "viewed_content"
            self._add("tracks", event="Report Content Event", **common)
        else:
            self._add("tracks", event=self.draw.choice(("Bought", "Paid")), **common)

    def _device(self, person: Person) -> None:
        token = f"{person.id}-{self.draw.randrange(3)}:APA91"
        self.devices[person.kind] += 1
        deleted = self.draw.random() < 0.25
        self._add(
            "tracks",
            userId=person.name(person.named),
            event="Device Deleted" if deleted else "Application Opened",
            timestamp=self._time(),
            properties={"build": self._n},
            context={"device": {"token": token, "type": "Android"}},
        )

    def _group(self, person: Person, who: str, company: str, kind: str = "1") -> None:
        traits: dict[str, Any] = {"objectTypeId": kind}
        chance = self.draw.random()
        if chance < 0.2:
            traits["action"] = "delete_relationships"
        elif chance < 0.35:
            traits["action"] = "add_relationships"
        else:
            traits[f"seats_{self.draw.randrange(4)}"] = self._n
        traits["relationshipAttributes"] = {
            f"role_{self.draw.randrange(3)}": self.draw.choice(("owner", None, "buyer"))
        }
        content: dict[str, Any] = {"groupId": company, "traits": traits}
        if person.stamped:
            content["timestamp"] = self._time()
        self._add("groups", userId=who, **content)

    def _company(self) -> str:
        hot = self.draw.random() < 0.04
        return f"c-{self.draw.randrange(HOT_COMPANIES if hot else COMPANIES)}"

    # Who does it

    def _regular(self) -> None:
        crowd = self.hot if self.draw.random() < 0.25 else self.regulars
        person = self.draw.choice(crowd)
        if not person.known:
            self._introduce(person)
            return
        chance = self.draw.random()
        anyhow: Name = self.draw.choice(("id", "email"))
        if chance < 0.52:
            name = person.name(anyhow)
            shouted = anyhow == "email" and self.draw.random() < 0.2
            self._event(person, {"userId": name.upper() if shouted else name})
        elif chance < 0.61:
            self._group(person, person.name(anyhow), self._company())
        elif chance < 0.64:
            self._relate(person, anyhow)
        else:
            self._name_both_identifiers(person, anyhow)
            self._ordered_record(person, (chance - 0.64) / 0.36)

    def _introduce(self, person: Person) -> None:
        """Send some events by e-mail address or anonymous id before the identify."""
        if person.visits < 2:
            person.visits += 1
            if person.number % 3 == 0:
                self._event(person, {"userId": person.email})
                return
            if person.number % 3 == 1:
                self._event(person, {"anonymousId": person.visitor})
                return
        person.known = True
        self._identify(person, email=person.email, **self._traits())

    def _name_both_identifiers(self, person: Person, name: Name) -> None:
        """Change to another identifier with an identify that names both."""
        if person.named != name:
            person.named = "id"
            self._identify(person, email=person.email, tied=self._n)
            person.named = name

    def _relate(self, person: Person, name: Name) -> None:
        """Add a relationship with an identify without traits."""
        when = {"timestamp": self._time()} if person.stamped else {}
        self._name_both_identifiers(person, name)
        context = {
            "objectId": self._company(),
            "relationshipAttributes": {"role_0": self._n},
        }
        who = person.name(name)
        self._add("identifies", userId=who, traits={}, context=context, **when)

    def _ordered_record(self, person: Person, chance: float) -> None:
        """Send a record whose order matters under one identifier."""
        if chance < 0.45:
            self._identify(person, **self._traits())
        elif chance < 0.60 and person.named == "id":
            row = {"plan": self.draw.choice(PLANS), "credit": self._n / 4}
            if person.stamped:
                row["timestamp"] = self._time()
            self._add("crm.identify", user_id=person.id, seen_at=self._time(), **row)
        elif chance < 0.80:
            self._device(person)
        elif chance < 0.88:
            self._visit(person)
        else:
            self._merge_into(person)

    def _visit(self, person: Person) -> None:
        """Send records of the anonymous visitor, then link it to the person."""
        if not person.joined and self.draw.random() < 0.5:
            cart = {"objectTypeId": "2", "filled": self._n}
            group = {"groupId": f"cart-of-{person.id}", "traits": cart}
            self._add("groups", anonymousId=person.visitor, **group)
        elif self.draw.random() < 0.3:
            when = {"timestamp": self._time()} if person.stamped else {}
            who = {
                "userId": person.name(person.named),
                "anonymousId": person.visitor,
            }
            person.joined = True
            self._add("identifies", traits={"n": self._n}, **who, **when)
        else:
            self._event(person, {"anonymousId": person.visitor})

    def _lead(self) -> None:
        lead = self.draw.choice(self.leads)
        if lead.gone:
            return
        lead.named = "email" if lead.number % 4 == 0 else "id"
        chance = self.draw.random()
        traits: dict[str, Any]
        if not lead.known or chance < 0.3:
            lead.known = True
            traits = {
                f"lead_{self.draw.randrange(3)}": self._n,
                "source": self.draw.choice(("fair", "ad")),
            }
            self._identify(lead, **traits)
        elif chance < 0.6:
            self._event(lead, {"userId": lead.name(lead.named)})
        elif chance < 0.8:
            self._device(lead)
        else:
            company = f"employer-of-{lead.id}"
            traits = {
                "objectTypeId": "3",
                "relationshipAttributes": {f"role_{self.draw.randrange(2)}": self._n},
            }
            who = lead.name(lead.named)
            self._add("groups", userId=who, groupId=company, traits=traits)

    def _merge_into(self, person: Person) -> None:
        ready = [each for each in self.leads if each.known and not each.gone]
        if not ready or self.draw.random() < 0.4:
            self._identify(person, **self._traits())
            return
        lead = self.draw.choice(ready)
        lead.gone = True
        merged = lead.name(lead.named)
        who = person.name(person.named)
        self._add("aliases", userId=who, previousId=merged)

    def _leaver(self) -> None:
        person = self.draw.choice(self.leavers)
        chance = self.draw.random()
        if chance < 0.12 and person.known:
            self._forget(person)
            person.deletions += 1
            if self.draw.random() < 0.5:
                self._add("tracks", userId=person.id, event="User Deleted")
            else:
                gone = {"_sdc_deleted_at": self._time(), "user_id": person.id}
                self._add("crm.identify", **gone)
        elif chance < 0.4:
            person.known = True
            self._identify(person, **self._traits())
        elif chance < 0.6:
            person.known = True
            self._device(person)
        elif chance < 0.8 or person.gone:
            person.known = True
            self._group(person, person.id, self._company())
        else:
            person.known = True
            self._event(person, {"userId": person.id})

    def _forget(self, person: Person) -> None:
        person.gone = True
        self.events.difference_update(person.events)

    def _suppressed(self) -> None:
        """Suppress people for good and send more of their records."""
        person = self.draw.choice(self.suppressed)
        if not person.known:
            person.known = True
            self._identify(person, email=person.email, **self._traits())
            return
        chance = self.draw.random()
        if chance < 0.05:
            self._forget(person)
            self._add("tracks", userId=person.id, event="User Suppressed")
        elif chance < 0.4:
            self._event(person, {"userId": person.id})
        elif chance < 0.6:
            self._device(person)
        elif chance < 0.8:
            self._identify(person, **self._traits())
        else:
            self._group(person, person.id, self._company())

    def _pardoned(self) -> None:
        """Suppress people, send nothing of them, then unsuppress them."""
        person = self.draw.choice(self.pardoned)
        chance = self.draw.random()
        if person.gone and not person.known:
            person.known = True
            self._add("tracks", userId=person.id, event="User Unsuppressed")
        elif chance < 0.15 and person.known:
            self._forget(person)
            person.known = False
            self._add("tracks", userId=person.id, event="User Suppressed")
        elif chance < 0.4 and not person.gone:
            person.known = True
            self._event(person, {"userId": person.id})
        elif chance < 0.7:
            person.known = True
            self._identify(person, **self._traits())
        else:
            person.known = True
            self._device(person)

    def _caller(self) -> None:
        """Identify people by their phone numbers."""
        person = self.draw.choice(self.callers)
        phone = f"+353155500{person.number:03}"
        self._add("identifies", traits={"phone": phone, "n": self._n})

    # What else there is

    def _object(self) -> None:
        company = self._company()
        chance = self.draw.random()
        if chance < 0.15:
            properties = {"objectId": company}
            self._add("tracks", event="Object Deleted", properties=properties)
        else:
            name = f"seats_{self.draw.randrange(4)}"
            traits = {name: self.draw.choice([self._n, None]), "name": self._n}
            self._add("groups", groupId=company, traits=traits)

    def _report(self) -> None:
        properties = {
            "deliveryId": f"delivery-{self.draw.randrange(40)}",
            "metric": self.draw.choice(("opened", "clicked", "converted")),
            "timestamp": START + self._n,
        }
        self._add("tracks", event="Report Delivery Event", properties=properties)

    def _mistake(self) -> None:
        """Send a record that is rejected or skipped."""
        self.rejected += 1
        who = {"userId": self.draw.choice(self.regulars).id}
        mistake = self.draw.randrange(8)
        if mistake == 0:
            self._add("tracks", event="Bought", properties={})
        elif mistake == 1:
            self._add("pages", properties={}, **who)
        elif mistake == 2:
            self._add("tracks", event="Bought", timestamp="last Tuesday", **who)
        elif mistake == 3:
            self._add("tracks", event={"not": "text"}, **who)
        elif mistake == 4:
            self.records.append(record("aliases", mistake=self._n, **who))
        elif mistake == 5:
            self._add("identifies", userId=f"wordy-{self._n}", traits={"a": "x" * 1001})
        elif mistake == 6:
            big = {"a": "x" * 33_000, "n": self._n}
            self._add("tracks", event="Bought", properties=big, **who)
        else:
            self.rejected -= 1
            self._add("identifies", anonymousId=f"nobody-{self._n}", traits={"a": 1})
