"""A sheet's footer: a long legend never runs into the words at its right end."""

from itertools import pairwise

import pytest

from willis.draw.panel import Outline
from willis.draw.sheet import CONVENTION, Sheet


@pytest.mark.parametrize(("labels", "told"), [(2, True), (5, False)])
def test_words_that_a_legend_leaves_no_room_for_are_left_out(labels: int, told: bool) -> None:
    sheet = Sheet(2, 2, (100.0, 100.0))
    sheet.footer([Outline(None, "#ffffff", f"a label of some length {n}") for n in range(labels)])
    texts = sheet.figure.texts
    assert (CONVENTION in [text.get_text() for text in texts]) is told
    renderer = sheet.figure.canvas.get_renderer()
    extents = sorted((text.get_window_extent(renderer) for text in texts), key=lambda extent: extent.x0)
    assert all(one.x1 < other.x0 for one, other in pairwise(extents))
