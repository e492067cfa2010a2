"""FVV's preparing against dipy and scikit-image, the units of ADC, and images that can't be a pair."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import ndimage

from willis.errors import BadInputError, GeometryError
from willis.image.head_mask import common_otsu_mask, median_otsu, otsu_threshold
from willis.image.in_plane import InPlane, in_plane_scale
from willis.models.manifest import Manifest
from willis.study import Study
from willis.tasks.fvv.dataset import FvvData
from willis.tasks.fvv.diffusion import adc_in_mm2_s
from willis.tasks.fvv.prepare import pair_of, prepare
from willis.tasks.fvv.spec import SPEC
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.volume import Volume

GOLDEN = Path(__file__).parents[1] / "golden" / "fvv"
OPTIONS = SPEC.resolve_options({})


def golden_script() -> ModuleType:
    """The script of the golden file, for its made-up images; its judges aren't imported."""
    spec = importlib.util.spec_from_file_location("make_preparing", GOLDEN / "make_preparing.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def manifest(preparation: str) -> Manifest:
    return FvvData.model_validate({"preparation": preparation}).manifest


def study_of(b0: np.ndarray, b1000: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 4.0)) -> Study:
    grid = Grid((b0.shape[0], b0.shape[1], b0.shape[2]), np.diag([-spacing[0], spacing[1], spacing[2], 1.0]))
    return Study({"b0": Volume(b0, grid, role="b0"), "b1000": Volume(b1000, grid, role="b1000")})


@pytest.fixture(scope="module")
def ball() -> Study:
    """A ball of brain with a core of fluid and an infarct, 3 mm voxels."""
    shape = (52, 56, 46)
    at = np.stack(np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * 3.0 for n in shape], indexing="ij"), -1)
    radius = np.linalg.norm(at, axis=-1)
    rng = np.random.default_rng(0)
    adc = np.where(radius < 14, 3e-3, 0.8e-3)
    infarct = np.linalg.norm(at - np.array([-26.0, 10.0, 8.0]), axis=-1) < 11
    adc[infarct] = 0.45e-3
    b0 = np.where(radius < 62, 600.0, 3.0) + 700 * (radius < 14) + 90 * infarct + rng.normal(0, 6, shape)
    b0 = np.abs(b0)
    b1000 = b0 * np.exp(-1000 * adc * (radius < 62)) + np.abs(rng.normal(0, 3, shape))
    return study_of(b0.astype(np.float32), b1000.astype(np.float32), (3.0, 3.0, 3.0))


@pytest.mark.parametrize("name", ["small", "same", "large"])
def test_preparing_is_that_of_the_published_libraries(name: str) -> None:
    golden, script = np.load(GOLDEN / "preparing.npz"), golden_script()
    b0, b1000 = script.made_up_pair(script.SHAPES[name])
    prepared = prepare(pair_of(study_of(b0, b1000), OPTIONS), manifest("slices"))
    mask = np.unpackbits(golden[f"{name}_mask"])[: prepared.mask.size].reshape(prepared.mask.shape).astype(bool)
    assert mask.any() and not mask.all()
    assert np.array_equal(prepared.mask, mask)
    assert np.allclose(prepared.image[:, ::16, ::16], golden[f"{name}_image"], atol=1e-4)


def test_otsu_parts_two_heaps() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(10, 1, 5000), rng.normal(50, 2, 3000)])
    assert 12 < otsu_threshold(values) < 46


def test_the_mask_needs_both_images_and_one_piece() -> None:
    one, two = np.zeros((30, 30, 12)), np.zeros((30, 30, 12))
    one[5:20, 5:20, 2:10] = two[8:24, 5:20, 2:10] = 100
    one[26:29, 26:29, 5:8] = two[26:29, 26:29, 5:8] = 100
    mask = common_otsu_mask([one, two])
    assert not mask[25:, 25:].any()
    assert mask[10:18, 8:18, 4:8].all()
    assert median_otsu(one)[10, 10, 5] and not median_otsu(one)[25, 10, 5]


@pytest.mark.parametrize(
    ("sides", "scale"),
    [((256, 256), 1.0), ((240, 272), 1.0), ((128, 128), 2.0), ((192, 256), 1.0), ((320, 320), 0.8), ((200, 300), 1.28)],
)
def test_scale_follows_the_published_rule(sides: tuple[int, int], scale: float) -> None:
    assert in_plane_scale(sides) == pytest.approx(scale)


@pytest.mark.parametrize("side", [112, 128, 192, 256, 320])
def test_slices_stay_in_place(side: int) -> None:
    """A ball's centre and volume are the same in mm before and after."""
    spacing = 230 / side
    grid = Grid((side, side, 5), np.diag([-spacing, spacing, 4.0, 1.0]))
    at = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    centre = grid.centre_mm + np.array([20.0, -15.0, 0.0])
    ball = (np.linalg.norm((at - centre)[..., :2], axis=-1) < 40).astype(float)
    way = InPlane.of(grid)
    moved = way.image(ball) >= 0.5
    found = way.grid.to_mm(np.argwhere(moved).mean(axis=0))
    assert found == pytest.approx(centre, abs=0.3)
    assert moved.sum() * way.grid.voxel_ml == pytest.approx(ball.sum() * grid.voxel_ml, rel=0.02)
    assert way.voxel_ml == pytest.approx(way.grid.voxel_ml, rel=0.01)


@pytest.mark.parametrize(("preparation", "codes"), [("lattice", ORIENTATIONS[::9]), ("slices", ORIENTATIONS[5::23])])
def test_every_orientation_gives_the_same_input(ball: Study, preparation: str, codes: tuple[str, ...]) -> None:
    grid = Grid((52, 56, 8), ball["b0"].grid.affine)
    slab = {role: Volume(image.data[:, :, 20:28], grid, role=role) for role, image in ball.volumes.items()}
    scan = Study(slab) if preparation == "slices" else ball
    wanted = prepare(pair_of(scan, OPTIONS), manifest(preparation))
    for code in codes:
        turned = Study({role: reorient(image, code) for role, image in scan.volumes.items()})
        found = prepare(pair_of(turned, OPTIONS), manifest(preparation))
        assert found.grid.same_as(wanted.grid)
        assert np.allclose(found.image, wanted.image, atol=1e-3)


def test_the_mask_has_mean_zero_and_spread_one(ball: Study) -> None:
    prepared = prepare(pair_of(ball, OPTIONS), manifest("lattice"))
    for channel in prepared.image:
        assert abs(float(channel[prepared.mask].mean())) < 0.01
        assert float(channel[prepared.mask].std()) == pytest.approx(1, abs=0.02)
    assert np.abs(prepared.image).max() <= 10
    assert prepared.brain.volume_ml == pytest.approx(4 / 3 * np.pi * 62**3 / 1000, rel=0.12)


@pytest.mark.parametrize(("factor", "unit"), [(1.0, "mm²/s"), (1e3, "1e-3 mm²/s"), (1e6, "1e-6 mm²/s")])
def test_the_unit_of_an_adc_is_told_by_its_values(ball: Study, factor: float, unit: str) -> None:
    adc = np.full(ball["b0"].data.shape, 0.8e-3 * factor)
    adc[:10] = 0
    found, named = adc_in_mm2_s(Volume(adc, ball["b0"].grid, role="adc"))
    assert named == unit
    assert float(found.data.max()) == pytest.approx(0.8e-3)


@pytest.mark.parametrize("factor", [1.0, 1e3, 1e6])
def test_ringing_outside_the_brain_does_not_move_the_unit(ball: Study, factor: float) -> None:
    """A spline leaves values just above 0 in air, which may be most of the image."""
    adc = np.full(ball["b0"].data.shape, 1e-8 * factor)
    adc[:, :, : adc.shape[2] // 5] = 0.8e-3 * factor
    found, _ = adc_in_mm2_s(Volume(adc, ball["b0"].grid, role="adc"))
    assert float(found.data.max()) == pytest.approx(0.8e-3)


def test_a_b0_made_of_the_adc_is_the_b0(ball: Study) -> None:
    pair = pair_of(ball, OPTIONS)
    adc = Volume(pair.adc.data * 1e6, pair.adc.grid, role="adc")
    without = pair_of(Study({"b1000": ball["b1000"], "adc": adc}), OPTIONS)
    inside = (ball["b0"].data > 100) & (ball["b1000"].data > 60)
    assert np.allclose(without.b0.data[inside], ball["b0"].data[inside], rtol=1e-3)
    assert any("No b0 was given" in note for note in without.notes)


def test_swapped_images_are_found_out(ball: Study) -> None:
    grid = ball["b0"].grid
    swapped = Study({"b0": Volume(ball["b1000"].data, grid), "b1000": Volume(ball["b0"].data, grid)})
    with pytest.raises(BadInputError, match="Were b0 and b1000 swapped"):
        prepare(pair_of(swapped, OPTIONS), manifest("lattice"))


def test_a_b1000_far_below_its_b0_is_refused(ball: Study) -> None:
    faint = Study({"b0": ball["b0"], "b1000": ball["b1000"].with_data(ball["b1000"].data / 40)})
    with pytest.raises(BadInputError, match="on the scale of the b0"):
        prepare(pair_of(faint, OPTIONS), manifest("lattice"))


def test_different_grids_are_named(ball: Study) -> None:
    grid = ball["b0"].grid
    b0 = Volume(ball["b0"].data[:-2], Grid((50, 56, 46), grid.affine), role="b0")
    with pytest.raises(GeometryError, match=r"50 × 56 × 46.*52 × 56 × 46.*--register"):
        pair_of(Study({"b0": b0, "b1000": ball["b1000"]}), OPTIONS)


def test_a_registered_b0_that_is_mirrored_is_refused(ball: Study) -> None:
    """A second infarct's place is what has a left and a right in this ball."""
    data = ball["b0"].data.copy()
    data[30:34, 20:40, 18:30] *= 1.8
    b1000 = ball["b1000"].with_data(np.where(data > ball["b0"].data, 1.8, 1.0) * ball["b1000"].data)
    grid = Grid((50, 56, 46), ball["b0"].grid.affine)
    options = SPEC.resolve_options({"register": True})
    pair = pair_of(Study({"b0": Volume(data[:-2], grid, role="b0"), "b1000": b1000}), options)
    assert "b0" in pair.registrations
    mirrored = Volume(data[::-1][2:].copy(), grid, role="b0")
    with pytest.raises(GeometryError, match=r"the b0 and the b1000 contradict each other.*give both on one grid"):
        pair_of(Study({"b0": mirrored, "b1000": b1000}), options)


def test_a_mask_on_another_grid_is_refused(ball: Study) -> None:
    other = Grid((10, 10, 10), np.eye(4))
    seen = Volume(np.ones(other.shape, np.uint8), other, role="flairvisible")
    with pytest.raises(GeometryError, match="flairvisible mask does not lie on the grid"):
        pair_of(Study({**ball.volumes, "flairvisible": seen}), OPTIONS)


def flair_grid(b1000: Grid) -> Grid:
    """Thicker slices with finer voxels over the same field of view."""
    spacing, sides = np.array([1.5, 1.5, 6.0]), (104, 112, 23)
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    affine[:3, 3] = b1000.centre_mm - affine[:3, :3] @ ((np.array(sides) - 1) / 2)
    return Grid(sides, affine)


@pytest.mark.parametrize("code", ["LAS", "PSR"])
def test_a_raters_mask_on_the_flairs_grid_is_brought_over(ball: Study, code: str) -> None:
    grid = flair_grid(ball["b1000"].grid)
    centre = ball["b1000"].grid.centre_mm + np.array([26.0, 10.0, 8.0])
    inside = np.linalg.norm(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - centre, axis=-1) < 15
    mask = reorient(Volume(inside.astype(np.uint8), grid, role="flairvisible"), code)
    flair = Volume(np.ones(grid.shape, np.float32), grid, role="flair")
    pair = pair_of(Study({**ball.volumes, "flair": flair, "flairvisible": mask}), OPTIONS)
    assert pair.rater is not None and pair.rater.grid.same_as(ball["b1000"].grid)
    assert pair.rater.volume_ml == pytest.approx(mask.volume_ml, rel=0.1)
    found = pair.rater.grid.to_mm(np.argwhere(pair.rater.data).mean(axis=0))
    assert found == pytest.approx(centre, abs=1.0)
    assert any("lies on the FLAIR's grid" in note for note in pair.notes)
    with pytest.raises(GeometryError, match="on the FLAIR's grid with that FLAIR"):
        pair_of(Study({**ball.volumes, "flairvisible": mask}), OPTIONS)


@pytest.mark.parametrize("preparation", ["lattice", "slices"])
def test_images_scaled_to_one_are_prepared_as_others_are(ball: Study, preparation: str) -> None:
    grid = Grid((52, 56, 8), ball["b0"].grid.affine)
    slab = {role: Volume(image.data[:, :, 20:28], grid, role=role) for role, image in ball.volumes.items()}
    top = float(slab["b1000"].data.max())
    thousand, one = (
        Study({role: image.with_data(image.data * np.float32(scale)) for role, image in slab.items()})
        for scale in (1000 / top, 1 / top)
    )
    wanted, found = (prepare(pair_of(study, OPTIONS), manifest(preparation)) for study in (thousand, one))
    assert wanted.mask.any()
    assert np.mean(found.mask != wanted.mask) < 1e-3
    assert np.allclose(found.image, wanted.image, atol=0.02)
    assert any("largest value is 1" in note for note in found.notes)
    assert not any("largest value" in note for note in wanted.notes)


def test_images_on_two_scales_are_refused_with_their_values(ball: Study) -> None:
    scaled = Study({"b0": ball["b0"].with_data(ball["b0"].data / 1e6), "b1000": ball["b1000"]})
    with pytest.raises(BadInputError, match=r"largest values are 0.00\d+ in the b0 and \d+ in the b1000"):
        prepare(pair_of(scaled, OPTIONS), manifest("lattice"))


def with_adc(ball: Study, factor: float) -> Study:
    adc = pair_of(ball, OPTIONS).adc
    return Study({**ball.volumes, "adc": Volume(adc.data * 1e6 * factor, adc.grid, role="adc")})


def test_where_the_adc_map_is_masked_b0_and_b1000_tell_it(ball: Study) -> None:
    whole = pair_of(ball, OPTIONS)
    inside = (ball["b0"].data > 100) & (ball["b1000"].data > 60)
    masked = inside & (np.indices(inside.shape)[0] > inside.shape[0] // 2)
    adc = Volume(np.where(masked, 0, 0.7 * whole.adc.data), whole.adc.grid, role="adc")
    of_three = pair_of(Study({**ball.volumes, "adc": adc}), OPTIONS).known_adc
    assert np.allclose(of_three[masked], whole.adc.data[masked])
    assert np.allclose(of_three[inside & ~masked], 0.7 * whole.adc.data[inside & ~masked])
    of_two = pair_of(Study({"b1000": ball["b1000"], "adc": adc}), OPTIONS).known_adc
    assert np.isnan(of_two[masked]).all() and not np.isnan(of_two[inside & ~masked]).any()


@pytest.mark.parametrize(("factor", "noted"), [(1.0, False), (1.1, False), (1.5, True), (0.7, True)])
def test_an_adc_is_compared_with_b0_and_b1000(ball: Study, factor: float, noted: bool) -> None:
    prepared = prepare(pair_of(with_adc(ball, factor), OPTIONS), manifest("lattice"))
    assert any("they should agree" in note for note in prepared.notes) is noted


@pytest.mark.parametrize("factor", [2.5, 0.4])
def test_an_adc_that_contradicts_b0_and_b1000_is_refused(ball: Study, factor: float) -> None:
    with pytest.raises(BadInputError, match="more than a factor of 2 lies between them"):
        prepare(pair_of(with_adc(ball, factor), OPTIONS), manifest("lattice"))


@pytest.mark.parametrize("beside_b0", [True, False])
def test_an_adc_that_shares_no_noise_with_b1000_is_refused(ball: Study, beside_b0: bool) -> None:
    adc = with_adc(ball, 1.0)["adc"]
    grain = np.random.default_rng(1).normal(1, 0.02, adc.data.shape)
    other = ball["b1000"].with_data((ndimage.gaussian_filter(ball["b1000"].data, 1) * grain).astype(np.float32))
    volumes = {"b1000": other, "adc": adc, **({"b0": ball["b0"]} if beside_b0 else {})}
    with pytest.raises(BadInputError, match=r"share no noise.*such as a FLAIR, given as b1000"):
        prepare(pair_of(Study(volumes), OPTIONS), manifest("lattice"))
    prepare(pair_of(Study({**volumes, "b1000": ball["b1000"]}), OPTIONS), manifest("lattice"))


def test_an_assumed_b_value_is_said(ball: Study) -> None:
    def notes(scalars: dict[str, float], options: dict[str, float]) -> str:
        return " ".join(pair_of(Study(ball.volumes, scalars=scalars), SPEC.resolve_options(options)).notes)

    assert "1000 s/mm² is assumed" in notes({}, {})
    assert "assumed" not in notes({"b_value": 1000.0}, {})
    assert "assumed" not in notes({}, {"b_value": 1000.0})
    assert "The .bval says 800 s/mm²; 1000 was given" in notes({"b_value": 800.0}, {"b_value": 1000.0})
    assert "the method was made for 1000" in notes({"b_value": 800.0}, {})


def told_of_sidecar(study: Study, scalars: dict[str, float], b: float | None = None) -> str:
    notes = pair_of(Study(study.volumes, scalars=scalars), {"b_value": b}).notes
    return " ".join(note for note in notes if "DiffusionBValue" in note)


def test_a_sidecar_that_names_another_b_is_told(ball: Study) -> None:
    said = "says DiffusionBValue 800 s/mm², and 1000 was used. If the JSON is right, give --b-value 800."
    assert said in told_of_sidecar(ball, {"sidecar_b_value": 800.0})
    assert said in told_of_sidecar(ball, {"sidecar_b_value": 800.0, "b_value": 1000.0})
    assert "1100 was used" in told_of_sidecar(ball, {"sidecar_b_value": 800.0}, 1100.0)
    assert "give an image of b 800 to 1200 instead" in told_of_sidecar(ball, {"sidecar_b_value": 3000.0})
    assert not told_of_sidecar(ball, {"sidecar_b_value": 800.0}, 800.0)
    assert not told_of_sidecar(ball, {"sidecar_b_value": 800.0, "b_value": 800.0})
    assert not told_of_sidecar(ball, {})


def test_of_a_b0_that_is_made_the_sidecar_says_more(ball: Study) -> None:
    with_map = with_adc(ball, 1.0)
    made = Study({role: with_map.volumes[role] for role in ("b1000", "adc")})
    told = "1000 was used, for the b0 made of the ADC too."
    assert told in told_of_sidecar(made, {"sidecar_b_value": 800.0})
    assert told not in told_of_sidecar(with_map, {"sidecar_b_value": 800.0})


def test_two_slices_are_too_few(ball: Study) -> None:
    grid = Grid((52, 56, 2), ball["b0"].grid.affine)
    cut = {role: Volume(image.data[:, :, :2], grid, role=role) for role, image in ball.volumes.items()}
    with pytest.raises(BadInputError, match="at least 3 are needed"):
        pair_of(Study(cut), OPTIONS)


@pytest.mark.parametrize("b", [0.0, 700.0, 1500.0])
def test_other_b_values_are_refused(ball: Study, b: float) -> None:
    with pytest.raises(BadInputError, match="allowed is 800 to 1200"):
        pair_of(Study(ball.volumes, scalars={"b_value": b}), OPTIONS)


def test_adc_alone_is_not_enough() -> None:
    with pytest.raises(BadInputError, match="--b1000 or --dwi"):
        SPEC.check_roles(["adc"])
    with pytest.raises(BadInputError, match="--b0 or --adc or --dwi"):
        SPEC.check_roles(["b1000"])
