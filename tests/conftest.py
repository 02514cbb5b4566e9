"""What all tests have in common."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from support.command import Terminal
from support.customerio import REGION_REPLY, Customerio, Reply, always
from support.environments import Environments
from support.forks import ForkServer
from support.hypotheses import DEFAULT_EXAMPLES
from support.singer import Singer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How long an example takes says more of the machine than of the code.
settings.register_profile("default", deadline=None, max_examples=DEFAULT_EXAMPLES)
settings.register_profile("ci", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_xdist_auto_num_workers() -> int:
    """Return twice as many workers as cores: many tests wait for a process."""
    return 2 * (os.cpu_count() or 1)


INSTALLED = {"install", "database", "shop_database"}
"""Fixtures that install packages or start a server."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that need something installed."""
    for item in items:
        if isinstance(item, pytest.Function) and INSTALLED & {*item.fixturenames}:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    """Return what installs packages where nothing else is, and tells where."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # shared by the workers
    return Environments(folder / "environments")


@pytest.fixture(scope="session")
def singer() -> Singer:
    return Singer()


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """Return what starts processes of the command without importing it again."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def terminal(tmp_path: Path, forks: ForkServer) -> Terminal:
    return Terminal(tmp_path, forks)


@pytest.fixture(scope="session")
def new_terminal(
    tmp_path_factory: pytest.TempPathFactory, forks: ForkServer
) -> Callable[[], Terminal]:
    """Return what makes a terminal, for runs that several tests look at."""
    return lambda: Terminal(tmp_path_factory.mktemp("run"), forks)


@pytest.fixture
def stand_in() -> Iterator[Callable[..., Customerio]]:
    """Return what starts a Customer.io with one answer for all requests."""
    started: list[Customerio] = []

    def start(
        status: int = 200,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        greets: bool = False,
    ) -> Customerio:
        reply = Reply.of(body or {}, status, headers=headers or {})
        region = REGION_REPLY if greets else None
        started.append(Customerio(always(reply, region=region)))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture(scope="session")
def generate() -> Any:
    """Return ``docs/generate.py`` as a module."""
    file = Path(__file__).parents[1] / "docs/generate.py"
    spec = importlib.util.spec_from_file_location("generate", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
