"""What a training step of each method costs, as a multiple of labels only, in processor time of one thread.

    python benchmarks/method_cost.py [--rounds 4]

All methods take turns in one process, so that they meet the same machine; each ratio is the median over the rounds of
each round's own. A step is everything but reading and changing patches: networks, losses, backward, SGD, teacher and
the mean of the weights, in fp32. Methods that use the archive have a batch of which half is labelled; those that do not
have that half alone, as in a run. Results go to benchmarks/results/method_cost.{json,md}.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent / "speed"))
from accuracy import HERE, machine
from turns import take_turns

from alhvr.config import MethodConfig, TrainingConfig
from alhvr.data.batches import Batch
from alhvr.formats.model_description import NetworkSpec
from alhvr.methods.registry import METHODS, build_method
from alhvr.training.device import Compute
from alhvr.training.loop import WeightAverage
from alhvr.training.step import TrainingStep

BASE = "labels-only"
N_CLASSES = 4


@dataclass(frozen=True)
class Size:
    """One network and batch."""

    title: str
    network: str
    patch: tuple[int, ...]
    batch: int


SIZES = (Size("2-D U-Net 128x128, batch 8", "unet", (128, 128), 8),
         Size("3-D V-Net 48x48x48, batch 2", "vnet", (48, 48, 48), 2))


def step_of(name: str, size: Size) -> Callable[[], object]:
    """One step of a method, ready to be called again and again."""
    torch.manual_seed(0)
    method, kind = build_method(MethodConfig(name=name), 0), METHODS[name]
    networks = method.build(NetworkSpec(size.network, len(size.patch), N_CLASSES, names=kind.predicting))
    networks = networks.to(memory_format=networks.memory_format)
    step = TrainingStep(networks, method, TrainingConfig(), Compute("cpu", "fp32", 1))
    average, labelled = WeightAverage(networks), size.batch // 2
    images = torch.randn(size.batch if kind.uses_archive else labelled, 1, *size.patch)
    batch = Batch(images, torch.randint(N_CLASSES, (labelled, *size.patch)), labelled, labelled)

    def call() -> None:
        step.run(batch, 1000, weight=0.1, learning_rate=1e-4)
        average.update(networks, 0.99)

    return call


def measured(size: Size, rounds: int) -> dict[str, dict[str, float]]:
    """By method: the ratio to labels only, its range over the rounds, and seconds of processor time of a step."""
    turns = take_turns({name: step_of(name, size) for name in METHODS}, rounds=rounds, threads=1)
    found = {}
    for name in METHODS:
        ratio = turns.ratio(name, BASE)
        found[name] = {"ratio": ratio.cpu, "lowest": ratio.lowest, "highest": ratio.highest,
                       "seconds": turns.seconds(name)}
    return found


def page(result: dict) -> str:
    """The result as Markdown."""
    lines = ["# What a step of each method costs", "",
             f"Processor time of one thread relative to {BASE}, median of {result['rounds']} rounds (range), all "
             "methods by turns in one process, fp32. Labels only has the labelled half of the batch alone.", "",
             "| method | " + " | ".join(f"{size.title} | s a step" for size in SIZES) + " |",
             "|---|" + "---|" * (2 * len(SIZES))]
    for name, kind in METHODS.items():
        cells = (result["sizes"][size.title][name] for size in SIZES)
        row = (f"{c['ratio']:.2f} ({c['lowest']:.2f} to {c['highest']:.2f}) | {c['seconds']:.2f}" for c in cells)
        lines.append(f"| {kind.title} (`{name}`) | " + " | ".join(row) + " |")
    machine_ = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    return "\n".join([*lines, "", "Command: `python benchmarks/method_cost.py`", "", f"Machine: {machine_}.", ""])


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    result = {"rounds": rounds, "machine": machine(), "sizes": {s.title: measured(s, rounds) for s in SIZES}}
    (HERE / "results" / "method_cost.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (HERE / "results" / "method_cost.md").write_text(page(result), encoding="utf-8")


if __name__ == "__main__":
    main()
