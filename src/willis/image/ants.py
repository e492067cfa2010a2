"""Deformable registration by ANTs' own program, where it is on the PATH, in place of demons."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import SimpleITK as sitk

from willis.errors import BadInputError, MissingProgramError
from willis.image.deform import LEVELS, Deformation, field_of, pair_at
from willis.volume.volume import Volume

PROGRAM = "antsRegistration"
TRANSFORM = "SyN[0.2,3,0]"  # step and smoothing of ANTsPy's SyN, as published
BINS = 32  # of its histogram of both images' values
ITERATIONS = "60x40"  # at half and at full resolution
SEED = "1"
FIELD = "0Warp.nii.gz"  # end of the name under which the field of the first stage is written


def ants_version() -> str:
    """Version of the program on the PATH, as it tells it itself.

    Raises
    ------
    MissingProgramError
        When there is none.
    """
    if shutil.which(PROGRAM) is None:
        raise MissingProgramError(PROGRAM, "deform the template by ANTs", "https://github.com/ANTsX/ANTs")
    told = re.search(r"ANTs Version:\s*v?(\S+)", _said("--version"))
    return told[1] if told else "unknown"


def register_ants(moving: Volume, fixed: Volume) -> Deformation:
    """Deform one image onto another that it nearly lies on, by mutual information.

    Symmetric normalisation (SyN; Avants 2008, doi:10.1016/j.media.2007.06.004) at 6 and 3 mm, by one thread and every
    voxel.

    Parameters
    ----------
    moving, fixed
        Images of like values on one grid at right angles.

    Raises
    ------
    GeometryError
        When they lie on different grids.
    MissingProgramError
        When ANTs' program isn't on the PATH.
    BadInputError
        When it gives no deformation.
    """
    ants_version()
    grid, still, moved = pair_at(moving, fixed, LEVELS[-1][0])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, image in (("still", still), ("moved", moved)):
            sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
        images = f"{folder / 'still.nii.gz'},{folder / 'moved.nii.gz'}"
        said = _said(
            *("--dimensionality", "3", "--float", "0", "--random-seed", SEED, "--output", str(folder / "field")),
            *("--transform", TRANSFORM, "--metric", f"Mattes[{images},1,{BINS},None]"),
            *("--convergence", f"[{ITERATIONS},1e-6,10]", "--shrink-factors", "2x1", "--smoothing-sigmas", "1x0vox"),
        )
        if not (folder / f"field{FIELD}").is_file():
            last = ([line.strip() for line in said.splitlines() if line.strip()] or ["nothing"])[-1]
            raise BadInputError(
                f"{PROGRAM} gave no deformation; it said: {last}. Take another --deformation, or mend ANTs."
            )
        vectors = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"field{FIELD}")))
    return field_of(vectors, grid)


def _said(*arguments: str) -> str:
    """What the program prints, run by one thread."""
    alone = {**os.environ, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, env=alone)
    return done.stdout + done.stderr
