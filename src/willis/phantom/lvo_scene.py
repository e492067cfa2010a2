"""What an occlusion does to a head: clot, ischaemia of the dependent territory, and what mimics it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.ct import HuTable, put
from willis.phantom.deform import Field, smooth_noise
from willis.phantom.labels import PARENCHYMA, VENTRICLES, Tissue, lookup
from willis.phantom.perfusion_scene import Occlusion, severity_of
from willis.phantom.vessels import Artery, tube_share

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


def draw_clot(rng: np.random.Generator, segment: Segment | None = None, right: bool | None = None) -> Clot:
    """Draw an occlusion; segment and side may be given."""
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


def severity_after(rng: np.random.Generator, codes: npt.NDArray[np.uint8], clot: Clot | None) -> Field:
    """(I, J, K) of a whole head, 0 where supply is normal, 1 where it is worst."""
    if clot is None:
        return np.zeros(codes.shape, dtype=np.float32)
    return severity_of(rng, codes, Occlusion("lvo", clot.site, clot.right, 0.3, 0.3, 6.0, 12.0, 0.1))


def with_ischaemia(
    ideal: Field, codes: npt.NDArray[np.uint8], clot: Clot | None, severity: Field
) -> tuple[Field, Field]:
    """The head after hours without flow, and by how many HU each voxel fell."""
    if clot is None:
        return ideal, np.zeros_like(ideal)
    weight = lookup(PARENCHYMA)[codes] * np.where(lookup(GREY)[codes], np.float32(GREY_SHARE), np.float32(1.0))
    fall = (severity * weight * np.float32(clot.fall_hu)).astype(np.float32)
    after = ideal - fall
    if clot.hours > SWELLING_AFTER_H:  # sulci close: fluid gives way to brain
        closed = (codes & 0x7F == Tissue.CSF) * np.clip(severity - 0.4, 0, 0.6) / 0.6
        after = put(after, closed.astype(np.float32), float(np.median(after[severity > 0.4])) if closed.any() else 0.0)
    return after, fall


def draw_mimic(rng: np.random.Generator, clot: Clot | None) -> str:
    """What resembles an occlusion or hides one, of :data:`MIMICS`."""
    return str(rng.choice(MIMICS, p=MIMIC_SHARES)) if clot is None or rng.random() < 0.5 else "none"


def with_mimic(rng: np.random.Generator, ideal: Field, codes: npt.NDArray[np.uint8], hu: HuTable, mimic: str) -> Field:
    """The head with an old infarct or leukoaraiosis, where that is its mimic."""
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


def with_blood(
    rng: np.random.Generator, ideal: Field, arteries: Sequence[Artery], vessels: Mapping[int, Field], hu: HuTable,
    clot: Clot | None, mimic: str,
) -> tuple[Field, Field, dict[str, Any]]:  # fmt: skip
    """The head with blood in its vessels, and a clot; the clot's share of each voxel, and what was drawn of it."""
    blood = hu["arterial blood"] + (float(rng.uniform(6, 14)) if mimic == "dense blood" else 0.0)
    out = put(ideal, np.maximum.reduce(list(vessels.values())), blood)
    record: dict[str, Any] = {"blood_hu": round(blood, 1), "clot_hu": None, "clot_mm": None}
    share = np.zeros_like(ideal)
    shape = (ideal.shape[0], ideal.shape[1], ideal.shape[2])
    if clot is not None:
        pieces = _clotted(arteries, clot)
        share = tube_share(pieces, shape)
        density = max(hu["clot"], blood + 8) if clot.dense else blood
        out = put(out, share, density)
        record |= {"clot_hu": round(density, 1), "clot_mm": round(sum(p.length_mm for p in pieces), 1)}
    if mimic == "calcified walls":
        for artery in arteries:
            if artery.name in ("c7", "m1", "basilar") and rng.random() < 0.6:
                start = float(rng.uniform(0, artery.length_mm - 2))
                spot = tube_share([artery.part(start, start + float(rng.uniform(1, 4)))], shape)
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
