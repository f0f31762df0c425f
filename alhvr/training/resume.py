"""Resuming: the setup of a run that began earlier, checked against what is there now."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from alhvr.config import RunConfig, to_dict
from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.core.progress import Reporter
from alhvr.inference.torch_backend import choose_device
from alhvr.networks.group import NetworkGroup
from alhvr.training.checkpoint import START_AGAIN, load_checkpoint
from alhvr.training.device import Compute, choose_compute
from alhvr.training.loop_state import LoopState
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

    Warns of settings that are ignored. Raises UserError when run.json or a checkpoint is damaged, labelled cases or the
    best weights are gone, or a label or what its values mean was changed since the run began.
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
    _require_checkpoints(run, setup)
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


def _require_checkpoints(run: RunFolder, setup: RunSetup) -> None:
    """Raises UserError unless the checkpoints are whole and those of this run; a run without any begins again."""
    if not run.last.exists():
        return
    with torch.device("meta"):
        weights = NetworkGroup.build(setup.network, setup.method.networks).state_dict()
    last = load_checkpoint(run.last)
    state = _loop_state(last.get("loop"))
    if state is None or not isinstance(last.get("step"), dict) or not _fits(last.get("average"), weights):
        raise _foreign(run.last)
    if state.best_iteration < 0:
        return
    if not run.best.exists():
        raise UserError(f"The best weights so far are gone: there is no {shown(run.best)}.", START_AGAIN)
    best = load_checkpoint(run.best)
    if not isinstance(best.get("iteration"), int) or not _fits(best.get("average"), weights):
        raise _foreign(run.best)


def _loop_state(values: Any) -> LoopState | None:
    try:
        return LoopState(**values)
    except TypeError:
        return None


def _fits(found: Any, weights: Mapping[str, torch.Tensor]) -> bool:
    """True when ``found`` holds tensors of the names and shapes of ``weights``."""
    if not isinstance(found, Mapping) or found.keys() != weights.keys():
        return False
    return all(isinstance(found[name], torch.Tensor) and found[name].shape == weights[name].shape for name in weights)


def _foreign(path: Path) -> UserError:
    return UserError(f"{shown(path)} is no checkpoint of this run.", START_AGAIN)


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
