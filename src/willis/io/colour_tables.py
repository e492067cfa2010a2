"""Colour tables by name, in which scalar maps are painted."""

from __future__ import annotations

import numpy as np

from willis.errors import invalid_option
from willis.io.colour_bar import Rgb

PUBLISHED = "jet"
COLOUR_TABLES = (PUBLISHED, "hot", "inferno", "nipy_spectral", "rainbow", "turbo", "viridis")
"""Names that can be declared; all but ``jet`` are matplotlib's. ``nipy_spectral`` and ``hot`` begin black."""


def colour_table(name: str, count: int = 256) -> Rgb:
    """(count, 3) colours from the low end to the high one.

    Raises
    ------
    BadInputError
        When there is no such table.

    Examples
    --------
    >>> colour_table("hot")[[0, -1]].tolist()
    [[11, 0, 0], [255, 255, 255]]
    """
    if name not in COLOUR_TABLES:
        raise invalid_option("colours", name, COLOUR_TABLES)
    if name == PUBLISHED:
        return jet(count)
    from matplotlib import colormaps  # here, since reading a study would load it otherwise

    return np.asarray(np.rint(255 * colormaps[name](np.linspace(0, 1, count))[:, :3]), dtype=np.uint8)


def jet(count: int = 256) -> Rgb:
    """(count, 3) the usual rainbow from dark blue over green to dark red."""
    x = np.linspace(0, 1, count)[:, None]
    centres = np.array([0.75, 0.5, 0.25])
    return np.asarray(np.rint(255 * np.clip(1.5 - np.abs(4 * (x - centres)), 0, 1)), dtype=np.uint8)
