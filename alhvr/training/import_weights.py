"""``alhvr import-weights``: the authors' released ALHVR weights as a model folder that segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from alhvr.bundle.model import InferenceSettings, ModelDescription, NetworkSpec, default_name, write_model
from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.core.progress import Reporter
from alhvr.core.torch_file import is_plain, read_tensors
from alhvr.data.intensity import Normalization
from alhvr.data.plan import Plan
from alhvr.formats.labels import LabelSet
from alhvr.networks.group import PAIR, NetworkGroup
from alhvr.networks.released import ReleasedNetwork, from_released
from alhvr.training.checked_graphs import OnnxExportError, checked_graphs

SIZE_IN_PLANE, SIZE_OF_VOLUME = (256, 256), (96, 96, 96)
"""Pixels that a slice is scaled to, and of a patch of a volume, in the released code."""


@dataclass(frozen=True)
class ImportRequest:
    """What ``alhvr import-weights`` was asked for."""

    files: tuple[Path, ...]
    """One file of weights, or those of both networks."""
    structures: tuple[str, ...]
    """Names of the classes in their order, without background."""
    out: Path
    """The model folder to write."""
    modality: Literal["CT", "MR", "other"] = "MR"
    """What the scans are."""


def import_weights(request: ImportRequest, reporter: Reporter) -> Path:
    """Writes a model folder with the weights of ``request.files``; raises UserError where they do not fit."""
    if not 1 <= len(request.files) <= len(PAIR):
        raise UserError(f"There are {len(request.files)} files of weights.", "Give that of one network, or of both.")
    found = [_read(path) for path in request.files]
    first = found[0]
    for other, path in zip(found[1:], request.files[1:], strict=True):
        same = all(getattr(other, name) == getattr(first, name) for name in ("kind", "n_classes", "width"))
        if not same:
            raise UserError(f"{shown(path)} is a network of another shape than {shown(request.files[0])}.",
                            "Give the two networks of one run.")
    if first.n_classes != len(request.structures) + 1:
        raise UserError(f"The network has {first.n_classes - 1} structures; {len(request.structures)} are named.",
                        "Name each of them once, in the order of their label values, without background.")
    names = PAIR[:len(found)]
    plan, labels = _plan(first, request.modality), LabelSet.from_names(dict(enumerate(request.structures, 1)))
    spec = NetworkSpec(first.kind, plan.dimensions, first.n_classes, names=names, width=first.width)
    networks = _networks(spec, found, request.files)
    graphs = _graphs(networks, reporter)
    description = ModelDescription(default_name(plan, labels), plan, labels, spec, InferenceSettings(),
                                   {"licence": "that of whoever released the weights"})
    write_model(request.out, description, {name: network.state_dict() for name, network in networks.items()}, graphs)
    return request.out


def _read(path: Path) -> ReleasedNetwork:
    try:
        values = read_tensors(path)
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror or error}.",
                        "Give a file of weights.") from error
    if not all(isinstance(name, str) and is_plain(value) and bool(torch.isfinite(value).all())
               for name, value in values.items()):
        raise UserError(f"{shown(path)} holds something else than weights by name.",
                        "Give what the released code saves: the state_dict of one network.")
    try:
        found = from_released(values)
    except ValueError as error:
        raise UserError(f"{shown(path)}: {error}.", "Give the weights of a U-Net or a V-Net of the released code."
                        ) from error
    if found.in_channels != 1:
        raise UserError(f"The network of {shown(path)} takes {found.in_channels} channels.",
                        "Only networks of one channel can be imported, as the released ones are.")
    return found


def _plan(network: ReleasedNetwork, modality: Literal["CT", "MR", "other"]) -> Plan:
    """As the released code prepares scans: slices stretched and scaled by their extremes, volumes as they are."""
    flat = network.dimensions == len(SIZE_IN_PLANE)
    return Plan(dimensions=network.dimensions, network=network.kind, target_spacing_mm=None,
                in_plane_matrix=SIZE_IN_PLANE if flat else None, patch_size=SIZE_IN_PLANE if flat else SIZE_OF_VOLUME,
                batch_size=16 if flat else 4, labeled_batch_size=8 if flat else 2, modality=modality,
                normalization=Normalization("minmax" if flat else "nonzero"), width=network.width, stretch=flat)


def _networks(spec: NetworkSpec, found: Sequence[ReleasedNetwork], files: Sequence[Path]) -> NetworkGroup:
    try:
        networks = NetworkGroup.build(spec)
    except (UserError, ValueError) as error:
        raise UserError(f"{shown(files[0])}: {error}") from error
    for (_, network), weights, path in zip(networks.items(), found, files, strict=True):
        expected = network.state_dict()
        unknown = sorted(weights.weights.keys() - expected.keys())
        if unknown:
            raise UserError(f"{shown(path)} holds a layer that would be {unknown[0]:.100}, which is not there here.",
                            "Give the weights of a U-Net or a V-Net of the released code.")
        for name, value in expected.items():
            seen = weights.weights.get(name)
            if seen is None or seen.shape != value.shape:
                shape = "missing" if seen is None else f"of shape {tuple(seen.shape)}"
                raise UserError(f"{shown(path)}: the layer that is {name} here is {shape}; {tuple(value.shape)} fits.",
                                "Give the weights of a U-Net or a V-Net of the released code.")
        network.load_state_dict(weights.weights)
    return networks.eval()


def _graphs(networks: NetworkGroup, reporter: Reporter) -> dict[str, bytes] | None:
    try:
        return checked_graphs(networks)
    except OnnxExportError as error:
        reporter.warning(f"{error} The model is written without ONNX files; segmenting with it needs PyTorch.")
        return None
