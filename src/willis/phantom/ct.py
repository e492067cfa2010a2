"""The ideal CT of a labelled head: CT numbers of tissues with their spread and age, texture and calcification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from willis.phantom.deform import Field, smooth_noise
from willis.phantom.labels import RIGHT_SIDE, Tissue, lookup
from willis.phantom.relaxation import ROW_OF

AIR_HU = -1000.0
MIDDLE_AGE = 60.0  # years at which the means of the table hold
CALCIFIED_HU = (90.0, 350.0)  # of physiological calcification; assumed
CALCIFIED_SHARE = {  # chance by tissue at 20 and at 80 years; assumed, rising with age as is common experience
    Tissue.CHOROID_PLEXUS: (0.2, 0.7),
    Tissue.PALLIDUM: (0.02, 0.2),
}

CALA = "Cala 1981, AJNR 2:41-7 (PMID 6784549): white matter 30 HU, spread 3.4"
BROOKS = "5.5 HU above white matter: Brooks 1980, doi:10.1097/00004728-198008000-00016"
ASSUMED = "assumed"
SCANNER_SPREAD_HU = 2.0  # of all soft tissue together: scanners' calibration and energy; assumed
SHIFTED = -200.0, 200.0  # HU of what moves with it


@dataclass(frozen=True)
class HuRow:
    """CT number of one tissue: mean at ``MIDDLE_AGE``, spread between people, change a decade, all in HU."""

    mean: float
    spread: float
    per_decade: float
    source: str


HU_ROWS: dict[str, HuRow] = {
    "white": HuRow(30.0, 1.2, 0.0, CALA),
    "cortex": HuRow(36.0, 1.2, 0.0, BROOKS),
    "deep grey": HuRow(36.0, 1.2, 0.0, BROOKS),
    "pallidum": HuRow(37.0, 1.5, 0.3, f"as deep grey, denser with age: {ASSUMED}"),
    "hippocampus": HuRow(35.0, 1.2, 0.0, f"as cortex: {ASSUMED}"),
    "brainstem": HuRow(32.0, 1.2, 0.0, f"between grey and white matter: {ASSUMED}"),
    "cerebellar cortex": HuRow(35.0, 1.2, 0.0, f"as cortex: {ASSUMED}"),
    "csf": HuRow(6.0, 1.5, 0.0, ASSUMED),
    "choroid plexus": HuRow(42.0, 4.0, 0.0, ASSUMED),
    "wmh": HuRow(22.0, 2.0, 0.0, f"between white matter and fluid: {ASSUMED}"),
    "skin": HuRow(30.0, 10.0, 0.0, ASSUMED),
    "fat": HuRow(-90.0, 8.0, 0.0, ASSUMED),
    "muscle": HuRow(55.0, 4.0, -1.0, ASSUMED),
    "bone": HuRow(1150.0, 150.0, -20.0, f"cortical bone: {ASSUMED}"),
    "marrow": HuRow(420.0, 100.0, -10.0, f"diploë: {ASSUMED}"),
    "venous blood": HuRow(52.0, 4.0, -0.5, f"by haematocrit: {ASSUMED}"),
    "arterial blood": HuRow(45.0, 4.0, -0.5, f"by haematocrit: {ASSUMED}"),
    "vitreous": HuRow(8.0, 2.0, 0.0, ASSUMED),
    "optic nerve": HuRow(32.0, 3.0, 0.0, ASSUMED),
    "mucosa": HuRow(35.0, 5.0, 0.0, ASSUMED),
    "dura": HuRow(55.0, 4.0, 0.0, ASSUMED),
    "old infarct": HuRow(12.0, 3.0, 0.0, f"near fluid: {ASSUMED}"),
    "clot": HuRow(62.0, 8.0, 0.0, f"hyperdense artery sign: {ASSUMED}"),
}


@dataclass(frozen=True)
class HuTable:
    """CT numbers of one person's tissues, HU, by the names of :data:`HU_ROWS`."""

    hu: dict[str, float]
    age_years: float

    def __getitem__(self, name: str) -> float:
        return self.hu[name]

    def by_code(self) -> npt.NDArray[np.float32]:
        """(256,) HU of each label code, air where there is no tissue: ``table.by_code()[codes]`` is the ideal image."""
        table = np.full(256, AIR_HU, dtype=np.float32)
        for tissue, name in ROW_OF.items():
            table[[tissue, tissue | RIGHT_SIDE]] = self.hu[name]
        return table


def draw_hu(rng: np.random.Generator | None, age_years: float = MIDDLE_AGE) -> HuTable:
    """One person's CT numbers at an age in years; the means when ``rng`` is None.

    Grey and white matter keep theirs over life (30 men of 21 to 81 years); what changes is assumed.
    """
    decades = (age_years - MIDDLE_AGE) / 10
    names = tuple(HU_ROWS)
    drawn = np.zeros(len(names)) if rng is None else np.clip(rng.standard_normal(len(names)), -2.5, 2.5)
    hu = {
        name: row.mean + row.per_decade * decades + row.spread * float(z)
        for (name, row), z in zip(HU_ROWS.items(), drawn, strict=True)
    }
    shift = 0.0 if rng is None else SCANNER_SPREAD_HU * float(rng.standard_normal())
    hu = {name: value + shift if SHIFTED[0] < value < SHIFTED[1] else value for name, value in hu.items()}
    hu["white"] = min(hu["white"], hu["cortex"] - 4.0)  # grey matter is denser than white in every healthy brain
    return HuTable(hu, age_years)


def ideal_ct(rng: np.random.Generator, codes: npt.NDArray[np.uint8], table: HuTable) -> Field:
    """(I, J, K) HU of a labelled head before any scanner: tissues with texture, and calcification by age."""
    image = table.by_code()[codes]
    soft = (image > -200) & (image < 200)
    rough = 0.8 * smooth_noise(rng, codes.shape, 8) + 0.8 * smooth_noise(rng, codes.shape, 2.5)
    image += soft * rough
    _calcify(rng, image, codes, table.age_years)
    return image


def _calcify(rng: np.random.Generator, image: Field, codes: npt.NDArray[np.uint8], age_years: float) -> None:
    """Put calcium into choroid plexus and pallidum; ``image`` is changed."""
    old = float(np.clip((age_years - 20) / 60, 0, 1))
    for tissue, (young_share, old_share) in CALCIFIED_SHARE.items():
        if rng.random() > young_share + (old_share - young_share) * old:
            continue
        blobs = lookup((tissue,))[codes] & (smooth_noise(rng, codes.shape, 5) > float(rng.uniform(0.7, 1.6)))
        image[blobs] = float(rng.uniform(*CALCIFIED_HU))


def put(image: Field, share: Field, hu: float) -> Field:
    """The image with a part of each voxel, ``share`` in [0, 1], replaced by something of ``hu``: a clot, an infarct."""
    return np.asarray(image + share * (np.float32(hu) - image), dtype=np.float32)
