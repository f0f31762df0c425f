"""Two channels from files to results: T1 shows nothing, FLAIR shows all, and both lie on grids of their own."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from command import Finished, Running, alhvr
from tiny_runs import NAMES, SHAPE, make_scan, short_run, write_scan

from alhvr.bundle.model import graph_names, read_model
from alhvr.data.geometry import Geometry
from alhvr.data.reading import probe, read_label
from alhvr.training.run_folder import load_checkpoint


def write_pair(folder: Path, name: str, seed: int, *, finer: bool = False) -> np.ndarray:
    """T1 of noise and FLAIR of structures, the latter on a ``finer`` grid where wanted; returns the label."""
    image, label = make_scan(seed)
    noise = np.random.default_rng(1000 + seed).normal(100, 8, SHAPE).astype(np.float32)
    write_scan(folder / f"{name}_0000.nii.gz", noise)
    flair = folder / f"{name}_0001.nii.gz"
    write_scan(flair, image)
    if finer:
        grid, halves = probe(flair).geometry, np.diag([0.5, 0.5, 1.0, 1.0])
        halves[:2, 3] = -0.25
        doubled = SimpleITK.GetImageFromArray(image.repeat(2, axis=1).repeat(2, axis=2))
        Geometry.from_affine((64, 64, 4), grid.affine_lps @ halves).stamp(doubled)
        SimpleITK.WriteImage(doubled, str(flair))
    return label


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    for index in range(4):
        label = write_pair(folder / "labeled" / "images", f"case{index}", index, finer=index == 1)
        write_scan(folder / "labeled" / "labels" / f"case{index}.nii.gz", label)
    (folder / "labeled" / "labels.json").write_text(json.dumps(NAMES))
    (folder / "labeled" / "cases.json").write_text('{"channels": ["T1", {"name": "FLAIR", "modality": "MR"}]}')
    for index in range(3):
        write_pair(folder / "archive", f"scan{index}", 100 + index)
    (folder / "archive" / "scan2_0001.nii.gz").unlink()
    return folder


@pytest.fixture(scope="module")
def learnt(study: Path) -> tuple[Path, Finished]:
    done = alhvr(*short_run(study, study / "run", "--iterations", 60, "--progress", "json"))
    assert done.code == 0, done.err
    return study / "run", done


def test_what_only_the_second_channel_shows_is_learnt(learnt, tmp_path: Path) -> None:
    label = write_pair(tmp_path, "new", 700, finer=True)
    done = alhvr("segment", tmp_path / "new_0000.nii.gz", "--model", learnt[0] / "model", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    found = read_label(tmp_path / "out" / "new.seg.nrrd")
    assert found.geometry.difference(probe(tmp_path / "new_0000.nii.gz").geometry, tolerance_mm=1e-4) == ""
    for value in (1, 3):
        dice = 2 * np.sum((found.array == value) & (label == value)) / np.sum(
            (found.array == value).astype(int) + (label == value))
        assert dice > 0.7


def test_the_model_knows_its_channels(learnt) -> None:
    model = read_model(learnt[0] / "model")
    about = model.description
    assert [(channel.name, channel.modality) for channel in about.plan.channels] == [("T1", "MR"), ("FLAIR", "MR")]
    assert about.network.in_channels == 2 and set(model.graph_files()) == set(graph_names(("a", "b")))
    assert "| NAME_0001 | FLAIR | MR | zscore |" in model.card()
    metadata = json.loads((learnt[0] / "model" / "configs" / "metadata.json").read_text())
    image = metadata["network_data_format"]["inputs"]["image"]
    assert (image["num_channels"], image["channel_def"]) == (2, {"0": "T1", "1": "FLAIR"})


def test_the_plan_the_other_grid_and_the_scan_without_a_channel_are_told(learnt) -> None:
    told = learnt[1].texts("warning")
    assert "In 1 case of 6, FLAIR lies on another grid than the first channel and is resampled to it; in case1:" in told
    assert "Each scan has 2 channels (T1, FLAIR). T1: " in learnt[1].texts("note")
    assert 'case "scan2" lacks the channel scan2_0001.nii.gz (FLAIR)' in learnt[1].texts("warning")


def test_a_run_of_two_channels_stopped_and_resumed_ends_with_the_same_weights(study, tmp_path: Path) -> None:
    def run_of(out: Path) -> list:
        return short_run(study, out, "--iterations", 6, "--progress", "json", save_every_s=0.0, validations=1)

    assert alhvr(*run_of(tmp_path / "whole")).code == 0
    running = Running(tuple(run_of(tmp_path / "stopped")))
    running.wait_until(lambda: (tmp_path / "stopped" / "checkpoints" / "last.pt").exists(), "the first checkpoint")
    running.send(signal.SIGTERM)
    running.finish()
    assert alhvr("train", "--resume", "--out", tmp_path / "stopped").code == 0
    ends = [torch.utils._pytree.tree_leaves(load_checkpoint(tmp_path / name / "checkpoints" / "last.pt")["step"])
            for name in ("whole", "stopped")]
    assert all(torch.equal(a, b) if torch.is_tensor(a) else a == b for a, b in zip(*ends, strict=True))


def test_fine_tuning_on_one_channel_is_refused_with_both_lists(study, learnt, tmp_path: Path) -> None:
    shutil.copytree(study / "labeled", tmp_path / "labeled")
    (tmp_path / "labeled" / "cases.json").unlink()
    for path in (tmp_path / "labeled" / "images").glob("*_0001.nii.gz"):
        path.unlink()
    write_scan(tmp_path / "archive" / "scan0.nii.gz", make_scan(5)[0])
    done = alhvr(*short_run(tmp_path, tmp_path / "run", "--from", learnt[0] / "model", "--iterations", 5))
    assert done.code == 2 and "have 1 channel; the model Liver and spleen in MR has 2 channels (T1, FLAIR)" in done.err


def test_a_labelled_case_without_a_channel_stops_before_training(study, tmp_path: Path) -> None:
    shutil.copytree(study / "labeled", tmp_path / "labeled")
    (tmp_path / "labeled" / "images" / "case3_0001.nii.gz").unlink()
    shutil.copytree(study / "archive", tmp_path / "archive")
    done = alhvr(*short_run(tmp_path, tmp_path / "run", "--iterations", 5))
    assert done.code == 2 and 'case "case3" lacks the channel case3_0001.nii.gz (FLAIR)' in done.out + done.err
