"""The seam for methods: each one trains, resumes, is kept as a model and segments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_cases import Listener
from tiny_loops import same_weights
from tiny_runs import make_scan, write_scan, write_study

from alhvr.bundle.model import Model, read_model
from alhvr.config import MethodConfig, PlanConfig, RunConfig, TrainingConfig
from alhvr.core.errors import UserError
from alhvr.data.reading import read_scan
from alhvr.evaluation.metrics import dice_by_class
from alhvr.inference.run import SegmentRequest, segment
from alhvr.methods.registry import METHODS, build_method
from alhvr.training.run import TrainRequest, train
from alhvr.training.run_folder import RunFolder, load_checkpoint

NEW = [name for name in METHODS if name not in {"alhvr", "labels-only"}]
"""The other tests train with these two."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"))


def request(study: Path, out: Path, name: str, iterations: int = 4, *, network: str | None = None,
            width: int = 2) -> TrainRequest:
    training = TrainingConfig(iterations=iterations, validations=2, threads=1, precision="fp32", device="cpu")
    plan = PlanConfig(patch_size=(32, 32), batch_size=4, width=width, network=network)
    config = RunConfig(method=MethodConfig(name=name), training=training, plan=plan)
    return TrainRequest(labeled=study / "labeled", unlabeled=study / "archive", out=out, config=config)


def segment_new(model: Model, folder: Path) -> float:
    """Mean Dice of a new scan, segmented with the real engine, regions included."""
    image, label = make_scan(500)
    scan = write_scan(folder / "new.nii.gz", image)
    segment(SegmentRequest(model.folder, (scan,), folder / "out", regions=True, file_format="nii.gz"), Listener())
    found = read_scan(folder / "out" / "new.nii.gz").array
    assert {path.name for path in (folder / "out").iterdir()} >= {"new.regions.nrrd", "new.teacher.nrrd"}
    indices = np.select([found == 1, found == 3], [1, 2])
    return float(np.mean(dice_by_class(indices, np.select([label == 1, label == 3], [1, 2]), 3)))


@pytest.mark.parametrize("name", NEW)
def test_a_method_trains_is_kept_and_segments(study: Path, tmp_path: Path, name: str) -> None:
    result = train(request(study, tmp_path / "run", name), Listener())
    model = read_model(result.model)
    assert model.description.network.names == METHODS[name].predicting
    assert model.description.training["settings"]["method"]["name"] == name
    assert set(model.load_state()) == set(METHODS[name].predicting) and len(model.graph_files()) > 1
    segment_new(model, tmp_path)


def test_a_run_with_an_autoencoder_and_a_teacher_that_was_stopped_ends_as_one_that_was_not(study: Path, tmp_path: Path,
                                                                                           ) -> None:
    whole = train(request(study, tmp_path / "whole", "aau", 6), Listener())
    asked = request(study, tmp_path / "parts", "aau", 6)

    class Stopping(Listener):
        def metrics(self, iteration: int, **values: object) -> None:
            if "mean_dice" in values:
                raise KeyboardInterrupt

    with pytest.raises(Exception, match="Go on with"):
        train(asked, Stopping())
    train(TrainRequest(labeled=None, out=asked.out, config=asked.config, resume=True), Listener())
    assert same_weights(RunFolder(whole.run), RunFolder(asked.out))


def test_a_model_of_another_method_is_where_a_method_with_a_second_decoder_may_begin(study: Path, tmp_path: Path,
                                                                                     ) -> None:
    before = train(request(study, tmp_path / "before", "mean-teacher", 1), Listener())
    asked = replace(request(study, tmp_path / "run", "mlrp", 1), start_from=before.model)
    train(asked, Listener())
    weights = load_checkpoint(RunFolder(asked.out).last)["step"]["networks"]
    old = read_model(before.model).load_state()["student"]
    assert (weights["a.encoder.0.first.conv.weight"] - old["encoder.0.first.conv.weight"]).abs().max() < 0.1


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
    with pytest.raises(UserError, match="Accepted: alhvr, labels-only, supervised"):
        train(request(study / "nowhere", tmp_path / "run", "vote"), Listener())


def test_a_method_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="method.name is 'vote'.* Accepted: alhvr, labels-only, supervised"):
        build_method(MethodConfig(name="vote"), 0)


def test_another_network_trains_and_segments(study: Path, tmp_path: Path) -> None:
    result = train(request(study, tmp_path / "run", "alhvr", 60, network="dynunet", width=8), Listener())
    model = read_model(result.model)
    assert model.description.network.kind == "dynunet" and model.graph_files()
    assert segment_new(model, tmp_path) > 0.7
