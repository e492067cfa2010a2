"""Diffusion images that can't be used, each through the command line: exit 2, one clear sentence, nothing written."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis.app.cli.main import call

SHAPE, SPACING = (40, 44, 36), 4.0
Files = dict[str, Path]


def save(path: Path, data: np.ndarray, spacing: float = SPACING) -> Path:
    affine = np.diag([-spacing, spacing, spacing, 1.0])
    image = nib.Nifti1Image(data.astype(np.float32), affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, 1)
    nib.save(image, path)
    return path


def images() -> dict[str, np.ndarray]:
    """A ball of brain about a core of fluid: b0, b1000, ADC, and what a FLAIR shows of it, on one scale."""
    at = (np.moveaxis(np.indices(SHAPE), 0, -1) - (np.array(SHAPE) - 1) / 2) * SPACING
    radius = np.linalg.norm(at, axis=-1)
    brain, fluid = radius < 62, radius < 20
    adc = np.where(fluid, 3e-3, 0.8e-3)
    b0 = np.where(brain, np.where(fluid, 1500.0, 600.0), 3.0)
    flair = np.where(brain, np.where(fluid, 80.0, 640.0), 3.0)
    noise = np.random.default_rng(0).normal(0, 3, (3, *SHAPE))
    b1000 = np.where(brain, b0 * np.exp(-1000 * adc), 3.0)
    noisy = [np.abs(image + one) for image, one in zip((b0, b1000, flair), noise, strict=True)]
    return dict(zip(("b0", "b1000", "flair"), noisy, strict=True)) | {"adc": 1e6 * np.where(brain, adc, 0)}


def adc_alone(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return {"--adc": save(folder / "adc.nii.gz", made["adc"])}


def faint(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return pair(folder, made["b0"], made["b1000"] / 40)


def swapped(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return pair(folder, made["b1000"], made["b0"])


def flair_as_b1000(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return pair(folder, made["b0"], made["flair"])


def flair_on_its_own_grid(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return {
        "--b0": save(folder / "b0.nii.gz", made["b0"]),
        "--b1000": save(folder / "flair.nii.gz", np.repeat(made["flair"], 2, axis=0), 2.0),
    }


def different_grids(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return {
        "--b0": save(folder / "b0.nii.gz", made["b0"][1:]),
        "--b1000": save(folder / "b1000.nii.gz", made["b1000"]),
    }


def two_slices(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return pair(folder, made["b0"][:, :, 17:19], made["b1000"][:, :, 17:19])


def series(folder: Path, made: dict[str, np.ndarray], bvals: str | None) -> Files:
    if bvals is not None:
        (folder / "dwi.bval").write_text(bvals)
    stack = np.stack([made["b0"], made["b1000"], made["b1000"]], axis=-1)
    return {"--dwi": save(folder / "dwi.nii.gz", stack)}


def without_bval(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return series(folder, made, None)


def bvals_without_b0(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return series(folder, made, "1000 1000 1000\n")


def bvals_of_another_number(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return series(folder, made, "0 1000\n")


def bvals_without_b1000(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return series(folder, made, "0 500 2000\n")


def bval_out_of_range(folder: Path, made: dict[str, np.ndarray]) -> Files:
    (folder / "b1000.bval").write_text("2000\n")
    return pair(folder, made["b0"], made["b1000"])


def flair_by_its_sidecar(folder: Path, made: dict[str, np.ndarray]) -> Files:
    (folder / "b1000.json").write_text('{"InversionTime": 2.5}')
    return {
        "--b1000": save(folder / "b1000.nii.gz", made["flair"]),
        "--adc": save(folder / "adc.nii.gz", made["adc"]),
    }


def contradicting_adc(folder: Path, made: dict[str, np.ndarray]) -> Files:
    return {
        **pair(folder, made["b0"], made["b1000"]),
        "--adc": save(folder / "adc.nii.gz", 2.5 * made["adc"]),
    }


def pair(folder: Path, b0: np.ndarray, b1000: np.ndarray) -> Files:
    return {"--b0": save(folder / "b0.nii.gz", b0), "--b1000": save(folder / "b1000.nii.gz", b1000)}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (adc_alone, "--b1000 or --dwi"),
        (faint, "Is the b1000 really a trace image"),
        (swapped, "Were b0 and b1000 swapped"),
        (flair_as_b1000, "such as a FLAIR, given as b1000"),
        (flair_on_its_own_grid, "lie on different grids"),
        (different_grids, "the b0 and the b1000 lie on different grids: 39 × 44 × 36"),
        (two_slices, "the b1000 has 2 slices; at least 3 are needed"),
        (without_bval, "dwi.bval isn't beside it"),
        (bvals_without_b0, "has no b of 0"),
        (bvals_of_another_number, "3 volumes and dwi.bval 2 b values"),
        (bvals_without_b1000, "has no b of 800 to 1200"),
        (bval_out_of_range, "the b value is 2000 s/mm²; allowed is 800 to 1200"),
        (flair_by_its_sidecar, "b1000.json says an InversionTime of 2.5 s, as a FLAIR has"),
        (contradicting_adc, "more than a factor of 2 lies between them"),
    ],
)
def test_it_is_refused_in_one_sentence(
    make: Callable[[Path, dict[str, np.ndarray]], Files], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(word) for flag, path in make(tmp_path, images()).items() for word in (flag, path)]
    assert call(["run", "fvv", *words, "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert said in " ".join(told.err.split())
    assert "Traceback" not in told.err and told.out == ""
    assert not (tmp_path / "out").exists()


def test_a_good_pair_passes_the_same_way(tmp_path: Path) -> None:
    """Else the refusals above would prove nothing."""
    made = images()
    files = pair(tmp_path, made["b0"], made["b1000"])
    words = [str(word) for flag, path in files.items() for word in (flag, path)]
    assert call(["run", "fvv", *words, "-o", str(tmp_path / "out"), "--engine", "torch"]) == 0
