"""Volumes for SimpleITK, whose world is then ours."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from willis.volume.volume import Volume


def sitk_image(volume: Volume) -> sitk.Image:
    """An image on any right-angled grid, its world coordinates RAS+ like ours."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.data.T))
    image.SetSpacing(volume.grid.spacing_mm)
    image.SetOrigin(volume.grid.affine[:3, 3].tolist())
    image.SetDirection(volume.grid.directions.ravel().tolist())
    return image
