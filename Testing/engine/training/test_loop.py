"""The loop: what a stop, a full disk or a bad loss does to a run, on a study of a few tiny scans."""

from __future__ import annotations

import copy
import sys
from itertools import count
from pathlib import Path

import pytest
import torch
from tiny_cases import Listener
from tiny_loops import loop_of, never, new_run, same_end, same_weights, scored_iterations
from tiny_runs import write_study

from alhvr.core.errors import UserError
from alhvr.training import loop as room
from alhvr.training.loop import measure_statistics
from alhvr.training.run_folder import RunFolder, load_checkpoint
from alhvr.training.step import TrainingStep
from alhvr.training.validation import ValidationScore


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"), labeled=2, archive=2)


@pytest.fixture(scope="module")
def whole(study: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of four iterations that nothing disturbed."""
    run = new_run(study, tmp_path_factory.mktemp("whole") / "run")
    assert loop_of(run).train(never)
    return run


def test_an_undisturbed_run_is_scored_evenly_and_saved(whole: RunFolder) -> None:
    assert scored_iterations(whole) == [2, 4]
    state = load_checkpoint(whole.last)["loop"]
    assert state["iteration"] == 4 and state["validations"] == 2 and state["best_iteration"] in (2, 4)


def test_a_stop_while_validating_is_saved_and_validated_when_the_run_goes_on(study, whole, tmp_path: Path) -> None:
    run = new_run(study, tmp_path / "run")
    assert not loop_of(run, stop=lambda: True).train(never)
    saved = load_checkpoint(run.last)["loop"]
    assert (saved["iteration"], saved["validations"]) == (2, 0) and scored_iterations(run) == []
    assert loop_of(run).train(never)
    assert scored_iterations(run) == [2, 4] and same_end(run, whole)


def test_a_stop_between_steps_is_saved_and_the_run_goes_on_as_if_it_had_not_been(study, whole, tmp_path) -> None:
    run = new_run(study, tmp_path / "run")
    asked = iter([False] * 5 + [True])  # before each step, and before each of two batches of statistics
    assert not loop_of(run).train(lambda: next(asked))
    assert load_checkpoint(run.last)["loop"]["iteration"] == 3
    assert loop_of(run).train(never)
    assert same_end(run, whole)


def test_without_the_package_onnx_pytorch_validates_and_the_weights_are_the_same(study, whole, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    run, reporter = new_run(study, tmp_path / "run"), Listener()
    assert loop_of(run, reporter=reporter).train(never)
    assert scored_iterations(run) == [2, 4] and same_weights(run, whole)
    assert len(reporter.warnings) == 1 and "PyTorch validates instead" in reporter.warnings[0]


def test_metrics_after_the_last_checkpoint_are_made_again_not_doubled(study: Path, tmp_path: Path) -> None:
    run = new_run(study, tmp_path / "run", iterations=2, validations=1)
    assert loop_of(run).train(never)
    run.last.unlink()
    assert loop_of(run).train(never)
    assert scored_iterations(run) == [2]


def test_a_full_disk_warns_and_the_best_weights_from_before_stay_the_best(study, tmp_path, monkeypatch) -> None:
    run = new_run(study, tmp_path / "run", iterations=2, save_every_s=1e9)
    reporter = Listener()
    loop = loop_of(run, reporter=reporter)
    save = room.save_checkpoint

    def refuse_best(path: Path, state: dict) -> None:
        if path == run.best:
            raise OSError("best.pt could not be written (No space left on device)")
        save(path, state)

    monkeypatch.setattr(room, "save_checkpoint", refuse_best)
    assert loop.train(never)
    assert loop.state.best_iteration == -1 and load_checkpoint(run.last)["loop"]["iteration"] == 2
    assert all("No space left on device" in warning and "training goes on" in warning for warning in reporter.warnings)
    loop.load_best()
    assert loop.state.best_iteration == 2


def test_an_end_that_cannot_be_saved_is_an_error_that_says_how_to_go_on(study, tmp_path, monkeypatch) -> None:
    run = new_run(study, tmp_path / "run", iterations=1, validations=1)

    def refuse(path: Path, state: dict) -> None:
        raise OSError(f"{path.name} could not be written (No space left on device)")

    monkeypatch.setattr(room, "save_checkpoint", refuse)
    with pytest.raises(UserError, match=r"The last checkpoint of .* could not be written.*go on with --resume"):
        loop_of(run).train(never)


def test_a_loss_that_is_not_finite_stops_the_run_with_advice(study: Path, tmp_path: Path) -> None:
    run = new_run(study, tmp_path / "run", iterations=10, learning_rate=1e17, validations=1)
    with pytest.raises(UserError, match=r"loss is not finite at iteration 10 .*Lower training\.learning_rate"):
        loop_of(run).train(never)


def test_networks_that_give_no_numbers_when_validated_stop_the_run_with_advice(study: Path, tmp_path: Path) -> None:
    run = new_run(study, tmp_path / "run", iterations=10, learning_rate=1e17, validations=2)
    with pytest.raises(UserError, match=r"give no numbers at iteration 5: .*Lower training\.learning_rate"):
        loop_of(run).train(never)


def test_a_run_by_the_clock_ends_in_time_scored_and_with_its_progress_full(study: Path, tmp_path: Path) -> None:
    class Progress(Listener):
        seen: tuple = ()

        def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
            self.seen = (stage, done, total, seconds_left)

    run, reporter = new_run(study, tmp_path / "run", minutes=0.03, save_every_s=1e9), Progress()
    loop = loop_of(run, reporter=reporter)
    assert loop.train(never)
    assert reporter.seen == ("training (seconds)", 2, 2, 0.0)
    assert loop.state.elapsed_s >= 1.8 and loop.state.iteration >= 1 and loop.state.best_iteration >= 1


def test_a_run_by_the_clock_counts_what_its_clock_says(study: Path, tmp_path: Path) -> None:
    ticks = count()
    loop = loop_of(new_run(study, tmp_path / "run", minutes=0.1, validations=1, save_every_s=1e9))
    loop.clock = lambda: float(next(ticks))
    assert loop.train(never)
    assert loop.state.iteration <= 7 and loop.state.elapsed_s >= 6


def test_without_validation_cases_the_last_weights_are_kept(study: Path, tmp_path: Path) -> None:
    lonely = write_study(tmp_path / "study", labeled=1, archive=1)
    run = new_run(lonely, tmp_path / "run", iterations=2)
    loop = loop_of(run)
    assert loop.train(never)
    assert loop.state.best_iteration == 2 and scored_iterations(run) == []
    kept = load_checkpoint(run.best)["average"]
    assert all(torch.equal(value, kept[name]) for name, value in loop.average.model.state_dict().items())


class Scripted:
    """A validator that gives these scores one after the other: Dice of the pair, or of ("mean", "a", "b")."""

    def __init__(self, *scores: float | tuple[float, float, float]) -> None:
        self._scores = iter(scores)

    def score(self, backend: object, rules: tuple[str, ...]) -> dict[str, ValidationScore]:
        score = next(self._scores)
        values = score if isinstance(score, tuple) else (score,) * len(rules)
        return {rule: ValidationScore({"x": value}, value) for rule, value in zip(rules, values, strict=True)}


def scripted(study: Path, out: Path, *scores: float | tuple[float, float, float], archive: bool = True, **training):
    """A trained loop whose validations gave ``scores``, and what it reported."""
    run, reporter = new_run(study, out, archive=archive, iterations=len(scores), validations=len(scores),
                            **training), Listener()
    loop = loop_of(run, reporter=reporter)
    loop._validator = Scripted(*scores)
    assert loop.train(never)
    return loop, reporter


def test_where_validation_falls_less_is_learnt_from_the_archive_and_it_is_said(study: Path, tmp_path: Path) -> None:
    loop, reporter = scripted(study, tmp_path / "run", 0.5, 0.6, 0.55)
    assert loop.state.archive_share == 0.5
    assert loop.state.archive_harm == [{"iteration": 3, "best_dice": 0.6, "dice": 0.55, "share_left": 0.5}]
    assert [w for w in reporter.warnings if "may do harm" in w and "50% of their weight" in w]


def test_where_validation_stays_low_nothing_more_is_learnt_from_the_archive(study: Path, tmp_path: Path) -> None:
    loop, reporter = scripted(study, tmp_path / "run", 0.6, 0.5, 0.5, 0.5, 0.5)
    assert loop.state.archive_share == 0.0 and [h["share_left"] for h in loop.state.archive_harm] == [0.5, 0.25, 0.0]
    assert "no longer count" in reporter.warnings[-1]


def test_what_is_left_of_lambda_is_what_the_steps_get(study: Path, tmp_path: Path, monkeypatch) -> None:
    seen = []
    run = TrainingStep.run
    monkeypatch.setattr(TrainingStep, "run", lambda self, *a, weight, **k: (
        seen.append(weight), run(self, *a, weight=weight, **k))[1])
    scripted(study, tmp_path / "run", 0.6, 0.5, 0.5, 0.5, 0.5)
    assert seen[0] > 0 and seen[-1] == 0


def test_noise_in_validation_changes_nothing(study: Path, tmp_path: Path) -> None:
    loop, reporter = scripted(study, tmp_path / "run", 0.6, 0.595, 0.61)
    assert loop.state.archive_share == 1.0 and not loop.state.archive_harm and not reporter.warnings


def test_labels_alone_are_not_watched(study: Path, tmp_path: Path) -> None:
    loop, _ = scripted(study, tmp_path / "run", 0.6, 0.3, archive=False)
    assert loop.state.archive_share == 1.0 and not loop.state.archive_harm


def test_each_network_keeps_its_own_best_state_where_that_is_wanted(study: Path, tmp_path: Path) -> None:
    loop, _ = scripted(study, tmp_path / "run", (0.5, 0.6, 0.4), (0.5, 0.5, 0.5), selection="network",
                       save_every_s=0.0)
    kept, last = load_checkpoint(loop._run.best)["average"], loop.average.model.state_dict()
    alike = {name: torch.equal(value, last[name]) for name, value in kept.items() if name.endswith("conv.weight")}
    assert all(same for name, same in alike.items() if name.startswith("b."))
    assert not any(same for name, same in alike.items() if name.startswith("a."))
    assert loop.state.best_of_network == {"a": 0.6, "b": 0.5}


def test_the_kept_weights_have_statistics_of_their_own(study: Path, tmp_path: Path) -> None:
    """Measured on the last batches of the run, so that anybody can measure them again."""
    run = new_run(study, tmp_path / "run", iterations=6, validations=1, statistics_batches=2)
    loop = loop_of(run)
    assert loop.train(never)
    kept = load_checkpoint(run.best)["average"]
    networks = copy.deepcopy(loop.average.model)
    for buffer in networks.buffers():
        buffer.zero_()
    images = [loop._step.to_device(loop._batches.batch(n).images) for n in (4, 5)]
    measure_statistics((networks.a, networks.b), images)
    assert all(torch.equal(value, kept[name]) for name, value in networks.state_dict().items())


def test_running_statistics_are_kept_where_they_are_wanted(study: Path, tmp_path: Path) -> None:
    run = new_run(study, tmp_path / "run", iterations=2, validations=1, batch_norm_statistics="running", ema_decay=0.0)
    loop = loop_of(run)
    assert loop.train(never)
    kept, networks = load_checkpoint(run.best)["average"], loop._step.networks.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in networks.items())
