import numpy as np
import pytest

from willis.errors import BadInputError, GeometryError
from willis.image.register import Registration
from willis.models.manifest import make_manifest
from willis.study import Study
from willis.tasks.wmh import prepare as preparing
from willis.tasks.wmh.prepare import SHAPE, TOP_MARGIN_VOXELS, crop_grid, prepare
from willis.tasks.wmh.spec import SPEC
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.volume import Volume


def manifest(**changes):
    fields = {
        "name": "made-up",
        "title": "made up",
        "task": "wmh",
        "network": {"name": "unet3d"},
        "channels": ("t1", "flair"),
        "missing_channels": "zero",
        "outputs": ("wmh",),
        "spacing_mm": (1.0, 1.0, 1.0),
        "intensity": {"scheme": "p99"},
        "threshold": {"value": 0.5, "origin": "made up"},
        "licence": "none",
        "intended_use": "tests",
    }
    return make_manifest({**fields, **changes}, "made up")


OPTIONS = SPEC.resolve_options({"register": "never"})
GRID = Grid((60, 70, 30), np.array([[2.0, 0, 0, -61.3], [0, 2.0, 0, -52.9], [0, 0, 3.0, -20.2], [0, 0, 0, 1]]))


def ellipsoid(grid, radii=(40.0, 50.0, 35.0), centre=(-2.0, 16.0, 22.0)):
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    inside = (((grid.to_mm(index) - centre) / radii) ** 2).sum(axis=-1) <= 1
    return Volume(inside.astype(np.uint8), grid, role="brain")


def head(role, seed=0):
    brain = ellipsoid(GRID)
    rng = np.random.default_rng(seed)
    return Volume((brain.data * rng.uniform(50, 150, GRID.shape)).astype(np.float32), GRID, role=role)


def never_asked(image):
    raise AssertionError("the study has a brain mask of its own")


def test_input_is_one_mm_ras_of_the_published_size_with_the_percentile_at_one():
    study = Study({"t1": head("t1"), "flair": head("flair", 1), "brain": ellipsoid(GRID)})
    prepared = prepare(study, manifest(), OPTIONS, never_asked)
    assert prepared.image.shape == (2, *SHAPE)
    assert prepared.grid.orientation == "RAS"
    assert prepared.grid.spacing_mm == (1.0, 1.0, 1.0)
    for channel in prepared.image:
        assert np.percentile(channel[prepared.mask], 99) == pytest.approx(1.0, abs=1e-5)
        assert (channel[~prepared.mask] == 0).all()
    true_ml = 4 / 3 * np.pi * 40 * 50 * 35 / 1000
    assert prepared.mask.sum() / 1000 == pytest.approx(true_ml, rel=0.01)


def test_capped_scheme_ends_at_one():
    study = Study({"flair": head("flair"), "brain": ellipsoid(GRID)})
    options = SPEC.resolve_options({"register": "never", "intensity": "p99-capped"})
    published = prepare(study, manifest(), OPTIONS, never_asked).image[1]
    capped = prepare(study, manifest(), options, never_asked).image[1]
    assert capped.max() <= 1.0
    np.testing.assert_allclose(capped, np.minimum(published, 1.3) / 1.3, rtol=1e-5)


def test_flair_alone_leaves_the_t1_channel_empty_and_says_so():
    study = Study({"flair": head("flair"), "brain": ellipsoid(GRID)})
    prepared = prepare(study, manifest(), OPTIONS, never_asked)
    assert not prepared.image[0].any()
    assert prepared.image[1].any()
    assert any("FLAIR alone" in note for note in prepared.notes)


def test_a_t1_that_the_bundle_does_not_read_is_told():
    study = Study({"t1": head("t1"), "flair": head("flair", 1), "brain": ellipsoid(GRID)})
    prepared = prepare(study, manifest(channels=("flair",)), OPTIONS, never_asked)
    assert prepared.reference == "flair"
    assert prepared.image.shape == (1, *SHAPE)
    assert any("reads no T1" in note for note in prepared.notes)


def test_flair_alone_is_refused_by_a_bundle_that_needs_both():
    study = Study({"flair": head("flair"), "brain": ellipsoid(GRID)})
    with pytest.raises(BadInputError, match="needs t1, flair"):
        prepare(study, manifest(missing_channels="error"), OPTIONS, never_asked)


def test_empty_brain_mask_and_one_on_another_grid_are_refused():
    flair = head("flair")
    empty = Volume(np.zeros(GRID.shape, np.uint8), GRID, role="brain")
    with pytest.raises(BadInputError, match="empty"):
        prepare(Study({"flair": flair, "brain": empty}), manifest(), OPTIONS, never_asked)
    elsewhere = ellipsoid(GRID.shifted((1, 0, 0), GRID.shape))
    with pytest.raises(GeometryError, match="does not lie on the grid"):
        prepare(Study({"flair": flair, "brain": elsewhere}), manifest(), OPTIONS, never_asked)


@pytest.mark.parametrize("code", ORIENTATIONS[::5])
def test_orientation_of_the_input_changes_nothing(code):
    study = Study({"flair": head("flair"), "brain": ellipsoid(GRID)})
    turned = Study({role: reorient(volume, code) for role, volume in study.volumes.items()})
    expected = prepare(study, manifest(), OPTIONS, never_asked)
    found = prepare(turned, manifest(), OPTIONS, never_asked)
    assert found.grid.same_as(expected.grid)
    np.testing.assert_allclose(found.image, expected.image, atol=1e-4)


def test_mask_in_another_orientation_of_the_same_grid_is_taken():
    study = Study({"flair": head("flair"), "brain": reorient(ellipsoid(GRID), "LPI")})
    expected = prepare(Study({**study.volumes, "brain": ellipsoid(GRID)}), manifest(), OPTIONS, never_asked)
    np.testing.assert_array_equal(prepare(study, manifest(), OPTIONS, never_asked).image, expected.image)


def test_crop_is_centred_and_shifted_up_when_the_top_would_be_cut():
    centred = crop_grid(ellipsoid(GRID))
    assert np.abs(centred.centre_mm - (-2.0, 16.0, 22.0)).max() <= 2.0
    tall = Grid((60, 70, 90), np.array([[2.0, 0, 0, -61], [0, 2.0, 0, -53], [0, 0, 3.0, -130], [0, 0, 0, 1]]))
    high = ellipsoid(tall, radii=(40, 50, 30), centre=(0, 16, 0))
    high.data[30, 35, 40:74] = 1
    top_mm = tall.to_mm(np.argwhere(high.data))[:, 2].max()
    shifted = crop_grid(high)
    assert shifted.to_index((0, 0, top_mm))[2] <= SHAPE[2] - 1 - TOP_MARGIN_VOXELS + 1e-6


def told(study, options=OPTIONS):
    return " ".join(prepare(study, manifest(), options, never_asked).notes)


def test_brain_that_the_flair_does_not_show_is_told():
    flair = head("flair")
    upper = Volume(flair.data[:, :, 15:], GRID.shifted((0, 0, 15), (60, 70, 15)), role="flair")
    study = {"t1": head("t1"), "brain": ellipsoid(GRID)}
    shown = ellipsoid(GRID).data[:, :, 15:].sum() / ellipsoid(GRID).data.sum()
    assert f"The FLAIR shows only {100 * shown:.1f} % of the brain mask" in told(Study({**study, "flair": upper}))
    assert "shows only" not in told(Study({**study, "flair": flair}))


def test_brain_beyond_the_field_of_view_of_the_network_is_told():
    spacing, turn = np.array([5.0, 5.0, 6.0]), np.eye(3)
    turn[:2, :2] = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    for axes, cut in ((np.eye(3), False), (turn, True)):  # a head turned by 45° is wider than the box
        affine = np.eye(4)
        affine[:3, :3] = axes * spacing
        grid = Grid((40, 50, 30), affine)
        index = np.moveaxis(np.indices(grid.shape), 0, -1)
        brain = ((((index - (20, 25, 15)) * spacing / (78.0, 105.0, 60.0)) ** 2).sum(axis=-1) <= 1).astype(np.uint8)
        flair = Volume(brain * np.float32(100), grid, role="flair")
        said = told(Study({"flair": flair, "brain": Volume(brain, grid, role="brain")}))
        assert ("of the brain mask lies within the field of view" in said) == cut


def test_an_image_of_standardised_values_is_refused():
    flair = head("flair")
    standard = flair.with_data((flair.data - 105) / 30 * (flair.data > 0))
    with pytest.raises(BadInputError, match=r"62% of the brain is below 0 in the FLAIR.*z-scores"):
        prepare(Study({"flair": standard, "brain": ellipsoid(GRID)}), manifest(), OPTIONS, never_asked)


def test_images_that_contradict_each_other_in_left_and_right_are_refused_unless_files_are_trusted(monkeypatch):
    def refuse(moving, fixed, found, *, fixed_mask, otherwise):
        assert (moving.role, fixed.role, fixed_mask.role) == ("flair", "t1", "brain")
        raise GeometryError(f"mirrored; {otherwise}")

    monkeypatch.setattr(preparing, "refuse_mirrored", refuse)
    study = Study({"t1": head("t1"), "flair": head("flair", 1), "brain": ellipsoid(GRID)})
    with pytest.raises(GeometryError, match="pass --register never to trust the files"):
        prepare(study, manifest(), SPEC.resolve_options({}), never_asked)
    assert not prepare(study, manifest(), OPTIONS, never_asked).registrations


def test_a_doubtful_fit_is_told_though_the_images_stay_where_their_files_place_them(monkeypatch):
    fit = Registration(
        np.eye(4), 0.0, 0.0, 0.1, 1.02, 1.02, 0.4, 1.0, poor=True, reason="The registration is doubtful."
    )
    monkeypatch.setattr(preparing, "register_rigid", lambda *images, **masks: fit)
    study = Study({"t1": head("t1"), "flair": head("flair", 1), "brain": ellipsoid(GRID)})
    prepared = prepare(study, manifest(), SPEC.resolve_options({}), never_asked)
    assert not prepared.registrations
    assert "FLAIR: The registration is doubtful. It was left where the files place it." in prepared.notes
