"""Every hour: the partitions of a source, each loaded by a task of its own."""

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task

FOLDER = os.environ.get("SHOP_FOLDER", "/opt/pipelines/shop")
TAP = os.environ.get("SHOP_TAP", "tap-postgres")
PARTITIONS = int(os.environ.get("SHOP_PARTITIONS", "4"))
REQUESTS_PER_SECOND = 100

PIPE = """
set -o pipefail
trap : TERM # the tap and the target end by themselves, and STATE is kept
umask 077
mkdir -p "partition-$partition-of-$partitions"
cd "partition-$partition-of-$partitions"
# For the views in partitions.sql; files need a tap.json in each folder instead.
export PGOPTIONS="-c shop.partition=$partition -c shop.partitions=$partitions"
options=(--config ../tap.json)
if [ -s tap.json ]; then options=(--config tap.json); fi
if [ -s ../catalog.json ]; then options+=(--catalog ../catalog.json); fi
if [ -s state.json ]; then options+=(--state state.json); fi
"$tap_command" "${options[@]}" \
  | target-customerio --config ../target.json --config=ENV > states.jsonl
status=$?
lines=$(wc -l < states.jsonl) # complete ones
if [ "$lines" -gt 0 ]; then
  { sed -n "${lines}p" states.jsonl > state.json.new \
    && mv state.json.new state.json; } || status=1
fi
if [ -s rejected.singer.jsonl ]; then
  echo "Correct and load $PWD/rejected.singer.jsonl, and move it away" >&2
  [ $status -ne 0 ] || status=3
fi
exit $status
"""


@dag(
    schedule="@hourly",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "execution_timeout": timedelta(hours=1)},
)
def shop_partitions() -> None:
    @task.bash(
        cwd=FOLDER,
        env={
            "tap_command": TAP,
            "partitions": str(PARTITIONS),
            "TARGET_CUSTOMERIO_REJECTED_RECORDS_PATH": "rejected.singer.jsonl",
            "TARGET_CUSTOMERIO_REQUESTS_PER_SECOND": str(
                REQUESTS_PER_SECOND / PARTITIONS
            ),
            "TARGET_CUSTOMERIO_SITE_ID": "{{ conn.customerio.login }}",
            "TARGET_CUSTOMERIO_API_KEY": "{{ conn.customerio.password }}",
        },
        append_env=True,
    )
    def deliver(partition: int) -> str:
        return f"partition={partition}\n{PIPE}"

    deliver.expand(partition=list(range(PARTITIONS)))


shop_partitions()
