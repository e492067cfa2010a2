import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from willis.errors import BadInputError
from willis.learn.folds import fold_of_subjects, keep
from willis.learn.recipe import FoldSettings


@given(st.lists(st.integers(0, 30), min_size=20, max_size=60), st.integers(2, 5), st.integers(0, 99))
def test_folds_part_the_cases_and_never_a_patient(numbers: list[int], count: int, seed: int) -> None:
    subjects = [f"{n}" for n in [*numbers, *range(5)]]
    held_out: list[int] = []
    for index in range(count):
        folds = FoldSettings(count=count, index=index, seed=seed)
        training, validation = keep(subjects, folds, "training"), keep(subjects, folds, "validation")
        assert sorted(training + validation) == list(range(len(subjects)))
        assert not {subjects[i] for i in training} & {subjects[i] for i in validation}
        held_out += validation
    assert sorted(held_out) == list(range(len(subjects)))


def test_folds_are_balanced_seeded_and_blind_to_order() -> None:
    subjects = [f"{n:02d}" for n in range(23)]
    fold = fold_of_subjects(subjects, 5, 1)
    assert set(np.bincount(list(fold.values()))) == {4, 5}
    assert fold_of_subjects(subjects[::-1] * 2, 5, 1) == fold != fold_of_subjects(subjects, 5, 2)


def test_without_folds_all_is_training() -> None:
    assert keep(["a", "b"], None, "training") == [0, 1]
    assert keep(["a", "b"], None, "validation") == []


def test_a_validation_share_leaves_the_fold_for_a_test() -> None:
    """As FVV was published: ten folds, a fifth of the other patients validates, the fold is seen by neither."""
    subjects = [f"{n:02d}" for n in range(50)] * 2
    unseen: list[str] = []
    for index in range(10):
        folds = FoldSettings(count=10, index=index, seed=2000, validation_share=0.2)
        training, validation = ({subjects[i] for i in keep(subjects, folds, p)} for p in ("training", "validation"))
        assert (len(training), len(validation)) == (36, 9)
        assert not training & validation
        fold = fold_of_subjects(subjects, 10, 2000)
        left_out = {subject for subject, place in fold.items() if place == index}
        assert not left_out & (training | validation)
        unseen += left_out
        assert keep(subjects, folds, "validation") == [i for i, s in enumerate(subjects) if s in validation]
    assert sorted(unseen) == sorted(set(subjects))


def test_too_few_patients() -> None:
    with pytest.raises(BadInputError, match="2 patients can't be shared out into 3 folds"):
        fold_of_subjects(["a", "b", "a"], 3, 0)
