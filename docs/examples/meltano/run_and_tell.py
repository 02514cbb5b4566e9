"""Run Meltano, and send a mail with the page of the run if it fails or rejects records.

In the folder of the project, instead of `meltano run shop`:

    python3 run_and_tell.py run shop
"""

import os
import signal
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

PAGE = Path("report.html")
REJECTED = Path(
    os.environ.get("TARGET_CUSTOMERIO_REJECTED_RECORDS_PATH", "rejected.singer.jsonl")
)


def main() -> int:
    PAGE.unlink(missing_ok=True)  # of an earlier run
    environment = {**os.environ, "TARGET_CUSTOMERIO_REPORT_PATH": str(PAGE)}
    meltano = subprocess.Popen(["meltano", *sys.argv[1:]], env=environment)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda each, _: meltano.send_signal(each))
    status = meltano.wait()
    # Meltano exits with 1 both after an error and after rejected records.
    has_rejected = REJECTED.exists() and REJECTED.stat().st_size > 0
    if status or has_rejected:
        send(mail(status, has_rejected=has_rejected))
    return status or (3 if has_rejected else 0)


def mail(status: int, *, has_rejected: bool) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "Load into Customer.io: " + (
        "rejected records" if has_rejected else "failed"
    )
    message["From"] = os.environ.get("ALERTS_FROM", "meltano@example.com")
    message["To"] = os.environ.get("ALERTS_TO", "data-team@example.com")
    lines = [f"`meltano {' '.join(sys.argv[1:])}` ended with exit code {status}."]
    if has_rejected:
        lines.append(f"Correct and load {REJECTED.absolute()}, and move it away.")
    if PAGE.exists():
        lines.append("The page of the run is attached.")
    message.set_content("\n".join(lines))
    if PAGE.exists():
        message.add_attachment(PAGE.read_text("utf-8"), "html", filename=PAGE.name)
    return message


def send(message: EmailMessage) -> None:
    host, _, port = os.environ.get("SMTP_SERVER", "localhost:25").partition(":")
    with smtplib.SMTP(host, int(port or 25), timeout=60) as server:
        if user := os.environ.get("SMTP_USER"):
            server.starttls()
            server.login(user, os.environ["SMTP_PASSWORD"])
        server.send_message(message)


if __name__ == "__main__":
    sys.exit(main())
