"""Patients of a BIDS folder run one by one, with one table of what was found."""

import json
from pathlib import Path
from typing import Any

import pytest

from willis.errors import BadInputError, WillisError
from willis.findings import Decision, Findings, Measurement
from willis.io.tables import read_table
from willis.tasks import cohort
from willis.tasks.registry import TASKS, get_spec, get_task
from willis.tasks.settings import RunSettings


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


class Scanner:
    """Stands for reading and running: a volume for each file of a name, and a failure where one is asked for."""

    def __init__(self) -> None:
        self.volumes: dict[str, float] = {}
        self.read: list[dict[str, Path]] = []
        self.labels: list[tuple[str, str | None]] = []
        self.written: list[Path] = []

    def read_study(self, subject: str, session: str | None, **files: Path) -> dict[str, Path]:
        self.read.append(files)
        self.labels.append((subject, session))
        return files

    def run_task(self, _name: str, study: dict[str, Path], **_how: Any) -> Findings:
        subject = study["flair"].name.removesuffix("_FLAIR.nii.gz")
        if subject not in self.volumes:
            raise WillisError(f"{subject} is\nbroken.")
        volume = self.volumes[subject]
        found = {
            "wmh_volume": Measurement("wmh_volume", volume, "ml", (volume / 2, 2 * volume), "WMH volume"),
            "wmh_count": Measurement("wmh_count", 3, "count"),
        }
        return Findings("wmh", subject, "made up", measurements=found, decision=Decision("Load", "high", "made up"))

    def write(self, _findings: Findings, out: Path) -> Path:
        self.written.append(out)
        out.mkdir(parents=True, exist_ok=True)
        return out / "report.html"


@pytest.fixture
def scanner(monkeypatch: pytest.MonkeyPatch) -> Scanner:
    made = Scanner()
    monkeypatch.setattr(cohort, "read_study", made.read_study)
    monkeypatch.setattr(cohort, "run_task", made.run_task)
    return made


def run(scanner: Scanner, folder: Path, out: Path, tell: cohort.Tell = lambda _done, _who: None) -> dict[str, str]:
    return get_task("wmh").run_folder()(folder, out, {}, settings=RunSettings(), write=scanner.write, tell=tell)


def test_each_session_has_a_line_with_its_numbers_or_its_problem(tmp_path: Path, scanner: Scanner) -> None:
    put(tmp_path / "in/sub-01/ses-a/anat", "sub-01_ses-a_FLAIR", "sub-01_ses-a_T1w")
    put(tmp_path / "in/sub-02/anat", "sub-02_FLAIR")
    put(tmp_path / "in/sub-03/anat", "sub-03_T1w")
    put(tmp_path / "in/sub-04/anat", "sub-04_FLAIR")
    scanner.volumes = {"sub-01_ses-a": 12.5, "sub-04": 0.25}
    problems = run(scanner, tmp_path / "in", tmp_path / "out")
    assert problems == {
        "sub-01_ses-a": "",
        "sub-02": "sub-02 is broken.",
        "sub-03": "wmh needs --flair; given was --t1.",
        "sub-04": "",
    }
    rows = {row["patient"]: row for row in read_table(tmp_path / "out" / "wmh.tsv")}
    assert list(rows) == list(problems)
    assert list(rows["sub-02"]) == [
        "patient", "wmh_volume", "wmh_volume_low", "wmh_volume_high", "wmh_count", "decision", "problem",
    ]  # fmt: skip
    first = rows["sub-01_ses-a"]
    assert (first["wmh_volume"], first["wmh_volume_low"], first["wmh_volume_high"]) == ("12.5", "6.25", "25")
    assert (first["wmh_count"], first["decision"], first["problem"]) == ("3", "high", None)
    assert rows["sub-02"]["wmh_volume"] is None and rows["sub-02"]["problem"] == "sub-02 is broken."
    assert [sorted(files) for files in scanner.read] == [["flair", "t1"], ["flair"], ["flair"]]
    assert scanner.labels == [("sub-01", "ses-a"), ("sub-02", None), ("sub-04", None)]
    assert scanner.written == [tmp_path / "out" / "sub-01_ses-a", tmp_path / "out" / "sub-04"]
    columns = json.loads((tmp_path / "out" / "wmh.json").read_text())
    assert columns["wmh_volume"] == {"Description": "WMH volume", "Units": "ml"}
    assert columns["wmh_volume_high"] == {"Description": "WMH volume, high end of its interval", "Units": "ml"}
    assert columns["decision"] == {"Description": "Load"}


def test_a_run_that_is_broken_off_leaves_its_lines_and_a_second_one_keeps_those_to_come(
    tmp_path: Path, scanner: Scanner
) -> None:
    put(tmp_path / "in/sub-01/anat", "sub-01_FLAIR")
    put(tmp_path / "in/sub-02/anat", "sub-02_FLAIR")
    scanner.volumes = {"sub-01": 1.0, "sub-02": 2.0}
    run(scanner, tmp_path / "in", tmp_path / "out")
    scanner.volumes = {"sub-01": 5.0, "sub-02": 6.0}

    def stop(done: float, _who: str) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scanner, tmp_path / "in", tmp_path / "out", stop)
    rows = read_table(tmp_path / "out" / "wmh.tsv")
    assert [(row["patient"], row["wmh_volume"]) for row in rows] == [("sub-01", "5"), ("sub-02", "2")]


def test_another_table_of_that_name_is_left_alone(tmp_path: Path, scanner: Scanner) -> None:
    put(tmp_path / "in/sub-01/anat", "sub-01_FLAIR")
    table = tmp_path / "out" / "wmh.tsv"
    table.parent.mkdir()
    for text in ("name\tage\nanna\t7\n", "no table at all", "name\tage\n"):
        table.write_text(text)
        with pytest.raises(BadInputError, match="isn't the table of an earlier run of wmh"):
            run(scanner, tmp_path / "in", tmp_path / "out")
        assert table.read_text() == text and not scanner.read
    table.unlink()
    table.with_suffix(".json").write_text("{}")
    with pytest.raises(BadInputError, match=r"wmh.json exists and isn't the table of an earlier run of wmh"):
        run(scanner, tmp_path / "in", tmp_path / "out")
    assert table.with_suffix(".json").read_text() == "{}"


def test_a_table_does_not_lose_the_rows_of_another_folder(tmp_path: Path, scanner: Scanner) -> None:
    put(tmp_path / "a/sub-01/anat", "sub-01_FLAIR")
    put(tmp_path / "a/sub-02/anat", "sub-02_FLAIR")
    put(tmp_path / "b/sub-03/anat", "sub-03_FLAIR")
    scanner.volumes = {"sub-01": 1.0, "sub-03": 3.0}
    out = tmp_path / "out"
    run(scanner, tmp_path / "a", out)
    table = (out / "wmh.tsv").read_bytes()
    with pytest.raises(BadInputError, match="the results of 1 scan that the folder given now lacks, sub-01;"):
        run(scanner, tmp_path / "b", out)
    assert (out / "wmh.tsv").read_bytes() == table and len(scanner.read) == 2
    (out / "sub-01").rename(tmp_path / "away")  # sub-02 has no results that could be lost
    run(scanner, tmp_path / "b", out)
    assert [row["patient"] for row in read_table(out / "wmh.tsv")] == ["sub-03"]


def test_brain_is_run_on_every_image_of_any_contrast(
    tmp_path: Path, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "in/sub-01/ses-a/anat", "sub-01_ses-a_FLAIR", "sub-01_ses-a_acq-2_T2w", "sub-01_ses-a_run-1_T1w")
    put(tmp_path / "in/sub-01/ses-a/anat", "sub-01_ses-a_run-2_T1w")
    put(tmp_path / "in/sub-01/ses-a/dwi", "sub-01_ses-a_dwi")
    put(tmp_path / "in/sub-02/ct", "sub-02_ct")

    def found(_name: str, study: dict[str, Path], **_how: Any) -> Findings:
        return Findings("brain", study["image"].name, "made up")

    monkeypatch.setattr(cohort, "run_task", found)
    get_task("brain").run_folder()(
        tmp_path / "in",
        tmp_path / "out",
        {},
        settings=RunSettings(),
        write=scanner.write,
        tell=lambda _done, _who: None,
    )
    names = [row["patient"] for row in read_table(tmp_path / "out" / "brain.tsv")]
    assert names == [
        "sub-01_ses-a_FLAIR", "sub-01_ses-a_acq-2_T2w", "sub-01_ses-a_run-1_T1w", "sub-01_ses-a_run-2_T1w", "sub-02_ct",
    ]  # fmt: skip
    assert [files["image"].name for files in scanner.read] == [f"{name}.nii.gz" for name in names]
    assert scanner.labels == [("sub-01", "ses-a")] * 4 + [("sub-02", None)]
    assert scanner.written == [tmp_path / "out" / name for name in names]


def test_every_task_reads_folders_and_knows_its_images_by_their_names() -> None:
    assert {name for name in TASKS if TASKS[name].own_cohort} == {"fvv"}
    for name in TASKS:
        spec = get_spec(name)
        if TASKS[name].own_cohort:
            continue
        assert not spec.each_image or sum(bool(role.suffixes) for role in spec.roles) == 1
        spec.check_roles([role.name for role in spec.roles if role.suffixes])
        ends = [end for role in spec.roles for end in role.suffixes]
        assert len(ends) == len(set(ends))
