"""Overlap of all labels at once, against the published formula written out."""

import numpy as np
import pytest
import torch

from willis.learn.losses import Loss
from willis.learn.recipe import LossSettings


def published(y, p, w, alpha=0.7, gamma=1.33):
    """Focal Tversky loss as published: alpha weighs false negatives, sums run over pixels and classes."""
    w = w[:, None, None, None]
    index = (w * y * p).sum() / (w * (y * p + alpha * y * (1 - p) + (1 - alpha) * (1 - y) * p)).sum()
    return (1 - index) ** (1 / gamma)


@pytest.mark.parametrize("weights", [(0.0, 0.1, 50.0, 440.0), (1.0, 1.0, 1.0, 1.0)])
def test_focal_tversky_of_all_classes_is_the_published_one(weights):
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 2, (1, 4, 6, 5, 3))).float()
    labels = rng.integers(0, 4, (6, 5, 3))
    y = np.stack([labels == k for k in range(4)]).astype(float)
    term = {"name": "focal_tversky", "alpha": 0.3, "beta": 0.7, "gamma": 1.33, "smooth": 0.0, "pooled": True}
    settings = LossSettings.parse({"activation": "softmax", "labels": weights, "terms": [term]}, "test")
    total, _ = Loss(settings)(logits, torch.from_numpy(y)[None], torch.ones(1, 1, 6, 5, 3))
    expected = published(y, logits.softmax(1)[0].double().numpy(), np.array(weights))
    assert float(total) == pytest.approx(expected, rel=1e-4)


def test_a_label_without_weight_changes_nothing():
    logits = torch.randn(1, 3, 4, 4, 1)
    target = torch.zeros(1, 3, 4, 4, 1)
    target[:, 2, :2] = 1
    term = {"name": "tversky", "pooled": True}
    settings = LossSettings.parse({"labels": (0.0, 1.0, 1.0), "terms": [term]}, "test")
    changed = logits.clone()
    changed[:, 0] += 3
    losses = [float(Loss(settings)(x, target, torch.ones(1, 1, 4, 4, 1))[0]) for x in (logits, changed)]
    assert losses[0] == pytest.approx(losses[1])
