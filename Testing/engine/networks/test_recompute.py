"""Lean training steps: the results, gradients and statistics of the plain modules, with less kept for backward."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from peak_memory import peak_bytes
from torch import Tensor, nn

from alhvr.networks import unet
from alhvr.networks.blocks import BATCH_NORM, CONVOLUTION, MEMORY_FORMAT, frozen_running_statistics, tail_of_batch
from alhvr.networks.conv_ops import RECOMPUTE, STANDARD, ConvOps
from alhvr.networks.dropout import Dropout
from alhvr.networks.norm_act import NormActDropout
from alhvr.networks.recompute import convolve_after, convolve_concat, max_pool2x
from alhvr.networks.unet import UNet

DIMENSIONS = pytest.mark.parametrize("dimensions", [2, 3])
SIZE = {2: (6, 4), 3: (4, 6, 4)}
NETWORKS = pytest.mark.parametrize("size", [(64, 48), (32, 16, 16)], ids=["2-D", "3-D"])


def image(channels: int, size: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    x = torch.randn(2, channels, *size, dtype=dtype).contiguous(memory_format=MEMORY_FORMAT[len(size)])
    return x.requires_grad_()


def after_conv(dimensions: int, slope: float, p: float) -> NormActDropout:
    norm = BATCH_NORM[dimensions](3).double()
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.normal_(norm.bias)
    return NormActDropout(norm, slope, Dropout(p).draw(torch.empty(2, 3, *SIZE[dimensions])))


def convolution(dimensions: int, channels: int) -> nn.Module:
    return CONVOLUTION[dimensions](channels, 2, 3, padding=1).double()


def assert_same_gradients(lean: Tensor, plain: Tensor, leaves: list[Tensor]) -> None:
    torch.testing.assert_close(lean, plain)
    weight = torch.randn_like(plain)
    ours, theirs = (torch.autograd.grad((y * weight).sum(), leaves, retain_graph=True) for y in (lean, plain))
    for mine, other, leaf in zip(ours, theirs, leaves, strict=True):
        torch.testing.assert_close(mine, other)
        assert mine.shape == leaf.shape and mine.dtype == leaf.dtype


@DIMENSIONS
@pytest.mark.parametrize(("slope", "p"), [(0.01, 0.0), (0.01, 0.3), (0.0, 0.0)])
def test_convolving_after_norm_and_dropout_is_that_of_the_modules(dimensions, slope, p):
    way, conv, x = after_conv(dimensions, slope, p), convolution(dimensions, 3), image(3, SIZE[dimensions])
    leaves = [x, *way.norm.parameters(), *conv.parameters()]
    assert_same_gradients(convolve_after(way, x, conv), STANDARD.convolve_after(way, x, conv), leaves)


def test_numerical_gradients_agree_too():
    way, conv = after_conv(2, 0.01, 0.3), convolution(2, 3)
    assert torch.autograd.gradcheck(lambda x: convolve_after(way, x, conv), image(3, SIZE[2]))
    joint = convolution(2, 4)
    assert torch.autograd.gradcheck(lambda s, r: convolve_concat(s, r, joint), (image(2, (4, 4)), image(2, (2, 2))))
    assert torch.autograd.gradcheck(max_pool2x, image(2, (4, 6)))


@DIMENSIONS
def test_convolving_a_join_is_convolving_the_concatenation(dimensions):
    size = SIZE[dimensions]
    skip, reduced, conv = image(3, tuple(2 * n for n in size)), image(2, size), convolution(dimensions, 5)
    lean, plain = convolve_concat(skip, reduced, conv), STANDARD.convolve_concat(skip, reduced, conv)
    assert_same_gradients(lean, plain, [skip, reduced, *conv.parameters()])


@DIMENSIONS
def test_halving_is_max_pooling(dimensions):
    x = image(3, SIZE[dimensions])
    assert_same_gradients(max_pool2x(x), STANDARD.max_pool2x(x), [x])


@DIMENSIONS
def test_every_gradient_keeps_channels_last(dimensions):
    layout, size, one = MEMORY_FORMAT[dimensions], SIZE[dimensions], torch.float32
    x, skip, reduced = image(3, size, one), image(3, tuple(2 * n for n in size), one), image(2, size, one)
    conv, joint = (convolution(dimensions, n).to(one, memory_format=layout) for n in (3, 5))
    way = after_conv(dimensions, 0.01, 0.3)
    way.norm.float()
    results = [(convolve_after(way, x, conv), [x]), (max_pool2x(skip), [skip]),
               (convolve_concat(skip, reduced, joint), [skip, reduced])]
    for result, leaves in results:
        assert result.is_contiguous(memory_format=layout)
        for gradient in torch.autograd.grad(result.square().sum(), leaves):
            assert gradient.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("frozen", [False, True])
def test_running_statistics_go_on_as_in_batch_norm(frozen):
    way, conv, x = after_conv(2, 0.01, 0.0), convolution(2, 3), image(3, SIZE[2])
    other = NormActDropout(deepcopy(way.norm), way.slope)
    for step, what in ((convolve_after, way), (STANDARD.convolve_after, other)):
        for _ in range(2):
            step(what, x, conv)
            if frozen:
                with frozen_running_statistics(what.norm):
                    step(what, 3 * x + 1, conv)
    assert int(way.norm.num_batches_tracked) == 2
    assert all(torch.equal(a, b) for a, b in zip(way.norm.buffers(), other.norm.buffers(), strict=True))


def test_a_second_derivative_is_refused():
    conv, x = convolution(2, 3), image(3, SIZE[2])
    for result in (convolve_after(after_conv(2, 0.01, 0.3), x, conv), max_pool2x(x),
                   convolve_concat(x, image(1, (3, 2)), convolution(2, 4))):
        (gradient,) = torch.autograd.grad(result.square().sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            gradient.sum().backward()


def use(steps: ConvOps, patch: pytest.MonkeyPatch) -> None:
    """Every U-Net trains with these ``steps`` from here on."""
    patch.setattr(unet, "conv_ops_for", lambda *_, **__: steps)


def trained(size: tuple[int, ...], precision: torch.dtype | None) -> tuple[float, dict, dict]:
    """Loss, gradients and buffers after a clean decode of three images and a frozen one of the last two."""
    torch.manual_seed(0)
    network = UNet(len(size), 3)
    network.to(memory_format=network.memory_format)
    x = torch.randn(3, 1, *size).contiguous(memory_format=network.memory_format)
    with torch.autocast("cpu", dtype=precision, enabled=precision is not None):
        levels = network.encode(x)
        clean = network.decode(levels)
        with frozen_running_statistics(network):
            other = network.decode([0.9 * tail_of_batch(level, 1) for level in levels], perturbed=True)
    loss = sum(y.float().square().mean() for d in (clean, other) for y in (d.logits, d.features))
    loss.backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    return float(loss.detach()), gradients, {name: b.clone() for name, b in network.named_buffers()}


def distance(gradients: dict[str, Tensor], exact: dict[str, Tensor]) -> float:
    """Root of the summed squares of all differences."""
    return sum(float((gradients[name] - g).square().sum()) for name, g in exact.items()) ** 0.5


@NETWORKS
def test_a_whole_network_trains_as_with_plain_steps(size, monkeypatch):
    use(RECOMPUTE, monkeypatch)
    loss, gradients, buffers = trained(size, None)
    use(STANDARD, monkeypatch)
    plain_loss, plain_gradients, plain_buffers = trained(size, None)
    assert loss == plain_loss
    assert all(torch.equal(buffers[name], plain) for name, plain in plain_buffers.items())
    for name, plain in plain_gradients.items():
        torch.testing.assert_close(gradients[name], plain, rtol=0, atol=1e-6 + 1e-5 * float(plain.abs().max()))


@NETWORKS
def test_in_bf16_gradients_are_as_near_to_fp32_as_with_plain_steps(size, monkeypatch):
    use(RECOMPUTE, monkeypatch)
    loss, gradients, _ = trained(size, torch.bfloat16)
    use(STANDARD, monkeypatch)
    plain_loss, plain, _ = trained(size, torch.bfloat16)
    _, exact, _ = trained(size, None)
    assert loss == pytest.approx(plain_loss, rel=1e-3)
    assert distance(gradients, exact) < 1.1 * distance(plain, exact)
    assert distance(gradients, plain) < distance(plain, exact)


@NETWORKS
def test_two_steps_from_one_seed_do_not_differ_in_one_bit(size, monkeypatch):
    use(RECOMPUTE, monkeypatch)
    first, second = (trained(size, torch.bfloat16) for _ in range(2))
    assert first[0] == second[0]
    assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])


def step_bytes(size: tuple[int, ...], precision: torch.dtype | None) -> int:
    trained(size, precision)
    return peak_bytes(lambda: trained(size, precision))


@pytest.mark.parametrize(("size", "share"), [((192, 192), 0.6), ((32, 48, 48), 0.6)], ids=["2-D", "3-D"])
@pytest.mark.parametrize("precision", [None, torch.bfloat16], ids=["fp32", "bf16"])
def test_a_step_takes_less_memory_than_with_plain_steps(size, share, precision, monkeypatch):
    use(RECOMPUTE, monkeypatch)
    lean = step_bytes(size, precision)
    use(STANDARD, monkeypatch)
    assert lean < share * step_bytes(size, precision)
