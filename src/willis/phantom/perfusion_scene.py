"""Blood flow of a simulated brain: normal tissue, an occluded territory with core and penumbra, and what mimics one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.deform import Field, smooth_noise
from willis.phantom.labels import BRAIN, PARENCHYMA, RIGHT_SIDE, VENTRICLES, Tissue, lookup

Group = Literal["lvo", "non-lvo", "none"]
GROUPS: tuple[Group, ...] = ("lvo", "non-lvo", "none")
Mask = npt.NDArray[np.bool_]

LEENDERS = "Leenders 1990, doi:10.1093/brain/113.1.27 (PET)"
ASSUMED = "assumed"
FLOW: dict[Tissue, tuple[float, float, str]] = {  # CBF ml/100 g/min, CBV ml/100 g, source
    Tissue.WHITE_MATTER: (22.0, 2.2, LEENDERS),
    Tissue.CORTEX: (55.0, 4.2, f"{LEENDERS}; volume a little lower: {ASSUMED}"),
    Tissue.THALAMUS: (55.0, 4.0, f"as cortex: {ASSUMED}"),
    Tissue.CAUDATE: (50.0, 3.8, f"as cortex: {ASSUMED}"),
    Tissue.PUTAMEN: (55.0, 4.0, f"as cortex: {ASSUMED}"),
    Tissue.PALLIDUM: (40.0, 3.0, ASSUMED),
    Tissue.HIPPOCAMPUS: (45.0, 3.6, ASSUMED),
    Tissue.AMYGDALA: (45.0, 3.6, ASSUMED),
    Tissue.ACCUMBENS: (45.0, 3.6, ASSUMED),
    Tissue.VENTRAL_DC: (40.0, 3.2, ASSUMED),
    Tissue.BRAINSTEM: (35.0, 3.0, ASSUMED),
    Tissue.CEREBELLAR_WHITE_MATTER: (25.0, 2.4, ASSUMED),
    Tissue.CEREBELLAR_CORTEX: (55.0, 4.5, f"as cortex: {ASSUMED}"),
    Tissue.CHOROID_PLEXUS: (60.0, 6.0, ASSUMED),
    Tissue.SKIN: (8.0, 1.5, ASSUMED),
    Tissue.MUSCLE: (5.0, 1.5, ASSUMED),
}
HIND = (Tissue.BRAINSTEM, Tissue.CEREBELLAR_CORTEX, Tissue.CEREBELLAR_WHITE_MATTER, Tissue.FOURTH_VENTRICLE)
DEEP = (Tissue.CAUDATE, Tissue.PUTAMEN, Tissue.PALLIDUM, Tissue.THALAMUS)
SITES: dict[Group, tuple[str, ...]] = {
    "lvo": ("ICA", "M1", "M1", "M2 superior", "M2 inferior"),
    "non-lvo": ("M3", "M3", "A2", "P2", "perforator"),
    "none": ("nothing", "carotid stenosis", "old infarct"),
}
# where oligaemia, penumbra and core begin on the way from normal (0) to the worst-supplied tissue (1)
OLIGAEMIA_AT, PENUMBRA_AT, CORE_AT = 0.15, 0.45, 0.75
WORST_DELAY_S = (11.0, 16.0)
CORE_FLOW = (0.05, 0.2)  # of normal, in the middle of a core
CORE_BORDER_FLOW = (0.25, 0.38)  # of normal, where tissue dies in this patient: lower when it is seen early
PENUMBRA_DELAY_S = (5.2, 6.8)  # delay where tissue is threatened in this patient


@dataclass(frozen=True)
class Occlusion:
    """What is drawn of the disease.

    Parameters
    ----------
    group, site, right
        ``lvo``, ``non-lvo`` or ``none``; which artery, and whether on the right.
    collaterals
        0 for none to 1 for full supply from neighbours: how small the core stays.
    core_border_flow, penumbra_delay_s
        Part of normal flow below which, and delay in s above which, this patient's tissue is dying or threatened.
    worst_delay_s, core_flow
        In the middle of the core.
    """

    group: Group
    site: str
    right: bool
    collaterals: float
    core_border_flow: float
    penumbra_delay_s: float
    worst_delay_s: float
    core_flow: float

    def record(self) -> dict[str, Any]:
        """Plain values for a phantom's record."""
        return asdict(self)


@dataclass(frozen=True)
class FlowScene:
    """Perfusion on the anatomy's grid, each (I, J, K).

    Parameters
    ----------
    cbf, cbv
        ml/100 g/min and ml/100 g.
    delay_s
        After the chosen artery.
    core, penumbra
        The truth; neither overlaps the other.
    old
        An old infarct.
    """

    cbf: Field
    cbv: Field
    delay_s: Field
    core: Mask
    penumbra: Mask
    old: Mask


def draw_occlusion(rng: np.random.Generator, group: Group) -> Occlusion:
    """Draw the site, the side and how well neighbours help."""
    return Occlusion(
        group,
        str(rng.choice(SITES[group])),
        bool(rng.random() < 0.5),
        float(rng.beta(2.0, 2.0)),
        float(rng.uniform(*CORE_BORDER_FLOW)),
        float(rng.uniform(*PENUMBRA_DELAY_S)),
        float(rng.uniform(*WORST_DELAY_S)),
        float(rng.uniform(*CORE_FLOW)),
    )


def draw_flow(rng: np.random.Generator, codes: npt.NDArray[np.uint8], occlusion: Occlusion) -> FlowScene:
    """Flow of a labelled head with that occlusion."""
    cbf, cbv = _normal(rng, codes)
    delay = np.clip(0.6 + 0.4 * smooth_noise(rng, codes.shape, 14), 0, 1.8).astype(np.float32)
    delay += 0.7 * lookup((Tissue.WHITE_MATTER,))[codes]
    living = lookup(PARENCHYMA)[codes]
    nowhere = np.zeros(codes.shape, dtype=bool)
    if occlusion.group == "none":
        old = _quiet(rng, codes, occlusion, cbf, cbv, delay)
        return FlowScene(cbf, cbv, delay, nowhere, nowhere, old)
    severity = severity_of(rng, codes, occlusion)
    penumbra_from = 1 - (1 - PENUMBRA_AT) * (0.75 + 0.25 * (1 - occlusion.collaterals))
    at = (0, OLIGAEMIA_AT, penumbra_from, CORE_AT, 1)
    core_delay = max(0.75 * occlusion.worst_delay_s, occlusion.penumbra_delay_s + 1)
    delay += np.interp(severity, at, (0, 1.5, occlusion.penumbra_delay_s - 1, core_delay - 1, occlusion.worst_delay_s))
    cbf *= np.interp(severity, at, (1, 0.85, 0.6, occlusion.core_border_flow, occlusion.core_flow)).astype(np.float32)
    cbv *= np.interp(severity, at, (1, 1.1, 1.2, 0.75, 0.3)).astype(np.float32)
    core = living & (severity >= CORE_AT)
    penumbra = living & (severity >= penumbra_from) & ~core
    return FlowScene(cbf, cbv, delay, core, penumbra, nowhere)


def severity_of(rng: np.random.Generator, codes: npt.NDArray[np.uint8], occlusion: Occlusion) -> Field:
    """(I, J, K) 0 where supply is normal, 1 where it is worst: deepest in the territory, far from its neighbours."""
    territory = territory_of(rng, codes, occlusion)
    if not territory.any():
        return np.zeros(codes.shape, dtype=np.float32)
    box = tuple(slice(max(s.start - 2, 0), s.stop + 2) for s in ndimage.find_objects(territory.astype(np.uint8))[0])
    outside = lookup(BRAIN)[codes[box]] & ~territory[box]
    depth = ndimage.distance_transform_edt(~outside).astype(np.float32) * territory[box]
    reach = float(np.percentile(depth[territory[box]], 98))
    small = occlusion.group == "non-lvo"
    deepest = 1.15 - (0.35 if small else 0.7) * occlusion.collaterals
    local = depth / max(reach, 1.0)
    rough = 0.12 * smooth_noise(rng, local.shape, 7)
    severity = np.zeros(codes.shape, dtype=np.float32)
    severity[box] = np.clip(deepest * np.sqrt(np.clip(local, 0, 1)) + rough * (local > 0), 0, 1) * territory[box]
    return severity


def territory_of(rng: np.random.Generator, codes: npt.NDArray[np.uint8], occlusion: Occlusion) -> Mask:
    """(I, J, K) brain that the occluded artery feeds; shapes and borders are assumed, and vary."""
    brain = lookup(BRAIN)[codes]
    side = brain & ((_right_half(codes)) if occlusion.right else ~_right_half(codes))
    x, y, z = _place(codes, brain)
    wavy = 0.06 * smooth_noise(rng, codes.shape, 16)
    above = side & ~lookup(HIND)[codes]
    anterior = (x + wavy < 0.24 + 0.1 * (y > 0.55)) & (y > -0.25) & (z > -0.1)
    posterior = (y + wavy < -0.5) | ((z < -0.25) & (x + wavy < 0.45) & (y < 0.0)) | ((x < 0.22) & (y < -0.25))
    middle = above & ~anterior & ~posterior
    if occlusion.site == "ICA":
        return middle | (above & anterior)
    if occlusion.site == "M1":
        return middle
    deep = lookup(DEEP)[codes]
    if occlusion.site == "M2 superior":
        return middle & ~deep & (y + wavy > -0.12) & (x > 0.3)
    if occlusion.site == "M2 inferior":
        return middle & ~deep & (y + wavy < 0.05) & (x > 0.3)
    return _small_territory(rng, codes, occlusion, {"M3": middle & ~deep & (x > 0.4), "A2": above & anterior,
                                                    "P2": above & posterior, "perforator": side & deep})  # fmt: skip


def _small_territory(
    rng: np.random.Generator, codes: npt.NDArray[np.uint8], occlusion: Occlusion, regions: dict[str, Mask]
) -> Mask:
    """A part of a region about one of its points: a branch's, or a perforator's."""
    places = np.argwhere(regions[occlusion.site])
    if len(places) == 0:
        return np.zeros(codes.shape, dtype=bool)
    centre = places[int(rng.integers(len(places)))]
    radius = rng.uniform(5, 8) if occlusion.site == "perforator" else rng.uniform(14, 26)
    index: tuple[Field, ...] = np.indices(codes.shape, dtype=np.float32, sparse=True)
    away = sum((i - c) ** 2 for i, c in zip(index, centre, strict=True))
    near = np.sqrt(np.asarray(away)) + 3 * smooth_noise(rng, codes.shape, 8) < radius
    return np.asarray(near & lookup(BRAIN)[codes] & (_right_half(codes) == occlusion.right))


def _normal(rng: np.random.Generator, codes: npt.NDArray[np.uint8]) -> tuple[Field, Field]:
    """CBF and CBV of a healthy brain, with a person's own level and slow unevenness."""
    flow, volume = np.zeros((2, 256), dtype=np.float32)
    own_flow, own_volume = np.exp(rng.normal(0, 0.12)), np.exp(rng.normal(0, 0.06))
    for tissue, (cbf, cbv, _) in FLOW.items():
        flow[[tissue, tissue | RIGHT_SIDE]] = cbf * own_flow
        volume[[tissue, tissue | RIGHT_SIDE]] = cbv * own_flow * own_volume
    uneven = 1 + 0.05 * smooth_noise(rng, codes.shape, 12)
    return flow[codes] * uneven, volume[codes] * uneven


def _quiet(
    rng: np.random.Generator, codes: npt.NDArray[np.uint8], occlusion: Occlusion, cbf: Field, cbv: Field, delay: Field
) -> Mask:
    """What looks like a stroke and is none; the maps are changed. The old infarct's mask is given back."""
    nowhere = np.zeros(codes.shape, dtype=bool)
    if occlusion.site == "carotid stenosis":
        late = territory_of(rng, codes, replace(occlusion, site="ICA"))
        soft = ndimage.gaussian_filter(late.astype(np.float32), 3)
        delay += float(rng.uniform(1.5, 3.8)) * soft
        cbv *= 1 + 0.1 * soft
        return nowhere
    if occlusion.site == "old infarct":
        middle = territory_of(rng, codes, replace(occlusion, site="M1"))
        old = _small_territory(rng, codes, replace(occlusion, site="M3"), {"M3": middle}) & lookup(PARENCHYMA)[codes]
        cbf[old] *= 0.1
        cbv[old] *= 0.12
        return old
    return nowhere


def _right_half(codes: npt.NDArray[np.uint8]) -> Mask:
    """Whether a voxel lies on the patient's right, by the middle of the brain, which is nearly upright."""
    right = (codes & RIGHT_SIDE).astype(bool)
    sided = lookup((Tissue.WHITE_MATTER, Tissue.CORTEX))[codes]
    places = np.nonzero(sided[:, ::4, ::4])
    label = right[:, ::4, ::4][places]
    on_right, on_left = float(places[0][label].mean()), float(places[0][~label].mean())
    middle, direction = 0.5 * (on_right + on_left), 1 if on_right > on_left else -1
    index = np.arange(codes.shape[0])[:, None, None]
    return np.broadcast_to(direction * (index - middle) > 0, codes.shape)


def _place(codes: npt.NDArray[np.uint8], brain: Mask) -> tuple[Field, Field, Field]:
    """Distance from the middle plane (0 to 1), place from back to front (-1 to 1) and from below to above (-1 to 1)."""
    cerebrum = lookup((Tissue.WHITE_MATTER, Tissue.CORTEX, *VENTRICLES))[codes]
    box = ndimage.find_objects(cerebrum.astype(np.uint8))[0]
    axes = [(np.arange(n, dtype=np.float32) - (s.start + s.stop - 1) / 2) / ((s.stop - s.start) / 2)
            for n, s in zip(codes.shape, box, strict=True)]  # fmt: skip
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    return np.abs(x), y, z
