"""Weight gradients in bf16 are those of fp32 up to rounding at every size that the networks meet."""

from __future__ import annotations

import pytest
import torch

from alhvr.networks.blocks import CONVOLUTION, MEMORY_FORMAT


@pytest.mark.parametrize("size", [(1, 3, 2), (2, 3, 2), (3, 2, 4), (2, 8, 8), (2, 2), (1, 3)], ids=str)
def test_weight_gradient_in_bf16_is_finite_and_close(size: tuple[int, ...]) -> None:
    """oneDNN left parts of it uninitialised for two voxels along the first of three axes."""
    torch.manual_seed(0)
    dimensions = len(size)
    convolution = CONVOLUTION[dimensions](64, 64, 3, padding=1)
    x = torch.randn(2, 64, *size).bfloat16().float().to(memory_format=MEMORY_FORMAT[dimensions])
    gradients = []
    for enabled in (False, True, True, True):
        spoilt = [torch.full((1 << 20,), 1e36) for _ in range(4)]
        del spoilt
        convolution.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            result = convolution(x)
        result.float().square().mean().backward()
        gradients.append(convolution.weight.grad)
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], rtol=0, atol=0.02 * float(gradients[0].abs().max()))
