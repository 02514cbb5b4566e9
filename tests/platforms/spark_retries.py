"""Loads orders with tasks that fail at their first try, after the delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import load_shop
from pyspark import TaskContext
from pyspark.sql import SparkSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import Row


def load_then_fail_once(rows: Iterable[Row]) -> None:
    load_shop.load_orders(rows)
    if TaskContext.get().attemptNumber() == 0:
        raise RuntimeError("the first try fails after the delivery")


def main() -> None:
    spark = SparkSession.builder.appName("retries").getOrCreate()
    (
        spark.read.parquet(f"{load_shop.SHOP}/orders.parquet")
        .repartition(load_shop.PARTITIONS, "user_id")
        .sortWithinPartitions("created_at")
        .foreachPartition(load_then_fail_once)
    )
    spark.stop()


main()
