"""What the default bundles find in the real scans of ../shared/data, as figures for their cards.

    .venv/bin/python benchmarks/real_scans.py [--data ../shared/data] [--brain-bundle FOLDER] [--wmh-bundle FOLDER]
        [--only brain|wmh] [--json FIGURES]

Prints the brain mask's Dice against deepbet's (tests/golden/brain), the share of every real lesion mask inside the
brain mask and inside wider ones, and the WMH mask's Dice against the raters' on two patients.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

import willis
from willis.io.nifti import read_nifti
from willis.measure.case import evaluate_case
from willis.measure.overlap import dice
from willis.models.store import open_bundle
from willis.tasks.brain.find import Brain, find_brain
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests/golden/brain/deepbet.npz"
LESIONS = {
    "WMH patient07 in the T1's brain": ("wmh_openms/patient07/t1.nii.gz", "wmh_openms/patient07/lesion_mask.nii.gz"),
    "WMH patient07 in the FLAIR's": ("wmh_openms/patient07/flair.nii.gz", "wmh_openms/patient07/lesion_mask.nii.gz"),
    "WMH patient19 in the T1's brain": ("wmh_openms/patient19/t1.nii.gz", "wmh_openms/patient19/lesion_mask.nii.gz"),
    "WMH patient19 in the FLAIR's": ("wmh_openms/patient19/flair.nii.gz", "wmh_openms/patient19/lesion_mask.nii.gz"),
    "acute infarct in the DWI's brain": (
        "acute_isles22/sub-strokecase0009_ses-0001_dwi.nii.gz",
        "acute_isles22/sub-strokecase0009_ses-0001_msk.nii.gz",
    ),
    "chronic stroke in the T2's brain": ("chronic_t2/t2.nii.gz", "chronic_t2/lesion_mask.nii.gz"),
}


def judged_masks() -> dict[str, tuple[str, npt.NDArray[np.bool_]]]:
    """deepbet's masks by name: the scan's path below the data folder, and the mask."""
    golden = np.load(GOLDEN)
    found = {}
    for name in sorted({key.split("|")[0] for key in golden.files}):
        shape = tuple(golden[f"{name}|shape"])
        bits = np.unpackbits(golden[f"{name}|bits"], count=int(np.prod(shape)))
        found[name] = (str(golden[f"{name}|file"]), bits.reshape(shape) > 0)
    return found


def brain_of(path: Path, bundle: str, cache: dict[Path, tuple[Volume, Brain]]) -> tuple[Volume, Brain]:
    if path not in cache:
        image = read_nifti(path, "image")
        cache[path] = (image, find_brain(image, bundle=open_bundle(bundle, "brain")))
    return cache[path]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--brain-bundle", default="brain")
    parser.add_argument("--wmh-bundle", default="wmh")
    parser.add_argument("--only", choices=("brain", "wmh"))
    parser.add_argument("--json", type=Path, help="the figures, for scripts/write_card.py")
    asked = parser.parse_args()
    figures = []
    if asked.only != "wmh":
        figures += report_brain(asked.data, asked.brain_bundle)
    if asked.only != "brain":
        figures += report_wmh(asked.data, asked.wmh_bundle)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2))


def inside(lesion: Volume, outline: Volume) -> float:
    """Share of a lesion mask, brought to the outline's grid, that lies inside."""
    moved = resample_to(lesion.with_data((lesion.data > 0).astype(np.float32)), outline.grid).data >= 0.5
    return float((outline.data > 0)[moved].mean())


def figure(name: str, value: float, on: str, unit: str = "") -> dict[str, Any]:
    return {"figure": name, "value": round(value, 4), "unit": unit, "on": on}


def report_brain(data: Path, bundle: str) -> list[dict[str, Any]]:
    cache: dict[Path, tuple[Volume, Brain]] = {}
    figures = []
    print("Brain mask against deepbet's")
    for name, (file, judged) in judged_masks().items():
        image, brain = brain_of(data / file, bundle, cache)
        mask = brain.mask_on(image.grid)
        judged_ml = float(judged.sum()) * image.grid.voxel_ml
        score = dice(mask.data, judged)
        print(f"  {name:18s} Dice {score:.3f}   {mask.volume_ml:5.0f} ml, deepbet {judged_ml:5.0f} ml")
        figures.append(figure("Dice with deepbet's brain mask", score, f"one real scan: {name}"))
    print("Share of real lesion masks inside the brain mask, and inside deepbet's")
    deepbet = dict(judged_masks().values())
    for name, (scan, lesion) in LESIONS.items():
        image, brain = brain_of(data / scan, bundle, cache)
        truth = read_nifti(data / lesion, "lesion", allow_empty=True)
        share = 100 * inside(truth, brain.mask_on(image.grid))
        judged = 100 * inside(truth, image.with_data(deepbet[scan].astype(np.uint8)))
        print(f"  {name:34s} {share:.2f} %, deepbet {judged:.2f} %")
        figures.append(figure("share of a real lesion mask inside the brain mask", share, name, "%"))
    name = "chronic_lesions_ch2/ch2.nii.gz"
    ch2, brain = brain_of(data / name, bundle, cache)
    masks = [read_nifti(path, "lesion") for path in sorted((data / name).parent.glob("Subject_*.nii.gz"))]
    found = brain.mask_on(ch2.grid)
    beyond = ndimage.distance_transform_edt(found.data == 0, sampling=ch2.grid.spacing_mm)
    outlines = {"deepbet's": deepbet[name]}
    outlines |= {f"the brain mask widened by {mm} mm": beyond <= mm for mm in (3, 2, 1)}
    outlines |= {"the brain mask": found.data > 0}
    for whose, outline in outlines.items():
        shares = [inside(mask, ch2.with_data(outline.astype(np.uint8))) for mask in masks]
        least, mean, short = 100 * min(shares), 100 * float(np.mean(shares)), sum(share < 0.99 for share in shares)
        print(
            f"  131 chronic lesions of ch2 in {whose}: least {least:.1f} %, mean {mean:.2f} %, {short} below 99 %; "
            f"Dice with deepbet's {dice(outline, deepbet[name]):.3f}"
        )
    on = "131 chronic lesions in the brain of ch2"
    figures.append(figure("mean share of a real lesion mask inside the brain mask", mean, on, "%"))
    return figures


def report_wmh(data: Path, bundle: str) -> list[dict[str, Any]]:
    figures = []
    print("WMH against the raters' consensus")
    for patient in ("patient19", "patient07"):
        folder = data / "wmh_openms" / patient
        truth = read_nifti(folder / "lesion_mask.nii.gz", "lesion", allow_empty=True)
        for images in (("t1", "flair"), ("flair",)):
            study = willis.read_study(**{role: folder / f"{role}.nii.gz" for role in images})
            findings = run_task("wmh", study, settings=RunSettings(bundle=bundle))
            found = next(m.volume for m in findings.masks if (m.label, m.space) == ("wmh", "flair"))
            scores = evaluate_case(found, truth)
            print(
                f"  {patient} {' + '.join(images):10s} Dice {scores['dice']:.3f}"
                f"  sensitivity {scores['sensitivity']:.2f}  precision {scores['precision']:.2f}"
                f"  {found.volume_ml:.1f} ml, raters {truth.volume_ml:.1f} ml"
            )
            on = f"{patient} of the Ljubljana multiple sclerosis data, {' + '.join(images)}"
            figures.append(figure("Dice with the raters' consensus", scores["dice"], on))
            figures.append(figure("found minus raters' volume", found.volume_ml - truth.volume_ml, on, "ml"))
    return figures


if __name__ == "__main__":
    main()
