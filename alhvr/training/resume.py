"""Resuming: the setup of a run that began earlier, checked against what is there now."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from alhvr.config import RunConfig, to_dict
from alhvr.errors import UserError
from alhvr.inference.torch_backend import choose_device
from alhvr.progress import Reporter
from alhvr.training.device import Compute, choose_compute
from alhvr.training.run_folder import RunFolder
from alhvr.training.same_labels import require_same_labels
from alhvr.training.setup import RunSetup

RUN_FILE = "run.json"


def resume_command(run: Path) -> str:
    """What to type to go on with the run in this folder."""
    return f"alhvr train --resume --out {shlex.quote(str(run))}"


def require_run(run: RunFolder) -> None:
    """Raises UserError unless the folder holds a run that began."""
    if not (run.path / RUN_FILE).exists():
        raise UserError(f"{run.path} holds no run to resume.",
                        "Give the --out folder of an earlier `alhvr train`, or leave out --resume.")


def resumed_setup(run: RunFolder, config: RunConfig, reporter: Reporter) -> RunSetup:
    """The setup that the run began with; of ``config``, the settings of this command, only the device counts.

    Warns of settings that are ignored. Raises UserError when run.json is damaged, labelled cases are gone, or a label
    or what its values mean was changed since the run began.
    """
    try:
        setup = RunSetup.from_dict(run.read_json(RUN_FILE))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{run.path / RUN_FILE} is damaged ({error}).", "Start a new run.") from error
    gone = [c for c in (*setup.labeled, *setup.validation) if not (c.image.exists() and c.label.exists())]
    if gone:
        raise UserError(f"{len(gone)} case(s) of the run are no longer there, the first is {gone[0].image}.",
                        "Put them back and resume again.")
    require_same_labels(setup, reporter)
    ignored = ignored_settings(config, setup.config)
    if ignored:
        reporter.warning(f"A resumed run keeps the settings that it began with; ignored: {', '.join(ignored)}.")
    return replace(setup, compute=_compute(setup, config.training.device, reporter))


def ignored_settings(asked: RunConfig, kept: RunConfig) -> list[str]:
    """Settings in ``asked`` that differ from the defaults and from ``kept``, both values named; not the device."""
    default, has = _flat(to_dict(RunConfig())), _flat(to_dict(kept))
    wishes = {name: value for name, value in _flat(to_dict(asked)).items() if name != "training.device"}
    return [f"{name} {value} (the run has {has[name]})" for name, value in wishes.items()
            if value not in (default[name], has[name])]


def _compute(setup: RunSetup, wanted: str, reporter: Reporter) -> Compute:
    """The device of the run so far, unless another is wanted or it is not there any more."""
    before = setup.compute
    if wanted in ("auto", before.device):
        try:
            choose_device(before.device)
            return before
        except UserError:
            wanted = "auto"
    found = choose_compute(replace(setup.config.training, device=wanted))
    reporter.warning(f"The run began on {before.device} and goes on on {found.device}: last digits may differ.")
    return found


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
