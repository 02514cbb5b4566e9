"""Names in the pages are the names in the code."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from target_customerio.errors import REASONS
from target_customerio.track_api import operations

if TYPE_CHECKING:
    from pathlib import Path


def labels() -> set[str]:
    return {
        kind.label
        for kind in vars(operations).values()
        if isinstance(kind, type) and isinstance(getattr(kind, "label", None), str)
    }


def test_operations_are_called_what_the_summary_calls_them(root: Path) -> None:
    page = (root / "docs/mapping.md").read_text(encoding="utf-8")

    named = set(re.findall(r"`((?:person|object|segment|delivery) [a-z_ ]+)`", page))

    assert named == labels()


def test_every_reason_that_is_given_is_explained(root: Path) -> None:
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


def test_every_module_is_in_the_layout_table_of_the_development_page(
    root: Path,
) -> None:
    package = root / "target_customerio"
    page = (root / "docs" / "development.md").read_text(encoding="utf-8")
    places = page.partition("## Layout")[2].partition("##")[0]
    missing = {
        file.name
        for file in package.glob("*.py")
        if not file.name.startswith("__") and f"{file.name}`" not in places
    }

    assert missing == set()
