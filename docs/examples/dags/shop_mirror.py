"""Every day: a full table into Customer.io; then what is gone from it is removed."""

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task

FOLDER = os.environ.get("SHOP_FOLDER", "/opt/pipelines/shop")

PIPE = """
set -o pipefail # if the tap fails, so does the task, and nothing is removed
trap : TERM # the tap and the target end by themselves
tap-jsonl --config tap.json --catalog catalog.json \
  | target-customerio --config target.json --config=ENV > /dev/null
"""
REMOVAL = "target-customerio --config target.json --config=ENV --remove-missing"

ENVIRONMENT = {
    "TARGET_CUSTOMERIO_SITE_ID": "{{ conn.customerio.login }}",
    "TARGET_CUSTOMERIO_API_KEY": "{{ conn.customerio.password }}",
}
REMOVAL_ENVIRONMENT = {
    **ENVIRONMENT,
    "TARGET_CUSTOMERIO_MAX_DELETIONS": "{{ params.max_deletions }}",
}


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    params={"max_deletions": "10%"},
    default_args={"retries": 3, "execution_timeout": timedelta(hours=2)},
)
def shop_mirror() -> None:
    @task.bash(cwd=FOLDER, env=ENVIRONMENT, append_env=True)
    def deliver() -> str:
        return PIPE

    # A refusal is for people to look at: trying again does not help.
    @task.bash(cwd=FOLDER, env=REMOVAL_ENVIRONMENT, append_env=True, retries=0)
    def remove() -> str:
        return REMOVAL

    deliver() >> remove()


shop_mirror()
