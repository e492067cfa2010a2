"""All metrics of one case, and whether its prediction and reference may be compared."""

from __future__ import annotations

import numpy as np

from willis.errors import BadInputError, GeometryError
from willis.io.nifti_geometry import straightened
from willis.measure import lesionwise, overlap, surface, volumetry
from willis.measure.metric import Metric
from willis.measure.pair import MaskPair
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

METRICS: tuple[Metric, ...] = (*overlap.METRICS, *volumetry.METRICS, *surface.METRICS, *lesionwise.METRICS)

SIZES = ("predicted_ml", "reference_ml", "predicted_lesions", "reference_lesions")
COLUMNS: tuple[str, ...] = (*SIZES, *(metric.name for metric in METRICS))


def evaluate_case(prediction: Volume, reference: Volume) -> dict[str, float]:
    """Compute every metric of a predicted against a reference mask, and both volumes and lesion counts.

    Parameters
    ----------
    prediction, reference
        Binary masks on one lattice; the order of their axes may differ.

    Returns
    -------
    By name, in the order of :data:`COLUMNS`: the sizes of both masks, then the metrics; NaN where one is undefined.

    Raises
    ------
    GeometryError
        When they lie on different grids.
    BadInputError
        When one isn't binary.
    """
    prediction = onto_axes_of(reference.grid, prediction)
    pair = MaskPair(prediction.data, reference.data, reference.grid.spacing_mm, reference.grid.affine[:3, :3])
    lesions = pair.once(lesionwise.match_lesions)
    volumes = (pair.predicted * pair.voxel_ml, pair.referenced * pair.voxel_ml)
    sizes = dict(zip(SIZES, (*volumes, float(lesions.predicted), float(lesions.referenced)), strict=True))
    return sizes | {metric.name: metric.of(pair) for metric in METRICS}


def mask_of(volume: Volume, label: int | None = None) -> Volume:
    """Take a binary mask from an image as masks are stored: 0 and 1, 0 and 255, or one label of several.

    Raises
    ------
    BadInputError
        When the image holds other values and no label is chosen.
    """
    if label is not None:
        return volume.with_data(volume.data == label)
    found = np.unique(volume.data)
    if np.isin(found, (0, 1)).all():
        return volume.with_data(volume.data == 1)
    if np.array_equal(found, (0, 255)) or np.array_equal(found, (255,)):
        return volume.with_data(volume.data == 255).noted("255 was taken as 1.")
    shown = ", ".join(f"{value:g}" for value in found[:6]) + (" …" if found.size > 6 else "")
    raise BadInputError(
        f"not a binary mask: {found.size} values ({shown}); allowed are 0 and 1, or 0 and 255. "
        "Threshold it, or choose one label with --label."
    )


def empty_like(mask: Volume) -> Volume:
    """A mask of nothing on the same grid, without notes."""
    return Volume(np.zeros_like(mask.data), mask.grid)


def onto_axes_of(grid: Grid, volume: Volume) -> Volume:
    """Put a mask that lies on the lattice of ``grid`` into its order of axes; noted when anything had to be done.

    Raises
    ------
    GeometryError
        When the lattices differ: nothing is resampled.
    """
    if volume.grid.same_as(grid):
        return volume
    turned = reorient(volume, grid.orientation)
    if turned.grid.same_as(grid):
        return turned.noted(f"Reoriented from {volume.grid.orientation} to {grid.orientation}, the reference's axes.")
    raise GeometryError(
        f"prediction and reference lie on different grids: {_described(volume.grid)} and {_described(grid)}. "
        "Resample one onto the other first."
    )


def onto_one_lattice(prediction: Volume, reference: Volume) -> tuple[Volume, Volume]:
    """Both masks voxel for voxel: as they are where they lie on one lattice, sheared or not, else with right angles.

    A mask found in a sheared scan lies on a grid at right angles; its reference, drawn on the scan, doesn't.

    Raises
    ------
    GeometryError
        When their lattices differ at right angles too.
    """
    try:
        return onto_axes_of(reference.grid, prediction), reference
    except GeometryError:
        reference = straightened(reference, "nearest")
        return onto_axes_of(reference.grid, straightened(prediction, "nearest")), reference


def _described(grid: Grid) -> str:
    shape = "×".join(str(n) for n in grid.shape)
    spacing = "×".join(f"{edge:.3g}" for edge in grid.spacing_mm)
    centre = ", ".join(f"{x:.1f}" for x in grid.centre_mm)
    return f"{shape} voxels of {spacing} mm in {grid.orientation} about ({centre}) mm"
