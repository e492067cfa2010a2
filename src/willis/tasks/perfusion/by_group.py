"""The publication's kind of table of a network in training: core and penumbra by slice, by patient and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.learn.case import Case
from willis.measure.by_group import SliceCounts, count_slices, scores_by_slice, scores_of_case, scores_of_group
from willis.tasks.perfusion.labels import classes_of
from willis.units import MM3_PER_ML

LESIONS = ("core", "penumbra")
ALL = "all"
NAMED = {"lvo": "LVO", "non-lvo": "non-LVO", "none": "without stroke", ALL: "all"}
"""Groups in the publication's words and order."""


@dataclass(frozen=True)
class PatientCounts:
    """What one patient adds to the tables: who, of which group, and by label the voxels of each slice."""

    subject: str
    group: str
    labels: Mapping[str, SliceCounts]


class GroupMeasures:
    """Core and penumbra by the class of highest probability, for :func:`willis.tasks.validation.make_validation`."""

    def of_case(self, probability: npt.NDArray[np.floating], case: Case) -> PatientCounts:
        """Count one patient, (L, I, J, K) probabilities; slices lie along K."""
        names = classes_of(len(probability)).names
        found, true = probability.argmax(axis=0), case.target.argmax(axis=0)
        voxel_ml = float(np.prod(case.spacing_mm)) / MM3_PER_ML
        numbers = {label: names.index(label) for label in LESIONS if label in names}
        labels = {label: count_slices(true == n, found == n, voxel_ml) for label, n in numbers.items()}
        return PatientCounts(case.subject, case.group, labels)

    def of_all(self, counts: Sequence[PatientCounts]) -> dict[str, float]:
        """``dice_LABEL_GROUP``, the mean of patients who have the label, and ``dice_lesions``, that of both labels."""
        measures = {f"dice_{row['label']}_{row['group'].lower()}": row["dice_patients"] for row in _groups(counts)}
        every = [value for name, value in measures.items() if name.endswith(f"_{ALL}") and value is not None]
        return {
            "dice_lesions": float(np.mean(every)) if every else 0.0,
            **{name: value for name, value in measures.items() if value is not None},
        }

    def tables(self, counts: Sequence[PatientCounts]) -> dict[str, list[dict[str, Any]]]:
        """``slices``, ``patients`` and ``groups``."""
        of_labels = [(_who(one, label), counted) for one in counts for label, counted in one.labels.items()]
        return {
            "slices": [{**who, **row} for who, counted in of_labels for row in scores_by_slice(counted)],
            "patients": [{**who, **scores_of_case(counted)} for who, counted in of_labels],
            "groups": _groups(counts),
        }


def _groups(counts: Sequence[PatientCounts]) -> list[dict[str, Any]]:
    """One row a group and label, as :func:`willis.measure.by_group.scores_of_group` gives it."""
    groups = [name for name in NAMED if name == ALL or any(one.group == name for one in counts)]
    rows = []
    for group in groups:
        mine = [one for one in counts if group in (one.group, ALL)]
        for label in mine[0].labels if mine else ():
            scores = scores_of_group([one.labels[label] for one in mine])
            rows.append({"group": NAMED[group], "label": label, **scores})
    return rows


def _who(one: PatientCounts, label: str) -> dict[str, Any]:
    return {"patient": one.subject, "group": NAMED.get(one.group, one.group), "label": label}
