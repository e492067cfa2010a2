"""Networks over neighbouring slices in training: each slice of a batch comes with its own, as it does in a run."""

from pathlib import Path

import numpy as np
import pytest

from willis.infer.slices import neighbours_as_channels
from willis.learn.batches import make_batch
from willis.learn.case import Case, CaseList
from willis.learn.pool import CasePool
from willis.learn.recipe import Recipe
from willis.learn.trainer import train
from willis.models.manifest import Window
from willis.tasks.validation import make_validation

SHAPE = (16, 16, 6)
RECIPE = {
    "task": "chronic",
    "network": {"name": "dunet", "config": {"filters": [4, 4, 4, 4, 4], "ratio": 1}},
    "sampling": {"patch": [16, 16, 1], "foreground_share": 0.0, "first": 1, "window": 1, "workers": 0},
    "augmentation": {"flip": 0.0},
    "optimiser": {"rate": 0.01},
    "training": {"steps": 120, "batch": 4, "threads": 1, "ema": 0.0, "precision": "float32", "validate_every": 120},
}


def _case(image: np.ndarray, target: np.ndarray) -> Case:
    return Case(image, target, np.ones(SHAPE, dtype=bool), "a", (1.0, 1.0, 1.0), stack=4)


def _numbered() -> Case:
    """Slice k holds the value k + 1, and is labelled at row k alone."""
    image = np.broadcast_to(np.arange(1, 7, dtype=np.float32), (1, *SHAPE)).copy()
    target = np.zeros((1, *SHAPE), np.uint8)
    for k in range(6):
        target[0, k, :, k] = 1
    return _case(image, target)


@pytest.mark.parametrize(("depth", "flips"), [(1, []), (1, [2]), (2, [])])
def test_slices_of_a_batch_come_with_their_neighbours(depth: int, flips: list[int], tmp_path: Path) -> None:
    recipe = Recipe.parse(RECIPE, "test").changed("sampling", patch=(16, 16, depth))
    recipe = recipe.changed("augmentation", flip_axes=flips, flip=1.0)
    whole = neighbours_as_channels(_numbered().image, 4)[:, 0, 0]
    seen = set()
    with CasePool(CaseList((_numbered(),)), tmp_path, window=1, first=1, per_step=0, workers=0) as pool:
        for step in range(12):
            batch = make_batch(recipe, pool, step, range(4))
            assert batch.image.shape == (4, 4, 16, 16, depth)
            assert batch.target.shape == batch.mask.shape == (4, 1, 16, 16, depth)
            for image, target, drawn in zip(batch.image, batch.target, batch.drawn, strict=True):
                k = drawn["start"][2]
                seen.add(k)
                for layer in range(depth):
                    shown = image[:, 0, 0, layer].tolist()
                    labelled = int(target[0, :, 0, layer].numpy().argmax())
                    assert labelled == k + layer
                    mirrored = [n if 1 <= n <= 6 else 0 for n in range(k + 3, k - 1, -1)]
                    assert shown == (mirrored if flips else whole[:, k + layer].tolist())
    if depth == 1:
        assert seen == set(range(6))


def test_what_only_a_neighbour_shows_is_learnt(tmp_path: Path) -> None:
    """A slice is lesion where the slice before it is bright; by itself it shows nothing."""

    def made(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        bright = rng.random((1, 2, 2, 6)) < 0.5
        image = np.kron(bright, np.ones((1, 8, 8, 1))).astype(np.float32) + 0.1
        target = np.zeros((1, *SHAPE), np.uint8)
        target[..., 1:] = image[..., :-1] > 1
        return _case(image, target)

    recipe = Recipe.parse(RECIPE, "test").changed("sampling", window=4, first=4)
    validate = make_validation([made(9)], ("lesion",), Window(mode="sliding", shape=(16, 16, 3), overlap=0.0))
    result = train(recipe, CaseList(tuple(made(n) for n in range(4))), validate, tmp_path / "run")
    assert result.state.best is not None and result.state.best > 0.8
