"""Deciding: everything about a new run, from what the check of its data found: cases, plan, settings and device."""

from __future__ import annotations

import os
from dataclasses import replace

from alhvr.checking.result import CheckResult
from alhvr.config import BETA_OF_PAPER, PlanConfig, RunConfig
from alhvr.core.progress import Reporter
from alhvr.data.plan import Plan, make_plan
from alhvr.methods.registry import method_type
from alhvr.training.device import Compute
from alhvr.training.pretrained import Start
from alhvr.training.setup import RunSetup
from alhvr.training.survey import Survey, survey


def decide(found: CheckResult, config: RunConfig, *, start: Start | None, compute: Compute,
           reporter: Reporter) -> RunSetup:
    """The setup of a new run; tells the plan. Raises UserError where settings and data contradict each other."""
    seen = survey(found, config.plan, seed=config.training.seed, reporter=reporter)
    plan = start.plan_for(config.plan, seen.channels) if start else _plan(seen, config.plan, compute.memory_gb())
    for sentence in plan.describe():
        reporter.note(sentence)
    if start:
        for sentence in start.say_what_is_kept(seen.labels, seen.modality):
            reporter.note(sentence)
    unlabeled = seen.unlabeled
    if unlabeled and not method_type(config.method.name).uses_archive:
        reporter.note(f"The method {config.method.name} does not use the {len(unlabeled)} scans without labels.")
        unlabeled = ()
    return RunSetup(config=_settled(config, plan, seen), plan=plan, labels=seen.labels, compute=compute,
                    labeled=seen.labeled, unlabeled=unlabeled, validation=seen.validation, hashes=seen.hashes,
                    held_out=seen.held_out, start_from=os.path.abspath(start.model.folder) if start else None,
                    forced=seen.forced, label_hashes=seen.label_hashes, label_folders=seen.label_folders)


def _plan(seen: Survey, config: PlanConfig, memory_gb: float) -> Plan:
    config = replace(config, modality=seen.modality)
    return make_plan(list(seen.labeled_prints), list(seen.unlabeled_prints), config, memory_gb=memory_gb,
                     channels=seen.channels)


def _settled(config: RunConfig, plan: Plan, seen: Survey) -> RunConfig:
    """Decides what the settings leave open: mirrored anatomy is learnt only where orientation means nothing anyway.

    Beta by dimensions is the paper's. Where everything is annotated and there is no archive, labels-only is the method.
    """
    unknown = plan.in_plane_matrix is not None
    augment = config.training.augment
    augment = replace(augment, mirror=unknown if augment.mirror is None else augment.mirror,
                      quarter_turns=unknown if augment.quarter_turns is None else augment.quarter_turns)
    method = config.method
    if not (seen.unlabeled or seen.partly_labeled) and method_type(method.name).uses_archive:
        method = replace(method, name="labels-only")
    if method.beta is None:
        method = replace(method, beta=BETA_OF_PAPER[plan.dimensions])
    return replace(config, method=method, training=replace(config.training, augment=augment))
