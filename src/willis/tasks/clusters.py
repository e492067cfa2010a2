"""Which groups of connected voxels above a threshold are lesions, and what is said of each, for several tasks.

Everything is measured on the image's own grid, on the mask that is written, so that whoever counts its voxels gets
the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.findings import Lesion
from willis.image.components import label_components
from willis.models.manifest import Manifest
from willis.tasks.taskspec import OptionValue
from willis.units import MM3_PER_ML
from willis.volume.grid import Grid
from willis.volume.volume import Volume

MEAN_ROUNDING = 1e-6  # relative; of a sum of equal float32 values
VOLUME_ROUNDING = 1e-5  # relative; an affine in float32 makes a voxel of an oblique grid so much smaller than it is


@dataclass(frozen=True)
class ClusterRules:
    """Which clusters of voxels above the threshold are lesions.

    Parameters
    ----------
    threshold
        Probability from which a voxel counts.
    min_mm3
        Least volume.
    connectivity
        6, 18 or 26 neighbours.
    max_outside_brain
        Largest share of a cluster that may lie outside the brain.
    agreed_mm3
        Least volume of a cluster that each of several members finds by itself; 0 asks no member.
    least_mean
        Least mean probability of a cluster's voxels.
    spared_mm3
        Volume from which a cluster stays whatever its mean; 0 spares none.
    """

    threshold: float
    min_mm3: float
    connectivity: int
    max_outside_brain: float
    agreed_mm3: float = 0.0
    least_mean: float = 0.0
    spared_mm3: float = 0.0


def rules_of(manifest: Manifest, options: Mapping[str, OptionValue]) -> ClusterRules:
    """The rules of a bundle, with ``threshold`` and ``min_size`` (mm³) of the options where these are given."""
    threshold, least = options["threshold"], options["min_size"]
    clusters, voxel_mm3 = manifest.clusters, float(np.prod(manifest.spacing_mm))
    return ClusterRules(
        threshold=manifest.threshold.value if threshold is None else float(threshold),  # type: ignore[arg-type]
        min_mm3=clusters.min_voxels * voxel_mm3 if least is None else float(least),  # type: ignore[arg-type]
        connectivity=clusters.connectivity,
        max_outside_brain=clusters.max_outside_brain,
        agreed_mm3=clusters.agreed_voxels * voxel_mm3,
        least_mean=clusters.least_mean,
        spared_mm3=clusters.spared_voxels * voxel_mm3,
    )


def find_lesions(
    probability: npt.NDArray[np.floating],
    brain: npt.NDArray[np.bool_],
    grid: Grid,
    rules: ClusterRules,
    members: Sequence[npt.NDArray[np.floating]] = (),
) -> tuple[npt.NDArray[np.int32], int]:
    """Number the lesions by falling size.

    Parameters
    ----------
    probability, brain
        (I, J, K) on ``grid``.
    grid
        The image's own.
    rules
        Threshold and cluster rules.
    members
        (I, J, K) probabilities of each member, for the rule that each must agree.

    Returns
    -------
    labels, count
        (I, J, K) with 0 where there is no lesion; number of lesions, 0 when there is none.
    """
    labels, count = label_components(probability >= rules.threshold, rules.connectivity)
    if count == 0:
        return labels, 0
    voxel_mm3 = grid.voxel_ml * MM3_PER_ML * (1 + VOLUME_ROUNDING)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    outside = np.bincount(labels[~brain], minlength=count + 1)
    keep = (sizes * voxel_mm3 >= rules.min_mm3) & (outside <= rules.max_outside_brain * sizes)
    for member in members if rules.agreed_mm3 else ():
        found = np.bincount(labels[member >= rules.threshold], minlength=count + 1)
        keep &= found * voxel_mm3 >= rules.agreed_mm3
    if rules.least_mean:
        total = np.bincount(labels.ravel(), weights=probability.ravel(), minlength=count + 1)
        sure = total >= rules.least_mean * (1 - MEAN_ROUNDING) * sizes
        keep &= (sure | (sizes * voxel_mm3 >= rules.spared_mm3)) if rules.spared_mm3 else sure
    keep[0] = False
    renumbered = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return renumbered[labels], int(keep.sum())


def describe_lesions(
    labels: npt.NDArray[np.int32],
    count: int,
    probability: npt.NDArray[np.floating],
    grid: Grid,
    regions: Sequence[str],
) -> list[Lesion]:
    """One row a lesion: volume, centroid, mean probability and region (empty when regions are unknown)."""
    if count == 0:
        return []
    index = np.arange(1, count + 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    centroids = grid.to_mm(np.array(ndimage.center_of_mass(labels > 0, labels, index)))
    mean = np.asarray(ndimage.mean(probability, labels, index))
    return [
        Lesion(
            index=k + 1,
            volume_ml=float(sizes[k]) * grid.voxel_ml,
            centroid_mm=(float(centroids[k, 0]), float(centroids[k, 1]), float(centroids[k, 2])),
            region=regions[k] if regions else "",
            probability=float(mean[k]),
        )
        for k in range(count)
    ]


def mask_of(labels: npt.NDArray[np.int32], grid: Grid, role: str) -> Volume:
    """The lesions as one ``uint8`` mask."""
    return Volume((labels > 0).astype(np.uint8), grid, role=role)


def total_ml(lesions: Sequence[Lesion]) -> float:
    """Volume of all lesions together, ml; 0 when there is none."""
    return sum(lesion.volume_ml for lesion in lesions)
