"""The views show a workspace to people: addresses, ISO times, true and false."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.workspace import apply

from target_customerio.errors import REASONS
from target_customerio.sandbox import Workspace
from target_customerio.sandbox.activity import ACTIVITY_REASONS
from target_customerio.sandbox.datasette import DESCRIPTIONS, QUERIES, metadata
from target_customerio.sandbox.views import VIEWS

from .conftest import Operations

if TYPE_CHECKING:
    from .conftest import CustomerIO

ROOT = Path(__file__).parents[2]
op = Operations
ANN = "Ann@example.com"
MAY = 1_777_593_600
MAY_ISO = "2026-05-01T00:00:00Z"
ULID = "01HZX3R8Q4V5W6X7Y8Z9A0B1C2"


def rows(customerio: CustomerIO, view: str, columns: str) -> list[tuple[Any, ...]]:
    return customerio.sql(f"SELECT {columns} FROM {view}")


def query(customerio: CustomerIO, name: str, **values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(customerio.path)) as database:
        return database.execute(QUERIES[name].sql, values).fetchall()


@pytest.fixture
def ann(customerio: CustomerIO) -> CustomerIO:
    """A workspace with one person who has something of everything."""
    attributes = {
        "email": ANN,
        "created_at": MAY,
        "trialEndsAt": MAY,
        "birth_date": -86_400,
        "format": MAY,
        "newsletter": True,
        "vip": False,
        "address": {"city": "York", "since_at": MAY},
        "cats": 2,
        "joined_at": "in May",
    }
    customerio.accept(
        op.identify(attributes, id="1"),
        op.event("Ordered", id="1", also={"timestamp": MAY, "attributes": {"paid": 1}}),
        op.event("Seen", anonymous_id="cookie", also={"attributes": {"new": True}}),
        op.device("token", id="1", also={"last_used": MAY}),
        op.object("identify", also={"attributes": {"name": "Acme", "paying": True}}),
        op.object(
            "add_relationships",
            also={"cio_relationships": [op.relation({"id": "1"}, {"lead": False})]},
        ),
        op.person("suppress", email="bea@example.com"),
        op.person("suppress", id="7"),
    )
    return customerio


def test_attributes_are_readable(ann: CustomerIO) -> None:
    assert dict(rows(ann, "person_attributes", "name, value")) == {
        "created_at": MAY_ISO,
        "trialEndsAt": MAY_ISO,
        "birth_date": "1969-12-31T00:00:00Z",
        "format": MAY,
        "newsletter": "true",
        "vip": "false",
        "address": f'{{"city":"York","since_at":{MAY}}}',
        "cats": 2,
        "joined_at": "in May",
    }


def test_people_are_listed_by_address_with_what_they_have(ann: CustomerIO) -> None:
    ann.accept(op.identify(id="2"), op.identify({"_update": False}, phone="+441234"))
    columns = "person, id, phone, events, last_event_at, objects, devices, segments"

    assert rows(ann, "person_profiles", columns) == [
        (ANN, "1", None, 1, MAY_ISO, 1, 1, 0),
        ("id:2", "2", None, 0, None, 0, 0, 0),
        ("phone:+441234", None, "+441234", 0, None, 0, 0, 0),
    ]
    ((attributes,),) = ann.sql(
        "SELECT attributes FROM person_profiles WHERE person = ?", ANN
    )
    assert f"\ncreated_at: {MAY_ISO}\n" in attributes
    assert "\nnewsletter: true\n" in attributes


def test_everything_names_people_by_address(ann: CustomerIO) -> None:
    columns = "person, type, name, attributes"
    assert rows(ann, "person_events", columns) == [
        (ANN, "event", "Ordered", "paid: 1"),
        ("anonymous_id:cookie", "event", "Seen", "new: true"),
    ]
    assert rows(ann, "person_devices", "person, platform, last_used, token") == [
        (ANN, "ios", MAY_ISO, "token")
    ]
    assert rows(ann, "object_people", "*") == [("1", "acme", ANN, "lead: false")]
    assert rows(ann, "object_profiles", "*") == [
        ("1", "acme", "Acme", 1, "name: Acme\npaying: true")
    ]
    assert rows(ann, "suppressed", "identifier") == [("bea@example.com",), ("id:7",)]


def test_members_of_segments_are_listed(ann: CustomerIO) -> None:
    path = "/api/v1/segments/3/add_customers"
    ann.request("POST", path, json={"ids": ["1", "unknown"]})

    assert rows(ann, "person_segments", "*") == [(3, ANN)]
    assert rows(ann, "person_profiles", "segments") == [(1,)]
    assert rows(ann, "not_applied", "person, reason, value") == [
        ("id:unknown", "unknown segment member", "unknown")
    ]


def test_delivery_reports_are_listed(customerio: CustomerIO) -> None:
    report = {
        "delivery_id": "d-1",
        "metric": "opened",
        "timestamp": MAY,
        "recipient": ANN,
        "metadata": {"first": True},
    }
    customerio.request("POST", "/api/v1/metrics", json=report)

    assert rows(customerio, "message_reports", "*") == [
        (MAY_ISO, ANN, "opened", None, None, "d-1", "first: true")
    ]


def test_an_event_without_a_time_has_that_of_its_receipt(tmp_path: Path) -> None:
    moment = datetime(2026, 5, 1, 12, 30, 1, 999_000, tzinfo=timezone.utc)
    with closing(Workspace(tmp_path / "workspace.db")) as workspace:
        apply(workspace, op.event(id="1"), received_at=moment)
        with workspace.transaction() as transaction:
            sql = "SELECT timestamp FROM person_events"
            ((shown,),) = transaction.database.execute(sql)
    assert shown == "2026-05-01T12:30:01Z"


def test_a_time_that_no_calendar_has_is_shown_as_it_is(customerio: CustomerIO) -> None:
    too_late = 10**15
    customerio.accept(
        op.event(id="1", also={"timestamp": too_late}),
        op.identify({"seen_at": too_late}, id="1"),
    )
    assert rows(customerio, "person_events", "timestamp") == [(too_late,)]
    assert rows(customerio, "person_attributes", "value") == [(too_late,)]


def test_what_was_not_applied_has_person_reason_and_value(ann: CustomerIO) -> None:
    conflict, event = op.identify({"email": ANN}, id="2"), op.event("Left", id="7")
    ann.accept(op.identify(id="2"), conflict, event)
    ann.accept(
        op.identify({"plan": "a"}, id="2", also={"timestamp": 10}),
        op.identify({"plan": "b", "ok": True}, id="2", also={"timestamp": 9}),
        op.merge({"id": "2"}, {"email": "x@example.com"}),
    )
    found = rows(ann, "not_applied", "person, reason, field, value, held_by")
    assert found == [
        ("id:2", "e-mail conflict", "email", ANN, "id:1"),
        ("id:7", "operation on a suppressed person", "id", "event Left", None),
        ("id:2", "outdated identify", "timestamp", "ok: true\nplan: b", None),
        ("x@example.com", "merge without both people", "secondary", "merge", None),
    ]
    meanings = [meaning for (meaning,) in rows(ann, "not_applied", "meaning")]
    assert meanings[2] == ACTIVITY_REASONS["outdated identify"]


def test_a_new_identifier_was_applied(ann: CustomerIO) -> None:
    ann.accept(op.identify({"email": ANN.upper()}, id="91"))
    ann.accept(op.identify({"id": "91"}, email="new@example.com"))
    assert ann.people() == ["id:91"]
    assert rows(ann, "not_applied", "*") == []
    columns = "person, before, after, found_by, value"
    assert rows(ann, "changed_identifiers", columns) == [
        ("new@example.com", "id:1", "id:91", "email", ANN.upper()),
        ("new@example.com", ANN.lower(), "new@example.com", "id", "91"),
    ]
    assert query(ann, "would_be_ignored") == []
    found = query(ann, "person", person="91")
    given = {name for _, kind, name, _ in found if kind == "new identifier"}
    assert given == {"new@example.com", "id:91"}


@pytest.mark.parametrize("value", ["null", "5", "true", "[]", '{"action": "x"', "{}"])
def test_any_text_can_be_a_value_that_was_not_applied(
    customerio: CustomerIO, value: str
) -> None:
    customerio.accept(op.identify({"email": ANN}, id="1"))
    customerio.accept(op.identify({"email": f"{value}@example.com"}, id="1"))
    customerio.accept(op.identify({"email": value}, id="1"))

    assert len(rows(customerio, "not_applied", "value")) == 2


def test_an_upgrade_renews_the_views(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    Workspace(path).close()
    with closing(sqlite3.connect(path)) as database:
        for name in VIEWS:
            database.execute(f"DROP VIEW {name}")
        database.execute("CREATE VIEW person_events AS SELECT 1 AS old")
        database.execute("CREATE VIEW of_a_user AS SELECT 1 AS mine")
        database.execute("DROP TABLE results")
        database.execute("DROP TABLE workspace")
        database.execute("PRAGMA user_version = 2")
        database.commit()
    Workspace(path).close()
    with closing(sqlite3.connect(path)) as database:
        for name in VIEWS:
            database.execute(f"SELECT * FROM {name}")
        assert database.execute("SELECT mine FROM of_a_user").fetchall() == [(1,)]


def test_an_upgrade_from_version_3_takes_what_was_applied_out(tmp_path: Path) -> None:
    path = tmp_path / "workspace.db"
    with closing(Workspace(path)) as workspace:
        apply(workspace, op.identify({"email": ANN}, id="1"))
        apply(workspace, op.identify({"email": ANN}, id="2"))
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP VIEW changed_identifiers")
        database.execute("DROP VIEW not_applied")
        database.execute("CREATE VIEW not_applied AS SELECT reason FROM activity")
        database.execute("PRAGMA user_version = 3")
        database.commit()
    Workspace(path).close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT * FROM not_applied").fetchall() == []
        changed = database.execute("SELECT before, after FROM changed_identifiers")
        assert changed.fetchall() == [("id:1", "id:2")]


def test_the_page_lists_every_view_with_its_columns(tmp_path: Path) -> None:
    Workspace(tmp_path / "workspace.db").close()
    page = (ROOT / "docs/sandbox.md").read_text()
    listed = {
        name: re.findall(r"`(\w+)`", columns)
        for name, columns in re.findall(
            r"^\|[^|]+\| `(\w+)` \|([^|]+)\|$", page, re.MULTILINE
        )
    }
    with closing(sqlite3.connect(tmp_path / "workspace.db")) as database:
        assert listed == {
            name: [
                row[0] for row in database.execute(f"SELECT * FROM {name}").description
            ]
            for name in VIEWS
        }


# Ready queries


def test_every_query_runs_on_an_empty_workspace(customerio: CustomerIO) -> None:
    customerio.request("GET", "/api/v1/accounts/region")
    for name in QUERIES:
        assert query(customerio, name, person="") == []


def test_all_about_one_person(ann: CustomerIO) -> None:
    ann.accept(op.identify({"email": "other@example.com"}, id="1"))
    found = query(ann, "person", person=ANN.lower())
    assert [(kind, name) for _, kind, name, _ in found] == [
        ("person", ANN),
        ("object", "1:acme"),
        ("not applied", "e-mail conflict"),
        ("device", "ios"),
        ("event", "Ordered"),
    ]
    ann.accept(op.event("Seen", id="2"))
    assert [name for _, _, name, _ in query(ann, "person", person="2")] == [
        "id:2",
        "Seen",
    ]


@pytest.mark.parametrize(
    "person", ["1", " 1 ", "id:1", ANN.upper(), "+4477", "phone:+4477"]
)
def test_a_person_is_found_by_every_identifier(ann: CustomerIO, person: str) -> None:
    ann.accept(op.identify({"phone": "+4477"}, id="1"), op.identify(id="11"))
    found = query(ann, "person", person=person)
    assert found == query(ann, "person", person=ANN)
    assert ("person", ANN) in [row[1:3] for row in found]


@pytest.mark.parametrize(
    ("age", "could"),
    [
        (None, True),
        (timedelta(hours=-1), True),
        (timedelta(hours=71, minutes=59), True),
        (timedelta(hours=72), False),
    ],
)
def test_events_that_could_trigger_campaigns(
    tmp_path: Path, age: timedelta | None, *, could: bool
) -> None:
    moment = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
    also = {} if age is None else {"timestamp": int((moment - age).timestamp())}
    with closing(Workspace(tmp_path / "workspace.db")) as workspace:
        apply(workspace, op.event("New", id="1", also=also), received_at=moment)
        with workspace.transaction() as transaction:
            sql = QUERIES["could_trigger_campaigns"].sql
            found = transaction.database.execute(sql).fetchall()
    assert [(person, name) for _, person, _, name, _ in found] == [("id:1", "New")] * (
        could
    )


def test_what_would_be_ignored_is_counted_by_reason(customerio: CustomerIO) -> None:
    event = op.event(id="1", also={"id": ULID})
    customerio.accept(event, event, event)
    customerio.accept(op.identify({"_update": True}, email=ANN))
    assert query(customerio, "would_be_ignored") == [
        ("repeated event", ACTIVITY_REASONS["repeated event"], 2, 1, "id:1"),
        (
            "update_only without a person",
            ACTIVITY_REASONS["update_only without a person"],
            1,
            1,
            ANN.lower(),
        ),
    ]


def test_people_without_an_address(ann: CustomerIO) -> None:
    ann.accept(op.identify(id="me@example.com"), op.identify(phone="+441234"))
    people = [person for person, *_ in query(ann, "without_email")]
    assert people == ["id:me@example.com", "phone:+441234"]


def test_rejections_are_listed_by_run_and_reason(customerio: CustomerIO) -> None:
    workspace = customerio.adapter.workspace
    workspace.store_results("a", [("tracks", "rejected", "required", 2)])
    workspace.store_results(
        "b",
        [
            ("tracks", "delivered", "person event", 5),
            ("tracks", "rejected", "of_the_api", 1),
        ],
    )
    found = [row[1:] for row in query(customerio, "rejected_by_reason")]
    assert sorted(found, key=str) == [
        ("tracks", "of_the_api", "refused by Customer.io", 1),
        ("tracks", "required", REASONS["required"], 2),
    ]


def test_events_and_attributes_are_counted_by_name(ann: CustomerIO) -> None:
    ann.accept(op.event("Seen", id="1"), op.identify({"cats": 2}, id="2"))
    events = query(ann, "events_by_name")
    assert [row[:4] for row in events] == [
        ("event", "Seen", 2, 2),
        ("event", "Ordered", 1, 1),
    ]
    assert ("cats", 2, 1, 2) in query(ann, "attributes_by_name")


# Datasette's metadata


@pytest.mark.parametrize("path", ["shop.db", "/a folder/shop.v2.sqlite", "shop"])
def test_the_metadata_is_for_the_file(path: str, tmp_path: Path) -> None:
    ((name, workspace),) = metadata(path)["databases"].items()
    assert name == {"s": "shop", "/": "shop.v2"}[path[0]]
    Workspace(tmp_path / "workspace.db").close()
    with closing(sqlite3.connect(tmp_path / "workspace.db")) as database:
        master = database.execute("SELECT type, name FROM sqlite_master").fetchall()
    hidden = {name for name, of in workspace["tables"].items() if of.get("hidden")}
    assert hidden == {name for kind, name in master if kind == "table"}
    assert DESCRIPTIONS.keys() == {name for kind, name in master if kind == "view"}
