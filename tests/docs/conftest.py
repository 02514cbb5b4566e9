"""The pages, and a server that answers the region check."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.customerio import Customerio, Reply, always

from target_customerio.target import TargetCustomerIO

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


@dataclass
class Page:
    """The text of a Markdown page, or of several."""

    text: str

    def block(self, kind: str, name: str) -> str:
        """Return the fenced block below a mark."""
        mark = re.escape(f"<!-- {kind}: {name} -->")
        found = re.search(
            rf"^{mark}\n```\w*\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL
        )
        assert found, f"no {kind} named {name}"
        return found[1]

    def names(self, kind: str) -> list[str]:
        return re.findall(rf"^<!-- {kind}: ([\w.-]+) -->$", self.text, re.MULTILINE)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> Page:
    """Return README, CONTRIBUTING and the pages in docs/ as one text."""
    return Page("\n".join(file.read_text(encoding="utf-8") for file in PAGES))


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
