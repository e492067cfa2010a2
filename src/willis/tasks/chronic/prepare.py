"""From a T1 as the scanner gives it to what networks over slices of three planes are fed, and the way back.

Brain mask, N4, affine to 1 mm 197 × 233 × 189, then intensities as the bundle says: each slice scaled so that its
largest value is 255, as published (doi:10.1101/2025.09.26.25336733), or divided by the brain's 99th percentile and
zero outside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.image.affine import AffineFit, register_affine
from willis.image.intensity import correct_bias, scale_p99
from willis.models.manifest import Manifest
from willis.study import Study
from willis.tasks.brain.mask import BrainMaskOf, brain_mask
from willis.tasks.chronic.space import standard_grid, template
from willis.tasks.facing import facing_notes
from willis.volume.grid import FloatArray, Grid
from willis.volume.plane import Plane, slice_axis
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

SLICE_TOP = 255.0  # largest value of a slice, as published
WINDOW = (0.0, 1.5)  # of the 99th percentile in the brain, compared while registering
POOR_CORRELATION = 0.5  # T1s of whole brains reach 0.8 with the template; assumed limit below which a fit is doubtful

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PreparedPlanes:
    """The networks' input and where it lies.

    Parameters
    ----------
    images
        By plane (1, I, J, K) on ``grid``.
    grid
        1 mm, 197 × 233 × 189.
    mask
        (I, J, K) the brain there.
    brain
        Brain mask on the T1's own grid.
    to_prepared
        (4, 4), mm of the T1 to mm of ``grid``.
    fit
        Of the registration; None when the T1 was on the grid already.
    notes
        Sentences that a reader of the result must see.
    """

    images: Mapping[Plane, Float32]
    grid: Grid
    mask: npt.NDArray[np.bool_]
    brain: Volume
    to_prepared: FloatArray
    fit: AffineFit | None
    notes: tuple[str, ...] = ()

    def upright(self, volume: Volume) -> Volume:
        """A volume of the T1's space as it is shown."""
        return volume if self.fit is None else self.fit.upright(volume)


def prepare(study: Study, manifest: Manifest, options: Mapping[str, Any], brain_mask_of: BrainMaskOf) -> PreparedPlanes:
    """Make the networks' input of a study.

    Parameters
    ----------
    study
        With ``t1``, and ``brain`` when there is one.
    manifest
        Of the bundle that is to be run: its planes and intensity scheme.
    options
        The task's own, resolved.
    brain_mask_of
        Gives a brain mask on the grid of the image it is handed; not called when the study has one.

    Raises
    ------
    BadInputError
        When the brain mask is empty, or the T1 shows nothing that resembles a brain.
    GeometryError
        When the mask lies on another grid.
    """
    t1 = study["t1"]
    brain = brain_mask(study, t1, brain_mask_of)
    image = correct_bias(t1, brain) if options["bias_field"] else t1.with_data(t1.data.astype(np.float32))
    grid = standard_grid()
    fit = None
    matrix = np.eye(4)
    if options["register"] == "always" or not t1.grid.same_as(grid):
        fit = register(image, brain)
        matrix = fit.matrix
    there = resample_to(image, grid, "linear", world_transform=matrix)
    mask = resample_to(brain.with_data(brain.data.astype(np.float32)), grid, "linear", world_transform=matrix)
    inside = mask.data >= 0.5
    if not inside.any():
        raise BadInputError("the brain lies outside the template's space after registration; give a better brain mask.")
    notes = [*(f"T1: {note}" for note in image.notes), *facing_notes(fit)]
    if fit is not None and fit.correlation < POOR_CORRELATION:
        notes.append(f"The T1 lies poorly on the template (correlation {fit.correlation:.2f}); look at the outlines.")
    return PreparedPlanes(
        images=network_images(there.data, inside, manifest),
        grid=grid,
        mask=inside,
        brain=brain,
        to_prepared=np.asarray(np.linalg.inv(matrix), dtype=np.float64),
        fit=fit,
        notes=tuple(notes),
    )


def register(image: Volume, brain: Volume) -> AffineFit:
    """Affine map from mm of the template to mm of the image, by the brains alone."""
    scaled = image.with_data(scale_p99(image.data, brain.data > 0) * (brain.data > 0))
    average = template()
    return register_affine(scaled, average.t1, average.brain, WINDOW)


def network_images(data: Float32, brain: npt.NDArray[np.bool_], manifest: Manifest) -> dict[Plane, Float32]:
    """By plane (1, I, J, K): a T1 on the standard grid with intensities as the manifest says."""
    if manifest.intensity.scheme == "slice-max":
        return {view.plane: slice_scaled(data, view.plane)[None] for view in manifest.planes}
    scaled = np.asarray(scale_p99(data, brain, cap=manifest.intensity.cap) * brain, dtype=np.float32)[None]
    return {view.plane: scaled for view in manifest.planes}


def slice_scaled(data: npt.NDArray[Any], plane: Plane) -> Float32:
    """X / max · 255 of each slice, as published; a slice without a positive value becomes 0 rather than NaN."""
    others = tuple(axis for axis in range(3) if axis != slice_axis(plane))
    top = data.max(axis=others, keepdims=True).astype(np.float32)
    scale = np.divide(SLICE_TOP, top, out=np.zeros_like(top), where=top > 0)
    return np.asarray(data * scale, dtype=np.float32)
