"""From T1 + FLAIR as the scanner gives them to the published network's input, and the way back.

1 mm isotropic RAS, 160 × 214 × 176 about the brain's centre of mass, values divided by the 99th percentile in the
brain, zero outside it (Boutinaud 2021, doi:10.3389/fninf.2021.641600; SHiVAi's crop rule).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.image.handedness import refuse_mirrored
from willis.image.intensity import correct_bias, scale_p99
from willis.image.register import Registration, register_rigid
from willis.models.manifest import Intensity, Manifest
from willis.study import Study
from willis.tasks.brain.mask import BrainMaskOf, brain_mask
from willis.tasks.prepared import Prepared
from willis.volume.grid import FloatArray, Grid, Shape3
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

SHAPE: Shape3 = (160, 214, 176)
TOP_MARGIN_VOXELS = 5  # SHiVAi shifts the crop box up when the brain's top comes closer than this to its edge
MOST_NEGATIVE = 0.05  # part of the brain's voxels; interpolation rings below 0 at few, a standardised image at half
WHOLE_BRAIN = 0.995  # part of the brain mask from which nothing is said of the rest; outlines waver by as much
ALREADY_ALIGNED_GAIN = 0.005  # rise of normalised mutual information below which a registration is not worth its risk


def prepare(
    study: Study,
    manifest: Manifest,
    options: Mapping[str, Any],
    brain_mask_of: BrainMaskOf,
) -> Prepared:
    """Make the network's input of a study.

    Parameters
    ----------
    study
        With ``flair``, and ``t1`` and ``brain`` when there are any.
    manifest
        Of the bundle that is to be run: its channels, intensity scheme, and what it does without a T1.
    options
        The task's own, resolved.
    brain_mask_of
        Gives a brain mask on the grid of the image it is handed; not called when the study has one.

    Raises
    ------
    BadInputError
        When the bundle needs an image that isn't there, or the brain mask is empty or lies elsewhere.
    GeometryError
        When the images contradict each other in left and right.
    """
    _check_channels(study, manifest)
    reference_role = "t1" if "t1" in study and "t1" in manifest.channels else "flair"
    images: dict[str, Volume] = {role: study[role] for role in manifest.channels if role in study}
    brain = brain_mask(study, images[reference_role], brain_mask_of)
    if options["bias_field"]:
        images = {role: correct_bias(image) for role, image in images.items()}
    fits = _fits(images, reference_role, brain, str(options["register"]))
    registrations = {role: fit for role, fit in fits.items() if options["register"] == "always" or _gains(fit)}
    to_reference: dict[str, FloatArray] = {
        role: np.asarray(np.linalg.inv(r.matrix), dtype=np.float64) for role, r in registrations.items()
    }
    grid = crop_grid(brain)
    mask = resample_to(brain.with_data(brain.data.astype(np.float32)), grid, "linear").data >= 0.5
    ways = {role: registrations[role].matrix if role in registrations else None for role in images}
    conformed = {role: _conformed(image, grid, ways[role]) for role, image in images.items()}
    _check_signs(conformed, mask)
    scheme = _scheme(manifest, options)
    channels = {role: network_channel(data, mask, scheme) for role, data in conformed.items()}
    empty = np.zeros(grid.shape, dtype=np.float32)
    return Prepared(
        image=np.stack([channels.get(role, empty) for role in manifest.channels]),
        grid=grid,
        mask=mask,
        reference=reference_role,
        brain=brain,
        to_prepared=to_reference,
        registrations=registrations,
        notes=(*_notes(study, manifest, fits, registrations), *_view_notes(brain, grid, images, ways)),
    )


def network_channel(data: npt.NDArray[Any], mask: npt.NDArray[np.bool_], scheme: Intensity) -> npt.NDArray[np.float32]:
    """One image (I, J, K) on the network's grid, scaled as published and zero outside the brain."""
    return np.asarray(scale_p99(data, mask, cap=scheme.cap) * mask, dtype=np.float32)


def crop_grid(brain: Volume) -> Grid:
    """The 1 mm RAS lattice of 160 × 214 × 176 voxels about the brain's centre of mass, shifted up if its top is cut."""
    inside = np.argwhere(brain.data > 0)
    points = brain.grid.to_mm(inside)
    centre = points.mean(axis=0)
    start = np.floor(centre) - np.array(SHAPE) // 2
    top_gap = start[2] + SHAPE[2] - 1 - points[:, 2].max()
    start[2] += np.ceil(max(0.0, TOP_MARGIN_VOXELS - top_gap))
    affine = np.eye(4)
    affine[:3, 3] = start
    return Grid(SHAPE, affine)


def _check_channels(study: Study, manifest: Manifest) -> None:
    missing = [role for role in manifest.channels if role not in study]
    if missing and manifest.missing_channels == "error":
        raise BadInputError(
            f"the bundle {manifest.name} needs {', '.join(manifest.channels)}; the study has no {', '.join(missing)}. "
            "Give it, or take a bundle for the images that you have."
        )


def _fits(images: Mapping[str, Volume], reference_role: str, brain: Volume, how: str) -> dict[str, Registration]:
    if how == "never":
        return {}
    reference = images[reference_role]
    fits = {}
    for role, image in images.items():
        if role != reference_role:
            fits[role] = register_rigid(image, reference, fixed_mask=brain)
            trusting = "pass --register never to trust the files"
            refuse_mirrored(image, reference, fits[role], fixed_mask=brain, otherwise=trusting)
    return fits


def _gains(fit: Registration) -> bool:
    return fit.normalised_mi_after - fit.normalised_mi_before > ALREADY_ALIGNED_GAIN


def _check_signs(conformed: Mapping[str, npt.NDArray[np.float32]], mask: npt.NDArray[np.bool_]) -> None:
    for role, data in conformed.items():
        negative = float(np.mean(data[mask] < 0)) if mask.any() else 0.0
        if negative > MOST_NEGATIVE:
            raise BadInputError(
                f"{negative:.0%} of the brain is below 0 in the {role.upper()}, as in an image that was standardised "
                f"(z-scores); at most {MOST_NEGATIVE:.0%} may be, as such values are read as 0. Give the image as the "
                "scanner gave it."
            )


def _view_notes(
    brain: Volume, grid: Grid, images: Mapping[str, Volume], ways: Mapping[str, FloatArray | None]
) -> list[str]:
    """What is said of brain that an image or the network's field of view doesn't show."""
    points = brain.grid.to_mm(np.argwhere(brain.data > 0))
    notes = []
    if (seen := _share_within(grid, points)) < WHOLE_BRAIN:
        sides = " × ".join(str(side) for side in grid.shape)
        notes.append(
            f"Only {100 * seen:.1f} % of the brain mask lies within the field of view that the network was given, "
            f"{sides} mm along the scanner's axes; lesions beyond it weren't sought."
        )
    for role, image in images.items():
        way = ways[role]
        there = points if way is None else points @ way[:3, :3].T + way[:3, 3]
        if (shown := _share_within(image.grid, there)) < WHOLE_BRAIN:
            notes.append(
                f"The {role.upper()} shows only {100 * shown:.1f} % of the brain mask; lesions beyond it aren't "
                "counted, and shares of the brain are of the whole mask."
            )
    return notes


def _share_within(grid: Grid, points_mm: FloatArray) -> float:
    """Part of the points (N, 3) that lie within the outer faces of a grid's outer voxels."""
    index = grid.to_index(points_mm)
    return float(np.mean(((index >= -0.5) & (index <= np.array(grid.shape) - 0.5)).all(axis=1)))


def _conformed(image: Volume, grid: Grid, matrix: FloatArray | None) -> npt.NDArray[np.float32]:
    moved = resample_to(image.with_data(image.data.astype(np.float32)), grid, "linear", world_transform=matrix)
    return np.asarray(moved.data, dtype=np.float32)


def _scheme(manifest: Manifest, options: Mapping[str, Any]) -> Intensity:
    if options["intensity"] is None or options["intensity"] == manifest.intensity.scheme:
        return manifest.intensity
    return Intensity(scheme=options["intensity"], cap=1.3 if options["intensity"] == "p99-capped" else None)


def _notes(
    study: Study, manifest: Manifest, fits: Mapping[str, Registration], registrations: Mapping[str, Registration]
) -> tuple[str, ...]:
    notes = [f"{role.upper()}: {note}" for role, image in study.volumes.items() for note in image.notes]
    if "t1" in manifest.channels and "t1" not in study:
        notes.append("No T1 was given: the FLAIR alone was read, which is less specific.")
    if "t1" in study and "t1" not in manifest.channels:
        notes.append(
            f"The bundle {manifest.name} reads no T1: it had no part in finding lesions, and masks on its grid lie "
            "where the files place it."
        )
    for role, fit in fits.items():
        if fit.poor:
            left = "" if role in registrations else " It was left where the files place it."
            notes.append(f"{role.upper()}: {fit.reason}{left}")
    return tuple(notes)
