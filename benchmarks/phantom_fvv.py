"""The FVV task on phantoms that were never trained on, from images on scanners' grids to the decision.

    .venv/bin/python benchmarks/phantom_fvv.py --anatomies ../shared/data/head_labels --plot fvv-phantoms.png

Prints lesion Dice, bias and limits of agreement of the FLAIR Visibility Volume, and AUC and kappa of the mismatch
decision; draws found against true FLAIR Visibility Volume. With --infarcts, half of the infarcts are traced ones.
Nothing is drawn or written of single phantoms, so that one takes a few CPU seconds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from willis.measure.agreement import bland_altman
from willis.measure.decision import auc
from willis.measure.kappa import cohen_kappa
from willis.measure.overlap import dice
from willis.phantom.fvv_training import dwi_case
from willis.phantom.painting import TRUTH_FRACTION
from willis.phantom.traced import find_traced
from willis.tasks.fvv.dataset import study_of
from willis.tasks.fvv.decision import decide
from willis.tasks.fvv.run import analyse
from willis.tasks.fvv.spec import MISMATCH_BELOW_ML, SPEC
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.settings import RunSettings

SEED = 900_002
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")


def analysed(seed: int, index: int, heads: Any, bundle: str, traced: tuple[Path, ...]) -> dict[str, Any]:
    phantom = dwi_case(np.random.default_rng([seed, index]), heads, traced)
    options = SPEC.resolve_options({})
    votes = analyse(study_of(phantom, f"{index:06d}"), options, settings=RunSettings(bundle=bundle)).votes
    truth = (phantom.lesion >= TRUTH_FRACTION) & (phantom.brain >= TRUTH_FRACTION)
    voxel_ml = phantom.grid.voxel_ml
    visible = truth & (phantom.visible >= TRUTH_FRACTION)
    decision = decide(votes)
    return {
        "pattern": phantom.parameters["pattern"],
        "hours": round(phantom.parameters["hours"], 2),
        "lesion_true_ml": float(truth.sum()) * voxel_ml,
        "lesion_found_ml": float(votes.lesion.sum()) * voxel_ml,
        "dice": dice(votes.lesion, truth),
        "true_ml": float(visible.sum()) * voxel_ml,
        "found_ml": votes.fvv_ml,
        "answer": decision.answer,
        "certain": decision.certain,
    }


def summary(cases: list[dict[str, Any]], seed: int, traced: bool) -> dict[str, Any]:
    true, found = (np.array([c[k] for c in cases]) for k in ("true_ml", "found_ml"))
    ill = np.array([c["lesion_true_ml"] > 0 for c in cases])
    mismatch, said = true[ill] < MISMATCH_BELOW_ML, found[ill] < MISMATCH_BELOW_ML
    overlap = [c["dice"] for c, sick in zip(cases, ill, strict=True) if sick]
    certain = ill & np.array([c["certain"] and c["answer"] != "no decision" for c in cases])
    wrong = (found < MISMATCH_BELOW_ML) != (true < MISMATCH_BELOW_ML)
    agreement = bland_altman(found, true)
    return {
        "seed": seed,
        "traced": traced,
        "patients": len(cases),
        "with_infarct": int(ill.sum()),
        "with_mismatch": int(mismatch.sum()),
        "infarcts_missed": sum(c["answer"] == "no decision" for c, sick in zip(cases, ill, strict=True) if sick),
        "near_the_cutoff": sum(not c["certain"] and c["answer"] != "no decision" for c in cases),
        "certain": int(certain.sum()),
        "certain_and_wrong": int((certain & wrong).sum()),
        "largest_certain_error_ml": float(np.abs(found - true)[certain].max(initial=0.0)),
        "lesion_dice_median": round(float(np.median(overlap)), 3),
        "lesion_dice_mean": round(float(np.mean(overlap)), 3),
        "fvv_bias_ml": round(agreement.bias, 3),
        "fvv_limits_ml": [round(agreement.lower, 3), round(agreement.upper, 3)],
        "auc": auc(-found[ill], mismatch),
        "kappa": cohen_kappa(said, mismatch),
        "sensitivity": float(said[mismatch].mean()) if mismatch.any() else None,
        "specificity": float((~said[~mismatch]).mean()) if (~mismatch).any() else None,
        "false_infarct_ml": [round(c["lesion_found_ml"], 2) for c, sick in zip(cases, ill, strict=True) if not sick],
    }


def figures(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The summary as a bundle's card takes it."""
    which = "" if found["seed"] == SEED else f" (seed {found['seed']})"
    shapes = "half of the infarcts traced from patients" if found["traced"] else "all infarcts grown"
    on = f"{found['patients']} phantoms of heads never trained on, {found['with_infarct']} with an infarct"
    on += f", {shapes}{which}"
    rows = [
        ("median Dice of the infarct", found["lesion_dice_median"], ""),
        ("mean Dice of the infarct", found["lesion_dice_mean"], ""),
        ("bias of the FLAIR Visibility Volume", found["fvv_bias_ml"], "ml"),
        ("lower limit of agreement of the FLAIR Visibility Volume", found["fvv_limits_ml"][0], "ml"),
        ("upper limit of agreement of the FLAIR Visibility Volume", found["fvv_limits_ml"][1], "ml"),
        ("AUC of the mismatch decision", found["auc"], ""),
        ("kappa of the mismatch decision", found["kappa"], ""),
        ("decisions on an infarct that are certain", found["certain"], ""),
        ("of those wrong", found["certain_and_wrong"], ""),
        (
            "largest error of the FLAIR Visibility Volume where the decision is certain",
            found["largest_certain_error_ml"],
            "ml",
        ),
    ]
    return [
        {"figure": name, "value": round(value, 4), "unit": unit, "on": on} for name, value, unit in rows
        if np.isfinite(value)
    ]  # fmt: skip


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
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--anatomies", default="")
    parser.add_argument("--infarcts", type=Path, help="folder of traced infarcts in MNI space")
    parser.add_argument("--bundle", default="fvv")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--output", type=Path, help="JSON of all cases")
    parser.add_argument("--json", type=Path, help="the figures, for scripts/write_card.py")
    given = parser.parse_args()
    heads = anatomies_of(PhantomSettings(anatomies=given.anatomies, only=HELD_OUT if given.anatomies else ()))
    traced = find_traced(given.infarcts) if given.infarcts else ()
    cases = []
    for index in range(given.count):
        cases.append(analysed(given.seed, index, heads, given.bundle, traced))
        case = cases[-1]
        print(
            f"{index:3d} {case['pattern']:12s} {case['hours']:6.1f} h  infarct {case['lesion_true_ml']:7.2f} ml, found "
            f"{case['lesion_found_ml']:7.2f}, Dice {case['dice'] if case['dice'] is None else round(case['dice'], 3)}"
            f"  FVV {case['true_ml']:7.2f} ml, found {case['found_ml']:7.2f}  {case['answer']}"
            f"{'' if case['certain'] or case['answer'] == 'no decision' else ', near the cutoff'}",
            flush=True,
        )
    totals = summary(cases, given.seed, bool(traced))
    print(json.dumps(totals, indent=2))
    if given.plot:
        draw(cases, given.plot)
    for path, content in ((given.output, cases), (given.json, figures(totals))):
        if path:
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
