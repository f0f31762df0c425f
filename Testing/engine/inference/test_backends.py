"""Which backend runs a model: what is installed, what the model carries, what was asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_cases import LABELS, tiny_plan

from alhvr.bundle.model import InferenceSettings, Model, ModelDescription, NetworkSpec, read_model, write_model
from alhvr.core.errors import UserError
from alhvr.inference import backends as room
from alhvr.inference.backends import backend_of_graphs, choose_backend
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import export_networks

FILE_OF = {"openvino": "openvino_backend", "onnxruntime": "onnx_backend", "torch": "torch_backend"}


@pytest.fixture(scope="module")
def networks() -> NetworkGroup:
    torch.manual_seed(0)
    return NetworkGroup("unet", 2, LABELS.n_classes).eval()


@pytest.fixture(scope="module")
def graphs(networks: NetworkGroup) -> dict[str, bytes]:
    return export_networks(networks)


def _model(folder: Path, networks: NetworkGroup, graphs: dict[str, bytes] | None) -> Model:
    about = ModelDescription("M", tiny_plan(2, (32, 32)), LABELS, NetworkSpec("unet", 2, 3), InferenceSettings())
    write_model(folder, about, {"a": networks.a.state_dict(), "b": networks.b.state_dict()}, graphs)
    return read_model(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, networks, graphs) -> Model:
    return _model(tmp_path_factory.mktemp("with") / "model", networks, graphs)


@pytest.fixture(scope="module")
def model_without_graphs(tmp_path_factory: pytest.TempPathFactory, networks) -> Model:
    return _model(tmp_path_factory.mktemp("without") / "model", networks, None)


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch):
    """A function that makes packages impossible to import, as if they were not installed."""
    def blocked(*packages: str) -> None:
        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)
            monkeypatch.delitem(sys.modules, f"alhvr.inference.{FILE_OF[package]}", raising=False)
    return blocked


@pytest.mark.parametrize(("missing", "expected"), [
    ((), "openvino"),
    (("openvino",), "onnxruntime"),
    (("onnxruntime",), "openvino"),
    (("torch",), "openvino"),
    (("torch", "openvino"), "onnxruntime"),
    (("openvino", "onnxruntime"), "torch"),
])
def test_auto_takes_the_fastest_that_is_installed(model, block, missing, expected):
    block(*missing)
    assert choose_backend(model, device="cpu", threads=1).name == expected


def test_with_none_installed_it_says_what_to_install(model, block):
    block("openvino", "onnxruntime", "torch")
    with pytest.raises(UserError, match="openvino or onnxruntime is not installed.*pip install --upgrade onnxruntime"):
        choose_backend(model)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "torch"])
def test_a_backend_that_is_asked_for_is_taken(model, name):
    assert choose_backend(model, backend=name, device="cpu", threads=1).name == name


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "torch"])
def test_a_backend_that_is_not_installed_is_refused_with_those_that_are(model, block, name):
    block(name)
    others = ", ".join(other for other in FILE_OF if other != name)
    with pytest.raises(UserError, match=f"(?s)not installed.*installed: {others}.*pip install"):
        choose_backend(model, backend=name, device="cpu")


def test_an_unknown_backend_is_refused_with_the_known_ones(model):
    with pytest.raises(UserError, match="'tensorrt'.*auto, openvino, onnxruntime, torch"):
        choose_backend(model, backend="tensorrt")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_gpu_is_refused_for_a_backend_that_runs_on_the_cpu(model, name):
    with pytest.raises(UserError, match=f"{name} runs on the CPU only.*'cuda'"):
        choose_backend(model, backend=name, device="cuda")


def test_a_gpu_needs_torch(model, block):
    block("torch")
    with pytest.raises(UserError, match=r"PyTorch is not installed.*device cuda.*installed: openvino.*alhvr\[train\]"):
        choose_backend(model, device="cuda")


def test_a_model_without_graphs_runs_with_torch(model_without_graphs):
    assert choose_backend(model_without_graphs, device="cpu", threads=1).name == "torch"


def test_a_model_without_graphs_says_so_where_torch_is_missing_or_a_graph_is_asked_for(model_without_graphs, block):
    with pytest.raises(UserError, match="carries no ONNX networks.*--backend torch"):
        choose_backend(model_without_graphs, backend="onnxruntime")
    block("torch")
    with pytest.raises(UserError, match="PyTorch is not installed.*running.*model"):
        choose_backend(model_without_graphs)


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="torch finds a GPU here")
def test_a_driver_without_a_gpu_for_torch_counts_for_nothing(model, monkeypatch):
    monkeypatch.setattr(room, "_driver_is_there", lambda: True)
    assert choose_backend(model, threads=1).name == "openvino"


@pytest.mark.skipif(room._driver_is_there(), reason="a GPU's driver is here, so that torch has to be asked")
def test_torch_is_not_imported_where_there_is_no_sign_of_a_gpu(model):
    script = ("import sys\nfrom pathlib import Path\nfrom alhvr.bundle.model import read_model\n"
              "from alhvr.inference.backends import choose_backend\n"
              f"name = choose_backend(read_model(Path({str(model.folder)!r})), threads=1).name\n"
              "print(name, 'torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["openvino", "False"]


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_graphs_in_memory_and_in_files_run_alike(model, graphs, name):
    images = np.random.default_rng(0).normal(size=(2, 1, 32, 48)).astype(np.float32)
    one, other = (backend_of_graphs(source, backend=name, threads=1) for source in (graphs, model.graph_files()))
    for network in ("a", "b"):
        np.testing.assert_array_equal(*(b.decode(network, b.encode(network, images)) for b in (one, other)))


def test_threads_are_those_that_were_asked_for(model, graphs):
    onnx = backend_of_graphs(graphs, backend="onnxruntime", threads=3)
    assert {s.get_session_options().intra_op_num_threads for s in onnx._sessions.values()} == {3}
    openvino = backend_of_graphs(graphs, backend="openvino", threads=1)
    assert {r.get_compiled_model().get_property("INFERENCE_NUM_THREADS") for r in openvino._requests.values()} == {1}
    before = torch.get_num_threads()
    choose_backend(model, backend="torch", device="cpu", threads=3)
    found = torch.get_num_threads()
    torch.set_num_threads(before)
    assert found == 3
