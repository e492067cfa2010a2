"""How much two images on one grid are alike, whatever their contrasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

BINS = 48
TOP_PERCENTILE = 99.8  # intensities are cut there, so that a few bright voxels don't take all bins
CHANCE_EDGE_AGREEMENT = 1 / 3  # mean cos² of the angle between directions that have nothing to do with each other


@dataclass(frozen=True)
class Likeness:
    """Likeness of two images.

    Parameters
    ----------
    mutual_information
        H(a) + H(b) - H(a, b), nats (Viola 1997, doi:10.1023/A:1007958904918).
    normalised_mi
        (H(a) + H(b)) / H(a, b), 1 for independent images, 2 for equal ones (Studholme 1999,
        doi:10.1016/S0031-3203(98)00091-0).
    edge_agreement
        Mean cos² of the angle between the images' gradients, weighted by the weaker gradient (after normalised
        gradient fields, Haber 2006, doi:10.1007/11866763_89): 1/3 by chance, 1 when all edges run alike.
    overlap
        Part of the domain where both images have values.
    """

    mutual_information: float
    normalised_mi: float
    edge_agreement: float
    overlap: float


def likeness(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    domain: npt.NDArray[Any],
    spacing_mm: tuple[float, float, float],
) -> Likeness:
    """Compare two images, (I, J, K) on one grid, inside a domain; NaN in either is where it has no value.

    Where nothing is shared, mutual information and overlap are 0, normalised mutual information 1, and edges agree
    by chance.
    """
    inside = np.asarray(domain) > 0
    both = inside & np.isfinite(first) & np.isfinite(second)
    shared = int(np.count_nonzero(both))
    if shared == 0:
        return Likeness(0.0, 1.0, CHANCE_EDGE_AGREEMENT, 0.0)
    joint = _joint_histogram(first[both], second[both])
    h_first, h_second, h_joint = (_entropy(p) for p in (joint.sum(axis=1), joint.sum(axis=0), joint))
    return Likeness(
        mutual_information=h_first + h_second - h_joint,
        normalised_mi=(h_first + h_second) / h_joint if h_joint > 0 else 1.0,
        edge_agreement=_edge_agreement(first, second, both, spacing_mm),
        overlap=shared / int(np.count_nonzero(inside)),
    )


def _joint_histogram(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(BINS, BINS) joint probabilities."""
    codes = []
    for values in (first, second):
        low, high = float(values.min()), float(np.percentile(values, TOP_PERCENTILE))
        scale = BINS / (high - low) if high > low else 0.0
        codes.append(np.clip((values - low) * scale, 0, BINS - 1).astype(np.intp))
    counts = np.bincount(codes[0] * BINS + codes[1], minlength=BINS * BINS)
    return counts.reshape(BINS, BINS) / first.size


def _entropy(probability: npt.NDArray[np.float64]) -> float:
    p = probability[probability > 0]
    return float(-(p * np.log(p)).sum())


def _edge_agreement(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    both: npt.NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> float:
    inner = ndimage.binary_erosion(both)
    if not inner.any():
        return CHANCE_EDGE_AGREEMENT
    one, two = (_gradients(image, inner, spacing_mm) for image in (first, second))
    product = (one * two).sum(axis=0) ** 2
    squares = (one**2).sum(axis=0), (two**2).sum(axis=0)
    weight = np.minimum(squares[0] / max(squares[0].mean(), 1e-12), squares[1] / max(squares[1].mean(), 1e-12))
    if not weight.any():
        return CHANCE_EDGE_AGREEMENT
    cos2 = product / np.maximum(squares[0] * squares[1], 1e-12)
    return float((weight * cos2).sum() / weight.sum())


def _gradients(
    image: npt.NDArray[Any], inner: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.float64]:
    """(3, N) central differences at the inner voxels, of the image scaled to its own spread."""
    values = np.nan_to_num(image).astype(np.float64)
    values = np.minimum(values, np.percentile(values[inner], TOP_PERCENTILE))
    values /= max(float(values[inner].std()), 1e-12)
    return np.stack([np.gradient(values, step, axis=axis)[inner] for axis, step in enumerate(spacing_mm)])
