"""Labelled patients found by names or in a table: which masks are of lesions, and whose they are."""

from pathlib import Path

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.io.labelled import find_labelled_images
from willis.io.nifti import write_nifti
from willis.volume.grid import Grid
from willis.volume.volume import Volume


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def told(source: Path) -> list[tuple[str, str, str, str | None]]:
    return [(f.name, f.group, f.mask.name, f.image and f.image.name) for f in find_labelled_images(source)]


def test_names_in_capital_letters_are_read(tmp_path: Path) -> None:
    put(tmp_path / "sub-1" / "sub-1_ses-1_T1W.NII.GZ")
    put(tmp_path / "sub-1" / "sub-1_ses-1_label-L_desc-T1lesion_MASK.NII.GZ")
    ((name, group, mask, image),) = told(tmp_path)
    assert (name, group, image) == ("sub-1_ses-1", "sub-1", "sub-1_ses-1_T1W.NII.GZ")
    assert mask.endswith("MASK.NII.GZ")


def test_a_brain_mask_is_no_lesion_mask(tmp_path: Path) -> None:
    put(tmp_path / "sub-1_T1w.nii.gz")
    put(tmp_path / "sub-1_desc-brain_mask.nii.gz")
    with pytest.raises(BadInputError, match=r"holds no lesion mask .* masks of the brain are none"):
        told(tmp_path)
    put(tmp_path / "sub-1_roi.nii.gz")
    assert told(tmp_path) == [("sub-1", "sub-1", "sub-1_roi.nii.gz", "sub-1_T1w.nii.gz")]
    put(tmp_path / "sub-1_space-brain_label-lesion_mask.nii.gz")
    assert told(tmp_path)[0][2] == "sub-1_space-brain_label-lesion_mask.nii.gz"


def test_sessions_share_their_patient_however_they_are_named(tmp_path: Path) -> None:
    for session in "ab":
        put(tmp_path / "folder" / f"p7_ses-{session}_mask.nii.gz")
        put(tmp_path / f"{session}.nii")
    assert [(name, group) for name, group, *_ in told(tmp_path / "folder")] == [("p7_ses_a", "p7"), ("p7_ses_b", "p7")]
    table = tmp_path / "paths.tsv"
    table.write_text("subject\tmask\nsub-1_ses-a\ta.nii\nsub-1_ses-b\tb.nii\n")
    assert [(name, group) for name, group, *_ in told(table)] == [("sub-1_ses-a", "sub-1"), ("sub-1_ses-b", "sub-1")]


@pytest.mark.parametrize("second", ["P2", "n/a"])
def test_a_patient_of_two_groups_is_refused(tmp_path: Path, second: str) -> None:
    for session in "ab":
        put(tmp_path / f"{session}.nii")
    table = tmp_path / "paths.tsv"
    rows = f"sub-1\tses-a\tP1\ta.nii\nsub-1\tses-b\t{second}\tb.nii\n"
    table.write_text(f"subject\tsession\tgroup\tmask\n{rows}")
    with pytest.raises(BadInputError, match=r"line 3 of .* gives sub-1 the group .*, and an earlier line 'P1'"):
        find_labelled_images(table)


@pytest.mark.parametrize(
    "text",
    [
        "subject\tmask\tt1\tsession\n1\tm/a.nii\tn/a\tx\n\n2\tm/b.nii\tt.nii\tn/a\n\n",
        "Subject,Mask,T1,Session\r\n1,m/a.nii,,x\r\n,,,\r\n2, m/b.nii ,t.nii\r\n",
        "t1;mask;subject;session\n;m/a.nii;1;x\nt.nii;m/b.nii;2;\n",
    ],
)
def test_a_table_may_be_of_tabs_commas_or_semicolons_and_hold_empty_lines(tmp_path: Path, text: str) -> None:
    for name in ("m/a.nii", "m/b.nii", "t.nii"):
        put(tmp_path / name)
    table = tmp_path / "paths.csv"
    table.write_text(text)
    assert told(table) == [("1_x", "1", "a.nii", None), ("2", "2", "b.nii", "t.nii")]


def test_a_line_of_a_table_is_named_by_its_number(tmp_path: Path) -> None:
    table = tmp_path / "paths.csv"
    table.write_text("subject,mask\n\n1,absent.nii\n")
    with pytest.raises(BadInputError, match=r"line 3 of \S+ names \S+absent.nii, which does not exist"):
        told(table)
    table.write_text("subject,mask\n1,a,b\n")
    with pytest.raises(BadInputError, match=r"line 2 of \S+ has 3 cells; its first line names 2"):
        told(table)
    table.write_text("subject,mask,Mask\n1,a,b\n")
    with pytest.raises(BadInputError, match="names the column mask twice"):
        told(table)


def test_an_atlas_that_is_stored_with_a_scale_keeps_its_labels(tmp_path: Path) -> None:
    from willis.measure.labelled_sizes import describe_case

    grid = Grid((6, 6, 6), np.eye(4))
    mask = np.zeros(grid.shape, np.uint8)
    mask[1:4, 1:4, 1:4] = 1
    write_nifti(Volume(mask, grid), tmp_path / "sub-1_mask.nii.gz")
    (case,) = find_labelled_images(tmp_path)
    atlas = tmp_path / "atlas.nii.gz"
    write_nifti(Volume(np.full(grid.shape, 2.9999998, np.float32), grid), atlas)
    assert describe_case(case, atlas=atlas).lesions[0].region == 3
    for odd in (-1.0, 0.5):
        write_nifti(Volume(np.full(grid.shape, odd, np.float32), grid), atlas)
        with pytest.raises(BadInputError, match="holds values that are no labels"):
            describe_case(case, atlas=atlas)
