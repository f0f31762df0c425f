"""Batch norm, activation and dropout after a convolution; upsampling and pooling by two."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alhvr.networks.dropout import Mask

UPSAMPLING = {2: "bilinear", 3: "trilinear"}
MAX_POOL = {2: F.max_pool2d, 3: F.max_pool3d}


@dataclass(frozen=True)
class NormActDropout:
    """Batch norm, activation and, in places, dropout: all between one convolution and the next."""

    norm: nn.BatchNorm2d | nn.BatchNorm3d
    slope: float
    """Of the activation below zero: 0 is ReLU."""
    mask: Mask | None = None


def upsample2x(x: Tensor) -> Tensor:
    """[B, F, *S] -> [B, F, *2S], linear with corners aligned."""
    return F.interpolate(x, scale_factor=2, mode=UPSAMPLING[x.ndim - 2], align_corners=True)


def activate(x: Tensor, slope: float) -> Tensor:
    """ReLU (slope 0) or leaky ReLU of [B, F, *S], written over ``x``, which must be the output of a batch norm."""
    return F.leaky_relu_(x, slope) if slope else F.relu_(x)


def training_type(x: Tensor) -> torch.dtype:
    """Type in which a convolution of ``x`` [B, F, *S] trains: that of autocast where it is on, else its own."""
    device = x.device.type
    if not torch.is_autocast_enabled(device):
        return x.dtype
    return torch.float32 if needs_float32(x) else torch.get_autocast_dtype(device)


def needs_float32(x: Tensor) -> bool:
    """Whether a convolution of ``x`` must train in float32: two voxels along the first of three axes, on CPU.

    In bf16, oneDNN 3.12 (torch 2.13) leaves parts of the weight gradient uninitialised there, for kernels of size 3.
    """
    return x.ndim == 5 and x.shape[2] == 2 and x.device.type == "cpu"
