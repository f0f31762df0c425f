"""A run whose folder is taken away, or filled with what is no run: one line, and nothing is said to be saved."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from command import Running, alhvr
from tiny_runs import short_run


def test_a_run_folder_that_is_removed_during_training_ends_the_run_with_one_line(study: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    running = Running(tuple(short_run(study, run, "--iterations", 100_000, "--progress", "json", save_every_s=0.0)))
    running.wait_until((run / "checkpoints" / "last.pt").exists, "the first checkpoint")
    shutil.rmtree(run, ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)
    if running.process.is_alive():
        running.send(signal.SIGTERM)
    done = running.finish()
    done.refused("run was removed during the training", "Start the training again.")
    assert "saved" not in done.out + done.err and not run.exists()


def test_links_in_a_run_folder_are_not_written_through(study: Path, tmp_path: Path) -> None:
    precious, run = tmp_path / "precious", tmp_path / "run"
    precious.write_text("precious")
    run.mkdir()
    guessed = (".check.json.partial", ".check.html.partial", ".run.json.part", ".metrics.part")
    for name in (*guessed, "check.json", "check.html"):
        (run / name).symlink_to(precious)
    assert alhvr(*short_run(study, run, "--iterations", 2)).code == 0
    assert precious.read_text() == "precious"
    (run / "log.txt").unlink()
    (run / "log.txt").symlink_to(precious)
    alhvr("train", "--resume", "--out", run).refused("log.txt is a link, or no file", "choose another --out folder")
    assert precious.read_text() == "precious"
