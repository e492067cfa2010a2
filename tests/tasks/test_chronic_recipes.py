"""The recipes of single planes do as published: folds, loss, learning rate; D-UNet is trained as RAX-NET is."""

from pathlib import Path

import pytest
import torch

from willis.learn.losses import Loss
from willis.learn.parts import leaves_out
from willis.learn.recipe import Recipe, read_recipe
from willis.learn.schedule import rate_factor
from willis.learn.split_file import PartRecord, SplitFile, write_split
from willis.tasks.chronic.dataset import manifest_fields
from willis.tasks.training import check_channels

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(params=["axial", "sagittal", "coronal", "dunet"])
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return read_recipe(RECIPES / f"chronic-{request.param}.toml")


def test_a_folder_leaves_one_of_five_folds_out(recipe: Recipe, tmp_path: Path) -> None:
    assert recipe.folds is not None and recipe.folds.count == 5
    assert leaves_out({**recipe.data, "folder": "ATLAS"}, recipe.folds)
    assert leaves_out(recipe.data, recipe.folds)
    assert not leaves_out({**recipe.data, "folder": "ATLAS"}, None)
    parts = tuple(PartRecord(name=f"fold_{n}", share=0.5, subjects=(f"s{n}",)) for n in (1, 2))
    path = write_split(SplitFile(kind="folds", seed=1, parts=parts, groups={}), tmp_path / "folds.json")
    assert leaves_out({**recipe.data, "folder": "ATLAS", "split": str(path), "part": "fold_1"}, None)


def test_the_network_takes_what_the_cases_have(recipe: Recipe) -> None:
    check_channels(recipe)
    fields = manifest_fields(recipe.data)
    assert [view["stack"] for view in fields["planes"]] == [4 if recipe.network.name == "dunet" else 1]
    assert recipe.sampling.patch == (*fields["planes"][0]["shape"], 1)


def test_the_loss_is_the_published_formula(recipe: Recipe) -> None:
    """1 - TI + the mean focal cross-entropy, lesion weighing 0.8 and the rest 0.2, over the whole batch."""
    rng = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn((3, 1, 8, 8, 1), generator=rng)
    y = (torch.rand(logits.shape, generator=rng) < 0.3).float()
    p = logits.sigmoid()
    tp, fp, fn = (p * y).sum(), (p * (1 - y)).sum(), ((1 - p) * y).sum()
    tversky = (tp + 1) / (tp + 0.3 * fp + 0.7 * fn + 1)
    focal = -0.8 * y * (1 - p) ** 2 * p.log() - 0.2 * (1 - y) * p**2 * (1 - p).log()
    found, _ = Loss(recipe.loss)(logits, y, torch.ones_like(y))
    assert found.item() == pytest.approx((1 - tversky + focal.mean()).item(), rel=1e-4)


def test_gradients_are_not_clipped_and_the_rate_falls_by_a_tenth_in_100000_steps(recipe: Recipe) -> None:
    assert (recipe.training.clip, recipe.training.clip_value) == (0, 0)
    for step, factor in ((0, 1.0), (50_000, 0.9**0.5), (100_000, 0.9), (300_000, 0.729)):
        assert rate_factor(recipe.schedule, step, recipe.training.steps) == pytest.approx(factor)
