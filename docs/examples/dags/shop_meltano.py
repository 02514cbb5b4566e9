"""Every day: a job of a Meltano project. Meltano keeps the STATE."""

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task

PROJECT = os.environ.get("SHOP_PROJECT", "/opt/pipelines/shop")
REJECTED = f"{PROJECT}/rejected.singer.jsonl"

JOB = """
trap : TERM # Meltano and its plugins end by themselves
meltano run shop
status=$?
rejected=$TARGET_CUSTOMERIO_REJECTED_RECORDS_PATH
if [ -s "$rejected" ]; then
  echo "Correct and load $rejected, and move it away" >&2
  [ $status -ne 0 ] || status=3
fi
exit $status
"""


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "execution_timeout": timedelta(hours=2)},
)
def shop_meltano() -> None:
    @task.bash(
        cwd=PROJECT,
        env={
            "MELTANO_ENVIRONMENT": os.environ.get("MELTANO_ENVIRONMENT", "production"),
            "TARGET_CUSTOMERIO_REJECTED_RECORDS_PATH": REJECTED,
            "TARGET_CUSTOMERIO_SITE_ID": "{{ conn.customerio.login }}",
            "TARGET_CUSTOMERIO_API_KEY": "{{ conn.customerio.password }}",
        },
        append_env=True,
    )
    def deliver() -> str:
        return JOB

    deliver()


shop_meltano()
