"""AC-MT (Xu et al., Medical Image Analysis 2023): a mean teacher that is heard where the student is unsure."""

from __future__ import annotations

from torch import Tensor

from alhvr.losses.consistency import relative_entropy
from alhvr.methods.mean_teacher import MeanTeacher

THRESHOLD = (0.75, 0.95)
"""Of the student's entropy as a share of the largest, at the beginning and where lambda is largest."""


class AcMt(MeanTeacher):
    """Mean Teacher whose consistency counts only the pixels where the student's entropy reaches a threshold.

    The publication's entropy variant. For more than two classes the entropy is divided by ln C, which is ours.
    """

    def selected(self, student: Tensor, weight: float) -> Tensor:
        """See MeanTeacher.selected."""
        low, high = THRESHOLD
        return relative_entropy(student) >= low + (high - low) * self.rise(weight)
