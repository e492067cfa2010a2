"""Counts in messages: one thing is never called by its plural, wherever a message counts."""

import numpy as np
import pytest

from willis.errors import BadInputError, GeometryError
from willis.image.deconvolution import deconvolve
from willis.units import counted
from willis.volume.grid import Grid
from willis.volume.series import Series


@pytest.mark.parametrize(("count", "said"), [(0, "0 frames"), (1, "1 frame"), (2, "2 frames")])
def test_a_count_agrees_with_its_noun(count: int, said: str) -> None:
    assert counted(count, "frame") == said


def test_messages_of_one_thing_call_it_so() -> None:
    with pytest.raises(BadInputError, match=r"the series has 1 frame; perfusion"):
        deconvolve(np.ones((2, 1), np.float32), np.ones(1), np.zeros(1))
    with pytest.raises(GeometryError, match=r"1 frame can't have 2 times\."):
        Series(np.zeros((2, 2, 2, 1), np.int16), Grid((2, 2, 2), np.eye(4)), np.arange(2.0), "ctp", "HU")
