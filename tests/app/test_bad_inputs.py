"""Bad inputs, each through the command line: exit code 2, one clear sentence, nothing written."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from willis.app.cli import main

AFFINE = np.diag([-1.0, 1.0, 1.0, 1.0])
SHAPE = (24, 26, 20)


def head(seed: int = 3) -> npt.NDArray[np.float32]:
    """A blurred ball in noise: not a head, but nothing that a reader could refuse."""
    rng = np.random.default_rng(seed)
    i, j, k = np.indices(SHAPE)
    inside = (i - 12) ** 2 + (j - 13) ** 2 + (k - 10) ** 2 < 64
    return (200 * inside + rng.normal(20, 4, SHAPE)).astype(np.float32)


def save(
    path: Path, data: npt.NDArray[Any], sform: npt.NDArray[Any] | None = AFFINE, qform: npt.NDArray[Any] | None = AFFINE
) -> Path:
    image = nib.Nifti1Image(data, None)
    image.header.set_xyzt_units("mm")
    image.set_sform(sform, code=0 if sform is None else 1)
    image.set_qform(qform, code=0 if qform is None else 1)
    nib.save(image, path)
    return path


def changed(path: Path, **fields: Any) -> Path:
    """A good image with fields of its header overwritten byte by byte."""
    save(path, head())
    raw = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(raw[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    raw[:348] = header.binaryblock
    path.write_bytes(bytes(raw))
    return path


def not_a_number(where: Any) -> npt.NDArray[np.float32]:
    data = head()
    data[where] = np.nan
    return data


def cut_gzip(path: Path) -> Path:
    whole = save(path, head()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def cut_plain(path: Path) -> Path:
    whole = save(path, head()).read_bytes()
    path.write_bytes(whole[:-1000])
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


MIRRORED = np.diag([1.0, 1.0, 1.0, 1.0])

MAKERS: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "absent": ("x.nii.gz", lambda p: p, "doesn't exist"),
    "folder": ("x.nii.gz", folder, "holds no DICOM image. Give the folder of one series"),
    "no bytes": ("x.nii.gz", lambda p: written(p, b""), "is empty: 0 bytes"),
    "text": ("x.nii", lambda p: written(p, b"name\tvalue\n" * 100), "is not a NIfTI file"),
    "text in gzip": ("x.nii.gz", lambda p: written(p, gzip.compress(b"name\tvalue\n" * 100)), "is not a NIfTI file"),
    "DICOM": ("x.dcm", lambda p: written(p, bytes(128) + b"DICM" + bytes(500)), "It is DICOM"),
    "cut gzip": ("x.nii.gz", cut_gzip, "damaged or cut gzip"),
    "cut plain": ("x.nii", cut_plain, "is cut short"),
    "no affine": ("x.nii.gz", lambda p: save(p, head(), None, None), "where it lies"),
    "left and right differ": ("x.nii.gz", lambda p: save(p, head(), AFFINE, MIRRORED), "left"),
    "affine without inverse": (
        "x.nii",
        lambda p: changed(p, srow_x=[0, 0, 0, 0], qform_code=0),
        "affine",
    ),
    "affine of NaN": ("x.nii", lambda p: changed(p, srow_y=[np.nan] * 4, qform_code=0), "affine"),
    "four volumes": ("x.nii.gz", lambda p: save(p, np.stack([head()] * 4, axis=-1)), "holds 4 volumes"),
    "five axes": ("x.nii.gz", lambda p: save(p, np.stack([np.stack([head()] * 2, -1)] * 2, -1)), "5 axes"),
    "one slice flat": ("x.nii.gz", lambda p: save(p, head()[:, :, 0]), "3D image is needed"),
    "NaN in the head": ("x.nii.gz", lambda p: save(p, not_a_number(np.s_[8:16, 8:16, 6:14])), "NaN"),
    "all NaN": ("x.nii.gz", lambda p: save(p, np.full(SHAPE, np.nan, np.float32)), "NaN"),
    "infinite": ("x.nii.gz", lambda p: save(p, np.full(SHAPE, np.inf, np.float32)), "infin"),
    "all zero": ("x.nii.gz", lambda p: save(p, np.zeros(SHAPE, np.float32)), "x.nii.gz"),
    "constant": ("x.nii.gz", lambda p: save(p, np.full(SHAPE, 7, np.int16)), "x.nii.gz"),
    "colour": (
        "x.nii.gz",
        lambda p: save(p, np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))),
        "colour",
    ),
    "complex": ("x.nii.gz", lambda p: save(p, head().astype(np.complex64)), "complex"),
}


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def refused(arguments: list[str], place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence that a call was refused with, after which its folder is as it was before."""
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main.call(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    said = [line for line in captured.err.splitlines() if line.startswith("willis: ")]
    assert len(said) == 1, captured.err
    assert "Traceback" not in captured.err
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert not (place / "out").exists()
    return said[0].removeprefix("willis: ")


@pytest.mark.parametrize("kind", MAKERS)
def test_bad_image_is_refused(kind: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, make, words = MAKERS[kind]
    path = make(inputs / name)
    said = refused(["run", "wmh", "--flair", str(path), "-o", str(tmp_path / "out")], tmp_path, capsys)
    assert words in said
    assert name in said, "the sentence must name the file"


@pytest.mark.parametrize("kind", ["absent", "cut gzip", "left and right differ", "four volumes"])
def test_bad_second_image_is_refused(
    kind: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, make, words = MAKERS[kind]
    flair, t1 = save(inputs / "flair.nii.gz", head()), make(inputs / name)
    out = str(tmp_path / "out")
    said = refused(["run", "wmh", "--t1", str(t1), "--flair", str(flair), "-o", out], tmp_path, capsys)
    assert words in said
    assert name in said


def test_wrong_index_is_refused(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(inputs / "x.nii.gz", np.stack([head()] * 4, axis=-1))
    arguments = ["run", "wmh", "--flair", str(path), "--index.flair", "4", "-o", str(tmp_path / "out")]
    assert "index 4 isn't among 0 to 3" in refused(arguments, tmp_path, capsys)


@pytest.mark.parametrize("label", ["../up", "a b", ""])
def test_bad_subject_is_refused(label: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(inputs / "x.nii.gz", head())
    arguments = ["run", "wmh", "--flair", str(path), "--subject", label, "-o", str(tmp_path / "out")]
    assert "allowed are letters and digits" in refused(arguments, tmp_path, capsys)


def test_unknown_bundle_is_refused(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(inputs / "x.nii.gz", head())
    arguments = ["run", "wmh", "--flair", str(path), "--bundle", "no-such", "-o", str(tmp_path / "out")]
    assert "'no-such'" in refused(arguments, tmp_path, capsys)


def test_broken_bundle_is_refused(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(inputs / "x.nii.gz", head())
    bundle = folder(tmp_path / "bundle")
    (bundle / "bundle.json").write_text(json.dumps({"schema_version": 1, "name": "broken"}))
    arguments = ["run", "wmh", "--flair", str(path), "--bundle", str(bundle), "-o", str(tmp_path / "out")]
    assert "bundle.json" in refused(arguments, tmp_path, capsys)


def test_output_that_is_a_file_is_refused(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, taken = save(inputs / "x.nii.gz", head()), written(tmp_path / "taken", b"mine")
    assert "is a file" in refused(["run", "wmh", "--flair", str(path), "-o", str(taken)], tmp_path, capsys)
    inside = str(taken / "deeper")
    assert "nothing can be written" in refused(["run", "wmh", "--flair", str(path), "-o", inside], tmp_path, capsys)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_that_is_not_writable_is_refused(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, locked = save(inputs / "x.nii.gz", head()), folder(tmp_path / "locked")
    locked.chmod(0o555)
    out = str(locked / "out")
    assert "nothing can be written" in refused(["run", "wmh", "--flair", str(path), "-o", out], tmp_path, capsys)


def test_folder_without_a_run_has_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "provenance.json" in refused(["report", str(tmp_path)], tmp_path, capsys)


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        ("perfusion", ["--nihss", "14"], "--nihss belongs to one patient"),
        ("perfusion", ["--age", "71"], "--age belongs to one patient"),
        ("perfusion", ["--sex", "m"], "--sex belongs to one patient"),
        ("lvo", ["--vessels", "vessels.nii.gz"], "--vessels belongs to one patient"),
        ("chronic", ["--reference", "mask.nii.gz"], "--reference belongs to one patient"),
        ("wmh", ["--brain-mask", "mask.nii.gz"], "--brain-mask belongs to one patient"),
        ("brain", ["--subject", "01"], "--subject belongs to one patient"),
    ],
)
def test_what_one_patient_has_is_refused_with_a_folder(
    task: str, given: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    assert main.call(["run", task, str(tmp_path / "in"), *given, "-o", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_results_are_not_written_among_the_patients(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "in" / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    image.parent.mkdir(parents=True)
    save(image, head())
    assert main.call(["run", "brain", str(tmp_path / "in"), "-o", str(tmp_path / "in" / "sub-01" / "..")]) == 2
    assert "holds the patients' images; give another folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["anat", "in", "sub-01", "sub-01_T1w.nii.gz"]
