"""Labelled patients whose files or tables don't say clearly which image, which session or which number is meant."""

import pytest

from willis.errors import BadInputError
from willis.tasks.perfusion.labelled import find_patients


@pytest.fixture
def data(tmp_path):
    """Two patients; nothing but names is read."""
    for subject in ("sub-01", "sub-02"):
        make(tmp_path / subject / "perf" / f"{subject}_ctp.nii.gz")
        for label in ("core", "penumbra"):
            make(tmp_path / "derivatives" / subject / f"{subject}_space-ctp_label-{label}_mask.nii.gz")
    return tmp_path


def make(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def table(path, *rows):
    path.write_text("\n".join(["participant_id\tgroup\tnihss\tsex", *rows]) + "\n")


def test_sessions_are_not_passed_over(data):
    assert [p.subject for p in find_patients(data)] == ["sub-01", "sub-02"]
    make(data / "sub-03" / "ses-1" / "perf" / "sub-03_ses-1_ctp.nii.gz")
    with pytest.raises(BadInputError, match=r"sub-03.ses-1.perf lies in a session"):
        find_patients(data)


def test_two_series_of_one_patient_are_not_chosen_between(data):
    make(data / "sub-02" / "perf" / "sub-02_run-2_ctp.nii.gz")
    with pytest.raises(BadInputError, match=r"sub-02 has 2 files of the kind ctp, sub-02_ctp.nii.gz and sub-02_run-2"):
        find_patients(data)


def test_a_patient_stands_once_in_a_table(data):
    table(data / "participants.tsv", "sub-01\tlvo\t4\tF", "sub-02\tnone\t0\tM", "sub-01\tlvo\t17\tF")
    with pytest.raises(BadInputError, match="has two rows for sub-01"):
        find_patients(data)


def test_what_a_later_table_does_not_know_the_earlier_one_says(data):
    table(data / "participants.tsv", "sub-01\tlvo\t4\tF", "sub-02\tnone\t0\tM")
    table(data / "truth.tsv", "sub-01\tlvo\tn/a\t", "sub-02\tnon-lvo\t3\tM")
    first, second = find_patients(data)
    assert (first.group, first.scalars) == ("lvo", {"nihss": 4.0, "sex": 1.0})
    assert (second.group, second.scalars) == ("non-lvo", {"nihss": 3.0, "sex": 0.0})


def test_a_sex_that_cannot_be_read_is_refused_as_in_a_run(data):
    table(data / "participants.tsv", "sub-01\tlvo\t4\tweiblich")
    with pytest.raises(BadInputError, match="sex is 'weiblich'"):
        find_patients(data)
