"""Every day: a job of a Meltano project. If it fails, a mail brings its pages."""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import Context, dag, task

PROJECT = os.environ.get("SHOP_PROJECT", "/opt/pipelines/shop")
REJECTED = f"{PROJECT}/rejected.singer.jsonl"
TO = os.environ.get("SHOP_ALERTS_TO", "data-team@example.com")

JOB = """
trap : TERM # Meltano and its plugins end by themselves
[ "$AIRFLOW_CTX_TRY_NUMBER" != 1 ] || rm -f report-*.html # of an earlier run
meltano run shop
status=$?
rejected=$TARGET_CUSTOMERIO_REJECTED_RECORDS_PATH
if [ -s "$rejected" ]; then
  echo "Correct and load $rejected, and move it away" >&2
  [ $status -ne 0 ] || status=3
fi
exit $status
"""


def send_pages(context: Context) -> None:
    """Send a mail with the page of each try that came far enough to write one."""
    rejected = " Records were rejected." if Path(REJECTED).exists() else ""
    notifier = SmtpNotifier(
        to=TO,
        subject="{{ ti.dag_id }} failed",
        html_content=f"The load into Customer.io failed.{rejected} The pages of its "
        "tries are attached; Airflow has the log: {{ ti.log_url }}",
        files=sorted(map(str, Path(PROJECT).glob("report-*.html"))),
    )
    notifier(context)


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "execution_timeout": timedelta(hours=2),
        "on_failure_callback": send_pages,  # after the last try
    },
)
def shop_alert() -> None:
    @task.bash(
        cwd=PROJECT,
        env={
            "MELTANO_ENVIRONMENT": os.environ.get("MELTANO_ENVIRONMENT", "production"),
            "TARGET_CUSTOMERIO_REJECTED_RECORDS_PATH": REJECTED,
            "TARGET_CUSTOMERIO_REPORT_PATH": "report-{{ ti.try_number }}.html",
            "TARGET_CUSTOMERIO_SITE_ID": "{{ conn.customerio.login }}",
            "TARGET_CUSTOMERIO_API_KEY": "{{ conn.customerio.password }}",
        },
        append_env=True,
    )
    def deliver() -> str:
        return JOB

    deliver()


shop_alert()
