"""The pictures of a perfusion report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from willis.draw.map_sheet import ColourMap, curve_chart, map_sheet
from willis.draw.mosaic import axial_mosaic
from willis.draw.palette import BRAIN, LEFT, RIGHT, SERIES
from willis.draw.panel import Outline
from willis.draw.recovered_sheet import recovered_sheet
from willis.findings import Figure
from willis.io.colour_bar import find_bar
from willis.io.pictures import read_pictures
from willis.study import Source
from willis.tasks.perfusion.by_network import NetworkReading
from willis.tasks.perfusion.interpret import Mask, Reading
from willis.tasks.perfusion.prepare import PreparedMaps
from willis.volume.volume import Volume

CORE, PENUMBRA = "#FFFFFF", "#FF4FD8"  # white and pink stay apart from every colour of the maps' bars
SHOWN = {  # title, values at the ends of the bar, usual colours
    "tmax": ("Tmax, s", (0.0, 12.0), "jet"),
    "cbf": ("CBF, ml/100 g/min", (0.0, 70.0), "jet"),
    "cbv": ("CBV, ml/100 g", (0.0, 6.0), "jet"),
    "mtt": ("MTT, s", (0.0, 20.0), "jet"),
    "ttp": ("TTP, s", (0.0, 30.0), "jet"),
}
BESIDE = ("tmax", "cbf")  # shown with the network's outlines


def make(
    prepared: PreparedMaps,
    reading: Reading,
    network: NetworkReading | None = None,
    sources: Mapping[str, Source] | None = None,
) -> list[Figure]:
    """Maps with outlines by thresholds and by the network, curves of the input functions, where they were taken.

    ``sources`` are the study's: colour-coded maps are shown once more as they were given.
    """
    brain = Volume(prepared.brain.astype(np.uint8), prepared.grid, role="brain")
    by_rule = {
        "core": reading.core,
        "penumbra": reading.penumbra if reading.penumbra is not None else reading.hypoperfused,
        "MTT above 145 % of the other side": reading.long_transit,
    }
    figures = [
        Figure(
            "maps",
            "Perfusion maps in their usual colours with core and penumbra by thresholds, radiological convention.",
            "result",
            _sheet(prepared, by_rule, tuple(SHOWN)),
        )
    ]
    if network is not None:
        figures.append(
            Figure(
                "network",
                "Tmax and CBF with core and penumbra by the network.",
                "result",
                _sheet(prepared, {"core": network.core, "penumbra": network.penumbra}, BESIDE),
            )
        )
    figures += [_as_given(prepared, name, sources[name].path) for name in prepared.bars if sources and name in sources]
    if prepared.curves is not None:
        figures += [_curves(prepared), _vessels(prepared)]
    if "mip" in prepared.maps:
        caption = "Outline of the brain that was read, on the maximum over time."
        picture = axial_mosaic(prepared.maps["mip"], [Outline(brain, BRAIN, "brain")], slices=10, within=brain,
                               window=(0.0, 160.0) if prepared.maps["mip"].unit == "HU" else None)  # fmt: skip
        figures.append(Figure("brain", caption, "quality", picture))
    return figures


def _sheet(prepared: PreparedMaps, masks: Mapping[str, Mask | None], names: Sequence[str]) -> bytes:
    """Rows of maps with the outlines of masks; the core's full, the others' dashed."""
    outlines = [
        Outline(Volume(mask.astype(np.uint8), prepared.grid, role=label), CORE if label == "core" else PENUMBRA, label,
                dashed=label == "penumbra")
        for label, mask in masks.items()
        if mask is not None
    ]  # fmt: skip
    shown = [ColourMap(prepared.maps[name], *SHOWN[name]) for name in names if name in prepared.maps]
    return map_sheet(shown, Volume(prepared.tissue.astype(np.uint8), prepared.grid), outlines)


def _as_given(prepared: PreparedMaps, name: str, path: Path) -> Figure:
    """A map as it was given above the values read from it, in the bar's own colours."""
    pictures, _, _ = read_pictures(path)
    bar = find_bar(pictures)
    assert bar is not None, "a colour-coded map without a bar is refused before"
    values = prepared.maps[name]
    first, last = prepared.bars[name]
    low_first = first < last
    limits, colours = ((first, last), bar.colours) if low_first else ((last, first), bar.colours[::-1])
    shown = ColourMap(values, SHOWN[name][0], limits, colours)
    return Figure(
        f"{name}-as-given",
        f"{SHOWN[name][0].partition(',')[0]} as it was given, with the colour bar that was found, above the values "
        "that were read by it.",
        "quality",
        recovered_sheet(pictures, (bar.rows, bar.columns), shown, prepared.brain),
    )


def _curves(prepared: PreparedMaps) -> Figure:
    curves = prepared.curves
    assert curves is not None, "only a series has curves"
    drawn = {"artery": curves.aif.curve}
    if curves.vof is not None:
        drawn["vein"] = curves.vof.curve
    drawn["tissue, mean"] = curves.tissue
    scale = "" if curves.scale == 1 else f" The artery's area was scaled by {curves.scale:.2f} to the vein's."
    return Figure(
        "curves",
        f"Arterial input, venous output and the mean of tissue, each over its own peak; the dashed line ends the "
        f"baseline.{scale}",
        "quality",
        curve_chart(
            drawn, curves.times_s, {"artery": RIGHT, "vein": LEFT, "tissue, mean": SERIES[2]},
            float(curves.times_s[curves.baseline_frames - 1]),
        ),
        kind="chart",
    )  # fmt: skip


def _vessels(prepared: PreparedMaps) -> Figure:
    curves = prepared.curves
    assert curves is not None, "only a series has curves"
    outlines = []
    for function, colour, label in ((curves.aif, RIGHT, "artery"), (curves.vof, "#56B4E9", "vein")):
        if function is None:
            continue
        mask = np.zeros(prepared.grid.shape, dtype=np.uint8)
        i, j, k = function.voxels[0]
        mask[max(i - 3, 0) : i + 4, max(j - 3, 0) : j + 4, k] = 1
        outlines.append(Outline(Volume(mask, prepared.grid), colour, label))
    mip = prepared.maps["mip"]
    return Figure(
        "vessels",
        "Where the artery and the vein were taken, on the maximum over time.",
        "quality",
        axial_mosaic(mip, outlines, slices=8, columns=4, window=(0.0, 300.0)),
    )
