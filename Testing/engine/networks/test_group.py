"""The dual network: its views of a batch, and what each pass does to batch norm (facts 21 and 23, rows 4 and 17)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alhvr.methods.alhvr import PassConfig, forward_views
from alhvr.networks.group import NetworkGroup
from alhvr.networks.perturbation import DualPerturbation, Perturbation, draw_perturbation

OFFICIAL = PassConfig(perturb_labeled=True, perturbed_statistics=True)
MILD = Perturbation("dropout", thresholds=(0.8,) * 5)
BOTH = DualPerturbation(a=MILD, b=MILD)


def dual_unet(seed: int = 0) -> NetworkGroup:
    torch.manual_seed(seed)
    return NetworkGroup("unet", 2, 4)


def batches_tracked(network: torch.nn.Module, part: str) -> set[int]:
    state = network.state_dict()
    return {int(v) for k, v in state.items() if k.startswith(part) and k.endswith("num_batches_tracked")}


def noise_for(dual: NetworkGroup, size: tuple[int, ...]) -> Perturbation:
    rng = np.random.default_rng(0)
    while (drawn := draw_perturbation(rng, dual.a.level_shapes(size))).kind != "noise":
        pass
    return drawn


def test_the_two_networks_start_from_different_weights():
    dual = dual_unet()
    same = [torch.equal(p, q) for p, q in zip(dual.a.parameters(), dual.b.parameters(), strict=True) if p.ndim > 1]
    assert same and not any(same)


def test_views_of_2d_images_have_the_stated_shapes():
    views = forward_views(dual_unet(), torch.randn(5, 1, 64, 64), 2, BOTH)
    for view in (views.a, views.b):
        assert view.clean_logits.shape == (5, 4, 64, 64)
        assert view.perturbed_logits.shape == (3, 4, 64, 64)
        assert view.clean_features.shape == view.perturbed_features.shape == (3, 64, 8, 8)


@pytest.mark.parametrize(("kind", "channels"), [("vnet", 128), ("unet", 64)])
def test_views_of_3d_images_have_the_stated_shapes(kind, channels):
    view = forward_views(NetworkGroup(kind, 3, 2), torch.randn(2, 1, 32, 32, 32), 1, BOTH).a
    assert view.clean_logits.shape == (2, 2, 32, 32, 32)
    assert view.perturbed_logits.shape == (1, 2, 32, 32, 32)
    assert view.clean_features.shape == view.perturbed_features.shape == (1, channels, 4, 4, 4)


def test_labels_alone_need_the_clean_pass_only():
    dual = dual_unet()
    views = forward_views(dual, torch.randn(2, 1, 32, 32), 2, None)
    assert views.a.clean_logits.shape == views.b.clean_logits.shape == (2, 4, 32, 32)
    assert views.a.perturbed_logits is views.a.clean_features is views.b.perturbed_features is None
    assert batches_tracked(dual.a, "decoder") == {1}


def test_a_batch_without_unlabelled_images_has_no_perturbed_view():
    view = forward_views(dual_unet(), torch.randn(2, 1, 32, 32), 2, BOTH).a
    assert view.perturbed_logits is None


def test_the_encoder_sees_one_batch_and_the_perturbed_pass_is_not_counted():
    dual = dual_unet()
    forward_views(dual, torch.randn(4, 1, 32, 32), 2, BOTH)
    for network in (dual.a, dual.b):
        assert batches_tracked(network, "encoder") == batches_tracked(network, "decoder") == {1}


@pytest.mark.parametrize("kind", ["unet", "vnet"])
def test_perturbed_statistics_are_counted_in_the_decoder_when_asked_for(kind):
    dual = NetworkGroup(kind, 3, 2)
    forward_views(dual, torch.randn(2, 1, 32, 32, 32), 1, BOTH, PassConfig(perturbed_statistics=True))
    assert batches_tracked(dual.b, "encoder") == {1}
    assert batches_tracked(dual.b, "decoder") == {2}


def test_running_statistics_are_those_of_the_clean_pass_alone():
    x = torch.randn(4, 1, 32, 32)
    means = []
    for drawn, config in ((BOTH, PassConfig()), (None, PassConfig()), (BOTH, OFFICIAL)):
        dual = dual_unet()
        forward_views(dual, x, 2, drawn, config)
        means.append(dual.a.decoder[-1].block.second.norm.running_mean)
    kept, alone, moved = means
    assert torch.equal(kept, alone)
    assert not torch.allclose(kept, moved)


def test_the_perturbed_pass_normalises_with_its_own_batch():
    dual = NetworkGroup("unet", 2, 4, feature_stride=1)
    seen = []
    norm = dual.a.decoder[-1].block.second.norm
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    forward_views(dual, torch.randn(4, 1, 32, 32), 2, BOTH)
    clean, perturbed = seen
    assert (clean.shape[0], perturbed.shape[0]) == (4, 2)
    assert perturbed.mean((0, 2, 3)).abs().max() < 1e-4
    assert (perturbed.var((0, 2, 3)) - 1).abs().max() < 0.02


def test_labelled_images_join_the_perturbed_batch_when_asked_for():
    x = torch.randn(4, 1, 32, 32)
    official, paper = (forward_views(dual_unet(), x, 2, BOTH, config).a for config in (OFFICIAL, PassConfig()))
    assert official.perturbed_logits.shape == paper.perturbed_logits.shape == (2, 4, 32, 32)
    assert torch.equal(official.clean_logits, paper.clean_logits)
    assert not torch.allclose(official.perturbed_logits, paper.perturbed_logits)


def test_in_eval_views_are_plain_passes_over_the_right_images():
    dual = dual_unet().eval()
    x = torch.randn(5, 1, 32, 32)
    noise = noise_for(dual, (32, 32))
    view = forward_views(dual, x, 2, DualPerturbation(a=noise, b=MILD)).a
    levels = [e * torch.from_numpy(1 + n) for e, n in zip(dual.a.encode(x[2:]), noise.noises, strict=True)]
    plain, perturbed = dual.a.decode(dual.a.encode(x)), dual.a.decode(levels)
    torch.testing.assert_close(view.clean_logits, plain.logits)
    torch.testing.assert_close(view.clean_features, plain.features[2:])
    torch.testing.assert_close(view.perturbed_logits, perturbed.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(view.perturbed_features, perturbed.features, rtol=1e-4, atol=1e-5)


def test_without_clean_dropout_only_the_perturbed_view_is_dropped():
    dual = NetworkGroup("vnet", 3, 2, clean_dropout=False)
    nothing = Perturbation("noise", noises=tuple(np.zeros(s, np.float32) for s in dual.a.level_shapes((16, 16, 16))))
    view = forward_views(dual, torch.randn(2, 1, 16, 16, 16), 0, DualPerturbation(a=nothing, b=nothing)).a
    assert torch.equal(view.clean_features, view.perturbed_features)
    assert not torch.equal(view.clean_logits, view.perturbed_logits)


def test_both_passes_send_gradient_to_the_encoder():
    dual = dual_unet()
    view = forward_views(dual, torch.randn(4, 1, 32, 32), 2, BOTH).a
    weight = dual.a.encoder[0].first.conv.weight
    for part in (view.clean_logits, view.perturbed_logits):
        (gradient,) = torch.autograd.grad(part.square().mean(), weight, retain_graph=True)
        assert gradient.abs().max() > 0


@pytest.mark.parametrize(("kind", "dimensions"), [("unet", 2), ("unet", 3), ("vnet", 3)])
def test_a_bf16_channels_last_step_runs_and_gives_finite_gradients(kind, dimensions):
    dual = NetworkGroup(kind, dimensions, 3)
    dual.to(memory_format=dual.memory_format)
    noise = noise_for(dual, (32,) * dimensions)
    with torch.autocast("cpu", torch.bfloat16):
        views = forward_views(dual, torch.randn(2, 1, *[32] * dimensions), 1, DualPerturbation(a=noise, b=MILD))
    assert views.a.perturbed_logits.dtype == torch.bfloat16
    loss = sum(v.perturbed_logits.float().square().mean() + v.clean_logits.float().mean() for v in (views.a, views.b))
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in dual.parameters())


def test_the_seed_repeats_a_whole_pass():
    x = torch.randn(4, 1, 32, 32)
    dual = dual_unet()
    torch.manual_seed(7)
    first = forward_views(dual, x, 2, BOTH).b.perturbed_logits
    torch.manual_seed(7)
    assert torch.equal(first, forward_views(dual, x, 2, BOTH).b.perturbed_logits)
