"""The fast dropout: the law, the scale, repeatable draws, layouts, and the identity in eval."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alhvr.networks.dropout import Dropout


@pytest.mark.parametrize("p", [0.05, 0.1, 0.3, 0.5])
def test_dropout_removes_its_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    out = Dropout(p)(torch.ones(4, 8, 128, 128))
    n = out.numel()
    assert abs((out == 0).float().mean().item() - p) < 5 * (p * (1 - p) / n) ** 0.5
    assert out.max().item() == pytest.approx(1 / (1 - p), abs=1e-4)
    assert abs(out.double().mean().item() - 1) < 5 * (p / (1 - p) / n) ** 0.5


def test_dropout_draws_sites_independently_of_their_neighbours():
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(1 << 20)[None, :, None]) == 0).double().flatten() - 0.5
    for shift in range(1, 9):
        correlation = (dropped[shift:] * dropped[:-shift]).mean().item() / 0.25
        assert abs(correlation) < 5 / 1024


def test_manual_seed_repeats_dropout_and_the_next_draw_differs():
    x = torch.ones(2, 16, 16, 16)
    torch.manual_seed(3)
    first, second = Dropout(0.3)(x), Dropout(0.3)(x)
    torch.manual_seed(3)
    assert torch.equal(first, Dropout(0.3)(x))
    assert not torch.equal(first, second)


def test_dropout_is_the_identity_in_eval_and_for_probability_zero():
    x = torch.randn(2, 3, 5, 7)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 3, 5, 7, 4), (1, 1, 3, 3)])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_dropout_keeps_shape_type_and_channels_last_layout(shape, kind):
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}[len(shape)]
    x = torch.rand(shape).to(kind).contiguous(memory_format=layout) + 1
    out = Dropout(0.5)(x)
    assert (out.shape, out.dtype, out.stride()) == (x.shape, x.dtype, x.stride())
    assert torch.equal(out[out != 0], 2 * x[out != 0])


def test_dropout_accepts_a_view_that_no_layout_describes():
    x = torch.ones(2, 6, 8, 8)[:, ::2, 1:, ::3]
    out = Dropout(0.5)(x)
    assert out.shape == x.shape
    assert set(out.flatten().tolist()) == {0.0, 2.0}


def test_gradient_flows_only_through_what_was_kept():
    x = torch.ones(1, 4, 8, 8, requires_grad=True)
    out = Dropout(0.25)(x)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), out.detach().numpy())


def test_dropout_elsewhere_than_on_cpu_is_that_of_torch():
    out = Dropout(0.5)(torch.ones(2, 3, device="meta"))
    assert out.device.type == "meta"


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_an_impossible_probability_is_refused(p):
    with pytest.raises(ValueError, match=f"{p}"):
        Dropout(p)
