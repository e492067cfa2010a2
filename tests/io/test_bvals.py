"""B values beside an image: rows or columns, one for each volume."""

from pathlib import Path

import pytest

from willis.errors import BadInputError
from willis.io.bvals import b_beside, bval_beside, has_bval, read_bvals


def test_bvals_stand_in_rows_or_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.bval"
    path.write_text("0 1000\n1000.0\t50\n")
    assert read_bvals(path) == [0, 1000, 1000, 50]


def test_the_bval_of_an_image_is_found(tmp_path: Path) -> None:
    image = tmp_path / "x.nii.gz"
    assert not has_bval(image) and b_beside(image) is None
    with pytest.raises(BadInputError, match=r"x\.bval isn't beside it"):
        bval_beside(image)
    (tmp_path / "x.bval").write_text("0 900")
    assert has_bval(image) and bval_beside(image) == tmp_path / "x.bval"
    assert [b_beside(image, index) for index in (0, 1)] == [0, 900]


@pytest.mark.parametrize("index", [None, 2, -1])
def test_one_b_must_belong_to_the_image(tmp_path: Path, index: int | None) -> None:
    (tmp_path / "x.bval").write_text("0 900")
    with pytest.raises(BadInputError, match=r"x\.bval holds 2 b value\(s\); they must agree"):
        b_beside(tmp_path / "x.nii.gz", index)
