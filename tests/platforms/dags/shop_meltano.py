"""Every day: a job of a Meltano project. Meltano keeps the STATE."""

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task

PROJECT = os.environ.get("SHOP_PROJECT", "/opt/pipelines/shop")


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
            "TARGET_CUSTOMERIO_SITE_ID": "{{ conn.customerio.login }}",
            "TARGET_CUSTOMERIO_API_KEY": "{{ conn.customerio.password }}",
        },
        append_env=True,
    )
    def deliver() -> str:
        return "exec meltano run shop"

    deliver()


shop_meltano()
