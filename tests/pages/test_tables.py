"""Names in the pages match the names in the code."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from target_customerio.errors import REASONS
from target_customerio.track_api import operations

if TYPE_CHECKING:
    from pathlib import Path


def labels() -> set[str]:
    kinds = [kind for kind in vars(operations).values() if isinstance(kind, type)]
    found = [getattr(kind, "label", None) for kind in kinds]
    return {label for label in found if isinstance(label, str)}


def test_operations_have_the_names_of_the_summary(root: Path) -> None:
    page = (root / "docs/mapping.md").read_text(encoding="utf-8")

    named = set(re.findall(r"`((?:person|object|segment|delivery) [a-z_ ]+)`", page))

    assert named == labels()


def test_every_rejection_reason_is_documented(root: Path) -> None:
    given = set()
    for file in (root / "target_customerio").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) == "RejectedRecord":
                given |= {
                    each.value
                    for each in ast.walk(node.args[0])
                    if isinstance(each, ast.Constant) and each.value != "reason"
                }

    assert given <= REASONS.keys()
    assert len(given) > len(REASONS) / 2


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


@pytest.fixture(scope="module")
def development(root: Path) -> str:
    return (root / "docs/development.md").read_text(encoding="utf-8")


def test_every_module_is_in_the_layout_table(root: Path, development: str) -> None:
    package = root / "target_customerio"
    table = development.partition("## Layout")[2].partition("\n## ")[0]

    for entry in package.iterdir():
        if entry.suffix == ".py" and entry.name != "__init__.py":
            assert f"`{entry.name}`" in table
        if (entry / "__init__.py").exists():
            assert f"`{entry.name}/`" in table


def test_every_module_and_table_of_the_development_page_exists(
    root: Path, development: str
) -> None:
    package = root / "target_customerio"
    sources = [*package.rglob("*.py"), root / "docs/generate.py"]
    code = "\n".join(file.read_text(encoding="utf-8") for file in sources)

    for path in re.findall(r"(?<![\w/])[a-z_/]+\.py\b", development):
        assert (package / path).exists() or (root / path).exists(), path
    for name in re.findall(r"`([A-Z_]{3,})`", development):
        assert re.search(rf"(?m)^{name}\b", code), name
