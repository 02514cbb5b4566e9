"""Pages of runs, plans and sandboxes, and a browser to open them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import BytecodeCache, Environment
from support.browser import program, started
from support.environments import lacking

from target_customerio.report import page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jinja2.bccache import Bucket
    from playwright.sync_api import Browser
    from support.command import Terminal
    from support.singer import Singer

HOSTILE = [
    "</script><script>alert('from a record')</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202ecom.elpmaxe\u0000\u001b[31m",
    "مرحبا بالعالم",
    "</style></title><!--",
    "javascript:alert(1)",
    "x" * 900,
]
"""Values that a page must show as the texts that they are."""


class Compiled(BytecodeCache):
    """The compiled templates, which would take most of the time of each page."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if kept := self._kept.get(bucket.key):
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture(scope="session", autouse=True)
def compiled_templates() -> Iterator[None]:
    """Compile each template once for all pages of the tests in this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            page, "Environment", partial(Environment, bytecode_cache=Compiled())
        )
        yield


@pytest.fixture(scope="session")
def hostile() -> list[str]:
    return HOSTILE


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return Chromium, as Debian has it."""
    path = program()
    if path is None:
        lacking("Chromium", "chromium")
    with started(path) as browser:
        yield browser


def people(singer: Singer, count: int, **traits: Any) -> list[Any]:
    return [
        singer.record(
            "identifies",
            userId=f"p-{number:03}",
            traits={"email": f"p.{number:03}@example.com", **traits},
        )
        for number in range(count)
    ]


@pytest.fixture(scope="session")
def sandbox_page(new_terminal: Callable[[], Terminal], singer: Singer) -> Path:
    """Return the page of the second run into a sandbox, with hostile values."""
    terminal = new_terminal()
    schemas = [singer.schema(name) for name in ("identifies", "tracks", "groups")]
    settings: dict[str, Any] = {"on_rejected": "continue"}
    assert (
        terminal.run(*schemas, *people(singer, 35, plan="free"), **settings).code == 0
    )
    hostile = {f"attribute_{number}": text for number, text in enumerate(HOSTILE)}
    first = {"userId": "p-000"}
    outcome = terminal.run(
        *schemas,
        *people(singer, 35, plan="pro", renewed_at=1_790_000_000),
        singer.record("identifies", **first, traits=hostile),
        *(
            singer.record(
                "tracks",
                **first,
                event=text[:90].replace("\0", ""),
                properties={"x": text},
            )
            for text in HOSTILE
        ),
        singer.record("groups", **first, groupId="acme", traits={"name": HOSTILE[0]}),
        singer.record("tracks", userId="p-001", event="User Deleted"),
        singer.record("tracks", userId="p-002", event="User Suppressed"),
        singer.record("identifies", userId="p-002", traits={"plan": HOSTILE[0]}),
        singer.record("tracks", event="without a person"),
        report_path="report.html",
        **settings,
    )
    assert outcome.code == 0, outcome.stderr
    return outcome.folder / "report.html"
