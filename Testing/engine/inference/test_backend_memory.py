"""Where the memory ends, every backend raises OutOfMemory and goes on with smaller batches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from alhvr.core.system import is_out_of_memory
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import export_networks

SCRIPT = """
import resource, sys
from pathlib import Path
import numpy as np
from alhvr.core.errors import OutOfMemory

name, folder = sys.argv[1:]
if name == "torch":
    import torch
    from alhvr.inference.torch_backend import TorchBackend
    from alhvr.networks.group import NetworkGroup
    torch.set_num_threads(1)
    backend = TorchBackend(NetworkGroup("unet", 2, 3), "cpu", "fp32")
else:
    from alhvr.inference.backends import backend_of_graphs
    backend = backend_of_graphs({path.stem: path for path in Path(folder).glob("*.onnx")}, backend=name, threads=1)

def run(n):
    images = np.zeros((n, 1, 128, 128), np.float32)
    for network in "ab":
        backend.decode(network, backend.encode(network, images))

run(1)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (120 << 20), resource.RLIM_INFINITY))
try:
    run(64)
except OutOfMemory as error:
    print(error)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
run(1)
print("goes on")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("graphs")
    for name, graph in export_networks(NetworkGroup("unet", 2, 3).eval()).items():
        (place / f"{name}.onnx").write_bytes(graph)
    return place


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process's memory are Linux's")
@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
def test_a_batch_that_does_not_fit_is_told_and_a_smaller_one_runs_after_it(folder, name):
    done = subprocess.run([sys.executable, "-c", SCRIPT, name, str(folder)], capture_output=True, text=True,
                          check=False)
    assert done.stdout.splitlines() == ["The memory of cpu is used up. Close other programs.", "goes on"], done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("message", [
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer of size 33554432",
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes",
    "DefaultCPUAllocator: not enough memory: you tried to allocate 8192 bytes.",
    "CUDA out of memory. Tried to allocate 20.00 MiB",
    "Exception from src/inference/src/cpp/infer_request.cpp:223: std::bad_alloc",
    "bad allocation",
])
def test_what_the_libraries_say_is_known(message):
    assert is_out_of_memory(RuntimeError(message))
    assert not is_out_of_memory(RuntimeError("The shapes do not match."))
