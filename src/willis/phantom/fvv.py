"""Patients with acute infarcts: b0 and b1000 on one grid as EPI gives them, and a FLAIR of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.acquire import bias_field
from willis.phantom.acute import draw_acute
from willis.phantom.anatomy import Anatomy
from willis.phantom.contrast import draw_person
from willis.phantom.deform import Field
from willis.phantom.diffusion import DiffusionScene, draw_scene, seen
from willis.phantom.epi import Epi, draw_epi
from willis.phantom.head import Head, draw_head, draw_pose
from willis.phantom.labels import BRAIN, lookup
from willis.phantom.lesions import draw_lesions
from willis.phantom.painting import TRUTH_FRACTION
from willis.phantom.patient import Patient
from willis.phantom.protocols import (
    BRAIN_ABOVE_MIDDLE_MM,
    HEAD_SHAPE,
    STORED_WHITE,
    drawn_protocol,
    flair_protocol,
)
from willis.phantom.scanner import Protocol, fraction, rigid, scan, scanner_grid
from willis.phantom.scene import measured_scene
from willis.phantom.sidecar import mr_sidecar
from willis.study import Study
from willis.volume.grid import Grid
from willis.volume.volume import Volume

MISMATCH_BELOW_ML = 0.5  # visible volume; Benzakoun 2025, doi:10.1177/23969873251362712


def fvv_patient(
    rng: np.random.Generator,
    anatomy: Anatomy,
    subject: str,
    *,
    contrast: str,
    hours: float | None = None,
    pattern: str | None = None,
    traced: Sequence[Path] = (),
) -> Patient:
    """Draw one patient.

    The truth is ``lesion``, ``visible`` (what FLAIR shows of it) and ``brain`` on the grid of the DWI, as distorted as
    the images are, ``lesion_fraction``, the share of each voxel, and ``visible_flair``, undistorted, on the FLAIR's.

    Parameters
    ----------
    contrast
        ``physics`` alone.
    hours
        Since onset; drawn when None.
    pattern
        One of :data:`willis.phantom.acute.PATTERNS` or ``none``; drawn when None.
    traced
        Masks of real infarcts in MNI space, as :func:`willis.phantom.acute.draw_acute` takes them.
    """
    pose = draw_pose(rng, middle_mm=(0.0, 0.0, BRAIN_ABOVE_MIDDLE_MM))
    head = draw_head(rng, anatomy, pose, HEAD_SHAPE, 1.0, distances=False)
    base = scanner_grid("RAS", HEAD_SHAPE, (1.0, 1.0, 1.0), rng.uniform(-15, 15, 3))
    acute = draw_acute(rng, head.codes, 1.0, hours=hours, pattern=pattern, traced=traced)
    old = draw_lesions(rng, measured_scene(head))
    tissue, strength = draw_person(rng)
    scene = draw_scene(rng, head.codes, acute, old, tissue, strength, with_flair=True)
    epi = draw_epi(rng, head.codes, 1.0)
    volumetric = bool(rng.random() < 0.3)
    protocols = {"dwi": dwi_protocol(rng, base), "flair": flair_protocol(rng, base, volumetric=volumetric)}
    volumes = _images(rng, head, scene, epi, base, protocols)
    truth = _truth(head, acute.fraction, scene, epi, base, protocols)
    drawn: dict[str, dict[str, Any]] = {
        role: {"sequence": role, **scene.parameters[role], **protocols["flair" if role == "flair" else "dwi"].record()}
        for role in ("b0", "b1000", "flair")
    }
    parameters = {
        "contrast": contrast,
        "field": strength,
        "anatomy": head.anatomy,
        "pose": pose.record(),
        "acute": acute.parameters,
        "infarct": scene.parameters["infarct"],
        "lesions": old.parameters,
        "images": drawn,
    }
    return Patient(
        Study(volumes, subject=subject),
        truth,
        {**_measured(truth, acute.parameters), "anatomy": head.anatomy},
        parameters,
        {role: mr_sidecar(drawn[role], volume.grid, strength) for role, volume in volumes.items()},
        {f"dwi/acq-{role}_dwi.bval": f"{drawn[role]['b']:g}\n" for role in ("b0", "b1000")},
    )


def dwi_protocol(rng: np.random.Generator, base: Grid) -> Protocol:
    """Axial echo-planar slices: about 1 to 2.3 mm in the plane, 2 to 6 mm thick."""
    brain_mm = base.centre_mm + np.array([0, 0, BRAIN_ABOVE_MIDDLE_MM])
    motion = rigid(np.deg2rad(rng.normal(0, 1.0, 3)), rng.normal(0, 1.0, 3), brain_mm)
    tilt = np.deg2rad([rng.normal(-4, 6), rng.normal(0, 1.5), rng.normal(0, 1.5)])
    isotropic = bool(rng.random() < 0.3)
    in_plane = float(rng.uniform(1.8, 2.3) if isotropic else rng.choice([0.94, 1.2, 1.72, 1.95, 2.2]))
    distance = in_plane if isotropic else float(rng.uniform(3.0, 6.0))
    side = int(np.ceil(230 / in_plane / 8)) * 8
    code = str(rng.choice(["LPS", "LAS", "RAS"]))
    shape = (side, side, int(np.ceil(160 / distance)))
    grid = scanner_grid(code, shape, (in_plane, in_plane, distance), brain_mm, tilt)
    return drawn_protocol(rng, grid, 2, distance * float(rng.uniform(0.8, 1.0)), motion)


def _images(
    rng: np.random.Generator, head: Head, scene: DiffusionScene, epi: Epi, base: Grid, protocols: dict[str, Protocol]
) -> dict[str, Volume]:
    """b0 and b1000 with one coil field and one scale; the FLAIR with its own."""
    assert scene.flair is not None
    state = int(rng.integers(2**31))
    scale = STORED_WHITE * float(np.exp(rng.normal(0, 0.4)))
    shading = bias_field(np.random.default_rng(state), protocols["dwi"].grid.shape, protocols["dwi"].bias)
    volumes = {}
    for role, ideal in zip(("b0", "b1000"), seen(scene, epi, head.codes), strict=True):
        image = scan(
            np.random.default_rng([state, int(role == "b1000")]), ideal, base, replace(protocols["dwi"], bias=0.0)
        )
        volumes[role] = image * shading
    volumes["flair"] = scan(rng, scene.flair, base, protocols["flair"])
    grids = {"b0": protocols["dwi"].grid, "b1000": protocols["dwi"].grid, "flair": protocols["flair"].grid}
    return {
        role: Volume(np.clip(np.rint(image * scale), 0, 65535).astype(np.uint16), grids[role], role=role)
        for role, image in volumes.items()
    }


def _truth(
    head: Head, lesion: Field, scene: DiffusionScene, epi: Epi, base: Grid, protocols: dict[str, Protocol]
) -> dict[str, Volume]:
    dwi, flair = protocols["dwi"], protocols["flair"]
    brain = lookup(BRAIN)[head.codes].astype(np.float32)
    shares = {name: fraction(epi.moved(share), base, dwi) for name, share in
              (("lesion", lesion), ("visible", scene.visible), ("brain", brain))}  # fmt: skip
    truth = {"lesion_fraction": Volume(shares["lesion"], dwi.grid, role="lesion", unit="1")}
    masks: dict[str, npt.NDArray[np.bool_]] = {name: share >= TRUTH_FRACTION for name, share in shares.items()}
    masks["visible"] &= masks["lesion"]
    for name, mask in masks.items():
        truth[name] = Volume(mask.astype(np.uint8), dwi.grid, role=name)
    shown = fraction(scene.visible, base, flair) >= TRUTH_FRACTION
    truth["visible_flair"] = Volume(shown.astype(np.uint8), flair.grid, role="visible")
    return truth


def _measured(truth: dict[str, Volume], acute: dict[str, Any]) -> dict[str, Any]:
    """True volumes (ml) of the masks on the DWI's grid, and what follows from them."""
    lesion, visible = truth["lesion"].volume_ml, truth["visible"].volume_ml
    return {
        "lesion_volume_ml": round(lesion, 4),
        "flair_visibility_volume_ml": round(visible, 4),
        "mismatch": visible < MISMATCH_BELOW_ML if lesion > 0 else None,
        "hours_since_onset": round(float(acute["hours"]), 3) if lesion > 0 else None,
        "pattern": acute["pattern"],
        "lesion_count": int(ndimage.label(truth["lesion"].data, np.ones((3, 3, 3)))[1]),
        "brain_volume_ml": round(truth["brain"].volume_ml, 3),
    }
