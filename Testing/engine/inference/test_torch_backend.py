"""The torch backend says what the networks say, and leaves them alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from alhvr.bundle.model import InferenceSettings, ModelDescription, NetworkSpec, read_model, write_model
from alhvr.core.errors import UserError
from alhvr.data.plan import Normalization, Plan
from alhvr.formats.labels import LabelSet
from alhvr.inference.backends import choose_backend
from alhvr.inference.torch_backend import TorchBackend, choose_device
from alhvr.networks.group import NetworkGroup
from alhvr.networks.perturbation import draw_perturbation

KINDS = [("unet", 2, (32, 48)), ("unet", 3, (16, 16, 32)), ("vnet", 3, (16, 32, 16))]


def _networks(kind: str, dimensions: int, n_classes: int = 3) -> NetworkGroup:
    """A pair as after some training: running statistics and affine parameters are no longer trivial."""
    torch.manual_seed(0)
    networks = NetworkGroup(kind, dimensions, n_classes)
    for module in networks.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return networks


def _images(size: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 1, *size)).astype(np.float32)


@pytest.mark.parametrize(("kind", "dimensions", "size"), KINDS)
@pytest.mark.parametrize("name", ["a", "b"])
def test_folded_logits_equal_the_network_in_eval_mode(kind, dimensions, size, name):
    networks, images = _networks(kind, dimensions), _images(size)
    backend = TorchBackend(networks, "cpu", "fp32")
    with torch.no_grad():
        expected = getattr(networks, name).eval()(torch.from_numpy(images)).numpy()
    found = backend.decode(name, backend.encode(name, images))
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert found.flags.c_contiguous


def test_a_perturbed_decode_equals_the_network_on_perturbed_levels():
    networks, images = _networks("unet", 2), _images((32, 48))
    backend = TorchBackend(networks, "cpu", "fp32")
    levels = backend.encode("a", images)
    perturbation = draw_perturbation(np.random.default_rng(3), backend.level_shapes(levels))
    found = backend.decode("a", backend.perturb(levels, perturbation))
    with torch.no_grad():
        network = networks.a.eval()
        expected = network.decode(backend.perturb(network.encode(torch.from_numpy(images)), perturbation)).logits
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3 * expected.abs().max().item())


def test_level_shapes_are_channels_and_sizes_without_the_batch():
    backend = TorchBackend(_networks("unet", 2), "cpu", "fp32")
    shapes = backend.level_shapes(backend.encode("a", _images((32, 48))))
    assert shapes == [(16, 32, 48), (32, 16, 24), (64, 8, 12), (128, 4, 6), (256, 2, 3)]


def test_the_networks_it_was_made_from_stay_in_train_mode_and_unchanged():
    networks = _networks("vnet", 3).train()
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    backend = TorchBackend(networks, "cpu", "bf16")
    backend.decode("a", backend.encode("a", _images((16, 16, 16))))
    assert all(module.training for module in networks.modules())
    assert all(torch.equal(value, before[name]) for name, value in networks.state_dict().items())
    assert all(parameter.requires_grad for parameter in networks.parameters())


def test_bf16_logits_are_float32_and_close_to_fp32():
    networks, images = _networks("unet", 2), _images((32, 48))
    exact, rough = (TorchBackend(networks, "cpu", precision) for precision in ("fp32", "bf16"))
    expected, found = (backend.decode("a", backend.encode("a", images)) for backend in (exact, rough))
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
    assert len(np.unique(found)) > 0.9 * found.size


def test_an_absent_device_is_refused_with_those_that_are_there():
    absent = "cuda" if not torch.cuda.is_available() else "mps"
    with pytest.raises(UserError, match=f"device is '{absent}'.*cpu"):
        choose_device(absent)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    plan = Plan(2, "unet", None, (32, 32), (32, 32), 2, 1, "MR", Normalization("zscore"))
    labels = LabelSet.from_names({1: "left atrium", 2: "right ventricle"})
    description = ModelDescription("small", plan, labels, NetworkSpec("unet", 2, 3), InferenceSettings())
    networks = _networks("unet", 2)
    write_model(tmp_path / "model", description, {"a": networks.a.state_dict(), "b": networks.b.state_dict()})
    return tmp_path / "model"


def test_a_backend_chosen_for_a_model_runs_the_weights_in_its_folder(model_folder):
    images = _images((32, 48))
    chosen, direct = choose_backend(read_model(model_folder)), TorchBackend(_networks("unet", 2), "cpu", "fp32")
    for name in ("a", "b"):
        expected = direct.decode(name, direct.encode(name, images))
        found = chosen.decode(name, chosen.encode(name, images))
        np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())


def test_weights_that_do_not_fit_the_described_networks_are_refused(tmp_path, model_folder):
    model = read_model(model_folder)
    other = _networks("unet", 2, n_classes=5)
    write_model(tmp_path / "odd", model.description, {"a": other.a.state_dict(), "b": other.b.state_dict()})
    with pytest.raises(UserError, match="do not fit"):
        choose_backend(read_model(tmp_path / "odd"))
