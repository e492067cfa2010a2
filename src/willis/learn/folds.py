"""Folds by patient: all cases of one patient lie in one fold, and the same seed gives the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from willis.errors import BadInputError
from willis.learn.recipe import FoldSettings
from willis.units import counted


def fold_of_subjects(subjects: Sequence[str], count: int, seed: int) -> dict[str, int]:
    """The fold (0 … count − 1) of each patient; sizes differ by at most one patient.

    The order in which patients are named, and how often, makes no difference.

    Raises
    ------
    BadInputError
        When there are fewer patients than folds.
    """
    patients = sorted(set(subjects))
    if len(patients) < count:
        raise BadInputError(
            f"{counted(len(patients), 'patient')} can't be shared out into {count} folds; ask for fewer folds."
        )
    order = np.random.default_rng(seed).permutation(len(patients))
    return {patients[int(index)]: place % count for place, index in enumerate(order)}


def keep(subjects: Sequence[str], folds: FoldSettings | None, part: Literal["training", "validation"]) -> list[int]:
    """Indices of the cases of one part: the fold that is left out is for validation. Without folds: all are training.

    Where the folds have a ``validation_share``, that share of the other patients is for validation instead, and the
    fold that is left out belongs to neither part.

    Parameters
    ----------
    subjects
        Patient of each case.
    folds
        The recipe's ``[folds]``.

    Raises
    ------
    BadInputError
        When there are fewer patients than folds.
    """
    if folds is None:
        return list(range(len(subjects))) if part == "training" else []
    fold = fold_of_subjects(subjects, folds.count, folds.seed)
    left_out = {subject for subject, place in fold.items() if place == folds.index}
    if not folds.validation_share:
        return [i for i, subject in enumerate(subjects) if (subject in left_out) == (part == "validation")]
    others = sorted(set(fold) - left_out)
    order = np.random.default_rng((folds.seed, folds.index)).permutation(len(others))
    count = max(round(folds.validation_share * len(others)), 1)
    flagged = {others[int(index)] for index in order[:count]}
    wanted = flagged if part == "validation" else set(others) - flagged
    return [i for i, subject in enumerate(subjects) if subject in wanted]
