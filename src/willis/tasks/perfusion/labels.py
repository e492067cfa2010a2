"""Classes of the published network: label values of pictures, snapping, weights, one-hot maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError, invalid_option
from willis.io.colour_tables import COLOUR_TABLES, PUBLISHED


@dataclass(frozen=True)
class Classes:
    """One way to label: names, the pixel value of each in a picture, and the weight of each in the loss."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    weights: tuple[float, ...]


CLASSES: dict[int, Classes] = {
    4: Classes(("background", "brain", "penumbra", "core"), (0, 85, 170, 255), (0.0, 0.1, 50.0, 440.0)),
    3: Classes(("background", "penumbra", "core"), (0, 170, 255), (0.1, 50.0, 440.0)),
    2: Classes(("background", "core"), (0, 255), (0.1, 1.0)),
}
"""Published classes by their number; with two, penumbra counts as core."""

COLOURS = ("blue", "green", "red")
"""Channels of a painted map, in the published order."""

_MERGED = {4: {}, 3: {"brain": "background"}, 2: {"brain": "background", "penumbra": "core"}}


def classes_of(count: int) -> Classes:
    """The classes of that number.

    Raises
    ------
    BadInputError
        When it isn't 2, 3 or 4.
    """
    if count not in CLASSES:
        raise invalid_option("classes", count, CLASSES)
    return CLASSES[count]


def snapped(picture: npt.NDArray[Any], count: int = 4) -> npt.NDArray[np.uint8]:
    """A picture's values as class numbers of ``count`` classes: the nearest of the four published values, then merged.

    >>> snapped(np.array([0, 80, 171, 250]), 3).tolist()
    [0, 0, 1, 2]
    """
    four, wanted = CLASSES[4], classes_of(count)
    distance = np.abs(np.asarray(picture, dtype=np.int32)[..., None] - np.array(four.values))
    names = [_MERGED[count].get(name, name) for name in four.names]
    table = np.array([wanted.names.index(name) for name in names], dtype=np.uint8)
    return np.asarray(table[distance.argmin(axis=-1)])


def one_hot(numbers: npt.NDArray[np.integer[Any]], count: int) -> npt.NDArray[np.uint8]:
    """(count, ...) one 0/1 map for each class."""
    return np.stack([(numbers == index).astype(np.uint8) for index in range(count)])


def channel_names(
    maps: Sequence[str], scalars: Sequence[str], *, colours: bool, table: str = PUBLISHED
) -> tuple[str, ...]:
    """A network's channels: three for each painted map, or one for its values, then the scalars.

    A colour table other than the published one stands in the names, so that a bundle says how its maps are painted.

    >>> channel_names(["cbf"], ["nihss"], colours=True)
    ('cbf-blue', 'cbf-green', 'cbf-red', 'nihss')
    >>> channel_names(["cbf"], [], colours=True, table="turbo")
    ('cbf-turbo-blue', 'cbf-turbo-green', 'cbf-turbo-red')
    """
    painted = "" if table == PUBLISHED else f"-{table}"
    return (*(f"{m}{painted}-{c}" for m in maps for c in COLOURS), *scalars) if colours else (*maps, *scalars)


def table_of(channels: Sequence[str]) -> str:
    """The colour table that a network's maps are painted in, by the names of its channels.

    Raises
    ------
    BadInputError
        When they name several, or one that isn't known.
    """
    parts = [name.split("-") for name in channels if name.endswith(tuple(f"-{c}" for c in COLOURS))]
    named = {part[1] if len(part) > 2 else PUBLISHED for part in parts} or {PUBLISHED}
    if len(named) > 1 or not named <= set(COLOUR_TABLES):
        raise BadInputError(
            f"the network's channels name the colour tables {', '.join(sorted(named))}; allowed is one of "
            f"{', '.join(COLOUR_TABLES)}."
        )
    return named.pop()
