"""Our prediction with an imported model of nnU-Net agrees with nnU-Net's own predictor.

The golden files were made by tests/golden/lvo/make_nnunet_golden.py in an environment of its own.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from willis.errors import BundleError
from willis.infer import nnunet_space
from willis.infer.nnunet import gaussian, predict_labels, tile_starts
from willis.infer.nnunet_space import thick_axis
from willis.infer.planned import predict_planned
from willis.infer.torch_engine import TorchEngine, member_network
from willis.models import nnunet_plan
from willis.models.bundle import Bundle
from willis.models.importers.nnunet import import_nnunet
from willis.models.nnunet_plan import ChannelValues, NnunetPlan, label_names

GOLDEN = Path(__file__).parents[1] / "golden" / "lvo"
EXACT = 5e-4  # share of voxels that rounding may decide otherwise
HALF_SUMS = 0.004  # share of voxels that nnU-Net's half-precision sums may decide otherwise on random weights


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "nnunet.npz") as held:
        return dict(held)


@pytest.fixture(scope="module", params=["3d_fullres", "2d"])
def imported(request, tmp_path_factory) -> tuple[str, Bundle]:
    folder = GOLDEN / f"nnUNetTrainer__nnUNetPlans__{request.param}"
    return request.param, import_nnunet(folder, tmp_path_factory.mktemp("bundle") / "b", name="made")


def plan_of(bundle: Bundle) -> NnunetPlan:
    plan = nnunet_plan.plan_of(bundle.manifest)
    assert plan is not None
    return plan


@pytest.mark.parametrize("mirror", [False, True])
def test_labels_are_those_of_nnunets_own_predictor(imported, golden, mirror):
    name, bundle = imported
    engine = TorchEngine(member_network(bundle, 0))
    labels = predict_labels([engine], golden["image"][None], golden["spacing_mm"], plan_of(bundle), mirror=mirror)
    judge = golden[f"{name}_{'mirrored' if mirror else 'plain'}_labels"]
    assert set(np.unique(judge)) == {0, 1, 2}
    assert labels.shape == judge.shape
    assert (labels != judge).mean() < HALF_SUMS
    exact = golden[f"{name}_{'mirrored' if mirror else 'plain'}_exact_labels"]  # its tiles summed in float32
    ours, its = (labels != exact).mean(), (judge != exact).mean()
    assert ours < EXACT
    assert ours <= its


@pytest.fixture(scope="module")
def others() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "nnunet_others.npz") as held:
        return dict(held)


@pytest.mark.parametrize("name", ["3d_fullres", "2d"])
def test_residual_encoders_answer_as_nnunets_own(name, golden, others, tmp_path):
    folder = GOLDEN / f"nnUNetTrainer__nnUNetResEncUNetMPlans__{name}"
    bundle = import_nnunet(folder, tmp_path / "b", name="made")
    assert bundle.manifest.network.name == "resencunet"
    engine = TorchEngine(member_network(bundle, 0))
    labels = predict_labels([engine], golden["image"][None], golden["spacing_mm"], plan_of(bundle))
    exact = others[f"resenc_{name}"]
    assert set(np.unique(exact)) == {0, 1, 2}
    assert (labels != exact).mean() < EXACT
    tile = others["tile"] if name == "3d_fullres" else others["tile"][:1]
    logits = others[f"resenc_{name}_logits"].reshape(3, *tile.shape)
    np.testing.assert_allclose(engine(tile[None, None])[0], logits, atol=1e-4)


def test_regions_overlap_and_the_last_in_order_wins_as_in_nnunet(golden, others, tmp_path):
    folder = GOLDEN / "nnUNetTrainer__nnUNetRegions__3d_fullres"
    bundle = import_nnunet(folder, tmp_path / "b", name="made")
    assert (bundle.manifest.outputs, bundle.manifest.activation) == (("other", "m1", "c7"), "sigmoid")
    assert label_names(bundle.manifest) == ("other", "m1", "c7")
    engine, image = TorchEngine(member_network(bundle, 0)), golden["image"][None]
    codes = json.loads((folder / "dataset.json").read_text())["regions_class_order"]
    assert codes != sorted(codes)
    labels = predict_labels([engine], image, golden["spacing_mm"], plan_of(bundle), codes)
    assert set(np.unique(others["regions"])) == {0, 1, 2, 3}
    assert (labels != others["regions"]).mean() < EXACT
    without = predict_labels([engine], image, golden["spacing_mm"], plan_of(bundle), [3, 0, 0])  # what it hides shows
    np.testing.assert_array_equal(without[labels == 3], 3)
    assert np.count_nonzero(without) > np.count_nonzero(labels == 3)


CASCADES = ("nnUNetCascade", "nnUNetCascadeRegions")  # thick slices apart and labels; all axes alike, regions, a mask


@pytest.fixture(scope="module", params=CASCADES)
def cascade(request, tmp_path_factory) -> tuple[Bundle, list[int], dict[str, np.ndarray]]:
    """A cascade of two stages with random weights, the codes of its labels, and what nnU-Net made of an image."""
    folder = GOLDEN / f"nnUNetTrainer__{request.param}__3d_cascade_fullres"
    told = json.loads((folder / "dataset.json").read_text())
    with np.load(GOLDEN / "nnunet_cascades.npz") as held:
        answers = {kind: held[f"{request.param}_{kind}"] for kind in ("before", "input", "labels")}
        answers["image"] = held["image"][None]
    bundle = import_nnunet(folder, tmp_path_factory.mktemp("bundle") / "b", name="made")
    return bundle, told.get("regions_class_order", [1, 2]), answers


def test_the_network_of_a_cascade_sees_what_nnunet_shows_it(cascade, golden):
    bundle, _, answers = cascade
    plan = plan_of(bundle)
    seen = nnunet_space.placed_image(answers["image"], golden["spacing_mm"], plan, answers["before"]).data
    assert seen.shape == answers["input"].shape
    np.testing.assert_allclose(seen[:1], answers["input"][:1], atol=1e-5)
    np.testing.assert_array_equal(seen[1:], answers["input"][1:])
    assert seen[1:].any(axis=(1, 2, 3)).all()
    with pytest.raises(BundleError, match="none were given"):
        nnunet_space.placed_image(answers["image"], golden["spacing_mm"], plan)
    with pytest.raises(BundleError, match="some were given"):
        nnunet_space.placed_image(answers["image"], golden["spacing_mm"], plan_of(bundle.stages[0]), answers["before"])


def test_both_stages_of_a_cascade_find_what_nnunets_own_predictor_finds(cascade, golden):
    bundle, codes, answers = cascade
    first = predict_planned(bundle.stages[0], answers["image"], golden["spacing_mm"], codes, engine="torch")
    assert (first != answers["before"]).mean() < EXACT
    labels = predict_planned(bundle, answers["image"], golden["spacing_mm"], codes, engine="torch")
    assert set(np.unique(answers["labels"])) == {0, *codes}
    assert (labels != answers["labels"]).mean() < EXACT


def test_a_voxel_between_labels_is_given_the_nearest_of_those_that_are_as_large():
    labels = np.array([[[1, 1, 2, 2]]], np.int16)
    odd = nnunet_space.resized_labels(labels, (1, 1, 3), 1, None)
    nearest = nnunet_space.resized_labels(labels, (1, 1, 3), 0, None)
    np.testing.assert_array_equal(odd, nearest)
    met = np.array([[[0, 3], [2, 2]]], np.int16)  # the mean of all four has 2 in it most
    np.testing.assert_array_equal(nnunet_space.resized_labels(met, (1, 1, 1), 1, None), 2)
    thick = np.stack([np.full((2, 2), code, np.int16) for code in (-1, 4)])
    spread = nnunet_space.resized_labels(thick, (5, 4, 4), 1, 0)
    np.testing.assert_array_equal(spread[:, 0, 0], [-1, -1, 4, 4, 4])
    assert spread.shape == (5, 4, 4)


def test_slices_between_two_are_given_the_one_that_nnunet_takes():
    layers = np.arange(6.0)[:, None, None].repeat(2, axis=1).repeat(2, axis=2)
    for count in (9, 10, 22, 45):
        at = 6 / count * (np.arange(count) + 0.5) - 0.5  # as nnU-Net reckons, so that rounding is the same
        expected = np.clip(np.floor(at + 0.5), 0, 5)
        np.testing.assert_array_equal(nnunet_space._spread(layers, count, 0)[:, 0, 0], expected)


def test_two_folds_are_averaged(imported, golden):
    _, bundle = imported
    one = TorchEngine(member_network(bundle, 0))

    def louder(x):
        return 3 * one(x)

    plan = plan_of(bundle)
    alone = predict_labels([one], golden["image"][None], golden["spacing_mm"], plan, mirror=False)
    both = predict_labels([one, louder], golden["image"][None], golden["spacing_mm"], plan, mirror=False)
    np.testing.assert_array_equal(alone, both)


def plan(**changes) -> NnunetPlan:
    fields = {
        "flat": False,
        "transpose": (0, 1, 2),
        "spacing_mm": (1.0, 1.0, 1.0),
        "patch": (64, 64, 64),
        "values": (ChannelValues(scheme="NoNormalization"),),
    }
    return NnunetPlan(**{**fields, **changes})


def test_tiles_start_as_nnunets_own_comment_says():
    assert tile_starts((110, 64, 65), plan())[0] == [0, 23, 46]
    assert tile_starts((110, 64, 65), plan())[1:] == [[0], [0, 1]]
    flat = plan(flat=True, patch=(1, 64, 64))
    assert tile_starts((5, 64, 64), flat)[0] == [0, 1, 2, 3, 4]


def test_weights_are_highest_in_the_middle_and_never_zero():
    weight = gaussian((8, 16, 16))
    assert weight[4, 8, 8] == weight.max() == 1
    assert weight.min() > 0


def test_axes_of_a_transposed_plan_come_back(golden):
    def brightness(x):
        return np.concatenate([np.zeros_like(x), x - 40], axis=1)

    straight = predict_labels([brightness], golden["image"][None], (1, 1, 1), plan(patch=(8, 8, 8)), mirror=False)
    turned = plan(patch=(8, 8, 8), transpose=(2, 0, 1))
    np.testing.assert_array_equal(straight, golden["image"] > 40)
    np.testing.assert_array_equal(predict_labels([brightness], golden["image"][None], (1, 1, 1), turned), straight)


@pytest.mark.parametrize("separate", [False, True])
def test_maps_of_classes_keep_their_precision_and_images_get_more(separate, monkeypatch):
    seen, along = set(), nnunet_space._along
    monkeypatch.setattr(
        nnunet_space, "_along", lambda w, one, axis: seen.update((w.dtype, one.dtype)) or along(w, one, axis)
    )
    maps = np.random.default_rng(0).normal(0, 3, (3, 6, 20, 22)).astype(np.float32)
    answers = []
    for image, kind in ((True, np.float64), (False, np.float32)):
        seen.clear()
        orders = {"image_order": 1, "result_order": 1, "image_order_z": 0}
        answers.append(
            nnunet_space.resampled(
                maps, (9, 31, 17), (5, 1, 1), (3, 0.6, 1.3), plan(separate=separate, **orders), image=image
            )
        )
        assert seen == {np.dtype(kind)}
        assert answers[-1].dtype == np.float32
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize(("old", "new"), [((7, 20, 9), (11, 9, 9)), ((1, 5, 3), (4, 5, 1)), ((12, 8), (5, 30))])
def test_zooming_axis_by_axis_is_scipy_s_zoom(old, new, order):
    image = np.random.default_rng(1).normal(0, 40, old)
    factors = [n / m for n, m in zip(new, old, strict=True)]
    theirs = ndimage.zoom(image, factors, order=order, mode="nearest", grid_mode=True)
    ours = nnunet_space._zoomed(image, new, order)
    np.testing.assert_allclose(ours, np.clip(theirs, image.min(), image.max()), atol=1e-11)


@pytest.mark.parametrize(
    ("old", "new", "separate", "axis"),
    [
        ((5, 0.5, 0.5), (1, 1, 1), None, 0),
        ((1, 1, 1), (4, 1, 1), None, 0),
        ((1, 1, 1), (2, 1, 1), None, None),
        ((0.2, 1, 1), (1, 1, 1), None, None),
        ((5, 0.5, 0.5), (1, 1, 1), False, None),
    ],
)
def test_thick_slices_are_known(old, new, separate, axis):
    assert thick_axis(old, new, separate) == axis
