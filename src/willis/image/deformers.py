"""What may deform one image onto another: built-in demons, or greedy or ANTs where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import SimpleITK as sitk

from willis.image.ants import ants_version, register_ants
from willis.image.deform import Deformation, register_demons
from willis.image.greedy import greedy_version, register_greedy
from willis.volume.volume import Volume


@dataclass(frozen=True)
class Deformer:
    """A deformable registration.

    Parameters
    ----------
    called
        In a sentence.
    version
        Of what runs; raises a WillisError that says how to get it, where it is absent.
    register
        The deformation that lays its first image, the moving one, on its second, on the same grid.
    """

    called: str
    version: Callable[[], str]
    register: Callable[[Volume, Volume], Deformation]


def _demons_version() -> str:
    return str(sitk.Version.VersionString())


DEFORMERS = {
    "demons": Deformer("demons of SimpleITK", _demons_version, register_demons),
    "greedy": Deformer("greedy", greedy_version, register_greedy),
    "ants": Deformer("SyN of ANTs", ants_version, register_ants),
}
