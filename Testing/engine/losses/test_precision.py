"""Tests of alhvr.losses.tensors: the losses are float32 whatever the networks are."""

from __future__ import annotations

import pytest
import torch

from alhvr.losses.tensors import in_full_precision, widen


@in_full_precision
def product(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x @ y


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_and_the_gradient_comes_back_in_the_networks_type(dtype):
    x = torch.eye(2, dtype=dtype).requires_grad_()
    result = product(x, torch.eye(2))
    result.sum().backward()
    assert result.dtype == torch.float32
    assert x.grad.dtype == dtype


def test_autocast_does_not_reach_a_loss():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert product(torch.eye(2), torch.eye(2)).dtype == torch.float32
        assert (torch.eye(2) @ torch.eye(2)).dtype == torch.bfloat16


def test_double_precision_and_integers_keep_their_type():
    assert widen(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
    assert widen(torch.zeros(1, dtype=torch.int64)).dtype == torch.int64


def test_channels_last_becomes_plain_order_with_the_same_values():
    x = torch.randn(2, 3, 4, 5)
    widened = widen(x.to(memory_format=torch.channels_last))
    assert widened.is_contiguous()
    assert torch.equal(widened, x)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_gradient_comes_back_in_the_order_of_the_tensor(layout):
    logits = torch.randn(2, 3, 4, 5).bfloat16().to(memory_format=layout).requires_grad_()
    (gradient,) = torch.autograd.grad((widen(logits) * torch.arange(5.0)).sum(), logits)
    assert gradient.dtype == torch.bfloat16 and gradient.is_contiguous(memory_format=layout)
    assert torch.equal(gradient.float(), torch.arange(5.0).expand(2, 3, 4, 5))
