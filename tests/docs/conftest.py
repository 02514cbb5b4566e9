"""What the README says, in a form that tests can compare."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from target_customerio.target import TargetCustomerIO

ROOT = Path(__file__).parents[2]


@dataclass
class Readme:
    text: str

    def block(self, kind: str, name: str) -> str:
        """Return the fenced block that stands below a mark."""
        mark = re.escape(f"<!-- {kind}: {name} -->")
        found = re.search(
            rf"^{mark}\n```\w*\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL
        )
        assert found, f"README.md has no {kind} named {name}"
        return found[1]

    def names(self, kind: str) -> list[str]:
        return re.findall(rf"^<!-- {kind}: ([\w.]+) -->$", self.text, re.MULTILINE)

    def table(self, name: str) -> list[list[str]]:
        """Return the rows of the table that stands below a mark, without its head."""
        mark = re.escape(f"<!-- table: {name} -->")
        found = re.search(rf"^{mark}\n((?:\|.*\n)+)", self.text, re.MULTILINE)
        assert found, f"README.md has no table named {name}"
        rows = found[1].splitlines()[2:]
        return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


def code_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def readme() -> Readme:
    return Readme((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def codes() -> Any:
    return code_in


@pytest.fixture(scope="session")
def settings() -> dict[str, dict[str, Any]]:
    """Return every setting's schema, in the order in which ``--about`` shows them."""
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
