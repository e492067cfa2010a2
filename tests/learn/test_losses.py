import pytest
import torch
from monai.losses import DiceLoss, FocalLoss, TverskyLoss
from torch.nn import functional

from willis.errors import BadInputError
from willis.learn.losses import Loss, binary_voxel_loss, softmax_voxel_loss, tversky_loss
from willis.learn.recipe import LossSettings, LossTerm


def pair(seed: int = 0, labels: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, labels, 5, 6, 7, generator=generator) * 2
    target = (torch.rand(logits.shape, generator=generator) < 0.3).float()
    mask = (torch.rand(3, 1, 5, 6, 7, generator=generator) < 0.7).float()
    return logits, target, mask


def loss_of(*terms: dict[str, object], **settings: object) -> Loss:
    return Loss(LossSettings.parse({"terms": terms, **settings}, "test"))


def test_dice_is_monai_s() -> None:
    logits, target, mask = pair()
    ours = loss_of({"name": "dice", "smooth": 1e-5})(logits, target, mask)[0]
    theirs = DiceLoss(sigmoid=True, smooth_nr=2e-5, smooth_dr=2e-5)(logits, target)
    assert torch.isclose(ours, theirs, atol=1e-6)


def test_dice_per_batch_is_monai_s() -> None:
    logits, target, mask = pair()
    ours = loss_of({"name": "dice", "per_batch": True})(logits, target, mask)[0]
    theirs = DiceLoss(sigmoid=True, batch=True, smooth_nr=2e-5, smooth_dr=2e-5)(logits, target)
    assert torch.isclose(ours, theirs, atol=1e-6)


def test_labels_that_the_batch_lacks_are_left_out_of_the_overlap() -> None:
    logits, target, mask = pair()
    target[:, 1] = 0
    logits.requires_grad_()
    term = {"name": "dice", "per_batch": True, "present": True}
    ours = loss_of(term)(logits, target, mask)[0]
    ours.backward()
    assert logits.grad is not None and not logits.grad[:, 1].any() and logits.grad[:, 0].any()
    theirs = DiceLoss(sigmoid=True, batch=True, smooth_nr=2e-5, smooth_dr=2e-5)(logits[:, :1], target[:, :1])
    assert torch.isclose(2 * ours, theirs, atol=1e-6)  # the mean of two labels, one of which costs nothing
    target[2, 1, 0, 0, 0] = 1
    plain = loss_of({"name": "dice", "per_batch": True})(logits, target, mask)[0]
    assert torch.equal(loss_of(term)(logits, target, mask)[0], plain)
    target[2, 1, 0, 0, 0] = 0
    everywhere, held_elsewhere = (
        Loss(LossSettings.parse({"terms": [{**term, "present": present}]}, "test"), reduce=lambda sums: sums + 1)
        for present in (False, True)
    )
    assert torch.equal(held_elsewhere(logits, target, mask)[0], everywhere(logits, target, mask)[0])


def test_present_needs_sums_over_the_batch() -> None:
    for wrong in ({"present": True}, {"present": True, "per_batch": True, "pooled": True}):
        with pytest.raises(BadInputError, match="present is for overlap with per_batch"):
            loss_of({"name": "dice", **wrong})


def test_softmax_dice_is_monai_s() -> None:
    logits, _, mask = pair(labels=3)
    target = functional.one_hot(logits.flip(0).argmax(1), 3).movedim(-1, 1).float()
    ours = loss_of({"name": "dice"}, activation="softmax")(logits, target, mask)[0]
    assert torch.isclose(ours, DiceLoss(softmax=True, smooth_nr=2e-5, smooth_dr=2e-5)(logits, target), atol=1e-6)


def test_tversky_is_monai_s() -> None:
    logits, target, mask = pair()
    ours = loss_of({"name": "tversky", "alpha": 0.3, "beta": 0.7})(logits, target, mask)[0]
    theirs = TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, smooth_nr=1e-5, smooth_dr=1e-5)(logits, target)
    assert torch.isclose(ours, theirs, atol=1e-6)


def test_focal_tversky_is_a_power_of_tversky() -> None:
    logits, target, _ = pair()
    plain = tversky_loss(logits.sigmoid(), target, alpha=0.3, beta=0.7)
    assert torch.allclose(tversky_loss(logits.sigmoid(), target, alpha=0.3, beta=0.7, gamma=0.75), plain**0.75)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_is_monai_s(gamma: float) -> None:
    logits, target, mask = pair()
    ours = loss_of({"name": "focal", "gamma": gamma})(logits, target, mask)[0]
    assert torch.isclose(ours, FocalLoss(gamma=gamma)(logits, target), atol=1e-6)


def test_focal_softmax_is_monai_s() -> None:
    logits, _, _ = pair(labels=3)
    target = functional.one_hot(logits.flip(0).argmax(1), 3).movedim(-1, 1).float()
    ours = softmax_voxel_loss(logits, target, gamma=2.0).mean()
    assert torch.isclose(ours, FocalLoss(gamma=2.0, use_softmax=True)(logits, target), atol=1e-6)


def test_cross_entropies_are_torch_s() -> None:
    logits, target, mask = pair(labels=3)
    ours = loss_of({"name": "bce", "positive_weight": 3.0})(logits, target, mask)[0]
    theirs = functional.binary_cross_entropy_with_logits(logits, target, pos_weight=torch.tensor(3.0))
    assert torch.isclose(ours, theirs)
    index = logits.flip(0).argmax(1)
    onehot = functional.one_hot(index, 3).movedim(-1, 1).float()
    ours = loss_of({"name": "ce"}, activation="softmax")(logits, onehot, mask)[0]
    assert torch.isclose(ours, functional.cross_entropy(logits, index), atol=1e-6)


def test_a_mask_is_the_same_as_cutting_out() -> None:
    logits, target, _ = pair()
    mask = torch.zeros(3, 1, 5, 6, 7)
    mask[:, :, 1:4, 2:5, 0:6] = 1
    inner = (slice(None), slice(None), slice(1, 4), slice(2, 5), slice(0, 6))
    for name in ("dice", "bce", "focal", "tversky", "focal_tversky"):
        masked = loss_of({"name": name}, masked=True)(logits, target, mask)[0]
        cut = loss_of({"name": name})(logits[inner], target[inner], mask[inner])[0]
        assert torch.isclose(masked, cut, atol=1e-6), name


def test_an_output_judged_inside_another_is_the_same_as_cutting_out() -> None:
    logits, target, mask = pair()
    target[:, 0] = 0
    target[:, 0, 1:4, 2:5, 0:6] = 1
    inner = (slice(None), slice(1, 2), slice(1, 4), slice(2, 5), slice(0, 6))
    for name in ("dice", "bce", "focal", "tversky", "squared_dice"):
        both = loss_of({"name": name}, inside=[-1, 0], labels=[2.0, 3.0])(logits, target, mask)[0]
        whole = loss_of({"name": name})(logits[:, :1], target[:, :1], mask)[0]
        cut = loss_of({"name": name})(logits[inner], target[inner], mask[inner[0], :, *inner[2:]])[0]
        assert torch.isclose(both, (2 * whole + 3 * cut) / 5, atol=1e-6), name


def test_inside_names_outputs() -> None:
    logits, target, mask = pair()
    with pytest.raises(BadInputError, match="inside holds a number for each output, from -1 to 1"):
        loss_of({"name": "bce"}, inside=[-1, 2])
    with pytest.raises(BadInputError, match=r"loss.inside holds 3 numbers and the network has 2 outputs"):
        loss_of({"name": "bce"}, inside=[-1, 0, 0])(logits, target, mask)


def test_smoothed_targets_are_soft() -> None:
    """As segmentation_models_pytorch's SoftBCEWithLogitsLoss: (1 - y) s + y (1 - s)."""
    logits, target, mask = pair()
    ours = loss_of({"name": "bce", "smoothing": 0.01})(logits, target, mask)[0]
    soft = (1 - target.float()) * 0.01 + target.float() * 0.99
    assert torch.isclose(ours, functional.binary_cross_entropy_with_logits(logits, soft), atol=1e-6)


def test_empty_target() -> None:
    target = torch.zeros(1, 1, 4, 4, 4)
    nothing, everything = torch.full_like(target, -30.0), torch.full_like(target, 30.0)
    mask = torch.ones_like(target)
    for name in ("dice", "tversky"):
        loss = loss_of({"name": name})
        assert loss(nothing, target, mask)[0] < 1e-4
        assert loss(everything, target, mask)[0] > 0.99
        logits = torch.zeros_like(target, requires_grad=True)
        loss(logits, target, mask)[0].backward()
        assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_an_empty_mask_costs_nothing_and_has_finite_gradients() -> None:
    logits, target, mask = pair()
    logits.requires_grad_()
    for name in ("dice", "bce", "focal", "tversky", "focal_tversky"):
        loss = loss_of({"name": name}, masked=True)(logits, target, mask * 0)[0]
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.item() < 1e-3
        assert torch.equal(gradient, torch.zeros_like(gradient))


def test_weighted_sum_and_label_weights() -> None:
    logits, target, mask = pair()
    one = loss_of({"name": "dice"}, labels=[3.0, 1.0])(logits, target, mask)[0]
    each = [loss_of({"name": "dice"})(logits[:, [i]], target[:, [i]], mask)[0] for i in (0, 1)]
    assert torch.isclose(one, (3 * each[0] + each[1]) / 4)
    total, terms = loss_of({"name": "dice", "weight": 2.0}, {"name": "bce", "weight": 0.5})(logits, target, mask)
    assert float(total) == pytest.approx(2 * terms["dice_loss"] + 0.5 * terms["bce_loss"], rel=1e-5)


def test_weights_of_labels_are_one_for_each_output() -> None:
    settings = LossSettings(terms=(LossTerm(name="bce"),), labels=(2.0,))
    with pytest.raises(BadInputError, match=r"loss\.labels holds 1 weights and the network has 2 outputs"):
        Loss(settings)(torch.zeros(1, 2, 2, 2, 2), torch.zeros(1, 2, 2, 2, 2), torch.ones(1, 1, 2, 2, 2))


def test_gradients_agree_with_finite_differences() -> None:
    logits, target, _ = pair()
    logits = logits[:1, :, :2, :2, :2].double().requires_grad_()
    target = target[:1, :, :2, :2, :2].double()
    assert torch.autograd.gradcheck(
        lambda x: tversky_loss(x.sigmoid(), target, alpha=0.3, beta=0.7, gamma=0.75), logits
    )
    assert torch.autograd.gradcheck(lambda x: binary_voxel_loss(x, target, gamma=2.0), logits)
