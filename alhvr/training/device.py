"""Where the networks run and in which arithmetic: device, threads, and bf16 where the processor has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch

from alhvr.config import TrainingConfig
from alhvr.core.errors import UserError
from alhvr.core.system import free_cores, keep_freed_memory
from alhvr.inference.torch_backend import choose_device, is_out_of_memory

SAFE_SHARE = 0.7
LOG_EVERY_CPU = 10
LOG_EVERY_GPU = 50


@dataclass(frozen=True)
class Compute:
    """The device and arithmetic a run uses; stored with the run, so that resuming repeats it exactly."""

    device: str
    """cpu, cuda or mps."""
    precision: str
    """fp32, bf16 or fp16; the losses are fp32 always."""
    threads: int
    """CPU threads of torch."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of autocast."""
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]

    @property
    def log_every(self) -> int:
        """Iterations between two looks at the losses; a look makes a GPU wait."""
        return LOG_EVERY_CPU if self.device == "cpu" else LOG_EVERY_GPU

    def memory_gb(self) -> float:
        """Memory in GB that a training step may use: most of what is free on the device."""
        if self.device == "cuda":
            return SAFE_SHARE * torch.cuda.mem_get_info()[0] / 1e9
        return SAFE_SHARE * psutil.virtual_memory().available / 1e9

    def autocast(self) -> torch.autocast:
        """Context in which the networks run."""
        return torch.autocast(self.device, dtype=self.dtype, enabled=self.precision != "fp32")

    def apply(self) -> None:
        """Sets torch's threads and, on CUDA, the fast convolution paths; on the CPU, freed memory is kept."""
        torch.set_num_threads(self.threads)
        if self.device == "cpu":
            keep_freed_memory()
        if self.device == "cuda":
            torch.backends.cudnn.benchmark = True
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True


def choose_compute(config: TrainingConfig) -> Compute:
    """Device, precision and threads for ``config``; UserError when the wanted device is not there."""
    device = choose_device(config.device)
    threads = config.threads or free_cores()
    torch.set_num_threads(threads)
    precision = config.precision if config.precision != "auto" else _best_precision(device)
    if precision == "fp16" and device == "cpu":
        raise UserError("precision is fp16 on the CPU.", "Accepted there: auto, fp32, bf16.")
    return Compute(device=device, precision=precision, threads=threads)


@contextmanager
def memory_as_user_error() -> Iterator[None]:
    """Raises UserError where torch or Python find no memory for a training step."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError("The memory is used up.", "Lower --batch-size, --patch-size or training.memory_gb, or close "
                        "other programs, and start a new run.") from error


def _best_precision(device: str) -> str:
    """What the processor or the card has units for: nothing that changes a result depends on how busy it is now."""
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device == "cpu" and _has_bf16_units() else "fp32"


def _has_bf16_units() -> bool:
    """Whether the processor multiplies bf16 by itself; elsewhere bf16 is emulated, and slower than fp32."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
