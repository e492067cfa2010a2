"""Distances between the surfaces of two masks, in mm.

A surface voxel is a voxel of the mask with at least one of its six face neighbours outside the mask or outside the
image, as in MONAI. Distances run between centres of surface voxels, in mm, under shear too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

from willis.measure.metric import Metric
from willis.measure.pair import Mask, MaskPair

Distances = npt.NDArray[np.float64]

HD_PERCENTILE = 95  # of each directed set of distances


def surface_of(mask: Mask) -> Mask:
    """Voxels of a mask (I, J, K) with a face neighbour outside of it; the image's border counts as outside."""
    inner = ndimage.binary_erosion(np.pad(mask, 1))[1:-1, 1:-1, 1:-1]
    return np.asarray(mask & ~inner)


def surface_distances_mm(pair: MaskPair) -> tuple[Distances, Distances]:
    """From each surface voxel of the one mask to the nearest of the other: (P to R, R to P), mm.

    Neither mask is empty.
    """
    ours = pair.points_mm(surface_of(pair.prediction[pair.box]))
    theirs = pair.points_mm(surface_of(pair.reference[pair.box]))
    return np.asarray(KDTree(theirs).query(ours)[0]), np.asarray(KDTree(ours).query(theirs)[0])


def _hd95(pair: MaskPair) -> float:
    return max(float(np.percentile(distances, HD_PERCENTILE)) for distances in pair.once(surface_distances_mm))


def _assd(pair: MaskPair) -> float:
    return float(np.concatenate(pair.once(surface_distances_mm)).mean())


hd95_mm = Metric(
    name="hd95_mm",
    title="95 % Hausdorff distance",
    formula="max(P95 of d(p, S_R) over p in S_P, P95 of d(r, S_P) over r in S_R)",
    meaning="The larger of the two directed 95th percentiles (not the percentile of both sets pooled, which is "
    "smaller). When only one mask is empty there is no distance; the case then counts as the diagonal of the field of "
    "view, longer than any distance in it, so that a miss is worse than the worst find.",
    unit="mm",
    better="lower",
    source="Huttenlocher et al. 1993, doi:10.1109/34.232073; the penalty as in BraTS, see Isensee et al. "
    "2021, doi:10.1007/978-3-030-72087-2_11",
    empty_prediction="diagonal",
    empty_reference="diagonal",
    both_empty=0.0,
    formula_of=_hd95,
)

assd_mm = Metric(
    name="assd_mm",
    title="Average symmetric surface distance",
    formula="(Σ d(p, S_R) over p in S_P + Σ d(r, S_P) over r in S_R) / (|S_P| + |S_R|)",
    meaning="Mean over the surface voxels of both masks together (not the mean of the two directed means). When only "
    "one mask is empty, the diagonal of the field of view.",
    unit="mm",
    better="lower",
    source="Heimann et al. 2009, doi:10.1109/TMI.2009.2013851",
    empty_prediction="diagonal",
    empty_reference="diagonal",
    both_empty=0.0,
    formula_of=_assd,
)

METRICS = (hd95_mm, assd_mm)
