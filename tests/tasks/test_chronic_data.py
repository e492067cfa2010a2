"""Labelled T1s for training: the published batches as a sampler, the part left out, what can't be learnt from."""

import json
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.infer.planes import from_slices, predict_planes
from willis.infer.torch_engine import TorchEngine
from willis.io.labelled import LabelledImage
from willis.measure.size_bins import SLICE_EDGES, bin_of
from willis.models.manifest import Window, make_manifest
from willis.models.publish import write_bundle
from willis.nets.registry import build_network
from willis.study import Study
from willis.tasks.chronic import dataset
from willis.tasks.chronic.prepare import network_images
from willis.tasks.chronic.run import run
from willis.tasks.chronic.space import SHAPE, standard_grid
from willis.tasks.chronic.spec import SPEC
from willis.tasks.settings import RunSettings
from willis.tasks.validation import case_probabilities
from willis.volume.grid import Grid
from willis.volume.plane import Plane
from willis.volume.volume import Volume


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six sessions with masks on the standard grid, their tables, and two folds."""
    root = tmp_path_factory.mktemp("labelled")
    grid = standard_grid()
    for number in range(6):
        mask = np.zeros(grid.shape, np.uint8)
        side = 6 + 7 * number
        mask[60 : 60 + side, 80 : 80 + side, 90 : 90 + side // 3] = 1
        image = nib.Nifti1Image(mask, grid.affine)
        image.set_qform(grid.affine, code=1)
        image.header.set_xyzt_units("mm")
        (root / "data").mkdir(exist_ok=True)
        nib.save(image, root / "data" / f"sub-{number}_mask.nii.gz")
    assert call(["dataset", "describe", str(root / "data"), "-o", str(root / "tables"), "--workers", "1"]) == 0
    assert call(["dataset", "folds", str(root / "tables"), "--count", "2", "-o", str(root / "folds.json")]) == 0
    return root


def _data(folder: Path, **changes: object) -> dict[str, object]:
    given = {"folder": folder / "data", "split": folder / "folds.json", "tables": folder / "tables"}
    return {"planes": ["axial"], "part": "fold_1", "batch": 8, **{k: str(v) for k, v in given.items()}, **changes}


def test_every_slice_of_the_training_part_is_planned_once(folder: Path) -> None:
    source = dataset.training_cases(_data(folder))
    assert len(source) == 3
    seen: list[tuple[int, int]] = []
    lesion_per_batch = []
    for step in range(len(source.plan)):
        held = [source.planned(step, n) for n in range(len(source.plan[step]))]
        assert all(centre[:2] == (104, 120) for _, centre in held)
        seen += [(session, centre[2]) for session, centre in held]
        masks = [nib.load(source.images[session].mask).dataobj for session, _ in held]
        areas = [int(np.asarray(mask[:, :, centre[2]]).sum()) for mask, (_, centre) in zip(masks, held, strict=True)]
        lesion_per_batch.append(np.bincount(bin_of([a for a in areas if a], SLICE_EDGES["axial"]), minlength=6))
        assert sum(area == 0 for area in areas) * 2 == len(areas)
    assert len(seen) == len(set(seen))
    assert (np.ptp(lesion_per_batch, axis=0) <= 1).all()
    assert source.planned(len(source.plan), 0) == source.planned(0, 0)


def test_training_and_validation_share_no_session(folder: Path) -> None:
    training = {image.name for image in dataset.training_cases(_data(folder)).images}
    left_out = {image.name for image in dataset.training_cases(_data(folder, part="fold_2")).images}
    assert not training & left_out
    assert len(training | left_out) == 6


def test_sessions_kept_for_a_test_are_neither_trained_on_nor_validated(folder: Path, tmp_path: Path) -> None:
    split, folds = tmp_path / "split.json", tmp_path / "folds.json"
    assert call(["dataset", "split", str(folder / "tables"), "-o", str(split)]) == 0
    assert (
        call(["dataset", "folds", str(folder / "tables"), "--within", str(split), "--count", "2", "-o", str(folds)])
        == 0
    )
    kept = {part["name"]: set(part["subjects"]) for part in json.loads(split.read_text())["parts"]}
    training, validating = (
        {image.name for image in dataset.training_cases(_data(folder, split=str(folds), part=part)).images}
        for part in ("fold_1", "fold_2")
    )
    assert kept["test"]
    assert training | validating == kept["train"]


def test_what_can_t_be_learnt_from_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="part is 'fold_9'"):
        dataset.training_cases(_data(folder, part="fold_9"))
    with pytest.raises(BadInputError, match="and one plane"):
        dataset.training_cases(_data(folder, planes=["axial", "coronal"]))
    image = nib.Nifti1Image(np.zeros((9, 9, 9), np.uint8), np.eye(4))
    image.set_qform(np.eye(4), code=1)
    image.header.set_xyzt_units("mm")
    for number in range(3):
        nib.save(image, tmp_path / f"sub-{number}_mask.nii.gz")
    with pytest.raises(BadInputError, match="no mask of the training set holds a lesion"):
        dataset.training_cases({"folder": str(tmp_path)})


@pytest.mark.parametrize("plane", ["axial", "coronal"])
def test_validation_in_training_says_what_a_run_says_of_a_network_over_neighbouring_slices(
    plane: Plane, tmp_path: Path
) -> None:
    grid = standard_grid()
    t1 = np.random.default_rng(5).uniform(50, 200, grid.shape).astype(np.float32)
    brain = np.zeros(grid.shape, bool)
    brain[60:64, 60:64, :6] = brain[60:64, 60:64, -3:] = brain[80:84, :3, 80:84] = True
    settings = dataset.ChronicData(planes=(plane,), view="cropped", stack=4)
    network = {"name": "dunet", "config": {"filters": [2, 2, 2, 2, 2], "ratio": 1}}
    manifest = make_manifest({**dataset.manifest_fields(settings.model_dump()), "network": network}, "test")
    torch.manual_seed(0)
    net = build_network("dunet", network["config"]).eval()
    bundle = write_bundle(tmp_path / "bundle", manifest, [net.state_dict()])
    run_ = predict_planes(bundle, network_images(t1, brain, manifest), mask=brain, engine="torch", threads=1)

    case = dataset.sliced_case(t1, brain.astype(np.uint8), brain, settings, plane, "a")
    assert case.image.shape[0] == 1 and case.stack == 4
    window = Window(mode="sliding", shape=(192, 192, 8), overlap=0.0)
    judged = case_probabilities(TorchEngine(net, threads=1), case, window)
    found = from_slices(np.moveaxis(judged, 3, 0), settings.views[plane], SHAPE)
    np.testing.assert_allclose(found, run_.probability, atol=1e-4)
    assert np.ptp(found[0][brain]) > 1e-3


def test_a_lesion_outside_the_brain_mask_is_missed_in_validation_and_not_asked_for_in_training() -> None:
    brain = np.zeros(SHAPE, bool)
    brain[70:120, 80:150, 60:110] = True
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[60:80, 100:110, 80:90] = 1
    t1 = np.full(SHAPE, 100, np.float32)
    settings = dataset.ChronicData()
    seen = dataset.sliced_case(t1, lesion, brain, settings, "axial", "a")
    whole = dataset.sliced_case(t1, lesion, brain, settings, "axial", "a", whole=True)
    assert (seen.target.sum(), whole.target.sum()) == (1000, 2000)
    assert not (seen.target[0] & ~seen.mask).any()


def test_validation_asks_for_whole_lesions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = folder / "data" / "sub-5_mask.nii.gz"
    lesion = np.asarray(nib.load(mask).dataobj)
    brain = lesion * (np.arange(SHAPE[0]) < 70)[:, None, None] > 0
    grid, image = standard_grid(), lesion[None].astype(np.float32)
    prepared = SimpleNamespace(images={"axial": image}, mask=brain, grid=grid, to_prepared=np.eye(4), fit=None)
    monkeypatch.setattr(dataset, "_prepared", lambda _t1, _manifest: prepared)
    monkeypatch.setattr(dataset, "_t1_path", lambda files: files.mask)
    source = dataset.FolderSource((LabelledImage("a", "a", mask),), dataset.ChronicData(planes=("axial",)))
    monkeypatch.setattr(dataset, "_folder_source", lambda *_asked: source)
    (case,) = dataset.validation_cases({"folder": str(folder / "data"), "planes": ["axial"]})
    assert case.target.sum() == lesion.sum()
    trained = dataset.training_cases({"folder": str(folder / "data"), "planes": ["axial"]}).case(0)
    assert trained.target.sum() == brain.sum()


def test_a_mask_of_shares_is_refused_in_training_and_as_reference(tmp_path: Path) -> None:
    grid = Grid((9, 9, 9), np.eye(4))
    t1 = np.arange(9**3, dtype=np.float32).reshape(grid.shape)
    for name, values in (("t1", t1), ("mask", np.full(grid.shape, 0.1, np.float32))):
        image = nib.Nifti1Image(values, np.eye(4))
        image.set_qform(np.eye(4), code=1)
        image.header.set_xyzt_units("mm")
        nib.save(image, tmp_path / f"{name}.nii.gz")
    files = LabelledImage("sub-1", "sub-1", tmp_path / "mask.nii.gz", tmp_path / "t1.nii.gz")
    with pytest.raises(BadInputError, match=r"holds the value 0\.1; a lesion mask holds 0 and 1 alone"):
        dataset.FolderSource((files,), dataset.ChronicData()).case(0)
    with pytest.raises(BadInputError, match=r"holds the value 0\.1; a lesion mask holds 0 and 1 alone"):
        dataset.training_cases({"folder": str(tmp_path)})
    study = Study({"t1": Volume(t1, grid, role="t1")})
    options = SPEC.resolve_options({"reference": tmp_path / "mask.nii.gz"})
    with pytest.raises(BadInputError, match=r"holds the value 0\.1; a lesion mask holds 0 and 1 alone"):
        run(study, options, settings=RunSettings())
