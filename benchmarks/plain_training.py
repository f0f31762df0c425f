"""``alhvr train`` without the short cuts that could cost accuracy; it takes the arguments of ``alhvr``.

fp32 instead of bf16, torch's dropout instead of the engine's, and labelled images decoded under perturbation too.
The arm "plain" of ``python -m benchmarks accuracy``. The losses are the engine's: their fast forms equal the direct
ones to 1e-6, which the tests show.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from alhvr.cli import main
from alhvr.networks.dropout import Dropout, Mask


def plain_draw(self: Dropout, x: Tensor) -> Mask | None:
    """The mask of torch's dropout, one Bernoulli draw per value."""
    if not self.training or self.p == 0:
        return None
    return Mask(torch.empty_like(x, dtype=torch.bool).bernoulli_(1 - self.p), 1 / (1 - self.p))


if __name__ == "__main__":
    Dropout.draw = plain_draw
    sys.exit(main())
