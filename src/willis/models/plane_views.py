"""How slices of a volume of 197 × 233 × 189 voxels are padded or cropped for a network, in each plane."""

from __future__ import annotations

from willis.models.manifest import PlaneView
from willis.volume.plane import Plane

PUBLISHED_VIEWS: dict[Plane, PlaneView] = {  # of the published loader; doi:10.1101/2025.09.26.25336733
    "axial": PlaneView(plane="axial", shape=(208, 240), start=(6, 3)),
    "sagittal": PlaneView(plane="sagittal", shape=(240, 208), start=(3, 9)),
    "coronal": PlaneView(plane="coronal", shape=(208, 208), start=(5, 9)),
}

CROPPED_VIEWS: dict[Plane, PlaneView] = {  # the brain and a margin in one size for all planes
    "axial": PlaneView(plane="axial", shape=(192, 192), start=(-2, -22)),
    "sagittal": PlaneView(plane="sagittal", shape=(192, 192), start=(-22, 1)),
    "coronal": PlaneView(plane="coronal", shape=(192, 192), start=(-2, 1)),
}
