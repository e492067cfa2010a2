"""A head laid on the template: the darker side is found, mirrored where it is mirrored, and others are refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from willis.errors import BadInputError
from willis.findings import Findings
from willis.study import Study
from willis.tasks.ct_template import template
from willis.tasks.lvo import headspace, interpret, run
from willis.tasks.lvo import prepare as prepare_module
from willis.tasks.lvo.prepare import PreparedHead, prepare
from willis.tasks.lvo.spec import SPEC
from willis.tasks.settings import RunSettings
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

pytestmark = pytest.mark.slow

CENTRE_MNI = (-42.0, -8.0, 22.0)  # a lesion in the left territory of the middle cerebral artery
RADIUS_MM = 18.0
FALL_HU = 8.0
LIVING = 1.3  # the average CT is darker than brains are
GRID = Grid((96, 112, 36), np.array([[-2.1, 0, 0, 101], [0, -2.1, 0, 96], [0, 0, 5.0, -62], [0, 0, 0, 1.0]]))


def motion() -> np.ndarray:
    """From mm of the patient to mm of the template."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (8, 2, -5), degrees=True).as_matrix() @ np.diag([1.03, 0.97, 1.02])
    matrix[:3, 3] = (3.0, -4.0, 2.0)
    return matrix


def patient_ct() -> Volume:
    source = template("ct")
    at = source.grid.to_mm(np.moveaxis(np.indices(source.grid.shape), 0, -1))
    near = np.clip((RADIUS_MM - np.linalg.norm(at - CENTRE_MNI, axis=-1)) / 4, 0, 1)
    tissue = np.where(template("brain").data > 0, LIVING * source.data, source.data)
    hurt = source.with_data((tissue - FALL_HU * near).astype(np.float32))
    ct = resample_to(hurt, GRID, world_transform=motion(), fill=-1000.0)
    noise = np.random.default_rng(4).normal(0, 2.5, GRID.shape)
    return Volume((ct.data + noise).astype(np.float32), GRID, role="ncct", unit="HU")


def brain_mask() -> Volume:
    source = template("brain")
    there = resample_to(source.with_data(source.data.astype(np.float32)), GRID, world_transform=motion())
    return Volume((there.data >= 0.5).astype(np.uint8), GRID, role="brain")


def prepared_of(ct: Volume, brain: Volume | None = None) -> PreparedHead:
    """The average skull is too blurred to hold a brain mask, so that one is given."""
    given = {} if brain is None else {"brain": brain}
    return prepare(Study({"ncct": ct, **given}), SPEC.resolve_options({}))


@pytest.fixture(scope="module")
def straight() -> PreparedHead:
    return prepared_of(patient_ct(), brain_mask())


@pytest.fixture(scope="module")
def turned() -> PreparedHead:
    ct, brain = patient_ct(), brain_mask()
    return prepared_of(*(v.with_data(np.ascontiguousarray(v.data[::-1])) for v in (ct, brain)))


def test_the_template_is_laid_where_the_patient_lies(straight):
    points = np.array([(30, 10, 0), (-30, 10, 0), (0, -60, 10), (0, 0, 60), (20, -20, -20)], float)
    wanted = np.linalg.inv(motion())
    truth = points @ wanted[:3, :3].T + wanted[:3, 3]
    found = points @ straight.head.fit.matrix[:3, :3].T + straight.head.fit.matrix[:3, 3]
    assert np.linalg.norm(found - truth, axis=1).max() < 3.0


def test_the_lesion_is_found_on_its_side_and_in_its_territory(straight):
    darker = interpret.darker_mask(straight, 4.0)
    found = interpret.describe_territories(straight, darker)
    by = {(t.name, t.side): t for t in found}
    assert by["mca", "left"].darker_ml > 8
    assert by["mca", "left"].darker_ml > 5 * sum(t.darker_ml for t in found if t.side == "right")
    middle = straight.head.grid.to_mm(np.argwhere(darker).mean(axis=0))
    wanted = np.linalg.inv(motion()) @ [*CENTRE_MNI, 1.0]
    assert np.linalg.norm(middle - wanted[:3]) < 8


def test_a_mirrored_scan_swaps_the_sides_and_nothing_else(straight, turned):
    one = interpret.describe_territories(straight, interpret.darker_mask(straight, 4.0))
    other = {(t.name, t.side): t for t in interpret.describe_territories(turned, interpret.darker_mask(turned, 4.0))}
    patient, mni = np.diag([-1.0, 1, 1, 1]), np.diag([-1.0, 1, 1, 1])
    patient[0, 3] = 2 * GRID.centre_mm[0]
    corners = np.array([(60, 60, 60, 1), (-60, 60, -40, 1), (0, -90, 30, 1)], float).T
    apart = (straight.head.fit.matrix - patient @ turned.head.fit.matrix @ mni) @ corners
    assert np.abs(apart).max() < 1e-6
    swap = {"left": "right", "right": "left"}
    for t in one:
        twin = other[t.name, swap[t.side]]
        assert twin.darker_ml == pytest.approx(t.darker_ml, abs=0.01)
        assert twin.difference_hu == pytest.approx(t.difference_hu, abs=1e-3)
    one_map, other_map = straight.difference.absolute, turned.difference.absolute[::-1]
    assert np.mean(np.abs(one_map - other_map) > 0.01) < 1e-4  # a voxel at a limit may fall on either side of it
    assert np.mean(turned.left[::-1] == straight.left) < 1e-4


def findings_of(head: PreparedHead, monkeypatch: pytest.MonkeyPatch) -> Findings:
    """All that a run finds on a prepared head, with the default bundle; pictures left out."""
    monkeypatch.setattr(run, "prepare", lambda _study, _options: head)
    monkeypatch.setattr(run.figures, "make", lambda *_: [])
    settings = RunSettings(engine="torch", threads=1)
    return run.run(Study({"ncct": head.ct}), SPEC.resolve_options({}), settings=settings)


def swapped(words: str) -> str:
    return words.replace("left", "?").replace("right", "left").replace("?", "right")


def test_a_mirrored_scan_swaps_the_sides_of_everything_a_run_gives(straight, turned, monkeypatch):
    one, other = findings_of(straight, monkeypatch), findings_of(turned, monkeypatch)
    assert {swapped(name) for name in one.measurements} == set(other.measurements)
    for name, measured in one.measurements.items():
        twin = other.measurements[swapped(name)]
        assert (measured.value is None) == (twin.value is None), name
        if measured.value is not None:
            assert twin.value == pytest.approx(measured.value, rel=2e-3, abs=2e-3), name
    assert one.decision.answer == other.decision.answer
    assert {mask.label for mask in one.masks} == {mask.label for mask in other.masks}
    for mask, twin in zip(one.masks, other.masks, strict=True):
        apart = mask.volume.data != twin.volume.data[::-1]
        assert np.count_nonzero(apart) <= 2e-3 * max(np.count_nonzero(mask.volume.data), 1000), mask.label
    one_map, other_map = one.maps[0].volume.data, other.maps[0].volume.data[::-1]
    assert np.mean(np.abs(one_map - other_map) > 0.01) < 1e-4
    rows = {(row["territory"], swapped(row["side"])): row for row in other.tables["territories"]}
    for row in one.tables["territories"]:
        assert rows[row["territory"], row["side"]]["darker_volume_ml"] == pytest.approx(
            row["darker_volume_ml"], abs=0.01
        )
    for row, twin in zip(one.tables["segments"], other.tables["segments"], strict=True):
        assert row["side"] == swapped(twin["side"])
        assert row["share_if_occluded"] == pytest.approx(twin["share_if_occluded"], abs=2e-3)


def test_a_scan_stored_otherwise_is_computed_alike_and_answered_on_its_own_grid(straight, monkeypatch):
    one = findings_of(straight, monkeypatch)
    given = reorient(straight.ct, "SAL")
    computed = []
    monkeypatch.setattr(run, "prepare", prepare)
    monkeypatch.setattr(prepare_module, "find_head", lambda _s, ct, *_given: computed.append(ct) or straight.head)
    other = run.run(Study({"ncct": given}), SPEC.resolve_options({}), settings=RunSettings(engine="torch", threads=1))
    assert computed[0].grid.same_as(reorient(straight.ct, "LPS").grid)
    assert np.array_equal(computed[0].data, reorient(straight.ct, "LPS").data)
    assert other.provenance["inputs"]["ncct"]["orientation"] == "SAL"
    for mask, twin in zip((*one.masks, *one.maps), (*other.masks, *other.maps), strict=True):
        assert twin.volume.grid.same_as(given.grid), twin.label
        assert np.array_equal(reorient(twin.volume, straight.ct.grid.orientation).data, mask.volume.data), twin.label


def test_contrast_in_the_vessels_is_named_in_the_findings_and_the_analysis_holds(straight, monkeypatch):
    courses = np.linspace((-38, 0, -8), (38, 0, -8), 300), np.linspace((0, -30, -20), (0, 40, -10), 300)
    wanted = np.linalg.inv(motion())
    places = np.concatenate(courses) @ wanted[:3, :3].T + wanted[:3, 3]
    at = np.rint((places - GRID.affine[:3, 3]) @ np.linalg.inv(GRID.affine[:3, :3]).T).astype(int)
    blood = np.zeros(GRID.shape, bool)
    blood[tuple(at.T)] = True
    bright = straight.ct.with_data(np.where(ndimage.binary_dilation(blood), 220, straight.ct.data).astype(np.float32))
    monkeypatch.setattr(prepare_module, "find_head", lambda *_given: straight.head)
    prepared = prepared_of(bright, brain_mask())
    assert not any("contrast agent" in note for note in straight.notes)
    assert any("contrast agent" in note for note in findings_of(prepared, monkeypatch).notes)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_head_that_fits_only_when_it_lies_on_its_face_or_ear_is_refused(straight, monkeypatch, axis: str) -> None:
    """A wrong affine or a bare brain may fit the template tilted; a gantry's, a neck's and a half turn are accepted."""

    def fitted(turn: Rotation) -> None:
        matrix = straight.head.fit.matrix.copy()
        matrix[:3, :3] = turn.as_matrix() @ matrix[:3, :3]
        monkeypatch.setattr(headspace, "register_affine", lambda *_g, **_m: replace(straight.head.fit, matrix=matrix))
        headspace.find_head(Study({"ncct": straight.ct, "brain": brain_mask()}), straight.ct)

    monkeypatch.setattr(headspace, "_deformation", lambda *_given: straight.head.deformation)
    fitted(Rotation.from_euler(axis, 35, degrees=True))
    fitted(Rotation.from_euler("z", 180, degrees=True))
    with pytest.raises(BadInputError, match=r"only when it is tilted by [67]\d°"):
        fitted(Rotation.from_euler(axis, 70, degrees=True))


def test_a_few_voxels_of_bone_do_not_make_an_extracted_brain_a_head(straight, monkeypatch):
    ct, brain = straight.ct, brain_mask()
    bare = np.where(brain.data > 0, np.minimum(ct.data, 80), 0).astype(np.float32)
    inside = np.argwhere(brain.data > 0)
    rng = np.random.default_rng(0)
    monkeypatch.setattr(headspace, "_deformation", lambda *_given: straight.head.deformation)
    bare[tuple(rng.choice(inside, 300, replace=False).T)] = 500
    head = headspace.find_head(Study({"ncct": ct, "brain": brain}), ct.with_data(bare))
    assert head.fit.correlation > 0.85
    assert headspace.LEAST_LEAD < head.fit.lead < 1
    assert np.isinf(straight.head.fit.lead), "a skull tells up from down by itself"
    assert any("6.6 ml of bone: it was taken as brain-extracted" in note for note in head.notes)
    assert not any("extracted" in note for note in straight.head.notes)


def test_a_bare_brain_that_its_file_turns_over_is_not_laid_upright(straight, monkeypatch):
    """Turned over along one axis, as wrong axes do it: it lies on its head, and a mirrored brain can't be told."""
    ct, brain = straight.ct, brain_mask()
    bare = ct.with_data(np.where(brain.data > 0, np.minimum(ct.data, 80), 0).astype(np.float32))
    over = Grid(GRID.shape, np.diag([1.0, 1.0, -1.0, 1.0]) @ GRID.affine)
    turned = replace(bare, grid=over)
    with pytest.raises(BadInputError, match=r"only when it is tilted by 1[67]\d°"):
        headspace.find_head(Study({"ncct": turned, "brain": replace(brain, grid=over)}), turned)


def test_a_bare_brain_that_fits_as_well_turned_over_is_refused(straight, monkeypatch):
    monkeypatch.setattr(
        headspace, "register_affine", lambda *_g, **_m: replace(straight.head.fit, lead=headspace.LEAST_LEAD - 0.01)
    )
    with pytest.raises(BadInputError, match=r"turned over nearly as well: .* better by 0\.04"):
        headspace.find_head(Study({"ncct": straight.ct, "brain": brain_mask()}), straight.ct)


def test_what_is_no_head_is_refused():
    body = np.full(GRID.shape, -1000.0)
    index = np.indices(GRID.shape)
    i, j, _ = (x - n / 2 for x, n in zip(index, GRID.shape, strict=True))
    inside = (i / 46) ** 2 + (j / 30) ** 2 < 1
    body[inside] = 40
    spine = (i**2 + (j - 18) ** 2 < 36) & inside
    body[spine] = 500
    body[((np.abs(i) - 20) ** 2 + j**2 < 140) & inside] = -850
    body = ndimage.gaussian_filter(body, 0.6)
    with pytest.raises(BadInputError, match="head"):
        prepared_of(Volume(body.astype(np.float32), GRID, role="ncct", unit="HU"))
