"""The perfusion task on phantoms: core and penumbra by thresholds and by a network against the truth, by group.

    .venv/bin/python benchmarks/perfusion_phantoms.py --count 50 --keep runs/perfusion-phantoms --table perfusion.tsv
    .venv/bin/python benchmarks/perfusion_phantoms.py --count 6 --ways

Prints for each reading the median Dice of core and penumbra by group, the mean difference and limits of agreement of
volumes, and the false core of patients without stroke. The network is read with all that the phantom has, and once
more on its maps alone, without MIP and NIHSS. With ``--keep`` the maps are kept in a folder, so that another bundle can
be measured on the same patients sooner; tables of parts of the patients (``--first``) are put together by ``--tables``.
With ``--ways`` each patient is read as series, as scalar maps, and as a vendor's pictures of them, whose colours, bar
and burned-in text are drawn for each, and how far core and penumbra lie apart is printed.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.image.midline import Midline
from willis.io.colormap import shares_of
from willis.io.colour_bar import find_bar
from willis.io.pictures import BAR_UNIT
from willis.io.tables import write_table
from willis.measure.agreement import bland_altman
from willis.measure.overlap import dice
from willis.models.store import Bundle, open_bundle
from willis.phantom.anatomy import Anatomy, builtin_anatomy
from willis.phantom.patient import make_patient
from willis.phantom.perfusion_pictures import PictureStyle, draw_style, vendor_pictures
from willis.phantom.perfusion_scene import GROUPS
from willis.study import Study
from willis.tasks.perfusion.by_network import read_by_network
from willis.tasks.perfusion.interpret import Thresholds, read_maps
from willis.tasks.perfusion.prepare import PreparedMaps, prepare
from willis.tasks.perfusion.spec import CORE_RELATIVE_CBF, HYPOPERFUSED_TMAX_S, LEAST_CLUSTER_ML, MAPS, SPEC
from willis.tasks.settings import RunSettings
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SEED = 900_005
SIDE = 128
RANGES = {"cbf": (0.0, 80.0), "cbv": (0.0, 8.0), "mtt": (0.0, 24.0), "ttp": (0.0, 40.0), "tmax": (0.0, 16.0)}
THRESHOLDS = Thresholds(CORE_RELATIVE_CBF, HYPOPERFUSED_TMAX_S, LEAST_CLUSTER_ML)


def read(study: Study, **options: Any) -> tuple[PreparedMaps, dict[str, Any]]:
    prepared = prepare(study, SPEC.resolve_options(options))
    reading = read_maps(prepared, THRESHOLDS)
    return prepared, {"core": reading.core, "penumbra": reading.penumbra, "hypoperfused": reading.hypoperfused}


def analysed(case: Kept, bundle: Bundle | None) -> dict[str, Any]:
    prepared = case.prepared
    found = read_maps(prepared, THRESHOLDS)
    readings: dict[str, tuple[Any, Any]] = {"thresholds": (found.core, found.penumbra)}
    if bundle is not None:
        bare = replace(prepared, maps={name: v for name, v in prepared.maps.items() if name != "mip"})
        for name, maps, nihss in (("network", prepared, case.row["nihss"]), ("network, maps alone", bare, None)):
            by = read_by_network(
                maps, {"nihss": nihss}, bundle, settings=RunSettings(engine="torch"), min_ml=LEAST_CLUSTER_ML
            )
            readings[name] = (by.core, by.penumbra)
    row = {k: case.row[k] for k in ("participant_id", "group", "site")}
    ml = prepared.grid.voxel_ml
    truth = {"core": case.core, "penumbra": case.penumbra, "both": case.core | case.penumbra}
    row |= {f"{name}_true_ml": float(mask.sum()) * ml for name, mask in truth.items()}
    for reading, (core, penumbra) in readings.items():
        for name, mask in (("core", core), ("penumbra", penumbra), ("both", core | penumbra)):
            row |= {f"{reading}: {name}_ml": float(mask.sum()) * ml, f"{reading}: {name}_dice": dice(mask, truth[name])}
    return row


@dataclass(frozen=True)
class Kept:
    """A patient's maps, truth and row."""

    prepared: PreparedMaps
    core: npt.NDArray[np.bool_]
    penumbra: npt.NDArray[np.bool_]
    row: dict[str, Any]


def case_of(seed: int, index: int, folder: Path | None, heads: list[Anatomy]) -> Kept:
    """Make a patient and its maps, or take them from the folder.

    Raises
    ------
    BadInputError
        When the task refuses the series.
    """
    path = None if folder is None else folder / f"{seed}-{index:04d}.npz"
    if path is not None and path.exists():
        return _opened(path)
    patient = make_patient("perfusion", seed, index, heads, side=SIDE)
    prepared = prepare(patient.study, SPEC.resolve_options({}))
    core, penumbra = (patient.truth[name].data > 0 for name in ("core", "penumbra"))
    case = Kept(prepared, core, penumbra, {**patient.row, "nihss": patient.study.scalars["nihss"]})
    if path is not None:
        _keep(case, path)
    return case


def _keep(case: Kept, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    p = case.prepared
    maps = {f"map_{name}": volume.data.astype(np.float32) for name, volume in p.maps.items()}
    whole = path.with_suffix(".part.npz")  # a run that is stopped leaves no half of a file
    np.savez_compressed(
        whole, **maps, brain=p.brain, tissue=p.tissue, core=case.core, penumbra=case.penumbra, affine=p.grid.affine,
        normal=p.midline.normal, offset=p.midline.offset_mm, row=json.dumps(case.row),
    )  # fmt: skip
    whole.rename(path)


def _opened(path: Path) -> Kept:
    held = np.load(path, allow_pickle=False)
    grid = Grid(held["brain"].shape, held["affine"])
    maps = {key[4:]: Volume(held[key], grid, key[4:]) for key in held.files if key.startswith("map_")}
    x, y = held["normal"].tolist()
    midline = Midline((x, y), float(held["offset"]))
    prepared = PreparedMaps(maps, "ctp", held["brain"], held["tissue"], midline, None, "series")
    return Kept(prepared, held["core"], held["penumbra"], json.loads(str(held["row"])))


def colour_study(prepared: PreparedMaps, style: PictureStyle) -> Study:
    """The maps as a vendor's pictures would give them: painted, with bar and burned-in text, and read by that bar."""
    volumes = {}
    for name in MAPS:
        data, where = prepared.maps[name].data.transpose(1, 0, 2), prepared.tissue.transpose(1, 0, 2)
        shown = vendor_pictures(data, RANGES[name], where, style, name.upper())
        bar = find_bar(shown.pictures)
        assert bar is not None
        share = shares_of(shown.pictures, bar)[shown.rows, shown.columns].transpose(1, 0, 2)
        volumes[name] = Volume(np.ascontiguousarray(share), prepared.grid, name, BAR_UNIT)
    return Study(volumes)


def three_ways(case: Kept, style: PictureStyle) -> dict[str, Any]:
    """Core and penumbra of a series, of its maps as values, and of its maps as a vendor's pictures of that style."""
    prepared = case.prepared
    found = read_maps(prepared, THRESHOLDS)
    series = {"core": found.core, "penumbra": found.penumbra}
    scalar = Study({name: _outside_nan(prepared, name) for name in MAPS})
    _, maps = read(scalar)
    ranges = ",".join(f"{name}={low:g}:{high:g}" for name, (low, high) in RANGES.items())
    _, colours = read(colour_study(prepared, style), range=ranges)
    ml = prepared.grid.voxel_ml
    row = {k: case.row[k] for k in ("participant_id", "group", "site")}
    for name in ("core", "penumbra"):
        row |= {f"{name}_{way}_ml": float(masks[name].sum()) * ml
                for way, masks in (("series", series), ("maps", maps), ("colours", colours))}  # fmt: skip
        row |= {f"{name}_{way}_dice": dice(masks[name], series[name])
                for way, masks in (("maps", maps), ("colours", colours))}  # fmt: skip
    return row


def told_of_ways(rows: list[dict[str, Any]]) -> None:
    """How far maps and pictures lead away from what the series gave."""
    for name in ("core", "penumbra"):
        series = np.array([row[f"{name}_series_ml"] for row in rows])
        for way in ("maps", "colours"):
            away = np.array([row[f"{name}_{way}_ml"] for row in rows]) - series
            shared = np.array([row[f"{name}_{way}_dice"] for row in rows])
            print(
                f"{name} by {way} against the series: largest difference {np.abs(away).max():.1f} ml (of "
                f"{series[np.abs(away).argmax()]:.1f}), mean {away.mean():+.2f} ml, lowest Dice {shared.min():.3f}"
            )


def _outside_nan(prepared: PreparedMaps, name: str) -> Volume:
    return prepared.maps[name].with_data(np.where(prepared.tissue, prepared.maps[name].data, np.nan))


def told(rows: list[dict[str, Any]]) -> None:
    refused = [row for row in rows if "refused" in row]
    done = [row for row in rows if "refused" not in row]
    print(f"{len(done)} patients read, {len(refused)} refused")
    for row in refused:
        print(f"  {row['participant_id']}: {row['refused']}")
    readings = dict.fromkeys(key.partition(": ")[0] for key in done[0] if ": " in key) if done else {}
    print(
        "group    | n  | lesion   | reading             | Dice median (quartiles) | difference ml (limits of agreement)"
    )
    for group in GROUPS:
        mine = [row for row in done if row["group"] == group]
        for name in ("core", "penumbra", "both"):
            for reading in readings:
                print(f"{group:8} | {len(mine):2} | {name:8} | {reading:19} | {_scores(mine, reading, name)}")
    none = [row for row in done if row["group"] == "none"]
    for reading in readings if none else ():
        for name in ("core", "both"):
            ml = np.array([row[f"{reading}: {name}_ml"] for row in none])
            print(
                f"without stroke, {reading}: false {name} in {(ml > 0).sum()} of {len(ml)}, largest {ml.max():.1f} ml"
            )


def _scores(rows: list[dict[str, Any]], reading: str, name: str) -> str:
    true = np.array([row[f"{name}_true_ml"] for row in rows])
    found = np.array([row[f"{reading}: {name}_ml"] for row in rows])
    held = np.array([row[f"{reading}: {name}_dice"] for row in rows if row[f"{name}_true_ml"] > 0], dtype=float)
    words = "no lesion" if held.size == 0 else "{:.2f} ({:.2f} to {:.2f})".format(*np.percentile(held, (50, 25, 75)))
    if len(rows) < 3:
        return words
    agreement = bland_altman(found, true)
    return f"{words:23} | {agreement.bias:+.1f} ({agreement.lower:+.1f} to {agreement.upper:+.1f})"


def figures_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the network and the thresholds reached, as a bundle's manifest keeps it."""
    done = [row for row in rows if "refused" not in row]
    found = []
    for group in GROUPS:
        mine = [row for row in done if row["group"] == group]
        on = f"{len(mine)} phantoms of the group {group} that training never saw"
        for reading in ("network", "network, maps alone", "thresholds"):
            for name in ("core", "penumbra"):
                if group == "none":
                    false = sum(row[f"{reading}: {name}_ml"] > 0 for row in mine)
                    found.append({"figure": f"patients with false {name}, {reading}", "value": false, "on": on})
                    continue
                held = [row[f"{reading}: {name}_dice"] for row in mine if row[f"{name}_true_ml"] > 0]
                if held:
                    value = round(float(np.median(held)), 3)
                    found.append({"figure": f"median Dice of the {name}, {reading}", "value": value, "on": on})
    return found


def _read(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [{k: float(v) if k.endswith(("_ml", "_dice")) else v for k, v in row.items()} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="index of the first patient, from 0")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--bundle", default=SPEC.default_bundle)
    parser.add_argument("--ways", action="store_true")
    parser.add_argument("--tables", type=Path, nargs="+", help="only print what these tables hold")
    parser.add_argument("--json", type=Path, help="with --tables: figures for a bundle's card")
    arguments = parser.parse_args()
    if arguments.tables:
        held = [row for path in arguments.tables for row in _read(path)]
        told(held)
        if arguments.json:
            arguments.json.write_text(json.dumps(figures_of(held), indent=2))
        return
    bundle = open_bundle(arguments.bundle, "perfusion") if arguments.bundle and not arguments.ways else None
    rows = []
    heads = [builtin_anatomy()]
    for index in range(arguments.first, arguments.first + arguments.count):
        if arguments.ways:
            style = draw_style(np.random.default_rng([arguments.seed, index]))
            rows.append(three_ways(case_of(arguments.seed, index, arguments.keep, heads), style))
        else:
            try:
                rows.append(analysed(case_of(arguments.seed, index, arguments.keep, heads), bundle))
            except BadInputError as problem:
                rows.append({"participant_id": f"sub-{index + 1:04d}", "refused": str(problem)})
        print(" ".join(f"{v:.1f}" if isinstance(v, float) else str(v) for v in rows[-1].values()), flush=True)
    if arguments.table:
        write_table(rows, arguments.table)
    if arguments.ways:
        told_of_ways(rows)
    else:
        told(rows)


if __name__ == "__main__":
    main()
