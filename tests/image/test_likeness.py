import numpy as np
import pytest
from sklearn.metrics import mutual_info_score, normalized_mutual_info_score

from willis.image.likeness import likeness

SPACING = (1.0, 2.0, 1.5)


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 6, size=(14, 15, 16)).astype(np.float32)
    second = np.where(rng.random(first.shape) < 0.6, 5 - first, rng.integers(0, 6, first.shape)).astype(np.float32)
    return first, second


def test_scikit_learn_agrees_on_images_of_few_values(labels):
    first, second = labels
    found = likeness(first, second, np.ones(first.shape), SPACING)
    information = mutual_info_score(first.ravel(), second.ravel())
    assert found.mutual_information == pytest.approx(information, rel=1e-9)
    joint = information / normalized_mutual_info_score(first.ravel(), second.ravel())  # mean of both entropies
    assert found.normalised_mi == pytest.approx(2 * joint / (2 * joint - information), rel=1e-9)


def test_an_image_and_its_negative_are_wholly_alike(labels):
    found = likeness(labels[0], 9 - labels[0], np.ones(labels[0].shape), SPACING)
    assert found.normalised_mi == pytest.approx(2)
    assert found.edge_agreement == pytest.approx(1)
    assert found.overlap == 1


def test_noise_is_alike_by_chance():
    rng = np.random.default_rng(1)
    first, second = rng.random((2, 40, 40, 40))
    found = likeness(first, second, np.ones(first.shape), (1.0, 1.0, 1.0))
    assert found.edge_agreement == pytest.approx(1 / 3, abs=0.02)
    assert found.normalised_mi < 1.01


def test_only_the_shared_domain_counts(labels):
    first, second = labels
    domain = np.zeros(first.shape)
    domain[:10] = 1
    torn = np.where(np.indices(first.shape)[0] < 5, second, np.nan)
    found = likeness(first, torn, domain, SPACING)
    assert found.overlap == pytest.approx(0.5)
    alone = likeness(first[:5], second[:5], np.ones((5, 15, 16)), SPACING)
    assert found.normalised_mi == pytest.approx(alone.normalised_mi)


def test_nothing_shared(labels):
    found = likeness(labels[0], labels[1] * np.nan, np.ones(labels[0].shape), SPACING)
    assert (found.mutual_information, found.normalised_mi, found.overlap) == (0, 1, 0)
