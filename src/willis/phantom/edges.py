"""The scanner's own sharpening: an edge-enhancing filter over the finished slices, as many protocols have switched on.

An unsharp mask: what a Gaussian takes away is added once more. Cortex gets a bright rim beside dark fluid, and noise
grows with it. Vendors don't publish their filters; strength and reach are assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from willis.phantom.deform import Field

SHARPENED_SHARE = 0.5  # of images
AMOUNT = (0.2, 1.2)
REACH_MM = (0.7, 1.6)  # standard deviation of the Gaussian


@dataclass(frozen=True)
class EdgeFilter:
    """An unsharp mask: ``image + amount (image − Gaussian(image))``.

    Parameters
    ----------
    amount
        Share of the detail that is added.
    reach_mm
        Standard deviation of the Gaussian.
    """

    amount: float
    reach_mm: float

    def apply(self, image: Field, spacing_mm: tuple[float, ...], slice_axis: int | None) -> Field:
        """Magnitudes (I, J, K) sharpened in the plane of the slices; along all axes when ``slice_axis`` is None."""
        reach = [0.0 if a == slice_axis else self.reach_mm / s for a, s in enumerate(spacing_mm)]
        sharp = image + np.float32(self.amount) * (image - ndimage.gaussian_filter(image, reach))
        return np.maximum(sharp, 0, out=sharp)

    def record(self) -> dict[str, Any]:
        """Plain values for a phantom's record."""
        return {"amount": round(self.amount, 4), "reach_mm": round(self.reach_mm, 4)}


def draw_edge_filter(rng: np.random.Generator) -> EdgeFilter | None:
    """The filter of one image; None where the protocol has it switched off."""
    amount, reach = float(rng.uniform(*AMOUNT)), float(rng.uniform(*REACH_MM))
    return EdgeFilter(amount, reach) if rng.random() < SHARPENED_SHARE else None
