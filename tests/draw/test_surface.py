"""A surface's views say which side is which, and the lesion lies there."""

import numpy as np
import pytest

from willis.draw import surface
from willis.draw.sheet import FOOTER_PX
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

GRID = Grid((40, 50, 40), np.diag([3.0, 3.0, 3.0, 1.0]))


@pytest.mark.parametrize("code", ["RAS", "LPS", "ASR"])
@pytest.mark.parametrize("side", ["L", "R"])
def test_the_lesion_lies_at_the_letter_of_its_side(drawn, monkeypatch, side, code):
    told = []
    written = surface.write
    monkeypatch.setattr(surface, "write", lambda *args, **more: (told.append(args[1:3]), written(*args, **more)))
    brain, lesion = np.ones(GRID.shape, np.uint8), np.zeros(GRID.shape, np.uint8)
    lesion[3:9, 36:44, 28:34] = 1  # left, in front, above
    if side == "R":
        lesion = lesion[::-1]
    picture = drawn(surface.surface_views(*(reorient(Volume(data, GRID), code) for data in (brain, lesion))))
    letters = dict(zip(("side", "front", "above"), [dict(told[n + 1 : n + 3]) for n in (0, 3, 6)], strict=True))
    pixels = picture.pixels[: picture.height - FOOTER_PX]
    orange = np.argwhere(pixels[..., 0] - pixels[..., 2] > 60)
    wide = picture.width / 3
    for number, (view, sign) in enumerate({"side": "A", "front": side, "above": side}.items()):
        columns = orange[(orange[:, 1] >= number * wide) & (orange[:, 1] < (number + 1) * wide), 1] / wide - number
        assert (columns.mean() < 0.5) == (letters[view][sign] < 0.5), (view, letters[view], columns.mean())
    assert told[0][0] == ("from the left" if side == "L" else "from the right")
