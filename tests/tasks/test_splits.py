"""One split file for the folders of every task: who is trained on, who validates, who is never seen."""

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.io.nifti import write_nifti
from willis.io.tables import read_table
from willis.learn.parts import leaves_out
from willis.learn.recipe import FoldSettings, read_recipe
from willis.tasks.training import labelled_subjects
from willis.volume.grid import Grid
from willis.volume.volume import Volume

RECIPES = Path(__file__).parents[2] / "recipes"
GRID = Grid((12, 12, 12), np.diag([2.0, 2.0, 2.0, 1.0]))
NAMES = [f"sub-{n:02d}" for n in range(15)]


def _mask(voxels: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.zeros(GRID.shape, np.uint8)
    data.ravel()[:voxels] = 1
    write_nifti(Volume(data, GRID), path)


def _image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _wmh(root: Path) -> None:
    for n, name in enumerate(NAMES):
        _image(root / name / "anat" / f"{name}_FLAIR.nii.gz")
        _mask(10 * n, root / "derivatives" / "truth" / f"{name}_space-flair_label-wmh_mask.nii.gz")


def _fvv(root: Path) -> None:
    for n, name in enumerate(NAMES):
        for image in ("b0", "b1000"):
            _image(root / name / f"{image}.nii.gz")
        for roi in ("stroke_roi", "flairviz_roi"):
            _mask(10 * n, root / name / f"{roi}.nii.gz")


def _perfusion(root: Path) -> None:
    lines = ["participant_id\tgroup"]
    for n, name in enumerate(NAMES):
        _image(root / name / "perf" / f"{name}_ctp.nii.gz")
        _mask(5 * n, root / "derivatives" / f"{name}_space-ctp_label-core_mask.nii.gz")
        _mask(10 * n, root / "derivatives" / f"{name}_space-ctp_label-penumbra_mask.nii.gz")
        lines.append(f"{name}\t{'lvo' if n % 3 else 'non-lvo'}")
    (root / "participants.tsv").write_text("\n".join(lines))


def _vessels(root: Path) -> None:
    for n, name in enumerate(NAMES):
        _image(root / "imagesTr" / f"{name}_0000.nii.gz")
        _mask(10 * n, root / "labelsTr" / f"{name}.nii.gz")


def _segment(root: Path) -> None:
    lines = ["participant_id\tsegment\tside"]
    for n, name in enumerate(NAMES):
        _image(root / name / "anat" / f"{name}_ncct.nii.gz")
        _mask(10, root / "derivatives" / f"{name}_label-vessels_dseg.nii.gz")
        lines.append(f"{name}\tm1\tleft" if n % 3 else f"{name}\tnone\tnone")
    (root / "truth.tsv").write_text("\n".join(lines))


def _occlusion(root: Path) -> None:
    for n, name in enumerate(NAMES):
        _image(root / ("train_nii_close" if n % 3 else "train_nii_nc") / name / "NCCT.nii.gz")


def _chronic(root: Path) -> None:
    for n, name in enumerate(NAMES):
        _image(root / f"{name}_T1w.nii.gz")
        _mask(10 * n, root / f"{name}_label-L_desc-T1lesion_mask.nii.gz")


class Folder(SimpleNamespace):
    """How a task's folder is made, which module trains on it, and where its source holds the patients."""

    make: Callable[[Path], None]
    task: str
    module: str
    held: str
    data: dict[str, Any]


def _plan(name: str) -> dict[str, Any]:
    return {"plan": read_recipe(RECIPES / f"{name}.toml").data["plan"]}


FOLDERS = {
    "wmh": Folder(make=_wmh, task="wmh", module="wmh.dataset", held="studies", data={}),
    "fvv": Folder(make=_fvv, task="fvv", module="fvv.dataset", held="patients", data={}),
    "perfusion": Folder(make=_perfusion, task="perfusion", module="perfusion.dataset", held="patients", data={}),
    "vessels": Folder(
        make=_vessels, task="lvo", module="lvo.vessel_cases", held="images",
        data={"stage": "vessels", **_plan("lvo-vessels")},
    ),
    "segment": Folder(
        make=_segment, task="lvo", module="lvo.segment_cases", held="images",
        data={"stage": "segment", **_plan("lvo-segment")},
    ),
    "occlusion": Folder(
        make=_occlusion, task="lvo", module="lvo.occlusion_cases", held="scans",
        data={"stage": "occlusion", "input": "published", "channels": ["ncct"]},
    ),
    "chronic": Folder(
        make=_chronic, task="chronic", module="chronic.dataset", held="images", data={"planes": ["axial"]}
    ),
}  # fmt: skip


@pytest.fixture(params=FOLDERS)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """A made-up folder of 15 patients; a case is no more than its patient's name."""
    folder = FOLDERS[request.param]
    (tmp_path / "data").mkdir()
    folder.make(tmp_path / "data")
    module = import_module(f"willis.tasks.{folder.module}")

    def case(self: object, index: int) -> str:
        patient = getattr(self, folder.held)[index]
        return str(getattr(patient, "subject", "") or patient.name)

    monkeypatch.setattr(module.FolderSource, "case", case)
    yield folder


def _seen(folder: Folder, root: Path, **data: str) -> tuple[set[str], set[str]]:
    """Whom the task trains on, and who validates."""
    dataset = import_module(f"willis.tasks.{folder.task}.dataset")
    given = {**folder.data, "folder": str(root / "data"), **data}
    source = dataset.training_cases(given, None)
    return {source.case(n) for n in range(len(source))}, set(dataset.validation_cases(given, None))


def _split(folder: Folder, root: Path, *flags: str, verb: str = "split") -> dict[str, set[str]]:
    path = root / f"{verb}.json"
    assert call(["dataset", verb, str(root / "data"), "--task", folder.task, "-o", str(path), *flags]) == 0
    assert call(["dataset", "check", str(path), "--least-p", "0"]) == 0
    return {part["name"]: set(part["subjects"]) for part in json.loads(path.read_text())["parts"]}


def test_every_task_trains_on_train_validates_on_validation_and_sees_no_test(kind: Folder, tmp_path: Path) -> None:
    parts = _split(kind, tmp_path, "--validation", "0.2", "--bins", "2")
    assert {name: len(held) for name, held in parts.items()} == {"train": 9, "validation": 3, "test": 3}
    used = {name for name in NAMES if kind.module != "lvo.segment_cases" or int(name[-2:]) % 3}
    split = str(tmp_path / "split.json")
    assert _seen(kind, tmp_path, split=split) == (parts["train"] & used, parts["validation"] & used)
    assert _seen(kind, tmp_path, split=split, part="test") == (parts["train"] & used, parts["test"] & used)


def test_folds_leave_one_out_and_the_test_of_a_split_is_in_none(kind: Folder, tmp_path: Path) -> None:
    parts = _split(kind, tmp_path)
    folds = _split(kind, tmp_path, "--within", str(tmp_path / "split.json"), "--count", "3", verb="folds")
    assert set.union(*folds.values()) == parts["train"]
    used = {name for name in NAMES if kind.module != "lvo.segment_cases" or int(name[-2:]) % 3}
    training, validating = _seen(kind, tmp_path, split=str(tmp_path / "folds.json"), part="fold_2")
    assert validating == folds["fold_2"] & used
    assert training == (folds["fold_1"] | folds["fold_3"]) & used


def test_a_folder_and_a_split_that_differ_are_told(kind: Folder, tmp_path: Path) -> None:
    parts = _split(kind, tmp_path, "--validation", "0.2")
    used = {name for name in NAMES if kind.module != "lvo.segment_cases" or int(name[-2:]) % 3}
    path = tmp_path / "split.json"
    whole = json.loads(path.read_text())
    mine = min(parts["train"] & used)

    def changed(part: str, name: str, *, there: bool) -> str:
        made = json.loads(json.dumps(whole))
        held = next(p for p in made["parts"] if p["name"] == part)
        held["subjects"] = [*held["subjects"], name] if there else [s for s in held["subjects"] if s != name]
        path.write_text(json.dumps(made))
        return str(path)

    with pytest.raises(BadInputError, match=rf"{mine} of .*data is in no part of .*split\.json"):
        _seen(kind, tmp_path, split=changed("train", mine, there=False))
    for part in ("train", "validation"):
        with pytest.raises(BadInputError, match=r"split\.json names sub-99, which .*data doesn't hold"):
            _seen(kind, tmp_path, split=changed(part, "sub-99", there=True))
    _seen(kind, tmp_path, split=changed("test", "sub-99", there=True))  # a test may be kept elsewhere


@pytest.fixture
def wmh(tmp_path: Path) -> Folder:
    (tmp_path / "data").mkdir()
    _wmh(tmp_path / "data")
    return FOLDERS["wmh"]


def test_bins_are_made_of_the_masks_volumes(wmh: Folder, tmp_path: Path) -> None:
    _split(wmh, tmp_path, "--bins", "2", "--test", "0.4")
    made = json.loads((tmp_path / "split.json").read_text())
    assert made["edges"] == [0, 7 * 10 * 8]  # of 14 masks with 10 to 140 voxels of 8 mm³
    rows = {row["part"]: row for row in made["balance"]}
    for bin_ in ("bin_1", "bin_2"):
        assert rows["train"][bin_] + rows["test"][bin_] == 7
        assert abs(rows["test"][bin_] - 0.4 * 7) < 1


def test_kinds_of_patients_are_shared_out_alike(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    _occlusion(tmp_path / "data")
    parts = _split(FOLDERS["occlusion"], tmp_path, "--count", "5", verb="folds")
    negative = {name for name in NAMES if int(name[-2:]) % 3 == 0}
    assert [len(held & negative) for held in parts.values()] == [1] * 5
    rows = [row for row in read_table(tmp_path / "folds.tsv") if row["of"] == "no occlusion"]
    assert [row["count"] for row in rows] == ["1"] * 5


def test_core_and_penumbra_count_together_and_a_roi_from_half(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    _perfusion(tmp_path / "data")
    assert [s.voxels for s in labelled_subjects("perfusion", tmp_path / "data")][:3] == [0, 80, 160]
    root = tmp_path / "fvv"
    _fvv(root)
    faint = np.full(GRID.shape, 0.4, np.float32)
    faint[0, 0] = 0.6
    write_nifti(Volume(faint, GRID), root / NAMES[0] / "stroke_roi.nii.gz")
    assert labelled_subjects("fvv", root)[0].voxels == 12 * 8


def test_whoever_a_folder_keeps_for_its_test_is_not_trained_on(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    _occlusion(tmp_path / "data")
    parts = _split(FOLDERS["occlusion"], tmp_path)
    split = str(tmp_path / "split.json")
    for part, refused in (("test", False), ("train", True)):
        name = min(parts[part])
        (tmp_path / "data" / "test_labels.csv").write_text(f"Patient ID,Label\n{name},{int(int(name[-2:]) % 3 > 0)}\n")
        data = {**FOLDERS["occlusion"].data, "folder": str(tmp_path / "data"), "split": split}
        dataset = import_module("willis.tasks.lvo.dataset")
        if refused:
            with pytest.raises(BadInputError, match=f"{name} of .* is for the test there, but .* trains or validates"):
                dataset.training_cases(data, None)
        else:
            assert len(dataset.training_cases(data, None)) == len(parts["train"])


def test_a_patient_of_the_folder_in_two_parts_is_told(tmp_path: Path) -> None:
    root = tmp_path / "data"
    _wmh(root)
    _split(FOLDERS["wmh"], tmp_path)
    made = json.loads((tmp_path / "split.json").read_text())
    for part, session in zip(made["parts"], ("ses-1", "ses-2"), strict=True):
        name = f"sub-77_{session}"
        part["subjects"].append(name)
        made["groups"][name] = name
        _image(root / "sub-77" / session / "anat" / f"{name}_FLAIR.nii.gz")
        _mask(3, root / "derivatives" / f"{name}_space-flair_label-wmh_mask.nii.gz")
    (tmp_path / "split.json").write_text(json.dumps(made))
    with pytest.raises(BadInputError, match=r"patients lie in more than one part \(train and test: 1\)"):
        _seen(FOLDERS["wmh"], tmp_path, split=str(tmp_path / "split.json"))


@pytest.mark.parametrize("name", ["fvv", "occlusion", "vessels"])
def test_sessions_of_one_patient_are_never_on_both_sides(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [f"sub-{n // 2:02d}_ses-{n % 2}" for n in range(18)]
    monkeypatch.setattr(sys.modules[__name__], "NAMES", sessions)
    folder, root = FOLDERS[name], tmp_path / "data"
    folder.make(root)
    assert {s.group for s in labelled_subjects(folder.task, root)} == {f"sub-{n:02d}" for n in range(9)}
    module = import_module(f"willis.tasks.{folder.module}")
    for index in range(3):
        chosen = FoldSettings(count=3, index=index)
        names = module.training_cases({**folder.data, "folder": str(root)}, chosen).names
        assert len(names) == 12
        assert len({session.split("_")[0] for session in names}) == 6


def test_which_part_validates_is_asked_for(wmh: Folder, tmp_path: Path) -> None:
    split = str(tmp_path / "split.json")
    _split(wmh, tmp_path)
    data = {"folder": str(tmp_path / "data"), "split": split}
    assert not leaves_out(data, FoldSettings())
    assert leaves_out({**data, "part": "test"}, None)
    with pytest.raises(BadInputError, match=r"part is 'fold_1'; .* holds train, test"):
        _seen(wmh, tmp_path, split=split, part="fold_1")
    with pytest.raises(BadInputError, match="leaves nothing to train on where train validates"):
        _seen(wmh, tmp_path, split=split, part="train")
    _split(wmh, tmp_path, verb="folds")
    with pytest.raises(BadInputError, match=r"part is ''; .* holds fold_1, fold_2, fold_3, fold_4, fold_5"):
        _seen(wmh, tmp_path, split=str(tmp_path / "folds.json"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dataset", "split", "DATA", "--bins", "3"], "name the task of the folder with --task"),
        (["dataset", "split", "DATA", "--task", "wmh", "--bins", "0"], "--bins is 0"),
        (["dataset", "split", "DATA", "--task", "brain"], "the task brain is trained on phantoms alone"),
        (["dataset", "split", "DATA", "--task", "wmh", "--validation", "0.9"], "--validation 0.9"),
        (["train", "RECIPE", "--split", "SPLIT"], "name it as folder, or with --data"),
        (["train", "RECIPE", "--data", "DATA", "--part", "fold_1"], "name the file as split, or with --split"),
        (["train", "RECIPE", "--data", "DATA", "--split", "SPLIT", "--folds", "3"], "both say which patients"),
    ],
)
def test_what_can_t_be_split_is_told(
    arguments: list[str], words: str, wmh: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _split(wmh, tmp_path)
    capsys.readouterr()
    given = {"DATA": tmp_path / "data", "SPLIT": tmp_path / "split.json", "RECIPE": RECIPES / "wmh.toml"}
    out = tmp_path / ("run" if arguments[0] == "train" else "new.json")
    assert call([*(str(given.get(a, a)) for a in arguments), "-o", str(out)]) == 2
    assert words in capsys.readouterr().err.replace("\n", " ")
    assert not out.exists()
