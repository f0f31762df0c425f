"""Point 1: a whole training step, as the loop does it, against plain forward and backward of its two networks.

Whole: the next batch cut and augmented from scans held in memory (in the background, as in training), both networks,
the losses, backward, SGD and the mean of the weights. Plain: clean decode of the batch and second decode of its
unlabelled half without any perturbation, then backward from ready gradients; no loss, no optimiser, no data.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from records import Finding, Result, Setting
from scans import LABELS, plan_for, write_scan
from turns import Turns, spread, take_turns

from alhvr.config import AugmentConfig, MethodConfig, TrainingConfig
from alhvr.core.progress import SilentReporter
from alhvr.data.augment import Augmenter
from alhvr.data.batches import TwoStreamBatches
from alhvr.data.case_io import LabelDecoder
from alhvr.data.plan import Plan
from alhvr.data.store import ScanStore
from alhvr.methods.alhvr import DualViews, Views, alhvr_objective, forward_views
from alhvr.methods.registry import build_method
from alhvr.networks.blocks import tail_of_batch
from alhvr.networks.group import NetworkGroup
from alhvr.training.device import Compute, choose_compute
from alhvr.training.loop import WeightAverage
from alhvr.training.step import TrainingStep

BOTH_MODULES = MethodConfig(teacher_competition=True)
"""What a step of the whole method costs; our own default leaves one module off."""

THREADS = (1, 2)
TARGET, BOUND, LOSS_SHARE = 1.10, 1.20, 10.0
AUGMENT = AugmentConfig(mirror=False, quarter_turns=False)
"""What training takes for scans whose orientation is known."""


@dataclass(frozen=True)
class Size:
    """One network and patch to be measured."""

    title: str
    plan: Plan
    scan_shape: tuple[int, int, int]
    small: bool = False
    """fp32 is measured with one thread too; the others only with two, to save minutes."""


SIZES = (
    Size("2-D U-Net 128x128, batch 8", plan_for((128, 128), batch_size=8), (12, 200, 200), small=True),
    Size("2-D U-Net 256x256, batch 8", plan_for((256, 256), batch_size=8), (12, 400, 400)),
    Size("3-D V-Net 48x64x48, batch 4", plan_for((48, 64, 48), network="vnet", batch_size=4), (96, 112, 96)),
    Size("3-D U-Net 48x64x48, batch 4", plan_for((48, 64, 48), batch_size=4), (96, 112, 96)),
)


def measure(setting: Setting) -> Result:
    """The ratio for every size, in the precision that training chooses here, and in fp32."""
    chosen = choose_compute(TrainingConfig(device="cpu", threads=setting.threads))
    chosen.apply()
    findings: list[Finding] = []
    for size in SIZES:
        for precision in dict.fromkeys((chosen.precision, "fp32")):
            if precision == chosen.precision or setting.threads > 1 or size.small:
                bench = Bench(size, replace(chosen, precision=precision), setting.work)
                findings += _findings(size, precision, setting, bench.turns(setting.rounds, setting.threads))
    return Result(tuple(findings))


class Bench:
    """One training set up on generated scans, and the sides that take turns."""

    def __init__(self, size: Size, compute: Compute, work: Path) -> None:
        """Writes the scans into ``work`` once and waits until they are all in memory."""
        self._compute, plan = compute, size.plan
        torch.manual_seed(0)
        networks = NetworkGroup(plan.network, plan.dimensions, LABELS.n_classes)
        self._networks = networks.to(memory_format=networks.memory_format)
        training = TrainingConfig(augment=AUGMENT)
        self._step = TrainingStep(self._networks, build_method(BOTH_MODULES, 0), training, compute)
        self._average = WeightAverage(self._networks)
        folder = work / "x".join(map(str, size.scan_shape))
        self._batches = _batches(folder, size)
        self._stream = self._batches.iterate(0)
        _, batch = next(self._stream)
        time.sleep(1)  # the two batches ahead are prepared by then
        self._n_labeled = batch.n_labeled
        self._images = batch.images.to(memory_format=networks.memory_format)
        self._labels = batch.labels
        self._gradients = [torch.randn_like(x) for x in self._forward()]
        self._views = self._ready_views()

    def turns(self, rounds: int, threads: int) -> Turns:
        """The sides "whole", "plain" and "losses" in turns."""
        sides: dict[str, Callable[[], object]] = {"whole": self._whole, "plain": self._plain, "losses": self._losses}
        with torch.inference_mode(False):
            result = take_turns(sides, rounds=rounds, threads=threads)
        self._stream.close()
        return result

    def _whole(self) -> None:
        iteration, batch = next(self._stream)
        self._step.run(batch, iteration, weight=0.1, learning_rate=0.001)
        self._average.update(self._networks, 0.99)

    def _plain(self) -> None:
        self._networks.zero_grad(set_to_none=True)
        torch.autograd.backward(self._forward(), self._gradients)

    def _forward(self) -> list[torch.Tensor]:
        """Logits of both decodes of both networks, in the layout that the networks compute in."""
        logits = []
        with self._compute.autocast():
            for network in (self._networks.a, self._networks.b):
                levels = network.encode(self._images)
                logits.append(network.decode(levels).logits)
                tails = [tail_of_batch(level, self._n_labeled) for level in levels]
                logits.append(network.decode(tails, perturbed=True).logits)
        return logits

    def _losses(self) -> None:
        alhvr_objective(self._views, self._labels, 0.1, BOTH_MODULES).total.backward()

    def _ready_views(self) -> DualViews:
        """What the networks make of a batch, cut off from them."""
        perturbations = self._step._draw(0, self._images)
        with torch.no_grad(), self._compute.autocast():
            views = forward_views(self._networks, self._images, self._n_labeled, perturbations)
        return DualViews(*(Views(**{k: t.detach().requires_grad_() for k, t in vars(v).items()})
                           for v in (views.a, views.b)))


def _batches(folder: Path, size: Size) -> TwoStreamBatches:
    """Three labelled and five other scans, all held in memory."""
    labeled = [write_scan(folder, f"labelled {n}", size.scan_shape, label=True) for n in range(3)]
    others = [write_scan(folder, f"scan {n}", size.scan_shape) for n in range(5)]
    stores = [ScanStore(cases, size.plan, names, budget_bytes=10**9, reporter=SilentReporter())
              for cases, names in ((labeled, LabelDecoder(LABELS)), (others, None))]
    for store in stores:
        for index in range(len(store)):
            store.get(index)
    return TwoStreamBatches(*stores, size.plan, Augmenter(AUGMENT, size.plan.dimensions, size.plan.patch_size), 0)


def _findings(size: Size, precision: str, setting: Setting, turns: Turns) -> list[Finding]:
    what = f"{size.title}, {precision}"
    whole, share = turns.ratio("whole", "plain"), turns.ratio("losses", "whole")
    details = f"{turns.seconds('whole'):.3f} s against {turns.seconds('plain'):.3f} s; {spread(whole)}"
    return [
        Finding(1, f"Step, {what}", round(whole.value, 4), "x", TARGET, BOUND, threads=setting.threads, detail=details),
        Finding(2, f"Share of the losses in a step, {what}", round(100 * share.value, 2), "%", LOSS_SHARE,
                threads=setting.threads, detail=f"{1000 * turns.seconds('losses'):.0f} ms"),
    ]
