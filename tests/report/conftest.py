"""A made-up patient for the report: a smooth head with ventricles, and a few spheres as lesions."""

import numpy as np
import pytest

from willis.draw.charts import bar_chart
from willis.draw.mosaic import axial_mosaic
from willis.draw.overlay import heat_mosaic, registration_overlay
from willis.draw.palette import BRAIN, FOUND
from willis.draw.panel import Outline
from willis.draw.views import plane_views
from willis.findings import Figure, Findings, Lesion, Mask, Measurement
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SPACING = (2.0, 2.0, 3.0)
REGIONS = ("periventricular", "deep", "juxtacortical", "cerebellar")
SPHERES = [  # centre in mm RAS+, radius in mm
    ((-24, 18, 12), 9.0), ((24, 14, 12), 8.0), ((-28, -24, 18), 7.0), ((30, -26, 16), 6.5), ((-38, 4, 28), 5.0),
    ((36, 10, 30), 4.5), ((-20, 34, 20), 4.0), ((44, -8, 14), 4.0), ((-46, -14, 6), 3.6), ((18, 40, 6), 3.4),
    ((-12, -44, 22), 3.2), ((26, -40, 30), 3.0), ((-32, 26, 34), 3.0), ((14, -16, 44), 2.8), ((-14, 8, 46), 2.8),
    ((40, 22, 8), 2.6), ((-44, 16, 0), 2.6), ((20, 2, 40), 2.4),
]  # fmt: skip


def made_up_head() -> tuple[Volume, Volume, np.ndarray]:
    """FLAIR-like scan, brain mask, and lesion labels by falling volume."""
    shape = (84, 102, 50)
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-83.0, -101.0, -62.0)
    grid = Grid(shape, affine)
    x, y, z = np.moveaxis(grid.to_mm(np.stack(np.indices(shape), axis=-1)), -1, 0)
    brain = (x / 66) ** 2 + (y / 82) ** 2 + (z / 58) ** 2 < 1
    folds = np.sin(x / 5.0 + 2 * np.sin(z / 14)) * np.sin(y / 5.5) * np.cos(z / 6.5)
    depth = 1 - np.sqrt((x / 66) ** 2 + (y / 82) ** 2 + (z / 58) ** 2)
    ventricles = ((np.abs(x) - 10) / 7) ** 2 + ((y + 2) / 30) ** 2 + ((z - 12) / 11) ** 2 < 1
    flair = np.where(depth > 0.16, 300, 380 + 60 * folds) * brain
    flair[ventricles] = 90
    labels = np.zeros(shape, np.uint8)
    for index, ((a, b, c), radius) in enumerate(SPHERES, start=1):
        inside = (x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 < radius**2
        labels[inside & brain & ~ventricles & (labels == 0)] = index
    flair = flair + 260 * (labels > 0) + np.random.default_rng(1).normal(0, 12, shape) * brain
    return Volume(flair.astype(np.float32), grid, "flair"), Volume(brain.astype(np.uint8), grid, "brain"), labels


@pytest.fixture(scope="session")
def example_findings() -> Findings:
    flair, brain, labels = made_up_head()
    mask = flair.with_data((labels > 0).astype(np.uint8), role="wmh")
    probability = flair.with_data(np.where(labels > 0, 0.9, 0.02).astype(np.float32) * brain.data, role="wmh")
    t1 = flair.with_data((700 - flair.data) * (brain.data > 0), role="t1")
    lesions = made_up_lesions(flair, labels)
    regions = made_up_regions(lesions)
    outline, edge = Outline(mask, FOUND, "WMH found"), Outline(brain, BRAIN, "brain mask")
    box = Grid((160, 214, 176), np.array([[1, 0, 0, -80], [0, 1, 0, -107], [0, 0, 1, -75], [0, 0, 0, 1.0]]))
    figures = [
        Figure("mosaic", "Axial FLAIR slices with the WMH found outlined. Slices are chosen to cover the brain and to "
               "show most of what was found.", "result", axial_mosaic(flair, [outline], within=brain)),
        Figure("probability", "Probability of WMH, mean of the model's members.", "result",
               heat_mosaic(flair, probability, "probability", within=brain)),
        Figure("regions", "WMH volume by region and side.", "regions", bar_chart(
            {r["region"]: {"right": r["right_ml"], "left": r["left_ml"]} for r in regions}, unit="ml"),
            alt="Bars: periventricular and deep lesions hold most of the volume on both sides.", kind="chart"),
        Figure("registration", "FLAIR laid on T1. Edges of the T1 should follow those of the FLAIR, and borders "
               "should run on across the fields of the checkerboard.", "quality",
               registration_overlay(t1, flair, names=("T1", "FLAIR"), within=brain)),
        Figure("brain", "Brain mask, and the field of view given to the network.", "quality",
               plane_views(flair, (0, -5, 10), [edge], box=box)),
    ]  # fmt: skip
    return Findings(
        task="wmh",
        prefix="sub-01",
        summary=f"White matter hyperintensities of {mask.volume_ml:.1f} ml in {len(lesions)} lesions, "
        f"{100 * mask.volume_ml / brain.volume_ml:.1f} % of the brain. Most lie around the ventricles.",
        masks=[Mask("wmh", "flair", mask), Mask("brain", "flair", brain)],
        probabilities=[Mask("wmh", "flair", probability)],
        measurements=made_up_measurements(mask, brain, lesions, regions),
        lesions=lesions,
        tables={"regions": regions},
        figures=figures,
        provenance=MADE_UP_PROVENANCE,
        notes=(
            "The FLAIR's slices are 3 mm thick: lesions below about 3 mm may be missed.",
            "qform and sform of the T1 differ by 0.3 mm; the sform was used.",
        ),
    )


def made_up_lesions(flair: Volume, labels: np.ndarray) -> list[Lesion]:
    order = np.argsort(-np.bincount(labels.ravel(), minlength=len(SPHERES) + 1)[1:], kind="stable")
    found = []
    for rank, label in enumerate(order, start=1):
        where = np.argwhere(labels == label + 1)
        x, y, z = flair.grid.to_mm(where.mean(axis=0))
        region = f"{REGIONS[min(label // 6, 3)]} {'right' if x > 0 else 'left'}"
        volume = len(where) * flair.grid.voxel_ml
        found.append(Lesion(rank, volume, (float(x), float(y), float(z)), region, 0.93 - 0.015 * rank))
    return found


def made_up_regions(lesions: list[Lesion]) -> list[dict]:
    rows = []
    for region in REGIONS:
        sides = {s: [n for n in lesions if n.region == f"{region} {s}"] for s in ("right", "left")}
        rows.append({
            "region": region,
            "right_ml": sum(n.volume_ml for n in sides["right"]), "left_ml": sum(n.volume_ml for n in sides["left"]),
            "right_count": len(sides["right"]), "left_count": len(sides["left"]),
        })  # fmt: skip
    return rows


def made_up_measurements(mask: Volume, brain: Volume, lesions: list[Lesion], regions: list[dict]) -> dict:
    total = mask.volume_ml
    share = 100 * total / brain.volume_ml
    rows = [
        Measurement("wmh_volume", total, "ml", (0.89 * total, 1.12 * total), "WMH volume"),
        Measurement("wmh_count", len(lesions), "count", (16, 21), "Lesions"),
        Measurement("wmh_brain_share", share, "%", (0.89 * share, 1.12 * share), "WMH share of the brain mask"),
        Measurement("brain_volume", brain.volume_ml, "ml", None, "Volume of the brain mask"),
    ]
    for row in regions:
        for side in ("left", "right"):
            value = row[f"{side}_ml"]
            name = f"wmh_{row['region']}_{side}_volume"
            label = f"WMH volume, {row['region']}, {side}"
            rows.append(Measurement(name, value, "ml", (0.85 * value, 1.2 * value), label))
    rows.append(Measurement("asymmetry", None, "1", None, "Asymmetry of cerebellar volume"))
    return {row.name: row for row in rows}


MADE_UP_PROVENANCE = {
    "task": "wmh",
    "title": "White matter hyperintensities",
    "created": "2026-03-02T09:30:00+00:00",
    "inputs": {
        "t1": {"file": "sub-01_T1w.nii.gz", "sha256": "9f2c" * 16, "shape": [176, 256, 256],
               "spacing_mm": [1.0, 0.9766, 0.9766], "orientation": "RAS",
               "notes": ["qform and sform differ by 0.3 mm; the sform was used."]},
        "flair": {"file": "sub-01_FLAIR.nii.gz", "sha256": "07ae" * 16, "shape": [84, 102, 50],
                  "spacing_mm": [2.0, 2.0, 3.0], "orientation": "RAS", "notes": []},
    },
    "bundles": [
        {"name": "wmh", "version": "1.0.0", "title": "WMH on T1 and FLAIR, trained on phantoms", "sha256": "c0de" * 16,
         "members": 3, "licence": "Apache-2.0", "intended_use": "Research on small vessel disease in adults.",
         "citation": [], "source": "recipes/wmh.toml", "peculiarities": [],
         "threshold": {"value": 0.45, "origin": "highest mean Dice on 40 phantoms"}},
        {"name": "brain", "version": "1.0.0", "title": "Brain mask of any contrast", "sha256": "beef" * 16,
         "members": 1, "licence": "Apache-2.0", "intended_use": "", "citation": [], "source": "recipes/brain.toml",
         "peculiarities": [], "threshold": {"value": 0.5, "origin": "fixed"}},
    ],
    "options": {"bias_field": False, "register": "auto", "threshold": None},
    "settings": {"engine": "auto", "precision": "float32", "threads": 2, "memory_limit_gb": None},
    "prediction": {"engine": "openvino", "precision": "float32", "device": "CPU", "peak_memory_estimate_gb": 2.31},
    "registrations": {"flair": {"rotation_deg": 1.7, "translation_mm": 3.2, "mutual_information": 0.71}},
    "seeds": {},
    "timings": [
        {"stage": "read", "wall_s": 0.41, "cpu_s": 0.4}, {"stage": "register", "wall_s": 6.2, "cpu_s": 11.8},
        {"stage": "brain mask", "wall_s": 4.9, "cpu_s": 9.3}, {"stage": "predict", "wall_s": 18.7, "cpu_s": 36.9},
        {"stage": "interpret", "wall_s": 1.3, "cpu_s": 1.3}, {"stage": "figures", "wall_s": 5.2, "cpu_s": 5.1},
    ],
    "versions": {"willis": "0.1.0", "numpy": "2.4.0", "openvino": "2025.4.0"},
    "platform": {"python": "3.11.9", "system": "Linux", "machine": "x86_64"},
    "methods": "The FLAIR was laid on the T1 by a rigid registration that maximises mutual information. Both were "
    "brought to 1 mm and scaled by the 99th percentile in the brain. A 3D U-Net of three members gave the probability "
    "of WMH, whose mean was cut at 0.45; clusters of 26 neighbours below 5 mm³ were dropped.",
    "citation": ["Tsuchida et al. 2024, Segmentation of white matter hyperintensities by a U-Net trained on several "
                 "cohorts, Human Brain Mapping. doi:10.1002/hbm.26548"],
    "intended_use": "Research on small vessel disease. Not for diagnosis or treatment; a person must look at the "
    "outlines before the numbers are relied on.",
    "licence": "Apache-2.0",
}  # fmt: skip
