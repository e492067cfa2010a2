"""2.5D networks in training: the middle slice of each patch is what is learnt."""

from pathlib import Path

import torch

from willis.learn.batches import Batch
from willis.learn.distributed import World
from willis.learn.learner import Learner, middle_of_stacks
from willis.learn.recipe import Recipe, read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"


def test_the_middle_slice_is_the_target() -> None:
    image, target = torch.arange(7.0).expand(2, 2, 4, 4, 7), torch.arange(7).expand(2, 3, 4, 4, 7)
    mask = torch.ones(2, 1, 4, 4, 7)
    stack, wanted, inside = middle_of_stacks(image, target, mask)
    assert stack.shape == (2, 2, 7, 4, 4)
    assert torch.equal(stack[0, 0, :, 1, 1], torch.arange(7.0))
    assert wanted.shape == (2, 3, 4, 4, 1) and bool((wanted == 3).all())
    assert inside.shape == (2, 1, 4, 4, 1)


def test_a_step_on_stacks_lowers_the_loss() -> None:
    recipe: Recipe = read_recipe(RECIPES / "fvv-published.toml")
    recipe = recipe.changed("training", precision="float32", batch=1, threads=1)
    learner = Learner(recipe, World())
    image = torch.randn(1, 2, 32, 32, 7, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(1, 3, 32, 32, 7, dtype=torch.uint8)
    target[:, :, 8:24, 8:24] = 1
    batch = Batch(image, target, torch.ones(1, 1, 32, 32, 7, dtype=torch.uint8), ())
    losses = [learner.step(batch, step)["loss"] for step in range(4)]
    assert losses[-1] < losses[0]
