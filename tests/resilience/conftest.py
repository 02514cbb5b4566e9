"""Processes and servers that are closed after the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest
from support.command import RunningTarget
from support.customerio import Customerio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.forks import ForkServer


class StartTarget(Protocol):
    def __call__(
        self, settings: dict[str, Any] | None = None, **how: Any
    ) -> RunningTarget: ...


@pytest.fixture
def server() -> Iterator[Customerio]:
    server = Customerio()
    yield server
    server.close()


@pytest.fixture
def start_target(
    server: Customerio, tmp_path: Path, forks: ForkServer
) -> Iterator[StartTarget]:
    """Return a function that starts a target for the server."""
    children: list[RunningTarget] = []

    def start(settings: dict[str, Any] | None = None, **how: Any) -> RunningTarget:
        folder = tmp_path / f"run-{len(children)}"
        children.append(
            RunningTarget(
                folder,
                {"api_url": server.url, **(settings or {})},
                forks=forks,
                **how,
            )
        )
        return children[-1]

    yield start
    server.closing.set()
    for each in children:
        each.kill()
