"""Make the sample data: half a year of a made-up shop, the same at every run.

``python docs/examples/shop/make.py`` writes one JSONL file for each stream into its own
folder, as a source would hold them, and ``shop.singer.jsonl``, which holds all records
in the order of their times; and ``users.singer.jsonl``, the table of the shop's people,
as a tap reads it from its database. A test compares the files with what this script
makes.
"""

from __future__ import annotations

import json
import random
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

PEOPLE = 200
COMPANIES = 12
FIRST_NAMES = ("Ada", "Bo", "Cleo", "Dag", "Eve", "Finn", "Gro", "Hal", "Ines", "Jo")
PRODUCTS = ("teapot", "lamp", "rug", "clock", "vase", "stool", "mirror", "blanket")
PAGES = ("Home", "Catalogue", "Basket", "Checkout", "Help")
SCREENS = ("Start", "Search", "Product", "Orders")
PLANS = ("free", "plus", "business")
START = datetime(2026, 3, 1, 8, 0, tzinfo=timezone.utc)
STATE_EVERY = 250

Call = dict[str, Any]

CALL_OF_STREAM = {
    "identifies": "identify",
    "tracks": "track",
    "pages": "page",
    "screens": "screen",
    "groups": "group",
    "aliases": "alias",
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "identifies": {"traits": "object"},
    "tracks": {"event": "string", "properties": "object"},
    "pages": {"name": "string", "properties": "object"},
    "screens": {"name": "string", "properties": "object"},
    "groups": {"groupId": "string", "traits": "object"},
    "aliases": {"previousId": "string"},
}


def schema_of(stream: str) -> dict[str, Any]:
    fields = {
        "messageId": {"type": "string"},
        "type": {"type": "string"},
        "userId": {"type": ["string", "null"]},
        "anonymousId": {"type": ["string", "null"]},
        "timestamp": {"type": ["string", "null"]},
        "context": {"type": ["object", "null"]},
    }
    for name, kind in SCHEMAS[stream].items():
        fields[name] = {"type": [kind, "null"]}
    return {"type": "object", "properties": fields}


class Shop:
    def __init__(self) -> None:
        self.random = random.Random(20260301)
        self.calls: list[tuple[datetime, str, Call]] = []

    def add(self, when: datetime, stream: str, call: Call) -> None:
        call = {
            "messageId": f"shop-{len(self.calls) + 1:05}",
            "type": CALL_OF_STREAM[stream],
            "timestamp": when.isoformat(timespec="milliseconds"),
            **call,
        }
        self.calls.append((when, stream, call))

    def later(self, when: datetime, days: float) -> datetime:
        return when + timedelta(days=self.random.uniform(0.01, days))

    def open(self) -> None:
        for number in range(1, PEOPLE + 1):
            self.person(number)
        self.merge_two_profiles()
        self.let_two_people_go()
        self.make_three_mistakes()
        self.calls.sort(key=lambda call: (call[0], call[2]["messageId"]))

    def person(self, number: int) -> None:
        draw = self.random
        name = FIRST_NAMES[number % len(FIRST_NAMES)]
        email = f"{name.lower()}.{number:03}@example.com"
        visitor = {"anonymousId": f"visitor-{number:03}"}
        known = {"userId": f"p-{number:03}"}
        when = START + timedelta(days=draw.uniform(0, 120))
        self.visit(when, visitor)
        when = self.later(when, 3)
        traits = {
            "email": email,
            "first_name": name,
            "plan": PLANS[number % len(PLANS)],
            "newsletter": number % 4 != 0,
            "created_at": when.isoformat(timespec="milliseconds"),
            "credit": round(draw.uniform(0, 50), 2),
        }
        self.add(when, "identifies", {**known, **visitor, "traits": traits})
        if number % 3 == 0:
            self.join_company(self.later(when, 2), known, number)
        if number % 5 == 0:
            self.use_app(self.later(when, 4), known, number)
        for _ in range(draw.randint(0, 4)):
            when = self.later(when, 15)
            self.visit(when, known)
            self.order(when + timedelta(minutes=9), known)
        if number % 7 == 0:
            upgrade = {"email": email, "plan": "business", "credit": None}
            self.add(self.later(when, 9), "identifies", {**known, "traits": upgrade})

    def visit(self, when: datetime, who: Call) -> None:
        name = self.random.choice(PAGES)
        url = f"https://shop.example.com/{name.lower()}"
        page: Call = {**who, "properties": {"url": url, "title": f"Shop: {name}"}}
        if name != "Help":
            page["name"] = name
        self.add(when, "pages", page)

    def order(self, when: datetime, who: Call) -> None:
        draw = self.random
        items: list[dict[str, Any]] = [
            {"product": draw.choice(PRODUCTS), "price": round(draw.uniform(5, 90), 2)}
            for _ in range(draw.randint(1, 3))
        ]
        properties = {
            "order_id": f"o-{len(self.calls) + 1:05}",
            "total": round(sum(item["price"] for item in items), 2),
            "currency": "EUR",
            "items": items,
            "due_at": (when + timedelta(days=14)).isoformat(timespec="seconds"),
        }
        event = {**who, "event": "Order Completed", "properties": properties}
        self.add(when, "tracks", event)

    def join_company(self, when: datetime, who: Call, number: int) -> None:
        company = number % COMPANIES + 1
        traits = {
            "name": f"Example Company {company}",
            "seats": company * 5,
            "objectTypeId": "1",
            "relationshipAttributes": {"role": "buyer" if number % 2 else "owner"},
        }
        group = {**who, "groupId": f"c-{company:02}", "traits": traits}
        self.add(when, "groups", group)

    def use_app(self, when: datetime, who: Call, number: int) -> None:
        apple = number % 2 == 0
        token = f"{number:064x}" if apple else f"made-up-{number}:APA91b{number:020}"
        context = {
            "device": {"token": token, "type": "iOS" if apple else "Android"},
            "app": {"version": "2.1.0"},
            "os": {"name": "iOS" if apple else "Android", "version": "17"},
            "locale": "en-IE",
        }
        opened = {"event": "Application Opened", "properties": {"build": number}}
        self.add(when, "tracks", {**who, **opened, "context": context})
        screen = {**who, "name": self.random.choice(SCREENS), "properties": {}}
        self.add(when + timedelta(minutes=1), "screens", screen)

    def merge_two_profiles(self) -> None:
        when = START + timedelta(days=150)
        lead = {"userId": "lead-017", "traits": {"source": "fair", "plan": "free"}}
        self.add(when, "identifies", lead)
        merge = {"userId": "p-017", "previousId": "lead-017"}
        self.add(when + timedelta(hours=1), "aliases", merge)

    def let_two_people_go(self) -> None:
        when = START + timedelta(days=160)
        self.add(when, "tracks", {"userId": "p-021", "event": "User Deleted"})
        suppressed = {"userId": "p-022", "event": "User Suppressed"}
        self.add(when + timedelta(hours=1), "tracks", suppressed)

    def make_three_mistakes(self) -> None:
        when = START + timedelta(days=170)
        self.add(when, "tracks", {"event": "Order Completed", "properties": {}})
        nameless = {"userId": "p-001", "properties": {"total": 5}}
        self.add(when + timedelta(hours=1), "tracks", nameless)
        timeless = {"userId": "p-002", "name": "Home", "timestamp": "last Tuesday"}
        self.add(when + timedelta(hours=2), "pages", timeless)


def table(shop: Shop) -> list[dict[str, Any]]:
    """Return the people as rows, with the last value of each column."""
    rows: dict[str, dict[str, Any]] = {}
    for _, stream, call in shop.calls:
        if stream == "identifies" and call["userId"].startswith("p-"):
            row = rows.setdefault(call["userId"], {"user_id": call["userId"]})
            row.update(call["traits"])
    columns: dict[str, Any] = {
        "user_id": {"type": "string"},
        "email": {"type": "string"},
        "first_name": {"type": "string"},
        "plan": {"type": "string"},
        "newsletter": {"type": "boolean"},
        "created_at": {"type": "string", "format": "date-time"},
        "credit": {"type": ["number", "null"]},
    }
    return [
        {
            "type": "SCHEMA",
            "stream": "users",
            "schema": {"type": "object", "properties": columns},
            "key_properties": ["user_id"],
        },
        *(
            {"type": "RECORD", "stream": "users", "record": rows[each]}
            for each in sorted(rows)
        ),
    ]


def files() -> dict[str, str]:
    """Return the text of every file by its name."""
    shop = Shop()
    shop.open()
    lines: dict[str, list[str]] = {f"{stream}.jsonl": [] for stream in SCHEMAS}
    messages = [
        {
            "type": "SCHEMA",
            "stream": stream,
            "schema": schema_of(stream),
            "key_properties": ["messageId"],
        }
        for stream in SCHEMAS
    ]
    for count, (_, stream, call) in enumerate(shop.calls, 1):
        lines[f"{stream}.jsonl"].append(json.dumps(call))
        messages.append({"type": "RECORD", "stream": stream, "record": call})
        if count % STATE_EVERY == 0 or count == len(shop.calls):
            messages.append({"type": "STATE", "value": {"calls_sent": count}})
    lines["shop.singer.jsonl"] = [json.dumps(message) for message in messages]
    lines["users.singer.jsonl"] = [json.dumps(message) for message in table(shop)]
    return {name: "\n".join(content) + "\n" for name, content in lines.items()}


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")
