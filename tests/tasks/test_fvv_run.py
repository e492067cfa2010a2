"""FVV from a made-up scan to findings and files, with a bundle that goes by brightness; folders of patients."""

import csv
import math
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis.app.cli.main import call
from willis.io.derivatives import read_derivatives
from willis.models.manifest import make_manifest
from willis.models.store import write_bundle
from willis.study import Study
from willis.tasks.fvv import cohort
from willis.tasks.fvv.dataset import manifest_fields
from willis.tasks.fvv.decision import decide
from willis.tasks.fvv.run import analyse
from willis.tasks.fvv.spec import SPEC
from willis.tasks.settings import RunSettings
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.volume import Volume

SHIFT = 3.0  # keeps z-scores in the part where swish rises
BORDERS = {"brain": -0.6, "lesion": 1.5, "flairvisible": 0.55}  # of b0, b1000, b0, standard deviations
SEEN = {"brain": 1, "lesion": 0, "flairvisible": 1}
SPACING = 3.0


def swish(x: float) -> float:
    return x / (1 + math.exp(-x))


def weights(steepness: float = 300) -> dict[str, np.ndarray]:
    """A U-Net of one level that compares each channel with a border."""
    first, second = np.zeros((2, 2, 3, 3, 3), np.float32), np.zeros((2, 4, 3, 3, 3), np.float32)
    for channel in range(2):
        first[channel, channel, 1, 1, 1] = 1
        second[channel, channel + 2, 1, 1, 1] = 1  # of (upsampled, skip) the skip
    found = {"encoder.0.0.conv.weight": first, "decoder.0.0.conv.weight": second}
    for unit, bias in (("encoder.0.0", SHIFT), ("decoder.0.0", 0.0)):
        found |= {f"{unit}.norm.{name}": np.ones(2, np.float32) for name in ("weight", "running_var")}
        found[f"{unit}.norm.bias"] = np.full(2, bias, np.float32)
        found[f"{unit}.norm.running_mean"] = np.zeros(2, np.float32)
    head, bias = np.zeros((3, 2, 1, 1, 1), np.float32), np.zeros(3, np.float32)
    for row, name in enumerate(BORDERS):
        head[row, SEEN[name]] = steepness
        bias[row] = -steepness * swish(swish(BORDERS[name] + SHIFT))
    return found | {"head.weight": head, "head.bias": bias}


def write_bundle_at(folder: Path, *members: dict[str, np.ndarray]) -> Path:
    network = {"filters": [2], "convs": 1, "decoder": "slim", "final": [], "dropout": [0.0], "decoder_dropout": 0.0}
    fields = manifest_fields({})
    fields |= {"network": {"name": "unet3d", "config": {**network, "inputs": 2, "outputs": 3}}, "multiple_of": 2}
    fields |= {"spacing_mm": (SPACING,) * 3}
    write_bundle(folder, make_manifest(fields, "the test"), members)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle_at(tmp_path_factory.mktemp("fvv") / "bundle", weights())


@pytest.fixture(scope="module")
def soft_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same borders with probabilities that change gently across them, as a trained network's do."""
    return write_bundle_at(tmp_path_factory.mktemp("fvv") / "soft", weights(6))


def smooth_scan(grid: Grid) -> Study:
    """One patient on any grid, all edges 4 mm soft: an infarct of 22 mm, half of it (by x) bright on b0 too."""
    at = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))

    def inside(distance_mm: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(np.clip(distance_mm / 4, -30, 30)))

    brain = inside(np.linalg.norm(at, axis=-1) - 66)
    lesion = inside(np.linalg.norm(at - np.array([25.0, 5.0, 3.0]), axis=-1) - 22)
    b0 = 4 + brain * (600 + 300 * lesion * inside(25 - at[..., 0]))
    b1000 = b0 * np.exp(-1000 * (0.8e-3 - 0.45e-3 * lesion) * brain)
    return Study({name: Volume(data.astype(np.float32), grid, role=name) for name, data in
                  (("b0", b0), ("b1000", b1000))})  # fmt: skip


def fvv_ml(study: Study, bundle: Path) -> float:
    settings = RunSettings(bundle=str(bundle), engine="torch")
    return analyse(study, SPEC.resolve_options({}), settings=settings).votes.fvv_ml


def centred(sides: tuple[int, int, int], spacing: tuple[float, float, float]) -> Grid:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -np.array(spacing) * (np.array(sides) - 1) / 2
    return Grid(sides, affine)


@pytest.fixture(scope="module")
def reference_ml(soft_bundle: Path) -> float:
    return fvv_ml(smooth_scan(centred((52, 52, 40), (3.0, 3.0, 4.0))), soft_bundle)


@pytest.mark.parametrize("code", ORIENTATIONS[3::9])
def test_any_orientation_gives_the_same_volume(code: str, soft_bundle: Path, reference_ml: float) -> None:
    scan = smooth_scan(centred((52, 52, 40), (3.0, 3.0, 4.0)))
    turned = Study({role: reorient(image, code) for role, image in scan.volumes.items()})
    assert reference_ml > 5
    assert fvv_ml(turned, soft_bundle) == pytest.approx(reference_ml, rel=1e-3)


@pytest.mark.parametrize("side", [112, 128, 192, 256, 320])
def test_any_size_in_the_plane_gives_the_same_volume(side: int, soft_bundle: Path, reference_ml: float) -> None:
    scan = smooth_scan(centred((side, side, 40), (160 / side, 160 / side, 4.0)))
    assert fvv_ml(scan, soft_bundle) == pytest.approx(reference_ml, rel=0.02)


def test_members_on_either_side_of_the_cutoff_are_near_it(tmp_path: Path, soft_bundle: Path) -> None:
    """One member sees nothing: the mean stays, the interval crosses 0.5 ml, and the report says so."""
    blind = weights(6)
    blind["head.bias"] = blind["head.bias"] - np.array([0, 0, 100], np.float32)
    both = write_bundle_at(tmp_path / "both", weights(6), blind)
    scan = smooth_scan(centred((52, 52, 40), (3.0, 3.0, 4.0)))
    votes = analyse(scan, SPEC.resolve_options({}), settings=RunSettings(bundle=str(both), engine="torch")).votes
    assert votes.fvv_ml == pytest.approx(fvv_ml(scan, soft_bundle) / 2, rel=1e-6)
    assert not decide(votes).certain and "near the cutoff" in decide(votes).reason


def write_pair(folder: Path, names: tuple[str, str] = ("b0", "b1000"), *, infarct: bool = True) -> tuple[Path, Path]:
    """A ball of brain with an infarct of radius 12 mm, half of which (by x) is bright on b0 too."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (52, 52, 46)
    grid = Grid(shape, np.diag([SPACING, SPACING, SPACING, 1.0]))
    at = grid.to_mm(np.moveaxis(np.indices(shape), 0, -1)) - grid.centre_mm
    brain = np.linalg.norm(at, axis=-1) < 60
    lesion = (np.linalg.norm(at - np.array([25.0, 5.0, 3.0]), axis=-1) < 12) & infarct
    b0 = np.where(brain, 600.0, 4.0)
    b0[lesion & (at[..., 0] > 25)] = 900
    adc = np.where(lesion, 0.35e-3, 0.8e-3)
    b1000 = np.where(brain, b0 * np.exp(-1000 * adc), 4.0)
    rng = np.random.default_rng(0)
    paths = []
    for name, image in zip(names, (b0, b1000), strict=True):
        noisy = (image + rng.normal(0, 4, shape)).clip(0).astype(np.float32)
        out = nib.Nifti1Image(noisy, grid.affine)
        out.header.set_xyzt_units("mm")
        out.set_qform(grid.affine, 1)
        paths.append(folder / f"{name}.nii.gz")
        nib.save(out, paths[-1])
    return paths[0], paths[1]


def run(*words: object) -> int:
    return call(["run", "fvv", *map(str, words), "--engine", "torch"])


@pytest.fixture(scope="module")
def done(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan")
    b0, b1000 = write_pair(folder)
    assert run("--b0", b0, "--b1000", b1000, "--bundle", bundle, "-o", folder / "out") == 0
    return folder / "out"


def test_volumes_are_those_of_the_made_up_infarct(done: Path) -> None:
    found = read_derivatives(done)
    whole = 4 / 3 * math.pi * 1.2**3
    assert found.measurements["lesion_volume"].value == pytest.approx(whole, rel=0.12)
    assert found.measurements["flair_visibility_volume"].value == pytest.approx(whole / 2, rel=0.25)
    assert found.measurements["lesion_left_share"].value == 0
    assert found.measurements["lesion_adc"].value == pytest.approx(0.35, abs=0.05)
    assert found.measurements["brain_volume"].value == pytest.approx(4 / 3 * math.pi * 6**3, rel=0.1)
    assert found.decision is not None and found.decision.answer == "no mismatch"


def test_the_written_masks_add_up_to_the_numbers(done: Path) -> None:
    found = read_derivatives(done)
    masks = {mask.label: mask.volume for mask in found.masks}
    assert masks["lesion"].volume_ml == pytest.approx(found.measurements["lesion_volume"].value, rel=1e-5)
    assert not (masks["flairvisible"].data > masks["lesion"].data).any()


def test_the_published_files_agree_with_the_masks(done: Path) -> None:
    published = done / "published"
    assert {path.name for path in published.iterdir()} == {
        "predictions.nii.gz", "heatmap.nii.gz", "synthesis.png", "synthesis.txt",
    }  # fmt: skip
    predictions = nib.load(published / "predictions.nii.gz")
    lesion = nib.load(next(done.glob("*label-lesion_mask.nii.gz")))
    assert predictions.shape == (*lesion.shape, 3)
    assert np.array_equal(np.asarray(predictions.dataobj)[..., 1], 10 * np.asarray(lesion.dataobj))
    assert np.array_equal(predictions.affine, lesion.affine)
    colours = nib.load(published / "heatmap.nii.gz")
    assert colours.header.get_data_dtype().names == ("R", "G", "B")
    assert (published / "synthesis.png").read_bytes()[:4] == b"\x89PNG"
    assert "DWI-FLAIR mismatch" in (done / "report.html").read_text(encoding="utf-8")


def test_the_synthesis_is_the_first_picture(done: Path) -> None:
    figures = read_derivatives(done).figures
    assert figures[0].name == "synthesis" and {figure.section for figure in figures[:2]} == {"result"}
    page = (done / "report.html").read_text(encoding="utf-8")
    decision, map_, numbers = (page.index(text) for text in ('class="answer"', "Synthesis in the", 'id="numbers"'))
    assert decision < page.index("<img") < map_ < numbers


def test_methods_count_one_member_as_one(done: Path) -> None:
    assert "; 1 member) was run" in read_derivatives(done).provenance["methods"]


def test_methods_name_what_is_dropped(done: Path) -> None:
    assert (
        "median ADC is not below 0.85 times the brain's median were dropped"
        in read_derivatives(done).provenance["methods"]
    )


def test_an_infarct_dropped_for_its_adc_is_told(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An ADC map that is nowhere lowered drops the infarct, and the terminal and the report say so."""
    b0, b1000 = write_pair(tmp_path)
    image = nib.load(b0)
    adc = np.where(np.asarray(image.dataobj) > 100, 800, 0).astype(np.float32)
    out = nib.Nifti1Image(adc, image.affine, image.header)
    nib.save(out, tmp_path / "adc.nii.gz")
    given = ("--b0", b0, "--b1000", b1000, "--adc", tmp_path / "adc.nii.gz")
    assert run(*given, "--bundle", bundle, "-o", tmp_path / "out") == 0
    told = capsys.readouterr().out
    found = read_derivatives(tmp_path / "out")
    assert found.decision is not None and found.decision.answer == "no decision"
    assert "found and dropped" in told and "found and dropped" in found.decision.reason
    assert found.measurements["lesion_volume"].value == 0


def test_a_bval_beside_the_b1000_is_used(tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b0, b1000 = write_pair(tmp_path)
    given = ("--b0", b0, "--b1000", b1000, "--bundle", bundle, "-o", tmp_path / "out")
    assert run(*given) == 0
    assert "1000 s/mm² is assumed" in capsys.readouterr().out
    (tmp_path / "b1000.bval").write_text("800\n")
    assert run(*given) == 0
    told = capsys.readouterr().out
    assert "assumed" not in told and "The b value is 800 s/mm²" in told
    found = read_derivatives(tmp_path / "out")
    assert found.provenance["options"]["b_value"] == 800
    assert found.measurements["lesion_adc"].value == pytest.approx(0.35 * 1000 / 800, abs=0.06)


def test_the_report_tells_that_the_sidecar_names_another_b(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    b0, b1000 = write_pair(tmp_path)
    (tmp_path / "b1000.json").write_text('{"DiffusionBValue": 900.0}')
    given = ("--b0", b0, "--b1000", b1000, "--bundle", bundle, "-o", tmp_path / "out")
    told = "The JSON beside the b1000 says DiffusionBValue 900 s/mm², and 1000 was used"
    assert run(*given) == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert told in capsys.readouterr().out and told in page
    assert run(*given, "--b-value", "900") == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "DiffusionBValue" not in capsys.readouterr().out and "DiffusionBValue" not in page
    assert read_derivatives(tmp_path / "out").provenance["options"]["b_value"] == 900


def test_a_second_run_replaces_the_first(done: Path, bundle: Path) -> None:
    folder = done.parent
    assert run("--b0", folder / "b0.nii.gz", "--b1000", folder / "b1000.nii.gz", "--bundle", bundle, "-o", done) == 0
    assert (done / "published" / "predictions.nii.gz").is_file()


def test_no_infarct_is_a_finding(tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b0, b1000 = write_pair(tmp_path, infarct=False)
    assert run("--b0", b0, "--b1000", b1000, "--bundle", bundle, "-o", tmp_path / "out") == 0
    assert "No acute infarct was found" in capsys.readouterr().out


def test_a_folder_of_patients(tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pair(tmp_path / "in" / "anna", ("x_b0", "x_DWI"))
    write_pair(tmp_path / "in" / "sub-02" / "dwi", ("sub-02_acq-b0_dwi", "sub-02_acq-b1000_dwi"))
    write_pair(tmp_path / "in" / "swapped", ("b1000", "b0"))
    assert run(tmp_path / "in", "--bundle", bundle, "-o", tmp_path / "out") == 3
    with (tmp_path / "out" / "results.csv").open(newline="") as stream:
        rows = {row["Patient"]: row for row in csv.DictReader(stream)}
    assert set(rows) == {"anna", "sub-02", "swapped"}
    assert rows["anna"]["Mismatch"] == rows["sub-02"]["Mismatch"] == "no mismatch"
    assert float(rows["anna"]["StrokeBlobVolume"]) == pytest.approx(float(rows["sub-02"]["StrokeBlobVolume"]), rel=0.05)
    assert "swapped" in rows["swapped"]["Problem"]
    assert "2 of 3 scans" in capsys.readouterr().out


def test_a_folder_takes_no_image_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--b0", tmp_path / "b0.nii.gz", "-o", tmp_path / "out") == 2
    assert "--b0 belongs to one patient" in capsys.readouterr().err


def test_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "-o", tmp_path / "out") == 2
    assert "holds no patient" in capsys.readouterr().err


def test_patients_who_lack_images_have_a_row_and_are_told(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pair(tmp_path / "in" / "whole")
    (tmp_path / "in" / "whole" / "b1000.bval").write_text("1100\n")
    write_pair(tmp_path / "in" / "half")
    (tmp_path / "in" / "half" / "b0.nii.gz").unlink()
    write_pair(tmp_path / "in" / "sub-03" / "dwi", ("run-1_b1000", "run-2_b1000"))
    assert run(tmp_path / "in", "--bundle", bundle, "-o", tmp_path / "out") == 3
    with (tmp_path / "out" / "results.csv").open(newline="") as stream:
        rows = {row["Patient"]: row for row in csv.DictReader(stream)}
    assert set(rows) == {"whole", "half", "sub-03"}
    assert not rows["whole"]["Problem"]
    assert "neither a b0 nor an ADC" in rows["half"]["Problem"] and "2 b1000 images" in rows["sub-03"]["Problem"]
    told = capsys.readouterr().out
    assert "half: b1000.nii.gz has neither" in told and "1 of 3 scans" in told
    assert read_derivatives(tmp_path / "out" / "whole").provenance["options"]["b_value"] == 1100


def table_of(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_table_grows_with_each_patient_and_outlives_a_broken_run(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("anna", "bert", "carl"):
        write_pair(tmp_path / "in" / name)
    out, run_task = tmp_path / "out", cohort.run_task
    seen = []

    def broken_at(patient: str, task: str, study: Study, **how: object) -> object:
        seen.append([row["Patient"] for row in table_of(out)] if out.exists() else [])
        if study.subject == patient:
            raise KeyboardInterrupt
        return run_task(task, study, **how)

    monkeypatch.setattr(cohort, "run_task", partial(broken_at, "carl"))
    assert run(tmp_path / "in", "--bundle", bundle, "-o", out) == 130
    assert seen == [[], ["anna"], ["anna", "bert"]]
    first = table_of(out)
    assert [row["Patient"] for row in first] == ["anna", "bert"] and first[0]["Mismatch"] == "no mismatch"

    monkeypatch.setattr(cohort, "run_task", partial(broken_at, "bert"))
    assert run(tmp_path / "in", "--bundle", bundle, "-o", out) == 130
    assert [row["Patient"] for row in table_of(out)] == ["anna", "bert"]

    monkeypatch.setattr(cohort, "run_task", run_task)
    assert run(tmp_path / "in", "--bundle", bundle, "-o", out) == 0
    assert [row["Patient"] for row in table_of(out)] == ["anna", "bert", "carl"]
    assert sorted(path.name for path in out.iterdir()) == ["anna", "bert", "carl", "results.csv"]


def test_a_table_of_others_is_kept_and_refused_before_the_work(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pair(tmp_path / "in" / "anna")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.csv").write_text("Patient,Score\nanna,3\n")
    assert run(tmp_path / "in", "--bundle", bundle, "-o", tmp_path / "out") == 2
    assert "isn't the table of an earlier run of fvv" in capsys.readouterr().err
    assert (tmp_path / "out" / "results.csv").read_text() == "Patient,Score\nanna,3\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.csv"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--adc", "b0"), "--b1000 or --dwi"),
        (("--b1000", "b1000"), "--b0 or --adc or --dwi"),
        (("--dwi", "b0"), "one volume"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, given: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pair(tmp_path)
    assert run(given[0], tmp_path / f"{given[1]}.nii.gz", "-o", tmp_path / "out") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
