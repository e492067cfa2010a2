"""The space that the published networks saw: 1 mm, 197 × 233 × 189, and a template brain to lay a T1 on.

The template is the head that comes with willis, painted as a T1; it lies where an MNI brain lies by an affine matrix
that ``scripts/place_chronic_template.py`` found once on a public template. No scan is shipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.anatomy import builtin_anatomy
from willis.phantom.contrast import draw_person, lookup_table_of, t1_palette
from willis.phantom.labels import BRAIN, Tissue, lookup
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

SHAPE = (197, 233, 189)  # of ATLAS 2.0 and of the MNI152 2009 templates at 1 mm
ORIGIN_MM = (-98.0, -134.0, -72.0)  # of its first voxel
CONTRAST_SEED = 0  # of the tissue values that the template is painted with
SOFTNESS_VOXELS = 0.7  # standard deviation that smooths the steps between labels
TO_HEAD: FloatArray = np.array(  # mm of the standard space to mm of the built-in head, its own mirror image
    [
        [0.9292, 0.0, 0.0, 0.0],
        [0.0, 0.9297, -0.1561, 21.956],
        [0.0, 0.1936, 0.8533, -4.228],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def standard_grid() -> Grid:
    """The 1 mm RAS lattice of 197 × 233 × 189 voxels."""
    affine = np.eye(4)
    affine[:3, 3] = ORIGIN_MM
    return Grid(SHAPE, affine)


@dataclass(frozen=True)
class Template:
    """An average brain in the standard space.

    Parameters
    ----------
    t1
        Its T1, white matter about 1, zero outside the brain.
    brain
        Its mask.
    tissue
        :class:`willis.phantom.labels.Tissue` of each voxel, right side + 128.
    """

    t1: Volume
    brain: Volume
    tissue: Volume


@lru_cache(maxsize=1)
def template() -> Template:
    """The template, made of the built-in head; kept for the next call."""
    anatomy = builtin_anatomy()
    rng = np.random.default_rng(CONTRAST_SEED)
    person, field = draw_person(rng)
    values = lookup_table_of(t1_palette(rng, person, field, volumetric=True))
    values[~lookup(BRAIN)] = 0
    painted = ndimage.gaussian_filter(values[anatomy.codes], SOFTNESS_VOXELS).astype(np.float32)
    grid = standard_grid()

    def placed(data: npt.NDArray[np.generic], how: str) -> Volume:
        source = Volume(data, anatomy.grid)
        return resample_to(source, grid, how, world_transform=TO_HEAD)  # type: ignore[arg-type]

    tissue = placed(anatomy.codes, "nearest")
    brain = tissue.with_data(lookup(BRAIN)[tissue.data].astype(np.uint8), role="brain")
    t1 = placed(painted, "linear")
    return Template(t1.with_data(t1.data * brain.data, role="template"), brain, tissue)


def left_half(grid: Grid, to_template: FloatArray | None = None) -> npt.NDArray[np.bool_]:
    """(I, J, K) what lies left of the template's middle; codes of tissue don't tell, as sulci have none of a side.

    Parameters
    ----------
    grid
        Whose voxels are told apart.
    to_template
        (4, 4), mm of the grid to mm of the template; the same when None.
    """
    affine = grid.affine if to_template is None else to_template @ grid.affine
    i, j, k = np.ogrid[: grid.shape[0], : grid.shape[1], : grid.shape[2]]
    x, y, z, shift = affine[0]
    return np.asarray(x * i + y * j + z * k + shift < 0)


def region_masks(tissue: npt.NDArray[np.uint8], left: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[np.bool_]]:
    """Where cortex, cerebellum and brainstem lie, (I, J, K) each, from codes of ``Tissue``; and the left, as given."""
    return {
        "cortex": lookup((Tissue.CORTEX, Tissue.CSF))[tissue],
        "cerebellum": lookup((Tissue.CEREBELLAR_CORTEX, Tissue.CEREBELLAR_WHITE_MATTER))[tissue],
        "brainstem": lookup((Tissue.BRAINSTEM,))[tissue],
        "left": left,
    }
