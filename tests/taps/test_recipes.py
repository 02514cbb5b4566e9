"""The documented recipes are the files that the tests run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs/recipes.md"
RECIPES = sorted((Path(__file__).parents[2] / "docs/examples/recipes").glob("*.json"))


def test_the_page_shows_every_recipe() -> None:
    shown = re.findall(r"<!-- generated: recipe (\w+) -->", PAGE.read_text("utf-8"))

    assert sorted(shown) == [recipe.stem for recipe in RECIPES]


def test_every_recipe_is_run_against_a_database() -> None:
    tests = (Path(__file__).parent / "test_postgres.py").read_text(encoding="utf-8")

    for recipe in RECIPES:
        assert f'"{recipe.stem}"' in tests


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_has_only_settings_that_exist(
    recipe: Path, terminal: Any, singer: Any
) -> None:
    config = json.loads(recipe.read_text(encoding="utf-8"))

    outcome = terminal.run(singer.schema("identifies"), **config)

    assert (outcome.code, outcome.lines("WARNING")) == (0, [])
