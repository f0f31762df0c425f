"""The end of a run: the best weights are scored in every way to segment, the best way is kept, the model is written."""

from __future__ import annotations

import datetime
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch

import alhvr
from alhvr.bundle.model import InferenceSettings, ModelDescription, default_name, rules_of, write_model
from alhvr.config import PreviewConfig, to_dict
from alhvr.core.progress import Reporter
from alhvr.networks.group import NetworkGroup
from alhvr.training.checked_graphs import OnnxExportError, checked_graphs
from alhvr.training.loop_state import LoopState
from alhvr.training.pretrained import identity_of
from alhvr.training.run_folder import RunFolder
from alhvr.training.setup import PARTS, RunSetup
from alhvr.training.validation import CLEANED, ValidationScore, Validator, scoring_backend

WORTH_CLEANING = 0.001
WORTH_CHOOSING = 0.002
"""How much better than the mean of both networks, in validation Dice, another way to segment has to be."""


@dataclass(frozen=True)
class FinishedModel:
    """What the last validation chose."""

    settings: InferenceSettings
    scores: dict[str, float]
    """Validation Dice per class and "mean", of the chosen way to segment; empty without validation cases."""
    n_partly: int = 0
    """Validation cases that are annotated in part only, and scored where they are."""
    n_networks: int = 2
    """Networks that segment."""


def finish_model(setup: RunSetup, networks: NetworkGroup, validator: Validator | None, run: RunFolder,
                 state: LoopState, reporter: Reporter) -> FinishedModel:
    """Chooses fusion and cleaning for ``networks``, those that segment, on the validation cases.

    Writes ``RUN/model``, with its networks as ONNX.

    Where they cannot be had as ONNX, the model is written without, and a warning says so.
    """
    names = networks.names
    graphs = _graphs(networks, run, reporter)
    found = {}
    if validator:
        backend = scoring_backend(networks, graphs, setup.compute, reporter)
        found = validator.score(backend, rules_of(names), cleaned=True)
    settings = _choose(setup, found)
    rule = settings.fusion + (CLEANED if settings.largest_component else "")
    scores = {**found[rule].by_class, "mean": found[rule].mean} if found else {}
    record = _record(setup, state, scores, {name: score.mean for name, score in found.items()})
    record["validation_annotated_in_part"] = found[rule].n_partly if found else 0
    name = setup.config.name or default_name(setup.plan, setup.labels)
    description = ModelDescription(name=name, plan=setup.plan, labels=setup.labels,
                                   network=setup.network, inference=settings, training=record)
    write_model(run.model, description, {name: network.state_dict() for name, network in networks.items()}, graphs)
    return FinishedModel(settings=settings, scores=scores, n_partly=found[rule].n_partly if found else 0,
                         n_networks=len(networks.names))


def summary(finished: FinishedModel, state: LoopState) -> list[str]:
    """How the run went, as sentences for people."""
    settings = finished.settings
    how = {"mean": "the mean of its networks", "competition": "the more confident network, voxel by voxel"}
    alone = f"network {settings.fusion} alone"
    cleaned = ", keeping the largest part of each structure" if settings.largest_component else ""
    if not finished.scores:
        went = f"Kept as it is after iteration {state.best_iteration}; there were no validation cases to score it on."
    else:
        dice = ", ".join(f"{name} {value:.3f}" for name, value in finished.scores.items())
        went = f"Best after iteration {state.best_iteration} of {state.iteration}: validation Dice {dice}."
        if finished.n_partly:
            went += f" Of {finished.n_partly} validation cases only a part is annotated, and only that is scored."
    if finished.n_networks == 1:
        return [went, f"The model segments by its one network{cleaned}."]
    return [went, f"The model segments by {how.get(settings.fusion, alone)}{cleaned}."]


def _graphs(networks: NetworkGroup, run: RunFolder, reporter: Reporter) -> dict[str, bytes] | None:
    try:
        return checked_graphs(networks)
    except OnnxExportError as error:
        reporter.warning(
            f"{error} The model is written without ONNX files: it is complete, but segmenting with it needs PyTorch "
            "(pip install 'alhvr[train]'). Once the cause is fixed, add them in Python: from "
            f"alhvr.training.checked_graphs import add_graphs; add_graphs({str(run.model)!r})")
        return None


def _choose(setup: RunSetup, found: dict[str, ValidationScore]) -> InferenceSettings:
    wish, method = setup.config.segmenting, setup.config.method
    means = {name: score.mean for name, score in found.items()}
    fusion = wish.fusion
    if fusion == "auto":
        best = max(rules_of(setup.network.names), key=lambda rule: means.get(rule, 0.0))
        fusion = best if means.get(best, 0.0) > means.get("mean", 0.0) + WORTH_CHOOSING else "mean"
    largest = wish.largest_component == "on"
    if wish.largest_component == "auto" and found:
        largest = means[fusion + CLEANED] > means[fusion] + WORTH_CLEANING
    return InferenceSettings(fusion=fusion, mirror=wish.mirror, largest_component=largest, beta=method.beta,
                             perturbation_seed=setup.config.training.seed, temperature=method.temperature)


def _archive(setup: RunSetup, state: LoopState) -> dict[str, Any] | None:
    """What validation showed of the archive; None for a run without one."""
    if not setup.unlabeled:
        return None
    return {"max_weight": setup.config.method.max_weight, "share_left": state.archive_share,
            "reduced": state.archive_harm}


def _record(setup: RunSetup, state: LoopState, scores: dict[str, float], ways: dict[str, float]) -> dict[str, Any]:
    """The training record: cases by content hash and never by name, split, settings, scores and versions."""
    named = {part: [f"{part}/{case.name}" for case in getattr(setup, part)] for part in PARTS}
    hashes = {part: [setup.hashes[name] for name in names if name in setup.hashes] for part, names in named.items()}
    counts = {part: len(getattr(setup, part)) for part in PARTS}
    config = replace(setup.config, training=replace(setup.config.training, threads=setup.compute.threads),
                     preview=PreviewConfig())  # which would name cases
    return {
        "cases": counts, "case_hashes": hashes, "validation_was_set_aside": setup.held_out,
        "settings": to_dict(config), "seed": config.training.seed, "iterations": state.iteration,
        "best_iteration": state.best_iteration, "minutes": round(state.elapsed_s / 60.0, 2),
        "validation_dice": scores, "validation_dice_by_way": ways, "archive": _archive(setup, state),
        "device": setup.compute.device, "precision": setup.compute.precision,
        "start_from": identity_of(Path(setup.start_from)) if setup.start_from else None, "forced": list(setup.forced),
        "date": datetime.date.today().isoformat(),
        "licence": "Apache-2.0 for the software; the terms of the training scans apply to the weights",
        "versions": {"alhvr": alhvr.__version__, "python": platform.python_version(), "torch": torch.__version__,
                     "monai": monai.__version__, "numpy": np.__version__},
    }
