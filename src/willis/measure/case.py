"""All metrics of one case, and whether its prediction and reference may be compared."""

from __future__ import annotations

from willis.errors import GeometryError
from willis.measure import lesionwise, overlap, surface, volumetry
from willis.measure.metric import Metric
from willis.measure.pair import MaskPair
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

METRICS: tuple[Metric, ...] = (*overlap.METRICS, *volumetry.METRICS, *surface.METRICS, *lesionwise.METRICS)


def evaluate_case(prediction: Volume, reference: Volume) -> dict[str, float]:
    """Compute every metric of a predicted against a reference mask, and both volumes and lesion counts.

    Parameters
    ----------
    prediction, reference
        Binary masks on one lattice; the order of their axes may differ.

    Returns
    -------
    By name, in the order of :data:`METRICS` after ``predicted_ml``, ``reference_ml``, ``predicted_lesions`` and
    ``reference_lesions``; NaN where a metric is undefined.

    Raises
    ------
    GeometryError
        When they lie on different grids.
    BadInputError
        When one isn't binary.
    """
    prediction = onto_axes_of(reference.grid, prediction)
    pair = MaskPair(prediction.data, reference.data, reference.grid.spacing_mm, reference.grid.voxel_ml)
    lesions = pair.once(lesionwise.match_lesions)
    sizes = {
        "predicted_ml": pair.predicted * pair.voxel_ml,
        "reference_ml": pair.referenced * pair.voxel_ml,
        "predicted_lesions": float(lesions.predicted),
        "reference_lesions": float(lesions.referenced),
    }
    return sizes | {metric.name: metric.of(pair) for metric in METRICS}


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


def _described(grid: Grid) -> str:
    shape = "×".join(str(n) for n in grid.shape)
    spacing = "×".join(f"{edge:.3g}" for edge in grid.spacing_mm)
    centre = ", ".join(f"{x:.1f}" for x in grid.centre_mm)
    return f"{shape} voxels of {spacing} mm in {grid.orientation} about ({centre}) mm"
