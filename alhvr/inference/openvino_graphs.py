"""Encoder and decoder of a network as one OpenVINO model: the levels stay inside, in its own precision and layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as ops  # there since 2025.0; what is older counts as not installed

from alhvr.networks.perturbation import Perturbation
from alhvr.networks.registry import N_LEVELS

Graphs = Mapping[str, bytes | Path]
"""Those of onnx_export.export_networks by name, or files with them."""


def level_channels(core: openvino.Core, graphs: Graphs, network: str) -> tuple[int, ...]:
    """Channels F_k of each level of ``network``, full resolution first."""
    return tuple(_channels(output) for output in core.read_model(graphs[f"{network}_encoder"]).outputs)


def clean_model(core: openvino.Core, graphs: Graphs, network: str) -> openvino.Model:
    """image float32 [N, M, *S] -> logits float32 [N, C, *S] of ``network``."""
    encoder, decoder = (core.read_model(graphs[f"{network}_{part}"]) for part in ("encoder", "decoder"))
    _feed(decoder, _levels(encoder))
    return openvino.Model(decoder.get_results(), encoder.get_parameters())


def twofold_model(core: openvino.Core, graphs: Graphs, network: str, kind: str) -> openvino.Model:
    """image and the arrays of ``perturbation_arrays`` -> logits and logits of the perturbed levels, both [N, C, *S].

    One encoding serves both. ``kind`` is that of the perturbations which the model is to be given.
    """
    encoder, decoder = (core.read_model(graphs[f"{network}_{part}"]) for part in ("encoder", "decoder"))
    again = decoder.clone()
    levels = _levels(encoder)
    perturbed, inputs = {"dropout": _without_most_active, "noise": _with_noise}[kind](levels)
    _feed(decoder, levels)
    _feed(again, perturbed)
    return openvino.Model([*decoder.get_results(), *again.get_results()], [*encoder.get_parameters(), *inputs])


def perturbation_arrays(perturbation: Perturbation) -> list[np.ndarray]:
    """What a twofold model of its kind wants besides the image: thresholds [5], or noise [1, F_k, *S_k] by level."""
    if perturbation.kind == "dropout":
        return [np.array(perturbation.thresholds, np.float32)]
    return [np.ascontiguousarray(noise)[np.newaxis] for noise in perturbation.noises]


def _levels(encoder: openvino.Model) -> list[openvino.Output]:
    return [encoder.output(f"level{number}").get_node().input_value(0) for number in range(N_LEVELS)]


def _feed(decoder: openvino.Model, levels: Sequence[openvino.Output]) -> None:
    """Puts ``levels`` in the place of the inputs of ``decoder``."""
    for number, level in enumerate(levels):
        decoder.input(f"level{number}").get_node().output(0).replace(level)


def _without_most_active(levels: Sequence[openvino.Output]) -> tuple[list[openvino.Output], list[openvino.Node]]:
    """As perturbation.apply_perturbation does for "dropout"; and the input with the thresholds."""
    thresholds = ops.parameter([N_LEVELS], np.float32)
    found = []
    for number, level in enumerate(levels):
        activity = ops.reduce_mean(level, _whole([1]), keep_dims=True)
        largest = ops.reduce_max(activity, _whole(range(2, _rank(level))), keep_dims=True)
        limit = ops.multiply(largest, ops.gather(thresholds, _whole([number]), _whole(0)))
        found.append(ops.multiply(level, ops.convert(ops.less(activity, limit), np.float32)).output(0))
    return found, [thresholds]


def _with_noise(levels: Sequence[openvino.Output]) -> tuple[list[openvino.Output], list[openvino.Node]]:
    """As perturbation.apply_perturbation does for "noise"; and the inputs with the noise of each level."""
    noises = [ops.parameter(openvino.PartialShape([1, _channels(level), *[-1] * (_rank(level) - 2)]), np.float32)
              for level in levels]
    one = ops.constant(np.float32(1))
    found = [ops.multiply(level, ops.add(noise, one)).output(0) for level, noise in zip(levels, noises, strict=True)]
    return found, noises


def _whole(values: Sequence[int] | int) -> openvino.Node:
    return ops.constant(np.array(values, np.int64))


def _rank(output: openvino.Output) -> int:
    return output.get_partial_shape().rank.get_length()


def _channels(output: openvino.Output) -> int:
    return output.get_partial_shape()[1].get_length()
