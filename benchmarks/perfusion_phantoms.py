"""The perfusion task on phantoms: core and penumbra by thresholds against the truth, by group; the three ways in.

    .venv/bin/python benchmarks/perfusion_phantoms.py --count 50 --table perfusion.tsv
    .venv/bin/python benchmarks/perfusion_phantoms.py --count 6 --ways

Prints the median Dice of core and penumbra by group, the mean difference and limits of agreement of volumes, and the
false core of patients without stroke. With ``--ways`` each patient is read as series, as scalar maps, and as colour
maps painted from them, and the differences of core and penumbra in ml are printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from willis.errors import BadInputError
from willis.io.colormap import find_bar, jet, paint, shares_of, with_bar
from willis.io.pictures import BAR_UNIT
from willis.io.tables import write_table
from willis.measure.agreement import bland_altman
from willis.measure.overlap import dice
from willis.phantom.patient import Patient, make_patient
from willis.phantom.perfusion_scene import GROUPS
from willis.study import Study
from willis.tasks.perfusion.interpret import Thresholds, read_maps
from willis.tasks.perfusion.prepare import PreparedMaps, prepare
from willis.tasks.perfusion.spec import CORE_RELATIVE_CBF, HYPOPERFUSED_TMAX_S, LEAST_CLUSTER_ML, MAPS, SPEC
from willis.volume.volume import Volume

SEED = 900_005
SIDE = 128
RANGES = {"cbf": (0.0, 80.0), "cbv": (0.0, 8.0), "mtt": (0.0, 24.0), "ttp": (0.0, 40.0), "tmax": (0.0, 16.0)}
THRESHOLDS = Thresholds(CORE_RELATIVE_CBF, HYPOPERFUSED_TMAX_S, LEAST_CLUSTER_ML)


def read(study: Study, **options: Any) -> tuple[PreparedMaps, dict[str, Any]]:
    prepared = prepare(study, SPEC.resolve_options(options))
    reading = read_maps(prepared, THRESHOLDS)
    return prepared, {"core": reading.core, "penumbra": reading.penumbra, "hypoperfused": reading.hypoperfused}


def analysed(patient: Patient) -> dict[str, Any]:
    row: dict[str, Any] = {k: patient.row[k] for k in ("participant_id", "group", "site")}
    try:
        prepared, masks = read(patient.study)
    except BadInputError as problem:
        return {**row, "refused": str(problem)}
    ml = prepared.grid.voxel_ml
    truth = {"core": patient.truth["core"].data > 0, "penumbra": patient.truth["penumbra"].data > 0}
    truth["hypoperfused"] = truth["core"] | truth["penumbra"]
    for name, mask in masks.items():
        row |= {
            f"{name}_true_ml": float(truth[name].sum()) * ml,
            f"{name}_found_ml": float(mask.sum()) * ml,
            f"{name}_dice": dice(mask, truth[name]),
        }
    return row


def colour_study(prepared: PreparedMaps) -> Study:
    """The maps as a vendor's pictures would give them: painted, with a bar, and read by that bar."""
    volumes = {}
    for name in MAPS:
        data = prepared.maps[name].data.transpose(1, 0, 2)
        where = prepared.tissue.transpose(1, 0, 2)
        painted = paint(data, RANGES[name], jet(), where)
        pictures = with_bar(np.pad(painted, ((0, 0), (0, 40), (0, 0), (0, 0))), jet(), column=data.shape[1] + 20)
        bar = find_bar(pictures)
        assert bar is not None
        share = shares_of(pictures, bar)[:, : data.shape[1]].transpose(1, 0, 2)
        volumes[name] = Volume(np.ascontiguousarray(share), prepared.grid, name, BAR_UNIT)
    return Study(volumes)


def three_ways(patient: Patient) -> dict[str, Any]:
    prepared, series = read(patient.study)
    scalar = Study({name: _outside_nan(prepared, name) for name in MAPS})
    _, maps = read(scalar)
    ranges = ",".join(f"{name}={low:g}:{high:g}" for name, (low, high) in RANGES.items())
    _, colours = read(colour_study(prepared), range=ranges)
    ml = prepared.grid.voxel_ml
    row = {k: patient.row[k] for k in ("participant_id", "group", "site")}
    for name in ("core", "penumbra"):
        row |= {f"{name}_{way}_ml": float(found[name].sum()) * ml
                for way, found in (("series", series), ("maps", maps), ("colours", colours))}  # fmt: skip
    return row


def _outside_nan(prepared: PreparedMaps, name: str) -> Volume:
    return prepared.maps[name].with_data(np.where(prepared.tissue, prepared.maps[name].data, np.nan))


def told(rows: list[dict[str, Any]]) -> None:
    refused = [row for row in rows if "refused" in row]
    done = [row for row in rows if "refused" not in row]
    print(f"{len(done)} patients read, {len(refused)} refused")
    for row in refused:
        print(f"  {row['participant_id']} ({row['group']}): {row['refused']}")
    print("group    | n | lesion       | Dice median (quartiles) | difference ml (limits of agreement)")
    for group in GROUPS:
        mine = [row for row in done if row["group"] == group]
        for name in ("core", "penumbra", "hypoperfused"):
            found = np.array([row[f"{name}_found_ml"] for row in mine])
            true = np.array([row[f"{name}_true_ml"] for row in mine])
            scores = np.array([row[f"{name}_dice"] for row in mine if row[f"{name}_true_ml"] > 0], dtype=float)
            words = (
                "no lesion"
                if scores.size == 0
                else "{:.2f} ({:.2f} to {:.2f})".format(*np.nanpercentile(scores, (50, 25, 75)))
            )
            limits = ""
            if len(mine) >= 3:
                agreement = bland_altman(found, true)
                limits = f"{agreement.bias:+.1f} ({agreement.lower:+.1f} to {agreement.upper:+.1f})"
            print(f"{group:8} | {len(mine)} | {name:12} | {words} | {limits}")
    none = [row["core_found_ml"] for row in done if row["group"] == "none"]
    if none:
        print(
            f"false core without stroke: {np.mean(np.array(none) > 0):.0%} of {len(none)}, largest {max(none):.1f} ml"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--ways", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for index in range(arguments.count):
        group = "lvo" if arguments.ways else None
        patient = make_patient("perfusion", arguments.seed, index, side=SIDE, **({"group": group} if group else {}))
        rows.append(three_ways(patient) if arguments.ways else analysed(patient))
        print(" ".join(f"{v:.1f}" if isinstance(v, float) else str(v) for v in rows[-1].values()), flush=True)
    if arguments.table:
        write_table(rows, arguments.table)
    if not arguments.ways:
        told(rows)


if __name__ == "__main__":
    main()
