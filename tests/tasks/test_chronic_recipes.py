"""The recipes of single planes do as published: folds."""

from pathlib import Path

import pytest

from willis.learn.recipe import Recipe, read_recipe
from willis.tasks.chronic.dataset import leaves_out

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(params=["axial", "sagittal", "coronal"])
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(RECIPES / f"chronic-{request.param}.toml")


def test_a_folder_leaves_one_of_five_folds_out(recipe: Recipe) -> None:
    assert recipe.folds is not None and recipe.folds.count == 5
    assert leaves_out({**recipe.data, "folder": "ATLAS"}, recipe.folds)
    assert leaves_out(recipe.data, recipe.folds)
    assert not leaves_out({**recipe.data, "folder": "ATLAS"}, None)
    assert leaves_out({**recipe.data, "folder": "ATLAS", "split": "folds.json"}, None)
