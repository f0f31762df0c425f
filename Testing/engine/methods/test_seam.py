"""The seam for methods: one that nobody knows trains, resumes, is kept as a model and segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_cases import Listener
from tiny_runs import make_scan, write_scan, write_study

from alhvr.bundle.model import Model, read_model
from alhvr.config import MethodConfig, PlanConfig, RunConfig, TrainingConfig
from alhvr.core.errors import UserError
from alhvr.data.reading import read_scan
from alhvr.evaluation.metrics import dice_by_class
from alhvr.inference.run import SegmentRequest, segment
from alhvr.methods import registry
from alhvr.methods.registry import METHODS, MethodType, build_method
from alhvr.training.run import TrainRequest, train

TRIAL = {
    "cps": MethodType("CPS", "trial_methods:CrossPseudoSupervision"),
    "mean-teacher": MethodType("Mean Teacher", "trial_methods:MeanTeacher", networks=("student", "teacher"),
                               predicting=("teacher",)),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial methods are registered."""
    monkeypatch.setattr(registry, "METHODS", {**METHODS, **TRIAL})


def request(study: Path, out: Path, name: str, iterations: int = 40, network: str | None = None) -> TrainRequest:
    training = TrainingConfig(iterations=iterations, validations=2, threads=1, precision="fp32", device="cpu")
    plan = PlanConfig(patch_size=(32, 32), batch_size=4, width=8, network=network)
    config = RunConfig(method=MethodConfig(name=name), training=training, plan=plan)
    return TrainRequest(labeled=study / "labeled", unlabeled=study / "archive", out=out, config=config)


def dice_of(model: Model, folder: Path) -> float:
    """Mean Dice of a new scan, segmented with the real engine, regions included."""
    image, label = make_scan(500)
    scan = write_scan(folder / "new.nii.gz", image)
    segment(SegmentRequest(model.folder, (scan,), folder / "out", regions=True, file_format="nii.gz"), Listener())
    found = read_scan(folder / "out" / "new.nii.gz").array
    assert {path.name for path in (folder / "out").iterdir()} >= {"new.regions.nrrd", "new.teacher.nrrd"}
    indices = np.select([found == 1, found == 3], [1, 2])
    return float(np.mean(dice_by_class(indices, np.select([label == 1, label == 3], [1, 2]), 3)))


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", [*TRIAL, "labels-only"])
def test_a_method_trains_is_kept_and_segments(study: Path, tmp_path: Path, name: str) -> None:
    result = train(request(study, tmp_path / "run", name), Listener())
    model = read_model(result.model)
    assert model.description.network.names == registry.METHODS[name].predicting
    assert model.description.training["settings"]["method"]["name"] == name
    assert dice_of(model, tmp_path) > 0.7


@pytest.mark.usefixtures("known")
def test_a_run_of_a_mean_teacher_that_was_stopped_ends_as_one_that_was_not(study: Path, tmp_path: Path) -> None:
    whole = train(request(study, tmp_path / "whole", "mean-teacher", 12), Listener())
    asked = request(study, tmp_path / "parts", "mean-teacher", 12)

    class Stopping(Listener):
        def metrics(self, iteration: int, **values: object) -> None:
            if "mean_dice" in values:
                raise KeyboardInterrupt

    with pytest.raises(Exception, match="Go on with"):
        train(asked, Stopping())
    parts = train(TrainRequest(labeled=None, out=asked.out, config=asked.config, resume=True), Listener())
    first, second = (read_model(found.model).load_state()["teacher"] for found in (whole, parts))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_without_an_archive_the_method_is_labels_only(study: Path, tmp_path: Path) -> None:
    asked = request(study, tmp_path / "run", "alhvr", 4)
    listener = Listener()
    result = train(TrainRequest(labeled=asked.labeled, out=asked.out, config=asked.config), listener)
    assert read_model(result.model).description.training["settings"]["method"]["name"] == "labels-only"
    assert "There is no archive, so the method is labels-only." in listener.notes


def test_labels_only_leaves_an_archive_alone_and_says_so(study: Path, tmp_path: Path) -> None:
    listener = Listener()
    result = train(request(study, tmp_path / "run", "labels-only", 4), listener)
    assert read_model(result.model).description.training["cases"]["unlabeled"] == 0
    assert "The method labels-only does not use the 3 scans without labels." in listener.notes


def test_a_method_that_there_is_not_is_refused_before_the_data_is_read(study: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Accepted: alhvr, labels-only"):
        train(request(study / "nowhere", tmp_path / "run", "vote"), Listener())


def test_a_method_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="method.name is 'vote'.* Accepted: alhvr, labels-only"):
        build_method(MethodConfig(name="vote"), 0)


def test_another_network_trains_and_segments(study: Path, tmp_path: Path) -> None:
    result = train(request(study, tmp_path / "run", "alhvr", 60, "dynunet"), Listener())
    model = read_model(result.model)
    assert model.description.network.kind == "dynunet" and model.graph_files()
    assert dice_of(model, tmp_path) > 0.7
