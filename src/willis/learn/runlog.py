"""The log of a run: one JSON line a row while it runs, and from it a CSV table and a picture of the curves."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOG_FILE = "log.jsonl"
PATCHES_FILE = "patches.jsonl"


class RunLog:
    """Appends rows to ``log.jsonl``; a row has ``step`` (1 for the first) and ``kind`` (train, validation, note)."""

    def __init__(self, folder: Path, *, upto: int | None = None) -> None:
        """Begin a log, or with ``upto`` go on with one, less the rows of later steps."""
        self.folder = folder
        self.path = folder / LOG_FILE
        for path in (self.path, folder / PATCHES_FILE):
            rows = read_rows(path) if upto is not None else []
            kept = [json.dumps(row) + "\n" for row in rows if row["step"] <= (upto or 0)]
            if kept or path == self.path:
                path.write_text("".join(kept), encoding="utf-8")
            else:
                path.unlink(missing_ok=True)

    def add(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Write one row at once."""
        row = {"kind": kind, "step": step, **{k: _short(v) for k, v in values.items()}}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def add_patches(self, step: int, drawn: Sequence[Mapping[str, Any]]) -> None:
        """Write what was drawn for each patch of a step: case, place, augmentation."""
        with (self.folder / PATCHES_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "patches": list(drawn)}) + "\n")

    def finish(self) -> None:
        """Write ``log.csv`` and ``curves.png``."""
        rows = read_log(self.folder)
        write_csv(rows, self.folder / "log.csv")
        draw_curves(rows, self.folder / "curves.png")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Rows of a run folder's ``log.jsonl``."""
    return read_rows(folder / LOG_FILE)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """One mapping for each line; a last line cut off by a crash is left out. Empty when there is no file."""
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One row for each log row, one column for each name that occurs."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def draw_curves(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Loss and rate by step, and below them the figures of the validations."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    train = [row for row in rows if row["kind"] == "train"]
    checks = [row for row in rows if row["kind"] == "validation"]
    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True)
    for name in dict.fromkeys(n for r in train for n in r if n.endswith("loss")):
        top.plot([r["step"] for r in train], [r.get(name) for r in train], label=name, linewidth=1)
    top.set_ylabel("training loss")
    for name in dict.fromkeys(n for r in checks for n, v in r.items() if n not in ("step", "kind", "seconds")):
        bottom.plot([r["step"] for r in checks], [r.get(name) for r in checks], "o-", label=name, markersize=3)
    bottom.set_ylabel("validation")
    bottom.set_xlabel("step")
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    figure.savefig(path, dpi=100)


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
