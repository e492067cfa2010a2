import csv
from pathlib import Path

from willis.learn.runlog import RunLog, read_log


def test_rows_are_kept_upto_the_checkpoint(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    for step in range(1, 6):
        log.add("train", step, {"loss": 1 / step})
    assert [row["step"] for row in read_log(tmp_path)] == [1, 2, 3, 4, 5]
    RunLog(tmp_path, upto=3).add("train", 4, {"loss": 0.2, "rate": 0.123456789})
    rows = read_log(tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1] == {"kind": "train", "step": 4, "loss": 0.2, "rate": 0.123457}


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.add("train", 1, {"loss": 1.0})
    with log.path.open("a", encoding="utf-8") as file:
        file.write('{"kind": "train", "st')
    assert len(read_log(tmp_path)) == 1
    assert len(read_log(RunLog(tmp_path, upto=5).folder)) == 1


def test_table_and_picture(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.add("train", 1, {"loss": 1.5, "dice": 0.9})
    log.add("validation", 1, {"dice": 0.25})
    log.finish()
    with (tmp_path / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["loss"], row["dice"]) for row in rows] == [
        ("train", "1.5", "0.9"),
        ("validation", "", "0.25"),
    ]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_new_log_replaces_an_old_one(tmp_path: Path) -> None:
    RunLog(tmp_path).add("train", 1, {"loss": 1.0})
    RunLog(tmp_path)
    assert read_log(tmp_path) == []
