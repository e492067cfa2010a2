"""``willis demo``: its two steps, the truth beside what was found, and what it may remove."""

import json
from pathlib import Path

import numpy as np
import pytest

from willis.app.cli import demo, main
from willis.findings import Findings, Mask, Measurement
from willis.io.nifti import write_nifti
from willis.io.tables import write_table
from willis.report.write import write
from willis.volume.grid import Grid
from willis.volume.volume import Volume

Captured = pytest.CaptureFixture[str]
GRID = Grid((12, 12, 8), np.diag([2.0, 2.0, 3.0, 1.0]))


def mask(start: int) -> Volume:
    data = np.zeros(GRID.shape, np.uint8)
    data[start : start + 4, 2:6, 2:4] = 1
    return Volume(data, GRID, role="wmh")


def make_patient(folder: Path) -> None:
    images, truth = folder / "sub-0001" / "anat", folder / "derivatives" / "truth" / "sub-0001" / "anat"
    for made in (images, truth):
        made.mkdir(parents=True)
    for name in ("T1w", "FLAIR"):
        write_nifti(mask(2), images / f"sub-0001_{name}.nii.gz")
    write_nifti(mask(2), truth / "sub-0001_space-flair_label-wmh_mask.nii.gz")
    row = {"participant_id": "sub-0001", "wmh_volume_ml": 0.384, "wmh_count": 1, "brain_volume_ml": 1234.5}
    write_table([row], folder / "truth.tsv")
    maker = {"GeneratedBy": [{"Name": "willis phantom"}]}
    (folder / "dataset_description.json").write_text(json.dumps(maker))


def findings(start: int) -> Findings:
    numbers = {
        "wmh_volume": Measurement("wmh_volume", 0.4, "ml"),
        "wmh_count": Measurement("wmh_count", 2, "count"),
        "brain_volume": Measurement("brain_volume", 1200.0, "ml"),
    }
    return Findings("wmh", "sub-0001", "Two.", masks=[Mask("wmh", "flair", mask(start))], measurements=numbers)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the demo called; in its place small files are written."""
    called: list[list[str]] = []

    def call(arguments: list[str]) -> int:
        called.append(arguments)
        out = Path(arguments[arguments.index("-o") + 1])
        if arguments[0] == "phantom":
            make_patient(out)
        else:
            write(findings(4), out)
        return 0

    monkeypatch.setattr(demo, "call", call)
    return called


def test_truth_stands_beside_what_was_found(steps: list[list[str]], tmp_path: Path, capsys: Captured) -> None:
    assert main.call(["demo", "-o", str(tmp_path / "demo"), "--seed", "5"]) == 0
    said = capsys.readouterr().out.splitlines()
    rows = [line for line in said if line and not line.startswith(("$", "*", "Report"))]
    table = {line[:20].strip(): line[20:].split() for line in rows}
    assert table["WMH volume"] == ["0.384", "0.4", "ml"]
    assert table["WMH count"] == ["1", "2"]
    assert table["Brain *"] == ["1234", "1200", "ml"]
    assert "* The mask that is found holds the fluid over the gyri; the true volume is the brain's." in said
    assert table["Dice of the masks"] == ["0.5"]
    assert said[-1] == f"Report: {tmp_path / 'demo' / 'results' / 'report.html'}"
    assert [step[:2] for step in steps] == [["phantom", "wmh"], ["run", "wmh"]]
    assert "5" in steps[0]


def test_it_can_be_called_again(steps: list[list[str]], tmp_path: Path) -> None:
    for _ in range(2):
        assert main.call(["demo", "-o", str(tmp_path / "demo")]) == 0
    assert len(steps) == 4


@pytest.mark.parametrize("name", ["patients", "results"])
def test_it_removes_nothing_of_another(steps: list[list[str]], name: str, tmp_path: Path, capsys: Captured) -> None:
    mine = tmp_path / name / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("keep me")
    assert main.call(["demo", "-o", str(tmp_path)]) == 2
    assert "isn't of an earlier demo" in capsys.readouterr().err
    assert mine.read_text() == "keep me"
    assert steps == []


def test_a_failed_step_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "call", lambda _: 2)
    assert main.call(["demo", "-o", str(tmp_path)]) == 2


def test_the_steps_are_calls_that_the_command_line_takes(
    steps: list[list[str]], tmp_path: Path, capsys: Captured
) -> None:
    """Each step's options stand in the help of its verb, so that the demo can't fall behind them."""
    assert main.call(["demo", "-o", str(tmp_path)]) == 0
    for step in steps:
        capsys.readouterr()
        assert main.call([*step[:2], "--help"]) == 0
        shown = capsys.readouterr().out
        assert all(option in shown for option in step if option.startswith("-"))
