"""The FVV task on phantoms that were never trained on: whole heads, scanners' grids, from images to the decision.

    .venv/bin/python benchmarks/phantom_fvv.py --count 50 --anatomies ../shared/data/head_labels --plot fvv-phantoms.png

Prints lesion Dice, bias and limits of agreement of the FLAIR Visibility Volume, and AUC and kappa of the mismatch
decision; draws found against true FLAIR Visibility Volume.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from willis.measure.agreement import bland_altman
from willis.measure.overlap import dice
from willis.phantom.patient import make_patient
from willis.study import Study
from willis.tasks.fvv.spec import MISMATCH_BELOW_ML
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings

SEED = 900_002
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")


def analysed(index: int, heads: Any, bundle: str) -> dict[str, Any]:
    patient = make_patient("fvv", SEED, index, heads)
    images = {role: patient.study[role] for role in ("b0", "b1000")}
    scalars = {"b_value": float(patient.parameters["images"]["b1000"]["b"])}
    study = Study(images, scalars=scalars, subject=patient.study.subject)
    findings = run_task("fvv", study, settings=RunSettings(bundle=bundle))
    lesion = next(mask.volume for mask in findings.masks if mask.label == "lesion")
    truth = patient.truth["lesion"]
    return {
        "lesion_true_ml": truth.volume_ml,
        "lesion_found_ml": lesion.volume_ml,
        "dice": dice(lesion.data, truth.data),
        "true_ml": patient.truth["visible"].volume_ml,
        "found_ml": float(findings.measurements["flair_visibility_volume"].value or 0.0),
        "answer": findings.decision.answer if findings.decision else "",
    }


def auc(score: np.ndarray, positive: np.ndarray) -> float | None:
    """Share of pairs in which the positive one has the higher score; ties count half."""
    high, low = score[positive], score[~positive]
    if not high.size or not low.size:
        return None
    return float(np.mean((high[:, None] > low) + 0.5 * (high[:, None] == low)))


def kappa(one: np.ndarray, two: np.ndarray) -> float | None:
    """Cohen's kappa of two yes-or-no answers (Cohen 1960, doi:10.1177/001316446002000104)."""
    agreed = float(np.mean(one == two))
    chance = float(one.mean() * two.mean() + (1 - one.mean()) * (1 - two.mean()))
    return None if chance == 1 else (agreed - chance) / (1 - chance)


def summary(cases: list[dict[str, Any]]) -> dict[str, Any]:
    true, found = (np.array([c[k] for c in cases]) for k in ("true_ml", "found_ml"))
    ill = np.array([c["lesion_true_ml"] > 0 for c in cases])
    visible = true[ill] >= MISMATCH_BELOW_ML
    overlap = [c["dice"] for c, sick in zip(cases, ill, strict=True) if sick]
    agreement = bland_altman(found, true)
    return {
        "patients": len(cases),
        "with_infarct": int(ill.sum()),
        "lesion_dice_median": round(float(np.median(overlap)), 3),
        "lesion_dice_mean": round(float(np.mean(overlap)), 3),
        "fvv_bias_ml": round(agreement.bias, 3),
        "fvv_limits_ml": [round(agreement.lower, 3), round(agreement.upper, 3)],
        "auc": auc(found[ill], visible),
        "kappa": kappa(found[ill] >= MISMATCH_BELOW_ML, visible),
        "false_infarct_ml": [round(c["lesion_found_ml"], 2) for c, sick in zip(cases, ill, strict=True) if not sick],
    }


def draw(cases: list[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(6, 5.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    true, found = (np.sqrt([c[k] for c in cases]) for k in ("true_ml", "found_ml"))
    top = float(max(true.max(), found.max())) * 1.05
    axes.plot([0, top], [0, top], color="#999999", lw=1)
    axes.axhline(np.sqrt(MISMATCH_BELOW_ML), color="#CC79A7", lw=1, ls="--")
    axes.axvline(np.sqrt(MISMATCH_BELOW_ML), color="#CC79A7", lw=1, ls="--")
    axes.plot(true, found, "o", color="#0072B2")
    ticks = np.array([0, 0.5, 2, 5, 10, 20, 40, 80])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(np.sqrt(ticks), [f"{t:g}" for t in ticks])
    axes.set(xlabel="true FLAIR Visibility Volume, ml (square-root scale)", ylabel="found, ml")
    axes.set(xlim=(0, top), ylim=(0, top))
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--anatomies", default="")
    parser.add_argument("--bundle", default="fvv")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--output", type=Path, help="JSON of all cases")
    given = parser.parse_args()
    settings = PhantomSettings(anatomies=given.anatomies, held_out=HELD_OUT if given.anatomies else ())
    heads = anatomies_of(settings, validation=True)
    cases = [analysed(index, heads, given.bundle) for index in range(given.count)]
    print(json.dumps(summary(cases), indent=2))
    if given.plot:
        draw(cases, given.plot)
    if given.output:
        given.output.write_text(json.dumps(cases, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
