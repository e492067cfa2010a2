"""Where in the brain each voxel of a lesion counts: by the brain's parts, and by distance from ventricles and cortex.

Ventricles, cortex, cerebellum, brainstem and the left half are what the ``brain`` network finds in the T1, or in the
FLAIR without one (``tasks.brain.find``), at its threshold, brought from its 2 mm grid to one of 1 mm. Distances are
taken there, and each voxel of the FLAIR has the region of its centre, however thick its slices are.

Volumes are divided voxel by voxel, so that a confluent lesion gives each region the part that lies there. The other
custom, to call a whole lesion periventricular where it touches a ventricle, was left: a bridge of one voxel between two
lesions, found or missed, then moves millilitres from one region to another. Counts need one region a lesion: the one
that holds most of it.

References
----------
.. [1] DeCarli et al. 2005, Stroke 36:50, doi:10.1161/01.STR.0000150668.58689.f2: WMH voxels divided by their distance
   from the ventricles; periventricular and deep ones are one continuum.
.. [2] Griffanti et al. 2018, NeuroImage 170:174, doi:10.1016/j.neuroimage.2017.03.024: rules for periventricular and
   deep WMH compared, the distance of 10 mm among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from willis.image.morphology import distance_mm
from willis.tasks.wmh.spec import REGIONS

PERIVENTRICULAR_MM = 10.0  # from the nearest voxel of a ventricle; [2]_
JUXTACORTICAL_MM = 3.0  # from the nearest voxel of cortex; SHIVAi's juxtacortical band, 3 voxels of 1 mm
PLACES = tuple(dict.fromkeys(region.partition(" ")[0] for region in REGIONS))  # without their sides
OF_PLACE = np.array([[region.partition(" ")[0] == place for region in REGIONS] for place in PLACES])
RIGHT = 1  # a right region follows its left one in REGIONS

RegionOfVoxel = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RegionMaps:
    """Where ventricles, cortex and the rest are, as masks on one grid, all (I, J, K).

    ``left`` is all that lies left of the brain's middle, outside the brain that was found too; the rest is right.
    """

    ventricles: npt.NDArray[np.bool_]
    cortex: npt.NDArray[np.bool_]
    cerebellum: npt.NDArray[np.bool_]
    brainstem: npt.NDArray[np.bool_]
    left: npt.NDArray[np.bool_]


def region_of_voxels(maps: RegionMaps, spacing_mm: tuple[float, float, float]) -> RegionOfVoxel:
    """(I, J, K) index of each voxel's region in ``spec.REGIONS``, wherever a lesion may lie.

    The brainstem and the cerebellum are their own. Of the rest, a voxel within ``JUXTACORTICAL_MM`` of the cortex is
    juxtacortical unless a ventricle is as near; one within ``PERIVENTRICULAR_MM`` of a ventricle periventricular
    [1]_ [2]_; and any other deep, the deep grey matter included.
    """
    ventricle = distance_mm(maps.ventricles, spacing_mm)
    cortex = distance_mm(maps.cortex, spacing_mm)
    region = np.full(ventricle.shape, REGIONS.index("deep left"), dtype=np.uint8)
    region[ventricle <= PERIVENTRICULAR_MM] = REGIONS.index("periventricular left")
    region[(cortex <= JUXTACORTICAL_MM) & (cortex < ventricle)] = REGIONS.index("juxtacortical left")
    region[maps.cerebellum] = REGIONS.index("cerebellar left")
    region[~maps.left] += RIGHT
    region[maps.brainstem] = REGIONS.index("brainstem")
    return region


def assign_regions(labels: npt.NDArray[np.int32], count: int, region_of_voxel: RegionOfVoxel) -> list[str]:
    """Region of each lesion, one of ``spec.REGIONS``: the place that has most of it, on the side that has most there.

    Parameters
    ----------
    labels
        (I, J, K) lesions from 1 to ``count``.
    region_of_voxel
        :func:`region_of_voxels`.
    """
    inside = labels > 0
    cells = (labels[inside].astype(np.int64) - 1) * len(REGIONS) + region_of_voxel[inside]
    voxels = np.bincount(cells, minlength=count * len(REGIONS)).reshape(count, len(REGIONS))
    place = (voxels @ OF_PLACE.T).argmax(axis=1)
    region = np.where(OF_PLACE[place], voxels, -1).argmax(axis=1)
    return [REGIONS[index] for index in region]


def region_volumes(lesions: npt.NDArray[np.bool_], region_of_voxel: RegionOfVoxel, voxel_ml: float) -> dict[str, float]:
    """Volume in ml that lesions, a mask (I, J, K), have in each of ``spec.REGIONS``."""
    voxels = np.bincount(region_of_voxel[lesions], minlength=len(REGIONS))
    return {region: float(n) * voxel_ml for region, n in zip(REGIONS, voxels, strict=True)}


def part_in(place: str, lesions: npt.NDArray[np.bool_], region_of_voxel: RegionOfVoxel) -> npt.NDArray[np.bool_]:
    """(I, J, K) what of the lesions lies in one of ``PLACES``, on either side."""
    return np.asarray(lesions & OF_PLACE[PLACES.index(place)][region_of_voxel])
