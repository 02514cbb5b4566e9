"""The script that runs Meltano and sends a mail with the page, as documented."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.command import clean_environment
from support.mail import MailServer, attachments, text_of
from support.pages import Page

from .project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .project import Copy

pytestmark = pytest.mark.timeout(900)  # installs Meltano first

SCRIPT = ROOT / "docs/examples/meltano/run_and_tell.py"
COMMAND = Page.of(ROOT / "docs/meltano.md").block("run", "meltano_alert")


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def run(project: Copy, server: MailServer, **environment: str) -> int:
    """Run the script as documented; return the exit code."""
    job = {"name": "shop", "tasks": ["tap-lines target-customerio"]}
    project.configure(lambda content: content.update(jobs=[job]))
    shutil.copy(SCRIPT, project.folder)
    path = [str(Path(project.meltano).parent), os.environ["PATH"]]
    return subprocess.run(
        ["bash", "-euc", COMMAND],
        cwd=project.folder,
        env=clean_environment(
            PATH=os.pathsep.join(path),
            SMTP_SERVER=f"127.0.0.1:{server.port}",
            ALERTS_TO="ann@example.com",
            **environment,
        ),
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=600,
    ).returncode


def test_a_run_that_succeeds_sends_nothing(project: Copy, server: MailServer) -> None:
    project.people(1, 2)

    assert run(project, server) == 0
    assert server.mails == []
    assert sorted(project.workspace()["people"]) == ["id:p-1", "id:p-2"]


def test_rejected_records_are_told_with_the_page(
    project: Copy, server: MailServer
) -> None:
    (project.folder / "report.html").write_text("of an earlier run")
    (project.folder / "lines.jsonl").write_text('{"traits": {"plan": "pro"}}\n')

    assert run(project, server) == 3
    (mail,) = server.mails
    assert mail["To"] == "ann@example.com"
    assert mail["Subject"] == "Load into Customer.io: rejected records"
    assert f"{project.folder}/rejected.singer.jsonl" in text_of(mail)
    pages = attachments(mail)
    assert list(pages) == ["report.html"]
    assert "no_identifier" in pages["report.html"]


def test_a_run_that_cannot_start_is_told_without_a_page(
    project: Copy, server: MailServer
) -> None:
    project.people(1)
    (project.folder / "report.html").write_text("of an earlier run")

    assert run(project, server, TARGET_CUSTOMERIO_REGION="mars") == 1
    (mail,) = server.mails
    assert mail["Subject"] == "Load into Customer.io: failed"
    assert attachments(mail) == {}
