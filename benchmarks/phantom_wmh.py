"""The WMH task on phantoms that were never trained on: whole heads, scanners' grids, from files' worth of images.

    .venv/bin/python benchmarks/phantom_wmh.py --anatomies ../shared/data/head_labels --plot wmh-phantoms.png

Prints Dice and volume error by lesion load, Bland-Altman limits, the calibration by bins and the accuracy of the
regions, and draws found against true volume and the calibration plot.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

from willis.image.morphology import distance_mm
from willis.measure.agreement import bland_altman
from willis.measure.calibration import reliability
from willis.measure.case import evaluate_case
from willis.phantom.labels import RIGHT_REGION, Region
from willis.phantom.patient import make_patient
from willis.study import Study
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings
from willis.tasks.wmh.regions import PERIVENTRICULAR_MM, RIGHT, RegionOfVoxel, region_volumes
from willis.tasks.wmh.spec import REGIONS
from willis.volume.volume import Volume

SEED = 900_001
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")
LOADS_ML = ((0.0, 0.0), (0.0, 1.0), (1.0, 5.0), (5.0, 20.0), (20.0, np.inf))  # (low, high]


def analysed(index: int, heads: Any, bundle: str, flair_only: bool) -> dict[str, Any]:
    patient = make_patient("wmh", SEED, index, heads)
    volumes = {"flair": patient.study["flair"]} if flair_only else dict(patient.study.volumes)
    findings = run_task("wmh", Study(volumes, subject=patient.study.subject), settings=RunSettings(bundle=bundle))
    on_flair = {m.label: m.volume for m in findings.masks if m.space == "flair"}
    truth, brain = patient.truth["wmh"], patient.truth["brain"]
    reported = {r: float(findings.measurements[f"wmh_{r.replace(' ', '_')}_volume"].value) for r in REGIONS}
    rng = np.random.default_rng(index)
    inside = rng.choice(np.flatnonzero(brain.data), 50_000)
    return {
        "true_ml": truth.volume_ml,
        "found_ml": on_flair["wmh"].volume_ml,
        "interval": findings.measurements["wmh_volume"].interval,
        "scores": evaluate_case(on_flair["wmh"], truth),
        "brain": evaluate_case(on_flair["brain"], brain)["dice"],
        "probability": findings.probabilities[0].volume.data.ravel()[inside],
        "label": truth.data.ravel()[inside],
        "regions": by_region(reported, on_flair["wmh"], patient.truth),
    }


def by_region(found_ml: dict[str, float], found: Volume, truth: Mapping[str, Volume]) -> dict[str, tuple[float, ...]]:
    """By region, ml: true, found where the true anatomy places it, and found as reported.

    Between the first and the second lies what the network misses or makes up; between the second and the third, what
    ventricles and cortex cost by not being found where they are.
    """
    places, voxel_ml = true_region_of_voxels(truth), found.grid.voxel_ml
    true_ml, placed_ml = (region_volumes(mask.data > 0, places, voxel_ml) for mask in (truth["wmh"], found))
    return {region: (true_ml[region], placed_ml[region], found_ml[region]) for region in REGIONS}


def true_region_of_voxels(truth: Mapping[str, Volume]) -> RegionOfVoxel:
    """(I, J, K) index in ``REGIONS`` by the task's own distances from the true ventricles and cortex, on the FLAIR.

    Grey matter and fluid, into which the borders of lesions reach, count with the nearest white matter.
    """
    codes, spacing = truth["regions"].data, truth["regions"].grid.spacing_mm
    place, right = codes % RIGHT_REGION, codes >= RIGHT_REGION
    unplaced = np.isin(place, (Region.OUTSIDE, Region.GREY_OR_CSF))
    nearest = ndimage.distance_transform_edt(unplaced, sampling=spacing, return_distances=False, return_indices=True)
    place = place[tuple(nearest)]
    region = np.full(place.shape, REGIONS.index("deep left"), dtype=np.uint8)
    region[distance_mm(truth["ventricles"].data, spacing) <= PERIVENTRICULAR_MM] = REGIONS.index("periventricular left")
    region[place == Region.JUXTACORTICAL] = REGIONS.index("juxtacortical left")
    region[place == Region.CEREBELLAR] = REGIONS.index("cerebellar left")
    region[right] += RIGHT
    region[place == Region.BRAINSTEM] = REGIONS.index("brainstem")
    return region


def draw(cases: list[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(11, 5), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    true, found = (np.array([c[k] for c in cases]) for k in ("true_ml", "found_ml"))
    left.plot(np.sqrt(true), np.sqrt(found), "o", color="#0072B2")
    ticks = np.array([0, 1, 5, 10, 20, 40, 80])
    top = np.sqrt(max(true.max(), found.max()) * 1.05)
    left.plot([0, top], [0, top], color="#999999", lw=1)
    for axis in (left.xaxis, left.yaxis):
        axis.set_ticks(np.sqrt(ticks), [str(t) for t in ticks])
    left.set(xlabel="true WMH volume, ml (square-root scale)", ylabel="found, ml", xlim=(0, top), ylim=(0, top))
    bins = reliability(np.concatenate([c["probability"] for c in cases]), np.concatenate([c["label"] for c in cases]))
    right.plot([0, 1], [0, 1], color="#999999", lw=1)
    right.plot(bins.promised, bins.observed, "o-", color="#D55E00")
    right.set(xlabel="probability said", ylabel="share that was lesion", xlim=(0, 1), ylim=(0, 1))
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anatomies", required=True)
    parser.add_argument("--bundle", default="wmh")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--flair-only", action="store_true")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path, help="the figures, for scripts/write_card.py")
    asked = parser.parse_args()
    heads = anatomies_of(PhantomSettings(anatomies=asked.anatomies, held_out=HELD_OUT), validation=True)
    cases = []
    for index in range(asked.count):
        cases.append(analysed(index, heads, asked.bundle, asked.flair_only))
        case = cases[-1]
        print(
            f"{index:3d}  true {case['true_ml']:6.2f} ml  found {case['found_ml']:6.2f} ml"
            f"  Dice {case['scores']['dice']:.3f}  brain Dice {case['brain']:.3f}",
            flush=True,
        )
    figures = summarise(
        cases, f"{asked.count} phantoms never trained on, {'FLAIR' if asked.flair_only else 'T1 + FLAIR'}"
    )
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2))
    if asked.plot:
        draw(cases, asked.plot)


def summarise(cases: list[dict[str, Any]], on: str) -> list[dict[str, Any]]:
    true, found = (np.array([c[k] for c in cases]) for k in ("true_ml", "found_ml"))
    scores = np.array([c["scores"]["dice"] for c in cases])
    f1 = np.array([c["scores"]["lesion_f1"] for c in cases])
    figures: list[dict[str, Any]] = []
    print("load, ml       cases  mean Dice  mean lesion F1  mean found - true, ml")
    for low, high in LOADS_ML:
        group = (true > low) & (true <= high) if high else true == 0
        if group.any():
            name = "none" if not high else f"{low:g} to {high:g}"
            what = f"{on}: the {group.sum()} with a load of {name} ml"
            figures.append({"figure": "mean Dice", "value": round(float(scores[group].mean()), 4), "on": what})
            bias = round(float(np.mean((found - true)[group])), 3)
            figures.append({"figure": "mean found minus true volume", "value": bias, "unit": "ml", "on": what})
            print(
                f"{name:14s} {group.sum():5d}  {scores[group].mean():9.3f}  {np.nanmean(f1[group]):14.3f}"
                f"  {np.mean((found - true)[group]):+.2f}"
            )
    bearing = true > 0
    print(f"all with lesions: mean Dice {scores[bearing].mean():.3f}")
    print(f"brain: mean Dice {np.mean([c['brain'] for c in cases]):.3f}")
    limits = bland_altman(found, true)
    print(f"volume: {limits}")
    if all(c["interval"] for c in cases):
        held = sum(c["interval"][0] <= c["true_ml"] <= c["interval"][1] for c in cases)
        print(f"true volume within the interval: {held} of {len(cases)}")
        figures.append({"figure": "true volumes within the interval", "value": held, "on": on})
    bins = reliability(np.concatenate([c["probability"] for c in cases]), np.concatenate([c["label"] for c in cases]))
    print(f"calibration: expected error {bins.expected_error:.5f}")
    error = round(bins.expected_error, 5)
    figures.append({"figure": "expected calibration error of voxels in the brain", "value": error, "on": on})
    for said, came, count in zip(bins.promised, bins.observed, bins.count, strict=True):
        print(f"  said {said:.3f}  came true {came:.3f}  ({count} voxels)")
    print("region, ml of all cases together      true  found, truly there  found, reported there")
    for region in REGIONS:
        true_ml, placed_ml, reported_ml = np.sum([c["regions"][region] for c in cases], axis=0)
        print(f"  {region:34s} {true_ml:7.2f} {placed_ml:19.2f} {reported_ml:22.2f}")
    return figures


if __name__ == "__main__":
    main()
