import numpy as np
import pytest

from willis.errors import BadInputError, WillisError
from willis.infer.ensemble import predict, probabilities
from willis.models.store import write_bundle


@pytest.fixture(scope="module")
def three(make_bundle):
    return make_bundle(3)


@pytest.fixture(scope="module")
def members(networks, image):
    """Probabilities of each network by plain torch."""
    import torch

    with torch.no_grad():
        return [torch.sigmoid(network(torch.from_numpy(image[None])))[0].numpy() for network in networks]


def test_mean_and_spread_are_those_of_the_members(three, members, image):
    found = predict(three, image, engine="torch")
    np.testing.assert_allclose(found.probability, np.mean(members, axis=0), atol=1e-5)
    np.testing.assert_allclose(found.spread, np.std(members, axis=0), atol=1e-5)
    assert found.spread.max() > 0.05
    assert (found.probability.dtype, found.spread.dtype) == (np.float32, np.float32)
    assert [member.dtype for member in found.members] == [np.float16] * 3
    for alone, expected in zip(found.members, members, strict=True):
        np.testing.assert_allclose(alone, expected, atol=1e-3)
    assert (found.engine, found.precision, found.window) == ("torch", "float32", None)


def test_one_member_has_no_spread(make_bundle, image):
    assert not predict(make_bundle(1), image, engine="torch").spread.any()


def test_outside_the_mask_is_nothing(three, members, image):
    mask = np.zeros(image.shape[1:], bool)
    mask[4:12, 5:20, 3:9] = True
    found = predict(three, image, mask=mask, engine="torch")
    for values in (found.probability, found.spread, *found.members):
        assert not values[:, ~mask].any()
    np.testing.assert_allclose(found.probability[:, mask], np.mean(members, axis=0)[:, mask], atol=1e-5)


def test_calibration_acts_on_the_logits(make_bundle, members, image):
    calibrated = make_bundle(1, calibration={"slope": 0.5, "intercept": -1.0, "origin": "a test"})
    found = predict(calibrated, image, engine="torch").probability
    logits = np.log(members[0] / (1 - members[0]))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(1.0 - 0.5 * logits)), atol=1e-5)


def test_softmax_sums_to_one_and_survives_large_logits():
    logits = np.array([900.0, 899.0, -900.0], np.float32).reshape(3, 1, 1, 1)
    p = probabilities(logits, "softmax")
    assert p.sum() == pytest.approx(1)
    assert p[0, 0, 0, 0] == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-5)


def test_sigmoid_survives_large_logits():
    p = probabilities(np.array([-900.0, 0.0, 2.0, 900.0], np.float32).reshape(4, 1, 1, 1), "sigmoid").ravel()
    np.testing.assert_allclose(p, [0, 0.5, 1 / (1 + np.exp(-2)), 1], atol=1e-6)


def test_a_sliding_bundle_runs_in_its_windows(make_bundle, image):
    sliding = make_bundle(1, window={"mode": "sliding", "shape": [16, 16, 16], "overlap": 0.5})
    told = []
    found = predict(sliding, image, engine="torch", progress=lambda part, what: told.append((part, what)))
    whole = predict(make_bundle(1), image, engine="torch").probability
    assert found.window == (16, 16, 16)
    assert 0 < np.abs(found.probability - whole).mean() < 0.1
    parts = [part for part, _ in told]
    assert parts == sorted(parts)
    assert (parts[0], parts[-1]) == (0.0, 1.0)
    assert any("window 2 of" in what for _, what in told)


def test_a_sliding_bundle_runs_no_window_outside_the_mask(make_bundle, image):
    sliding = make_bundle(1, window={"mode": "sliding", "shape": [16, 16, 16], "overlap": 0.0})
    mask = np.zeros(image.shape[1:], bool)
    mask[0, 0, 0] = True
    told = []
    found = predict(sliding, image, mask=mask, engine="torch", progress=lambda _, what: told.append(what))
    assert "member 1 of 1, window 1 of 1" in told
    assert np.count_nonzero(found.probability[0]) == 1


@pytest.mark.parametrize("window", [{"mode": "whole"}, {"mode": "sliding", "shape": [16, 16, 16], "overlap": 0.5}])
def test_nothing_is_found_in_an_empty_mask_by_any_output(make_bundle, image, window):
    mask = np.zeros(image.shape[1:], bool)
    found = predict(make_bundle(2, window=window), image, mask=mask, engine="torch")
    assert found.probability.shape == (2, *image.shape[1:])
    assert not found.probability.any()


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_answers_that_are_no_numbers_are_no_empty_mask(make_bundle, networks, image, engine, tmp_path):
    weights = {name: value.clone() for name, value in networks[0].state_dict().items()}
    weights["head.weight"][:] = 3e38
    overflowing = write_bundle(tmp_path / "b", make_bundle(1).manifest, [weights], half=False)
    with pytest.raises(WillisError, match="no numbers, in float32 by " + engine):
        predict(overflowing, image, engine=engine)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weights: weights.pop("head.bias"), "1 array missing, the first head.bias"),
        (lambda weights: weights.update(more=weights["head.bias"]), "1 array left over, the first more"),
        (lambda weights: weights.update({"head.bias": weights["head.bias"][:1]}), r"head.bias has the shape \(1,\)"),
    ],
)
def test_weights_of_another_network_are_refused_in_a_sentence(
    make_bundle, networks, image, engine, change, words, tmp_path
):
    weights = dict(networks[0].state_dict())
    change(weights)
    other = write_bundle(tmp_path / "b", make_bundle(1).manifest, [weights])
    with pytest.raises(WillisError, match=f"not of the network that its manifest describes: {words}"):
        predict(other, image, engine=engine)


def test_a_memory_limit_lowers_the_window_and_says_so(make_bundle, networks):
    bundle = make_bundle(1)
    big = np.random.default_rng(1).random((2, 64, 72, 48), dtype=np.float32)
    free = predict(bundle, big, engine="torch")
    # what a call needs scales with the window; what the process holds doesn't
    from willis.infer.engine import open_engine
    from willis.infer.memory import resident_bytes, result_bytes

    need = open_engine(bundle, 0, engine="torch").needed_bytes((1, *big.shape))
    limit = (resident_bytes() + result_bytes(2, 1, big.shape[1:]) + 0.8 * need) / 1e9
    held = predict(bundle, big, engine="torch", memory_limit_gb=limit)
    assert free.window is None
    assert held.window is not None
    assert np.prod(held.window) < np.prod(big.shape[1:])
    assert held.peak_memory_estimate_gb <= limit
    assert any("memory limit" in note for note in held.notes)
    assert np.abs(held.probability - free.probability).mean() < 0.05


def test_a_limit_that_can_t_be_kept_is_refused(make_bundle, image):
    with pytest.raises(BadInputError, match=r"needs at least \d+\.\d\d GB"):
        predict(make_bundle(1), image, engine="torch", memory_limit_gb=0.001)


def test_an_image_with_other_channels_is_refused(three, image):
    with pytest.raises(BadInputError, match="2 channels, t1, flair"):
        predict(three, image[:1], engine="torch")


def test_a_mask_of_another_shape_is_refused(three, image):
    with pytest.raises(BadInputError, match="mask has shape"):
        predict(three, image, mask=np.ones((2, 2, 2), bool), engine="torch")
