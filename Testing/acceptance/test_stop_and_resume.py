"""A run that is killed, stopped or doubled: it goes on to the same weights, and never runs twice in one folder."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
from pathlib import Path

import pytest
import torch
from command import Finished, Running, alhvr
from tiny_runs import short_run

from alhvr.bundle.model import read_model
from alhvr.formats.run_state import RunWatch, ask, is_asked, read_heartbeat
from alhvr.training.run_folder import load_checkpoint

ITERATIONS = 8
MANY = 100_000
"""Iterations of a run that is always stopped before its end."""


def run_of(study: Path, out: Path, iterations: int = ITERATIONS) -> list:
    """Arguments of a run that saves after every step."""
    return short_run(study, out, "--iterations", iterations, "--progress", "json", save_every_s=0.0)


def resumed(out: Path) -> list:
    return ["train", "--resume", "--out", out, "--progress", "json"]


def end_of(run: Path) -> list:
    """Weights, optimisers, mean, best and finished model, and every score on the way."""
    last, best = load_checkpoint(run / "checkpoints" / "last.pt"), load_checkpoint(run / "checkpoints" / "best.pt")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    scores = [(line["iteration"], line["mean_dice"]) for line in lines if "mean_dice" in line]
    return torch.utils._pytree.tree_leaves([last["step"], last["average"], best, read_model(run / "model").load_state(),
                                            scores])


def assert_same_end(left: Path, right: Path) -> None:
    a, b = end_of(left), end_of(right)
    assert len(a) == len(b) > 100
    assert all(torch.equal(x, y) if torch.is_tensor(x) else x == y for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def whole(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert alhvr(*run_of(study, out)).code == 0
    return out


def exists(*paths: Path):
    return lambda: all(path.exists() for path in paths)


def half_written(folder: Path, size: int):
    """Whether a file of more than ``size`` bytes is being written in ``folder``."""

    def found() -> bool:
        for path in folder.glob(".*.partial"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > size:
                    return True
        return False

    return found


def test_a_run_killed_again_and_again_ends_with_the_weights_of_one_that_was_not(study, whole, tmp_path: Path) -> None:
    out = tmp_path / "run"
    checkpoints = out / "checkpoints"
    moments = {
        "before the first checkpoint": exists(out / "run.json"),
        "within the first checkpoint": half_written(checkpoints, 1000),
        "within a later one": lambda: exists(checkpoints / "last.pt")() and half_written(checkpoints, 20_000_000)(),
        "after one": lambda: not half_written(checkpoints, 0)(),
        "at the first best weights": exists(checkpoints / "best.pt"),
        "within the model": exists(out / ".model.partial"),
    }
    hit = []
    for what, moment in moments.items():
        running = Running(tuple(resumed(out) if hit else run_of(study, out)))
        if running.reaches(moment):
            running.kill()
            hit.append(what)
            assert not (out / "model").exists()
    assert len(hit) >= 4, hit
    done = alhvr(*resumed(out))
    assert done.code == 0 and done.texts("warning") == ""
    assert_same_end(out, whole)
    assert not list(out.rglob("*.partial"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, "pause"])
def test_a_stop_saves_ends_with_130_and_prints_the_command_to_go_on(study, whole, tmp_path, how) -> None:
    out = tmp_path / "my run's"
    running = Running(tuple(run_of(study, out)))
    running.wait_until(exists(out / "checkpoints" / "last.pt"), "the first checkpoint")
    ask(out, how) if how == "pause" else running.send(how)
    stopped = running.finish()
    assert stopped.code == 130 and stopped.events[-1] == {"event": "finished", "cancelled": True}
    assert RunWatch(out).look().state == "paused" and not is_asked(out, "pause")
    assert not (out / "model").exists()
    (line,) = [e["message"] for e in stopped.events if "Go on with: " in e.get("message", "")]
    assert line.startswith("Stopped after iteration ") and "everything is saved" in line
    program, *arguments = shlex.split(line.partition("Go on with: ")[2])
    assert program == "alhvr"
    if how != signal.SIGINT:
        assert alhvr(*arguments).code == 0 and RunWatch(out).look().state == "finished"
        assert_same_end(out, whole)


def test_a_run_that_mixes_images_and_was_stopped_ends_as_one_that_was_not(study: Path, tmp_path: Path) -> None:
    runs = [(tmp_path / name, [*run_of(study, tmp_path / name), "--preset", "mixed"]) for name in ("whole", "stopped")]
    (whole, arguments), (out, same) = runs
    assert alhvr(*arguments).code == 0
    running = Running(tuple(same))
    running.wait_until(exists(out / "checkpoints" / "best.pt"), "a validation, after steps with mixed images")
    running.kill()
    assert alhvr(*resumed(out)).code == 0
    assert_same_end(out, whole)


def test_a_second_ctrl_c_ends_at_once_and_says_how_to_go_on(study: Path, tmp_path: Path) -> None:
    running = Running(tuple(run_of(study, tmp_path / "run", MANY)))
    running.wait_until(exists(tmp_path / "run" / "checkpoints" / "last.pt"), "the first checkpoint")
    running.send(signal.SIGINT)
    running.send(signal.SIGINT)
    stopped = running.finish()
    assert stopped.code == 130 and "Go on with: alhvr train --resume --out " in stopped.texts("note")


def test_a_run_that_is_asked_to_finish_keeps_its_best_so_far_and_can_be_gone_on_with(study, tmp_path: Path) -> None:
    out = tmp_path / "run"
    running = Running(tuple(run_of(study, out, MANY)))
    running.wait_until(exists(out / "checkpoints" / "last.pt"), "the first checkpoint")
    ask(out, "finish")
    done = running.finish()
    assert done.code == 0 and "as asked" in done.texts("note") and done.events[-1]["model"] == str(out / "model")
    record = read_model(out / "model").description.training
    assert 1 <= record["iterations"] < MANY and record["validation_dice"]["mean"] >= 0
    assert RunWatch(out).look().state == "finished" and not is_asked(out, "finish")
    again = Running(tuple(resumed(out)))
    again.wait_until(lambda: load_checkpoint(out / "checkpoints" / "last.pt")["loop"]["iteration"]
                     > record["iterations"], "a further step")
    ask(out, "pause")
    assert again.finish().code == 130 and RunWatch(out).look().state == "paused"


def test_what_is_asked_while_the_data_are_checked_is_done_before_anything_is_learnt(study, tmp_path: Path) -> None:
    running = Running(tuple(run_of(study, tmp_path / "run", MANY)))
    running.wait_until(exists(tmp_path / "run" / "heartbeat.json"), "the first heartbeat")
    ask(tmp_path / "run", "finish")
    done = running.finish()
    assert done.code == 130 and not (tmp_path / "run" / "checkpoints" / "best.pt").exists()
    assert RunWatch(tmp_path / "run").look().state == "paused"


def test_a_run_that_is_killed_is_lost_and_one_that_is_stopped_for_a_while_runs(study, tmp_path: Path) -> None:
    out, running = tmp_path / "run", Running(tuple(run_of(study, tmp_path / "run", MANY)))
    running.wait_until(exists(out / "checkpoints" / "last.pt"), "the first checkpoint")
    running.send(signal.SIGSTOP)
    assert RunWatch(out).look().state == "running"
    running.send(signal.SIGCONT)
    running.kill()
    assert RunWatch(out).look().state == "lost" and read_heartbeat(out).state == "running"


def test_a_second_run_on_the_same_folder_is_refused_and_the_first_goes_on(study: Path, tmp_path: Path) -> None:
    first = Running(tuple(run_of(study, tmp_path / "run", MANY)))
    first.wait_until(exists(tmp_path / "run" / "checkpoints" / "last.pt"), "the first checkpoint")
    for again in (run_of(study, tmp_path / "run"), resumed(tmp_path / "run")):
        alhvr(*again).refused(f"Another training is running in {tmp_path}", "choose another --out folder")
    assert read_heartbeat(tmp_path / "run").pid == first.process.pid
    first.send(signal.SIGTERM)
    assert first.finish().code == 130


def test_a_finished_run_is_not_overwritten_and_can_be_finished_again(study: Path, whole: Path) -> None:
    before = end_of(whole)
    alhvr(*run_of(study, whole)).refused("already holds a run", "--resume")
    assert RunWatch(whole).look().state == "finished"
    again = alhvr(*resumed(whole))
    assert again.code == 0 and again.events[-1]["model"] == str(whole / "model")
    assert all(torch.equal(x, y) if torch.is_tensor(x) else x == y for x, y in zip(before, end_of(whole), strict=True))


def test_there_must_be_a_run_to_resume(tmp_path: Path) -> None:
    alhvr("train", "--resume", "--out", tmp_path / "none").refused("none holds no run to resume")
    assert not (tmp_path / "none").exists()


def test_resuming_with_other_settings_keeps_the_runs_own_and_says_so(study: Path, whole: Path) -> None:
    done: Finished = alhvr(*resumed(whole), "--iterations", 5)
    assert done.code == 0
    assert f"ignored: training.iterations 5 (the run has {ITERATIONS})" in done.texts("warning")
