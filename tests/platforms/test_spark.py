"""The Spark job of the documentation, run by Spark on two executors."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.command import clean_environment
from support.customerio import Customerio
from support.environments import lacking

from .project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(900)  # installs Spark, which has 400 MB

HERE = Path(__file__).parent
EXAMPLE = ROOT / "docs/examples/spark/load_shop.py"
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
PEOPLE, UPDATES, ORDERS = 40, 5, 6
TWO_EXECUTORS = "local-cluster[2,1,1024]"


def java_home() -> str:
    """Return the home of a Java that Spark supports."""
    found = sorted(Path("/usr/lib/jvm").glob("java-17-openjdk*"))
    if found:
        return str(found[0])
    java = os.environ.get("JAVA_HOME") or shutil.which("java")
    if java is None:
        lacking("Java", "openjdk-17-jre-headless")
    path = Path(java).resolve()
    return str(path if path.is_dir() else path.parents[1])


@dataclass
class Spark:
    """An installation of Spark, and of what the target needs."""

    commands: Path

    def submit(
        self, program: Path, shop: Path, server: Customerio, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program; the executors are in another time zone than UTC."""
        path = os.pathsep.join([str(ROOT), str(EXAMPLE.parent)])
        (home,) = self.commands.parent.glob("lib/python*/site-packages/pyspark")
        settings = {
            "spark.executor.memory": "512m",
            "spark.executorEnv.PYTHONPATH": path,
            "spark.executorEnv.TZ": "Asia/Kolkata",
            "spark.ui.enabled": "false",
            "spark.sql.session.timeZone": "America/New_York",
        }
        done = subprocess.run(
            [
                str(home / "bin/spark-submit"),
                f"--master={TWO_EXECUTORS}",
                *(f"--conf={name}={value}" for name, value in settings.items()),
                str(program),
            ],
            cwd=shop,
            env=clean_environment(
                CUSTOMERIO_SITE_ID="made-up-site",
                CUSTOMERIO_API_KEY="made-up-key",
                CUSTOMERIO_API_URL=server.url,
                JAVA_HOME=java_home(),
                PYSPARK_PYTHON=str(self.commands / "python"),
                PYTHONPATH=path,
                SHOP_FOLDER=str(shop),
                SPARK_HOME=str(home),
                SPARK_LOCAL_IP="127.0.0.1",
                SPARK_WORKER_DIR=str(shop / "worker"),
                **more,
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture(scope="module")
def spark(install: Callable[..., Path]) -> Spark:
    # Installing the target brings what it needs; PYTHONPATH has its present code.
    return Spark(install("spark", "pyspark[sql]>=4,<5", str(ROOT)))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with users, of whom one has a blank id, and their orders."""
    folder = tmp_path_factory.mktemp("shop")
    users: list[dict[str, Any]] = [
        {
            "user_id": f"p-{person}",
            "updated_at": START + timedelta(minutes=update),
            "update": update if person % 3 else None,
            "balance": Decimal("19.90"),
            "address": {"city": "Bern", "zip": 3000 + person},
        }
        for update in reversed(range(UPDATES))
        for person in range(PEOPLE)
    ]
    users.append({**users[0], "user_id": " "})
    orders = [
        {
            "order_id": order * PEOPLE + person,
            "user_id": f"p-{person}",
            "event": "Order Placed",
            "timestamp": START + timedelta(hours=order),
            "created_at": START + timedelta(hours=order, microseconds=123_456),
        }
        for order in reversed(range(ORDERS))
        for person in range(PEOPLE)
    ]
    pq.write_table(pa.Table.from_pylist(users), folder / "users.parquet")
    pq.write_table(pa.Table.from_pylist(orders), folder / "orders.parquet")
    return folder


@dataclass
class Loaded:
    """What the documented job printed and sent."""

    stdout: str
    log: str
    operations: list[dict[str, Any]]


@pytest.fixture(scope="module")
def loaded(spark: Spark, shop: Path) -> Iterator[Loaded]:
    server = Customerio()
    done = spark.submit(EXAMPLE, shop, server)
    yield Loaded(done.stdout, done.stderr, server.taken)
    server.close()


def by_person(operations: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the operations of each person, in the order in which they arrived."""
    found = defaultdict(list)
    for each in operations:
        found[each["identifiers"]["id"]].append(each)
    return found


def of_action(operations: list[dict[str, Any]], action: str) -> list[dict[str, Any]]:
    return [each for each in operations if each["action"] == action]


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def test_every_user_is_delivered_once_and_in_order(loaded: Loaded) -> None:
    people = by_person(of_action(loaded.operations, "identify"))
    assert people.keys() == {f"p-{person}" for person in range(PEOPLE)}
    for person in range(PEOPLE):
        assert [each["attributes"] for each in people[f"p-{person}"]] == [
            {
                "updated_at": seconds(START + timedelta(minutes=update)),
                "update": update if person % 3 else None,
                "balance": 19.9,
                "address": {"city": "Bern", "zip": 3000 + person},
            }
            for update in range(UPDATES)
        ]


def test_every_order_is_delivered_once_and_in_order(loaded: Loaded) -> None:
    orders = of_action(loaded.operations, "event")
    assert len({each["id"] for each in orders}) == len(orders) == PEOPLE * ORDERS
    people = by_person(orders)
    for person in range(PEOPLE):
        assert [
            (each["timestamp"], each["attributes"]) for each in people[f"p-{person}"]
        ] == [
            (
                seconds(START + timedelta(hours=order)),
                {
                    "order_id": order * PEOPLE + person,
                    "created_at": seconds(START + timedelta(hours=order)),
                },
            )
            for order in range(ORDERS)
        ]


def test_the_summaries_add_up_and_rejected_rows_are_in_a_file(
    loaded: Loaded, shop: Path
) -> None:
    total = PEOPLE * UPDATES
    figures = re.findall(r"^users (\w+): (\d+)$", loaded.stdout, re.MULTILINE)
    assert figures == [
        ("read", str(total + 1)),
        ("delivered", str(total)),
        ("rejected", "1"),
    ]
    (rejected,) = shop.glob("rejected-*.jsonl")
    _, record = map(json.loads, rejected.read_text().splitlines())
    assert record["rejection"]["reason"] == "blank"


def test_the_credentials_are_not_logged(loaded: Loaded) -> None:
    assert "made-up-key" not in loaded.log + loaded.stdout


def test_tasks_that_are_tried_again_double_no_event(
    spark: Spark, shop: Path, loaded: Loaded
) -> None:
    server = Customerio()
    try:
        done = spark.submit(HERE / "spark_retries.py", shop, server)
    finally:
        server.close()
    assert "the first try fails after the delivery" in done.stderr
    assert len(server.taken) == 2 * PEOPLE * ORDERS
    ids = {each["id"] for each in server.taken}
    assert ids == {each["id"] for each in of_action(loaded.operations, "event")}
