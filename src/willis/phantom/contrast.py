"""The values of tissues in an image: from physics, or drawn beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.phantom import mr
from willis.phantom.labels import RIGHT_SIDE
from willis.phantom.relaxation import ROW_OF, ROWS, FieldStrength, Relaxation, draw_relaxation

Values = npt.NDArray[np.float64]
NAMES = tuple(ROWS)


@dataclass(frozen=True)
class Palette:
    """Signal of each row of the tissue table in one image, white matter scaled to 1."""

    sequence: str
    signal: Values
    parameters: dict[str, Any]
    air: float = 0.0

    def __getitem__(self, name: str) -> float:
        return self.air if name == "air" else float(self.signal[NAMES.index(name)])


def scaled(sequence: str, signal: Values, parameters: dict[str, Any]) -> Palette:
    """A palette with the signal of white matter scaled to 1."""
    return Palette(sequence, signal / max(float(signal[NAMES.index("white")]), 1e-6), parameters)


def t1_palette(rng: np.random.Generator, tissue: Relaxation, field: FieldStrength, *, volumetric: bool) -> Palette:
    """T1-weighted: MPRAGE or spoiled gradient echo in 3D, spin echo or gradient echo in slices."""
    pd, t1, t2, t2s = tissue.proton_density, tissue.t1_ms, tissue.t2_ms, tissue.t2star_ms
    if volumetric and rng.random() < 0.75:
        echo_spacing, echoes = float(rng.uniform(6.5, 8.5)), int(rng.integers(140, 185))
        train = echo_spacing * echoes
        ti = max(float(rng.uniform(800, 1100)), train / 2 + 100)
        tr = max(float(rng.uniform(1700, 2500)), ti + train / 2 + 100)
        te, flip = float(rng.uniform(2.0, 4.5)), float(rng.uniform(7, 12))
        signal = mr.mprage(pd, t1, t2s, tr=tr, ti=ti, te=te, flip_deg=flip, echo_spacing=echo_spacing, echoes=echoes)
        return scaled("mprage", signal, {"tr": tr, "ti": ti, "te": te, "flip_deg": flip, "echo_spacing": echo_spacing})
    if volumetric or rng.random() < 0.3:
        p = {k: float(rng.uniform(*r)) for k, r in (("tr", (15, 30)), ("te", (3, 8)), ("flip_deg", (20, 35)))}
        return scaled("spgr", mr.spoiled_gradient_echo(pd, t1, t2s, **p), p)
    p = {"tr": float(rng.uniform(400, 700)), "te": float(rng.uniform(8, 18))}
    return scaled("t1se", mr.spin_echo(pd, t1, t2, **p), p)


def flair_palette(rng: np.random.Generator, tissue: Relaxation, field: FieldStrength) -> Palette:
    """FLAIR whose inversion time nulls CSF, or nearly."""
    tr = float(rng.uniform(6000, 11000))
    te = float(rng.uniform(85, 150))
    train = float(rng.uniform(200, 600))
    csf = float(ROWS["csf"].t1_ms[0 if field == "1.5T" else 1])
    ti = mr.null_inversion_time(csf, tr=tr, train_ms=train) * float(rng.normal(1.0, 0.04))
    p = {"tr": tr, "te": te, "ti": ti, "train_ms": train}
    # refocusing trains of many low-angle pulses weaken T2 weighting: an effective T2 longer than the true one
    stretch = float(rng.uniform(1.0, 1.35))
    signal = mr.inversion_recovery(tissue.proton_density, tissue.t1_ms, tissue.t2_ms * stretch, **p)
    signal = as_flair_looks(rng, signal, paleness=float(rng.uniform(*PALENESS)))
    return scaled("flair", signal, p | {"t2_stretch": stretch})


FLAIR_TO_WHITE = {  # signal against white matter beyond which an adult's FLAIR does not go; assumed
    "cortex": (1.12, 1.5),
    "hippocampus": (1.15, 1.65),
    "deep grey": (0.95, 1.35),
    "pallidum": (0.7, 1.15),
    "brainstem": (0.9, 1.2),
    "cerebellar cortex": (1.05, 1.4),
}
PALENESS = (0.6, 1.0)  # of the lesion's contrast that its relaxation times give; assumed: lesions are part healthy
LEAST_LESION_TO_WHITE = (1.25, 1.5)  # FLAIR signal below which a rater would not call a lesion hyperintense; assumed
LEAST_LESION_TO_CORTEX = (1.03, 1.25)  # assumed: a lesion outshines the grey matter beside it


def as_flair_looks(
    rng: np.random.Generator, signal: npt.NDArray[np.float64], paleness: float = 1.0
) -> npt.NDArray[np.float64]:
    """FLAIR signals (rows of ``NAMES``) with grey matter as bright as it is on scans, and lesions brighter still.

    Long T1 can cancel long T2 on FLAIR; such tissue isn't a hyperintensity, which is bright on FLAIR by definition
    (STRIVE, Wardlaw 2013, doi:10.1016/S1474-4422(13)70124-8).
    """
    out = signal.copy()
    white = out[NAMES.index("white")]
    for name, (low, high) in FLAIR_TO_WHITE.items():
        out[NAMES.index(name)] = np.clip(out[NAMES.index(name)], low * white, high * white)
    lesion, cortex = NAMES.index("wmh"), out[NAMES.index("cortex")]
    pale = white + paleness * (out[lesion] - white)
    out[lesion] = max(pale, rng.uniform(*LEAST_LESION_TO_WHITE) * white, rng.uniform(*LEAST_LESION_TO_CORTEX) * cortex)
    return out


FAT_ROWS = ("fat", "skin", "marrow")
FAT_SATURATED_SHARE = 0.4  # of T2-weighted and FLAIR images


def fat_saturated(rng: np.random.Generator, palette: Palette) -> Palette:
    """The palette with the signal of fat weakened in a share of images."""
    if rng.random() > FAT_SATURATED_SHARE:
        return palette
    weaker = float(rng.uniform(0.08, 0.6))
    signal = np.where([n in FAT_ROWS for n in NAMES], weaker * palette.signal, palette.signal)
    return Palette(palette.sequence, signal, palette.parameters | {"fat": weaker}, palette.air)


def loosened(rng: np.random.Generator, palette: Palette, amount: float = 0.07) -> Palette:
    """The palette with contrasts stretched and each tissue's value moved, kept in a plausible order."""
    gamma = float(np.exp(rng.normal(0, 0.18)))
    signal = np.sign(palette.signal) * np.abs(palette.signal) ** gamma
    signal = signal * np.exp(amount * rng.standard_normal(len(signal)))
    if palette.sequence == "flair":
        signal = as_flair_looks(rng, signal)
    return scaled(palette.sequence, signal, palette.parameters | {"gamma": gamma})


def draw_person(rng: np.random.Generator) -> tuple[Relaxation, FieldStrength]:
    """A person's tissue table at 1.5 or 3 T."""
    field: FieldStrength = "3T" if rng.random() < 0.6 else "1.5T"
    return draw_relaxation(rng, field), field


def lookup_table_of(palette: Palette) -> npt.NDArray[np.float32]:
    """(256,) signal of each label code."""
    table = np.full(256, palette.air, dtype=np.float32)
    for tissue, name in ROW_OF.items():
        table[[tissue, tissue | RIGHT_SIDE]] = palette[name]
    return table


HU = {  # rough means of CT numbers; Kak & Slaney's scale, values as radiology texts give them
    "white": 28, "cortex": 38, "deep grey": 38, "pallidum": 38, "hippocampus": 36, "brainstem": 31,
    "cerebellar cortex": 36, "csf": 6, "choroid plexus": 45, "wmh": 20, "skin": 30, "fat": -90,
    "muscle": 55, "bone": 1100, "marrow": 450, "venous blood": 52, "arterial blood": 45, "vitreous": 8,
    "optic nerve": 32, "mucosa": 35, "dura": 55,
}  # fmt: skip


def ct_palette(rng: np.random.Generator) -> Palette:
    """CT numbers, HU."""
    signal = np.array([float(HU[n]) for n in NAMES])
    signal += 3 * rng.standard_normal(len(signal))
    signal *= np.where(signal > 300, rng.uniform(0.6, 1.3), 1.0)
    return Palette("ct", signal, {}, -1000.0)


def random_palette(rng: np.random.Generator) -> Palette:
    """Values drawn at random for every tissue, whatever physics says.

    References
    ----------
    Billot 2023, doi:10.1016/j.media.2023.102789.
    """
    return Palette("random", rng.uniform(0.05, 2.0, len(NAMES)), {})


def random_pair(rng: np.random.Generator) -> dict[str, Palette]:
    """A T1 and a FLAIR beyond physics; only what makes lesions visible is kept: brighter on FLAIR, darker on T1."""
    pair = {"t1": random_palette(rng), "flair": random_palette(rng)}
    lesion, white = NAMES.index("wmh"), NAMES.index("white")
    pair["flair"].signal[lesion] = pair["flair"].signal[white] * rng.uniform(1.3, 2.5)
    pair["t1"].signal[lesion] = pair["t1"].signal[white] * rng.uniform(0.4, 0.95)
    return {role: scaled(role, palette.signal, {}) for role, palette in pair.items()}
