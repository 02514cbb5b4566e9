"""Rows of PostgreSQL, read by tap-postgres, compared with what was inserted."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from support.postgres import Database

UTC = timezone.utc
INDIA = timezone(timedelta(hours=5, minutes=30))
KEY = "id text PRIMARY KEY"
TEXTS = {
    "quotes": "it's \"quoted\" ''twice'' `and` $$dollars$$ :colon",
    "lines": "one\ntwo\r\nthree\ttab",
    "emoji": "👩‍👩‍👧 🇮🇳 é e\u0301 \U0001d518",
    "controls": "".join(map(chr, [*range(1, 32), 127, 128, 0x2028, 0x2029, 0xFEFF])),
    "rtl": "\u202e\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627\u202c",
    "backslashes": r"C:\new\u0041 \' \\ %s {} <b>&amp;",
    "looks_like_json": '{"a": [1, null]}',
    "looks_like_number": "007",
    "spaces": "  kept  ",
}


@dataclass
class Given:
    """An inserted value, and the delivered value if it differs."""

    value: Any
    expected: Any


@dataclass
class Rows:
    """The rows of a table."""

    columns: str
    rows: list[dict[str, Any]] = field(default_factory=list)


def landed(value: Any) -> Any:
    """Compute the value that arrives in Customer.io."""
    if isinstance(value, Given):
        return value.expected
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return math.floor(aware.timestamp())
    if isinstance(value, date):
        return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, list):
        return [landed(item) for item in value]
    return value


def attributes(row: Mapping[str, Any], *without: str) -> dict[str, Any]:
    """Compute the attributes of a row; empty ones clear nothing here."""
    return {
        name: landed(value)
        for name, value in row.items()
        if name not in without
        and not name.startswith("context_")
        and value is not None
        and value != ""
    }


def inserted(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.value if isinstance(value, Given) else value
        for name, value in row.items()
    }


@pytest.fixture(scope="session")
def fill(database: Database) -> Callable[[str, dict[str, Rows]], None]:
    def fill(schema: str, tables: dict[str, Rows]) -> None:
        database.psql(f"CREATE SCHEMA {schema}")
        for name, table in tables.items():
            database.fill(f"{schema}.{name}", table.columns, map(inserted, table.rows))

    return fill


class Tap:
    """The tap, with the tables of one schema selected."""

    def __init__(self, command: str, config: dict[str, Any], folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._write("tap.json", config)
        said = self._run("--discover")
        self._catalog = json.loads(said)

    def read(self, *tables: str, by: str | None = None, state: Any = None) -> bytes:
        """Read tables: all rows, or new ones by a replication key."""
        for stream in self._catalog["streams"]:
            (root,) = (each for each in stream["metadata"] if not each["breadcrumb"])
            name = stream["tap_stream_id"].partition("-")[2]
            root["metadata"]["selected"] = name in tables or not tables
            if by:
                stream["replication_key"] = by
                stream["replication_method"] = "INCREMENTAL"
                root["metadata"]["replication-key"] = by
                root["metadata"]["replication-method"] = "INCREMENTAL"
        self._write("catalog.json", self._catalog)
        more = []
        if state is not None:
            self._write("state.json", state)
            more = ["--state", "state.json"]
        return self._run("--catalog", "catalog.json", *more)

    def _write(self, name: str, content: Any) -> None:
        (self._folder / name).write_text(json.dumps(content))

    def _run(self, *arguments: str) -> bytes:
        done = subprocess.run(
            [self._command, "--config", "tap.json", *arguments],
            cwd=self._folder,
            capture_output=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


@pytest.fixture(scope="session")
def tap(
    tap_postgres: str, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Tap]:
    """Return a function that starts a tap on the tables of a schema."""

    def tap(schema: str) -> Tap:
        folder = tmp_path_factory.mktemp("tap")
        return Tap(tap_postgres, database.tap_config(schema), folder)

    return tap


@pytest.fixture(scope="session")
def run_recipe(new_terminal: Callable[[], Any], recipes: Path) -> Callable[..., Any]:
    """Return a function that pipes a tap into the target with a recipe."""

    def run(name: str, feed: bytes, terminal: Any = None, **settings: Any) -> Any:
        terminal = terminal or new_terminal()
        terminal.write({"sandbox": "workspace.db", **settings})
        recipe = str(recipes / f"{name}.json")
        return terminal.type("--config", recipe, "--config", "config.json", feed=feed)

    return run


# Segment's warehouse

CONTEXT = """
    context_ip text, context_library_name text, context_traits_email text,
    context_device_token text, context_device_type text, context_app_version text,
    context_os_name text, context_locale text, context_page_url text
"""
COMMON = f"""{KEY}, user_id text, anonymous_id text, received_at timestamptz,
    sent_at timestamptz, original_timestamp timestamptz, "timestamp" timestamptz,
    uuid_ts timestamp, {CONTEXT}"""
SEEN = datetime(2026, 3, 1, 5, 29, 59, 999999, INDIA)
TRAITS = {
    "credit": Decimal("12345678901234567890123456789.123456789"),
    "debit": Decimal("-0.000000001"),
    "clicks": 2**53 + 1,
    "least": -(2**63),
    "visits": 7,
    "ratio": Decimal("0.1"),
    "active": True,
    "blocked": False,
    "born": date(1936, 2, 29),
    "seen_local": datetime(2026, 3, 1, 12, 34, 56, 123456),  # noqa: DTZ001
    "seen_at": datetime(2026, 3, 1, 12, 34, 56, 654321, INDIA),
    "before": datetime(1969, 12, 31, 23, 59, 59, 500000, UTC),
    "profile": Given(
        {
            "at": "2026-03-01T12:34:56.789Z",
            "day": "2026-03-01",
            "fine": "2026-03-01T12:34:56.789012Z",
            "big": 2**53 + 1,
            "list": [1, None, {"deep": "2026-03-01T00:00:00+05:30"}],
            "text": TEXTS["backslashes"],
        },
        {
            "at": 1772368496,
            "day": "2026-03-01",
            "fine": "2026-03-01T12:34:56.789012Z",
            "big": 2**53 + 1,
            "list": [1, None, {"deep": 1772303400}],
            "text": TEXTS["backslashes"],
        },
    ),
    "tags": ["a", "b,c", '{"d"}', "", TEXTS["emoji"]],
    "scores": [1, 2**53 + 1],
    "amounts": [Decimal("1.5000"), Decimal("12345678901234567890.1234")],
    "token": UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "cleared": None,
    "empty": "",
    **TEXTS,
}
TRAIT_COLUMNS = """
    credit numeric(38, 9), debit numeric(38, 9), clicks bigint, least bigint,
    visits smallint, ratio double precision, active boolean, blocked boolean,
    born date, seen_local timestamp, seen_at timestamptz, before timestamptz,
    profile jsonb, tags text[], scores bigint[], amounts numeric(38, 4)[],
    token uuid, cleared text, empty text,
""" + ", ".join(f"{name} text" for name in TEXTS)


def common(number: int, user: str | None = "u-1", **more: Any) -> dict[str, Any]:
    at = SEEN + timedelta(minutes=number)
    return {
        "id": f"ajs-{number:03}",
        "user_id": user,
        "anonymous_id": f"visitor-{user}",
        "received_at": at,
        "sent_at": at,
        "original_timestamp": at,
        "timestamp": at,
        "uuid_ts": datetime(2026, 3, 2),  # noqa: DTZ001
        "context_ip": "192.0.2.1",
        "context_library_name": "analytics.js",
        **more,
    }


TOKEN = "0123456789abcdef" * 4
ORDER: dict[str, Any] = {
    "order_id": "o-1",
    "total": Decimal("99.950000000"),
    "due_on": date(2026, 4, 1),
    "items": Given(
        [{"sku": "s-1", "price": 1}, {"sku": "s-2", "at": "2026-03-01T00:00:00Z"}],
        [{"sku": "s-1", "price": 1}, {"sku": "s-2", "at": 1772323200}],
    ),
    "coupon": None,
    "recipient": "somebody@example.com",
}
WAREHOUSE = {
    "identifies": Rows(
        f"{COMMON}, name text, email text, created_at timestamptz, {TRAIT_COLUMNS}",
        [
            {**common(1, name="Ann", email="ann@example.com"), **TRAITS},
            common(2, "u-2", name="Bob", created_at=SEEN),
            common(3, None, name="Cai", context_traits_email="cai@example.com"),
            common(4, None, name="Nobody"),
        ],
    ),
    "users": Rows(
        f"{KEY}, received_at timestamptz, uuid_ts timestamp, {CONTEXT}, name text, "
        "plan text",
        [{"id": "u-3", "name": "Dee", "plan": "pro", "received_at": SEEN}],
    ),
    "order_completed": Rows(
        f"{COMMON}, event text, event_text text, order_id text, "
        "total numeric(38, 9), due_on date, items jsonb, coupon text, recipient text",
        [
            common(11, event="order_completed", event_text="Order Completed", **ORDER),
        ],
    ),
    "basket_viewed": Rows(
        f"{COMMON}, event text, event_text text, size bigint",
        [common(12, None, event="basket_viewed", event_text="Basket Viewed", size=3)],
    ),
    "tracks": Rows(
        f"{COMMON}, event text, event_text text",
        [
            common(11, event="order_completed", event_text="Order Completed"),
            common(
                13,
                event="application_opened",
                event_text="Application Opened",
                context_device_token=TOKEN,
                context_device_type="iPadOS",
                context_app_version="1.2",
                context_os_name="iPadOS",
                context_locale="en-IN",
            ),
            common(14, event="signed_in", event_text="Signed in"),
        ],
    ),
    "pages": Rows(
        f"{COMMON}, name text, url text, title text, path text, referrer text",
        [
            common(21, name="Home", url="https://shop.example.com/", title="Hello"),
            common(22, name=None, url="https://shop.example.com/a?b=c#d", path="/a"),
        ],
    ),
    "screens": Rows(
        f"{COMMON}, name text, size text", [common(31, name="Start", size="L")]
    ),
    "groups": Rows(
        f"{COMMON}, group_id text, name text, seats bigint, founded_on date, "
        "email text",
        [
            common(
                41,
                "u-2",
                group_id="c-1",
                name="Acme",
                seats=5,
                founded_on=date(1999, 12, 31),
                email="office@example.com",
            )
        ],
    ),
    "aliases": Rows(f"{COMMON}, previous_id text", [common(51, previous_id="u-3")]),
}


@pytest.fixture(scope="module")
def warehouse(
    fill: Any, tap: Callable[[str], Tap], run_recipe: Callable[..., Any]
) -> dict[str, Any]:
    """Run the recipe, then the events without a separate table."""
    fill("segment", WAREHOUSE)
    reader = tap("segment")
    everything = reader.read()
    outcome = run_recipe("warehouse", everything)
    plain = run_recipe(
        "warehouse", everything, stream_maps={"segment-users": {"userId": "id"}}
    )
    return {"recipe": outcome, "with_tracks": plain}


def test_a_warehouse_of_segment_is_delivered_without_a_rejection(
    warehouse: dict[str, Any],
) -> None:
    for outcome in warehouse.values():
        assert (outcome.code, outcome.errors) == (0, [])
    table = warehouse["recipe"].table
    assert {name.partition("-")[2]: row["read"] for name, row in table.items()} == {
        name: len(rows.rows) for name, rows in WAREHOUSE.items()
    }
    tracks = table["segment-tracks"]
    assert tracks["skipped"] == {"left out by stream_maps": tracks["read"]}
    assert table["segment-identifies"]["skipped"] == {"anonymous identify": 1}


def test_traits_of_every_type_are_delivered_as_inserted(
    warehouse: dict[str, Any],
) -> None:
    people = warehouse["recipe"].workspace["people"]

    ann = people["id:u-1"]
    assert ann["email"] == "ann@example.com"
    assert ann["attributes"] == {
        **attributes(TRAITS),
        "name": "Ann",
        "anonymous_id": "visitor-u-1",
    }
    assert people["id:u-2"]["attributes"] == {
        "name": "Bob",
        "created_at": landed(SEEN),
        "anonymous_id": "visitor-u-2",
    }
    assert people["email:cai@example.com"]["attributes"]["name"] == "Cai"
    # The tap reads tables in the order of names: the merge precedes the person.
    assert people["id:u-3"]["attributes"] == {"name": "Dee", "plan": "pro"}
    assert people.keys() == {"id:u-1", "id:u-2", "id:u-3", "email:cai@example.com"}


def test_the_events_of_a_table_each_have_their_own_columns_as_properties(
    warehouse: dict[str, Any],
) -> None:
    found = {
        (event["type"], event["name"]): event
        for event in warehouse["recipe"].workspace["events"]
    }

    expected: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {
        ("event", "Order Completed"): (11, attributes(ORDER, "recipient")),
        ("event", "Basket Viewed"): (12, {"size": 3}),
        ("page", "Home"): (
            21,
            {"url": "https://shop.example.com/", "title": "Hello"},
        ),
        ("page", "https://shop.example.com/a?b=c#d"): (
            22,
            {"url": "https://shop.example.com/a?b=c#d", "path": "/a"},
        ),
        ("screen", "Start"): (31, {"size": "L"}),
    }
    assert {
        key: (event["timestamp"], event["attributes"]) for key, event in found.items()
    } == {
        key: (landed(SEEN + timedelta(minutes=minutes)), properties)
        for key, (minutes, properties) in expected.items()
    }
    assert found["event", "Basket Viewed"]["anonymous_id"] == "visitor-None"
    # The person who later took the anonymous id by an identify.
    assert found["event", "Basket Viewed"]["person"] == "email:cai@example.com"
    assert found["page", "Home"]["person"] == "id:u-1"


def test_an_event_in_two_tables_counts_once(
    warehouse: dict[str, Any],
) -> None:
    outcome = warehouse["with_tracks"]
    events = [
        event for event in outcome.workspace["events"] if event["type"] == "event"
    ]

    counts = outcome.table["segment-tracks"]
    assert counts["delivered"] == {"person event": 1, "person add_device": 1}
    assert counts["skipped"] == {"repeated event": 1}
    assert sorted(event["name"] for event in events) == [
        "Basket Viewed",
        "Order Completed",
        "Signed in",
    ]
    (order,) = (event for event in events if event["name"] == "Order Completed")
    assert order["attributes"] == attributes(ORDER, "recipient")


def test_a_device_is_read_from_the_context_columns(
    warehouse: dict[str, Any],
) -> None:
    device = warehouse["with_tracks"].workspace["devices"][TOKEN]

    assert (device["person"], device["platform"]) == ("id:u-1", "ios")
    assert device["attributes"] == {
        "app_version": "1.2",
        "device_os": "iPadOS",
        "device_locale": "en-IN",
    }


def test_a_group_is_an_object_with_the_person_who_joined(
    warehouse: dict[str, Any],
) -> None:
    workspace = warehouse["recipe"].workspace

    assert workspace["objects"]["1:c-1"]["attributes"] == {
        "name": "Acme",
        "seats": 5,
        "founded_on": landed(date(1999, 12, 31)),
        "email": "office@example.com",
    }
    assert [
        (each["object"], each["person"]) for each in workspace["relationships"]
    ] == [("1:c-1", "id:u-2")]


def test_columns_that_would_redirect_a_message_are_left_out_with_a_warning(
    warehouse: dict[str, Any],
) -> None:
    (warning,) = warehouse["recipe"].lines("WARNING")
    assert "segment-order_completed" in warning
    assert "the columns recipient are left out" in warning


# An application's tables

MOMENT = datetime(2026, 5, 1, 12, 0, 0, 1, UTC)


def user(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "email": f"user-{number}@example.com",
        "name": f"User {number}",
        "updated_at": MOMENT + timedelta(seconds=number % 1000),
        **more,
    }


SHOP = {
    "users": Rows(
        "id bigint PRIMARY KEY, email text, name text, updated_at timestamptz, "
        f"deleted_at timestamptz, {TRAIT_COLUMNS}",
        [
            user(1, **TRAITS),
            user(2, name=TEXTS["quotes"]),
            user(3, deleted_at=MOMENT),
            user(2**53 + 1, name="Big"),
        ],
    ),
    "companies": Rows(
        "id bigint PRIMARY KEY, name text, plan text, monthly numeric(38, 9), "
        "founded_on date, since timestamptz, updated_at timestamptz",
        [
            {
                "id": 10,
                "name": "Acme",
                "plan": "business",
                "monthly": Decimal("1234567890123456789.123456789"),
                "founded_on": date(1999, 12, 31),
                "since": SEEN,
                "updated_at": MOMENT,
            },
            {"id": 11, "name": "Beta", "updated_at": MOMENT},
        ],
    ),
    "memberships": Rows(
        "user_id bigint, company_id bigint, role text, updated_at timestamptz, "
        "PRIMARY KEY (user_id, company_id)",
        [
            {"user_id": 1, "company_id": 10, "role": "owner", "updated_at": MOMENT},
            {"user_id": 2, "company_id": 10, "role": "o'guest", "updated_at": MOMENT},
            {"user_id": 1, "company_id": 11, "role": None, "updated_at": MOMENT},
        ],
    ),
    "orders": Rows(
        "id bigint PRIMARY KEY, user_id bigint, total numeric(38, 9), "
        "currency char(3), placed_at timestamptz, ship_on date, lines jsonb, "
        "updated_at timestamptz",
        [
            {
                "id": 1,
                "user_id": 1,
                "total": Decimal("19.990000000"),
                "currency": "INR",
                "placed_at": SEEN,
                "ship_on": date(2026, 3, 9),
                "lines": [{"sku": TEXTS["emoji"], "n": 2**53 + 1}],
                "updated_at": MOMENT,
            },
            {
                "id": 2,
                "user_id": 2,
                "total": Decimal(-5),
                "placed_at": MOMENT,
                "updated_at": MOMENT + timedelta(seconds=5),
            },
        ],
    ),
    "vips": Rows(
        "user_id bigint PRIMARY KEY, joined_at timestamptz, left_at timestamptz",
        [
            {"user_id": 1, "joined_at": MOMENT},
            {"user_id": 2, "joined_at": MOMENT, "left_at": MOMENT},
            {"user_id": 2**53 + 1, "joined_at": MOMENT},
        ],
    ),
}


@pytest.fixture(scope="module")
def shop(fill: Any, tap: Callable[[str], Tap]) -> Tap:
    fill("shop", SHOP)
    return tap("shop")


@pytest.fixture(scope="module")
def filled(
    shop: Tap, run_recipe: Callable[..., Any], new_terminal: Callable[[], Any]
) -> dict[str, Any]:
    """Fill one workspace with the recipes, one after the other."""
    terminal = new_terminal()
    steps = {
        "users": ("users",),
        "orders": ("orders",),
        "companies": ("companies", "memberships"),
        "segment": ("vips",),
    }
    outcomes = {
        recipe: run_recipe(recipe, shop.read(*tables), terminal)
        for recipe, tables in steps.items()
    }
    workspace = outcomes["segment"].workspace
    outcomes["deletions"] = run_recipe("deletions", shop.read("users"), terminal)
    return {
        "outcomes": outcomes,
        "workspace": workspace,
        "after": outcomes["deletions"].workspace,
    }


@pytest.mark.parametrize(
    "recipe", ["users", "orders", "companies", "segment", "deletions"]
)
def test_a_recipe_of_the_readme_delivers_every_row(
    recipe: str, filled: dict[str, Any]
) -> None:
    outcome = filled["outcomes"][recipe]

    assert (outcome.code, outcome.errors, outcome.lines("WARNING")) == (0, [], [])
    for stream, row in outcome.table.items():
        rows = SHOP[stream.partition("-")[2]].rows
        assert row["read"] == sum(row["delivered"].values()) == len(rows)
        assert row["skipped"] == {}


def test_a_table_of_users_becomes_people(filled: dict[str, Any]) -> None:
    people = filled["workspace"]["people"]

    assert people.keys() == {f"id:{row['id']}" for row in SHOP["users"].rows}
    for row in SHOP["users"].rows:
        person = people[f"id:{row['id']}"]
        assert person["email"] == row["email"]
        assert person["attributes"] == attributes(row, "id", "email"), row["id"]


def test_a_table_of_orders_becomes_events(filled: dict[str, Any]) -> None:
    events = filled["workspace"]["events"]

    assert {
        event["person"]: (event["name"], event["timestamp"], event["attributes"])
        for event in events
    } == {
        f"id:{row['user_id']}": (
            "Order Placed",
            landed(row["placed_at"]),
            {
                **dict.fromkeys(["currency", "ship_on", "lines"]),
                **attributes(row, "id", "user_id"),
                "order_id": row["id"],
            },
        )
        for row in SHOP["orders"].rows
    }
    assert len(events) == len(SHOP["orders"].rows)


def test_tables_of_companies_and_memberships_become_objects_with_people(
    filled: dict[str, Any],
) -> None:
    workspace = filled["workspace"]

    assert {
        name: each["attributes"] for name, each in workspace["objects"].items()
    } == {f"1:{row['id']}": attributes(row, "id") for row in SHOP["companies"].rows}
    assert sorted(
        (each["object"], each["person"], str(each["attributes"]))
        for each in workspace["relationships"]
    ) == sorted(
        (
            f"1:{row['company_id']}",
            f"id:{row['user_id']}",
            str(attributes({"role": row["role"]})),
        )
        for row in SHOP["memberships"].rows
    )


def test_a_table_of_members_becomes_a_manual_segment(filled: dict[str, Any]) -> None:
    assert filled["workspace"]["segment_members"] == [
        {"segment_id": 7, "person": f"id:{row['user_id']}"}
        for row in SHOP["vips"].rows
        if "left_at" not in row
    ]


def test_rows_marked_as_deleted_delete_their_people(
    filled: dict[str, Any],
) -> None:
    kept = [row for row in SHOP["users"].rows if "deleted_at" not in row]

    assert filled["after"]["people"].keys() == {f"id:{row['id']}" for row in kept}
    assert len(kept) < len(SHOP["users"].rows)


def test_a_second_run_sends_only_what_has_changed(
    database: Database,
    shop: Tap,
    run_recipe: Callable[..., Any],
    new_terminal: Callable[[], Any],
) -> None:
    terminal = new_terminal()
    changed = MOMENT + timedelta(days=1)
    more = {
        "id": 3,
        "user_id": 1,
        "total": 7,
        "placed_at": MOMENT,
        "updated_at": changed,
    }

    first = run_recipe("orders", shop.read("orders", by="updated_at"), terminal)
    database.psql(database.insertion("shop.orders", more))
    second = run_recipe(
        "orders", shop.read("orders", by="updated_at", state=first.states[-1]), terminal
    )
    third = run_recipe(
        "orders",
        shop.read("orders", by="updated_at", state=second.states[-1]),
        terminal,
    )

    assert [
        outcome.table["shop-orders"]["read"] for outcome in (first, second, third)
    ] == [2, 2, 1]  # the tap reads the row of the bookmark again
    bookmark = third.states[-1]["bookmarks"]["shop-orders"]
    assert datetime.fromisoformat(bookmark["replication_key_value"]) == changed
    assert len(third.workspace["events"]) == 3


def test_only_changed_people_are_updated(
    database: Database,
    shop: Tap,
    run_recipe: Callable[..., Any],
    new_terminal: Callable[[], Any],
) -> None:
    terminal = new_terminal()
    first = run_recipe("users", shop.read("users", by="updated_at"), terminal)
    before = first.workspace["people"]
    database.psql(
        "UPDATE shop.users SET name = 'Ann', profile = NULL, updated_at = "
        "'2027-01-01T00:00:00+05:30' WHERE id = 1;"
    )

    second = run_recipe(
        "users", shop.read("users", by="updated_at", state=first.states[-1]), terminal
    )

    after = second.workspace["people"]
    assert second.table["shop-users"]["read"] == 2
    assert {name for name in before if before[name] != after[name]} == {"id:1"}
    expected = before["id:1"]["attributes"] | {"name": "Ann"}
    expected["updated_at"] = landed(datetime(2027, 1, 1, tzinfo=INDIA))
    del expected["profile"]
    assert after["id:1"]["attributes"] == expected
