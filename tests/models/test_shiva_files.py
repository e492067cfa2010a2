import hashlib
import json

import pytest

from willis.errors import BadInputError
from willis.models.importers.shiva_files import find_shiva_files


def make(folder, *names):
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return paths


def make_info(folder, names, sums=None, **more):
    sums = sums or [hashlib.md5(name.rsplit("/", 1)[-1].encode()).hexdigest() for name in names]
    values = {"version": "v1", "target": "WMH", "modalities": ["t1", "flair"]} | more
    values["files"] = [{"name": name, "md5": md5} for name, md5 in zip(names, sums, strict=True)]
    path = folder / "model_info_t1-flair-wmh-v1.json"
    path.write_text(json.dumps(values))
    return path


def find(folder, modalities=None, info=None):
    return find_shiva_files(folder, modalities=modalities, info=info)


@pytest.mark.parametrize(
    ("folder", "name", "channels"),
    [
        ("T1-FLAIR.WMH", "20211030-162753_Unet3Dv2-10.7.2-1.8-T1.VRS_fold_1x6_pi_fold_{}_model.h5", ("t1", "flair")),
        ("x", "20230427-215909_Unet3Dv3-10.7.2-1.8-T1_FLAIR.WMH-from15_fold_{}_model.h5", ("t1", "flair")),
        ("x", "20220412-192541_Unet3Dv2-10.7.2-1.8-FLAIR.WMH_fold_WMH_1x5_2ndUnat_fold_{}_model.h5", ("flair",)),
    ],
)
def test_published_names_tell_folds_and_images(tmp_path, folder, name, channels):
    make(tmp_path, *(f"{folder}/{name.format(fold)}" for fold in (2, 0, 1)))
    files = find(tmp_path)
    assert [path.name for path in files.folds] == [name.format(fold) for fold in (0, 1, 2)]
    assert files.channels == channels
    assert not files.checked


def test_ten_comes_after_nine(tmp_path):
    make(tmp_path, *(f"FLAIR.WMH_fold_{n}_model.h5" for n in range(11)))
    assert find(tmp_path).folds[-1].name == "FLAIR.WMH_fold_10_model.h5"


def test_the_json_gives_sums_images_and_version(tmp_path):
    names = [f"any/model_fold_{n}_model.h5" for n in (1, 0)]
    make(tmp_path, *names)
    make_info(tmp_path, names)
    files = find(tmp_path)
    assert (files.checked, files.version, files.channels) == (True, "v1", ("t1", "flair"))
    assert [path.name for path in files.folds] == ["model_fold_0_model.h5", "model_fold_1_model.h5"]


def test_files_moved_out_of_their_folder_are_found(tmp_path):
    make(tmp_path, "model_fold_0_model.h5")
    make_info(tmp_path, ["T1-FLAIR.WMH/model_fold_0_model.h5"])
    assert find(tmp_path).checked


def test_a_wrong_sum_names_both(tmp_path):
    make(tmp_path, "a_fold_0.h5")
    make_info(tmp_path, ["a_fold_0.h5"], ["0" * 32])
    right = hashlib.md5(b"a_fold_0.h5").hexdigest()
    with pytest.raises(BadInputError, match=f"{right}.*{'0' * 32}"):
        find(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    make(tmp_path, "a_fold_0.h5")
    make_info(tmp_path, ["a_fold_0.h5", "a_fold_1.h5"])
    with pytest.raises(BadInputError, match=r"a_fold_1\.h5"):
        find(tmp_path)


def test_of_several_infos_the_one_whose_files_are_here(tmp_path):
    make(tmp_path, "a_fold_0.h5")
    make_info(tmp_path, ["b_fold_0.h5"]).rename(tmp_path / "model_info_b.json")
    make_info(tmp_path, ["a_fold_0.h5"])
    assert find(tmp_path).channels_from == "model_info_t1-flair-wmh-v1.json"
    make(tmp_path, "b_fold_0.h5")
    with pytest.raises(BadInputError, match="--info"):
        find(tmp_path)
    assert find(tmp_path, info=tmp_path / "model_info_b.json").folds[0].name == "b_fold_0.h5"


@pytest.mark.parametrize(
    ("more", "word"),
    [({"target": "PVS"}, "PVS"), ({"modalities": ["t2"]}, "'t2'"), ({"modalities": ["t1", "t1"]}, "once")],
)
def test_other_models_are_refused(tmp_path, more, word):
    make(tmp_path, "a_fold_0.h5")
    make_info(tmp_path, ["a_fold_0.h5"], **more)
    with pytest.raises(BadInputError, match=word):
        find(tmp_path)


def test_a_saved_model_is_refused_by_its_json(tmp_path):
    make(tmp_path, "a_fold_0.h5")
    info = make_info(tmp_path, ["x.tf_inference"], architecture="ResUnet3D-8.9.2-1.5")
    with pytest.raises(BadInputError, match="ResUnet3D"):
        find(tmp_path, info=info)


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (["FLAIR.WMH_fold_0.h5", "FLAIR.WMH_fold_2.h5"], r"\[0, 2\]"),
        (["FLAIR.WMH_a_fold_0.h5", "FLAIR.WMH_b_fold_0.h5"], r"\[0, 0\]"),
        (["FLAIR.WMH.h5"], "no fold number"),
        (["x_fold_0.h5"], "--modalities"),
        (["T1.PVS_fold_0.h5"], "PVS"),
        (["v0/FLAIR.WMH_fold_0.h5", "v1/FLAIR.WMH_fold_0.h5"], "several models"),
        (["readme.txt"], r"no \.h5"),
    ],
)
def test_unclear_folders_are_refused(tmp_path, names, word):
    make(tmp_path, *names)
    with pytest.raises(BadInputError, match=word):
        find(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(BadInputError, match="no folder"):
        find(tmp_path / "absent")
