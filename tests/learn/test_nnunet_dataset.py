"""Labelled patients are written as nnU-Net reads them."""

import json

import numpy as np
import pytest

from willis.app.cli.main import call, main
from willis.errors import BadInputError, GeometryError
from willis.io.nifti import read_nifti, write_nifti
from willis.learn.nnunet_dataset import LabelledImage, find_images, find_nnunet, write_nnunet_dataset
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

GRID = Grid((6, 5, 4), np.diag([-0.5, -0.5, 4.0, 1.0]))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(1, 6):
        name = f"sub-{number:02d}"
        images, truth = tmp_path / "data" / name / "anat", tmp_path / "data" / "derivatives" / "truth" / name / "anat"
        images.mkdir(parents=True)
        truth.mkdir(parents=True)
        write_nifti(Volume(rng.normal(30, 5, GRID.shape).astype(np.int16), GRID), images / f"{name}_ncct.nii.gz")
        labels = rng.integers(0, 3, GRID.shape).astype(np.uint8)
        write_nifti(Volume(labels, GRID), truth / f"{name}_space-ncct_label-vessels_dseg.nii.gz")
    return tmp_path / "data"


def test_images_labels_and_splits_are_where_nnunet_looks(folder, tmp_path, capsys):
    out = tmp_path / "Dataset101_Vessels"
    with pytest.raises(SystemExit) as left:
        main(["export", "nnunet-dataset", str(folder), "-o", str(out), "--names", "c7,m1", "--folds", "5"])
    assert left.value.code in (0, None)
    about = json.loads((out / "dataset.json").read_text())
    assert about["labels"] == {"background": 0, "c7": 1, "m1": 2}
    assert about["numTraining"] == 5
    assert about["channel_names"] == {"0": "CT"}
    assert about["willis_axes"] == "LPS"
    splits = json.loads((out / "splits_final.json").read_text())
    assert sorted(s for part in splits for s in part["val"]) == [f"sub-{n:02d}" for n in range(1, 6)]
    assert all(not set(part["train"]) & set(part["val"]) for part in splits)
    for name in splits[0]["train"]:
        image = read_nifti(out / "imagesTr" / f"{name}_0000.nii.gz")
        labels = read_nifti(out / "labelsTr" / f"{name}.nii.gz", allow_empty=True)
        assert labels.grid.same_as(image.grid)
        original = read_nifti(folder / name / "anat" / f"{name}_ncct.nii.gz")
        np.testing.assert_array_equal(image.data, original.data)


def test_files_that_lie_differently_are_turned_alike_or_refused(folder, tmp_path):
    patients = find_images(folder, "ncct", "vessels")
    for path in (patients[1].image, patients[1].labels):
        write_nifti(reorient(read_nifti(path, allow_empty=True), "RSA"), path)
    with pytest.raises(BadInputError, match=r"sub-01 lies in LPS and sub-02 in RSA; .* --axes LPS"):
        write_nnunet_dataset(patients, ["c7", "m1"], tmp_path / "mixed")
    assert not (tmp_path / "mixed").exists()
    out = write_nnunet_dataset(patients, ["c7", "m1"], tmp_path / "alike", axes="RAS")
    assert json.loads((out / "dataset.json").read_text())["willis_axes"] == "RAS"
    for patient in patients:
        for source, place in ((patient.image, "imagesTr/{}_0000"), (patient.labels, "labelsTr/{}")):
            written = read_nifti(out / f"{place.format(patient.subject)}.nii.gz", allow_empty=True)
            assert written.grid.orientation == "RAS"
            back = reorient(written, "LPS").data
            np.testing.assert_array_equal(back, reorient(read_nifti(source, allow_empty=True), "LPS").data)


def test_a_mask_is_a_label_too_and_two_files_of_one_label_are_refused(folder):
    truth = folder / "derivatives" / "truth"
    for path in sorted(truth.rglob("*_dseg.nii.gz")):
        path.rename(path.with_name(path.name.replace("vessels_dseg", "brain_mask")))
    found = find_images(folder, "ncct", "brain")
    assert [p.labels.name for p in found][:2] == [f"sub-{n:02d}_space-ncct_label-brain_mask.nii.gz" for n in (1, 2)]
    found[0].labels.with_name("sub-01_space-ncct_label-brain_dseg.nii.gz").touch()
    with pytest.raises(BadInputError, match="sub-01 has 2 files"):
        find_images(folder, "ncct", "brain")


def test_two_images_of_a_patient_are_refused_unless_one_is_named(folder):
    anat = folder / "sub-02" / "anat"
    (anat / "sub-02_ncct.nii.gz").rename(anat / "sub-02_acq-a_ncct.nii.gz")
    (anat / "sub-02_acq-b_ncct.nii.gz").write_bytes((anat / "sub-02_acq-a_ncct.nii.gz").read_bytes())
    with pytest.raises(BadInputError, match=r"sub-02 has the images sub-02_acq-a_ncct\.nii\.gz and sub-02_acq-b_ncct"):
        find_images(folder, "ncct", "vessels")
    (found,) = find_images(folder, "acq-b_ncct", "vessels")
    assert found.image.name == "sub-02_acq-b_ncct.nii.gz"


def test_an_image_that_is_no_ct_is_not_called_one(folder, tmp_path):
    """nnU-Net scales a channel called CT by the values of all cases, and any other image by itself."""
    for path in folder.rglob("*_ncct.nii.gz"):
        path.rename(path.with_name(path.name.replace("ncct", "FLAIR")))
    asked = ["export", "nnunet-dataset", str(folder), "--image", "FLAIR", "--names", "c7,m1"]
    for further, channel in (([], "FLAIR"), (["--channel", "rescale_to_0_1"], "rescale_to_0_1")):
        out = tmp_path / channel
        assert call([*asked, "-o", str(out), *further]) == 0
        assert json.loads((out / "dataset.json").read_text())["channel_names"] == {"0": channel}


@pytest.mark.parametrize("value", [0.6, -1.0])
def test_values_that_are_no_labels_are_refused(folder, tmp_path, value):
    """They were cut to whole numbers: 0.6 to background, -1 to 255."""
    patients = find_images(folder, "ncct", "vessels")
    write_nifti(Volume(np.full(GRID.shape, value, np.float32), GRID), patients[2].labels)
    with pytest.raises(BadInputError, match=r"sub-03\S+ holds values that are no labels"):
        write_nnunet_dataset(patients, ["c7", "m1"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_is_refused(folder, tmp_path):
    patients = find_images(folder, "ncct", "vessels")
    with pytest.raises(BadInputError, match="Name all of them"):
        write_nnunet_dataset(patients, ["c7"], tmp_path / "few")
    assert not (tmp_path / "few").exists()
    write_nifti(Volume(np.zeros((6, 5, 3), np.uint8), Grid((6, 5, 3), GRID.affine)), patients[0].labels)
    with pytest.raises(GeometryError, match="does not lie on the grid"):
        write_nnunet_dataset(patients, ["c7", "m1"], tmp_path / "off")
    patients[0].labels.unlink()
    with pytest.raises(BadInputError, match="has 0 files"):
        find_images(folder, "ncct", "vessels")
    with pytest.raises(BadInputError, match="BIDS folder"):
        find_images(tmp_path / "none", "ncct", "vessels")


def test_names_in_capital_letters_are_read_and_twins_are_refused(folder, tmp_path):
    for path in folder.rglob("sub-02_*.nii.gz"):
        path.rename(path.with_name(path.name.replace(".nii.gz", ".NII.GZ")))
    patients = find_images(folder, "ncct", "vessels")
    assert [p.subject for p in patients] == [f"sub-{n:02d}" for n in range(1, 6)]
    out = write_nnunet_dataset(patients, ["c7", "m1"], tmp_path / "set")
    for place, end in (("imagesTr", "_0000"), ("labelsTr", "")):
        (out / place / f"sub-03{end}.nii.gz").rename(out / place / f"sub-03{end}.NII.GZ")
    (out / "dataset.json").unlink()
    assert [p.subject for p in find_nnunet(out, ["c7", "m1"])] == [f"sub-{n:02d}" for n in range(1, 6)]
    (out / "labelsTr" / "sub-03.nii").touch()
    with pytest.raises(BadInputError, match="differ by their ending alone"):
        find_nnunet(out, ["c7", "m1"])


def in_sessions(folder):
    """Every patient's image and labels once more, of a second session with other values."""
    for path in list(folder.rglob("sub-*.nii.gz")):
        volume = read_nifti(path, allow_empty=True)
        for session, sign in (("ses-1", 1), ("ses-2", 0)):
            kept = volume.data if sign else np.where(volume.data == 1, 2, volume.data)
            write_nifti(volume.with_data(kept), path.with_name(path.name.replace("_", f"_{session}_", 1)))
        path.unlink()


def test_two_sessions_are_written_under_two_names_and_lie_in_one_fold(folder, tmp_path):
    in_sessions(folder)
    out = tmp_path / "Dataset101_Vessels"
    asked = ["export", "nnunet-dataset", str(folder), "-o", str(out), "--names", "c7,m1"]
    assert call(asked) == 0
    names = sorted(f"sub-{n:02d}_ses-{s}" for n in range(1, 6) for s in (1, 2))
    assert sorted(path.name for path in (out / "labelsTr").iterdir()) == [f"{name}.nii.gz" for name in names]
    for name in names:
        subject = name.split("_")[0]
        own = folder / "derivatives" / "truth" / subject / "anat" / f"{name}_space-ncct_label-vessels_dseg.nii.gz"
        written = read_nifti(out / "labelsTr" / f"{name}.nii.gz", allow_empty=True)
        np.testing.assert_array_equal(written.data, read_nifti(own, allow_empty=True).data)
    for part in json.loads((out / "splits_final.json").read_text()):
        assert not {s.split("_")[0] for s in part["train"]} & {s.split("_")[0] for s in part["val"]}
        assert sorted(part["train"] + part["val"]) == names


def test_two_images_of_one_session_are_not_written_one_over_the_other(folder, tmp_path, capsys):
    anat = folder / "sub-02" / "anat"
    (anat / "sub-02_acq-b_ncct.nii.gz").write_bytes((anat / "sub-02_ncct.nii.gz").read_bytes())
    assert call(["export", "nnunet-dataset", str(folder), "-o", str(tmp_path / "out"), "--names", "c7,m1"]) == 2
    assert "sub-02 has the images sub-02_acq-b_ncct.nii.gz and sub-02_ncct.nii.gz" in capsys.readouterr().err
    one = find_images(folder, "acq-b_ncct", "vessels")[0]
    with pytest.raises(BadInputError, match="one would overwrite the other"):
        write_nnunet_dataset([one, LabelledImage(one.subject, one.image, one.labels)], ["c7", "m1"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
