"""Both networks on a batch: mirrored copies, and one perturbation for the whole scan."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alhvr.bundle.model import InferenceSettings
from alhvr.inference import dual_forward as room
from alhvr.inference.dual_forward import DualForward, confidence, fuse, networks_for, softmax
from alhvr.inference.torch_backend import TorchBackend
from alhvr.networks.group import NetworkGroup
from alhvr.networks.perturbation import draw_perturbation


@pytest.fixture(scope="module")
def backend() -> TorchBackend:
    torch.manual_seed(0)
    return TorchBackend(NetworkGroup("unet", 2, 3), "cpu", "fp32")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 1, 32, 48)).astype(np.float32)


class _TwiceAtOnce:
    """A backend that has ``decode_twice`` and nothing else to decode with."""

    channels_last = True
    networks = ("a", "b")

    def __init__(self, backend: TorchBackend) -> None:
        self._backend = backend
        self.encode, self.level_shapes = backend.encode, backend.level_shapes
        self.asked = []

    def decode_twice(self, network, levels, perturbation):
        self.asked.append(network)
        return [self._backend.decode(network, found)
                for found in (levels, self._backend.perturb(levels, perturbation))]


def _probabilities(backend: TorchBackend, network: str, images: np.ndarray) -> np.ndarray:
    return softmax(backend.decode(network, backend.encode(network, images)))


def test_clean_probabilities_are_the_softmax_of_each_network(backend, images):
    views = DualForward(backend, InferenceSettings(), regions=False)(images)
    np.testing.assert_allclose(views.probabilities["a"], _probabilities(backend, "a", images), atol=1e-6)
    np.testing.assert_allclose(views.probabilities["b"], _probabilities(backend, "b", images), atol=1e-6)
    assert views.confidences == ()


@pytest.mark.parametrize("network", ["a", "b"])
def test_where_one_network_is_asked_for_the_other_does_not_run(backend, images, network, monkeypatch):
    asked = []
    encode = TorchBackend.encode
    monkeypatch.setattr(TorchBackend, "encode", lambda self, name, x: (asked.append(name), encode(self, name, x))[1])
    needed = networks_for([network], ("a", "b"))
    views = DualForward(backend, InferenceSettings(fusion=network), regions=False, networks=needed)(images)
    assert asked == [network]
    np.testing.assert_allclose(fuse(views.probabilities, network), _probabilities(backend, network, images),
                               atol=1e-6)


def test_regions_always_need_both_networks(backend, images):
    views = DualForward(backend, InferenceSettings(fusion="a"), regions=True, networks=("a",))(images)
    assert len(views.confidences) == 2 and not np.array_equal(views.probabilities["a"], views.probabilities["b"])


def test_mirroring_is_the_mean_over_all_flips_turned_back(backend, images):
    views = DualForward(backend, InferenceSettings(mirror=True), regions=False)(images)
    copies = [np.flip(_probabilities(backend, "a", np.flip(images, axes)), axes) for axes in [(), (2,), (3,), (2, 3)]]
    np.testing.assert_allclose(views.probabilities["a"], np.mean(copies, axis=0), atol=1e-6)


def test_confidences_come_from_the_perturbed_networks(backend, images):
    views = DualForward(backend, InferenceSettings(), regions=True)(images)
    clean = confidence(backend.decode("a", backend.encode("a", images)))
    assert views.confidences[0].shape == (3, 32, 48)
    assert np.abs(views.confidences[0] - clean).max() > 1e-4
    assert np.abs(views.confidences[0] - views.confidences[1]).max() > 1e-4


def test_a_backend_that_decodes_twice_at_once_is_asked_for_both(backend, images):
    at_once = _TwiceAtOnce(backend)
    found, expected = (DualForward(b, InferenceSettings(), regions=True)(images) for b in (at_once, backend))
    np.testing.assert_array_equal(found.probabilities["a"], expected.probabilities["a"])
    np.testing.assert_array_equal(found.confidences, expected.confidences)
    assert at_once.asked == ["a", "b"]


def test_a_perturbation_is_drawn_once_for_scans_of_the_same_windows(backend, images, monkeypatch):
    room._drawn.cache_clear()
    drawn = []
    monkeypatch.setattr(room, "draw_perturbation",
                        lambda *given, **how: drawn.append(given[1]) or draw_perturbation(*given, **how))
    for _ in range(2):
        DualForward(backend, InferenceSettings(), regions=True)(images)
    assert len(drawn) == 2
    DualForward(backend, InferenceSettings(), regions=True)(images[..., :32])
    assert len(drawn) == 4


def test_the_perturbation_of_a_window_does_not_depend_on_its_batch(backend, images):
    together = DualForward(backend, InferenceSettings(), regions=True)(images).confidences
    one_by_one = DualForward(backend, InferenceSettings(), regions=True)
    for number in range(len(images)):
        alone = one_by_one(images[number:number + 1]).confidences
        np.testing.assert_allclose(alone[0][0], together[0][number], atol=1e-5)
        np.testing.assert_allclose(alone[1][0], together[1][number], atol=1e-5)


def test_the_seed_of_the_model_decides_the_perturbation(backend, images):
    def confidences(seed: int) -> np.ndarray:
        settings = InferenceSettings(perturbation_seed=seed)
        return np.stack(DualForward(backend, settings, regions=True)(images).confidences)

    np.testing.assert_array_equal(confidences(1), confidences(1))
    assert np.abs(confidences(1) - confidences(2)).max() > 1e-4
