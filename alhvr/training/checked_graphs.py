"""Checked graphs: trained networks as ONNX, let through only where ONNX Runtime says what PyTorch says."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

from alhvr.bundle.model import Model, read_model, write_graphs
from alhvr.core.errors import UserError
from alhvr.inference.backends import Backend, backend_of_graphs
from alhvr.networks.blocks import SegmentationNetwork
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import export_networks
from alhvr.training.pretrained import Pretrained

TOLERANCE = 1e-4
"""Largest difference of two logits, as a part of the largest logit."""
CHECK_SIZE = {2: (32, 48), 3: (16, 32, 48)}
"""No two sides are alike and none is what the graphs were traced with, so that nothing can hide in the size."""
CHECK_BATCH = 2


class OnnxExportError(UserError):
    """The networks cannot be had as ONNX; the message says why, the networks are as they were."""


def checked_graphs(networks: NetworkGroup) -> dict[str, bytes]:
    """The ONNX files of ``networks`` by bundle.graph_names, whose clean logits are PyTorch's own for a random image.

    Takes 1 to 4 seconds on a CPU and draws from no global random stream. Raises OnnxExportError whatever goes
    wrong, be it in the exporter or in ONNX Runtime: what was learnt must not be lost over a copy of it.
    """
    try:
        graphs = export_networks(networks)
        _require_agreement(networks, graphs)
    except OnnxExportError:
        raise
    except Exception as error:
        raise _explained(error) from error
    return graphs


def add_graphs(folder: Path | str) -> Model:
    """Gives the model in ``folder`` its ONNX files, so that segmenting with it needs no PyTorch any more.

    For models from before there were any, and for those that had to be written without. The folder is replaced in one
    piece; every file but the manifest stays as it is. Raises UserError, and changes nothing, where ``folder`` is no
    whole model or its networks cannot be exported (OnnxExportError).
    """
    model = read_model(Path(folder))
    networks = NetworkGroup.build(model.description.network)
    Pretrained(model).load_into(networks, model.description.labels)
    return write_graphs(model, checked_graphs(networks))


def _explained(error: Exception) -> OnnxExportError:
    missing = isinstance(error, ImportError) or isinstance(error.__cause__, ImportError)
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    hint = "pip install onnx." if missing else ""
    return OnnxExportError(f"The networks cannot be exported as ONNX ({reason}).", hint)


def _require_agreement(networks: NetworkGroup, graphs: Mapping[str, bytes]) -> None:
    """Raises OnnxExportError unless ONNX Runtime and PyTorch, in fp32 on the CPU, find the same clean logits."""
    backend = backend_of_graphs(graphs, backend="onnxruntime", threads=torch.get_num_threads())
    size = CHECK_SIZE[networks.first.dimensions]
    images = np.random.default_rng(0).standard_normal((CHECK_BATCH, networks.first.in_channels, *size), np.float32)
    for name in backend.networks:
        apart = _difference(networks[name], backend, name, images)
        if not apart <= TOLERANCE:
            raise OnnxExportError(f"The ONNX files of network {name} differ from PyTorch by {apart:.1e} of the largest "
                                  f"logit; {TOLERANCE:.0e} is accepted.")


def _difference(network: SegmentationNetwork, backend: Backend, name: str, images: np.ndarray) -> float:
    """Largest difference of the logits of ``images`` [N, M, *S], relative to the largest; NaN where there is one."""
    with torch.no_grad():
        expected = deepcopy(network).eval().cpu().float()(torch.from_numpy(images)).numpy()
    found = backend.decode(name, backend.encode(name, images))
    if found.shape != expected.shape:
        raise OnnxExportError(f"The ONNX files of network {name} give logits {found.shape}; "
                              f"PyTorch gives {expected.shape}.")
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))
