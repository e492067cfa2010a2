"""The publication's kind of table of a network in training: core and penumbra by slice, by patient and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.learn.case import Case
from willis.tasks.perfusion.labels import classes_of
from willis.units import MM3_PER_ML

LESIONS = ("core", "penumbra")
ALL = "all"
NAMED = {"lvo": "LVO", "non-lvo": "non-LVO", "none": "without stroke", ALL: "all"}
"""Groups in the publication's words and order."""


@dataclass(frozen=True)
class PatientCounts:
    """What one patient adds to the tables.

    Parameters
    ----------
    subject, group
        Who, and of which kind.
    voxels
        By label (K, 3): of each slice the voxels of the truth, of the finding, and of both.
    voxel_ml
        Volume of one.
    """

    subject: str
    group: str
    voxels: Mapping[str, npt.NDArray[np.int64]]
    voxel_ml: float


class GroupMeasures:
    """Core and penumbra by the class of highest probability, for :func:`willis.tasks.validation.make_validation`."""

    def of_case(self, probability: npt.NDArray[np.floating], case: Case) -> PatientCounts:
        """Count one patient, (L, I, J, K) probabilities; slices lie along K."""
        names = classes_of(len(probability)).names
        found, true = probability.argmax(axis=0), case.target.argmax(axis=0)
        voxels = {}
        for label in LESIONS:
            if label in names:
                pair = true == names.index(label), found == names.index(label)
                counted = [mask.sum(axis=(0, 1)) for mask in (*pair, pair[0] & pair[1])]
                voxels[label] = np.stack(counted, axis=1).astype(np.int64)
        return PatientCounts(case.subject, case.group, voxels, float(np.prod(case.spacing_mm)) / MM3_PER_ML)

    def of_all(self, counts: Sequence[PatientCounts]) -> dict[str, float]:
        """``dice_LABEL_GROUP``, the mean of patients who have the label, and ``dice_lesions``, that of both labels."""
        measures = {f"dice_{row['label']}_{row['group'].lower()}": row["dice_patients"] for row in group_table(counts)}
        every = [value for name, value in measures.items() if name.endswith(f"_{ALL}") and value is not None]
        return {
            "dice_lesions": float(np.mean(every)) if every else 0.0,
            **{name: value for name, value in measures.items() if value is not None},
        }

    def tables(self, counts: Sequence[PatientCounts]) -> dict[str, list[dict[str, Any]]]:
        """``slices``, ``patients`` and ``groups``."""
        return {
            "slices": [row for one in counts for row in slice_rows(one)],
            "patients": [row for one in counts for row in patient_rows(one)],
            "groups": group_table(counts),
        }


def slice_rows(one: PatientCounts) -> list[dict[str, Any]]:
    """One row a slice and label of a patient; Dice is None where the truth has no such voxel."""
    return [
        {**_who(one), "slice": k, "label": label, **_scores(voxels[k], one.voxel_ml)}
        for label, voxels in one.voxels.items()
        for k in range(len(voxels))
    ]


def patient_rows(one: PatientCounts) -> list[dict[str, Any]]:
    """One row a label of a patient, over all slices together."""
    return [
        {**_who(one), "label": label, **_scores(voxels.sum(axis=0), one.voxel_ml)}
        for label, voxels in one.voxels.items()
    ]


def group_table(counts: Sequence[PatientCounts]) -> list[dict[str, Any]]:
    """One row a group and label: Dice (F1) by slice, by patient and of all voxels together, and what is found wrongly.

    Means and standard deviations are over slices and patients whose truth has the label, so that neither is better for
    a network that finds nothing; ``false_patients`` are those who lack it and in whom it was found.
    """
    groups = [name for name in NAMED if name == ALL or any(one.group == name for one in counts)]
    rows = []
    for group in groups:
        mine = [one for one in counts if group in (one.group, ALL)]
        for label in mine[0].voxels if mine else ():
            rows.append({"group": NAMED[group], "label": label, **_summary(mine, label)})
    return rows


def _summary(counts: Sequence[PatientCounts], label: str) -> dict[str, Any]:
    slices = np.concatenate([one.voxels[label] for one in counts])
    patients = np.stack([one.voxels[label].sum(axis=0) for one in counts])
    ml = np.array([one.voxel_ml for one in counts])
    without = patients[:, 0] == 0
    true, found, both = patients.sum(axis=0)
    by_slice, by_patient = _dices(slices), _dices(patients)
    return {
        "patients": len(counts),
        "with_label": int((~without).sum()),
        "dice_slices": _mean(by_slice),
        "dice_slices_sd": _spread(by_slice),
        "dice_patients": _mean(by_patient),
        "dice_patients_sd": _spread(by_patient),
        "dice_voxels": _dice(true, found, both),
        "precision_voxels": _share(both, found),
        "sensitivity_voxels": _share(both, true),
        "true_ml": float((patients[:, 0] * ml).mean()),
        "found_ml": float((patients[:, 1] * ml).mean()),
        "false_patients": int((patients[without, 1] > 0).sum()),
        "largest_false_ml": float((patients[without, 1] * ml[without]).max()) if without.any() else None,
    }


def _who(one: PatientCounts) -> dict[str, Any]:
    return {"patient": one.subject, "group": NAMED.get(one.group, one.group)}


def _scores(voxels: npt.NDArray[np.int64], voxel_ml: float) -> dict[str, Any]:
    true, found, both = voxels
    return {
        "true_ml": float(true) * voxel_ml,
        "found_ml": float(found) * voxel_ml,
        "dice": _dice(true, found, both) if true else None,
        "precision": _share(both, found),
        "sensitivity": _share(both, true),
    }


def _dices(voxels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(M,) Dice of the rows of (N, 3) whose truth isn't empty."""
    true, found, both = voxels[voxels[:, 0] > 0].T
    return np.asarray(2 * both / np.maximum(true + found, 1), dtype=np.float64)


def _dice(true: int, found: int, both: int) -> float | None:
    return float(2 * both / (true + found)) if true + found else None


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.mean()) if values.size else None


def _spread(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if values.size > 1 else None
