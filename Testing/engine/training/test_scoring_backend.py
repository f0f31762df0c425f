"""The scoring backend: graphs on the CPU, PyTorch where there are none, and the same answer every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_cases import Listener

from alhvr.core.errors import UserError
from alhvr.networks.group import NetworkGroup
from alhvr.training import validation as room
from alhvr.training.checked_graphs import checked_graphs
from alhvr.training.device import Compute
from alhvr.training.validation import ScoringBackends, scoring_backend

CPU = Compute("cpu", "bf16", 2)
IMAGES = np.random.default_rng(0).standard_normal((2, 1, 32, 48), np.float32)


@pytest.fixture(scope="module")
def networks() -> NetworkGroup:
    torch.manual_seed(0)
    return NetworkGroup("unet", 2, 3).eval()


def logits(backend) -> np.ndarray:
    return backend.decode("a", backend.encode("a", IMAGES))


def expected(networks: NetworkGroup) -> np.ndarray:
    with torch.no_grad():
        return networks.a(torch.from_numpy(IMAGES)).numpy()


def test_on_the_cpu_the_graphs_are_run_in_fp32_whatever_training_runs_in(networks: NetworkGroup) -> None:
    backend = scoring_backend(networks, checked_graphs(networks), CPU, Listener())
    assert backend.name in ("openvino", "onnxruntime")
    assert np.allclose(logits(backend), expected(networks), atol=1e-5)


def test_without_graphs_pytorch_runs_in_fp32_too(networks: NetworkGroup) -> None:
    backend = scoring_backend(networks, None, CPU, Listener())
    assert backend.name == "torch" and np.allclose(logits(backend), expected(networks), atol=1e-5)


def test_two_sittings_find_the_same_to_the_last_bit(networks: NetworkGroup) -> None:
    first, second = (logits(ScoringBackends(CPU, Listener()).of(networks)) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_backend_shows_the_weights_of_its_moment(networks: NetworkGroup) -> None:
    backends = ScoringBackends(CPU, Listener())
    before = logits(backends.of(networks))
    with torch.no_grad():
        networks.a.head.bias += 1.0
    assert np.allclose(logits(backends.of(networks)), before + 1.0, atol=1e-5)


def test_graphs_that_no_library_here_can_run_cost_a_warning_and_nothing_else(networks, monkeypatch) -> None:
    def refuse(graphs, *, threads, exact):
        raise UserError("OpenVINO finds no CPU.")

    monkeypatch.setattr(room, "backend_of_graphs", refuse)
    reporter = Listener()
    assert scoring_backend(networks, {"a_encoder": b""}, CPU, reporter).name == "torch"
    assert reporter.warnings == ["The ONNX files cannot be run here, so PyTorch validates: OpenVINO finds no CPU."]
