"""Forecast for a check: what a training on the checked data would take with the usual settings."""

from __future__ import annotations

from pathlib import Path

from alhvr.checking.context import Watch
from alhvr.checking.result import CheckResult
from alhvr.checking.selection import may_train
from alhvr.config import RunConfig
from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.training.deciding import decide
from alhvr.training.device import choose_compute, memory_as_user_error
from alhvr.training.trial import with_forecast


def forecast_of_check(found: CheckResult, out: Path, watch: Watch, *, config: RunConfig = RunConfig(),  # noqa: B008
                      ) -> CheckResult:
    """``found`` with the forecast of a training into a folder like ``out``; as it is where the data allow none.

    Where no step can be made here, a warning says why. Raises Cancelled when the watch wants it.
    """
    if "labeled" not in found.sets or not may_train(found, force=False):
        return found
    try:
        with memory_as_user_error():
            compute = choose_compute(config.training)
            setup = decide(found, config, start=None, compute=compute, reporter=SilentReporter())
            return with_forecast(found, setup, out, watch)
    except UserError as error:
        watch.reporter.warning(f"What a training would take cannot be told: {error}")
        return found
