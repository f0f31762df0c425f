"""``alhvr train`` without the short cuts that could cost accuracy; it takes the arguments of ``alhvr``.

fp32 instead of bf16, torch's dropout instead of the engine's, and labelled images decoded under perturbation too.
The slow side of the comparison in accuracy.py (arm "plain"). The losses are the engine's: their fast forms equal the
direct ones to 1e-6, which the tests show.
"""

from __future__ import annotations

import sys

from torch import Tensor
from torch.nn import functional

from alhvr.cli import main
from alhvr.networks.dropout import Dropout


def plain_dropout(self: Dropout, x: Tensor) -> Tensor:
    """torch's dropout, one Bernoulli draw per value."""
    return functional.dropout(x, self.p, self.training)


if __name__ == "__main__":
    Dropout.forward = plain_dropout
    sys.exit(main())
