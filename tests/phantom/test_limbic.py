"""Limbic cortex: where labels say it lies, and how much brighter a FLAIR gets there."""

import numpy as np
import pytest

from willis.phantom.anatomy import builtin_anatomy
from willis.phantom.labels import RIGHT_SIDE, Tissue, lookup
from willis.phantom.limbic import CAUDATE_GAIN, LIMBIC_GAIN, brighten_limbic, limbic_grey


@pytest.fixture(scope="module")
def codes():
    return np.asarray(builtin_anatomy().codes)


@pytest.fixture(scope="module")
def limbic(codes):
    return limbic_grey(codes)


def test_limbic_cortex_is_a_part_of_the_cortex_on_both_sides(codes, limbic):
    cortex = lookup((Tissue.CORTEX,))[codes]
    right = (codes & RIGHT_SIDE) > 0
    named = lookup((Tissue.HIPPOCAMPUS, Tissue.AMYGDALA))[codes]
    assert limbic[named].all() and not limbic[~(cortex | named)].any()
    assert 0.05 < limbic[cortex].mean() < 0.25
    assert 0.7 < limbic[right & cortex].sum() / limbic[~right & cortex].sum() < 1.4


def test_neither_the_occipital_pole_nor_the_convexity_is_limbic(codes, limbic):
    i, j, k = np.nonzero(lookup((Tissue.CORTEX,))[codes])
    back = j < np.quantile(j, 0.1)
    top = k > np.quantile(k, 0.9)
    assert not limbic[i, j, k][back].any() and limbic[i, j, k][top].mean() < 0.02


def test_a_flair_is_brighter_there_and_in_the_caudate_alone(codes, limbic):
    image = np.ones(codes.shape, np.float32)
    brighten_limbic(np.random.default_rng(3), image, codes)
    caudate = lookup((Tissue.CAUDATE, Tissue.ACCUMBENS))[codes]
    core = limbic & lookup((Tissue.HIPPOCAMPUS,))[codes]
    assert 1.0 < image[core].max() <= 1 + LIMBIC_GAIN[1]
    assert np.unique(image[caudate]).size == 1 and 1.0 < image[caudate][0] <= 1 + CAUDATE_GAIN[1]
    grey = lookup((Tissue.CORTEX, Tissue.HIPPOCAMPUS, Tissue.AMYGDALA))[codes]
    assert (image[~(grey | caudate)] == 1).all()
    assert image[limbic].mean() > 1 + 5 * (image[grey & ~limbic].mean() - 1)
