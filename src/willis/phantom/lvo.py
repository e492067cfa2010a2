"""Patients with a non-contrast CT: an occluded ICA terminus, M1 or M2 with clot and ischaemia, or what mimics it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from willis.phantom.anatomy import Anatomy
from willis.phantom.cisterns import drawn_into_fluid
from willis.phantom.ct import draw_hu, ideal_ct
from willis.phantom.ct_scan import CtProtocol, ct_protocol, ct_volume, sampled, scan_ct
from willis.phantom.deform import Field
from willis.phantom.head import draw_head, draw_pose
from willis.phantom.labels import BRAIN, lookup
from willis.phantom.lvo_scene import (
    Segment,
    draw_clot,
    draw_mimic,
    severity_after,
    with_blood,
    with_ischaemia,
    with_mimic,
)
from willis.phantom.patient import Patient
from willis.phantom.protocols import BRAIN_ABOVE_MIDDLE_MM, HEAD_SHAPE
from willis.phantom.scanner import rigid, scanner_grid
from willis.phantom.vessels import C7, M1, M2, OTHER, draw_arteries, labelled
from willis.study import Study
from willis.volume.grid import Grid
from willis.volume.volume import Volume

AGE_YEARS = (70.0, 13.0)
LABELLED_SHARE = 0.4  # of a scanner's voxel, from which it belongs to a vessel: thick slices keep thin vessels
FALLEN_HU = 1.5  # from which tissue counts as ischaemic in the truth


def lvo_patient(
    rng: np.random.Generator, anatomy: Anatomy, subject: str, *, contrast: str = "physics",
    occluded: bool | None = None, segment: Segment | None = None, right: bool | None = None,
    slice_mm: float | None = None, side: int = 320,
) -> Patient:  # fmt: skip
    """Draw one patient.

    Parameters
    ----------
    occluded
        Whether a large vessel is occluded; drawn when None.
    segment, right
        Which, and whether on the right; drawn when None.
    slice_mm
        Of the CT; drawn when None.
    side
        Pixels of a side of a slice.
    """
    shut = bool(rng.random() < 0.5) if occluded is None else occluded
    clot = draw_clot(rng, segment, right) if shut else None
    age = float(np.clip(rng.normal(*AGE_YEARS), 25, 98))
    pose = draw_pose(rng, middle_mm=(0.0, 0.0, BRAIN_ABOVE_MIDDLE_MM))
    head = draw_head(rng, anatomy, pose, HEAD_SHAPE, 1.0, distances=False)
    base = scanner_grid("RAS", HEAD_SHAPE, (1.0, 1.0, 1.0), rng.uniform(-15, 15, 3))
    hu = draw_hu(rng, age)
    arteries, variants = draw_arteries(rng, head.codes)
    arteries = drawn_into_fluid(arteries, head.codes, 1.0)
    mimic = draw_mimic(rng, clot)
    ideal = ideal_ct(rng, head.codes, hu)
    ideal = with_mimic(rng, ideal, head.codes, hu, mimic)
    ideal, fall = with_ischaemia(ideal, head.codes, clot, severity_after(rng, head.codes, clot))
    vessels = labelled(arteries, HEAD_SHAPE)
    ideal, clot_share, record = with_blood(rng, ideal, arteries, vessels, hu, clot, mimic)
    protocol = _protocol(rng, base, slice_mm, side)
    image = ct_volume(scan_ct(rng, ideal, base, protocol), protocol.grid)
    truth = _truth(head.codes, vessels, clot_share, fall, base, protocol)
    row = {
        "occluded": int(clot is not None),
        "segment": clot.segment if clot else "none",
        "side": ("right" if clot.right else "left") if clot else "none",
        "hours": round(clot.hours, 2) if clot else None,
        "mimic": mimic,
        **record,
        "ischaemia_ml": round(truth["ischaemia"].volume_ml, 3),
        "slice_mm": protocol.geometry.slice_mm,
        "anatomy": head.anatomy,
    }
    parameters = {
        "contrast": contrast,
        "anatomy": head.anatomy,
        "pose": pose.record(),
        "age": age,
        "clot": asdict(clot) if clot else None,
        "variants": variants,
        "images": {"ncct": protocol.record()},
    }
    return Patient(Study({"ncct": image}, subject=subject), truth, row, parameters)


def _protocol(rng: np.random.Generator, base: Grid, slice_mm: float | None, side: int) -> CtProtocol:
    middle = base.centre_mm + np.array([0.0, 0.0, BRAIN_ABOVE_MIDDLE_MM])
    turn = rigid(np.deg2rad(rng.normal(0, 3.0, 3)), rng.normal(0, 3.0, 3), middle)
    return ct_protocol(rng, middle, slice_mm=slice_mm, side=side, motion=turn)


def _truth(
    codes: npt.NDArray[np.uint8], vessels: Mapping[int, Field], clot: Field, fall: Field, base: Grid,
    protocol: CtProtocol,
) -> dict[str, Volume]:  # fmt: skip
    grid = protocol.grid
    shares = np.stack([sampled(vessels[code], base, protocol, 0.0) for code in (C7, M1, M2, OTHER)])
    labels = np.where(shares.max(axis=0) >= LABELLED_SHARE, 1 + shares.argmax(axis=0), 0).astype(np.uint8)
    masks = {
        "clot": sampled(clot, base, protocol, 0.0) >= LABELLED_SHARE,
        "ischaemia": sampled(fall, base, protocol, 0.0) >= FALLEN_HU,
        "brain": sampled(lookup(BRAIN)[codes].astype(np.float32), base, protocol, 0.0) >= 0.5,
    }
    truth = {name: Volume(mask.astype(np.uint8), grid, role=name) for name, mask in masks.items()}
    return {"vessels": Volume(labels, grid, role="vessels"), **truth}
