"""The further losses and the constraints of published recipes: known values, limits, Keras' rule for the norm."""

import pytest
import torch
from torch import nn

from willis.learn.constraint import Constraint
from willis.learn.losses import Loss, squared_overlap_loss, tversky_loss
from willis.learn.recipe import LossSettings, LossTerm, OptimiserSettings
from willis.nets.vgg_fusion import VggFusion, VggFusionConfig


def half_right():
    """One label, four voxels: p = 1, 1, 0, 0 against y = 1, 0, 1, 0."""
    p = torch.tensor([1.0, 1, 0, 0]).view(1, 1, 4, 1, 1)
    y = torch.tensor([1.0, 0, 1, 0]).view(1, 1, 4, 1, 1)
    return p, y


def test_known_overlaps():
    p, y = half_right()
    assert squared_overlap_loss(p, y, smooth=0.0).item() == pytest.approx(1 - 2 / 4)
    assert squared_overlap_loss(p, y, tanimoto=True, smooth=0.0).item() == pytest.approx(1 - 1 / 3)
    assert tversky_loss(p, y, alpha=1.0, beta=1.0, smooth=0.0).item() == pytest.approx(1 - 1 / 3)
    soft = torch.full((1, 1, 4, 1, 1), 0.5)
    assert squared_overlap_loss(soft, y, smooth=0.0).item() == pytest.approx(1 - 2 * 1.0 / (4 * 0.25 + 2))


@pytest.mark.parametrize("name", ["squared_dice", "jaccard", "tanimoto", "tanimoto_dual"])
@pytest.mark.parametrize("pooled", [False, True])
def test_a_perfect_answer_costs_nothing_and_the_opposite_the_most(name, pooled):
    loss = Loss(LossSettings(activation="softmax", labels=(1.0, 2.0), terms=(LossTerm(name=name, pooled=pooled),)))
    target = torch.zeros(2, 2, 6, 6, 1)
    target[:, 0, :3], target[:, 1, 3:] = 1, 1
    mask = torch.ones(2, 1, 6, 6, 1)
    right, _ = loss(40 * (target - 0.5), target, mask)
    wrong, _ = loss(-40 * (target - 0.5), target, mask)
    between, _ = loss(torch.zeros_like(target), target, mask)
    assert right.item() == pytest.approx(0, abs=1e-4) and wrong.item() == pytest.approx(1, abs=1e-3)
    assert 0.1 < between.item() < 0.9


def test_voxels_outside_the_weight_do_not_count():
    p, y = half_right()
    weight = torch.tensor([1.0, 0, 0, 1]).view(1, 1, 4, 1, 1)
    assert squared_overlap_loss(p, y, weight, smooth=0.0).item() == pytest.approx(0)


def test_filters_are_shortened_to_the_limit_and_others_left():
    layer = nn.Conv2d(2, 3, 1)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, :, 0, 0] = torch.tensor([3.0, 4.0])
        layer.weight[1, :, 0, 0] = torch.tensor([0.6, 0.8])
        layer.bias.fill_(5.0)
    Constraint(nn.Sequential(layer), OptimiserSettings(max_norm=2.0)).project()
    assert layer.weight[0].norm().item() == pytest.approx(2.0)
    assert layer.weight[1].flatten().tolist() == pytest.approx([0.6, 0.8])
    assert layer.bias.norm().item() == pytest.approx(2.0)
    turned = nn.ConvTranspose2d(2, 1, 1)
    with torch.no_grad():
        turned.weight.copy_(torch.tensor([3.0, 4.0]).view(2, 1, 1, 1))
    Constraint(turned, OptimiserSettings(max_norm=2.0)).project()
    assert turned.weight.norm().item() == pytest.approx(2.0)


def test_penalties_are_the_gradient_of_their_sum():
    layer = nn.Linear(3, 2)
    penalty = 1e-3 * layer.weight.abs().sum() + 1e-2 * layer.weight.pow(2).sum()
    (expected,) = torch.autograd.grad(penalty, layer.weight)
    layer.weight.grad = torch.zeros_like(layer.weight)
    Constraint(layer, OptimiserSettings(l1=1e-3, l2=1e-2)).penalise()
    assert torch.allclose(layer.weight.grad, expected)


def test_encoders_of_the_published_network_are_left_alone():
    network = VggFusion(VggFusionConfig(size=32, vgg=(4,) * 5, branch=4, bottom=4, up=(4,) * 4, head=4))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(3.0)
    Constraint(network, OptimiserSettings(max_norm=2.0)).project()
    held = {name: parameter for name, parameter in network.named_parameters() if parameter.ndim > 1}
    assert all((p == 3).all() for n, p in held.items() if n.startswith("vgg."))
    assert all((p < 3).all() for n, p in held.items() if not n.startswith("vgg."))
