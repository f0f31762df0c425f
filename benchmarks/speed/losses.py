"""Point 2: the losses, forward and backward, against the equations written out at full resolution.

The direct way is Testing/support/direct_losses.py: features upsampled to full size, one cosine per class, gamma from
sorted values (a sorted top-k takes as long), and, for the preset "official", the product of every mask with every
image.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from records import Finding, Result, Setting
from turns import spread, take_turns

from alhvr.config import MethodConfig
from alhvr.core.system import keep_freed_memory
from alhvr.methods.alhvr import alhvr_objective
from alhvr.presets import OFFICIAL_METHOD

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Testing" / "support"))
from direct_losses import direct_objective, leaves, random_views  # noqa: E402
from peak_memory import peak_bytes  # noqa: E402

BOTH_MODULES = MethodConfig(teacher_competition=True)
"""What a step of the whole method costs; our own default leaves one module off."""

NOTE = ("\"Freed memory kept\": the process does not give memory back to the system after each tensor, as in the "
        "engine's own training on Linux.")
THREADS = (1, 2)
TARGET = 20.0
SIZES = {"2-D, 128x128, 4+4 images, 64 channels": ((128, 128), 4, 64),
         "2-D, 256x256, 4+4 images, 64 channels": ((256, 256), 4, 64),
         "3-D, 48x64x48, 2+2 images, 128 channels": ((48, 64, 48), 2, 128)}


def measure(setting: Setting) -> Result:
    """Both presets, three sizes, four classes, float32; and the memory that each way takes at its peak.

    At first as PyTorch does it by itself, then with freed memory kept as in the engine's training, which spares the
    direct way far more page faults than ours.
    """
    torch.set_num_threads(setting.threads)
    findings = _compare_all(setting, "")
    if keep_freed_memory():
        findings += _compare_all(setting, ", freed memory kept")
    return Result(tuple(findings), remarks=(NOTE,))


def _compare_all(setting: Setting, remark: str) -> list[Finding]:
    findings = []
    for title, (size, images, channels) in SIZES.items():
        views = random_views(size, images=(images, images), channels=channels)
        labels = torch.randint(0, 4, (images, *size), generator=torch.Generator().manual_seed(1))
        for config in (BOTH_MODULES, OFFICIAL_METHOD):
            findings += _compare(title + remark, views, labels, config, setting)
    return findings


def _compare(title, views, labels, config, setting) -> list[Finding]:
    def own() -> None:
        _forget(views)
        alhvr_objective(views, labels, 0.1, config).total.backward()

    def direct() -> None:
        _forget(views)
        direct_objective(views, labels, 0.1, config).backward()

    what = f"{title}, preset {config.preset}"
    turns = take_turns({"direct": direct, "own": own}, rounds=setting.rounds, threads=setting.threads)
    ratio = turns.ratio("direct", "own")
    detail = f"{1000 * turns.seconds('direct'):,.0f} ms against {1000 * turns.seconds('own'):.0f} ms; {spread(ratio)}"
    found = [Finding(2, f"Direct way over the engine's, {what}", round(ratio.value, 2), "x", TARGET, at_least=True,
                     threads=setting.threads, detail=detail)]
    if setting.threads == 1:
        most, plain = (_peak_mb(way, views) for way in (own, direct))
        found.append(Finding(2, f"Largest memory in use for tensors, {what}", round(most, 1), "MB",
                             detail=f"the direct way {plain:,.0f} MB"))
    return found


def _peak_mb(way, views) -> float:
    _forget(views)
    return peak_bytes(way) / 1e6


def _forget(views) -> None:
    for leaf in leaves(views):
        leaf.grad = None
