"""Maximum intensity projection along an axis, and back from the picture into the volume."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import GeometryError


def project(data: npt.NDArray[Any], mask: npt.NDArray[Any] | None = None, axis: int = 2) -> npt.NDArray[Any]:
    """Largest value along an axis of (I, J, K), inside a mask; 0 where a ray meets nothing of it."""
    if mask is None:
        return np.asarray(data.max(axis=axis))
    inside = np.asarray(mask) > 0
    least = np.where(inside, data, data.min()).max(axis=axis)
    return np.where(inside.any(axis=axis), least, 0).astype(data.dtype)


def project_labels(labels: npt.NDArray[np.integer], order: tuple[int, ...], axis: int = 2) -> npt.NDArray[np.uint8]:
    """Labels seen along an axis: where a ray meets several, the one that stands first in ``order``."""
    picture = np.zeros(tuple(n for place, n in enumerate(labels.shape) if place != axis), dtype=np.uint8)
    for code in reversed(order):
        picture[(labels == code).any(axis=axis)] = code
    return picture


def project_back(picture: npt.NDArray[Any], volume: npt.NDArray[Any], axis: int = 2) -> npt.NDArray[np.bool_]:
    """(I, J, K) voxels of a mask that lie on the rays marked in a picture: where in the scan its answer lies.

    Raises
    ------
    GeometryError
        When the picture isn't one of this volume along this axis.
    """
    wanted = tuple(n for place, n in enumerate(volume.shape) if place != axis)
    if picture.shape != wanted:
        raise GeometryError(f"a picture of shape {picture.shape} can't be laid back; {wanted} is expected.")
    return np.asarray((np.expand_dims(picture, axis) > 0) & (volume > 0))
