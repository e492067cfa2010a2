"""What lies beside a b1000: its .bval, and the JSON that tells a FLAIR."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from willis.errors import BadInputError
from willis.io.study import read_study

SHAPE = (4, 5, 6)


def b1000(folder: Path, volumes: int = 1) -> Path:
    shape = (*SHAPE, volumes) if volumes > 1 else SHAPE
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    image = nib.Nifti1Image(data, np.diag([-2.0, 2.0, 2.0, 1.0]))
    image.header.set_xyzt_units("mm")
    nib.save(image, folder / "x_b1000.nii.gz")
    return folder / "x_b1000.nii.gz"


@pytest.mark.parametrize("ending", [".bval", ".bvals"])
def test_the_bval_beside_one_image_is_read(tmp_path: Path, ending: str) -> None:
    path = b1000(tmp_path)
    assert "b_value" not in read_study(b1000=path).scalars
    path.with_name(f"x_b1000{ending}").write_text("800\n")
    assert read_study(b1000=path).scalars["b_value"] == 800
    assert read_study(b1000=path, scalars={"b_value": 900.0}).scalars["b_value"] == 900


def test_of_a_series_the_volume_taken_counts(tmp_path: Path) -> None:
    path = b1000(tmp_path, volumes=2)
    (tmp_path / "x_b1000.bval").write_text("0 1100\n")
    assert read_study(b1000=path, index={"b1000": 1}).scalars["b_value"] == 1100


def test_a_bval_of_another_number_is_refused(tmp_path: Path) -> None:
    path = b1000(tmp_path)
    (tmp_path / "x_b1000.bval").write_text("0 1000\n")
    with pytest.raises(BadInputError, match=r"one volume and x_b1000\.bval holds 2"):
        read_study(b1000=path)


def sidecar(path: Path, **said: Any) -> None:
    path.with_name("x_b1000.json").write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"InversionTime": 2.5}, "an InversionTime of 2.5 s"),
        ({"InversionTime": 2850.0, "DiffusionBValue": 0.0}, "an InversionTime of 2.85 s"),
        ({"SeriesDescription": "Ax T2 FLAIR"}, "calls it 'Ax T2 FLAIR'"),
        ({"SeriesDescription": "t2_flair", "DiffusionBValue": 0}, "names no diffusion weighting"),
    ],
)
def test_a_flair_is_told_by_its_sidecar(tmp_path: Path, said: dict[str, Any], why: str) -> None:
    path = b1000(tmp_path)
    sidecar(path, **said)
    with pytest.raises(BadInputError, match="was given as b1000") as refused:
        read_study(b1000=path)
    assert why in str(refused.value)
    assert read_study(flair=path)["flair"].data.any()


@pytest.mark.parametrize(
    ("said", "bval"),
    [
        ({"InversionTime": 0.22}, None),
        ({"InversionTime": 220.0}, None),
        ({"SeriesDescription": "ep2d_diff"}, None),
        ({"SeriesDescription": "DWI (see FLAIR)", "DiffusionBValue": 1000}, None),
        ({"SeriesDescription": "DWI (see FLAIR)"}, "1000"),
    ],
)
def test_a_diffusion_image_is_not_taken_for_a_flair(tmp_path: Path, said: dict[str, Any], bval: str | None) -> None:
    path = b1000(tmp_path)
    sidecar(path, **said)
    if bval:
        (tmp_path / "x_b1000.bval").write_text(bval)
    assert read_study(b1000=path)["b1000"].grid.shape == SHAPE


def test_what_a_sidecar_says_of_b_is_kept_beside_the_bval(tmp_path: Path) -> None:
    path = b1000(tmp_path)
    sidecar(path, DiffusionBValue=800.0)
    assert read_study(b1000=path).scalars == {"sidecar_b_value": 800}
    (tmp_path / "x_b1000.bval").write_text("1000")
    assert read_study(b1000=path).scalars == {"sidecar_b_value": 800, "b_value": 1000}


@pytest.mark.parametrize("said", [{}, {"DiffusionBValue": 0}, {"DiffusionBValue": "many"}])
def test_a_sidecar_without_b_says_none(tmp_path: Path, said: dict[str, Any]) -> None:
    path = b1000(tmp_path)
    sidecar(path, **said)
    assert not read_study(b1000=path).scalars


def test_a_sidecar_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = b1000(tmp_path)
    path.with_name("x_b1000.json").write_text("{")
    assert any("x_b1000.json beside it is no JSON object" in note for note in read_study(b1000=path)["b1000"].notes)
