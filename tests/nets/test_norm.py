import pytest
import torch

from willis.nets.blocks.norm import BatchNorm, InstanceNorm


def twins(channels: int) -> tuple[BatchNorm, torch.nn.BatchNorm3d]:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = BatchNorm(channels, eps=1e-3, momentum=0.1), torch.nn.BatchNorm3d(channels, eps=1e-3, momentum=0.1)
    with torch.no_grad():
        for module in (ours, theirs):
            generator.manual_seed(0)
            module.weight.copy_(torch.rand(channels, generator=generator))
            module.bias.copy_(torch.rand(channels, generator=generator))
    return ours, theirs


@pytest.mark.parametrize("spanning", [False, True])
def test_torch_s_in_training_forward_backward_and_statistics(spanning: bool) -> None:
    ours, theirs = twins(3)
    ours.reduce = (lambda value: value) if spanning else None
    x = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(1)) * 3 + 1
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    out, expected = ours(a), theirs(b)
    assert torch.allclose(out, expected, atol=1e-5)
    (out**3).sum().backward()
    (expected**3).sum().backward()
    assert torch.allclose(a.grad, b.grad, atol=2e-3, rtol=1e-3)
    assert torch.allclose(ours.weight.grad, theirs.weight.grad, rtol=1e-3)
    assert torch.allclose(ours.running_mean, theirs.running_mean, atol=1e-6)
    count = x.numel() / 3
    biased = 0.9 + (theirs.running_var - 0.9) * (count - 1) / count
    assert torch.allclose(ours.running_var, biased, atol=1e-5)


def test_torch_s_in_inference() -> None:
    ours, theirs = twins(3)
    theirs.running_mean += 0.5
    ours.running_mean += 0.5
    x = torch.randn(1, 3, 2, 2, 2)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_a_single_value_in_training_uses_what_is_known() -> None:
    ours, _ = twins(2)
    x = torch.full((1, 2, 1, 1, 1), 5.0)
    assert torch.equal(ours(x), ours.eval()(x))


def test_split_batches_with_a_true_sum_equal_the_whole() -> None:
    """Two processes stood in for by two halves whose sums are exchanged by hand."""
    whole, _ = twins(2)
    x = torch.randn(4, 2, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    expected = whole(x)
    halves = x.split(2)
    sizes = torch.tensor([2.0 * 27])
    total = sum(torch.cat([h.sum((0, 2, 3, 4)), sizes]) for h in halves)
    mean = (total[:-1] / total[-1]).view(1, -1, 1, 1, 1)
    answers = [total, sum(((h - mean) ** 2).sum((0, 2, 3, 4)) for h in halves)]
    for half, part in zip(halves, expected.split(2), strict=True):
        one, _ = twins(2)
        queue = list(answers)
        one.reduce = lambda _value, queue=queue: queue.pop(0)
        assert torch.allclose(one(half), part, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("training", [False, True])
def test_instance_norm_is_torch_s_with_and_without_gradients(samples: int, training: bool) -> None:
    ours, theirs = InstanceNorm(4), torch.nn.InstanceNorm3d(4, eps=1e-3, affine=True)
    with torch.no_grad():
        for module in (ours, theirs):
            module.weight.copy_(torch.tensor([0.5, 1.0, 1.5, 2.0]))
            module.bias.copy_(torch.tensor([0.1, 0.2, -0.3, 0.0]))
    x = torch.randn(samples, 4, 5, 6, 3, generator=torch.Generator().manual_seed(2)) * 4 - 1
    with torch.set_grad_enabled(training):
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
