"""4D diffusion series with b values: which volumes become b0 and b1000, and what is refused."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis.errors import BadInputError
from willis.io.diffusion import read_dwi, volume_count
from willis.io.study import read_study


def series(folder: Path, bvals: str | None, values: list[float]) -> Path:
    rng = np.random.default_rng(0)
    base = rng.uniform(0.5, 1.5, (6, 5, 4))
    data = np.stack([base * value for value in values], axis=-1).astype(np.float32)
    image = nib.Nifti1Image(data, np.diag([2.0, 2.0, 3.0, 1.0]))
    image.header.set_xyzt_units("mm")
    path = folder / "sub-01_dwi.nii.gz"
    nib.save(image, path)
    if bvals is not None:
        (folder / "sub-01_dwi.bval").write_text(bvals)
    return path


def test_b0_is_the_mean_and_b1000_the_geometric_mean(tmp_path: Path) -> None:
    found = read_dwi(series(tmp_path, "0 1000 1000 5 2000 995", [10, 2, 8, 30, 1, 4]))
    base = found.volumes["b0"].data / 20
    assert found.b == 1000
    assert found.volumes["b1000"].data == pytest.approx(4 * base, rel=1e-4)
    assert "geometric mean of 3" in found.volumes["b1000"].notes[-1]


def test_the_b_nearest_to_1000_is_taken_and_kept(tmp_path: Path) -> None:
    study = read_study(dwi=series(tmp_path, "0\n800\n1100", [10, 5, 3]))
    assert study.scalars["b_value"] == 1100
    assert set(study.volumes) == {"b0", "b1000"} == set(study.sources)
    assert study.subject == "01"


def test_weakly_weighted_volumes_are_no_b0_beside_true_ones(tmp_path: Path) -> None:
    found = read_dwi(series(tmp_path, "0 50 1000 5", [10, 6, 4, 12]))
    assert found.volumes["b0"].data == pytest.approx(11 / 4 * found.volumes["b1000"].data, rel=1e-4)
    assert "mean of 2 volumes" in found.volumes["b1000"].notes[-1]
    alone = read_dwi(series(tmp_path, "50 1000", [10, 4]))
    assert alone.volumes["b0"].data == pytest.approx(10 / 4 * alone.volumes["b1000"].data, rel=1e-4)


@pytest.mark.parametrize("role", ["b0", "b1000"])
@pytest.mark.parametrize("first", [True, False])
def test_an_image_that_the_series_holds_too_is_refused(tmp_path: Path, role: str, first: bool) -> None:
    both = {"dwi": series(tmp_path, "0 1000", [10, 4]), role: tmp_path / "alone.nii.gz"}
    nib.save(nib.load(both["dwi"]).slicer[..., 0], both[role])
    with pytest.raises(BadInputError, match=f"given as dwi, of which b0 and b1000 .* alone.nii.gz as {role}: two"):
        read_study(**(both if first else dict(reversed(both.items()))))


@pytest.mark.parametrize(
    ("bvals", "said"),
    [
        (None, r"sub-01_dwi\.bval isn't beside it"),
        ("1000 1000 1000", "no b of 0"),
        ("0 500 2000", "no b of 800 to 1200"),
        ("0 1000", "they must agree"),
        ("0 1000 many", "something else than b values"),
        ("0 1000 -5", "one below 0"),
    ],
)
def test_series_that_can_not_be_used(tmp_path: Path, bvals: str | None, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        read_dwi(series(tmp_path, bvals, [10, 4, 4]))


def test_one_volume_is_no_series(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="one volume"):
        read_dwi(series(tmp_path, "0", [10]))


@pytest.mark.parametrize("values", [[10], [10, 4], [10, 4, 4, 4, 4]])
def test_volumes_are_counted(tmp_path: Path, values: list[float]) -> None:
    assert volume_count(series(tmp_path, None, values)) == len(values)


def test_what_is_cut_short_is_not_counted(tmp_path: Path) -> None:
    path = series(tmp_path, None, [10, 4])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadInputError, match="damaged or cut gzip file"):
        volume_count(path)


def test_a_mask_of_another_role_is_read_as_mask(tmp_path: Path) -> None:
    path = series(tmp_path, "0 1000", [10, 4])
    mask = nib.Nifti1Image(np.full((6, 5, 4), 3, np.int16), np.diag([2.0, 2.0, 3.0, 1.0]))
    mask.header.set_xyzt_units("mm")
    nib.save(mask, tmp_path / "seen.nii.gz")
    study = read_study(dwi=path, flairvisible_mask=tmp_path / "seen.nii.gz")
    assert study["flairvisible"].data.dtype == np.uint8
    assert study["flairvisible"].data.max() == 1
