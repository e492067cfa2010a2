"""What a recipe would do to a task's cases is held against what the cases are."""

from pathlib import Path

import pytest

from willis.errors import BadInputError
from willis.learn.recipe import read_recipe
from willis.tasks.training import check_channels

RECIPES = Path(__file__).parents[2] / "recipes"


def test_heads_whose_sides_are_told_are_not_mirrored_and_channels_that_are_not_there_not_dropped() -> None:
    recipe = read_recipe(RECIPES / "brain.toml")
    check_channels(recipe)
    check_channels(recipe.changed("augmentation", flip=0.5, flip_axes=(1,)))
    with pytest.raises(BadInputError, match="the output left tells a side"):
        check_channels(recipe.changed("augmentation", flip=0.5, flip_axes=(0,)))
    with pytest.raises(BadInputError, match="droppable names the channel 1, and the cases have 0 to 0"):
        check_channels(recipe.changed("augmentation", droppable=(1,)))
