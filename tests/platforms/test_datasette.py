"""The documented command opens a sandbox in Datasette: views, and ready queries."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from typing import TYPE_CHECKING, Any

import pytest
import requests
from support.command import clean_environment, free_port, wait_until
from support.pages import Page

from target_customerio.sandbox.datasette import DESCRIPTIONS, QUERIES

from .project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.command import Terminal

pytestmark = pytest.mark.timeout(900)  # installs packages over the network

COMMAND = Page.of(ROOT / "docs/sandbox.md").block("run", "datasette").strip()


class Datasette:
    """Datasette, as the page starts it, on loopback."""

    def __init__(self, folder: Path, commands: Path) -> None:
        uvx = folder / "uvx"
        uvx.write_text(f'#!/bin/sh\nshift\nexec {commands}/datasette "$@"\n')
        uvx.chmod(0o755)
        scripts = sysconfig.get_path("scripts")
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._log = folder / "datasette.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                ["bash", "-euc", f"exec {COMMAND} --port {port}"],
                cwd=folder,
                env=clean_environment(PATH=f"{folder}:{scripts}:/usr/bin:/bin"),
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        # It says that its start is complete before it listens, and this after it.
        wait_until(lambda: "running on http" in self._log.read_text(), 60, "Datasette")

    def get(self, path: str) -> str:
        answer = requests.get(self._url + path, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.text

    def rows(self, path: str) -> list[list[Any]]:
        return json.loads(self.get(f"/workspace/{path}"))["rows"]


@pytest.fixture(scope="module")
def datasette(
    install: Callable[..., Path], new_terminal: Callable[[], Terminal]
) -> Iterator[Datasette]:
    """Datasette with a sandbox into which the sample shop was loaded twice."""
    terminal = new_terminal()
    for name in ("sandbox.json", "shop.singer.jsonl"):
        shutil.copy(ROOT / "docs/examples/shop" / name, terminal.folder)
    for _ in range(2):
        outcome = terminal.type("--config=sandbox.json", "--input=shop.singer.jsonl")
        assert outcome.code == 0
    datasette = Datasette(terminal.folder, install("datasette", "datasette<1"))
    try:
        datasette.wait()
        yield datasette
    finally:
        datasette.process.terminate()
        datasette.process.wait(30)


def test_the_page_of_the_sandbox_lists_queries_and_views_but_no_table(
    datasette: Datasette,
) -> None:
    page = datasette.get("/workspace")
    shown = json.loads(datasette.get("/workspace.json"))
    for query in QUERIES.values():
        assert query.title.replace("'", "&#39;") in page
    assert shown["queries"] != []
    assert [each["name"] for each in shown["tables"] if not each["hidden"]] == []
    assert [each["name"] for each in shown["views"]] == list(DESCRIPTIONS)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("person.json?person=BO.001@example.com", [None, "person"]),
        ("could_trigger_campaigns.json", None),
        ("would_be_ignored.json", ["repeated event"]),
        ("without_email.json", None),
        ("events_by_name.json", ["event", "Order Completed", 418, 167]),
        ("attributes_by_name.json", ["anonymous_id", 198, 198, "visitor-001"]),
    ],
)
def test_a_query_is_ready(
    datasette: Datasette, query: str, first: list[Any] | None
) -> None:
    rows = datasette.rows(query)
    if first is not None:
        assert rows[0][: len(first)] == first


def test_rejections_are_explained(datasette: Datasette) -> None:
    rows = [row[1:] for row in datasette.rows("rejected_by_reason.json")]
    assert [
        "pages",
        "invalid_timestamp",
        "the call's own time, or _sdc_deleted_at, is not a time",
        1,
    ] in rows
    assert len(rows) == 6


@pytest.mark.parametrize("view", DESCRIPTIONS)
def test_a_view_opens_with_its_description(datasette: Datasette, view: str) -> None:
    assert DESCRIPTIONS[view] in datasette.get(f"/workspace/{view}")
