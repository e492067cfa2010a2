"""Measure how far found volumes lie from true ones on whole phantom scans, and give the bundle its volume's interval.

    .venv/bin/python scripts/fit_volume_interval.py wmh runs/wmh/bundle --anatomies ../shared/data/head_labels

Every phantom is of a head that training left out, of a seed that neither training nor the benchmarks use, and takes
the whole way of ``willis run``; of a task that can do without an image, every second phantom does. The interval is that
of split conformal prediction on the ratio of true to found volume.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from willis.measure.conformal import fit_ratio_interval
from willis.models.manifest import VolumeInterval
from willis.models.store import amend_bundle, open_bundle
from willis.phantom.patient import make_patient
from willis.study import Study
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings

SEED = 700_013
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")


@dataclass(frozen=True)
class Volume:
    """The measurement of a task that its phantoms have the truth of, and the image that every second one lacks."""

    measurement: str
    truth: str
    spared: str = ""
    about: str = ""


VOLUMES = {
    "wmh": Volume("wmh_volume", "wmh", "t1", ", half of them without T1"),
    "chronic": Volume("lesion_volume", "lesion"),
}


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=sorted(VOLUMES))
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--anatomies", required=True)
    parser.add_argument("--count", type=int, default=39)
    parser.add_argument("--coverage", type=float, default=0.9)
    asked = parser.parse_args()
    volume = VOLUMES[asked.task]
    open_bundle(asked.bundle, asked.task)
    heads = anatomies_of(PhantomSettings(anatomies=asked.anatomies, only=HELD_OUT))
    found, true = [], []
    for index in range(asked.count):
        patient = make_patient(asked.task, SEED, index, heads)
        kept = {r: v for r, v in patient.study.volumes.items() if r != volume.spared or index % 2 == 0}
        study = Study(kept, subject=patient.study.subject)
        findings = run_task(asked.task, study, settings=RunSettings(bundle=str(asked.bundle)))
        found.append(float(findings.measurements[volume.measurement].value or 0.0))
        true.append(patient.truth[volume.truth].volume_ml)
        print(f"{index:3d} {' + '.join(kept):10s} true {true[-1]:7.2f} ml  found {found[-1]:7.2f} ml", flush=True)
    fitted = fit_ratio_interval(found, true, asked.coverage)
    held = sum(low <= t <= high for t, (low, high) in zip(true, map(fitted.around, found), strict=True))
    print(f"true over found, {fitted.offset_ml:g} ml added: {fitted.low:.3f} to {fitted.high:.3f}; {held} of them held")
    known = VolumeInterval(
        **fitted._asdict(),
        coverage=asked.coverage,
        cases=asked.count,
        origin=f"{asked.count} whole phantom scans of heads never trained on (seed {SEED}){volume.about}",
    )
    amend_bundle(asked.bundle, volume_intervals={volume.measurement: known.model_dump()})
    print(f"the interval is written into {asked.bundle}")


if __name__ == "__main__":
    main()
