"""Validation scores what is annotated, on the scan's own grid, with the predictor that users run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from dicom_files import write_series
from tiny_cases import LABELS, tiny_plan, write_case

from alhvr.bundle.model import InferenceSettings
from alhvr.core.errors import UserError
from alhvr.core.progress import SilentReporter
from alhvr.data import reading_process
from alhvr.data.case_io import LabelDecoder
from alhvr.data.cases import Case
from alhvr.data.geometry import Geometry
from alhvr.inference.torch_backend import TorchBackend
from alhvr.networks.group import NetworkGroup
from alhvr.training.validation import ValidationScore, Validator

SHAPE = (4, 16, 16)
CRASHES = ("import os, signal, sys; sys.path[:] = sys.argv[1:]; from alhvr.data import reading_process; "
           "reading_process.read_scan = lambda path: os.kill(os.getpid(), signal.SIGSEGV); reading_process.serve()")
"""A process whose libraries crash."""


@pytest.fixture(scope="module")
def backend() -> TorchBackend:
    """Untrained networks whose answers are every class somewhere."""
    torch.manual_seed(2)
    networks = NetworkGroup("unet", 2, 3).eval()
    for network in (networks.a, networks.b):
        network.head.weight.data *= 30
        network.head.bias.data.zero_()
    return TorchBackend(networks, "cpu", "fp32")


def score(backend: TorchBackend, *cases: Case) -> ValidationScore:
    validator = Validator(cases, tiny_plan(2, (16, 16)), LabelDecoder(LABELS, 255), InferenceSettings(), lambda: False,
                          SilentReporter())
    return validator.score(backend)["mean"]


def test_a_series_that_crashes_what_decodes_it_ends_a_validation_in_one_sentence(backend, tmp_path: Path,
                                                                                 monkeypatch) -> None:
    monkeypatch.setattr(reading_process, "_PROGRAM", CRASHES)
    case = write_case(tmp_path, "a", SHAPE, label=True)
    write_series(tmp_path / "series", np.zeros(SHAPE, np.int16), Geometry(SHAPE[::-1], (1.0, 1.0, 2.0), (0.0, 0.0, 0.0),
                                                                          (1.0, 0, 0, 0, 1, 0, 0, 0, 1)))
    with pytest.raises(UserError, match="series"):
        score(backend, replace(case, image=tmp_path / "series"))


def change(case: Case, values: dict[int, int], where: object = Ellipsis) -> Case:
    image = SimpleITK.ReadImage(str(case.label))
    array = SimpleITK.GetArrayFromImage(image)
    for before, after in values.items():
        part = array[where]
        part[part == before] = after
    given = SimpleITK.GetImageFromArray(array)
    given.CopyInformation(image)
    SimpleITK.WriteImage(given, str(case.label))
    return case


def test_a_full_label_is_scored_everywhere(backend, tmp_path: Path) -> None:
    found = score(backend, write_case(tmp_path, "a", SHAPE, label=True))
    assert found.n_partly == 0 and set(found.by_class) == {"liver", "spleen"}
    assert found.mean == pytest.approx(np.mean(list(found.by_class.values())), abs=1e-5)


def test_what_nobody_annotated_makes_no_difference_to_the_score(backend, tmp_path: Path) -> None:
    full = score(backend, write_case(tmp_path / "full", "a", SHAPE, label=True))
    everything = {0: 255, 1: 255, 3: 255}
    partly = score(backend, change(write_case(tmp_path / "partly", "a", SHAPE, label=True), everything, np.s_[2:]))
    half = score(backend, write_case(tmp_path / "half", "a", SHAPE, label=True),
                 change(write_case(tmp_path / "half", "b", SHAPE, label=True), everything, np.s_[2:]))
    assert partly.n_partly == 1 and half.n_partly == 1
    assert 0 < full.mean != partly.mean > 0
    assert half.mean == pytest.approx((full.mean + partly.mean) / 2, abs=2e-5)


def test_a_structure_missing_in_a_case_is_scored_in_the_others_alone(backend, tmp_path: Path) -> None:
    first = write_case(tmp_path, "a", SHAPE, label=True, seed=1)
    second = change(write_case(tmp_path, "b", SHAPE, label=True, seed=2), {3: 0})
    both = score(backend, first, replace(second, not_annotated=(3,)))
    assert both.n_partly == 1 and both.by_class["spleen"] == score(backend, first).by_class["spleen"]


def test_a_structure_that_no_case_has_annotated_is_not_scored(backend, tmp_path: Path) -> None:
    case = replace(write_case(tmp_path, "a", SHAPE, label=True), not_annotated=(3,))
    found = score(backend, case)
    assert set(found.by_class) == {"liver"} and found.mean == found.by_class["liver"]


def test_cases_without_any_annotation_score_zero_and_not_nan(backend, tmp_path: Path) -> None:
    case = replace(write_case(tmp_path, "a", SHAPE, label=True), not_annotated=(1, 3))
    assert score(backend, case) == ValidationScore({}, 0.0, 1)


def test_a_case_in_which_nobody_annotated_anything_flatters_no_score(backend, tmp_path: Path) -> None:
    first = write_case(tmp_path, "a", SHAPE, label=True, seed=1)
    nothing = change(write_case(tmp_path, "b", SHAPE, label=True, seed=2), {0: 255, 1: 255, 3: 255})
    assert score(backend, first, nothing).by_class == score(backend, first).by_class
