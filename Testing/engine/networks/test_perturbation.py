"""The feature perturbation: what is drawn, and fact 22 of the method on arrays and tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alhvr.networks.perturbation import (
    Perturbation,
    apply_perturbation,
    draw_dual_perturbation,
    draw_perturbation,
)

SHAPES = [(4, 16, 16), (8, 8, 8)]
KINDS = pytest.mark.parametrize("make", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])


def dropout(*thresholds: float) -> Perturbation:
    return Perturbation("dropout", thresholds=thresholds)


def two_channels(values) -> np.ndarray:
    return np.broadcast_to(np.float32(values), (1, 2, *np.shape(values))).copy()


@KINDS
@pytest.mark.parametrize(
    ("share", "kept"),
    [(0.7, [[1, 2], [0, 0]]), (0.75, [[1, 2], [0, 0]]), (0.7501, [[1, 2], [3, 0]]), (0.9, [[1, 2], [3, 0]])],
)
def test_feature_dropout_removes_the_most_active_sites(make, share, kept):
    (out,) = apply_perturbation([make(two_channels([[1, 2], [3, 4]]))], dropout(share))
    np.testing.assert_array_equal(np.asarray(out), two_channels(kept))


@KINDS
def test_feature_dropout_does_not_depend_on_scale(make):
    x = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)
    (out,) = apply_perturbation([make(x)], dropout(0.8))
    (scaled,) = apply_perturbation([make(4 * x)], dropout(0.8))
    np.testing.assert_array_equal(np.asarray(scaled), 4 * np.asarray(out))


@KINDS
def test_feature_dropout_leaves_negative_activity_unchanged(make):
    x = -1 - np.random.default_rng(0).random((2, 3, 4, 4, 4), dtype=np.float32)
    (out,) = apply_perturbation([make(x)], dropout(0.8))
    np.testing.assert_array_equal(np.asarray(out), x)


def test_feature_dropout_uses_the_largest_activity_of_each_image():
    x = np.float32([[[[1, 2], [3, 4]]], [[[10, 20], [30, 40]]]])
    (out,) = apply_perturbation([x], dropout(0.8))
    np.testing.assert_array_equal(out != 0, np.broadcast_to([[True, True], [True, False]], x.shape))


@KINDS
def test_noise_changes_each_value_by_at_most_three_tenths_and_all_images_alike(make):
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, (3, 4, 4)).astype(np.float32)
    x = np.random.default_rng(2).random((5, 3, 4, 4), dtype=np.float32) + 1
    x[0, 0, 0, 0] = 0
    out = np.asarray(apply_perturbation([make(x)], Perturbation("noise", noises=(noise,)))[0])
    np.testing.assert_allclose(out, x * (1 + noise), rtol=1e-6)
    assert out[0, 0, 0, 0] == 0


def test_arrays_and_tensors_are_perturbed_alike():
    rng = np.random.default_rng(0)
    levels = [rng.standard_normal((2, *shape)).astype(np.float32) for shape in SHAPES]
    for seed in range(6):
        drawn = draw_perturbation(np.random.default_rng(seed), SHAPES)
        tensors = apply_perturbation([torch.from_numpy(x) for x in levels], drawn)
        for array, tensor in zip(apply_perturbation(levels, drawn), tensors, strict=True):
            np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-6)


def test_one_coin_picks_the_kind_of_all_levels():
    rng = np.random.default_rng(0)
    drawn = [draw_perturbation(rng, SHAPES) for _ in range(1000)]
    assert abs(sum(p.kind == "noise" for p in drawn) - 500) < 80
    shares = np.array([p.thresholds for p in drawn if p.kind == "dropout"])
    assert shares.shape[1] == 2
    assert 0.7 <= shares.min() < 0.71 < 0.89 < shares.max() <= 0.9
    noises = [n for p in drawn if p.kind == "noise" for n in p.noises]
    assert {n.shape for n in noises} == set(SHAPES) and {n.dtype for n in noises} == {np.dtype(np.float32)}
    assert -0.3 <= min(n.min() for n in noises) < -0.299 < 0.299 < max(n.max() for n in noises) <= 0.3


def test_the_generator_alone_decides_and_the_two_networks_draw_for_themselves():
    first, again = (draw_dual_perturbation(np.random.default_rng(5), SHAPES) for _ in range(2))
    assert repr(first) == repr(again)
    seen = [draw_dual_perturbation(np.random.default_rng(seed), SHAPES) for seed in range(20)]
    assert any(d.a.kind != d.b.kind for d in seen)
    assert not any(d.a.thresholds == d.b.thresholds for d in seen if d.a.kind == d.b.kind == "dropout")


def test_gradient_passes_what_was_kept_and_skips_what_was_removed():
    x = torch.tensor(two_channels([[1, 2], [3, 4]]), requires_grad=True)
    apply_perturbation([x], dropout(0.8))[0].sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), two_channels([[1, 1], [1, 0]]))


def test_half_precision_stays_half_precision_in_its_layout():
    x = torch.rand(2, 4, 16, 16).bfloat16().contiguous(memory_format=torch.channels_last)
    for seed in range(6):
        (out,) = apply_perturbation([x], draw_perturbation(np.random.default_rng(seed), [(4, 16, 16)]))
        assert (out.dtype, out.stride()) == (x.dtype, x.stride())


def test_a_perturbation_of_other_shapes_is_refused():
    x = np.ones((1, 4, 16, 16), np.float32)
    with pytest.raises(ValueError, match="expected 1"):
        apply_perturbation([x], dropout(0.7, 0.8))
    with pytest.raises(ValueError, match=r"\(4, 8, 8\).*\(4, 16, 16\)"):
        apply_perturbation([x], Perturbation("noise", noises=(np.zeros((4, 8, 8), np.float32),)))
