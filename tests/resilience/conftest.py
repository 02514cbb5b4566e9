"""Processes and servers that are gone when the test is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from .child import Child
from .front import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class StartTarget(Protocol):
    def __call__(self, settings: dict[str, Any] | None = None, **how: Any) -> Child: ...


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def start_target(server: Server, tmp_path: Path) -> Iterator[StartTarget]:
    """Return what starts a target that delivers to the server."""
    children: list[Child] = []

    def start(settings: dict[str, Any] | None = None, **how: Any) -> Child:
        folder = tmp_path / f"run-{len(children)}"
        children.append(
            Child(folder, {"api_url": server.url, **(settings or {})}, **how)
        )
        return children[-1]

    yield start
    server.closing.set()
    for each in children:
        each.kill()
