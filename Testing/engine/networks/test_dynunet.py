"""The residual U-Net: its features, what one image tells about another, and its export."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alhvr.bundle.graphs import require_graphs
from alhvr.bundle.model import NetworkSpec
from alhvr.inference.backends import backend_of_graphs
from alhvr.inference.torch_backend import TorchBackend
from alhvr.networks.dynunet import ResidualUNet
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import export_networks
from alhvr.networks.perturbation import draw_perturbation

SIDES = {2: (32, 48), 3: (16, 32, 48)}


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("stride", "channels"), [(8, 32), (4, 16), (1, 4)])
def test_features_come_from_the_level_asked_for(dimensions: int, stride: int, channels: int) -> None:
    network = ResidualUNet(dimensions, 3, feature_stride=stride, width=4)
    found = network.decode(network.encode(torch.randn(2, 1, *SIDES[dimensions])))
    assert found.features.shape == (2, channels, *(n // stride for n in SIDES[dimensions]))
    assert found.logits.shape == (2, 3, *SIDES[dimensions])


def test_an_image_is_segmented_alike_in_any_batch() -> None:
    network = ResidualUNet(2, 3, width=4)
    images = torch.randn(3, 1, 32, 48)
    torch.testing.assert_close(network(images)[:1], network(images[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_its_graphs_are_let_through_and_say_what_pytorch_says(dimensions: int, backend: str) -> None:
    pytest.importorskip(backend)
    torch.manual_seed(0)
    networks = NetworkGroup("dynunet", dimensions, 3, names=("student",), width=4)
    graphs = export_networks(networks)
    assert list(graphs) == ["student_encoder", "student_decoder"]
    require_graphs(graphs, NetworkSpec("dynunet", dimensions, 3, width=4, names=("student",)))
    images = np.random.default_rng(0).standard_normal((2, 1, *SIDES[dimensions]), np.float32)
    found, expected = backend_of_graphs(graphs, backend=backend, exact=True), TorchBackend(networks, "cpu", "fp32")
    assert found.networks == expected.networks == ("student",)
    levels = found.encode("student", images)
    np.testing.assert_allclose(found.decode("student", levels),
                               expected.decode("student", expected.encode("student", images)), atol=1e-4)
    noise = draw_perturbation(np.random.default_rng(1), found.level_shapes(levels))
    np.testing.assert_allclose(found.decode("student", found.perturb(levels, noise)),
                               expected.decode("student", expected.perturb(expected.encode("student", images), noise)),
                               atol=1e-4)
