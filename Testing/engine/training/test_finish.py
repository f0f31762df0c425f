"""The end of a run: the way to segment that scored best is kept in the model, with an honest record."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_cases import LABELS, Listener, tiny_plan

from alhvr.bundle.model import InferenceSettings, read_model
from alhvr.config import MethodConfig, RunConfig, SegmentingConfig, TrainingConfig
from alhvr.data.cases import Case
from alhvr.networks.group import NetworkGroup
from alhvr.networks.onnx_export import export_networks
from alhvr.training import checked_graphs
from alhvr.training.device import Compute
from alhvr.training.finish import FinishedModel, finish_model, summary
from alhvr.training.loop_state import LoopState
from alhvr.training.run_folder import RunFolder
from alhvr.training.setup import RunSetup
from alhvr.training.validation import CLEANED, ValidationScore

CASES = tuple(Case(name, Path(f"/{name}.nrrd"), Path(f"/{name}-label.nrrd")) for name in ("Jane Doe", "b", "c"))


class Scored:
    """Stands for a validator whose scores are known: rule -> mean Dice; cleaned rules score the same unless given."""

    def __init__(self, **means: float) -> None:
        self.means = {"a": 0.5, "b": 0.5, **means}
        self.ran_with: list[str] = []

    def score(self, backend, rules, *, cleaned: bool) -> dict[str, ValidationScore]:
        self.ran_with.append(backend.name)
        names = [*rules, *(rule + CLEANED for rule in rules if cleaned)]
        means = {name: self.means.get(name, self.means[name.removesuffix(CLEANED)]) for name in names}
        return {name: ValidationScore({"liver": mean, "spleen": mean}, mean) for name, mean in means.items()}


def setup_of(**segmenting) -> RunSetup:
    config = RunConfig(method=MethodConfig(beta=0.7, temperature=0.2), training=TrainingConfig(seed=5),
                       segmenting=SegmentingConfig(**segmenting))
    hashes = {"labeled/Jane Doe": "1", "validation/b": "2", "unlabeled/c": "3"}
    return RunSetup(config=config, plan=tiny_plan(2, (16, 16)), labels=LABELS, compute=Compute("cpu", "fp32", 1),
                    labeled=CASES[:1], validation=CASES[1:2], unlabeled=CASES[2:], hashes=hashes, held_out=True,
                    start_from=None)


def finish(tmp_path: Path, validator: Scored | None, *, reporter: Listener | None = None, networks=None,
           **segmenting) -> FinishedModel:
    state = LoopState(iteration=40, elapsed_s=90.0, best_iteration=30)
    return finish_model(setup_of(**segmenting), networks or NetworkGroup("unet", 2, 3), validator,
                        RunFolder(tmp_path / "run"), state, reporter or Listener())


def test_competition_is_kept_where_it_scores_better_than_the_mean(tmp_path: Path) -> None:
    found = finish(tmp_path, Scored(mean=0.8, competition=0.81))
    assert found.settings.fusion == "competition" and found.scores == {"liver": 0.81, "spleen": 0.81, "mean": 0.81}
    assert read_model(tmp_path / "run" / "model").description.inference == InferenceSettings(
        fusion="competition", mirror=False, largest_component=False, beta=0.7, perturbation_seed=5, temperature=0.2)


@pytest.mark.parametrize("network", ["a", "b"])
def test_one_network_is_kept_where_it_scores_best(tmp_path: Path, network: str) -> None:
    found = finish(tmp_path, Scored(**{"mean": 0.8, "competition": 0.8, network: 0.83}))
    assert found.settings.fusion == network and found.scores["mean"] == 0.83


def test_a_way_that_is_hardly_better_than_the_mean_is_not_chosen(tmp_path: Path) -> None:
    assert finish(tmp_path, Scored(mean=0.8, competition=0.801, a=0.8015)).settings.fusion == "mean"


def test_the_mean_is_kept_where_both_score_alike(tmp_path: Path) -> None:
    assert finish(tmp_path, Scored(mean=0.8, competition=0.8)).settings.fusion == "mean"


@pytest.mark.parametrize(("gain", "kept"), [(0.01, True), (0.0005, False), (-0.1, False)])
def test_the_largest_component_is_kept_only_where_it_clearly_helps(tmp_path: Path, gain: float, kept: bool) -> None:
    found = finish(tmp_path, Scored(mean=0.8, competition=0.7, **{"mean" + CLEANED: 0.8 + gain}))
    assert found.settings.largest_component is kept
    assert found.scores["mean"] == pytest.approx(0.8 + gain if kept else 0.8)


def test_what_the_user_chose_is_not_overruled(tmp_path: Path) -> None:
    wish = {"fusion": "competition", "largest_component": "on", "mirror": True}
    found = finish(tmp_path, Scored(mean=0.9, competition=0.5), **wish)
    kept = found.settings
    assert (kept.fusion, kept.largest_component, kept.mirror) == ("competition", True, True)
    assert found.scores["mean"] == 0.5


def test_without_validation_the_plain_mean_is_kept_unscored(tmp_path: Path) -> None:
    found = finish(tmp_path, None)
    assert found.settings.fusion == "mean" and not found.settings.largest_component and found.scores == {}


def test_the_record_holds_hashes_scores_and_versions_but_no_names(tmp_path: Path) -> None:
    finish(tmp_path, Scored(mean=0.8, competition=0.7))
    record = read_model(tmp_path / "run" / "model").description.training
    assert record["case_hashes"] == {"labeled": ["1"], "unlabeled": ["3"], "validation": ["2"]}
    assert record["cases"] == {"labeled": 1, "unlabeled": 1, "validation": 1} and record["validation_was_set_aside"]
    assert (record["seed"], record["iterations"], record["best_iteration"], record["minutes"]) == (5, 40, 30, 1.5)
    assert record["validation_dice_by_way"]["a"] == 0.5 and {"alhvr", "torch", "monai"} <= record["versions"].keys()
    files = [path for path in (tmp_path / "run" / "model").rglob("*") if path.is_file()]
    assert len(files) > 5 and not any(b"Jane" in file.read_bytes() for file in files)


def test_a_model_is_named_after_its_structures_or_as_the_user_says_and_never_after_a_folder(tmp_path: Path) -> None:
    def name(folder: str, wish: str | None) -> str:
        setup = replace(setup_of(), config=replace(setup_of().config, name=wish), start_from=str(tmp_path / "Jane Doe"))
        run = RunFolder(tmp_path / folder)
        finish_model(setup, NetworkGroup("unet", 2, 3), None, run, LoopState(iteration=1), Listener())
        files = [path for path in run.model.rglob("*") if path.is_file()]
        assert len(files) > 5 and not any(b"Jane" in path.read_bytes() for path in files)
        return read_model(run.model).description.name

    assert name("Jane Doe", None) == "Liver and spleen in MR"
    assert name("Jane Doe 2", "Trial of May") == "Trial of May"


def test_the_model_has_its_networks_as_onnx_and_is_scored_with_them(tmp_path: Path) -> None:
    validator, reporter = Scored(mean=0.8, competition=0.7), Listener()
    finish(tmp_path, validator, reporter=reporter)
    assert len(read_model(tmp_path / "run" / "model").graph_files()) == 4 and reporter.warnings == []
    assert validator.ran_with[0] in ("openvino", "onnxruntime")


def test_without_the_package_onnx_the_model_is_whole_but_for_its_graphs_and_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    validator, reporter, networks = Scored(mean=0.8, competition=0.7), Listener(), NetworkGroup("unet", 2, 3)
    found = finish(tmp_path, validator, reporter=reporter, networks=networks)
    model = read_model(tmp_path / "run" / "model")
    assert model.graph_files() == {} and found.scores["mean"] == 0.8 and validator.ran_with == ["torch"]
    assert torch.equal(model.load_state()["b"]["head.weight"], networks.b.head.weight)
    assert len(reporter.warnings) == 1
    for part in ("onnx is not installed", "pip install onnx", "written without ONNX files", "needs PyTorch",
                 f"add_graphs({str(tmp_path / 'run' / 'model')!r})"):
        assert part in reporter.warnings[0]


def test_graphs_that_are_wrong_are_left_out_and_pytorch_scores(tmp_path: Path, monkeypatch) -> None:
    other = export_networks(NetworkGroup("unet", 2, 3))
    monkeypatch.setattr(checked_graphs, "export_networks", lambda networks: other)
    validator, reporter = Scored(mean=0.8, competition=0.7), Listener()
    finish(tmp_path, validator, reporter=reporter)
    assert read_model(tmp_path / "run" / "model").graph_files() == {} and validator.ran_with == ["torch"]
    assert "differ from PyTorch" in reporter.warnings[0]


def test_the_summary_names_best_iteration_scores_and_the_way_to_segment() -> None:
    settings = InferenceSettings(fusion="competition", largest_component=True)
    said = summary(FinishedModel(settings, {"liver": 0.9, "mean": 0.9}), LoopState(iteration=40, best_iteration=30))
    assert said == ["Best after iteration 30 of 40: validation Dice liver 0.900, mean 0.900.",
                    "The model segments by the more confident network, voxel by voxel, keeping the largest part of "
                    "each structure."]


def test_the_summary_says_when_there_was_nothing_to_score_on() -> None:
    said = summary(FinishedModel(InferenceSettings(), {}), LoopState(iteration=40, best_iteration=40))
    assert said[0] == "Kept as it is after iteration 40; there were no validation cases to score it on."


def test_the_summary_of_a_method_with_one_network_speaks_of_no_other() -> None:
    said = summary(FinishedModel(InferenceSettings(), {}, n_networks=1), LoopState(iteration=4, best_iteration=4))
    assert said[1] == "The model segments by its one network."
