"""``willis run`` from files to files, on a scan whose findings are known."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from willis.app.cli import main
from willis.io.tables import read_table
from willis.models.manifest import Threshold
from willis.models.store import BUNDLES_VARIABLE, open_bundle, write_bundle

Captured = pytest.CaptureFixture[str]
Brightness = Callable[[int, int, float], dict[str, npt.NDArray[np.float32]]]


def run_wmh(scan: Any, out: Path, *more: str) -> int:
    return main.call(["run", "wmh", "--t1", str(scan.t1), "--flair", str(scan.flair), "-o", str(out), *more])


def measurements(out: Path) -> dict[str, Any]:
    (path,) = out.glob("*_measurements.json")
    return {m["name"]: m for m in json.loads(path.read_text())["measurements"]}


@dataclass(frozen=True)
class Results:
    """One run: its folder, and what was said."""

    out: Path
    said: str
    progress: str


@pytest.fixture(scope="module")
def results(scan: Any, bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """A run that all tests of this module read and none changes."""
    out = tmp_path_factory.mktemp("run") / "deep" / "out"
    said, progress = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(progress):
        patch.setenv(BUNDLES_VARIABLE, str(bundle_folder))
        patch.setenv("WILLIS_CACHE", str(bundle_folder.parent / "cache"))
        assert run_wmh(scan, out, "--register", "never") == 0
    yield Results(out, said.getvalue(), progress.getvalue())


@pytest.fixture
def copied(results: Results, tmp_path: Path) -> Path:
    """A copy of the results that may be changed."""
    return Path(shutil.copytree(results.out, tmp_path / "copied"))


def test_results_hold_what_is_in_the_scan(scan: Any, results: Results) -> None:
    out = results.out
    found = measurements(out)
    assert found["wmh_count"]["value"] == 1
    assert found["wmh_volume"]["value"] == pytest.approx(scan.lesion_ml, rel=0.15)
    assert found["brain_volume"]["value"] == pytest.approx(scan.brain_ml, rel=0.05)
    mask = nib.load(out / "sub-07_space-flair_label-wmh_mask.nii.gz")
    data = np.asarray(mask.dataobj)
    np.testing.assert_allclose(mask.affine, nib.load(scan.flair).affine, atol=1e-5)
    assert 2 * np.sum(scan.lesion & (data > 0)) / (scan.lesion.sum() + data.sum()) > 0.9
    assert (out / "sub-07_space-t1_label-brain_mask.nii.gz").is_file()


def test_report_path_and_numbers_go_to_stdout(results: Results) -> None:
    out, said, progress = results.out, results.said, results.progress
    assert f"Report: {out / 'report.html'}" in said
    assert (out / "report.html").is_file()
    assert " ml" in said
    assert "predicting" in progress
    assert "predicting" not in said


def test_nothing_but_results_is_left(results: Results) -> None:
    out = results.out
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_provenance_names_inputs_and_engine(results: Results) -> None:
    out = results.out
    told = json.loads((out / "provenance.json").read_text())
    assert len(told["inputs"]["flair"]["sha256"]) == 64
    assert told["prediction"]["precision"] == "float32"
    assert told["bundles"][0]["name"] == "wmh"
    assert {stage["stage"] for stage in told["timings"]} >= {"brain", "prepare", "predict", "interpret"}


def test_report_can_be_rebuilt(copied: Path, capsys: Captured) -> None:
    out = copied
    before = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    assert main.call(["report", str(out)]) == 0
    assert (out / "report.html").read_bytes() == before
    assert str(out / "report.html") in capsys.readouterr().out


def test_second_run_imports_no_torch(scan: Any, bundles: Path, results: Results, tmp_path: Path) -> None:
    """The first run has converted the networks; the next, in a process of its own, needs no torch."""
    code = (
        "import sys\n"
        "from willis.app.cli.main import call\n"
        f"code = call(['run', 'wmh', '--flair', {str(scan.flair)!r}, '--t1', {str(scan.t1)!r}, '--register', 'never',"
        f" '-o', {str(tmp_path / 'again')!r}])\n"
        "print('torch' in sys.modules, code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False 0", done.stderr
    first, again = (measurements(path)["wmh_volume"]["value"] for path in (results.out, tmp_path / "again"))
    assert first == again


def test_a_lesion_that_one_member_alone_finds_is_dropped_where_all_must_agree(
    scan: Any, bundles: Path, brightness: Brightness, tmp_path: Path
) -> None:
    seeing, blind = brightness(2, 1, 1.5), brightness(2, 1, 20.0)
    for agreed in (0, 3):
        manifest = open_bundle("wmh", "wmh").manifest
        rules = manifest.clusters.model_copy(update={"agreed_voxels": agreed})
        changed = manifest.model_copy(update={"clusters": rules, "threshold": Threshold(value=0.4, origin="made up")})
        bundle = write_bundle(tmp_path / f"bundle{agreed}", changed, [seeing, blind])
        out = tmp_path / f"out{agreed}"
        assert run_wmh(scan, out, "--register", "never", "--bundle", str(bundle.folder)) == 0
        found = [np.count_nonzero(nib.load(path).dataobj) for path in sorted(out.glob("*label-wmh_mask.nii.gz"))]
        assert len(found) == 2
        assert all(found) if agreed == 0 else not any(found)
        assert ("in any member alone" in (out / "report.html").read_text()) == (agreed > 0)


def test_failure_while_writing_leaves_nothing(
    scan: Any, bundles: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "out" / "x"))

    monkeypatch.setattr("willis.io.derivatives.write_nifti", full)
    assert run_wmh(scan, tmp_path / "out", "--register", "never") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_bids_folder_is_run_session_by_session(
    scan: Any, bundles: Path, results: Results, tmp_path: Path, capsys: Captured
) -> None:
    place = tmp_path / "in" / "sub-07" / "ses-1" / "anat"
    place.mkdir(parents=True)
    for path, end in ((scan.t1, "T1w"), (scan.flair, "FLAIR")):
        shutil.copy(path, place / f"sub-07_ses-1_{end}.nii.gz")
    (tmp_path / "in" / "sub-08" / "anat").mkdir(parents=True)
    shutil.copy(scan.t1, tmp_path / "in" / "sub-08" / "anat" / "sub-08_T1w.nii.gz")
    out = tmp_path / "out"
    assert main.call(["run", "wmh", str(tmp_path / "in"), "--register", "never", "-o", str(out)]) == 3
    said = capsys.readouterr().out
    assert "sub-08: wmh needs --flair" in said and f"1 of 2 scans: {out}" in said
    rows = {row["patient"]: row for row in read_table(out / "wmh.tsv")}
    alone = measurements(results.out)["wmh_volume"]["value"]
    assert float(rows["sub-07_ses-1"]["wmh_volume"] or 0) == pytest.approx(alone, rel=1e-4)
    assert rows["sub-08"]["wmh_volume"] is None
    assert (out / "sub-07_ses-1" / "report.html").is_file() and not (out / "sub-08").exists()
    assert (out / "sub-07_ses-1" / "sub-07_ses-1_space-flair_label-wmh_mask.nii.gz").is_file()


def test_brain_from_the_command_line(scan: Any, bundles: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "out"
    assert main.call(["run", "brain", "--image", str(scan.t1), "-o", str(out), "--subject", "09"]) == 0
    mask = nib.load(out / "sub-09_space-image_label-brain_mask.nii.gz")
    found_ml = float(np.sum(mask.dataobj)) * abs(np.linalg.det(mask.affine[:3, :3])) / 1000
    assert found_ml == pytest.approx(scan.brain_ml, rel=0.05)
    assert "Report:" in capsys.readouterr().out


def test_results_of_another_subject_are_not_replaced(copied: Path, scan: Any, bundles: Path, capsys: Captured) -> None:
    out = copied
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert run_wmh(scan, out, "--register", "never", "--subject", "08") == 2
    assert "sub-07" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
