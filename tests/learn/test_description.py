"""Tables of lesion sizes read back: what doesn't belong together is refused, not dropped."""

from pathlib import Path

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.io.labelled import find_labelled_images
from willis.io.nifti import write_nifti
from willis.learn.description import read_extents, read_subjects, write_description
from willis.measure.labelled_sizes import describe_cases
from willis.volume.grid import Grid
from willis.volume.volume import Volume


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    grid = Grid((8, 9, 10), np.eye(4))
    for number in range(1, 4):
        mask = np.zeros(grid.shape, np.uint8)
        mask[2 : 3 + number, 3:5, 4:6] = 1
        write_nifti(Volume(mask, grid), tmp_path / f"sub-{number}_mask.nii.gz")
    folder = tmp_path / "tables"
    write_description(describe_cases(find_labelled_images(tmp_path)), folder)
    return folder


@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        ("lesions_3d.csv", "sub-2,1,12", "sub-2,1,nan", "sum_voxel of sub-2 is 'nan'; a whole number is needed"),
        ("lesions_3d.csv", "sub-2,1,12", "sub-2,1,inf", "sum_voxel of sub-2 is 'inf'; a whole number is needed"),
        ("lesions_3d.csv", "sub-2,", ",", "has a line without subject_name"),
        ("lesions_3d.csv", "sub-2,", "sub-9,", "lacks sub-9, which .*lesions_3d.csv lists"),
        ("lesions_axial.csv", "sub-2,4,1,6", "sub-9,4,1,6", "sub-2 has 12 lesion voxels .* and 6 in lesions_axial.csv"),
        ("lesions_axial.csv", "sub-2,4,", "sub-2,5,", "slice 5 of sub-2 is listed twice"),
        ("subjects.tsv", "group", "patient", "lacks group of sub-1"),
        ("subjects.tsv", "sub-2\tsub-2", "sub-2\tn/a", "lacks group of sub-2"),
        ("subjects.tsv", "\t2\t0\t10", "\t2\tzero\t10", "axial_first of sub-1 is 'zero'; a whole number is needed"),
    ],
)
def test_tables_that_contradict_themselves_are_refused(tables: Path, table: str, old: str, new: str, said: str) -> None:
    path = tables / table
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInputError, match=said):
        read_subjects(tables)
        read_extents(tables)


def test_spaces_and_empty_lines_make_no_difference(tables: Path) -> None:
    whole = read_subjects(tables)
    for name in ("lesions_3d.csv", "lesions_axial.csv"):
        text = (tables / name).read_text()
        (tables / name).write_text(text.replace("sub-2,", " sub-2 ,").replace("\n", "\r\n") + "\r\n,,,\r\n")
    assert read_subjects(tables) == whole


def test_names_of_published_tables_are_grouped_by_subject_alone(tables: Path) -> None:
    (tables / "subjects.tsv").unlink()
    for path in tables.glob("lesions_*.csv"):
        text = path.read_text().replace("sub-1,", "siteA_1,").replace("sub-2,", "siteA_2,")
        path.write_text(text.replace("sub-3,", "sub-r3_ses-1,"))
    assert [subject.group for subject in read_subjects(tables)] == ["siteA_1", "siteA_2", "sub-r3"]
