"""Modules depend on each other in one direction, as the page on development says."""

from __future__ import annotations

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from target_customerio import errors

ROOT = Path(__file__).parents[2]
NAME = "target_customerio"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in (ROOT / NAME).rglob("*.py")
}
BELOW: dict[str, set[str]] = {
    "errors": set(),
    "json_codec": set(),
    "track_api": {"errors", "json_codec"},
    "mapping": {"errors", "json_codec", "track_api"},
    "delivery": {"errors", "json_codec", "track_api"},
    "sandbox": {"errors", "json_codec", "private_files", "sqlite_files", "track_api"},
    "snapshot": {"errors", "json_codec", "private_files", "sqlite_files", "track_api"},
    "private_files": set(),
    "sqlite_files": set(),
}
"""What a package or module may import, besides itself and libraries."""

PURE = {"msgspec", "email_validator", "ulid"}
"""Libraries that the mapping may import: they neither log nor send."""


def imported(path: Path) -> set[str]:
    """Return the names of modules that a module imports, also for types only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{each.name}" for each in node.names}
            modules = names & FILES.keys()
            found |= modules | ({node.module} if names - modules else set())
    return found


IMPORTS = {name: imported(path) - {name} for name, path in FILES.items()}


def test_no_import_leads_back() -> None:
    ours = {name: names & FILES.keys() for name, names in IMPORTS.items()}
    assert len(list(TopologicalSorter(ours).static_order())) == len(FILES)


@pytest.mark.parametrize("package", BELOW)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    inside = f"{NAME}.{package}"
    found = {
        name.split(".")[1]
        for module, names in IMPORTS.items()
        if module == inside or module.startswith(f"{inside}.")
        for name in names
        if name.startswith(f"{NAME}.")
    }
    assert found - {package} <= BELOW[package]


def test_the_mapping_neither_logs_nor_sends() -> None:
    found = {
        name.split(".")[0]
        for module, names in IMPORTS.items()
        if module.startswith(f"{NAME}.mapping")
        for name in names
    }
    libraries = found - sys.stdlib_module_names - {NAME}
    assert libraries <= PURE
    assert not found & {"http", "logging", "socket", "sqlite3", "threading", "urllib3"}


def tree_of(kind: type[BaseException], depth: int = 1) -> list[str]:
    """Return the names of an exception and those below it, indented."""
    below = sorted(kind.__subclasses__(), key=lambda each: each.__name__)
    ours = [each for each in below if each.__module__ == errors.__name__]
    rest = [line for each in ours for line in tree_of(each, depth + 1)]
    return ["    " * depth + kind.__name__, *rest]


def test_the_module_of_errors_shows_their_tree() -> None:
    drawn = [
        line for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")
    ]
    assert drawn == [*tree_of(errors.TargetError), *tree_of(errors.RejectedRecord)]


def test_each_error_that_ends_a_run_is_in_the_module_of_errors() -> None:
    found = {
        f"{path.stem}.{node.name}"
        for path in FILES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name) and hasattr(errors, base.id)
    }
    assert "errors.InputError" in found
    assert {name.split(".")[0] for name in found} == {"errors"}


def test_the_page_on_development_names_every_module_at_the_top() -> None:
    page = (ROOT / "docs/development.md").read_text(encoding="utf-8")
    (layout,) = re.findall(r"^## Layout$(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    rows = "".join(line.split("|")[1] for line in layout.splitlines() if "|" in line)
    named = set(re.findall(r"`(\w+)\.py`", rows))
    assert named == {path.stem for path in (ROOT / NAME).glob("*.py")} - {"__init__"}
