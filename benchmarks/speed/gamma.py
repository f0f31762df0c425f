"""Point 3: gamma, the mean of the lowest 80 % of all confidences, against torch's sorted top-k."""

from __future__ import annotations

import numpy as np
import torch
from records import Finding, Result, Setting
from turns import spread, take_turns

from alhvr.losses.regions import confidence_threshold

THREADS = (1, 2)
TARGET, EXACT = 30.0, 6e-8
BETA = 0.8


def measure(setting: Setting) -> Result:
    """Half a million and five million values; the error is the one against float64."""
    torch.set_num_threads(setting.threads)
    findings = []
    for count, target in ((500_000, TARGET), (5_000_000, None)):
        generator = torch.Generator().manual_seed(count)
        values = torch.rand(count, generator=generator).pow(0.1)
        lowest = int(BETA * count)
        turns = take_turns({"top-k": lambda v=values, k=lowest: torch.topk(v, k, largest=False).values.mean(),
                            "own": lambda v=values: confidence_threshold(v, BETA)},
                           rounds=max(setting.rounds, 9), threads=setting.threads)
        ratio = turns.ratio("top-k", "own")
        detail = f"{1000 * turns.seconds('top-k'):.1f} ms against {1000 * turns.seconds('own'):.2f} ms; {spread(ratio)}"
        findings.append(Finding(3, f"Sorted top-k over the engine's gamma, {count:,} values", round(ratio.value, 1),
                                "x", target, at_least=True, threads=setting.threads, detail=detail))
        exact = np.sort(values.numpy().astype(np.float64))[:lowest].mean()
        error = abs(float(confidence_threshold(values, BETA)) - exact) / exact
        findings.append(Finding(3, f"Relative error against float64, {count:,} values", error, "", EXACT,
                                threads=setting.threads, detail="half a step of float32 is 6e-8"))
    return Result(tuple(findings))
