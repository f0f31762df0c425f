"""Backend: what the predictor asks of the two networks, whatever library runs them; and the choice of one."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from alhvr.bundle import Model
from alhvr.errors import UserError
from alhvr.networks.perturbation import Perturbation

NETWORKS = ("a", "b")


class Backend(Protocol):
    """Runs networks "a" and "b". Levels are the encoder's output in the backend's own form, full resolution first."""

    name: str

    def encode(self, network: str, batch: np.ndarray) -> list[Any]:
        """Images float32 [N, 1, *S], sides multiples of 16, to levels [N, F_k, *S / 2^k]."""

    def decode(self, network: str, levels: list[Any]) -> np.ndarray:
        """Levels to logits float32 [N, C, *S], contiguous and owned by the caller."""

    def level_shapes(self, levels: list[Any]) -> list[tuple[int, ...]]:
        """[F_k, *S_k] of each level, without the batch axis."""

    def perturb(self, levels: list[Any], perturbation: Perturbation) -> list[Any]:
        """Levels changed by ``perturbation``, which was drawn for their shapes; the input is not changed."""


def choose_backend(model: Model, *, backend: str = "auto", device: str = "auto") -> Backend:
    """The backend called ``backend`` ("auto" or "torch") with the weights of ``model`` on ``device``.

    Raises UserError when the backend is not offered or not installed, or the device is not there.
    """
    if backend not in ("auto", "torch"):
        raise UserError(f"backend is {backend!r}; this version offers torch.", "Use --backend torch, or leave it out.")
    if find_spec("torch") is None:
        raise UserError("PyTorch is not installed, and backend torch needs it.", "Install it: pip install torch.")
    return import_module("alhvr.inference.torch_backend").from_model(model, device)
