"""Proton density, relaxation times and diffusion of tissues, with the spread between people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from willis.phantom.labels import Tissue

FieldStrength = Literal["1.5T", "3T"]
Values = npt.NDArray[np.float64]


PD_SHARE = 0.4  # proton density varies by this share of how much T2 does
TOGETHER = 0.7  # correlation of T1, T2 and water within a tissue: all three rise with its water
ALIKE = 0.7  # correlation of brain tissues within a person: age and the scanner's calibration move all of them
BRAIN_ROWS = ("white", "cortex", "deep grey", "pallidum", "hippocampus", "brainstem", "cerebellar cortex")


@dataclass(frozen=True)
class TissueRow:
    """MR properties of one tissue, times in ms, ADC in 1e-3 mm²/s: rounded, near or within the spread of their source.

    ``source`` says where a source is of tissue outside the body, or of another field strength.
    """

    proton_density: float  # of water
    t1_ms: tuple[float, float]  # at 1.5 T, at 3 T
    t2_ms: tuple[float, float]
    t2star_ms: tuple[float, float]
    adc: float
    source: str
    spread: float = 0.06  # standard deviation of the logarithm of T2 and ADC between people
    t1_spread: float | None = None  # likewise of T1; that of T2 when None


WHITTALL = "water: Whittall 1997, doi:10.1002/mrm.1910370107"
WRIGHT = "T1: Wright 2008, doi:10.1007/s10334-008-0104-8"
STANISZ = "Stanisz 2005, doi:10.1002/mrm.20605 (excised tissue)"
PETERS = "T2*: Peters 2007, doi:10.1016/j.mri.2007.02.014"
PIERPAOLI = "ADC: Pierpaoli 1996, doi:10.1148/radiology.201.3.8939209"
ROONEY = "T1: after Rooney 2007, doi:10.1002/mrm.21122 (1.5 T; 3 T assumed)"
GOLD = "T1, T2: Gold 2004, doi:10.2214/ajr.183.2.1830343"
CSF_T2 = "T2: Spijkerman 2018, doi:10.1007/s10334-017-0659-3 (3 T; 1.5 T assumed)"
WMH = "Larsson 1989, doi:10.1002/mrm.1910110308; water raised: Anderson 2014, doi:10.1186/2045-8118-11-24"
ASSUMED = "assumed"  # no measurement at hand: chosen so that the tissue looks as it does on scans

ROWS: dict[str, TissueRow] = {
    "white": TissueRow(
        0.70, (650, 860), (75, 70), (66, 53), 0.72, f"{WHITTALL}; {WRIGHT}; T2: {STANISZ}; {PETERS}; {PIERPAOLI}"
    ),
    "cortex": TissueRow(
        0.82,
        (1150, 1450),
        (96, 95),
        (84, 66),
        0.85,
        f"{WHITTALL}; {WRIGHT}, lowered by a tenth at 3 T; T2: {STANISZ}; {PETERS}; {PIERPAOLI}",
    ),
    "deep grey": TissueRow(0.80, (1000, 1250), (86, 80), (62, 48), 0.76, f"{ROONEY}; T2, T2* {ASSUMED}"),
    "pallidum": TissueRow(0.74, (800, 1020), (68, 60), (45, 32), 0.74, f"{ROONEY}; T2, T2* {ASSUMED}: iron"),
    "hippocampus": TissueRow(0.84, (1180, 1480), (102, 100), (84, 66), 0.88, f"as cortex, brighter: {ASSUMED}"),
    "brainstem": TissueRow(0.73, (780, 980), (79, 73), (66, 50), 0.74, f"between grey and white matter: {ASSUMED}"),
    "cerebellar cortex": TissueRow(0.81, (1080, 1350), (92, 90), (80, 62), 0.80, f"{ROONEY}; the rest {ASSUMED}"),
    "csf": TissueRow(
        1.00, (4300, 4300), (2000, 1800), (1500, 1000), 3.0, f"{ROONEY}; {CSF_T2}; {PIERPAOLI}; T2* {ASSUMED}", 0.08
    ),
    "choroid plexus": TissueRow(0.86, (1450, 1800), (140, 130), (80, 60), 1.8, ASSUMED, 0.15),
    "wmh": TissueRow(0.83, (1050, 1350), (140, 130), (110, 90), 1.10, f"{WMH}; ADC, T2* {ASSUMED}", 0.14, 0.25),
    "skin": TissueRow(0.60, (800, 950), (45, 40), (15, 12), 0.9, ASSUMED, 0.15),
    "fat": TissueRow(0.90, (288, 370), (165, 133), (40, 30), 0.05, f"{GOLD}; the rest {ASSUMED}", 0.10),
    "muscle": TissueRow(0.75, (1130, 1420), (35, 32), (30, 24), 1.4, f"{GOLD}; the rest {ASSUMED}", 0.08),
    "bone": TissueRow(0.12, (250, 300), (3, 3), (0.6, 0.5), 0.1, "T2*: Robson 2006, doi:10.1002/nbm.1100", 0.2),
    "marrow": TissueRow(0.70, (288, 365), (165, 133), (15, 10), 0.2, f"{GOLD}; the rest {ASSUMED}", 0.15),
    "venous blood": TissueRow(
        0.80, (1441, 1932), (60, 35), (40, 20), 1.5, f"T1: {STANISZ}; T2: Zhao 2007, doi:10.1002/mrm.21342 (3 T)", 0.25
    ),
    "arterial blood": TissueRow(0.15, (1441, 1932), (120, 90), (60, 40), 1.5, f"T1: {STANISZ}; flow void", 0.25),
    "vitreous": TissueRow(1.00, (4000, 4300), (1500, 1300), (900, 700), 2.9, f"as CSF: {ASSUMED}", 0.08),
    "optic nerve": TissueRow(0.75, (815, 1083), (77, 78), (60, 45), 1.0, f"T1, T2: {STANISZ}", 0.10),
    "mucosa": TissueRow(0.85, (1200, 1500), (100, 90), (25, 15), 1.6, ASSUMED, 0.2),
    "dura": TissueRow(0.50, (900, 1100), (35, 30), (15, 10), 0.8, ASSUMED, 0.2),
}

ROW_OF: dict[Tissue, str] = {
    Tissue.WHITE_MATTER: "white",
    Tissue.CORTEX: "cortex",
    Tissue.THALAMUS: "deep grey",
    Tissue.CAUDATE: "deep grey",
    Tissue.PUTAMEN: "deep grey",
    Tissue.PALLIDUM: "pallidum",
    Tissue.HIPPOCAMPUS: "hippocampus",
    Tissue.AMYGDALA: "hippocampus",
    Tissue.ACCUMBENS: "deep grey",
    Tissue.VENTRAL_DC: "brainstem",
    Tissue.BRAINSTEM: "brainstem",
    Tissue.CEREBELLAR_WHITE_MATTER: "white",
    Tissue.CEREBELLAR_CORTEX: "cerebellar cortex",
    Tissue.LATERAL_VENTRICLE: "csf",
    Tissue.INFERIOR_HORN: "csf",
    Tissue.THIRD_VENTRICLE: "csf",
    Tissue.FOURTH_VENTRICLE: "csf",
    Tissue.CSF: "csf",
    Tissue.OUTER_CSF: "csf",
    Tissue.CHOROID_PLEXUS: "choroid plexus",
    Tissue.PERIVASCULAR_SPACE: "csf",
    Tissue.OPTIC_NERVE: "optic nerve",
    Tissue.SKIN: "skin",
    Tissue.FAT: "fat",
    Tissue.MUSCLE: "muscle",
    Tissue.BONE: "bone",
    Tissue.MARROW: "marrow",
    Tissue.VENOUS_SINUS: "venous blood",
    Tissue.ARTERY: "arterial blood",
    Tissue.VITREOUS: "vitreous",
    Tissue.MUCOSA: "mucosa",
    Tissue.SPINAL_CORD: "white",
    Tissue.DURA: "dura",
}


@dataclass(frozen=True)
class Relaxation:
    """MR properties of all rows of the table in one person, each an array in the order of ``names``."""

    names: tuple[str, ...]
    proton_density: Values
    t1_ms: Values
    t2_ms: Values
    t2star_ms: Values
    adc: Values  # 1e-3 mm²/s

    def index(self, name: str) -> int:
        """Place of a row in the arrays."""
        return self.names.index(name)


def draw_relaxation(rng: np.random.Generator | None, field: FieldStrength, spread: float = 1.0) -> Relaxation:
    """One person's table at a field strength; the means when ``rng`` is None."""
    names = tuple(ROWS)
    rows = [ROWS[n] for n in names]
    at = 0 if field == "1.5T" else 1

    alike = np.array([name in BRAIN_ROWS for name in names])

    def deviation(shared: Values | None = None) -> Values:
        """(row,) standard normal deviations, alike within the brain, correlated with ``shared``."""
        if rng is None:
            return np.zeros(len(rows))
        person, own = rng.standard_normal(), rng.standard_normal(len(rows))
        z = np.where(alike, np.sqrt(ALIKE) * person + np.sqrt(1 - ALIKE) * own, own)
        if shared is not None:
            z = TOGETHER * shared + np.sqrt(1 - TOGETHER**2) * z
        return np.clip(z, -2.5, 2.5)

    def drawn(means: list[float], spreads: list[float], z: Values) -> Values:
        return np.asarray(np.array(means, dtype=np.float64) * np.exp(np.array(spreads) * z))

    water = deviation()
    spreads = [r.spread * spread for r in rows]
    t1_spreads = [(r.spread if r.t1_spread is None else r.t1_spread) * spread for r in rows]
    t2 = drawn([r.t2_ms[at] for r in rows], spreads, deviation(water))
    ratio = np.array([r.t2star_ms[at] / r.t2_ms[at] for r in rows])
    return Relaxation(
        names,
        np.minimum(drawn([r.proton_density for r in rows], [PD_SHARE * s for s in spreads], deviation(water)), 1.0),
        drawn([r.t1_ms[at] for r in rows], t1_spreads, deviation(water)),
        t2,
        t2 * ratio,
        drawn([r.adc for r in rows], spreads, deviation(water)),
    )
