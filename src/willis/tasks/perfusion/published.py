"""The pictures of the published software, for those who switch over: predictions, overlays, heat maps of each slice.

As published (Tomasetti 2022, doi:10.7557/18.6223): a prediction holds the published label values; an overlay the
outline of core with penumbra in blue and that of the core in red, two pixels wide; a heat map a class's probability in
jet colours, blended in halves. Other than there, outlines are those of the prediction, on the map as it was given, and
heat maps are blended with the prediction: a run has no reference to draw. A name begins with the published folder,
since a run's files lie in one: ``HEATMAP_01_heatmap_core.png`` was ``HEATMAP/01_heatmap_core.png``. Slices count from
01 in the order of the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from willis.findings import Attachment
from willis.io.colormap import paint
from willis.io.colour_tables import jet
from willis.io.pictures import is_colour, read_pictures
from willis.study import Source
from willis.tasks.perfusion.by_network import NetworkReading
from willis.tasks.perfusion.labels import CLASSES
from willis.tasks.perfusion.prepare import PreparedMaps

UInt8 = npt.NDArray[np.uint8]

VALUES = dict(zip(CLASSES[4].names, CLASSES[4].values, strict=True))
PENUMBRA_RGB, CORE_RGB = (0, 0, 255), (255, 0, 0)
CLASS_SHARE = 0.5  # of a heat map; the rest is the prediction


def published_files(prepared: PreparedMaps, network: NetworkReading, sources: Mapping[str, Source]) -> list[Attachment]:
    """Four pictures a slice: prediction, overlay, and a heat map for each of core and penumbra that the network has.

    Parameters
    ----------
    prepared
        Maps that came in colours, on the pictures' own pixels.
    network
        What it found in them.
    sources
        Files by role; the overlay is drawn on the map whose grid all lie on, or on the first that came in colours.
    """
    labels = label_pictures(prepared, network)
    ground = _ground(prepared, sources, labels)
    threatened, core = labels > VALUES["brain"], labels == VALUES["core"]
    shown = overlay(ground, threatened, core)
    heat = {
        name: heatmap(_as_pictures(volume.data), labels)
        for name, volume in network.probability.items()
        if name in ("core", "penumbra")
    }
    files = []
    for k in range(labels.shape[2]):
        name = f"{k + 1:02d}"
        files.append(Attachment(f"{name}.png", _png(labels[:, :, k])))
        files.append(Attachment(f"TMP_{name}.png", _png(shown[:, :, k])))
        files += [
            Attachment(f"HEATMAP_{name}_heatmap_{label}.png", _png(picture[:, :, k]))
            for label, picture in sorted(heat.items())
        ]
    return files


def label_pictures(prepared: PreparedMaps, network: NetworkReading) -> UInt8:
    """(rows, columns, slices) background 0, brain 85, penumbra 170, core 255."""
    labels = np.where(_as_pictures(prepared.brain), VALUES["brain"], VALUES["background"]).astype(np.uint8)
    if network.penumbra is not None:
        labels[_as_pictures(network.penumbra)] = VALUES["penumbra"]
    labels[_as_pictures(network.core)] = VALUES["core"]
    return labels


def overlay(ground: UInt8, threatened: npt.NDArray[np.bool_], core: npt.NDArray[np.bool_]) -> UInt8:
    """(rows, columns, slices, 3) pictures with the outlines of core with penumbra, and of the core above it."""
    out = ground.copy()
    for mask, colour in ((threatened, PENUMBRA_RGB), (core, CORE_RGB)):
        out[outline(mask)] = colour
    return out


def outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(rows, columns, slices) a line of two pixels along the border of a mask, one inside and one outside."""
    cross = ndimage.generate_binary_structure(2, 1)[:, :, None]
    return np.asarray(ndimage.binary_dilation(mask, cross) & ~ndimage.binary_erosion(mask, cross))


def heatmap(probability: npt.NDArray[np.floating], labels: UInt8) -> UInt8:
    """(rows, columns, slices, 3) a probability in jet colours, blended with the prediction's grey."""
    colours = paint(probability, (0.0, 1.0), jet(), np.ones(labels.shape, dtype=bool)).astype(np.float32)
    blended = CLASS_SHARE * colours + (1 - CLASS_SHARE) * labels[..., None]
    return np.asarray(np.rint(blended), dtype=np.uint8)


def _ground(prepared: PreparedMaps, sources: Mapping[str, Source], labels: UInt8) -> UInt8:
    """(rows, columns, slices, 3) a map as it was given, its bar with it; the prediction where there is no file."""
    for role in (prepared.space, *prepared.bars):
        if role in prepared.bars and role in sources and is_colour(sources[role].path):
            return read_pictures(sources[role].path)[0]
    return np.repeat(labels[..., None], 3, axis=-1)


def _as_pictures(volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(rows, columns, slices) of an array (I, J, K) on a grid of pictures, whose axes are LPS."""
    return volume.swapaxes(0, 1)


def _png(picture: UInt8) -> bytes:
    stream = BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, "PNG")
    return stream.getvalue()
