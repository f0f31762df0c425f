"""Checked graphs: what ONNX Runtime finds is what PyTorch finds, and nothing that differs gets through."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from tiny_cases import LABELS, tiny_plan

from alhvr.bundle.model import ModelDescription, NetworkSpec, graph_names, read_model, write_model
from alhvr.core.errors import UserError
from alhvr.methods.alhvr import forward_views
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import LEVELS, export_networks
from alhvr.training import checked_graphs as room
from alhvr.training.checked_graphs import OnnxExportError, add_graphs, checked_graphs

SIZES = {2: (48, 16), 3: (16, 32, 16)}


def trained(kind: str, dimensions: int) -> NetworkGroup:
    """Networks after a few large steps, so that weights and batch statistics are nobody's first guess."""
    torch.manual_seed(dimensions)
    networks = NetworkGroup(kind, dimensions, 3)
    networks = networks.to(memory_format=networks.memory_format).train()
    optimizer = torch.optim.SGD(networks.parameters(), lr=0.05, momentum=0.9)
    for _ in range(4):
        images = 2.0 * torch.randn(2, 1, *SIZES[dimensions]) + 1.0
        targets = (images[:, 0] > 0).long() + (images[:, 0] > 2).long()
        views = forward_views(networks, images, 2, None)
        loss = sum(torch.nn.functional.cross_entropy(view.clean_logits, targets) for view in (views.a, views.b))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return networks.eval()


@pytest.fixture(scope="module")
def unets() -> NetworkGroup:
    return trained("unet", 2)


@pytest.fixture
def bare(tmp_path: Path, unets: NetworkGroup) -> Path:
    """A finished model from before there were graphs."""
    about = ModelDescription("tiny", tiny_plan(2, (32, 32)), LABELS, NetworkSpec("unet", 2, 3))
    write_model(tmp_path / "model", about, {"a": unets.a.state_dict(), "b": unets.b.state_dict()})
    return tmp_path / "model"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_graph(graph: bytes, **inputs: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, inputs)


@pytest.mark.parametrize(("kind", "dimensions"), [("unet", 2), ("unet", 3), ("vnet", 3)])
def test_graphs_of_trained_networks_find_the_logits_of_the_networks_themselves(kind: str, dimensions: int) -> None:
    networks = trained(kind, dimensions)
    graphs = checked_graphs(networks)
    images = np.random.default_rng(1).normal(1.0, 2.0, (3, 1, *SIZES[dimensions])).astype(np.float32)
    for name in ("a", "b"):
        levels = run_graph(graphs[f"{name}_encoder"], image=images)
        found, = run_graph(graphs[f"{name}_decoder"], **dict(zip(LEVELS, levels, strict=True)))
        with torch.no_grad():
            expected = getattr(networks, name)(torch.from_numpy(images)).numpy()
        assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_networks_and_random_streams_are_left_as_they_were(unets: NetworkGroup) -> None:
    unets.train()
    weights = {name: value.clone() for name, value in unets.state_dict().items()}
    torch_stream, numpy_stream = torch.get_rng_state(), np.random.get_state()[1].copy()
    checked_graphs(unets)
    assert unets.training and unets.a.encoder[0].training
    assert all(torch.equal(value, weights[name]) for name, value in unets.state_dict().items())
    assert torch.equal(torch_stream, torch.get_rng_state()) and (numpy_stream == np.random.get_state()[1]).all()


def test_the_same_networks_give_the_same_bytes(unets: NetworkGroup) -> None:
    assert checked_graphs(unets) == checked_graphs(unets)


def test_graphs_that_differ_from_the_networks_are_refused(unets: NetworkGroup, monkeypatch) -> None:
    def swapped(networks: NetworkGroup) -> dict[str, bytes]:
        graphs = export_networks(networks)
        return graphs | {"b_decoder": graphs["a_decoder"]}

    monkeypatch.setattr(room, "export_networks", swapped)
    with pytest.raises(OnnxExportError, match=r"ONNX files of network b differ from PyTorch by .*; 1e-04 is accepted"):
        checked_graphs(unets)


def test_graphs_that_cannot_be_run_are_refused(unets: NetworkGroup, monkeypatch) -> None:
    no_graphs = dict.fromkeys(graph_names(unets.names), b"no graph")
    monkeypatch.setattr(room, "export_networks", lambda networks: no_graphs)
    with pytest.raises(OnnxExportError, match="cannot be exported as ONNX"):
        checked_graphs(unets)


def test_networks_that_find_no_numbers_have_no_graphs() -> None:
    networks = NetworkGroup("unet", 2, 3)
    torch.nn.init.constant_(networks.b.head.bias, float("nan"))
    with pytest.raises(OnnxExportError, match="network b differ from PyTorch by nan"):
        checked_graphs(networks)


def test_without_the_package_onnx_the_error_says_what_to_install(unets: NetworkGroup, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxExportError, match=r"onnx is not installed.* pip install onnx") as caught:
        checked_graphs(unets)
    assert "\n" not in str(caught.value)


def test_an_older_model_gets_its_graphs_in_one_call_and_keeps_the_rest(bare: Path, unets: NetworkGroup) -> None:
    before = contents(bare)
    model = add_graphs(bare)
    after = contents(bare)
    assert {name: path.read_bytes() for name, path in model.graph_files().items()} == checked_graphs(unets)
    assert {name: after[name] for name in before if name != "manifest.json"} == {
        name: content for name, content in before.items() if name != "manifest.json"}
    assert [path.name for path in bare.parent.iterdir()] == ["model"]


def test_adding_graphs_twice_is_as_good_as_once(bare: Path) -> None:
    add_graphs(bare)
    once = contents(bare)
    add_graphs(str(bare))
    assert contents(bare) == once


def test_a_model_whose_graphs_cannot_be_had_stays_as_it_was(bare: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    before = contents(bare)
    with pytest.raises(OnnxExportError):
        add_graphs(bare)
    assert contents(bare) == before and read_model(bare).graph_files() == {}


def test_graphs_are_added_to_whole_models_only(bare: Path) -> None:
    (bare / "models/model.pt").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"model\.pt has 3 bytes"):
        add_graphs(bare)
