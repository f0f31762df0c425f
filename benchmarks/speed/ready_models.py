"""Models for measuring how they segment, made in seconds: nothing is learnt but the last layer, by least squares.

The speed of networks does not depend on their weights, but what follows them does: it has less to do where the
background is sure. So that masks look like masks, the last layer is fitted to generated scans.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scans import LABELS, plan_for, write_scan
from torch import Tensor

from alhvr.bundle.model import InferenceSettings, Model, ModelDescription, NetworkSpec, read_model, write_model
from alhvr.data.plan import Plan
from alhvr.data.preprocess import prepare, prepare_label
from alhvr.data.reading import read_label, read_scan
from alhvr.networks.blocks import BATCH_NORM, SegmentationNetwork
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import export_networks

SLICES = replace(plan_for((256, 256), batch_size=8), in_plane_matrix=(256, 256))
"""2-D, slices scaled to 256x256, as for cardiac MR without known spacing."""
SMALL_SLICES = plan_for((64, 64), batch_size=8)
"""2-D, every scan on its own grid, 64 pixels a side and more."""
VOLUMES = replace(plan_for((48, 64, 48), batch_size=4), target_spacing_mm=(11 / 12,) * 3)
"""3-D U-Net, scans resampled from 1 mm."""
SHARPNESS = 12.0
"""Difference of logits between a class that fits perfectly and one that does not."""


def make_networks(plan: Plan, work: Path) -> NetworkGroup:
    """Both networks of ``plan`` in eval mode, for scans such as ``scans.write_scan`` writes."""
    torch.manual_seed(0)
    networks = NetworkGroup(plan.network, plan.dimensions, LABELS.n_classes).eval()
    images, classes = _example(plan, work)
    with torch.no_grad():
        for network in (networks.a, networks.b):
            _settle_statistics(network, images)
            _fit_last_layer(network, images, classes)
    return networks


def make_model(plan: Plan, work: Path) -> Model:
    """A finished model in a folder below ``work``, with weights and ONNX files, as training leaves it."""
    networks = make_networks(plan, work)
    spec = NetworkSpec(plan.network, plan.dimensions, LABELS.n_classes)
    about = ModelDescription("speed", plan, LABELS, spec, InferenceSettings(largest_component=True))
    folder = work / f"model {'x'.join(map(str, plan.patch_size))}"
    write_model(folder, about, {name: getattr(networks, name).state_dict() for name in ("a", "b")},
                export_networks(networks))
    return read_model(folder)


def _example(plan: Plan, work: Path) -> tuple[Tensor, Tensor]:
    """Images [N, 1, *S] and classes [N, *S] from the middle of one prepared scan, as large as a patch."""
    shape = (8, *plan.patch_size) if plan.dimensions == 2 else tuple(n + 8 for n in plan.patch_size)
    case = write_scan(work, "example", shape, label=True)
    scan = read_scan(case.image)
    image = prepare(scan, plan).array[0]
    label = prepare_label(read_label(case.label).array, scan.geometry, plan)
    middle = tuple(slice((n - p) // 2, (n - p) // 2 + p)
                   for n, p in zip(image.shape[-plan.dimensions:], plan.patch_size, strict=True))
    parts = (array[(..., *middle)].reshape(-1, *plan.patch_size) for array in (image, label))
    images, classes = (torch.from_numpy(np.ascontiguousarray(part)) for part in parts)
    return images[:, None], classes.long()


def _settle_statistics(network: SegmentationNetwork, images: Tensor) -> None:
    """Lets batch norm know the statistics of ``images``, so that no layer fades or overflows."""
    norms = [m for m in network.modules() if isinstance(m, tuple(BATCH_NORM.values()))]
    for norm in norms:
        norm.train()
        norm.momentum = None
    network(images)
    for norm in norms:
        norm.eval()
        norm.momentum = 0.1


def _fit_last_layer(network: SegmentationNetwork, images: Tensor, classes: Tensor) -> None:
    """Sets the middle of the last layer's kernel to the linear map from its input to ``classes``."""
    with _inputs_of(network.head) as seen:
        network(images)
    features = seen[0].movedim(1, -1).flatten(0, -2).double()
    features = torch.cat([features, torch.ones(len(features), 1, dtype=torch.float64)], dim=1)
    wanted = torch.nn.functional.one_hot(classes.flatten(), LABELS.n_classes).double()
    found = SHARPNESS * torch.linalg.lstsq(features, wanted).solution.T
    network.head.weight.zero_()
    network.head.weight[(..., *[1] * network.dimensions)] = found[:, :-1].float()
    network.head.bias.copy_(found[:, -1])


@contextmanager
def _inputs_of(layer: torch.nn.Module) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        hook.remove()
