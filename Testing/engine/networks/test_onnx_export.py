"""The ONNX graphs: their names, their axes, and that they hold nothing that folding should have removed."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import LEVELS, OPSET, export_networks

KINDS = {"unet 2": NetworkGroup("unet", 2, 4).eval(), "vnet 3": NetworkGroup("vnet", 3, 2).eval(),
         "unet 2 of 3 channels": NetworkGroup("unet", 2, 4, in_channels=3).eval(),
         "vnet 3 of 2 channels": NetworkGroup("vnet", 3, 2, in_channels=2).eval(),
         "unet 2 of width 4": NetworkGroup("unet", 2, 3, width=4).eval()}


@pytest.fixture(scope="module", params=KINDS)
def networks(request: pytest.FixtureRequest) -> NetworkGroup:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def graphs(networks: NetworkGroup) -> dict[str, bytes]:
    return export_networks(networks)


def names(values: list) -> tuple[str, ...]:
    return tuple(value.name for value in values)


def test_each_network_is_an_encoder_and_a_decoder_with_named_ends(graphs: dict[str, bytes]) -> None:
    assert list(graphs) == ["a_encoder", "a_decoder", "b_encoder", "b_decoder"]
    for name, content in graphs.items():
        graph = onnx.load_from_string(content).graph
        ends = (names(graph.input), names(graph.output))
        assert ends == ((("image",), LEVELS) if name.endswith("encoder") else (LEVELS, ("logits",)))


def test_graphs_are_whole_of_the_wanted_opset_and_without_batch_norm(graphs: dict[str, bytes]) -> None:
    for content in graphs.values():
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model, full_check=True)
        assert model.opset_import[0].version == OPSET
        kinds = {node.op_type for node in model.graph.node}
        assert "Conv" in kinds and not kinds & {"BatchNormalization", "Dropout"}


@pytest.mark.parametrize("sides", [(16, 16, 16), (64, 16, 32)])
@pytest.mark.parametrize("n_images", [1, 3])
def test_any_batch_and_any_size_goes_through(networks, graphs, n_images: int, sides: tuple[int, ...]) -> None:
    size = sides[:networks.a.dimensions]
    images = np.random.default_rng(0).standard_normal((n_images, networks.b.in_channels, *size), np.float32)
    levels = run(graphs["b_encoder"], image=images)
    assert [level.shape for level in levels] == [(n_images, *shape) for shape in networks.b.level_shapes(size)]
    logits, = run(graphs["b_decoder"], **dict(zip(LEVELS, levels, strict=True)))
    with torch.no_grad():
        expected = networks.b(torch.from_numpy(images)).numpy()
    assert logits.shape == expected.shape and np.abs(logits - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_graphs_of_both_networks_differ(graphs: dict[str, bytes]) -> None:
    assert len(set(graphs.values())) == 4


def run(graph: bytes, **inputs: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, inputs)
