"""The brain's parts are found alike on both sides, whichever side a network favours."""

from types import SimpleNamespace

import numpy as np
import pytest

from willis.infer.ensemble import Prediction
from willis.tasks.brain import find
from willis.tasks.settings import RunSettings

OUTPUTS = ("brain", "ventricles", "left")


@pytest.fixture
def one_sided(monkeypatch):
    """A network that sees ventricles on the left alone."""

    def predict(bundle, x, **settings):
        ramp = np.linspace(1, 0, x.shape[1], dtype=np.float32)[:, None, None]
        brain = x[0]
        probability = np.stack([brain, brain * (ramp > 0.5), brain * ramp])
        return Prediction(probability, (), np.zeros_like(probability), "torch", "float32", 0.0, 0.0)

    monkeypatch.setattr(find, "predict", predict)
    return SimpleNamespace(manifest=SimpleNamespace(outputs=OUTPUTS))


def both_ways(bundle, x):
    return find.predict_both_ways(bundle, x, RunSettings()).probability


def test_a_mirrored_head_gives_the_mirrored_parts(one_sided):
    x = np.random.default_rng(3).random((1, 6, 5, 4), dtype=np.float32)
    brain, ventricles, left = both_ways(one_sided, x)
    mirrored = both_ways(one_sided, np.ascontiguousarray(x[:, ::-1]))
    np.testing.assert_allclose(mirrored[0][::-1], brain, atol=1e-6)
    np.testing.assert_allclose(mirrored[1][::-1], ventricles, atol=1e-6)
    np.testing.assert_allclose(mirrored[2][::-1], brain - left, atol=1e-6)


def test_a_side_that_a_network_overlooks_is_seen_in_the_mirror(one_sided):
    x = np.ones((1, 6, 5, 4), dtype=np.float32)
    _, ventricles, left = both_ways(one_sided, x)
    np.testing.assert_allclose(ventricles, 0.5)
    np.testing.assert_allclose(left[:, 0, 0], np.linspace(1, 0, 6), atol=1e-6)
