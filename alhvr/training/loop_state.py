"""LoopState: what a run knows about itself beside its weights: how far it is, what was best, what the archive did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alhvr.training.validation import ValidationScore

HARM = 0.01
"""By how much validation Dice may lie below the best so far before less is learnt from the archive."""
SMALLEST_SHARE = 0.25
"""Of lambda; after that, nothing more is learnt from the archive."""


@dataclass
class LoopState:
    """What a resumed run continues from, beside the weights; plain values, kept in the checkpoint."""

    iteration: int = 0
    """Steps done."""
    elapsed_s: float = 0.0
    """Seconds trained, over all sittings."""
    validations: int = 0
    """Validations done."""
    best_iteration: int = -1
    best_mean: float = -1.0
    best_by_class: dict[str, float] = field(default_factory=dict)
    best_of_network: dict[str, float] = field(default_factory=dict)
    """Best validation Dice of either network alone, where each keeps its own best state."""
    archive_share: float = 1.0
    """Part of lambda that is left after what validation showed of the archive."""
    archive_harm: list[dict[str, float]] = field(default_factory=list)
    """Each time that less of the archive was used: iteration, the best Dice and the one then, and the share left."""

    def improved(self, scores: Mapping[str, ValidationScore], networks: Sequence[str]) -> tuple[str, ...]:
        """Those of ``networks`` whose weights are the best so far, by the rules scored: "mean", or each network too."""
        if networks[0] in scores:
            return tuple(name for name in networks if scores[name].mean > self.best_of_network.get(name, -1.0))
        return tuple(networks) if scores["mean"].mean > self.best_mean else ()

    def remember_best(self, scores: Mapping[str, ValidationScore], improved: Sequence[str]) -> None:
        """The weights of ``improved`` were kept at this iteration."""
        self.best_iteration = self.iteration
        self.best_of_network |= {name: scores[name].mean for name in improved if name in scores}
        if scores["mean"].mean > self.best_mean:
            self.best_mean, self.best_by_class = scores["mean"].mean, scores["mean"].by_class

    def watch_archive(self, dice: float) -> str:
        """Halves what is left of lambda where ``dice`` lies below the best so far, and says so; else says nothing.

        To be asked while the archive is learnt from. With labels alone validation rarely falls like that; networks
        that confirm each other's errors make it fall.
        """
        if not self.archive_share or dice >= self.best_mean - HARM:
            return ""
        left = self.archive_share / 2 if self.archive_share > SMALLEST_SHARE else 0.0
        self.archive_share = left
        self.archive_harm.append({"iteration": self.iteration, "best_dice": self.best_mean, "dice": dice,
                                  "share_left": left})
        now = f"count {left:.0%} of their weight" if left else "no longer count"
        return (f"Validation Dice fell from {self.best_mean:.3f} to {dice:.3f} while learning from the archive, which "
                f"may do harm: its losses {now} from here on.")
