"""Patients with a non-contrast CT: an occluded ICA terminus, M1 or M2 with clot and ischaemia, or what mimics it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.anatomy import Anatomy
from willis.phantom.ct import HuTable, draw_hu, ideal_ct, put
from willis.phantom.ct_scan import CtProtocol, ct_protocol, ct_volume, sampled, scan_ct
from willis.phantom.deform import Field, smooth_noise
from willis.phantom.head import draw_head, draw_pose
from willis.phantom.labels import BRAIN, PARENCHYMA, VENTRICLES, Tissue, lookup
from willis.phantom.patient import Patient
from willis.phantom.perfusion_scene import Occlusion, severity_of
from willis.phantom.protocols import BRAIN_ABOVE_MIDDLE_MM, HEAD_SHAPE
from willis.phantom.scanner import rigid, scanner_grid
from willis.phantom.vessels import C7, M1, M2, OTHER, Artery, draw_arteries, labelled, tube_share
from willis.study import Study
from willis.volume.grid import Grid
from willis.volume.volume import Volume

Segment = Literal["m1", "m2", "c7", "c7+m1", "m1+m2"]
SEGMENTS: tuple[Segment, ...] = ("m1", "m2", "c7", "c7+m1", "m1+m2")
SEGMENT_SHARES = (0.45, 0.2, 0.1, 0.15, 0.1)  # assumed
MIMICS = ("old infarct", "leukoaraiosis", "calcified walls", "dense blood", "none")
MIMIC_SHARES = (0.2, 0.25, 0.2, 0.15, 0.2)  # assumed; positives have them too, at half the rate
DENSE_SHARE = 0.6  # of clots are denser than blood; assumed
FALL_HU_PER_HOUR = (0.6, 1.6)  # of the worst-supplied tissue; assumed
MOST_FALL_HU = 10.0
GREY_SHARE = 1.35  # grey matter falls by so much more, so that its difference to white is lost; assumed
SWELLING_AFTER_H = 3.0  # assumed
AGE_YEARS = (70.0, 13.0)
LABELLED_SHARE = 0.4  # of a scanner's voxel, from which it belongs to a vessel: thick slices keep thin vessels
FALLEN_HU = 1.5  # from which tissue counts as ischaemic in the truth
GREY = (Tissue.CORTEX, Tissue.CAUDATE, Tissue.PUTAMEN, Tissue.PALLIDUM, Tissue.THALAMUS)


@dataclass(frozen=True)
class Clot:
    """What is drawn of an occlusion.

    Parameters
    ----------
    segment, right
        Which vessels, and whether on the right.
    branch
        M2 trunk, where one is concerned.
    hours
        Since the onset.
    fall_hu
        Of the worst-supplied tissue.
    dense
        Whether the clot is denser than blood.
    share
        Part of each segment's length that the clot fills.
    """

    segment: Segment
    right: bool
    branch: str
    hours: float
    fall_hu: float
    dense: bool
    share: float

    @property
    def site(self) -> str:
        """The artery whose territory suffers, as the perfusion phantom names it."""
        if self.segment in ("c7", "c7+m1"):
            return "ICA"
        return f"M2 {self.branch}" if self.segment == "m2" else "M1"


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
    clot = _draw_clot(rng, segment, right) if shut else None
    age = float(np.clip(rng.normal(*AGE_YEARS), 25, 98))
    pose = draw_pose(rng, middle_mm=(0.0, 0.0, BRAIN_ABOVE_MIDDLE_MM))
    head = draw_head(rng, anatomy, pose, HEAD_SHAPE, 1.0, distances=False)
    base = scanner_grid("RAS", HEAD_SHAPE, (1.0, 1.0, 1.0), rng.uniform(-15, 15, 3))
    hu = draw_hu(rng, age)
    arteries, variants = draw_arteries(rng, head.codes)
    mimic = str(rng.choice(MIMICS, p=MIMIC_SHARES)) if clot is None or rng.random() < 0.5 else "none"
    ideal = ideal_ct(rng, head.codes, hu)
    ideal = _with_mimic(rng, ideal, head.codes, hu, mimic)
    ideal, fall = _with_ischaemia(rng, ideal, head.codes, clot)
    vessels = labelled(arteries, HEAD_SHAPE)
    ideal, clot_share, record = _with_blood(rng, ideal, arteries, vessels, hu, clot, mimic)
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


def _draw_clot(rng: np.random.Generator, segment: Segment | None, right: bool | None) -> Clot:
    hours = float(rng.uniform(0.7, 8.0))
    collaterals = float(rng.beta(2, 2))
    fall = min(hours * float(rng.uniform(*FALL_HU_PER_HOUR)) * (1.2 - collaterals), MOST_FALL_HU)
    return Clot(
        segment or SEGMENTS[int(rng.choice(len(SEGMENTS), p=SEGMENT_SHARES))],
        bool(rng.random() < 0.5) if right is None else right,
        str(rng.choice(["superior", "inferior"])),
        hours,
        fall,
        bool(rng.random() < DENSE_SHARE),
        float(rng.uniform(0.5, 1.0)),
    )


def _with_ischaemia(
    rng: np.random.Generator, ideal: Field, codes: npt.NDArray[np.uint8], clot: Clot | None
) -> tuple[Field, Field]:
    """The head after hours without flow, and by how many HU each voxel fell."""
    if clot is None:
        return ideal, np.zeros_like(ideal)
    occlusion = Occlusion("lvo", clot.site, clot.right, 0.3, 0.3, 6.0, 12.0, 0.1)
    severity = severity_of(rng, codes, occlusion)
    weight = lookup(PARENCHYMA)[codes] * np.where(lookup(GREY)[codes], np.float32(GREY_SHARE), np.float32(1.0))
    fall = (severity * weight * np.float32(clot.fall_hu)).astype(np.float32)
    after = ideal - fall
    if clot.hours > SWELLING_AFTER_H:  # sulci close: fluid gives way to brain
        closed = (codes & 0x7F == Tissue.CSF) * np.clip(severity - 0.4, 0, 0.6) / 0.6
        after = put(after, closed.astype(np.float32), float(np.median(after[severity > 0.5])) if closed.any() else 0.0)
    return after, fall


def _with_mimic(rng: np.random.Generator, ideal: Field, codes: npt.NDArray[np.uint8], hu: HuTable, mimic: str) -> Field:
    if mimic == "old infarct":
        brain = np.argwhere(lookup((Tissue.CORTEX, Tissue.WHITE_MATTER))[codes])
        centre = brain[int(rng.integers(len(brain)))]
        index: tuple[Field, ...] = np.indices(codes.shape, dtype=np.float32, sparse=True)
        away = np.sqrt(np.asarray(sum((i - c) ** 2 for i, c in zip(index, centre, strict=True))))
        radius = float(rng.uniform(8, 28))
        share = np.clip((radius - away - 4 * smooth_noise(rng, codes.shape, 8)) / 3, 0, 1) * lookup(PARENCHYMA)[codes]
        return put(ideal, share.astype(np.float32), hu["old infarct"])
    if mimic == "leukoaraiosis":
        reach = float(rng.uniform(4, 14))
        away = ndimage.distance_transform_edt(~lookup(VENTRICLES)[codes]).astype(np.float32)
        share = np.clip((reach - away - 2 * smooth_noise(rng, codes.shape, 9)) / 4, 0, 1)
        return put(ideal, (share * lookup((Tissue.WHITE_MATTER,))[codes]).astype(np.float32), hu["wmh"])
    return ideal


def _with_blood(
    rng: np.random.Generator, ideal: Field, arteries: Sequence[Artery], vessels: Mapping[int, Field], hu: HuTable,
    clot: Clot | None, mimic: str,
) -> tuple[Field, Field, dict[str, Any]]:  # fmt: skip
    """The head with blood in its vessels, and a clot; the clot's share of each voxel, and what was drawn of it."""
    blood = hu["arterial blood"] + (float(rng.uniform(6, 14)) if mimic == "dense blood" else 0.0)
    out = put(ideal, np.maximum.reduce(list(vessels.values())), blood)
    record: dict[str, Any] = {"blood_hu": round(blood, 1), "clot_hu": None, "clot_mm": None}
    share = np.zeros_like(ideal)
    if clot is not None:
        pieces = _clotted(arteries, clot)
        share = tube_share(pieces, HEAD_SHAPE)
        density = max(hu["clot"], blood + 8) if clot.dense else blood
        out = put(out, share, density)
        record |= {"clot_hu": round(density, 1), "clot_mm": round(sum(p.length_mm for p in pieces), 1)}
    if mimic == "calcified walls":
        for artery in arteries:
            if artery.name in ("c7", "m1", "basilar") and rng.random() < 0.6:
                start = float(rng.uniform(0, artery.length_mm - 2))
                spot = tube_share([artery.part(start, start + float(rng.uniform(1, 4)))], HEAD_SHAPE)
                out = put(out, (0.5 * spot).astype(np.float32), float(rng.uniform(200, 600)))
    return out, share, record


def _clotted(arteries: Sequence[Artery], clot: Clot) -> list[Artery]:
    """The pieces that the clot fills: in a pair of segments it reaches over the fork."""
    wanted = {
        "m1": ("m1",), "m2": (f"m2 {clot.branch}",), "c7": ("c7",), "c7+m1": ("c7", "m1"),
        "m1+m2": ("m1", f"m2 {clot.branch}"),
    }[clot.segment]  # fmt: skip
    pieces = []
    for place, name in enumerate(wanted):
        artery = next(a for a in arteries if a.name == name and a.right == clot.right)
        length = artery.length_mm * clot.share
        start = 0.0 if len(wanted) == 1 or place == 1 else artery.length_mm - length
        pieces.append(artery.part(start, start + length))
    return pieces


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
