"""What a validation measures beside Dice: the recipe's own loss, by case or by slice."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from willis.learn.cache import write_case
from willis.learn.case import Case, CasesInTurn
from willis.learn.recipe import LossSettings, read_recipe
from willis.models.manifest import Window
from willis.tasks.training import cases_and_validation
from willis.tasks.validation import case_loss, make_validation

RECIPES = Path(__file__).parents[2] / "recipes"
SHAPE = (4, 6, 5)


class Plain(nn.Module):
    """Gives its first channel as logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1]


def case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 2, (2, *SHAPE)).astype(np.float32)
    target = (rng.random((1, *SHAPE)) < 0.3).astype(np.uint8)
    return Case(image, target, rng.random(SHAPE) < 0.7, str(seed), (1.0, 1.0, 1.0))


def cross_entropy(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, logits) - target * logits


def test_the_loss_is_the_recipe_s_over_whole_cases() -> None:
    cases = [case(0), case(1)]
    settings = LossSettings.parse({"terms": [{"name": "bce"}], "masked": True}, "test")
    window = Window(mode="whole")
    wanted = np.mean([cross_entropy(c.image[0], c.target[0])[c.mask].mean() for c in cases])
    found = make_validation(cases, ("lesion",), window, loss=settings)(Plain().eval())
    assert found["loss"] == pytest.approx(wanted, rel=2e-2)  # the network runs in bfloat16
    assert "loss" not in make_validation(cases, ("lesion",), window)(Plain().eval())


def test_slices_are_samples_where_the_network_finds_slices() -> None:
    """A mean within the mask, of each slice first, differs from that of the case where masks differ by slice."""
    one = case(2)
    settings = LossSettings.parse({"terms": [{"name": "bce"}], "masked": True}, "test")
    voxels = cross_entropy(one.image[0], one.target[0])
    by_slice = np.mean([voxels[..., k][one.mask[..., k]].mean() for k in range(SHAPE[2])])
    assert case_loss(settings, one.image[:1], one, by_slice=True) == pytest.approx(by_slice, rel=1e-5)
    assert case_loss(settings, one.image[:1], one) == pytest.approx(voxels[one.mask].mean(), rel=1e-5)
    assert abs(by_slice - voxels[one.mask].mean()) > 1e-3


def test_cases_are_made_once_and_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of an earlier run in the folder are not believed, and the image keeps its precision."""
    recipe = read_recipe(RECIPES / "fvv-published.toml").changed("data", folder="made-up")
    recipe = recipe.changed("folds", count=2)
    rng = np.random.default_rng(4)
    made: list[int] = []

    class Source:
        def case(self, index: int) -> Case:
            made.append(index)
            image = rng.normal(1, 1e-5, (2, *SHAPE)).astype(np.float32)
            return Case(image, np.ones((3, *SHAPE), np.uint8), np.ones(SHAPE, bool), "a", (1.0, 1.0, 5.0), "lvo", 3)

    judged: list[Case] = []

    def judge(cases, *_, **__):
        return lambda network: {"dice": float(len([judged.append(case) for case in cases]))}

    monkeypatch.setattr("willis.tasks.fvv.dataset.validation_cases", lambda data, folds: CasesInTurn(Source(), 2))
    monkeypatch.setattr("willis.tasks.fvv.dataset.training_cases", lambda data, folds: None)
    monkeypatch.setattr("willis.tasks.training.check_channels", lambda recipe: None)
    monkeypatch.setattr("willis.tasks.training.make_validation", judge)
    write_case(case(7), tmp_path / "validation-cases" / "case-0000009")
    _, validate = cases_and_validation(recipe, tmp_path)
    assert validate is not None
    for _ in range(2):
        assert validate(nn.Identity()) == {"dice": 2.0}
    assert made == [0, 1]
    assert np.array_equal(judged[0].image, judged[2].image) and judged[0].image is not judged[2].image
    assert judged[0].image.std() == pytest.approx(1e-5, rel=0.2)
    assert (judged[1].group, judged[1].stack, judged[1].spacing_mm) == ("lvo", 3, (1.0, 1.0, 5.0))
    assert sorted(path.name for path in (tmp_path / "validation-cases").iterdir()) == ["case-0000000", "case-0000001"]


def test_the_published_recipe_s_rate_follows_its_validation_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its three outputs are judged inside each other, 1 to 1 to 100, by the loss that it trains with."""
    recipe = read_recipe(RECIPES / "fvv-published.toml")
    assert (recipe.schedule.monitor, recipe.schedule.monitor_mode) == ("loss", "min")
    rng = np.random.default_rng(3)
    target = (rng.random((3, *SHAPE)) < 0.5).astype(np.uint8)
    target[0, 0] = 1
    given = Case(np.zeros((2, *SHAPE), np.float32), target, np.ones(SHAPE, bool), "01", (1.0, 1.0, 5.0))
    monkeypatch.setattr("willis.tasks.fvv.dataset.validation_cases", lambda data, folds: [given])
    monkeypatch.setattr("willis.tasks.fvv.dataset.training_cases", lambda data, folds: None)

    class Level(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([2.0, -1.0, 1.0]).reshape(1, 3, 1, 1).expand(len(x), 3, *x.shape[3:])

    _, validate = cases_and_validation(recipe)
    assert validate is not None
    soft = 0.98 * target + 0.01
    voxels = [cross_entropy(np.full(SHAPE, level), t) for level, t in zip((2.0, -1.0, 1.0), soft, strict=True)]
    inside = target[0] > 0
    slices = [
        voxels[0][..., k].mean() + sum(w * voxels[n][..., k][inside[..., k]].mean() for n, w in ((1, 1), (2, 100)))
        for k in range(SHAPE[2])
    ]
    assert validate(Level().eval())["loss"] == pytest.approx(np.mean(slices) / 102, rel=1e-2)
