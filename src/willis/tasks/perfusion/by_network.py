"""Core and penumbra by a network: its input from the maps, its classes back on the maps' own grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.infer.back import probability_to_grid
from willis.infer.ensemble import Prediction, predict
from willis.io.colour_tables import PUBLISHED
from willis.models.manifest import Manifest
from willis.models.store import Bundle
from willis.tasks.perfusion.interpret import without_small
from willis.tasks.perfusion.labels import COLOURS, table_of
from willis.tasks.perfusion.network import network_image, slice_grid, value_image
from willis.tasks.perfusion.prepare import PreparedMaps
from willis.tasks.perfusion.spec import shown_name
from willis.tasks.settings import Progress, RunSettings
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

Mask = npt.NDArray[np.bool_]

SCALARS = ("nihss", "age", "sex")
NEEDED = ("cbf", "tmax")  # of a network that reads values; its other channels may be empty


@dataclass(frozen=True)
class Channels:
    """What a bundle wants: maps and scalars in their order, whether maps are painted, and in which colour table."""

    maps: tuple[str, ...]
    scalars: tuple[str, ...]
    colours: bool
    table: str = PUBLISHED

    @property
    def needed(self) -> tuple[str, ...]:
        """Maps that it can't do without."""
        return self.maps if self.colours else tuple(name for name in self.maps if name in NEEDED)


@dataclass(frozen=True)
class NetworkReading:
    """What a network finds, on the grid of the maps.

    Parameters
    ----------
    core, penumbra
        (I, J, K); the penumbra is None where the network doesn't tell it from the core.
    probability
        By name, of the same.
    bundle, prediction
        What was run, and how.
    notes
        Channels that were empty.
    """

    core: Mask
    penumbra: Mask | None
    probability: Mapping[str, Volume]
    bundle: Bundle
    prediction: Prediction
    notes: tuple[str, ...]


def channels_of(manifest: Manifest) -> Channels:
    """A manifest's channels as maps and scalars.

    >>> from types import SimpleNamespace
    >>> channels_of(SimpleNamespace(channels=("cbf-blue", "cbf-green", "cbf-red", "nihss")))
    Channels(maps=('cbf',), scalars=('nihss',), colours=True, table='jet')
    """
    maps = dict.fromkeys(name.partition("-")[0] for name in manifest.channels if name not in SCALARS)
    painted = any(name.endswith(f"-{COLOURS[0]}") for name in manifest.channels)
    scalars = tuple(name for name in manifest.channels if name in SCALARS)
    return Channels(tuple(maps), scalars, painted, table_of(manifest.channels))


def missing_maps(manifest: Manifest, prepared: PreparedMaps) -> list[str]:
    """Maps that the network can't do without and that aren't there."""
    return [name for name in channels_of(manifest).needed if name not in prepared.maps]


def read_by_network(
    prepared: PreparedMaps,
    scalars: Mapping[str, float | None],
    bundle: Bundle,
    *,
    settings: RunSettings,
    min_ml: float,
    progress: Progress | None = None,
) -> NetworkReading:
    """Run a bundle on maps; each voxel of tissue gets its class of highest probability.

    Maps that aren't stored in axial slices are brought into them, and what is found back to their own grid.

    Parameters
    ----------
    prepared
        With the maps that the bundle needs.
    scalars
        NIHSS, age in years, sex (0 male, 1 female); None where unknown.
    bundle
        Of this task.
    settings
        Engine, precision, memory, threads.
    min_ml
        Parts of core and penumbra below it are dropped.
    progress
        Told of each window.

    Raises
    ------
    BadInputError
        When a map is missing.
    """
    wanted = channels_of(bundle.manifest)
    missing = missing_maps(bundle.manifest, prepared)
    if missing:
        raise BadInputError(f"{bundle.name} needs {', '.join(wanted.needed)}; missing is {', '.join(missing)}.")
    side = _side(bundle.manifest, prepared.grid)
    grid = slice_grid(prepared.grid, side, side * bundle.manifest.spacing_mm[0], prepared.brain)
    known = {name: scalars.get(name) for name in wanted.scalars}
    if wanted.colours:
        image = network_image(prepared, wanted.maps, [value or 0.0 for value in known.values()], grid, wanted.table)
    else:
        image = value_image(prepared, wanted.maps, known, grid)
    inside = resample_to(Volume(prepared.brain.astype(np.float32), prepared.grid), grid).data > 0
    prediction = predict(
        bundle,
        image,
        mask=inside,
        **settings.running,
        progress=progress,
    )
    names = bundle.manifest.outputs
    back = {
        name: probability_to_grid(prediction.probability[index], grid, prepared.grid)
        for index, name in enumerate(names)
    }
    winner = np.stack([back[name].data for name in names]).argmax(axis=0)
    core = prepared.tissue & (winner == names.index("core"))
    late = prepared.tissue & (winner == names.index("penumbra")) if "penumbra" in names else None
    threatened = without_small(core if late is None else core | late, prepared.grid, min_ml)
    core = without_small(core & threatened, prepared.grid, min_ml)
    return NetworkReading(
        core,
        None if late is None else threatened & ~core,
        {name: back[name] for name in ("core", "penumbra") if name in back},
        bundle,
        prediction,
        _notes(wanted, prepared, known),
    )


def _side(manifest: Manifest, grid: Grid) -> int:
    """Pixels of a side of the slices that are read: the network's own, or as many as tiles must cover the maps."""
    window = manifest.window
    if manifest.shape is not None:
        return manifest.shape[0]
    if window.shape is None:
        raise BadInputError(f"the bundle {manifest.name} doesn't say how large its slices are (window or shape).")
    if window.overlap == 0:
        return window.shape[0]
    field_mm = max(n * step for n, step in zip(grid.shape[:2], grid.spacing_mm[:2], strict=True))
    return max(window.shape[0], math.ceil(field_mm / manifest.spacing_mm[0]))


def _notes(wanted: Channels, prepared: PreparedMaps, known: Mapping[str, float | None]) -> tuple[str, ...]:
    absent = [shown_name(name) for name in wanted.maps if name not in prepared.maps]
    absent += [name.upper() if name == "nihss" else name for name, value in known.items() if value is None]
    if not absent:
        return ()
    how = "as 0, as published" if wanted.colours else "as unknown, which it was trained for"
    return (f"The network was given {', '.join(absent)} {how}.",)
