"""The multi-input network: published sizes, shapes, what is frozen, scalars."""

import pytest
import torch

from willis.errors import BadInputError
from willis.nets.vgg_fusion import VggFusion, VggFusionConfig

SMALL = {"size": 64, "vgg": (4, 4, 6, 6, 8), "branch": 4, "dense": 5, "bottom": 6, "up": (4, 3, 2, 2), "head": 3}


def small(**more):
    torch.manual_seed(0)
    return VggFusion(VggFusionConfig(**{**SMALL, **more})).eval()


@pytest.mark.parametrize(
    ("maps", "scalars", "count"),
    [(4, 0, 85_269_156), (4, 1, 85_296_236), (5, 0, 113_368_500), (5, 1, 113_395_580)],
)
def test_parameters_are_as_many_as_published(maps, scalars, count):
    with torch.device("meta"):
        network = VggFusion(VggFusionConfig(maps=maps, scalars=scalars))
    assert sum(p.numel() for p in network.parameters()) == count
    assert sum(p.numel() for p in network.vgg.parameters()) == maps * 14_714_688


def test_slices_are_read_one_by_one():
    network = small()
    x = torch.rand(2, 12, 64, 64, 3) * 255
    with torch.no_grad():
        stack = network(x)
        assert stack.shape == (2, 4, 64, 64, 3)
        assert torch.allclose(stack[..., 1], network(x[..., 1]), atol=1e-4)


def test_scalars_change_the_answer_and_maps_do():
    network = small(scalars=1)
    x = torch.rand(1, 13, 64, 64) * 255
    x[:, 12] = 3.0
    other = x.clone()
    other[:, 12] = 30.0
    with torch.no_grad():
        assert not torch.allclose(network(x), network(other))


def test_the_parts_that_may_be_frozen_are_the_encoders_and_their_first_half_by_depth():
    network = small()
    layers, parts = list(network.encoder_layers()), network.parts()
    assert parts["encoders"] == layers and parts["encoders-first-half"] == layers[: len(layers) // 2]
    inside = {id(p) for layer in layers for p in layer.parameters()}
    assert inside == {id(p) for name, p in network.named_parameters() if name.startswith("vgg.")}
    deepest = [network.vgg[m][4][2] for m in range(len(network.vgg))]
    assert not any(layer in parts["encoders-first-half"] for layer in deepest)


def test_every_encoder_sees_its_own_map_alone():
    network = small()
    x = (torch.rand(1, 12, 64, 64) * 255).requires_grad_()
    end, _ = network._encoded(x[:, 3:6], 1)
    end.sum().backward()
    used = x.grad.abs().sum((0, 2, 3)) > 0
    assert used.tolist() == [False] * 3 + [True] * 3 + [False] * 6


def test_the_batch_variant_has_its_norms():
    names = dict(small(batch_norm=True).named_modules())
    assert "branch_norm.3" in names and "head_norm.1" in names
    assert "branch_norm.3" not in dict(small().named_modules())


def test_a_size_that_cannot_be_halved_is_refused():
    with pytest.raises(BadInputError, match="multiple of 32"):
        VggFusion(VggFusionConfig(size=500))
