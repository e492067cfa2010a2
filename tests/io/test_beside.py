"""What lies beside an image: found by its name, read as one JSON object or refused."""

import json
from pathlib import Path

import pytest

from willis.errors import BadInputError
from willis.io.beside import SIDECAR, file_beside, read_sidecar, with_ending
from willis.io.nifti_names import stem_of


@pytest.mark.parametrize(
    ("name", "stem"),
    [("dwi.nii.gz", "dwi"), ("dwi.nii", "dwi"), ("v1.2_b0.nii.gz", "v1.2_b0"), ("x.nii.nii.gz", "x.nii")],
)
def test_only_the_last_ending_goes(name: str, stem: str) -> None:
    assert stem_of(Path("folder.nii") / name) == stem
    assert with_ending(Path("folder.nii") / name, SIDECAR) == Path("folder.nii") / f"{stem}.json"


def test_the_first_ending_that_there_is_counts(tmp_path: Path) -> None:
    image = tmp_path / "dwi.nii.gz"
    assert file_beside(image, ".bval", ".bvals") is None
    (tmp_path / "dwi.bvals").touch()
    assert file_beside(image, ".bval", ".bvals") == tmp_path / "dwi.bvals"
    (tmp_path / "dwi.bval").touch()
    assert file_beside(image, ".bval", ".bvals") == tmp_path / "dwi.bval"
    (tmp_path / "other.json").touch()
    (tmp_path / "dwi.json").mkdir()
    assert file_beside(image, SIDECAR) is None


def test_a_sidecar_is_read_as_it_stands(tmp_path: Path) -> None:
    assert read_sidecar(tmp_path / "dwi.nii.gz") == {}
    (tmp_path / "dwi.json").write_text(json.dumps({"EchoTime": 0.08, "Ort": "Zürich"}, ensure_ascii=False), "utf-8")
    assert read_sidecar(tmp_path / "dwi.nii.gz") == {"EchoTime": 0.08, "Ort": "Zürich"}


@pytest.mark.parametrize("content", [b"{", b"[1, 2]", b'"text"', b"", b'{"Ort": "Z\xfcrich"}'])
def test_what_is_no_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dwi.json").write_bytes(content)
    with pytest.raises(BadInputError, match=r"dwi\.json .*ne JSON object is allowed.*move it away"):
        read_sidecar(tmp_path / "dwi.nii.gz")
