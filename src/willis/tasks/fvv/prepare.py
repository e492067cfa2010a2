"""From b0 and b1000 as the scanner gives them to the network's input, and the way back.

Published bundles (a window of slices): each slice 256 × 256, in the published order of steps; Benzakoun 2025,
doi:10.1177/23969873251362712. Bundles on a lattice of their own: resampled to its spacing, axes kept. Both: mask by
Otsu's threshold on either image, mean 0 and standard deviation 1 in it, cut at ± the manifest's cap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError, GeometryError
from willis.image.handedness import refuse_mirrored
from willis.image.head_mask import common_otsu_mask
from willis.image.in_plane import InPlane
from willis.image.intensity import scale_zscore
from willis.image.register import Registration, register_rigid
from willis.models.manifest import Manifest
from willis.study import Study
from willis.tasks.fvv.b_value import b_value, told_b
from willis.tasks.fvv.diffusion import adc_in_mm2_s, adc_of, b0_of, check_adc, check_pair
from willis.tasks.fvv.grain import check_grain
from willis.tasks.prepared import Prepared
from willis.volume.band_limited import resample_band_limited
from willis.volume.grid import Grid
from willis.volume.lattice import lattice_over
from willis.volume.orient import reorient, reorient_grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

PUBLISHED_AXES = "LAS"  # order and sense of axes that dcm2niix gives axial slices
PUBLISHED_PASSES = 4  # medians before Otsu's threshold
LATTICE_PASSES = 1  # on a coarser lattice, whose voxels are means already
LEAST_SLICES = 3
SMALL_MAXIMUM = 50.0  # of a b1000 that was scaled down: there "below 1 is air" would cut into the brain
COMMON_MAXIMUM = 1000.0  # of a b1000 as scanners store it


@dataclass(frozen=True)
class DwiPair:
    """b1000, b0 and ADC on the b1000's own grid.

    Parameters
    ----------
    b1000, b0
        Arbitrary units, one scale.
    adc
        mm²/s, as given or of the two.
    b
        Of the b1000, s/mm².
    brain, rater
        Masks that the user gave, of the brain and of what a rater sees on FLAIR, on the same grid.
    registrations
        By role, how an image was laid on the b1000.
    notes
        What a reader must know.
    given
        Roles that the user gave; of b0 and ADC the other was made.
    """

    b1000: Volume
    b0: Volume
    adc: Volume
    b: float
    brain: Volume | None
    rater: Volume | None
    registrations: Mapping[str, Registration]
    notes: tuple[str, ...]
    given: frozenset[str] = frozenset()

    @property
    def known_adc(self) -> npt.NDArray[np.floating]:
        """(I, J, K) ADC in mm²/s; where the map that was given holds 0, of b0 and b1000; NaN where it isn't known."""
        b0_is_made = "adc" in self.given and "b0" not in self.given
        both = (self.b0.data > 0) & (self.b1000.data > 0) & (not b0_is_made)
        computed = np.where(both, adc_of(self.b0.data, self.b1000.data, self.b), np.nan)
        return np.where(self.adc.data > 0, self.adc.data, computed) if "adc" in self.given else computed

    @property
    def scaled_down(self) -> bool:
        """Whether the b1000's largest value is so small that the published "below 1 is air" can't hold."""
        return 0 < float(self.b1000.data.max()) < SMALL_MAXIMUM


def prepare(pair: DwiPair, manifest: Manifest) -> Prepared:
    """Make the network's input of a pair.

    Parameters
    ----------
    pair
        Of :func:`pair_of`.
    manifest
        Of the bundle that is to be run: its window, spacing and intensity.

    Returns
    -------
    Prepared
        ``image`` is (2, I, J, K), b1000 and b0; ``mask`` the one that intensities were scaled in; ``brain`` the same
        mask on the b1000's own grid.

    Raises
    ------
    BadInputError
        When no head is found, or the images can't be a pair, or the ADC can't be theirs, or shares no noise with b1000.
    """
    if manifest.window.mode == "slices":
        images, grid, mask = _published(pair)
    else:
        images, grid, mask = _on_lattice(pair, manifest.spacing_mm)
    if not mask.any():
        tops = " and ".join(f"{image.data.max():.3g} in the {image.role}" for image in (pair.b0, pair.b1000))
        raise BadInputError(
            f"no head was found in b0 and b1000 by Otsu's threshold; the largest values are {tops}. Give both on one "
            "scale, or a mask with --brain-mask."
        )
    check_pair(images[1], images[0], mask, pair.b)
    cap = float(manifest.intensity.cap or np.inf)
    own = resample_to(Volume(mask.astype(np.uint8), grid), pair.b1000.grid, "nearest")
    notes = list(pair.notes)
    if pair.scaled_down and pair.brain is None:
        notes.append(
            f"The b1000's largest value is {pair.b1000.data.max():.3g}: for the rule that voxels below 1 are air, both "
            f"images were taken as if it were {COMMON_MAXIMUM:g}."
        )
    if "adc" in pair.given and "adc" not in pair.registrations:
        check_grain(pair.b1000, pair.adc, own.data > 0)
    if {"b0", "adc"} <= pair.given:
        notes += check_adc(pair.adc.data, pair.b0.data, pair.b1000.data, own.data > 0, pair.b)
    return Prepared(
        image=np.stack([scale_zscore(image, mask, cap=cap) for image in images]),
        grid=grid,
        mask=mask,
        reference="b1000",
        brain=replace(own, role="brain"),
        registrations=pair.registrations,
        notes=tuple(notes),
    )


def pair_of(study: Study, options: Mapping[str, Any]) -> DwiPair:
    """The images that belong together, on the b1000's own grid.

    Parameters
    ----------
    study
        With ``b1000``, and ``b0`` or ``adc``; ``brain`` when there is one.
    options
        The task's own, resolved.

    Raises
    ------
    BadInputError
        When a b value or a unit isn't known, images lie on different grids, or there are fewer than three slices.
    GeometryError
        When images that are registered contradict each other in left and right.
    """
    b = b_value(study, options)
    b1000 = study["b1000"]
    if min(b1000.grid.shape) < LEAST_SLICES:
        raise BadInputError(
            f"the b1000 has {min(b1000.grid.shape)} slices; at least {LEAST_SLICES} are needed. Give the whole scan."
        )
    notes = [f"{role}: {note}" for role, image in study.volumes.items() for note in image.notes]
    notes += told_b(study, options, b)
    laid: dict[str, Volume] = {}
    registrations: dict[str, Registration] = {}
    for role in ("b0", "adc"):
        if role in study:
            laid[role], found = _laid_on(study[role], b1000, register=bool(options.get("register")))
            if found is not None:
                registrations[role] = found
                notes += [f"{role}: {found.reason}"] if found.poor else []
    if "adc" in laid:
        laid["adc"], unit = adc_in_mm2_s(laid["adc"])
        notes.append(f"The ADC map was read as {unit}, by its usual value.")
    if "b0" not in laid:
        laid["b0"] = b0_of(b1000, laid["adc"], b)
        notes.append(f"No b0 was given: it was made of the b1000 and the ADC as DWI · exp({b:g} · ADC).")
    adc = laid.get("adc") or b1000.with_data(adc_of(laid["b0"].data, b1000.data, b), role="adc", unit="mm2/s")
    brain = _given_mask(study, "brain", b1000)
    rater, moved = _rater_mask(study, b1000)
    return DwiPair(b1000, laid["b0"], adc, b, brain, rater, registrations, (*notes, *moved), frozenset(study.volumes))


def _laid_on(image: Volume, b1000: Volume, *, register: bool) -> tuple[Volume, Registration | None]:
    """The image on the b1000's grid: as it is, turned, or registered."""
    turned = reorient(image, b1000.grid.orientation)
    if turned.grid.same_as(b1000.grid):
        return turned, None
    if not register:
        raise GeometryError(
            f"the {image.role} and the b1000 lie on different grids: {_told(image.grid)} and {_told(b1000.grid)}. "
            "Pass --register, or give both on one grid."
        )
    found = register_rigid(image, b1000)
    refuse_mirrored(image, b1000, found, otherwise="give both on one grid")
    moved = resample_to(image.with_data(image.data.astype(np.float32)), b1000.grid, world_transform=found.matrix)
    return moved, found


def _told(grid: Grid) -> str:
    spacing = " × ".join(f"{s:.3g}" for s in grid.spacing_mm)
    return f"{' × '.join(str(n) for n in grid.shape)} voxels of {spacing} mm, {grid.orientation}"


def _given_mask(study: Study, role: str, b1000: Volume) -> Volume | None:
    if role not in study:
        return None
    turned = reorient(study[role], b1000.grid.orientation)
    if not turned.grid.same_as(b1000.grid):
        other = ", give it on the FLAIR's grid with that FLAIR" if role == "flairvisible" else ""
        raise GeometryError(
            f"the {role} mask does not lie on the grid of the b1000: {_told(study[role].grid)} and "
            f"{_told(b1000.grid)}. Resample it onto that image{other}, or leave it out."
        )
    return turned


def _rater_mask(study: Study, b1000: Volume) -> tuple[Volume | None, list[str]]:
    """The rater's mask on the b1000's grid, from the FLAIR's own grid when that FLAIR was given, and what was done."""
    mask, flair = study.volumes.get("flairvisible"), study.volumes.get("flair")
    if mask is None or flair is None or _lies_on(mask, b1000.grid) or not _lies_on(mask, flair.grid):
        return _given_mask(study, "flairvisible", b1000), []
    moved = resample_to(mask, b1000.grid, "nearest")
    note = (
        "The rater's mask lies on the FLAIR's grid: each voxel of the b1000 took the nearest one, where the files "
        f"place them; {mask.volume_ml:.2f} ml became {moved.volume_ml:.2f} ml."
    )
    return moved, [note]


def _lies_on(mask: Volume, grid: Grid) -> bool:
    return reorient_grid(mask.grid, grid.orientation).same_as(grid)


Prepared3 = tuple[list[npt.NDArray[Any]], Grid, npt.NDArray[np.bool_]]  # b1000 and b0, their grid, the mask


def _published(pair: DwiPair) -> Prepared3:
    """Slices of 256 × 256 with the axes of the published training data."""
    way = InPlane.of(reorient_grid(pair.b1000.grid, PUBLISHED_AXES))
    images = [way.image(reorient(image, PUBLISHED_AXES).data) for image in (pair.b1000, pair.b0)]
    if pair.brain is not None:
        mask = way.mask(reorient(pair.brain, PUBLISHED_AXES).data)
    else:
        mask = _head_mask(pair, images, PUBLISHED_PASSES)
    return list(images), way.grid, mask


def _on_lattice(pair: DwiPair, spacing_mm: tuple[float, float, float]) -> Prepared3:
    """Both images at the bundle's spacing, axes nearest to RAS and not turned."""
    grid = lattice_over(pair.b1000.grid, spacing_mm)
    images = [resample_band_limited(image, grid).data for image in (pair.b1000, pair.b0)]
    if pair.brain is not None:
        soft = resample_to(pair.brain.with_data((pair.brain.data > 0).astype(np.float32)), grid, "linear")
        return images, grid, soft.data >= 0.5
    return images, grid, _head_mask(pair, images, LATTICE_PASSES)


def _head_mask(pair: DwiPair, images: Sequence[npt.NDArray[Any]], passes: int) -> npt.NDArray[np.bool_]:
    """(I, J, K) the published mask of b1000 and b0, which has no scale but for "below 1 is air"."""
    factor = COMMON_MAXIMUM / float(pair.b1000.data.max()) if pair.scaled_down else 1.0
    return common_otsu_mask([factor * image for image in reversed(images)], passes)
