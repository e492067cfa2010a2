"""Cases and the groups that a table gives them; what it leaves open is told."""

import pytest

from willis.errors import BadInputError
from willis.io.groups import group_cases

CASES = ["sub-01", "sub-02_ses-1", "sub-02_ses-2", "sub-03", "case7"]


def table(folder, text):
    path = folder / "participants.tsv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("separator", ["\t", ";", ","])
def test_cases_are_meant_by_their_own_name_or_their_patients(tmp_path, separator):
    lines = ["Participant_ID,age,Group", "sub-01,70,LVO", "02,71,non-LVO", "sub-03,n/a,n/a", "case7,1,LVO", "x,2,none"]
    path = table(tmp_path, "\n".join(lines).replace(",", separator) + "\n")
    found = group_cases(path, CASES)
    assert found.of_case == {"sub-01": "LVO", "sub-02_ses-1": "non-LVO", "sub-02_ses-2": "non-LVO", "case7": "LVO"}
    assert (found.names, found.empty) == (("LVO", "non-LVO", "none"), ("none",))
    assert (found.no_group, found.no_case) == (("sub-03",), ("x",))


def test_a_sessions_own_row_goes_before_its_patients(tmp_path):
    path = table(tmp_path, "case\twhen\nsub-02\tlate\nsub-02_ses-1\tearly\n")
    found = group_cases(path, CASES, "When")
    assert (found.of_case["sub-02_ses-1"], found.of_case["sub-02_ses-2"]) == ("early", "late")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("participant_id\tsite\nsub-01\tA\n", "no column group; its columns are participant_id, site"),
        ("who\tgroup\nsub-01\tA\n", "no column participant_id; its columns are who, group"),
        ("participant_id\tgroup\nsub-01\tA\n01\tB\n", "gives 01 two groups: A and B"),
        ("participant_id\tgroup\nsub-01\tAll\n", "calls a group 'All'"),
        ("participant_id\tgroup\nsub-09\tA\n", "names none of the cases: it names 09; the cases are sub-01"),
        ("participant_id\tgroup\n", "no column participant_id; its columns are none"),
    ],
)
def test_a_table_that_does_not_tell_groups_is_refused(tmp_path, text, said):
    with pytest.raises(BadInputError, match=said):
        group_cases(table(tmp_path, text), CASES)


def test_an_absent_table_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="can't be read as a table"):
        group_cases(tmp_path / "none.tsv", CASES)


def test_marks_within_a_cell_make_no_line_of_their_own(tmp_path):
    """What Unicode calls a line break, as notes copied from elsewhere hold, made patients of the rest of the cell."""
    note = "twice\u2028sub-03, seen\x0bsub-03"
    rows = ["participant_id\tgroup\tnote", f"sub-01\tLVO\t{note}", 'sub-03\tnon-LVO\t"one\nmore"', "case7\tLVO\tx"]
    found = group_cases(table(tmp_path, "\n".join(rows)), CASES)
    assert found.of_case == {"sub-01": "LVO", "sub-03": "non-LVO", "case7": "LVO"}
    assert found.no_case == ()
