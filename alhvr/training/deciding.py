"""Deciding: everything about a new run, from what the check of its data found: cases, plan, settings and device."""

from __future__ import annotations

import os
from dataclasses import replace

from alhvr.checking.result import CheckResult
from alhvr.config import PlanConfig, RunConfig
from alhvr.data.plan import Plan, make_plan
from alhvr.progress import Reporter
from alhvr.training.device import Compute
from alhvr.training.setup import RunSetup
from alhvr.training.start_from import Start
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
    return RunSetup(config=_settled(config, plan), plan=plan, labels=seen.labels, compute=compute,
                    labeled=seen.labeled, unlabeled=seen.unlabeled, validation=seen.validation, hashes=seen.hashes,
                    held_out=seen.held_out, start_from=os.path.abspath(start.model.folder) if start else None,
                    forced=seen.forced, label_hashes=seen.label_hashes, label_folders=seen.label_folders)


def _plan(seen: Survey, config: PlanConfig, memory_gb: float) -> Plan:
    config = replace(config, modality=seen.modality)
    return make_plan(list(seen.labeled_prints), list(seen.unlabeled_prints), config, memory_gb=memory_gb,
                     channels=seen.channels)


def _settled(config: RunConfig, plan: Plan) -> RunConfig:
    """Decides what the settings leave open: mirrored anatomy is learnt only where orientation means nothing anyway."""
    unknown = plan.in_plane_matrix is not None
    augment = config.training.augment
    augment = replace(augment, mirror=unknown if augment.mirror is None else augment.mirror,
                      quarter_turns=unknown if augment.quarter_turns is None else augment.quarter_turns)
    return replace(config, training=replace(config.training, augment=augment))
