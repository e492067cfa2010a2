"""Read drawn pictures back: where a colour is, and how long the scale bar is."""

import io

import numpy as np
import pytest
from PIL import Image

from willis.draw.palette import INK
from willis.draw.sheet import FOOTER_PX


class Drawn:
    """A decoded PNG."""

    def __init__(self, png: bytes) -> None:
        self.pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        self.height, self.width = self.pixels.shape[:2]

    def where(self, colour: str, tolerance: int = 40) -> np.ndarray:
        """(n, 2) rows and columns of the pixels of a colour."""
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        return np.argwhere(np.abs(self.pixels - wanted).max(axis=2) <= tolerance)

    def scale_px_per_mm(self) -> float:
        """From the scale bar of 5 cm in the footer: the longest run of ink."""
        ink = np.zeros((self.height, self.width), bool)
        ink[tuple(self.where(INK, 20).T)] = True
        rows = ink[self.height - FOOTER_PX :]
        return max(len(run) for row in rows for run in "".join("#" if v else " " for v in row).split()) / 50.0


@pytest.fixture
def drawn():
    return Drawn
