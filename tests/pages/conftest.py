"""The pages, and a server that answers the region check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.customerio import Customerio, Reply, always
from support.pages import Page

from target_customerio.target import TargetCustomerIO

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> Page:
    """Return README, CONTRIBUTING and the pages in docs/ as one text."""
    return Page.of(*PAGES)


@pytest.fixture(scope="session")
def settings() -> dict[str, dict[str, Any]]:
    """Return every setting's schema, in the order of ``--about``."""
    schema = TargetCustomerIO.config_jsonschema
    TargetCustomerIO.append_builtin_config(schema)
    return json.loads(json.dumps(schema["properties"]))


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def loader(project: dict[str, Any]) -> dict[str, Any]:
    (loader,) = project["plugins"]["loaders"]
    return loader


@pytest.fixture(scope="module")
def api_url() -> Iterator[str]:
    """Return the address of a Customer.io in the EU."""
    region = {"url": "", "data_center": "eu", "region": "eu", "environment_id": 1}
    customerio = Customerio(always(Reply.of(region)))
    yield customerio.url
    customerio.close()
