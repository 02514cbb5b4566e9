"""The README's recipes are the files that the tests run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "README.md"
RECIPES = sorted((Path(__file__).parents[2] / "docs/examples/recipes").glob("*.json"))


def section() -> str:
    text = README.read_text(encoding="utf-8")
    return text.partition("\n## Recipes\n")[2].partition("\n## ")[0]


def blocks() -> dict[str, str]:
    return dict(
        re.findall(
            r"^<!-- file: ([\w.]+) -->\n```json\n(.*?)^```$",
            section(),
            re.MULTILINE | re.DOTALL,
        )
    )


def test_the_readme_shows_the_recipes_and_no_others() -> None:
    assert blocks() == {
        recipe.name: recipe.read_text(encoding="utf-8") for recipe in RECIPES
    }
    assert section().count("```json\n") == len(RECIPES)


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
