"""Batches of partly labelled cases: fully labelled images first, every labelled patch worth something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from tiny_cases import LABELS, tiny_plan, write_case

from alhvr.config import AugmentConfig
from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.data.augment import Augmenter
from alhvr.data.batches import TwoStreamBatches
from alhvr.data.case_io import LabelDecoder
from alhvr.data.cases import Case
from alhvr.data.sampling import annotated_background, draw_start
from alhvr.data.store import ScanStore
from alhvr.formats.labels import NOT_ANNOTATED

SHAPE = (8, 20, 24)
PLANS = [tiny_plan(2, (16, 16)), tiny_plan(3, (16, 16, 16))]


def annotate(case: Case, keep: slice | tuple) -> Case:
    """Leaves the label as it is in ``keep`` and not annotated elsewhere."""
    image = SimpleITK.ReadImage(str(case.label))
    array = SimpleITK.GetArrayFromImage(image)
    changed = np.full_like(array, 255)
    changed[keep] = array[keep]
    given = SimpleITK.GetImageFromArray(changed)
    given.CopyInformation(image)
    SimpleITK.WriteImage(given, str(case.label))
    return case


def batches_of(cases: list[Case], plan) -> TwoStreamBatches:
    store = ScanStore(cases, plan, LabelDecoder(LABELS, 255), budget_bytes=10**9, reporter=SilentReporter())
    return TwoStreamBatches(store, None, plan, Augmenter(AugmentConfig(), plan.dimensions, plan.patch_size), 0)


def case_of(folder: Path, name: str, seed: int) -> Case:
    return write_case(folder, name, SHAPE, label=True, seed=seed)


@pytest.mark.parametrize("plan", PLANS, ids=["2-D", "3-D"])
def test_fully_labelled_images_come_before_those_that_leave_something_open(tmp_path: Path, plan) -> None:
    cases = [annotate(case_of(tmp_path, "partly", 0), slice(3, 5)), case_of(tmp_path, "fully", 1)]
    batches = batches_of(cases, plan)
    seen = [batches.batch(n) for n in range(8)]
    for batch in seen:
        inside = torch.ones_like(batch.labels, dtype=torch.bool) if batch.inside is None else batch.inside
        is_open = ((batch.labels == NOT_ANNOTATED) & inside[:batch.n_labeled]).flatten(1).any(dim=1)
        assert is_open.tolist() == sorted(is_open.tolist()) and batch.n_clean == int((~is_open).sum())
    assert {batch.missing for batch in seen} == {None}


def test_slices_without_any_annotation_are_never_shown_as_labelled(tmp_path: Path) -> None:
    batches = batches_of([annotate(case_of(tmp_path, "a", 0), slice(0, 8, 2))], PLANS[0])
    assert batches.iterations_per_epoch == 3  # two annotated slices of background, two with structures shown twice
    assert all((batches.batch(n).labels != NOT_ANNOTATED).flatten(1).any(dim=1).all() for n in range(6))


def test_every_crop_of_a_sparsely_annotated_volume_shows_annotated_voxels(tmp_path: Path) -> None:
    plan = tiny_plan(3, (16, 16, 16))
    case = write_case(tmp_path, "a", (64, 64, 64), label=True)
    batches = batches_of([annotate(case, (slice(None), slice(None), slice(0, 3)))], plan)
    assert all((batches.batch(n).labels != NOT_ANNOTATED).flatten(1).any(dim=1).all() for n in range(10))


@pytest.mark.parametrize("plan", PLANS, ids=["2-D", "3-D"])
def test_images_of_a_case_with_a_missing_structure_carry_it(tmp_path: Path, plan) -> None:
    cases = [replace(case_of(tmp_path, "partly", 0), not_annotated=(3,)), case_of(tmp_path, "fully", 1)]
    batches = batches_of(cases, plan)
    rows = torch.cat([batch.missing for batch in map(batches.batch, range(8)) if batch.missing is not None])
    assert {tuple(row.tolist()) for row in rows} == {(False, False, True), (False, False, False)}


def test_labels_that_say_nothing_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Nothing is annotated in any labelled case"):
        batches_of([annotate(case_of(tmp_path, "a", 0), slice(0, 0))], PLANS[0])


def test_beyond_a_partly_labelled_scan_nothing_is_annotated(tmp_path: Path) -> None:
    plan = tiny_plan(2, (32, 32))
    batches = batches_of([annotate(case_of(tmp_path, "a", 0), (slice(None), slice(0, 10)))], plan)
    labels = batches.batch(0).labels
    assert (labels == NOT_ANNOTATED).float().mean() > 0.6


def test_crops_that_are_not_on_a_structure_are_centred_on_annotated_background() -> None:
    label = np.full((32, 32), NOT_ANNOTATED, dtype=np.uint8)
    label[20:24, 6] = 0
    background = annotated_background(label)
    assert sorted(map(tuple, background)) == [(n, 6) for n in range(20, 24)]
    starts = {draw_start(label.shape, (4, 4), np.random.default_rng(n), (), background) for n in range(40)}
    assert starts == {(n - 2, 4) for n in range(20, 24)}


def test_a_full_label_needs_no_background_points() -> None:
    assert annotated_background(np.zeros((4, 4), np.uint8)) is None
