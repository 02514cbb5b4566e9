"""Once: the whole of a large input, in eight processes of which each takes a share."""

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task

FOLDER = os.environ.get("SHOP_FOLDER", "/opt/pipelines/shop")
SHARDS = 8

PIPE = """
set -o pipefail
umask 077
mkdir -p "shard-${TARGET_CUSTOMERIO_SHARD%/*}"
cd "shard-${TARGET_CUSTOMERIO_SHARD%/*}"
state=()
if [ -s state.json ]; then state=(--state state.json); fi
tap-jsonl --config ../tap.json "${state[@]}" \
  | target-customerio --config ../target.json --config=ENV > states.jsonl
status=$?
if [ -s states.jsonl ]; then
  tail -n 1 states.jsonl > state.json.new && mv state.json.new state.json
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
            "TARGET_CUSTOMERIO_SITE_ID": "{{ conn.customerio.login }}",
            "TARGET_CUSTOMERIO_API_KEY": "{{ conn.customerio.password }}",
        },
        append_env=True,
    )
    def deliver(shard: str) -> str:
        return f"export TARGET_CUSTOMERIO_SHARD={shard}\n{PIPE}"

    deliver.expand(shard=[f"{number}/{SHARDS}" for number in range(1, SHARDS + 1)])


shop_shards()
