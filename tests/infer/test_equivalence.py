from dataclasses import replace

import numpy as np
import pytest
import torch

from willis.errors import BadInputError
from willis.infer import equivalence
from willis.infer.equivalence import PrecisionLikeness, measure_equivalence
from willis.infer.precision import multiplies_natively
from willis.models.manifest import PlaneView
from willis.models.publish import write_bundle
from willis.nets.registry import build_network

PLANE_SHAPE = (12, 16, 14)
RAXNET = {"filters": [2, 2], "down_units": [2], "up_units": [1, 1]}
PLAN = {
    "flat": False, "transpose": [0, 1, 2], "spacing_mm": [1, 1, 1], "patch": [8, 8, 8],
    "values": [{"scheme": "NoNormalization"}],
}  # fmt: skip


def test_float32_on_the_same_engine_is_equal(make_bundle, image):
    found = measure_equivalence(make_bundle(1), [(image, None)], precision="float32", engine="torch")
    assert (found.dice, found.max_difference, found.cases) == (1.0, 0.0, 1)
    assert (found.engine, found.precision) == ("torch", "float32")
    assert found.proven


@pytest.mark.skipif(not multiplies_natively("bfloat16"), reason="this processor doesn't multiply bfloat16")
def test_bfloat16_is_like_float32_and_not_equal(make_bundle, image):
    other = np.ascontiguousarray(image[:, ::-1])
    empty = np.zeros(image.shape[1:], bool)
    found = measure_equivalence(
        make_bundle(1), [(image, None), (other, None), (image, empty)], precision="bfloat16", engine="torch"
    )
    assert 0.9 < found.dice < 1
    assert 1e-4 < found.max_difference < 0.2
    assert found.cases == 3
    assert not found.proven


def test_no_cases_are_no_measurement(make_bundle):
    with pytest.raises(BadInputError, match="at least one"):
        measure_equivalence(make_bundle(1), [], precision="float32", engine="torch")


def cube(side):
    """A probability that is above the threshold in a cube of that side alone."""
    p = np.zeros((20, 20, 20), np.float32)
    p[2 : 2 + side, 2 : 2 + side, 2 : 2 + side] = 1
    return p


def test_the_least_case_decides_and_empty_masks_count_as_1(make_bundle, monkeypatch):
    sides = iter([(8, 8), (4, 4), (0, 0)])
    pairs = {}

    def given(bundle, image, mask, engine, precision, threads):
        if precision == "float32":
            pairs["now"] = next(sides)
        p = cube(pairs["now"][0])
        moved = len(told) == 1 and precision == "bfloat16"
        return {"wmh": np.roll(p, 1, axis=0) if moved else p}

    told = []
    monkeypatch.setattr(equivalence, "_found", given)
    found = measure_equivalence(
        make_bundle(1), [(cube(1)[None], None)] * 3, precision="bfloat16", tell=lambda n, dice: told.append((n, dice))
    )
    assert told == [(1, {"wmh": 1.0}), (2, {"wmh": 0.75}), (3, {"wmh": 1.0})]  # 3 of a cube's 4 layers are shared
    assert found.least == {"wmh": 0.75}
    assert found.pooled["wmh"] == pytest.approx((512 + 48) / (512 + 64))
    entry = found.for_manifest("three cubes")
    assert (entry.dice, entry.cases, entry.on) == (0.75, 3, "three cubes")
    assert entry.pooled == pytest.approx(560 / 576)


def test_a_likeness_is_proven_from_0_999_on():
    least = {"lesion": 0.9991, "lesion axial": 0.999}
    found = PrecisionLikeness("bfloat16", "openvino", least, {"lesion": 1.0, "lesion axial": 1.0}, 0.01, 4)
    assert found.proven
    assert not replace(found, least={**least, "lesion axial": 0.9989}).proven


def test_planes_are_compared_fused_and_alone(tmp_path, manifest_maker):
    views = [PlaneView(plane="axial", shape=(12, 16)), PlaneView(plane="coronal", shape=(12, 16), start=(0, 1))]
    manifest = manifest_maker(
        network={"name": "raxnet", "config": RAXNET},
        channels=["t1"],
        outputs=["lesion"],
        planes=[view.model_dump() for view in views],
    )
    torch.manual_seed(1)
    bundle = write_bundle(tmp_path / "planes", manifest, [build_network("raxnet", RAXNET).state_dict()], half=False)
    image = np.random.default_rng(1).random((1, *PLANE_SHAPE), dtype=np.float32)
    images = {view.plane: image for view in views}
    found = measure_equivalence(bundle, [(images, None)], precision="float32", engine="openvino", threads=1)
    assert list(found.least) == ["lesion", "lesion axial", "lesion coronal"]
    assert found.dice > 0.999
    assert 0 < found.max_difference < 1e-4


def test_the_largest_probability_wins_where_a_plan_says_how_it_is_run(tmp_path, manifest_maker):
    config = {"inputs": 1, "outputs": 3, "features": [2, 3], "kernels": [[3, 3, 3]] * 2,
              "strides": [[1, 1, 1], [2, 2, 2]], "convs": [1, 1], "decoder_convs": [1]}  # fmt: skip
    manifest = manifest_maker(
        network={"name": "plainunet", "config": {**config, "plan": PLAN}},
        channels=["ncct"],
        outputs=["background", "m1", "m2"],
    )
    torch.manual_seed(3)
    states = [build_network("plainunet", config).state_dict() for _ in range(2)]
    bundle = write_bundle(tmp_path / "plan", manifest, states, half=False)
    image = np.random.default_rng(2).random((1, 10, 12, 8), dtype=np.float32)
    found = measure_equivalence(bundle, [(image, None)], precision="float32", engine="openvino", threads=1)
    assert list(found.least) == ["background", "m1", "m2"]
    p = equivalence._found(bundle, image, None, "torch", "float32", 1)
    masks = equivalence._masks(bundle, p)
    np.testing.assert_allclose(sum(p.values()), 1, atol=1e-5)
    assert np.array_equal(sum(mask.astype(int) for mask in masks.values()), np.ones(image.shape[1:]))
    assert min(mask.sum() for mask in masks.values()) > 0 or found.dice == 1
    assert found.max_difference < 1e-4


def test_one_answer_for_a_scan_is_refused(make_bundle):
    bundle = make_bundle(1)
    manifest = bundle.manifest.changed(network={"name": "mcresnet", "config": {}})
    with pytest.raises(BadInputError, match="one answer for a whole scan"):
        measure_equivalence(replace(bundle, manifest=manifest), [], precision="float32")
