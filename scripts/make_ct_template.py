"""Make the CT template that ``lvo`` lays on each patient: 2 mm, MNI space, HU, left and right alike.

    python scripts/make_ct_template.py ../shared/data/ct_templates

The source is the average CT of the Clinical Toolbox (Rorden 2012, doi:10.1016/j.neuroimage.2012.03.020), BSD-2-Clause,
whose values are stretched where soft tissue lies; here they are turned back into HU.
"""

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

from willis.image.components import largest_component
from willis.image.morphology import close_mm, fill_holes
from willis.io.nifti import read_nifti, write_nifti
from willis.volume.orient import reorient
from willis.volume.volume import Volume

OUT = Path(__file__).parents[1] / "src" / "willis" / "tasks" / "template"
AIR_HU = -1024.0  # the least value that the toolbox keeps
DARK, MIDDLE = 900.0, 200.0  # HU above air that are left alone, and that are then stretched
MIDDLE_SLOPE, BRIGHT_SLOPE = 11.0, 2.0
BRAIN_SHARE = 0.3  # of grey, white matter and inner fluid, from which a voxel belongs to the brain
CLOSING_MM = 9.0  # basal cisterns belong to the brain, as the vessels do that run in them


def to_hu(values: np.ndarray) -> np.ndarray:
    """HU of the toolbox's stretched values."""
    middle_end = DARK + MIDDLE * MIDDLE_SLOPE
    return np.select(
        [values < DARK, values < middle_end],
        [AIR_HU + values, AIR_HU + DARK + (values - DARK) / MIDDLE_SLOPE],
        AIR_HU + DARK + MIDDLE + (values - middle_end) / BRIGHT_SLOPE,
    )


def main(folder: Path) -> None:
    """Write ``ct.nii.gz`` and ``brain.nii.gz``."""
    names = ("scct", "scgrey", "scwhite", "sccsf")
    source = {name: reorient(read_nifti(folder / f"{name}.nii.gz"), "RAS") for name in names}
    grid = source["scct"].grid
    assert abs(grid.centre_mm[0]) < 1e-6, "the middle plane must be x = 0"
    hu = to_hu(source["scct"].data)
    hu = (hu + hu[::-1]) / 2
    tissue = source["scgrey"].data + source["scwhite"].data
    tissue = (tissue + tissue[::-1]) / 2 > BRAIN_SHARE
    one = largest_component(ndimage.binary_opening(tissue))
    brain = fill_holes(close_mm(Volume(one.astype(np.uint8), grid), CLOSING_MM))
    OUT.mkdir(exist_ok=True)
    write_nifti(Volume(np.rint(hu).astype(np.int16), grid), OUT / "ct.nii.gz")
    write_nifti(brain, OUT / "brain.nii.gz")
    print(f"brain of {brain.volume_ml:.0f} ml; median {np.median(hu[brain.data > 0]):.1f} HU")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
