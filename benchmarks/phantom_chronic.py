"""Real lesion shapes in phantom heads that were never trained on: each plane alone, and the planes fused.

    .venv/bin/python benchmarks/phantom_chronic.py --anatomies ../shared/data/head_labels \\
        --shapes ../shared/data/chronic_lesions_ch2

Heads lie on the standard grid with an imperfect brain mask, as prepared scans do. ``--count`` takes so many of the
shapes, evenly along their order of size; ``--whole`` makes scans as they leave a scanner and takes the whole way of
``willis run chronic``, which is several times slower. Prints by size of the lesion: Dice in 3D of each plane alone and
of their fusion, the mean Dice of slices before and after fusion, lesion-wise F1 and the bias of volume.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.infer.planes import predict_planes
from willis.io.nifti import read_nifti
from willis.measure.case import evaluate_case
from willis.measure.overlap import dice
from willis.measure.size_bins import VOLUME_EDGES, bin_names, bin_of
from willis.models.bundle import Bundle
from willis.models.store import open_bundle
from willis.phantom.anatomy import Anatomy
from willis.phantom.chronic_patient import chronic_case, chronic_patient
from willis.tasks.chronic.fusion_scores import fusion_table
from willis.tasks.chronic.interpret import fuse
from willis.tasks.chronic.prepare import network_images
from willis.tasks.chronic.space import standard_grid
from willis.tasks.clusters import find_lesions, rules_of
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings
from willis.volume.plane import PLANES, Plane
from willis.volume.volume import Volume

SEED = 900_007
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")


@dataclass(frozen=True)
class Found:
    """Masks (I, J, K) of one head: the truth, each plane alone, their fusion."""

    truth: Volume
    planes: dict[Plane, npt.NDArray[np.bool_]]
    fused: npt.NDArray[np.bool_]


def prepared_head(index: int, shape: Path, heads: tuple[Anatomy, ...], bundle: Bundle) -> Found:
    """A head as prepared scans are, through networks, fusion and cluster rules."""
    made = chronic_case(np.random.default_rng([SEED, index]), heads, (shape,), always_shape=True)
    brain = made.brain > 0
    predicted = predict_planes(bundle, network_images(made.t1, brain, bundle.manifest), mask=brain)
    rules = rules_of(bundle.manifest, {"threshold": None, "min_size": None})
    alone = [member[0].astype(np.float32) for member in predicted.members]
    labels, _ = find_lesions(fuse(alone, rules.threshold, "mean"), brain, standard_grid(), rules)
    masks = {v.plane: p >= rules.threshold for v, p in zip(bundle.manifest.planes, alone, strict=True)}
    return Found(Volume(made.lesion, standard_grid(), role="lesion"), masks, labels > 0)


def scanned_head(index: int, shape: Path, heads: tuple[Anatomy, ...], bundle: Bundle) -> Found:
    """A head as the scanner gives it, through ``willis run chronic``."""
    rng = np.random.default_rng([SEED, index])
    anatomy = heads[int(rng.integers(len(heads)))]
    patient = chronic_patient(rng, anatomy, f"{index:03d}", contrast="physics", traced=(shape,), always_traced=True)
    findings = run_task("chronic", patient.study, settings=RunSettings(bundle=str(bundle.folder)))
    masks = {mask.label: mask.volume.data > 0 for mask in findings.masks}
    return Found(patient.truth["lesion"], {p: masks[f"lesion{p}"] for p in PLANES}, masks["lesion"])


def scores_of(found: Found) -> dict[str, float]:
    """Every figure of one head; NaN where one is undefined."""
    truth = found.truth.data > 0
    scores = evaluate_case(found.truth.with_data(found.fused.astype(np.uint8)), found.truth)
    row = {
        "true_ml": scores["reference_ml"],
        "found_ml": scores["predicted_ml"],
        "fused": scores["dice"],
        "f1": scores["lesion_f1"],
        **{plane: dice(mask, truth) for plane, mask in found.planes.items()},
    }
    for line in fusion_table(found.planes, found.fused, truth, found.truth.grid):
        if line["of"].endswith("slices"):
            row[f"{line['of']} {line['fusion']}"] = np.nan if line["dice"] is None else line["dice"]
    return row


def chosen_shapes(folder: Path, count: int) -> list[Path]:
    """So many masks, evenly along their order of size."""
    paths = sorted(folder.glob("Subject_*.nii*"))
    sizes = [float(np.count_nonzero((mask := read_nifti(p, "lesion")).data)) * mask.grid.voxel_ml for p in paths]
    order = [paths[n] for n in np.argsort(sizes, kind="stable")]
    picked = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    return [order[n] for n in picked]


def report(rows: list[dict[str, float]], on: str) -> list[dict[str, Any]]:
    """Print means by size and over all; the figures for the card."""

    def mean(of: list[dict[str, float]], name: str) -> float:
        return float(np.nanmean([row[name] for row in of]))

    print("true volume, voxels    heads  axial  sagittal  coronal  fused  lesion F1  found - true, ml")
    held = bin_of([1000 * row["true_ml"] for row in rows], VOLUME_EDGES)
    names = bin_names(VOLUME_EDGES)
    groups = [(names[b], [row for row, h in zip(rows, held, strict=True) if h == b]) for b in sorted(set(held))]
    for name, group in [*groups, ("all", rows)]:
        bias = mean(group, "found_ml") - mean(group, "true_ml")
        print(
            f"{name:22s} {len(group):5d}  {mean(group, 'axial'):5.3f}  {mean(group, 'sagittal'):8.3f}"
            f"  {mean(group, 'coronal'):7.3f}  {mean(group, 'fused'):5.3f}  {mean(group, 'f1'):9.3f}  {bias:+.2f}"
        )
    print("mean Dice of slices     before  after fusion")
    for plane in PLANES:
        before, after = (mean(rows, f"{plane} slices {state}") for state in ("before", "after"))
        print(f"{plane:22s}  {before:6.3f}  {after:6.3f}")
    bias = mean(rows, "found_ml") - mean(rows, "true_ml")
    figures = [{"figure": "mean Dice, planes fused", "value": round(mean(rows, "fused"), 4), "on": on}]
    figures += [{"figure": f"mean Dice, {p} alone", "value": round(mean(rows, p), 4), "on": on} for p in PLANES]
    figures.append({"figure": "mean lesion-wise F1", "value": round(mean(rows, "f1"), 4), "on": on})
    figures.append({"figure": "mean found minus true volume", "value": round(bias, 3), "unit": "ml", "on": on})
    figures += [
        {
            "figure": "mean Dice, planes fused",
            "value": round(mean(g, "fused"), 4),
            "on": f"{on}: {len(g)} of {n} voxels",
        }
        for n, g in groups
    ]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomies", required=True)
    parser.add_argument("--shapes", type=Path, required=True)
    parser.add_argument("--bundle", default="chronic")
    parser.add_argument("--count", type=int, default=131)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--json", type=Path, help="the figures, for scripts/write_card.py")
    asked = parser.parse_args()
    heads = anatomies_of(PhantomSettings(anatomies=asked.anatomies, only=HELD_OUT))
    bundle = open_bundle(asked.bundle, "chronic")
    rows = []
    for index, shape in enumerate(chosen_shapes(asked.shapes, asked.count)):
        found = (scanned_head if asked.whole else prepared_head)(index, shape, heads, bundle)
        rows.append(scores_of(found))
        row = rows[-1]
        print(
            f"{shape.name:22s} true {row['true_ml']:6.1f} ml  found {row['found_ml']:6.1f} ml  Dice {row['fused']:.3f}"
            f"  alone {row['axial']:.3f} {row['sagittal']:.3f} {row['coronal']:.3f}",
            flush=True,
        )
    way = "as scanners give them" if asked.whole else "prepared"
    figures = report(rows, f"{len(rows)} real lesion shapes in phantom heads never trained on, {way}")
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
