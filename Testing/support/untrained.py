"""A small 2-D model with random weights, for tests that ask for results and not for good ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tiny_cases import LABELS, tiny_plan, with_channels

from alhvr.bundle.model import InferenceSettings, ModelDescription, NetworkSpec, write_model
from alhvr.networks.group import NetworkGroup


def write_untrained(folder: Path, seed: int = 0, channels: Sequence[str] = ()) -> Path:
    """Writes the model folder. Each scan and each ``seed`` gives another result, with voxels of every class."""
    torch.manual_seed(seed)
    plan = with_channels(tiny_plan(2, (32, 32)), *channels)
    spec = NetworkSpec("unet", 2, LABELS.n_classes, in_channels=plan.n_channels)
    networks = NetworkGroup.build(spec)
    for network in (networks.a, networks.b):
        torch.nn.init.normal_(network.head.weight)
        torch.nn.init.zeros_(network.head.bias)
    about = ModelDescription("M", plan, LABELS, spec, InferenceSettings())
    write_model(folder, about, {"a": networks.a.state_dict(), "b": networks.b.state_dict()})
    return folder
