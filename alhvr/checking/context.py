"""RunContext: who hears how a check goes on, and who may stop it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from alhvr.core.errors import Cancelled
from alhvr.core.progress import Reporter, SilentReporter


def _never() -> bool:
    return False


@dataclass(frozen=True)
class RunContext:
    """A reporter, and a question that is asked often."""

    reporter: Reporter = field(default_factory=SilentReporter)
    """Hears the progress."""
    should_stop: Callable[[], bool] = _never
    """True once somebody asked to stop."""

    def raise_if_cancelled(self) -> None:
        """Raises Cancelled once somebody asked to stop."""
        if self.should_stop():
            raise Cancelled("Stopped before the check was done. Start it again with the same command.")

    def step(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
        """Tells that ``done`` of ``total`` are finished; raises Cancelled once somebody asked to stop."""
        self.reporter.progress(stage, done, total, seconds_left)
        self.raise_if_cancelled()
