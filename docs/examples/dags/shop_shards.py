"""Once: the whole of a large input, in eight processes of which each takes a share."""

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task

FOLDER = os.environ.get("SHOP_FOLDER", "/opt/pipelines/shop")
SHARDS = 8

PIPE = """
set -o pipefail
trap : TERM # the tap and the target end by themselves, and STATE is kept
umask 077
mkdir -p "shard-${TARGET_CUSTOMERIO_SHARD%/*}"
cd "shard-${TARGET_CUSTOMERIO_SHARD%/*}"
state=()
if [ -s state.json ]; then state=(--state state.json); fi
tap-jsonl --config ../tap.json "${state[@]}" \
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
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "execution_timeout": timedelta(hours=12)},
)
def shop_shards() -> None:
    @task.bash(
        cwd=FOLDER,
        env={
            "TARGET_CUSTOMERIO_REJECTED_RECORDS_PATH": "rejected.singer.jsonl",
            "TARGET_CUSTOMERIO_SITE_ID": "{{ conn.customerio.login }}",
            "TARGET_CUSTOMERIO_API_KEY": "{{ conn.customerio.password }}",
        },
        append_env=True,
    )
    def deliver(shard: str) -> str:
        return f"export TARGET_CUSTOMERIO_SHARD={shard}\n{PIPE}"

    deliver.expand(shard=[f"{number}/{SHARDS}" for number in range(1, SHARDS + 1)])


shop_shards()
