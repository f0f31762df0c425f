"""Scoring the held-out cases: where somebody annotated them, and by the names of structures, not their numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_cases import LABELS, Listener, tiny_plan
from tiny_runs import make_scan, write_scan
from untrained import write_untrained

from alhvr.bundle.model import read_model
from alhvr.comparison import scoring
from alhvr.comparison.scoring import Scorer, knows_any, patients_of
from alhvr.config import RunConfig
from alhvr.core.errors import Cancelled, UserError
from alhvr.data.cases import Case
from alhvr.data.reading import read_label
from alhvr.evaluation.metrics import score
from alhvr.formats.labels import LabelSet
from alhvr.training.device import Compute
from alhvr.training.setup import RunSetup


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    return read_model(write_untrained(tmp_path_factory.mktemp("model") / "m"))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    image, label = make_scan(3)
    return Case("case", write_scan(tmp_path / "images" / "case.nrrd", image),
                write_scan(tmp_path / "labels" / "case.nrrd", label))


def scorer(*cases: Case, labels: LabelSet = LABELS, reporter: Listener | None = None) -> Scorer:
    setup = RunSetup(config=RunConfig(), plan=tiny_plan(2, (32, 32)), labels=labels, compute=Compute("cpu", "fp32", 1),
                     labeled=(), unlabeled=(), validation=cases, hashes={}, held_out=False, start_from=None)
    return Scorer(setup, reporter or Listener(), lambda: False)


def test_the_segmentation_is_kept_and_its_scores_are_told(model, case: Case, tmp_path: Path) -> None:
    (found,) = scorer(case).score(model, tmp_path / "out")
    kept, true = read_label(found.segmentation), read_label(case.label)
    assert found.segmentation == tmp_path / "out" / "case.seg.nrrd" and not found.is_nominal
    expected = score(kept.array, true.array, LABELS, true.geometry.spacing_mm[::-1])
    assert {name: one.dice for name, one in found.scores.items()} == {name: one.dice for name, one in expected.items()}
    assert found.scores["liver"].hd95_mm == pytest.approx(expected["liver"].hd95_mm)


def test_a_case_annotated_in_part_is_scored_where_it_is(model, case: Case, tmp_path: Path) -> None:
    _, label = make_scan(3)
    label[1:] = 255
    write_scan(case.label, label)
    (found,) = scorer(case).score(model, tmp_path / "out")
    kept, known = read_label(found.segmentation).array, label != 255
    expected = score(kept * known, label * known, LABELS, (8.0, 1.25, 1.5))
    assert {name: one.dice for name, one in found.scores.items()} == {name: one.dice for name, one in expected.items()}


def test_a_structure_that_nobody_annotated_is_not_scored(model, case: Case, tmp_path: Path) -> None:
    (found,) = scorer(replace(case, not_annotated=(3,))).score(model, tmp_path / "out")
    assert found.scores["spleen"].dice is None and not found.scores["spleen"].missed
    assert found.scores["liver"].dice is not None


def test_a_case_in_which_nothing_is_annotated_has_no_scores(model, case: Case, tmp_path: Path) -> None:
    write_scan(case.label, np.full_like(make_scan(3)[1], 255))
    (found,) = scorer(case).score(model, tmp_path / "out")
    assert all(one.dice is None and one.hd95_mm is None for one in found.scores.values())


def test_a_model_that_numbers_its_structures_otherwise_is_scored_by_their_names(model, case, tmp_path: Path) -> None:
    (own,) = scorer(case).score(model, tmp_path / "own")
    image, label = make_scan(3)
    write_scan(case.label, np.where(label == 1, 7, np.where(label == 3, 2, 0)).astype(np.uint8))
    others = LabelSet.from_names({2: "Spleen", 7: "LIVER", 9: "kidney"})
    (found,) = scorer(case, labels=others).score(model, tmp_path / "other")
    assert found.scores["LIVER"].dice == own.scores["liver"].dice
    assert found.scores["Spleen"].dice == own.scores["spleen"].dice and found.scores["kidney"].dice is None
    assert set(np.unique(read_label(found.segmentation).array)) <= {0, 2, 7}
    assert knows_any(model, others) and not knows_any(model, LabelSet.from_names({1: "kidney"}))


def test_a_segmentation_that_the_disk_refuses_costs_nothing_else(model, case, tmp_path: Path, monkeypatch) -> None:
    def refuse(path: Path, segmentation: object) -> None:
        raise UserError("case.seg.nrrd could not be written: the disk is full.")

    monkeypatch.setattr(scoring, "write_segmentation", refuse)
    listener = Listener()
    (found,) = scorer(case, reporter=listener).score(model, tmp_path / "out")
    assert found.segmentation is None and found.scores["liver"].dice is not None and len(listener.warnings) == 1


def test_scoring_stops_when_it_is_asked_to(model, case: Case, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        replace(scorer(case), should_stop=lambda: True).score(model, tmp_path / "out")


def test_cases_of_one_patient_are_known_by_what_is_said_or_by_their_group() -> None:
    cases = [Case(name, Path(name), None, patient=who) for name, who in
             (("a", None), ("b", None), ("c", "P1"), ("d", "P1"), ("e", None))]
    assert patients_of(cases, [["a", "b"], ["c", "d"], ["elsewhere"]]) == {
        "a": "a", "b": "a", "c": "P1", "d": "P1", "e": "e"}
