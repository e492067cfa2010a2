"""Patients with white matter hyperintensities: a T1 and a FLAIR, each on its own scanner's grid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage

from willis.phantom.anatomy import Anatomy
from willis.phantom.contrast import draw_person, fat_saturated, flair_palette, random_pair, t1_palette
from willis.phantom.edges import draw_edge_filter
from willis.phantom.head import Head, draw_head, draw_pose
from willis.phantom.labels import BRAIN, RIGHT_REGION, VENTRICLES, Region, Tissue, lookup
from willis.phantom.lesions import Lesions, draw_lesions
from willis.phantom.painting import TRUTH_FRACTION, regions
from willis.phantom.patient import Patient
from willis.phantom.protocols import BRAIN_ABOVE_MIDDLE_MM, HEAD_SHAPE, flair_protocol, scanned, t1_protocol
from willis.phantom.scanner import Protocol, bring, fraction, scanner_grid
from willis.phantom.scene import LesionScene, measured_scene
from willis.phantom.sidecar import mr_sidecar
from willis.study import Study
from willis.volume.grid import Grid
from willis.volume.volume import Volume


def wmh_patient(
    rng: np.random.Generator, anatomy: Anatomy, subject: str, *, contrast: str, load_ml: float | None = None
) -> Patient:
    """Draw one patient.

    The truth is ``wmh``, ``brain``, ``ventricles``, ``regions`` on the FLAIR's grid; the same with ``_anatomy`` on the
    1 mm grid of the anatomy, where the T1's head lies; ``fraction_anatomy``, the lesion fraction of each of its voxels.

    Parameters
    ----------
    load_ml
        Volume of lesions to aim at; drawn when None.
    """
    pose = draw_pose(rng, middle_mm=(0.0, 0.0, BRAIN_ABOVE_MIDDLE_MM))
    head = draw_head(rng, anatomy, pose, HEAD_SHAPE, 1.0, distances=False)
    isocentre = rng.uniform(-15, 15, 3)
    base = scanner_grid("RAS", HEAD_SHAPE, (1.0, 1.0, 1.0), isocentre)
    scene = measured_scene(head)
    lesions = draw_lesions(rng, scene, load_ml)
    tissue, strength = draw_person(rng)
    flair_3d = bool(rng.random() < 0.3)
    protocols = {"t1": t1_protocol(rng, base), "flair": flair_protocol(rng, base, volumetric=flair_3d)}
    protocols["flair"] = replace(protocols["flair"], edges=draw_edge_filter(rng.spawn(1)[0]))
    if contrast == "random":
        palettes = random_pair(rng)
    else:
        palettes = {
            "t1": t1_palette(rng, tissue, strength, volumetric=True),
            "flair": fat_saturated(rng, flair_palette(rng, tissue, strength)),
        }
    volumes = {
        role: scanned(rng, head, lesions, base, palettes[role], protocols[role], role) for role in ("t1", "flair")
    }
    truth = _truth(head, scene, lesions, base, protocols["flair"])
    row = {**_measured(truth), "anatomy": head.anatomy}
    parameters: dict[str, Any] = {
        "contrast": contrast,
        "field": strength,
        "anatomy": head.anatomy,
        "pose": pose.record(),
        "lesions": lesions.parameters,
        "images": {
            role: {"sequence": palettes[role].sequence, **palettes[role].parameters, **protocols[role].record()}
            for role in ("t1", "flair")
        },
    }
    sidecars = {role: mr_sidecar(parameters["images"][role], volume.grid, strength) for role, volume in volumes.items()}
    return Patient(Study(volumes, subject=subject), truth, row, parameters, sidecars)


def _truth(head: Head, scene: LesionScene, lesions: Lesions, base: Grid, protocol: Protocol) -> dict[str, Volume]:
    brain = lookup(BRAIN)[head.codes]
    ventricles = lookup((*VENTRICLES, Tissue.CHOROID_PLEXUS))[head.codes]
    places = regions(head.codes, scene.ventricle_mm, scene.cortex_mm)
    truth = {"fraction_anatomy": Volume(lesions.wmh, base, role="wmh", unit="1")}
    for name, share in (("wmh", lesions.wmh), ("brain", brain), ("ventricles", ventricles)):
        on_flair = fraction(share, base, protocol) >= TRUTH_FRACTION
        truth[name] = Volume(on_flair.astype(np.uint8), protocol.grid, role=name)
        truth[f"{name}_anatomy"] = Volume((share >= TRUTH_FRACTION).astype(np.uint8), base, role=name)
    on_flair = bring(places, base, protocol.grid, protocol.motion, order=0)
    truth["regions"] = Volume(on_flair.astype(np.uint8), protocol.grid, role="regions")
    truth["regions_anatomy"] = Volume(places, base, role="regions")
    return truth


def _measured(truth: dict[str, Volume]) -> dict[str, Any]:
    """True volumes in ml from the lesion fraction field, by region, and the number of lesions."""
    share = truth["fraction_anatomy"].data
    places = truth["regions_anatomy"].data
    voxel_ml = truth["fraction_anatomy"].grid.voxel_ml
    counted = ndimage.label(truth["wmh_anatomy"].data, np.ones((3, 3, 3)))[1]
    row: dict[str, Any] = {
        "wmh_volume_ml": round(float(share.sum(dtype=np.float64)) * voxel_ml, 4),
        "wmh_mask_volume_ml": round(truth["wmh_anatomy"].volume_ml, 4),
        "wmh_mask_flair_volume_ml": round(truth["wmh"].volume_ml, 4),
        "wmh_count": int(counted),
        "brain_volume_ml": round(truth["brain_anatomy"].volume_ml, 3),
        "ventricles_volume_ml": round(truth["ventricles_anatomy"].volume_ml, 3),
    }
    for region in (Region.PERIVENTRICULAR, Region.DEEP, Region.JUXTACORTICAL, Region.CEREBELLAR, Region.BRAINSTEM):
        sides = (("", 0),) if region == Region.BRAINSTEM else (("left_", 0), ("right_", RIGHT_REGION))
        for side, offset in sides:
            amount = float(share[places == region + offset].sum(dtype=np.float64)) * voxel_ml
            row[f"{side}{region.name.lower()}_ml"] = round(amount, 4)
    return row
