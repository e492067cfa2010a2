"""Patient: a simulated person as a scanner would show them, with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import invalid_option
from willis.phantom.anatomy import Anatomy, builtin_anatomy
from willis.phantom.contrast import Palette, draw_person, fat_saturated, flair_palette, random_pair, t1_palette
from willis.phantom.deform import Field
from willis.phantom.head import Head, draw_head, draw_pose
from willis.phantom.labels import BRAIN, RIGHT_REGION, RIGHT_SIDE, VENTRICLES, Region, Tissue, lookup
from willis.phantom.lesions import Lesions, LesionScene, draw_lesions
from willis.phantom.painting import TRUTH_FRACTION, paint, regions
from willis.phantom.scanner import Protocol, bring, fraction, rigid, scan, scanner_grid
from willis.study import Study
from willis.volume.grid import Grid
from willis.volume.volume import Volume

Contrast = Literal["physics", "random"]

HEAD_SHAPE = (184, 232, 232)  # 1 mm voxels of the anatomy's grid
BRAIN_ABOVE_MIDDLE_MM = 22.0  # the brain lies in the upper part of that grid
FAR_MM = 25.5  # distances end here
STORED_WHITE = 400.0  # value of white matter in a stored image, before each scanner's own scale


@dataclass(frozen=True)
class Patient:
    """One simulated patient.

    Parameters
    ----------
    study
        The images, each on its own grid, ``uint16``.
    truth
        ``wmh``, ``brain``, ``ventricles``, ``regions`` on the FLAIR's grid; the same with ``_anatomy`` on the 1 mm grid
        of the anatomy, where the T1's head lies; ``fraction_anatomy``, the lesion fraction of each of its voxels.
    row
        True volumes (ml) and counts, for ``truth.tsv``.
    parameters
        Everything drawn.
    """

    study: Study
    truth: dict[str, Volume]
    row: dict[str, Any]
    parameters: dict[str, Any]


def make_patient(
    task: Literal["wmh"], seed: int, index: int, anatomies: Sequence[Anatomy] | None = None, *,
    contrast: Contrast = "physics", load_ml: float | None = None,
) -> Patient:  # fmt: skip
    """Simulate one patient; the same arguments give the same arrays.

    Parameters
    ----------
    task
        Whose images and truth are wanted.
    seed, index
        Of the cohort, and of the patient in it.
    anatomies
        Heads to choose from; the built-in one when None.
    contrast
        ``physics``: values by the signal equations; ``random``: tissue values drawn beyond physics.
    load_ml
        Volume of lesions to aim at; drawn when None.

    Raises
    ------
    BadInputError
        When ``task`` or ``contrast`` isn't one of those named.
    """
    if task != "wmh":
        raise invalid_option("task", task, ["wmh"])
    if contrast not in ("physics", "random"):
        raise invalid_option("contrast", contrast, ["physics", "random"])
    rng = np.random.default_rng([seed, index, 3])
    heads = list(anatomies) if anatomies else [builtin_anatomy()]
    anatomy = heads[int(rng.integers(len(heads)))]
    return _wmh_patient(rng, anatomy, f"{index + 1:04d}", contrast, load_ml, {"seed": seed, "index": index})


def _wmh_patient(
    rng: np.random.Generator, anatomy: Anatomy, subject: str, contrast: Contrast, load_ml: float | None,
    origin: dict[str, int],
) -> Patient:  # fmt: skip
    pose = draw_pose(rng, middle_mm=(0.0, 0.0, BRAIN_ABOVE_MIDDLE_MM))
    head = draw_head(rng, anatomy, pose, HEAD_SHAPE, 1.0, distances=False)
    isocentre = rng.uniform(-15, 15, 3)
    base = scanner_grid("RAS", HEAD_SHAPE, (1.0, 1.0, 1.0), isocentre)
    scene = measured_scene(head)
    lesions = draw_lesions(rng, scene, load_ml)
    tissue, strength = draw_person(rng)
    flair_3d = bool(rng.random() < 0.3)
    protocols = {"t1": t1_protocol(rng, base), "flair": flair_protocol(rng, base, volumetric=flair_3d)}
    if contrast == "random":
        palettes = random_pair(rng)
    else:
        palettes = {
            "t1": t1_palette(rng, tissue, strength, volumetric=True),
            "flair": fat_saturated(rng, flair_palette(rng, tissue, strength)),
        }
    volumes = {
        role: _scanned(rng, head, lesions, base, palettes[role], protocols[role], role) for role in ("t1", "flair")
    }
    truth = _truth(head, scene, lesions, base, protocols["flair"])
    row = {"participant_id": f"sub-{subject}", **_measured(truth), "anatomy": head.anatomy}
    parameters = {
        **origin,
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
    return Patient(Study(volumes, subject=subject), truth, row, parameters)


def measured_scene(head: Head) -> LesionScene:
    """The scene with distances measured in the deformed head itself, mm; far away outside the brain."""
    brain = lookup(BRAIN)[head.codes]
    box = ndimage.find_objects(brain.astype(np.uint8))[0]
    codes = head.codes[box]
    sided = lookup((Tissue.WHITE_MATTER, Tissue.CORTEX))[codes]
    right = (codes & RIGHT_SIDE).astype(bool)

    def distance(inside: npt.NDArray[np.bool_]) -> Field:
        far = np.full(head.codes.shape, np.float32(FAR_MM))
        far[box] = np.minimum(ndimage.distance_transform_edt(~inside), FAR_MM)
        return far

    ventricles = (Tissue.LATERAL_VENTRICLE, Tissue.INFERIOR_HORN, Tissue.THIRD_VENTRICLE, Tissue.CHOROID_PLEXUS)
    return LesionScene(
        head.codes,
        distance(lookup(ventricles)[codes]),
        distance(lookup((Tissue.CORTEX,))[codes]),
        np.maximum(distance(sided & right), distance(sided & ~right)),
    )


def t1_protocol(rng: np.random.Generator, base: Grid) -> Protocol:
    """A sagittal 3D acquisition of about 1 mm."""
    spacing = (float(rng.uniform(0.9, 1.2)), *(2 * [float(rng.choice([0.94, 1.0, 1.0, 1.05]))]))
    shape = tuple(int(np.ceil(n / s / 2)) * 2 for n, s in zip((176, 240, 236), spacing, strict=True))
    code = str(rng.choice(["RAS", "PSR", "PIR", "LIA", "ASL"]))
    order = [next(w for w, names in enumerate(("LR", "PA", "IS")) if letter in names) for letter in code]
    grid = scanner_grid(
        code,
        (shape[order[0]], shape[order[1]], shape[order[2]]),
        (spacing[order[0]], spacing[order[1]], spacing[order[2]]),
        base.centre_mm + rng.uniform(-3, 3, 3),
        np.deg2rad(rng.normal(0, 2.0, 3)),
    )
    return _drawn_protocol(rng, grid, None, spacing[0], np.eye(4))


def flair_protocol(rng: np.random.Generator, base: Grid, *, volumetric: bool) -> Protocol:
    """Axial slices of 3 to 5 mm, tilted towards the line of the callosum, or a 3D acquisition."""
    brain_mm = base.centre_mm + np.array([0, 0, BRAIN_ABOVE_MIDDLE_MM])
    motion = rigid(np.deg2rad(rng.normal(0, 2.0, 3)), rng.normal(0, 2.0, 3), brain_mm)
    tilt = np.deg2rad([rng.normal(-6, 8), rng.normal(0, 2), rng.normal(0, 2)])
    if volumetric:
        spacing = float(rng.uniform(0.95, 1.25))
        shape = (int(180 / spacing), int(236 / spacing), int(220 / spacing))
        grid = scanner_grid("RAS", shape, (spacing, spacing, spacing), base.centre_mm, tilt)
        return _drawn_protocol(rng, grid, None, spacing, motion)
    in_plane = float(rng.uniform(0.6, 0.95))
    distance = float(rng.uniform(3.0, 5.5))
    gap = float(rng.choice([0.0, rng.uniform(0.0, 0.2)]))
    side = int(np.ceil(236 / in_plane / 16)) * 16
    code = str(rng.choice(["LPS", "LAS", "RAS"]))
    shape = (side, side, int(np.ceil(162 / distance)))
    grid = scanner_grid(code, shape, (in_plane, in_plane, distance), brain_mm, tilt)
    return _drawn_protocol(rng, grid, 2, distance * (1 - gap), motion)


def _drawn_protocol(
    rng: np.random.Generator, grid: Grid, slice_axis: int | None, slice_mm: float, motion: npt.NDArray[np.float64]
) -> Protocol:
    return Protocol(
        grid,
        slice_axis,
        slice_mm,
        motion,
        noise=float(np.exp(rng.uniform(np.log(0.01), np.log(0.05)))),
        bias=float(rng.uniform(0.02, 0.15)),
        ghost=float(rng.uniform(0.3, 1.5)) if rng.random() < 0.1 else 0.0,
        apodise=float(rng.uniform(0.3, 1.0)),
        blur_mm=float(rng.uniform(0.4, 0.7)),
    )


def _scanned(
    rng: np.random.Generator, head: Head, lesions: Lesions, base: Grid, palette: Palette, protocol: Protocol, role: str
) -> Volume:
    ideal = paint(rng, head.codes, palette, lesions)
    image = scan(rng, ideal, base, protocol) * (STORED_WHITE * float(np.exp(rng.normal(0, 0.4))))
    return Volume(np.clip(np.rint(image), 0, 65535).astype(np.uint16), protocol.grid, role=role)


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
