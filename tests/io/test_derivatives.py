"""The files of a run: whole, named as documented, replaced as one, never at the cost of another's."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis.errors import BadInputError
from willis.findings import Decision, Figure, Findings, Lesion, Mask, Measurement
from willis.io.derivatives import output_names, read_derivatives, write_derivatives
from willis.io.nifti import sha256_of
from willis.io.records import settled
from willis.volume.grid import Grid
from willis.volume.volume import Volume

AFFINE = np.array([[-0.9, 0.1, 0, 40], [0.1, 0.9, 0, -50], [0, 0, 3, -20], [0, 0, 0, 1.0]])


@pytest.fixture
def findings() -> Findings:
    rng = np.random.default_rng(3)
    grid = Grid((7, 6, 5), AFFINE)
    probability = rng.random(grid.shape).astype(np.float32)
    return Findings(
        task="wmh",
        prefix="sub-01_ses-02",
        summary="One small lesion of 0.12 ml.",
        masks=[
            Mask("wmh", "flair", Volume(probability > 0.7, grid)),
            Mask("brain", "flair", Volume(np.ones(grid.shape, np.uint8), grid)),
        ],
        probabilities=[Mask("wmh", "flair", Volume(probability, grid))],
        measurements={
            "wmh_volume": Measurement("wmh_volume", 0.1 + 0.02, "ml", (np.float64(0.1), 0.2), "WMH volume", (0.5,)),
            "ratio": Measurement("ratio", None, "1"),
        },
        lesions=[Lesion(1, 0.123456789, (1.0, -2.5, 3.25), "deep left", 0.87654321)],
        decision=Decision("burden", "mild", "below 10 ml", certain=False),
        tables={"regions": [{"region": "deep", "left": np.float32(0.5), "right": None}]},
        figures=[Figure("mosaic", "Slices.", "result", b"\x89PNG picture", alt="What is seen", kind="chart")],
        provenance={
            "inputs": {"flair": {"file": "flair.nii.gz", "sha256": "ab" * 32}},
            "timings": {"read": np.float64(0.5)},
        },
        notes=("A note.",),
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_exactly_the_documented_files(findings, tmp_path):
    written = write_derivatives(findings, tmp_path / "out")
    start = "sub-01_ses-02"
    assert set(files_of(tmp_path / "out")) == {
        f"{start}_space-flair_label-wmh_mask.nii.gz",
        f"{start}_space-flair_label-wmh_mask.json",
        f"{start}_space-flair_label-brain_mask.nii.gz",
        f"{start}_space-flair_label-brain_mask.json",
        f"{start}_space-flair_label-wmh_probseg.nii.gz",
        f"{start}_space-flair_label-wmh_probseg.json",
        f"{start}_desc-wmh_measurements.tsv",
        f"{start}_desc-wmh_measurements.json",
        f"{start}_desc-wmh_lesions.tsv",
        "figures/mosaic.png",
        "figures/figures.json",
        "dataset_description.json",
        "provenance.json",
    }
    assert {p.relative_to(tmp_path / "out").as_posix() for p in written} == set(output_names(findings))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"], "the staging folder was left behind"


def test_masks_lie_on_their_grid_in_their_type(findings, tmp_path):
    write_derivatives(findings, tmp_path / "out")
    mask = nib.load(tmp_path / "out" / "sub-01_ses-02_space-flair_label-wmh_mask.nii.gz")
    probability = nib.load(tmp_path / "out" / "sub-01_ses-02_space-flair_label-wmh_probseg.nii.gz")
    assert mask.get_data_dtype() == np.uint8
    assert probability.get_data_dtype() == np.float32
    np.testing.assert_allclose(mask.affine, AFFINE, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(probability.dataobj) > 0.7)


def test_sidecars_name_their_sources(findings, tmp_path):
    write_derivatives(findings, tmp_path / "out")
    sidecar = json.loads((tmp_path / "out" / "sub-01_ses-02_space-flair_label-wmh_mask.json").read_text())
    description = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert sidecar["Sources"] == ["flair.nii.gz"]
    assert sidecar["SpatialReference"] == "flair.nii.gz"
    assert sidecar["Type"] == "Lesion"
    assert description["DatasetType"] == "derivative"


def test_read_back_gives_the_same_findings(findings, tmp_path):
    write_derivatives(findings, tmp_path / "out")
    again, expected = read_derivatives(tmp_path / "out"), settled(findings)
    for name in ("task", "prefix", "summary", "measurements", "decision", "provenance"):
        assert getattr(again, name) == getattr(expected, name), name
    for name in ("lesions", "figures", "notes"):
        assert list(getattr(again, name)) == list(getattr(expected, name)), name
    assert again.tables == {"regions": [{"region": "deep", "left": 0.5, "right": None}]}
    assert again.measurements["ratio"].value is None
    assert again.lesions[0].volume_ml == 0.123457
    for mine, theirs in zip(
        [*again.masks, *again.probabilities], [*findings.masks, *findings.probabilities], strict=True
    ):
        assert (mine.label, mine.space) == (theirs.label, theirs.space)
        np.testing.assert_array_equal(mine.volume.data, theirs.volume.data)


def test_no_lesion_is_written_as_an_empty_table(findings, tmp_path):
    write_derivatives(replace(findings, lesions=()), tmp_path / "out")
    text = (tmp_path / "out" / "sub-01_ses-02_desc-wmh_lesions.tsv").read_text()
    assert text == "index\tvolume_ml\tx_mm\ty_mm\tz_mm\tregion\tprobability\n"
    assert list(read_derivatives(tmp_path / "out").lesions) == []


def test_a_task_that_seeks_no_lesions_writes_no_table_of_them(findings, tmp_path):
    brain = replace(findings, lesions=(), masks=findings.masks[1:], probabilities=())
    write_derivatives(brain, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*lesions*"))
    assert list(read_derivatives(tmp_path / "out").lesions) == []


def test_an_earlier_run_is_replaced_whole_and_nothing_else(findings, tmp_path):
    out = tmp_path / "out"
    write_derivatives(findings, out)
    (out / "report.html").write_text("of the earlier run")
    (out / "notes.txt").write_text("mine")
    (out / "figures" / "mine.png").write_bytes(b"mine")
    less = replace(findings, probabilities=(), figures=(), summary="Nothing found.")
    write_derivatives(less, out)
    found = files_of(out)
    assert set(found) == {*output_names(less), "notes.txt", "figures/mine.png"}
    assert found["notes.txt"] == b"mine"
    assert read_derivatives(out).summary == "Nothing found."


def test_a_link_to_a_folder_elsewhere_is_written_to_in_place(findings, tmp_path, monkeypatch):
    """The link may lead to another file system, onto which nothing beside the link can be renamed."""
    elsewhere = tmp_path / "disk" / "results"
    elsewhere.mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "out").symlink_to(elsewhere)
    moved = []
    replace_file = Path.replace
    monkeypatch.setattr(Path, "replace", lambda old, new: (moved.append(old.resolve()), replace_file(old, new))[1])
    for _ in range(2):
        write_derivatives(findings, tmp_path / "here" / "out")
    assert moved
    assert all(path.is_relative_to(elsewhere) for path in moved)
    assert not [path for path in elsewhere.iterdir() if path.name.startswith(".")], "the staging folder was left behind"


def scans(findings: Findings, *digests: str) -> Findings:
    return replace(findings, provenance={"inputs": {name: {"sha256": name * 64} for name in digests}})


def test_another_scan_that_bears_the_same_label_is_not_replaced(findings, tmp_path):
    """Files without BIDS names are all sub-01, so that one folder for many patients would keep the last alone."""
    write_derivatives(scans(findings, "a", "b"), tmp_path / "out")
    before = files_of(tmp_path / "out")
    with pytest.raises(BadInputError, match="results of another scan of sub-01_ses-02"):
        write_derivatives(scans(findings, "c", "d"), tmp_path / "out")
    assert files_of(tmp_path / "out") == before
    write_derivatives(scans(findings, "b", "e"), tmp_path / "out")
    assert files_of(tmp_path / "out") != before


def test_a_file_name_that_is_not_utf8_comes_back(findings, tmp_path):
    name = b"M\xfcller.nii.gz".decode("utf-8", "surrogateescape")
    named = replace(findings, provenance={"inputs": {"flair": {"file": name, "sha256": "ab" * 32}}})
    write_derivatives(named, tmp_path / "out")
    assert read_derivatives(tmp_path / "out").provenance["inputs"]["flair"]["file"] == name


def test_same_findings_give_the_same_bytes(findings, tmp_path):
    write_derivatives(findings, tmp_path / "one")
    write_derivatives(findings, tmp_path / "two")
    write_derivatives(findings, tmp_path / "two")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_refuses_a_file(findings, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(BadInputError, match="is a file"):
        write_derivatives(findings, tmp_path / "out")


@pytest.mark.parametrize("change", [{"prefix": "sub-02"}, {"task": "fvv"}])
def test_refuses_the_folder_of_another_run(findings, tmp_path, change):
    write_derivatives(findings, tmp_path / "out")
    before = files_of(tmp_path / "out")
    with pytest.raises(BadInputError, match="holds the results of sub-01_ses-02, task wmh"):
        write_derivatives(replace(findings, **change), tmp_path / "out")
    assert files_of(tmp_path / "out") == before


def test_refuses_to_overwrite_an_input(findings, tmp_path):
    write_derivatives(findings, tmp_path / "out")
    mask = tmp_path / "out" / "sub-01_ses-02_space-flair_label-brain_mask.nii.gz"
    given = {"brain": {"file": mask.name, "sha256": sha256_of(mask)}}
    before = files_of(tmp_path / "out")
    with pytest.raises(BadInputError, match="is an input"):
        write_derivatives(replace(findings, provenance={"inputs": given}), tmp_path / "out")
    assert files_of(tmp_path / "out") == before


def test_refuses_to_overwrite_files_of_unknown_origin(findings, tmp_path):
    (tmp_path / "report.html").write_text("somebody's")
    with pytest.raises(BadInputError, match=r"report\.html exists"):
        write_derivatives(findings, tmp_path)
    assert files_of(tmp_path) == {"report.html": b"somebody's"}


def test_an_existing_dataset_description_is_left_alone(findings, tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Name": "theirs"}')
    write_derivatives(findings, tmp_path)
    write_derivatives(findings, tmp_path)
    assert json.loads((tmp_path / "dataset_description.json").read_text()) == {"Name": "theirs"}


def test_a_tampered_provenance_removes_nothing_else(findings, tmp_path):
    out = tmp_path / "out"
    write_derivatives(findings, out)
    victims = [tmp_path / "victim.txt", out / "victim.txt", out / "sub-01_ses-02_victim.txt"]
    for victim in victims:
        victim.write_text("keep me")
    provenance = json.loads((out / "provenance.json").read_text())
    provenance["outputs"] += ["../victim.txt", "victim.txt", "figures/../victim.txt", "sub-01_ses-02_victim.txt"]
    (out / "provenance.json").write_text(json.dumps(provenance))
    write_derivatives(findings, out)
    assert all(victim.exists() for victim in victims)


def test_a_failure_while_writing_leaves_nothing(findings, tmp_path):
    broken = replace(findings, tables={"regions": [{"left": object()}]})
    with pytest.raises(TypeError):
        write_derivatives(broken, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_run_broken_off_while_moving_is_known_and_can_be_repeated(findings, tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_derivatives(findings, out)
    moved = Path.replace

    def fails_on_lesions(self, target):
        if self.name.endswith("_lesions.tsv") and self.parent != Path(target).parent:
            raise OSError("disk full")
        return moved(self, target)

    monkeypatch.setattr(Path, "replace", fails_on_lesions)
    with pytest.raises(OSError, match="disk full"):
        write_derivatives(replace(findings, summary="New."), out)
    with pytest.raises(BadInputError, match="broken off"):
        read_derivatives(out)
    monkeypatch.undo()
    write_derivatives(replace(findings, summary="New."), out)
    assert read_derivatives(out).summary == "New."
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("name", ["../evil", "a b", "", "x/y"])
def test_figure_names_stay_in_their_folder(findings, tmp_path, name):
    with pytest.raises(BadInputError, match="figure's name"):
        write_derivatives(replace(findings, figures=[Figure(name, "", "result", b"")]), tmp_path / "out")


def test_two_masks_of_one_name_are_refused(findings):
    with pytest.raises(BadInputError, match="same name"):
        output_names(replace(findings, masks=[findings.masks[0], findings.masks[0]]))


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"provenance\.json can't be read"):
        read_derivatives(tmp_path)
