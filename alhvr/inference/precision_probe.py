"""Precision probe: whether OpenVINO runs convolutions faster in bf16 than in float32 on this machine."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import openvino
from openvino import opset13 as ops

CHANNELS, SIDE, LAYERS, ROUNDS = 64, 16, 3, 20
FASTER = 0.8
"""Share of the float32 time below which bf16 is worth its rounding."""


@cache
def fastest_precision() -> str:
    """"bf16" where the CPU has it and a few convolutions show that it is faster, else "f32"; found once.

    Networks trained with ALHVR keep their answer in bf16: on the two studies of docs/inference.md, 1 voxel in 16,000
    gets another label and Dice moves by less than 0.001.
    """
    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "f32"
    runs = {precision: _convolutions(core, precision) for precision in ("f32", "bf16")}
    rounds = [{precision: _seconds(run) for precision, run in runs.items()} for _ in range(ROUNDS)]
    seconds = {precision: min(found[precision] for found in rounds) for precision in runs}
    return "bf16" if seconds["bf16"] < FASTER * seconds["f32"] else "f32"


def _convolutions(core: openvino.Core, precision: str) -> openvino.InferRequest:
    """Convolutions of size 3 one after the other, ready to run on two images."""
    image = ops.parameter([2, CHANNELS, SIDE, SIDE], np.float32)
    weights = ops.constant(np.full((CHANNELS, CHANNELS, 3, 3), 1e-3, np.float32))
    found = image
    for _ in range(LAYERS):
        found = ops.relu(ops.convolution(found, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    request = core.compile_model(openvino.Model([found], [image]), "CPU", settings).create_infer_request()
    request.infer()
    return request


def _seconds(request: openvino.InferRequest) -> float:
    started_at = time.perf_counter()
    request.infer()
    return time.perf_counter() - started_at
