"""Patients with a CT perfusion series: contrast passing through a head on a CT scanner, with the truth behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.anatomy import Anatomy
from willis.phantom.ct import draw_hu, ideal_ct, put
from willis.phantom.ct_scan import (
    BLUR_MM,
    CtProtocol,
    attenuation_profile,
    ct_grid,
    ct_noise,
    ct_volume,
    projection_errors,
    sampled,
)
from willis.phantom.deform import Field
from willis.phantom.head import draw_head, draw_pose
from willis.phantom.labels import BRAIN, lookup
from willis.phantom.patient import Patient
from willis.phantom.perfusion_curves import (
    Input,
    Residue,
    arterial_curve,
    dispersed,
    draw_input,
    draw_residue,
    tissue_curves,
)
from willis.phantom.perfusion_scene import GROUPS, FlowScene, Group, Occlusion, draw_flow, draw_occlusion
from willis.phantom.perfusion_vessels import arteries, veins
from willis.phantom.protocols import BRAIN_ABOVE_MIDDLE_MM, HEAD_SHAPE
from willis.phantom.scanner import Protocol, scanner_grid
from willis.study import Study
from willis.volume.grid import Grid
from willis.volume.series import Series
from willis.volume.volume import Volume

GROUP_SHARES = (0.5, 0.3, 0.2)  # of lvo, non-lvo, none
TRUTH_FRACTION = 0.5  # of a voxel that a lesion must fill to count
VEIN_LATE_S = (3.5, 5.5)  # how much later than the arteries contrast reaches the sinuses
VEIN_SPREAD_S = 2.5
NOISE_HU = (2.0, 4.5)  # of one frame at 5 mm and 256 pixels, after the smooth kernels of perfusion; assumed
OLD_AGE, AGE_SPREAD, AGES = 71.0, 12.0, (25.0, 97.0)  # years; assumed
NIHSS_MOST = 42


@dataclass(frozen=True)
class SeriesPlan:
    """How the series is taken: pixels of a side, slice thickness, number of slices, frame times, faults.

    Parameters
    ----------
    side, slice_mm, slices
        Of the grid; the field of view is 220 mm.
    times_s
        (T,).
    noise_hu
        Of one frame.
    moves
        (T, 3) shift of the head in each frame, mm.
    """

    side: int
    slice_mm: float
    slices: int
    times_s: npt.NDArray[np.float64]
    noise_hu: float
    moves: npt.NDArray[np.float64]


def perfusion_patient(
    rng: np.random.Generator, anatomy: Anatomy, subject: str, *, contrast: str = "physics", group: Group | None = None,
    site: str | None = None, side: int = 192, noise: float = 1.0, residue: str = "exponential",
) -> Patient:  # fmt: skip
    """Draw one patient.

    Parameters
    ----------
    group
        ``lvo``, ``non-lvo`` or ``none``; drawn when None.
    site
        One of :data:`willis.phantom.perfusion_scene.SITES` of the group; drawn when None.
    side
        Pixels of a side of a slice.
    noise
        Times the noise that is drawn; 0 for none.
    residue
        The tissue's residue function: ``exponential``, ``box``, ``gamma``, or ``drawn`` for each patient. It is drawn
        beside all else, which stays as it is.

    Raises
    ------
    BadInputError
        When there is no such residue function.
    """
    flowing = draw_residue(rng.spawn(1)[0], residue)
    drawn: Group = group or GROUPS[int(rng.choice(3, p=GROUP_SHARES))]
    occlusion = draw_occlusion(rng, drawn)
    if site is not None:
        occlusion = Occlusion(**{**occlusion.record(), "site": site})
    age = float(np.clip(rng.normal(OLD_AGE, AGE_SPREAD), *AGES))
    head = draw_head(
        rng, anatomy, draw_pose(rng, middle_mm=(0.0, 0.0, BRAIN_ABOVE_MIDDLE_MM)), HEAD_SHAPE, 1.0, distances=False
    )
    base = scanner_grid("RAS", HEAD_SHAPE, (1.0, 1.0, 1.0), rng.uniform(-15, 15, 3))
    flow = draw_flow(rng, head.codes, occlusion)
    plan = draw_plan(rng, side)
    protocol = _protocol(rng, plan, base)
    source = draw_input(rng)
    hu = draw_hu(rng, age)
    ideal = put(ideal_ct(rng, head.codes, hu), flow.old.astype(np.float32), hu["old infarct"])
    still = sampled(ideal, base, protocol)
    still = still + projection_errors(rng, still, protocol)
    maps = _on_scanner(flow, head.codes, base, protocol)
    vessels = {
        "artery": sampled(arteries(rng, head.codes, occlusion), base, protocol, 0.0),
        "vein": sampled(veins(head.codes), base, protocol, 0.0),
    }
    series = _series(rng, still, maps, vessels, source, flowing, plan, protocol, noise)
    truth = _truth(maps, protocol.grid)
    scalars = _clinical(rng, occlusion, truth, age)
    row = {"group": drawn, "site": occlusion.site, **_measured(truth), **scalars, "anatomy": head.anatomy}
    parameters: dict[str, Any] = {
        "contrast": contrast,
        "anatomy": head.anatomy,
        "pose": head.pose.record(),
        "occlusion": occlusion.record(),
        "input": source.record(),
        "series": {**protocol.record(), "frames": len(plan.times_s), "noise_hu": plan.noise_hu * noise},
    }
    if flowing != Residue():
        parameters["residue"] = flowing.record()
    study = Study({}, scalars=scalars, subject=subject, series={"ctp": series})
    return Patient(study, truth, row, parameters)


def draw_plan(rng: np.random.Generator, side: int) -> SeriesPlan:
    """Draw how a series is taken: 8 to 32 slices, frames every 1 to 2 s, later ones rarer in some, few cut short."""
    slice_mm, slices = [(5.0, 24), (5.0, 32), (8.0, 12), (10.0, 12)][int(rng.integers(4))]
    step = float(rng.choice([1.0, 1.5, 1.5, 2.0]))
    length = float(rng.uniform(40, 46) if rng.random() < 0.1 else rng.uniform(55, 75))
    times = np.arange(0.0, length, step)
    if rng.random() < 0.3:
        times = np.concatenate([times[times < 40], np.arange(40.0, length, 2 * step)])
    moves = np.zeros((len(times), 3))
    if rng.random() < 0.3:
        start = int(rng.integers(len(times) // 4, len(times)))
        moves[start:] = rng.normal(0, 1.2, 3)
    return SeriesPlan(side, slice_mm, slices, times, float(rng.uniform(*NOISE_HU)), moves)


def _protocol(rng: np.random.Generator, plan: SeriesPlan, base: Grid) -> CtProtocol:
    pixel = 220.0 / plan.side
    height = plan.slice_mm * plan.slices
    middle = base.centre_mm + np.array([0, 0, BRAIN_ABOVE_MIDDLE_MM + float(rng.uniform(-5, 10)) * (height < 130)])
    grid = ct_grid((plan.side, plan.side, plan.slices), (pixel, pixel, plan.slice_mm), middle, 0.0)
    noise = plan.noise_hu * float(np.sqrt(5.0 / plan.slice_mm) * plan.side / 256)
    geometry = Protocol(grid, 2, plan.slice_mm, np.eye(4), noise, 0.0, 0.0, 1.0, BLUR_MM["soft"] + 0.4)
    return CtProtocol(geometry, "soft", 0.0, float(rng.uniform(0.1, 0.4)), 0.0)


def _on_scanner(flow: FlowScene, codes: npt.NDArray[np.uint8], base: Grid, protocol: CtProtocol) -> dict[str, Field]:
    """The scene's fields averaged over the scanner's voxels; delay is weighted by flow."""
    cbf = np.maximum(sampled(flow.cbf, base, protocol, 0.0), 0)
    maps = {
        "cbf": cbf,
        "cbv": np.maximum(sampled(flow.cbv, base, protocol, 0.0), 0),
        "tmax": np.divide(sampled(flow.cbf * flow.delay_s, base, protocol, 0.0), cbf, out=np.zeros_like(cbf),
                          where=cbf > 0.5),
    }  # fmt: skip
    masks = {"brain": lookup(BRAIN)[codes], "core": flow.core, "penumbra": flow.penumbra, "old": flow.old}
    for name, mask in masks.items():
        maps[name] = sampled(mask.astype(np.float32), base, protocol, 0.0)
    return maps


def _series(
    rng: np.random.Generator, still: Field, maps: dict[str, Field], vessels: dict[str, Field], source: Input,
    flowing: Residue, plan: SeriesPlan, protocol: CtProtocol, noise: float,
) -> Series:  # fmt: skip
    """All frames, whole HU."""
    fine = np.arange(0.0, plan.times_s[-1] + 0.1, 0.1)
    arterial = arterial_curve(fine, source)
    late = float(rng.uniform(*VEIN_LATE_S))
    venous = np.interp(fine - late, fine, dispersed(arterial, fine, VEIN_SPREAD_S), left=0.0)
    fed = maps["cbf"] > 0.2
    cbf, cbv = maps["cbf"][fed], maps["cbv"][fed]
    mtt = np.clip(60 * cbv / cbf, 1.0, 40.0)
    curves = tissue_curves(plan.times_s, source, cbf, mtt, maps["tmax"][fed], flowing.kind, flowing.shape)
    sigma = noise * protocol.geometry.noise * attenuation_profile(still)
    spacing = protocol.grid.spacing_mm
    frames = []
    for index, time in enumerate(plan.times_s):
        image = still.copy()
        image[fed] += curves[:, index]
        image += vessels["artery"] * float(np.interp(time, fine, arterial))
        image += vessels["vein"] * float(np.interp(time, fine, venous))
        if plan.moves[index].any():
            image = ndimage.shift(image, plan.moves[index] / spacing, order=1, mode="nearest")
        if noise:
            image = image + sigma * ct_noise(rng, image.shape, spacing, "soft")
        frames.append(ct_volume(image, protocol.grid).data)
    return Series(np.stack(frames, axis=3), protocol.grid, plan.times_s, "ctp", "HU")


def _truth(maps: dict[str, Field], grid: Grid) -> dict[str, Volume]:
    core = maps["core"] >= TRUTH_FRACTION
    threatened = maps["core"] + maps["penumbra"] >= TRUTH_FRACTION
    truth = {
        name: Volume(mask.astype(np.uint8), grid, role=name)
        for name, mask in (
            ("core", core),
            ("penumbra", threatened & ~core),
            ("brain", maps["brain"] >= TRUTH_FRACTION),
            ("old", maps["old"] >= TRUTH_FRACTION),
        )
    }
    mtt = np.divide(60 * maps["cbv"], maps["cbf"], out=np.zeros_like(maps["cbf"]), where=maps["cbf"] > 0.5)
    for name, values, unit in (
        ("cbf", maps["cbf"], "ml/100g/min"), ("cbv", maps["cbv"], "ml/100g"), ("mtt", mtt, "s"),
        ("tmax", maps["tmax"], "s"),
    ):  # fmt: skip
        truth[name] = Volume(values.astype(np.float32), grid, role=name, unit=unit)
    return truth


def _measured(truth: dict[str, Volume]) -> dict[str, Any]:
    """True volumes in ml."""
    return {f"{name}_volume_ml": round(truth[name].volume_ml, 3) for name in ("core", "penumbra", "brain", "old")}


def _clinical(rng: np.random.Generator, occlusion: Occlusion, truth: dict[str, Volume], age: float) -> dict[str, float]:
    """NIHSS by hypoperfused volume, higher on the left, as it weighs language; age; sex (0 male, 1 female)."""
    hypoperfused = truth["core"].volume_ml + truth["penumbra"].volume_ml
    score = 1.5 * np.sqrt(hypoperfused) * (1.0 if occlusion.right else 1.25) + rng.normal(0, 2.5)
    if occlusion.group == "none":
        score = rng.exponential(1.5)
    return {
        "nihss": float(np.clip(round(float(score)), 0, NIHSS_MOST)),
        "age": round(age),
        "sex": float(rng.random() < 0.47),
    }
