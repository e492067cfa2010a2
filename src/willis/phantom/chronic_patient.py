"""Patients with a chronic stroke: a T1 as the scanner gives it, or on the standard grid for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.acquire import acquire, draw_acquisition
from willis.phantom.anatomy import Anatomy
from willis.phantom.chronic import LESION_TISSUES, draw_chronic
from willis.phantom.contrast import draw_person, loosened, random_palette, t1_palette
from willis.phantom.deform import Field
from willis.phantom.head import Size, draw_head, draw_pose
from willis.phantom.labels import BRAIN, lookup
from willis.phantom.outline import wrong_outline
from willis.phantom.painting import TRUTH_FRACTION, paint
from willis.phantom.patient import Patient
from willis.phantom.protocols import BRAIN_ABOVE_MIDDLE_MM, HEAD_SHAPE, scanned, t1_protocol
from willis.phantom.scanner import fraction, scanner_grid
from willis.phantom.scene import LesionScene, measured_scene
from willis.phantom.sidecar import mr_sidecar
from willis.phantom.traced import traced_lesion
from willis.study import Study
from willis.volume.volume import Volume

STANDARD_SHAPE = (197, 233, 189)
MIDDLE_MM = (0.0, -3.0, -11.0)  # of the template's brain, from the middle of the standard grid
TEMPLATE_BRAIN_ML = 1718.0  # brains on the standard grid have been laid on it
LESION_FREE_SHARE = 0.08  # of training heads
GIVEN_SHAPE_SHARE = 0.5  # of heads with a lesion, where shapes are given


def chronic_patient(
    rng: np.random.Generator,
    anatomy: Anatomy,
    subject: str,
    *,
    contrast: str,
    traced: Sequence[Path] = (),
    always_traced: bool = False,
    volume_voxels: int | None = None,
) -> Patient:
    """Draw one patient.

    The truth is ``lesion`` and ``brain`` on the T1's grid, and ``lesion_anatomy`` on the 1 mm grid of the anatomy.

    Parameters
    ----------
    traced
        Masks of real lesions in MNI space for half of the patients; all lesions are grown when there are none.
    always_traced
        Every patient has one of them.
    volume_voxels
        Load to grow; drawn when None.
    """
    pose = draw_pose(rng, middle_mm=(0.0, 0.0, BRAIN_ABOVE_MIDDLE_MM))
    head = draw_head(rng, anatomy, pose, HEAD_SHAPE, 1.0, distances=False)
    base = scanner_grid("RAS", HEAD_SHAPE, (1.0, 1.0, 1.0), rng.uniform(-15, 15, 3))
    shape, mask = None, ""
    if always_traced or (traced and rng.random() < GIVEN_SHAPE_SHARE):
        shape, mask = traced_lesion(rng, traced, head.codes, 1.0, LESION_TISSUES)
    chronic = draw_chronic(rng, measured_scene(head), shape=shape, volume_voxels=volume_voxels)
    person, strength = draw_person(rng)
    palette = random_palette(rng) if contrast == "random" else t1_palette(rng, person, strength, volumetric=True)
    protocol = t1_protocol(rng, base)
    t1 = scanned(rng, replace(head, codes=chronic.codes), chronic.lesions, base, palette, protocol, "t1")
    brain = lookup(BRAIN)[head.codes]
    truth = {
        name: Volume((fraction(share, base, protocol) >= TRUTH_FRACTION).astype(np.uint8), protocol.grid, role=name)
        for name, share in (("lesion", chronic.lesion), ("brain", brain))
    }
    truth["lesion_anatomy"] = Volume((chronic.lesion >= TRUTH_FRACTION).astype(np.uint8), base, role="lesion")
    row = {
        "lesion_volume_ml": round(float(chronic.lesion.sum(dtype=np.float64)) * base.voxel_ml, 4),
        "lesion_mask_volume_ml": round(truth["lesion"].volume_ml, 4),
        "lesion_count": int(ndimage.label(truth["lesion"].data, np.ones((3, 3, 3)))[1]),
        "brain_volume_ml": round(truth["brain"].volume_ml, 3),
        "anatomy": head.anatomy,
    }
    drawn = {"sequence": palette.sequence, **palette.parameters, **protocol.record()}
    parameters = {
        "contrast": contrast,
        "field": strength,
        "anatomy": head.anatomy,
        "pose": pose.record(),
        "lesion": chronic.parameters | ({"mask": mask} if mask else {}),
        "images": {"t1": drawn},
    }
    sidecars = {"t1": mr_sidecar(drawn, protocol.grid, strength)}
    return Patient(Study({"t1": t1}, subject=subject), truth, row, parameters, sidecars)


@dataclass(frozen=True)
class ChronicCase:
    """A T1 on the standard grid of (197, 233, 189) with its truth; ``brain`` as an imperfect mask gives it."""

    t1: Field
    lesion: npt.NDArray[np.uint8]
    brain: npt.NDArray[np.uint8]
    parameters: dict[str, Any] = field(default_factory=dict)


def chronic_case(
    rng: np.random.Generator, anatomies: Sequence[Anatomy], shapes: Sequence[Path] = (), *, always_shape: bool = False
) -> ChronicCase:
    """A T1 as prepared data are: laid roughly on the standard grid, with its own acquisition's history.

    Parameters
    ----------
    shapes
        Masks of real lesions in MNI space for half of the heads; all are grown when there are none.
    always_shape
        Every head has a lesion of one of the shapes.
    """
    anatomy = anatomies[int(rng.integers(len(anatomies)))]
    as_template = (TEMPLATE_BRAIN_ML / anatomy.brain_ml) ** (1 / 3)
    pose = draw_pose(rng, rotation_deg=3.0, middle_mm=MIDDLE_MM, size=Size(as_template, 0.02, 0.8, 1.4))
    head = draw_head(rng, anatomy, pose, STANDARD_SHAPE, 1.0, distances=True)
    assert head.ventricle_mm is not None and head.cortex_mm is not None and head.midline_mm is not None
    scene = LesionScene(head.codes, head.ventricle_mm, head.cortex_mm, head.midline_mm)
    free = rng.random() < LESION_FREE_SHARE and not always_shape
    given = always_shape or (bool(shapes) and not free and rng.random() < GIVEN_SHAPE_SHARE)
    shape = traced_lesion(rng, shapes, head.codes, 1.0, LESION_TISSUES)[0] if given else None
    chronic = draw_chronic(rng, scene, shape=shape, volume_voxels=0 if free else None)
    person, strength = draw_person(rng)
    palette = t1_palette(rng, person, strength, volumetric=True)
    if rng.random() < 0.5:
        palette = loosened(rng, palette)
    acquisition = draw_acquisition(rng, thick_axis=None if rng.random() < 0.85 else 2)
    image = acquire(rng, paint(rng, chronic.codes, palette, chronic.lesions), acquisition, 1.0, 1.0)
    return ChronicCase(
        image,
        (chronic.lesion >= TRUTH_FRACTION).astype(np.uint8),
        wrong_outline(rng, head.codes).astype(np.uint8),
        {"anatomy": head.anatomy, **pose.record(), **chronic.parameters},
    )
