"""Networks over slices of three planes: slices in and out, fusion, memory, what doesn't fit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from willis.errors import BadInputError, BundleError
from willis.infer.export import export_bundle
from willis.infer.planes import (
    SMOOTHING,
    STEP,
    across_slices,
    fill_between,
    from_slices,
    predict_planes,
    run_of,
    slices_of,
)
from willis.infer.protocol import EngineChoice
from willis.models.bundle import Bundle, read_bundle
from willis.models.cards import render_card
from willis.models.join import join_planes
from willis.models.manifest import PlaneView, make_manifest, parse_manifest
from willis.models.publish import write_bundle
from willis.nets.registry import build_network

SHAPE = (13, 20, 11)
VIEWS = {
    "axial": PlaneView(plane="axial", shape=(16, 32), start=(1, 5)),
    "sagittal": PlaneView(plane="sagittal", shape=(32, 16), start=(6, 2)),
    "coronal": PlaneView(plane="coronal", shape=(16, 16), start=(3, 5)),
}
CONFIG = {"filters": [2, 2], "down_units": [2], "up_units": [1, 1]}


def made_bundle(folder: Path, planes: tuple[str, ...], members: int, **changes: object) -> Bundle:
    manifest = make_manifest(
        {
            "name": folder.name,
            "title": "made up",
            "task": "chronic",
            "network": {"name": "raxnet", "config": CONFIG},
            "channels": ("t1",),
            "outputs": ("lesion",),
            "spacing_mm": (1.0, 1.0, 1.0),
            "planes": [VIEWS[plane].model_dump() for plane in planes],
            "intensity": {"scheme": "slice-max"},
            "threshold": {"value": 0.5, "origin": "made up"},
            "licence": "none",
            "intended_use": "tests",
            **changes,
        },
        "made up",
    )
    torch.manual_seed(len(folder.name))
    return write_bundle(folder, manifest, [build_network("raxnet", CONFIG).state_dict() for _ in range(members)])


@pytest.fixture
def images() -> dict[str, np.ndarray]:
    image = np.random.default_rng(0).uniform(0, 255, (1, *SHAPE)).astype(np.float32)
    return dict.fromkeys(VIEWS, image)


@pytest.mark.parametrize("plane", VIEWS)
def test_slices_come_back_where_they_were(plane: str, images: dict[str, np.ndarray]) -> None:
    view = VIEWS[plane]
    slices = slices_of(images[plane], view)
    assert slices.shape[2:] == view.shape
    assert slices.sum() == pytest.approx(images[plane].sum(), rel=1e-5)
    np.testing.assert_array_equal(from_slices(slices, view, SHAPE), images[plane])


@pytest.mark.parametrize("start", [(-2, -4), (-2, 3), (1, -6)])
def test_a_view_with_a_start_below_0_crops(start: tuple[int, int], images: dict[str, np.ndarray]) -> None:
    shape = tuple(10 if begin < 0 else side + begin for side, begin in zip(SHAPE, start, strict=False))
    view = PlaneView(plane="axial", shape=shape, start=start)
    image = images["axial"]
    slices = slices_of(image, view)
    assert slices.shape == (SHAPE[2], 1, *view.shape)
    back = from_slices(slices, view, SHAPE)
    kept = back != 0
    np.testing.assert_array_equal(back[kept], image[kept])
    rows = range(max(0, -start[0]), min(SHAPE[0], view.shape[0] - start[0]))
    columns = range(max(0, -start[1]), min(SHAPE[1], view.shape[1] - start[1]))
    inside = np.zeros(SHAPE, bool)
    inside[np.ix_(rows, columns, range(SHAPE[2]))] = True
    np.testing.assert_array_equal(kept[0], inside)
    assert slices[3, 0, rows[0] + start[0], columns[0] + start[1]] == image[0, rows[0], columns[0], 3]


def test_a_slice_lies_where_the_published_loader_puts_it() -> None:
    image = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(1, *SHAPE)
    slices = slices_of(image, VIEWS["coronal"])
    np.testing.assert_array_equal(slices[7, 0, 3:16, 5:16], image[0, :, 7, :])


def test_the_fused_probability_is_the_mean_of_planes(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    bundle = made_bundle(tmp_path / "three", ("axial", "sagittal", "coronal"), 3)
    found = predict_planes(bundle, images, engine="torch", threads=1)
    assert len(found.members) == 3
    np.testing.assert_allclose(found.probability, np.mean(found.members, axis=0, dtype=np.float32), atol=1e-3)
    np.testing.assert_allclose(found.spread, np.std(np.array(found.members, np.float32), axis=0), atol=1e-3)
    network = build_network("raxnet", CONFIG)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in bundle.member_weights(0).items()})
    with torch.no_grad():  # slice by slice, as a plain loop would
        loop = [network.eval()(torch.from_numpy(s[None])) for s in slices_of(images["axial"], VIEWS["axial"])]
    expected = from_slices(torch.sigmoid(torch.cat(loop)).numpy(), VIEWS["axial"], SHAPE)
    np.testing.assert_allclose(found.members[0].astype(np.float32), expected, atol=2e-3)


@pytest.mark.parametrize(("network", "config"), [
    ("raxnet", {**CONFIG, "inputs": 4}),
    ("dunet", {"filters": [2, 2, 2, 2, 2], "ratio": 1}),
])  # fmt: skip
def test_a_network_over_neighbouring_slices_sees_them_in_every_plane(
    network: str, config: dict[str, object], tmp_path: Path, images: dict[str, np.ndarray]
) -> None:
    planes = [VIEWS[name].model_copy(update={"stack": 4}).model_dump() for name in ("sagittal", "axial")]
    about = made_bundle(tmp_path / "about", ("axial",), 1).manifest
    manifest = about.changed(network={"name": network, "config": config}, planes=planes, members=(), files={})
    assert manifest.inputs == 4
    torch.manual_seed(1)
    net = build_network(network, config)
    bundle = write_bundle(tmp_path / "bundle", manifest, [net.state_dict()])
    mask = np.zeros(SHAPE, bool)
    mask[:, :, [0, 1, 7, 10]] = True
    mask[5:] = False
    found = predict_planes(bundle, images, mask=mask, engine="torch", threads=1)
    for number, (plane, axis) in enumerate((("sagittal", 0), ("axial", 2))):
        slices = slices_of(images[plane], VIEWS[plane])[:, 0]
        logits = []
        for i in range(len(slices)):
            near = [slices[j] if 0 <= j < len(slices) else np.zeros_like(slices[0]) for j in range(i - 2, i + 2)]
            with torch.no_grad():
                logits.append(net.eval()(torch.from_numpy(np.stack(near)[None])))
        expected = from_slices(torch.sigmoid(torch.cat(logits)).numpy(), VIEWS[plane], SHAPE) * mask
        np.testing.assert_allclose(found.members[number].astype(np.float32), expected, atol=2e-3)
        assert np.ptp(expected[0][mask]) > 0.01, axis


def test_a_stack_is_written_only_where_it_is_said(tmp_path: Path) -> None:
    alone = made_bundle(tmp_path / "alone", ("axial", "coronal"), 1).manifest
    assert "stack" not in alone.to_json()
    views = [{**view.model_dump(), "stack": 3} for view in alone.planes]
    stacked = parse_manifest(alone.changed(planes=views).to_json(), "here")
    assert [view.stack for view in stacked.planes] == [3, 3]
    assert "axial padded to 16 × 32 with 1 slices before and 1 after each as channels" in render_card(stacked)
    with pytest.raises(BundleError, match="the planes differ in the slices of a stack"):
        alone.changed(planes=[views[0], alone.planes[1].model_dump()])


@pytest.mark.parametrize(("plane", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_smoothing_damps_what_one_slice_alone_says_and_stays_in_its_column(plane: str, axis: int) -> None:
    p = np.zeros((1, *SHAPE), np.float32)
    p[0, 6, 9, 5] = 1
    smoothed = across_slices(p, plane, 1.0)[0]
    line = [6, 9, 5]
    line[axis] = slice(None)
    assert smoothed[tuple(line)].sum() == pytest.approx(smoothed.sum()) == pytest.approx(1, abs=1e-4)
    assert smoothed[6, 9, 5] == pytest.approx(0.399, abs=1e-3)
    np.testing.assert_allclose(across_slices(np.ones_like(p), plane, 2.0), 1, rtol=1e-6)
    assert across_slices(p, plane, 0.0) is p


def test_a_bundle_s_planes_are_smoothed_across_their_own_slices(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    plain = predict_planes(made_bundle(tmp_path / "x", ("axial", "coronal"), 2), images)
    rule = {"value": 1.5, "origin": "made up"}
    bundle = made_bundle(tmp_path / "y", ("axial", "coronal"), 2, rules={SMOOTHING: rule})
    smooth = predict_planes(bundle, images)
    for plane, alone, member in zip(("axial", "coronal"), plain.members, smooth.members, strict=True):
        wanted = across_slices(alone.astype(np.float32), plane, 1.5)
        np.testing.assert_allclose(member, wanted, atol=2e-3)
        assert np.abs(wanted - alone).max() > 0.02
    mask = np.zeros(SHAPE, bool)
    mask[4:9, 6:14, 3:8] = True
    assert not predict_planes(bundle, images, mask=mask).probability[0][~mask].any()


@pytest.mark.parametrize(
    ("step", "expected"),
    [(1, [3, 4, 5, 6, 7, 8]), (2, [3, 5, 7, 8]), (3, [3, 6, 8]), (5, [3, 8]), (9, [3, 8])],
)
def test_each_so_manyth_slice_is_run_and_the_last(step: int, expected: list[int]) -> None:
    assert run_of(np.arange(3, 9), step).tolist() == expected
    assert run_of(np.arange(0), step).size == 0


def test_slices_between_are_interpolated_by_how_far_they_lie() -> None:
    line = np.array([9, 1, 5, 7, 1, 3, 9], np.float32)
    found = line[:, None, None, None].copy()
    fill_between(found, np.array([1, 4, 5]), np.array([1, 2, 3, 4, 5]))
    np.testing.assert_allclose(found.ravel(), [9, 1, 1, 1, 1, 3, 9])
    found[4] = 4
    fill_between(found, np.array([1, 4, 5]), np.array([1, 2, 3, 4, 5]))
    np.testing.assert_allclose(found.ravel(), [9, 1, 2, 3, 4, 3, 9])


def test_a_bundle_that_says_so_runs_every_second_slice(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    every = predict_planes(made_bundle(tmp_path / "x", ("axial", "sagittal"), 1), images)
    rule = {STEP: {"value": 2, "origin": "made up"}}
    second = predict_planes(made_bundle(tmp_path / "y", ("axial", "sagittal"), 1, rules=rule), images)
    for axis, all_run, some in zip((2, 0), every.members, second.members, strict=True):
        all_run, some = np.moveaxis(all_run[0], axis, 0), np.moveaxis(some[0], axis, 0)
        np.testing.assert_allclose(some[::2], all_run[::2], atol=1e-3)
        np.testing.assert_allclose(some[-1], all_run[-1], atol=1e-3)
        between = (all_run[0].astype(np.float32) + all_run[2]) / 2
        np.testing.assert_allclose(some[1], between, atol=1e-3)
        assert np.abs(some[1] - all_run[1].astype(np.float32)).max() > 0.01


@pytest.mark.parametrize("step", [0, -1, 1.5, 6])
def test_steps_that_leave_too_much_out_are_refused(step: float, tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    rule = {STEP: {"value": step, "origin": "made up"}}
    bundle = made_bundle(tmp_path / "x", ("axial", "coronal"), 1, rules=rule)
    with pytest.raises(BadInputError, match=f"has {step:g} as its slice_step; allowed are whole numbers from 1 to 5"):
        predict_planes(bundle, images)


def test_one_member_serves_all_planes_and_the_mask_bounds_it(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    bundle = made_bundle(tmp_path / "shared", ("axial", "coronal"), 1)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[3:7, 4:9, 5] = True
    told: list[float] = []
    words: list[str] = []
    found = predict_planes(
        bundle,
        images,
        mask=mask,
        engine="torch",
        threads=1,
        progress=lambda part, word: (told.append(part), words.append(word)),
    )
    assert words[0].startswith("up to about ") and words[0].endswith(" GB of memory")
    assert words[1].startswith("axial slice")
    assert not found.probability[0][~mask].any()
    assert found.probability[0][mask].all()
    assert told[-1] == 1.0
    assert told == sorted(told)


@pytest.mark.slow
def test_openvino_says_what_torch_says(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    pytest.importorskip("openvino")
    bundle = made_bundle(tmp_path / "engines", ("sagittal",), 1)
    by_torch = predict_planes(bundle, images, engine="torch", precision="float32", threads=1).probability
    by_openvino = predict_planes(bundle, images, engine="openvino", precision="float32", threads=1).probability
    assert np.abs(by_torch - by_openvino).max() < 1e-4


def test_what_doesn_t_fit_is_refused(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    bundle = made_bundle(tmp_path / "axial", ("axial",), 1)
    with pytest.raises(BadInputError, match="takes one image"):
        predict_planes(bundle, {"coronal": images["coronal"]}, engine="torch")
    with pytest.raises(BadInputError, match="don't fit the network's 16 × 32"):
        predict_planes(bundle, {"axial": np.zeros((1, 30, 20, 4), np.float32)}, engine="torch")
    with pytest.raises(BadInputError, match="can't be kept"):
        predict_planes(bundle, images, engine="torch", memory_limit_gb=1e-6)


def test_planes_are_joined_into_one_bundle(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    single = [made_bundle(tmp_path / name, (name,), 1) for name in ("axial", "coronal")]
    joined = join_planes(single, tmp_path / "both", name="both")
    alone = [predict_planes(bundle, images, engine="torch", threads=1).probability for bundle in single]
    together = predict_planes(joined, images, engine="torch", threads=1)
    np.testing.assert_allclose(together.probability, np.mean(alone, axis=0), atol=1e-3)
    other = made_bundle(tmp_path / "other", ("sagittal",), 1, threshold={"value": 0.4, "origin": "made up"})
    with pytest.raises(BundleError, match="other differs from axial in threshold"):
        join_planes([single[0], other], tmp_path / "never", name="never")


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_an_exported_bundle_of_planes_finds_the_same(
    tmp_path: Path, images: dict[str, np.ndarray], engine: EngineChoice
) -> None:
    bundle = made_bundle(tmp_path / "one", ("axial",), 1)
    exported = read_bundle(export_bundle(bundle, tmp_path / "onnx", "onnx"))
    found = predict_planes(exported, images, engine=engine, threads=1).probability
    expected = predict_planes(bundle, images, engine="torch", threads=1).probability
    assert np.ptp(expected) > 1e-3
    assert np.abs(found - expected).max() < 1e-4


def test_slices_of_several_shapes_are_not_exported(tmp_path: Path) -> None:
    bundle = made_bundle(tmp_path / "two", ("axial", "coronal"), 1)
    with pytest.raises(BadInputError, match="two sees slices of 2 shapes"):
        export_bundle(bundle, tmp_path / "onnx", "onnx")
    with pytest.raises(BadInputError, match="sees images of 16 × 32 × 1 voxels and no others"):
        export_bundle(made_bundle(tmp_path / "one", ("axial",), 1), tmp_path / "onnx", "onnx", (16, 16, 4))


@pytest.mark.parametrize("half", [True, False])
def test_joining_keeps_the_weights_as_they_are_stored(tmp_path: Path, half: bool) -> None:
    single = [made_bundle(tmp_path / name, (name,), 1) for name in ("axial", "coronal")]
    exact = {name: value * 1.001 for name, value in single[0].member_weights(0).items()}
    stored = [
        write_bundle(tmp_path / f"{bundle.name}-stored", bundle.manifest, [exact], half=half) for bundle in single
    ]
    joined = join_planes(stored, tmp_path / "both", name="both")
    for member, bundle in enumerate(stored):
        assert joined.member_bytes(member) == bundle.member_bytes(0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WILLIS_CACHE", str(tmp_path / "cache"))
