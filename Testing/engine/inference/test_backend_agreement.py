"""All backends say the same about trained networks: clean and perturbed, in 2-D and 3-D."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from tiny_networks import make_boxes, train_tiny

from alhvr.inference.backends import Backend
from alhvr.inference.dual_forward import softmax
from alhvr.inference.onnx_backend import OnnxBackend
from alhvr.inference.openvino_backend import OpenVinoBackend, precision_of_this_cpu
from alhvr.inference.torch_backend import TorchBackend
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import export_networks
from alhvr.networks.perturbation import draw_perturbation

WORLDS = {2: ((32, 32), (96, 112)), 3: ((16, 16, 16), (16, 32, 48))}
"""By dimensions: size of the images the networks learn from, size of those they are asked about."""
PAIRS = list(combinations(("torch", "onnxruntime", "openvino"), 2))
SEEDS = {"dropout": 2, "noise": 0}
"""What draw_perturbation makes of a seed."""
ONE_IN_10000 = 1e-4


def every_backend(networks: NetworkGroup) -> dict[str, Backend]:
    """All of them with the same weights."""
    graphs = export_networks(networks)
    return {"torch": TorchBackend(networks, "cpu", "fp32"), "onnxruntime": OnnxBackend(graphs, 1),
            "openvino": OpenVinoBackend(graphs, 1, "f32"), "openvino bf16": OpenVinoBackend(graphs, 1, "bf16")}


@pytest.fixture(scope="module", params=WORLDS, ids=lambda dimensions: f"{dimensions}-D")
def world(request) -> tuple[dict[str, Backend], np.ndarray]:
    """Backends of the same trained networks, and images of another size than they were trained on."""
    trained_size, size = WORLDS[request.param]
    networks = train_tiny(request.param, trained_size)
    return every_backend(networks), make_boxes(np.random.default_rng(7), size)[0]


def probabilities(backend: Backend, images: np.ndarray, seed: int | None = None) -> list[np.ndarray]:
    """[N, C, *S] of both networks; perturbed where a seed is given."""
    found = []
    for network in ("a", "b"):
        levels = backend.encode(network, images)
        if seed is not None:
            drawn = draw_perturbation(np.random.default_rng(seed), backend.level_shapes(levels))
            levels = backend.perturb(levels, drawn)
        found.append(softmax(backend.decode(network, levels)))
    return found


def share_of_other_labels(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    """Share of the voxels whose class, by the mean of both networks, is another."""
    return float(np.mean(np.add(*some).argmax(axis=1) != np.add(*others).argmax(axis=1)))


def largest_difference(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize("seed", [None, *SEEDS.values()], ids=["clean", *SEEDS])
@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_two_backends_give_the_same_labels_and_probabilities(world, pair, seed):
    backends, images = world
    some, others = (probabilities(backends[name], images, seed) for name in pair)
    assert share_of_other_labels(some, others) <= ONE_IN_10000
    assert largest_difference(some, others) <= 1e-3


@pytest.mark.parametrize(("kind", "dimensions"), [("unet", 2), ("vnet", 3)])
def test_backends_agree_on_networks_of_several_channels(kind, dimensions):
    torch.manual_seed(0)
    networks = NetworkGroup(kind, dimensions, 3, in_channels=2).eval()
    images = np.random.default_rng(0).standard_normal((2, 2, *WORLDS[dimensions][0]), np.float32)
    backends = every_backend(networks)
    for some, others in PAIRS:
        assert largest_difference(*(probabilities(backends[name], images) for name in (some, others))) <= 1e-4
    swapped = probabilities(backends["onnxruntime"], images[:, ::-1])
    assert largest_difference(probabilities(backends["onnxruntime"], images), swapped) > 1e-3


def test_the_networks_are_trained_and_the_seeds_draw_both_kinds(world):
    backends, images = world
    found = np.add(*probabilities(backends["onnxruntime"], images)).argmax(axis=1)
    assert set(np.unique(found)) == {0, 1, 2}
    for kind, seed in SEEDS.items():
        assert draw_perturbation(np.random.default_rng(seed), [(2, 4, 4)]).kind == kind


def test_a_vnet_has_the_same_probabilities_everywhere():
    torch.manual_seed(0)
    backends = every_backend(NetworkGroup("vnet", 3, 2).eval())
    images, _ = make_boxes(np.random.default_rng(7), (16, 32, 16))
    for seed in (None, *SEEDS.values()):
        for some, other in PAIRS:
            found = (probabilities(backends[name], images, seed) for name in (some, other))
            assert largest_difference(*found) <= 1e-3


def test_perturbing_changes_the_answer_and_leaves_the_levels_alone(world):
    backends, images = world
    for backend in backends.values():
        levels = backend.encode("a", images)
        before = backend.decode("a", levels)
        for seed in SEEDS.values():
            drawn = draw_perturbation(np.random.default_rng(seed), backend.level_shapes(levels))
            changed = backend.decode("a", backend.perturb(levels, drawn))
            assert np.abs(changed - before).max() > 0.01
        np.testing.assert_array_equal(backend.decode("a", levels), before)


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS)
def test_decoding_twice_gives_the_clean_and_the_perturbed_logits(world, seed):
    backends, images = world
    for precision in ("openvino", "openvino bf16"):
        backend = backends[precision]
        levels = backend.encode("b", images)
        drawn = draw_perturbation(np.random.default_rng(seed), backend.level_shapes(levels), channels_last=False)
        clean, perturbed = backend.decode_twice("b", levels, drawn)
        np.testing.assert_array_equal(perturbed, backend.decode("b", backend.perturb(levels, drawn)))
        assert np.abs(clean - backend.decode("b", levels)).max() <= 0.01 * np.abs(clean).max()
        assert np.abs(clean - perturbed).max() > 0.01


def test_logits_belong_to_the_caller(world):
    backends, images = world
    for backend in backends.values():
        levels = backend.encode("b", images[:2])
        first = backend.decode("b", levels)
        kept = first.copy()
        second = backend.decode("b", levels)
        second += 1
        backend.decode("b", backend.encode("b", images[1:]))
        assert first.dtype == np.float32 and first.flags.c_contiguous and first.flags.writeable
        np.testing.assert_array_equal(first, kept)


def test_levels_of_one_batch_survive_the_next(world):
    backends, images = world
    for backend in backends.values():
        levels = backend.encode("a", images[:1])
        before = backend.decode("a", levels)
        backend.encode("a", images[1:])
        np.testing.assert_array_equal(backend.decode("a", levels), before)


def test_level_shapes_are_the_same_for_all(world):
    backends, images = world
    shapes = [backend.level_shapes(backend.encode("a", images[:1])) for backend in backends.values()]
    assert shapes[0] == shapes[1] == shapes[2]
    assert shapes[0][0] == (16, *images.shape[2:]) and len(shapes[0]) == 5


def test_bf16_keeps_the_labels_where_the_machine_runs_it(world):
    if precision_of_this_cpu() != "bf16":
        pytest.skip("bf16 is not faster on this CPU, and is not used")
    backends, images = world
    exact, rough = (probabilities(backends[name], images) for name in ("openvino", "openvino bf16"))
    assert 1e-5 < largest_difference(exact, rough) < 0.1
    assert share_of_other_labels(exact, rough) <= 10 * ONE_IN_10000
