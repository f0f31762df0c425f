"""bf16 is taken where the CPU has it, and nowhere else; OpenVINO is left alone once its memory was used up."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import numpy as np
import openvino
import pytest

from alhvr.core.errors import OutOfMemory, UserError
from alhvr.inference import openvino_backend as room
from alhvr.inference.backends import backend_of_graphs
from alhvr.inference.openvino_backend import from_graphs, precision_of_this_cpu
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import export_networks
from alhvr.networks.perturbation import draw_perturbation


@pytest.mark.parametrize(("capabilities", "expected"), [
    (["FP32", "BF16"], "bf16"), (["BF16", "WINOGRAD", "FP32", "FP16", "INT8"], "bf16"), (["FP32", "INT8"], "f32"),
    (["FP32", "FP16"], "f32")])
def test_the_precision_is_what_the_cpu_has_instructions_for(monkeypatch, capabilities, expected):
    monkeypatch.setattr(room, "the_core", lambda: _Machine(capabilities))
    assert precision_of_this_cpu() == expected
    assert from_graphs({}, 1, exact=True).precision == "f32"


def test_the_precision_does_not_follow_the_clock(monkeypatch):
    moments = iter(range(10**9))
    for clock in ("perf_counter", "monotonic", "process_time", "time", "perf_counter_ns"):
        monkeypatch.setattr(time, clock, lambda: random.Random(next(moments)).random() * 1e9)
    assert len({precision_of_this_cpu() for _ in range(20)}) == 1
    assert from_graphs({}, 1).precision == precision_of_this_cpu()


@pytest.mark.parametrize(("precision", "expected"), [("f32", "fp32"), ("bf16", "bf16")])
def test_it_says_in_which_arithmetic_it_runs(precision, expected):
    assert room.OpenVinoBackend({}, 1, precision).arithmetic == expected


def test_a_batch_for_which_there_is_no_room_does_not_reach_openvino(monkeypatch):
    backend = from_graphs(export_networks(NetworkGroup("unet", 2, 3, width=4).eval()), 1, exact=True)
    small, large = (np.zeros((n, 1, 32, 32), np.float32) for n in (1, 2))
    expected = backend.decode("a", backend.encode("a", small))
    monkeypatch.setattr(room, "ROOM_FOR_CODE", 1 << 60)
    np.testing.assert_array_equal(backend.decode("a", backend.encode("a", small)), expected)
    with pytest.raises(OutOfMemory):
        backend.decode("a", backend.encode("a", large))
    found = backend.decode("a", backend.encode("a", small))
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert backend._successor is not None and backend.arithmetic == "fp32, then onnxruntime in fp32"


def test_only_what_is_needed_is_compiled():
    backend = from_graphs(export_networks(NetworkGroup("unet", 2, 3, width=4).eval()), 1, exact=True)
    assert set(backend._requests) == {("a", "clean"), ("b", "clean")}
    levels = backend.encode("a", np.zeros((1, 1, 32, 32), np.float32))
    drawn = draw_perturbation(np.random.default_rng(0), backend.level_shapes(levels), channels_last=False)
    for _ in range(2):
        backend.decode_twice("a", levels, drawn)
    assert set(backend._requests) == {("a", "clean"), ("b", "clean"), ("a", drawn.kind)}


def test_a_version_before_2025_counts_as_not_installed(monkeypatch):
    monkeypatch.delattr(openvino, "opset13")
    monkeypatch.setitem(sys.modules, "openvino.opset13", None)
    monkeypatch.delitem(sys.modules, "alhvr.inference.openvino_backend")
    with pytest.raises(UserError, match="openvino is not installed, or too old"):
        backend_of_graphs({}, backend="openvino", threads=1)
    assert backend_of_graphs({}, threads=1).name == "onnxruntime"


class _Machine:
    """A CPU that says what it can do."""

    def __init__(self, capabilities: list[str]) -> None:
        self.capabilities = capabilities

    def get_property(self, _device: str, _name: str) -> list[str]:
        return self.capabilities


def test_openvino_is_used_without_its_telemetry():
    script = ("import sys\nfrom alhvr.inference.backends import backend_of_graphs\n"
              "backend_of_graphs({}, backend='openvino', threads=1, exact=True)\n"
              "print('openvino' in sys.modules, sys.modules['openvino_telemetry'])")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "None"]


def test_a_signal_does_no_harm_after_a_backend_was_let_go_in_another_thread(tmp_path):
    for name, graph in export_networks(NetworkGroup("unet", 2, 3).eval()).items():
        (tmp_path / f"{name}.onnx").write_bytes(graph)
    script = ("import signal, sys, threading\nfrom pathlib import Path\n"
              "from alhvr.inference.openvino_backend import OpenVinoBackend\n"
              "signal.signal(signal.SIGINT, lambda *_: None)\n"
              "graphs = {path.stem: path for path in Path(sys.argv[1]).iterdir()}\n"
              "held = [OpenVinoBackend(graphs, 1, 'f32')]\n"
              "thread = threading.Thread(target=held.clear)\n"
              "thread.start()\nthread.join()\nsignal.raise_signal(signal.SIGINT)\nprint('goes on')")
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("goes on\n", 0)
