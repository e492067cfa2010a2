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
    """
    _check_channels(study, manifest)
    reference_role = "t1" if "t1" in study and "t1" in manifest.channels else "flair"
    images: dict[str, Volume] = {role: study[role] for role in manifest.channels if role in study}
    brain = brain_mask(study, images[reference_role], brain_mask_of)
    if options["bias_field"]:
        images = {role: correct_bias(image) for role, image in images.items()}
    registrations = _register(images, reference_role, brain, str(options["register"]))
    to_reference: dict[str, FloatArray] = {
        role: np.asarray(np.linalg.inv(r.matrix), dtype=np.float64) for role, r in registrations.items()
    }
    grid = crop_grid(brain)
    mask = resample_to(brain.with_data(brain.data.astype(np.float32)), grid, "linear").data >= 0.5
    scheme = _scheme(manifest, options)
    channels = {
        role: network_channel(
            _conformed(image, grid, registrations[role].matrix if role in registrations else None), mask, scheme
        )
        for role, image in images.items()
    }
    empty = np.zeros(grid.shape, dtype=np.float32)
    return Prepared(
        image=np.stack([channels.get(role, empty) for role in manifest.channels]),
        grid=grid,
        mask=mask,
        reference=reference_role,
        brain=brain,
        to_prepared=to_reference,
        registrations=registrations,
        notes=_notes(study, manifest, registrations),
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


def _register(images: Mapping[str, Volume], reference_role: str, brain: Volume, how: str) -> dict[str, Registration]:
    if how == "never":
        return {}
    found = {}
    for role, image in images.items():
        if role == reference_role:
            continue
        result = register_rigid(image, images[reference_role], fixed_mask=brain)
        gain = result.normalised_mi_after - result.normalised_mi_before
        if how == "always" or gain > ALREADY_ALIGNED_GAIN:
            found[role] = result
    return found


def _conformed(image: Volume, grid: Grid, matrix: FloatArray | None) -> npt.NDArray[np.float32]:
    moved = resample_to(image.with_data(image.data.astype(np.float32)), grid, "linear", world_transform=matrix)
    return np.asarray(moved.data, dtype=np.float32)


def _scheme(manifest: Manifest, options: Mapping[str, Any]) -> Intensity:
    if options["intensity"] is None or options["intensity"] == manifest.intensity.scheme:
        return manifest.intensity
    return Intensity(scheme=options["intensity"], cap=1.3 if options["intensity"] == "p99-capped" else None)


def _notes(study: Study, manifest: Manifest, registrations: Mapping[str, Registration]) -> tuple[str, ...]:
    notes = [f"{role.upper()}: {note}" for role, image in study.volumes.items() for note in image.notes]
    if "t1" in manifest.channels and "t1" not in study:
        notes.append("No T1 was given: the FLAIR alone was read, which is less specific.")
    if "t1" in study and "t1" not in manifest.channels:
        notes.append(
            f"The bundle {manifest.name} reads no T1: it had no part in finding lesions, and masks on its grid lie "
            "where the files place it."
        )
    notes += [f"{role.upper()}: {found.reason}" for role, found in registrations.items() if found.poor]
    return tuple(notes)
