"""TorchBackend: runs the networks of a model with PyTorch, batch norm folded into the convolutions, channels last."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from alhvr.bundle.model import Model
from alhvr.core.errors import ModelError, UserError
from alhvr.core.system import as_model_error, free_cores, is_out_of_memory
from alhvr.inference.memory import NetworkMemory
from alhvr.networks.blocks import SegmentationNetwork
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import folded
from alhvr.networks.perturbation import Perturbation, apply_perturbation

__all__ = ["TorchBackend", "choose_device", "from_model", "is_out_of_memory"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend:
    """A copy of the networks, made fast for inference; the networks it was made from stay as they are."""

    name = "torch"
    memory = NetworkMemory(slices=(600, 950), volumes=(450, 700), freed_at_once=True)
    channels_last = True

    def __init__(self, networks: NetworkGroup, device: str, precision: str) -> None:
        """``device`` is cpu, cuda or mps; ``precision`` fp32, bf16 or fp16. Heads and logits are always fp32."""
        self.arithmetic = precision
        self._device, self._dtype = torch.device(device), DTYPES[precision]
        self.networks = networks.names
        self._networks = {name: self._prepare(network) for name, network in networks.items()}

    def encode(self, network: str, batch: np.ndarray) -> list[Tensor]:
        """See Backend.encode. Raises OutOfMemory, and ModelError where PyTorch refuses."""
        runner = self._networks[network]
        with torch.inference_mode(), as_model_error("PyTorch", self._device.type):
            images = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device, self._dtype)
            return runner.encode(images.contiguous(memory_format=runner.memory_format))

    def decode(self, network: str, levels: list[Tensor]) -> np.ndarray:
        """See Backend.decode. Raises OutOfMemory, and ModelError where PyTorch refuses."""
        with torch.inference_mode(), as_model_error("PyTorch", self._device.type):
            return self._networks[network].decode(levels).logits.contiguous().cpu().numpy()

    def level_shapes(self, levels: list[Tensor]) -> list[tuple[int, ...]]:
        """See Backend.level_shapes."""
        return [tuple(level.shape[1:]) for level in levels]

    def perturb(self, levels: list[Tensor], perturbation: Perturbation) -> list[Tensor]:
        """See Backend.perturb."""
        with torch.inference_mode():
            return apply_perturbation(levels, perturbation)

    def _prepare(self, network: SegmentationNetwork) -> SegmentationNetwork:
        """A copy of ``network`` in eval mode, folded, on the device, in the dtype; the head alone stays fp32."""
        copy = folded(network)
        head = copy.head
        copy.head = nn.Identity()
        copy = copy.to(device=self._device, dtype=self._dtype, memory_format=copy.memory_format)
        copy.head = _InFloat32(head.to(device=self._device, memory_format=copy.memory_format))
        return copy


class _InFloat32(nn.Module):
    """Runs a layer in fp32: confidences near 1 need more digits than a 16-bit logit has."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """[N, F, *S] of any floating dtype -> float32 [N, C, *S]."""
        return self.layer(x.float())


def from_model(model: Model, device: str = "auto", threads: int | None = None,
               precision: str = "auto") -> TorchBackend:
    """The networks of ``model`` on ``device`` (auto, cpu, cuda, mps); fp32 on a CPU, on a GPU 16 bits or ``precision``.

    ``threads`` are torch's on the CPU, for the whole process; None: as many as there are free cores.
    Raises UserError when the weights do not fit the networks that the model describes, or the device is not there.
    """
    spec = model.description.network
    networks = NetworkGroup.build(spec)
    state = model.load_state()
    try:
        for name, network in networks.items():
            network.load_state_dict(state[name])
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"The weights of {model.folder} do not fit the networks it describes.",
                        "Copy the model folder again, or train it anew.") from error
    device = choose_device(device)
    if device == "cpu":
        torch.set_num_threads(threads or free_cores())
    is_free = precision == "auto" or device == "cpu"
    return TorchBackend(networks, device, _precision_for(device) if is_free else precision)


def choose_device(name: str) -> str:
    """``name`` itself, or for "auto" the fastest device that is there; UserError when it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    found = [device for device, usable in there.items() if usable]
    if name == "auto":
        return found[0]
    if name not in found:
        raise UserError(f"device is {name!r}; PyTorch finds {', '.join(found)} here.", "Use --device auto.")
    return name


def _precision_for(device: str) -> str:
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "fp32"
