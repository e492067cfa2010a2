"""Sex as a number or from a table: by which words, what goes before what, what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.study import Study
from willis.tasks.perfusion.clinical import clinical_of, read_sex
from willis.tasks.perfusion.spec import SPEC
from willis.volume.grid import Grid
from willis.volume.volume import Volume


def study(**scalars):
    grid = Grid((2, 2, 2), np.eye(4))
    return Study({"tmax": Volume(np.ones(grid.shape, np.float32), grid, "tmax")}, scalars=scalars, subject="01")


def known(scalars=None, **options):
    return clinical_of(study(**(scalars or {})), SPEC.resolve_options(options))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("m", 0), ("Male", 0), ("0", 0), ("0.0", 0), ("f", 1), ("FEMALE", 1), ("1", 1), ("-", None), ("", None),
     ("n/a", None), ("O", None), ("other", None)],
)  # fmt: skip
def test_sex_is_read_by_every_usual_word(text, expected):
    assert read_sex(text) == expected


@pytest.mark.parametrize("text", ["2", "-1", "mf", "yes"])
def test_what_is_no_sex_is_refused(text):
    with pytest.raises(BadInputError, match="allowed are m, male or 0, f, female or 1, or a dash"):
        read_sex(text)


@pytest.mark.parametrize(("column", "cell"), [("sex", "F"), ("gender", "female"), ("Sex", "1")])
def test_it_comes_from_a_table_and_an_option_goes_before(tmp_path, column, cell):
    table = tmp_path / "people.tsv"
    table.write_text(f"participant_id\tnihss\t{column}\nsub-01\t4\t{cell}\n")
    assert known(clinical=table).sex == 1.0
    assert known(clinical=table, sex="m").sex == 0.0
    assert known({"sex": 0.0}, clinical=table).sex == 1.0
    assert known({"sex": 1.0}).sex == 1.0 and known().sex is None
    assert known({"sex": 1.0}, sex="-").sex is None, "a dash says that it isn't known"


def test_a_table_or_a_study_with_a_strange_sex_is_refused(tmp_path):
    table = tmp_path / "people.tsv"
    table.write_text("participant_id\tsex\n01\t3\n")
    with pytest.raises(BadInputError, match="sex is '3'"):
        known(clinical=table)
    with pytest.raises(BadInputError, match="sex is '7'"):
        known({"sex": 7.0})


def test_an_empty_cell_is_not_known(tmp_path):
    table = tmp_path / "people.tsv"
    table.write_text("participant_id\tsex\n01\tNaN\n")
    assert known(clinical=table).sex is None


def test_rows_of_two_sessions_are_told_apart_or_refused(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("participant_id;session_id;nihss\nsub-01;ses-1;4\nsub-01;ses-2;17\n")
    options = SPEC.resolve_options({"clinical": table})
    with pytest.raises(BadInputError, match="has 2 rows for sub-01 that differ"):
        clinical_of(study(), options)
    assert [clinical_of(replace(study(), session=ses), options).nihss for ses in ("1", "2")] == [4.0, 17.0]
    with pytest.raises(BadInputError, match="rows for sub-01, but none for ses-3"):
        clinical_of(replace(study(), session="3"), options)
    table.write_text("participant_id;nihss\nsub-01;4\nsub-01;4\n")
    assert clinical_of(study(), options).nihss == 4.0
