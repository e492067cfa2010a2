"""Greedy and ANTs, where they are installed, find the same deformation as demons, in the same directions."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from willis.errors import BadInputError, GeometryError, MissingExtraError, MissingProgramError
from willis.image import greedy
from willis.image.ants import PROGRAM, ants_version, register_ants
from willis.image.deform import register_demons, warp_to
from willis.image.deformers import DEFORMERS
from willis.image.greedy import register_greedy
from willis.tasks.lvo.spec import SPEC
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SHIFT_MM = (5.0, 0.0, -4.0)


def brain(affine, shift=(0.0, 0.0, 0.0)):
    """A made-up brain of tissue with a ventricle, somewhere in the world."""
    grid = Grid((40, 48, 36), np.asarray(affine))
    mm = (
        np.moveaxis(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0) - grid.centre_mm[:, None, None, None]
    )
    x, y, z = (m - s for m, s in zip(mm, shift, strict=True))
    tissue = 20.0 / (1 + np.exp((np.sqrt((x / 48) ** 2 + (y / 58) ** 2 + (z / 42) ** 2) - 1) * 20))
    fluid = 15.0 / (1 + np.exp((np.sqrt((x / 10) ** 2 + (y / 26) ** 2 + (z / 12) ** 2) - 1) * 6))
    return Volume((tissue - fluid).astype(np.float32), grid)


def turned(degrees, spacing=3.0):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    affine = np.diag([-spacing, spacing, spacing, 1.0])
    affine[:3, :3] = [[c, -s, 0], [s, c, 0], [0, 0, 1]] @ affine[:3, :3]
    affine[:3, 3] = (31.0, -40.0, 12.0)
    return affine


def installed(name: str):
    """A registration; the test is skipped where what it needs is absent."""
    if name == "greedy":
        pytest.importorskip("picsl_greedy")
    if name == "ants" and shutil.which(PROGRAM) is None:
        pytest.skip(f"{PROGRAM} is not on the PATH")
    return DEFORMERS[name].register


@pytest.mark.parametrize("name", ["demons", "greedy", "ants"])
@pytest.mark.parametrize("degrees", [0, 25])
def test_all_agree_on_where_a_brain_has_moved(name, degrees):
    found = installed(name)(moving := brain(turned(degrees), SHIFT_MM), fixed := brain(turned(degrees)))
    apart = np.abs(moving.data - fixed.data).mean()
    assert np.abs(warp_to(moving, fixed.grid, found).data - fixed.data).mean() < 0.3 * apart
    rim = fixed.grid.to_mm(np.argwhere((fixed.data > 5) & (fixed.data < 15)))
    moved = (found.at(rim) - rim).mean(axis=0)
    assert np.sign(moved[0]) == np.sign(SHIFT_MM[0])
    assert np.sign(moved[2]) == np.sign(SHIFT_MM[2])


@pytest.mark.parametrize("name", ["demons", "greedy", "ants"])
def test_each_gives_the_same_bits_again(name):
    fixed, moving = brain(turned(10)), brain(turned(10), SHIFT_MM)
    one, other = (installed(name)(moving, fixed).field_mm for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("register", [register_demons, register_greedy])
def test_images_on_different_grids_are_refused(register):
    with pytest.raises(GeometryError, match="one grid"):
        register(brain(turned(0)), brain(turned(10)))


def test_the_task_offers_what_there_is():
    offered = next(option for option in SPEC.options if option.name == "deformation")
    assert offered.choices == tuple(DEFORMERS)


def test_without_greedy_the_extra_is_named(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(greedy, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"willis\[greedy\]"):
        register_greedy(brain(turned(0)), brain(turned(0)))


STAND_IN = '''#!{python}
"""Moves the middle of one image's tissue onto the other's, in the world of ITK, and keeps what it was told."""
import json, os, re, sys
import numpy as np
import SimpleITK as sitk

if sys.argv[1] == "--version":
    sys.exit(print("ANTs Version: v2.9.9-g123\\nCompiled: today"))
told = dict(zip(sys.argv[1::2], sys.argv[2::2]))
threads = os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"]
json.dump({{**told, "threads": threads}}, open({log!r}, "w"))


def middle(image):
    weight = sitk.GetArrayFromImage(image).T
    index = np.moveaxis(np.indices(weight.shape), 0, -1)
    at = (index * weight[..., None]).sum((0, 1, 2)) / weight.sum()
    return np.array(image.TransformContinuousIndexToPhysicalPoint(at.tolist()))


still, moved = (sitk.ReadImage(path) for path in re.findall(r"[^\\[,]+nii.gz", told["--metric"]))
field = np.broadcast_to(middle(moved) - middle(still), (*still.GetSize()[::-1], 3))
image = sitk.GetImageFromArray(field.astype(np.float32), isVector=True)
image.CopyInformation(still)
sitk.WriteImage(image, told["--output"] + "0Warp.nii.gz")
'''


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    program = folder / PROGRAM
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize("degrees", [0, 25])
def test_fields_of_a_program_lie_in_our_world(degrees, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, STAND_IN.format(python=sys.executable, log=str(tmp_path / "told.json")))
    assert ants_version() == "2.9.9-g123"
    found = register_ants(brain(turned(degrees), SHIFT_MM), fixed := brain(turned(degrees)))
    at = fixed.grid.centre_mm[None]
    np.testing.assert_allclose((found.at(at) - at)[0], SHIFT_MM, atol=0.5)


def test_a_program_is_told_to_draw_nothing_at_random_and_to_use_one_thread(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, STAND_IN.format(python=sys.executable, log=str(tmp_path / "told.json")))
    register_ants(brain(turned(0), SHIFT_MM), brain(turned(0)))
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["--random-seed"], told["threads"]) == ("1", "1")
    assert told["--metric"].endswith("None]"), "every voxel is counted"


def test_without_ants_its_home_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match=r"antsRegistration .* not on the PATH. Install it from https"):
        register_ants(brain(turned(0)), brain(turned(0)))


def test_what_a_program_says_that_gives_nothing_is_passed_on(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "#!/bin/sh\necho 'no such metric' >&2\n")
    with pytest.raises(BadInputError, match="gave no deformation; it said: no such metric"):
        register_ants(brain(turned(0)), brain(turned(0)))
