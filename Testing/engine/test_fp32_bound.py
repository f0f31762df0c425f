"""The bound of the speed benchmark: all convolutions of both networks, by every library, and none is below the mix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import ROOT


@pytest.fixture
def found(monkeypatch, tmp_path):
    """The bound of two small networks in two rounds, and the images it is for."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "speed"))
    import fp32_bound
    import ready_models

    model = ready_models.make_model(ready_models.SMALL_SLICES, tmp_path)
    network = ready_models.make_networks(ready_models.SMALL_SLICES, tmp_path).a
    layers = fp32_bound.Layers.of(network, np.zeros((1, 1, 32, 32), np.float32))
    torch.set_num_threads(1)
    return fp32_bound.least_time(model, lambda: None, layers, threads=1, rounds=2, work=tmp_path), layers


def test_every_library_runs_every_convolution(found):
    bound, layers = found
    assert len(layers.modules) == 23
    assert set(bound.libraries) == {"torch contiguous", "torch channels last", "torch NNPACK", "openvino",
                                    "onnxruntime"}
    assert all(min(seconds) > 0 for seconds in bound.libraries.values())


def test_no_library_is_faster_than_the_fastest_at_each_layer(found):
    bound, _ = found
    for number, mixed in enumerate(bound.mixed):
        assert mixed <= min(seconds[number] for seconds in bound.libraries.values())
    assert bound.best in bound.libraries


def test_the_operations_are_those_of_both_networks(found):
    bound, layers = found
    first = layers.modules[0]
    assert layers.inputs[0].shape == (1, 1, 32, 32) and first.weight.shape == (16, 1, 3, 3)
    assert bound.gflop == pytest.approx(2 * layers.flop / 1e9)
    assert bound.gflop == pytest.approx(2 * 5.90 / 64, rel=0.02)
