"""Where lesions of masks in MNI space lie: region, side and arterial territory of an average brain."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from willis.tasks.chronic.interpret import assign_regions
from willis.tasks.chronic.space import left_half, region_masks, standard_grid, template
from willis.tasks.ct_template import read_territories
from willis.tasks.territories import largest, sided, volumes_ml
from willis.volume.grid import Grid
from willis.volume.resample import resample_to

_MNI_NAME = re.compile(r"(?:^|_)space-MNI", re.IGNORECASE)


def places_in_mni(path: Path, grid: Grid, labels: npt.NDArray[np.integer], part: Grid) -> list[tuple[str, str]] | None:
    """Region with its side (``"cortical left"``) and territory (``"left MCA"``, empty where none) of each lesion.

    Parameters
    ----------
    path, grid
        Of the mask. It is in MNI space if its name says so (``space-MNI…``) or it lies on the 1 mm lattice of
        197 × 233 × 189 voxels; None is the answer for any other.
    labels, part
        (I, J, K) lesions 1, 2, 3… and 0, and the part of the grid that they lie on.
    """
    if not (_MNI_NAME.search(path.name) or grid.same_as(standard_grid())):
        return None
    tissue = resample_to(template().tissue, part, "nearest").data
    left = left_half(part)
    codes = sided(resample_to(read_territories(None), part, "nearest").data, ~left)
    lesions = labels.astype(np.int32)
    count = int(labels.max(initial=0))
    regions = assign_regions(lesions, count, region_masks(tissue, left))
    territories = [largest(volumes_ml(codes, lesions == n, part.voxel_ml)) for n in range(1, count + 1)]
    return [(region, str(most[0]) if most else "") for region, most in zip(regions, territories, strict=True)]
