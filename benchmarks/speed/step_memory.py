"""Point 5: memory of a whole training process at its peak, 256x256, batch 8, all libraries included."""

from __future__ import annotations

import json
import subprocess
import sys

import torch
from memory_use import peak_gb
from records import Finding, Result, Setting

from alhvr.config import MethodConfig, TrainingConfig
from alhvr.data.batches import Batch
from alhvr.methods.registry import build_method
from alhvr.networks.group import NetworkGroup
from alhvr.training.device import Compute, choose_compute
from alhvr.training.loop import WeightAverage
from alhvr.training.step import TrainingStep

BOTH_MODULES = MethodConfig(teacher_competition=True)
"""What a step of the whole method costs; our own default leaves one module off."""

THREADS = (1,)
TARGET_GB = 2.5
STEPS = 4
SIZES = {"2-D U-Net 256x256, batch 8": ("unet", (256, 256), 8),
         "3-D V-Net 48x64x48, batch 4": ("vnet", (48, 64, 48), 4)}


def measure(setting: Setting) -> Result:
    """A process of its own for each size and precision."""
    chosen = choose_compute(TrainingConfig(device="cpu", threads=setting.threads)).precision
    findings = []
    for title in SIZES:
        for precision in dict.fromkeys((chosen, "fp32")):
            command = [sys.executable, __file__, title, precision, str(setting.threads)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peak, libraries = json.loads(done.stdout.splitlines()[-1])
            findings.append(Finding(
                5, f"Training process at its peak, {title}, {precision}", round(peak, 3), "GB",
                TARGET_GB if "256x256" in title else None, threads=setting.threads,
                detail=f"after {STEPS} steps; {libraries:.2f} GB of it were there before the networks were made"))
    return Result(tuple(findings))


def _train(title: str, precision: str, threads: int) -> tuple[float, float]:
    """Peak after a few steps, and before any."""
    kind, size, count = SIZES[title]
    compute = Compute("cpu", precision, threads)
    compute.apply()
    before = peak_gb()
    networks = NetworkGroup(kind, len(size), 4)
    networks = networks.to(memory_format=networks.memory_format)
    step = TrainingStep(networks, build_method(BOTH_MODULES, 0), TrainingConfig(), compute)
    average = WeightAverage(networks)
    for iteration in range(STEPS):
        batch = Batch(torch.randn(count, 1, *size), torch.randint(0, 4, (count // 2, *size)), count // 2, count // 2)
        step.run(batch, iteration, weight=0.1, learning_rate=0.01)
        average.update(networks, 0.99)
    return peak_gb(), before


if __name__ == "__main__":
    print(json.dumps(_train(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
