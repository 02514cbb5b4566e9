"""Spark: each task delivers the partition that it holds. For spark-submit."""

import os
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import Row, SparkSession

from target_customerio import deliver

SHOP = os.environ.get("SHOP_FOLDER", "/data/shop")  # on storage that all executors have
PARTITIONS = int(os.environ.get("SHOP_PARTITIONS", "4"))
CONFIG = {
    "site_id": os.environ["CUSTOMERIO_SITE_ID"],
    "api_key": os.environ["CUSTOMERIO_API_KEY"],
    "api_url": os.environ.get("CUSTOMERIO_API_URL"),
    # A rejected row would fail its task, and Spark would try the task again.
    "on_rejected": "continue",
    "requests_per_second": 100 / PARTITIONS,
}


def config_of(stream: str) -> dict[str, Any]:
    """Give each partition a file of rejected records of its own."""
    number = TaskContext.get().partitionId()
    return {
        **CONFIG,
        "rejected_records_path": f"{SHOP}/rejected-{stream}-{number}.jsonl",
    }


def with_offset(value: object) -> object:
    """Times in a Row have no offset, and are in the time zone of the executor."""
    return value.astimezone(timezone.utc) if isinstance(value, datetime) else value


def load_orders(rows: Iterable[Row]) -> None:
    """Deliver a partition of orders, for foreachPartition."""
    records = (row.asDict(recursive=True) for row in rows)
    deliver(
        (
            {name: with_offset(value) for name, value in record.items()}
            for record in records
        ),
        call="track",
        config=config_of("orders"),
        stream="orders",
        key_properties=["order_id"],
    )


def load_users(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Deliver a partition of users, and return its summary, for mapInArrow."""
    summary = deliver(
        (row for batch in batches for row in batch.to_pylist()),
        call="identify",
        config=config_of("users"),
        stream="users",
        key_properties=["user_id"],
    )
    figures = {
        "read": summary.read,
        "delivered": sum(summary.delivered.values()),
        "rejected": sum(summary.rejected.values()),
    }
    yield pa.RecordBatch.from_pylist([figures])


def main() -> None:
    """Load users, then their orders."""
    spark = SparkSession.builder.appName("shop").getOrCreate()
    users = spark.read.parquet(f"{SHOP}/users.parquet")
    orders = spark.read.parquet(f"{SHOP}/orders.parquet")

    summaries = (
        users.repartition(PARTITIONS, "user_id")
        .sortWithinPartitions("updated_at")
        .mapInArrow(load_users, "read long, delivered long, rejected long")
        .collect()  # one action: each would deliver the users again
    )
    (
        orders.repartition(PARTITIONS, "user_id")
        .sortWithinPartitions("created_at")
        .foreachPartition(load_orders)
    )
    for name in ("read", "delivered", "rejected"):
        print(f"users {name}: {sum(each[name] for each in summaries)}")
    spark.stop()


if __name__ == "__main__":
    main()
