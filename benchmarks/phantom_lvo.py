"""The LVO task on phantoms that were never trained on, half of them occluded, at several slice thicknesses.

    .venv/bin/python benchmarks/phantom_lvo.py --anatomies ../shared/data/head_labels

Prints AUC, sensitivity and specificity with 95 % intervals, the confusion of segments and sides, and the Dice of each
vessel. By default the part of each head about its circle of Willis is simulated, and the error of the fit to the
template is drawn; with --whole it is a whole head on a scanner's slices, through `willis run lvo` as a patient's scan.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from willis.measure.decision import Share, auc, auc_interval, sensitivity, share, specificity
from willis.measure.overlap import dice
from willis.models.bundle import Bundle
from willis.models.store import open_bundle
from willis.phantom.lvo import lvo_patient
from willis.phantom.lvo_training import vessel_case
from willis.tasks.lvo import look
from willis.tasks.lvo.half_cases import fit_error
from willis.tasks.lvo.halves import corners_mm
from willis.tasks.lvo.spec import SEGMENTS, VESSELS
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings
from willis.volume.volume import Volume

SEED = 900_006
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")


@dataclass(frozen=True)
class Outcome:
    """One phantom: what is true of it and what was said."""

    true_segment: str  # "none" when nothing is occluded
    true_side: str
    probability: float
    segment: str
    side: str
    dice: tuple[float, ...]  # by vessel


def of_part(index: int, heads: Any, bundle: Bundle, slice_mm: float, threads: int) -> Outcome:
    """The part of a head; the same person and fit at every thickness."""
    rng = np.random.default_rng([SEED, index])
    case = vessel_case(rng, heads, *corners_mm(), slice_mm=slice_mm, occluded=index % 2 == 0)
    matrix = case.matrix @ fit_error(np.random.default_rng([SEED, index, 1]))
    seen = look.look(case.ct, matrix, bundle, RunSettings(threads=threads, engine="torch"))
    said = look.judge(seen, bundle.manifest)
    found = look.vessels_on(seen, case.ct.grid)
    segment = case.drawn.segment if case.drawn else "none"
    side = ("right" if case.drawn.right else "left") if case.drawn else "none"
    return Outcome(segment, side, said.probability, said.segment, said.side, _scores(found, case.vessels))


def of_whole(index: int, heads: Any, bundle: Bundle, slice_mm: float, threads: int) -> Outcome:
    """A whole head through the whole task."""
    rng = np.random.default_rng([SEED, index, 2])
    anatomy = heads[index % len(heads)]
    patient = lvo_patient(rng, anatomy, f"{index:03d}", slice_mm=slice_mm, occluded=index % 2 == 0)
    findings = run_task("lvo", patient.study, settings=RunSettings(bundle=str(bundle.folder), threads=threads))
    masks = {m.label: m.volume for m in findings.masks if m.space == "ncct"}
    codes = np.zeros(patient.truth["vessels"].data.shape, np.uint8)
    for code, name in enumerate(("c7", "m1", "m2", "othervessels"), start=1):
        codes[masks[name].data > 0] = code
    found = Volume(codes, patient.truth["vessels"].grid)
    said = findings.provenance["prediction"]
    side = max(said["sides"], key=said["sides"].get)
    segment = max(said["segments"], key=said["segments"].get)
    row = patient.row
    return Outcome(
        row["segment"], row["side"], said["probability"], segment, side, _scores(found, patient.truth["vessels"])
    )


def _scores(found: Volume, truth: Volume) -> tuple[float, ...]:
    return tuple(dice(found.data == code, truth.data == code) for code in range(1, len(VESSELS) + 1))


def tell(outcomes: list[Outcome], threshold: float, slice_mm: float, what: str) -> list[dict[str, Any]]:
    """Print the figures of one thickness, and give those that a card shows."""
    said = np.array([o.probability for o in outcomes])
    shut = np.array([o.true_segment != "none" for o in outcomes])
    low, high = auc_interval(said, shut, np.random.default_rng(0))
    ups = [o for o in outcomes if o.true_segment != "none"]
    sides = share([o.side == o.true_side for o in ups])
    exact = share([o.segment == o.true_segment for o in ups])
    touching = share([bool({*o.segment.split("+")} & {*o.true_segment.split("+")}) for o in ups])
    vessels = np.nanmean([o.dice for o in outcomes], axis=0)
    counts = Counter((o.true_segment, o.segment) for o in ups)
    found = {
        "AUC": (auc(said, shut), f"{low:.3f} to {high:.3f}"),
        f"sensitivity at {threshold:.2f}": _spanned(sensitivity(said, shut, threshold)),
        f"specificity at {threshold:.2f}": _spanned(specificity(said, shut, threshold)),
        "side right, of the occluded": _spanned(sides),
        "segment right, of five, of the occluded": _spanned(exact),
        "at least one vessel of the segment right, of the occluded": _spanned(touching),
        **{f"occluded {true} named {named}": (float(n), "") for (true, named), n in sorted(counts.items())},
        **{f"mean Dice of {name.upper()}": (float(v), "") for name, v in zip(VESSELS, vessels, strict=True)},
    }
    print(f"\nslices of {slice_mm:g} mm, {len(outcomes)} phantoms, {shut.sum()} occluded")
    print(f"  AUC {auc(said, shut):.3f} ({low:.3f} to {high:.3f})")
    print(f"  sensitivity {sensitivity(said, shut, threshold)}")
    print(f"  specificity {specificity(said, shut, threshold)}")
    print(f"  side {sides}; segment {exact}; at least one of its vessels {touching}")
    print("  Dice " + ", ".join(f"{n.upper()} {v:.3f}" for n, v in zip(VESSELS, vessels, strict=True)))
    print("  true \\ said  " + "".join(f"{name:>8s}" for name in SEGMENTS))
    for true in SEGMENTS:
        print(f"  {true:12s} " + "".join(f"{counts[true, name]:8d}" for name in SEGMENTS))
    on = f"{len(outcomes)} {what}, half of them occluded, slices of {slice_mm:g} mm"
    return [
        {"figure": name + (f" ({span})" if span else ""), "value": round(value, 4), "on": on}
        for name, (value, span) in found.items()
        if np.isfinite(value)
    ]


def _spanned(one: Share) -> tuple[float, str]:
    return one.value, "{:.3f} to {:.3f}".format(*one.interval)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomies", required=True)
    parser.add_argument("--bundle", default="lvo")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--slices", type=float, nargs="+", default=[1.0, 2.5, 5.0])
    parser.add_argument("--whole", action="store_true", help="whole heads through the whole task; minutes each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="the figures, for scripts/write_card.py")
    asked = parser.parse_args()
    heads = anatomies_of(PhantomSettings(anatomies=asked.anatomies, only=HELD_OUT))
    bundle = open_bundle(asked.bundle, "lvo")
    judge = of_whole if asked.whole else of_part
    what = "phantoms of held-out heads" + ("" if asked.whole else " (part of a scan, error of the fit drawn)")
    figures = []
    for slice_mm in asked.slices:
        outcomes = []
        for index in range(asked.count):
            outcomes.append(judge(index, heads, bundle, slice_mm, asked.threads))
            o = outcomes[-1]
            print(f"{index:3d} {o.true_side:5s} {o.true_segment:5s} said {o.probability:.2f} {o.side} {o.segment}",
                  flush=True)  # fmt: skip
        figures += tell(outcomes, bundle.manifest.threshold.value, slice_mm, what)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
