"""A fake Customer.io, and deliveries that are closed after the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import backoff
import pytest
from support.customerio import Customerio

from .run import MOMENT, Run, only_the_first

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests


class StartRun(Protocol):
    def __call__(
        self, *, session: requests.Session | None = None, **limits: Any
    ) -> Run: ...


@pytest.fixture
def customerio() -> Iterator[Customerio]:
    server = Customerio()
    yield server
    server.close()


@pytest.fixture
def start_run(customerio: Customerio) -> Iterator[StartRun]:
    runs: list[Run] = []

    def start(*, session: requests.Session | None = None, **limits: Any) -> Run:
        runs.append(Run(limits.pop("url", customerio.url), session, **limits))
        return runs[-1]

    yield start
    customerio.closing.set()
    for each in runs:
        each.close()


@pytest.fixture
def run(start_run: StartRun) -> Run:
    """A run with one connection, so that requests arrive one by one."""
    return start_run(concurrency=1)


@pytest.fixture
def impatient_run(start_run: StartRun) -> Run:
    """The same, whose first request times out in a moment."""
    return start_run(
        concurrency=1, request_timeout_seconds=MOMENT, is_impatient=only_the_first()
    )


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the waits between retries a hundred times shorter."""
    monkeypatch.setattr(backoff, "full_jitter", lambda value: value / 100)
