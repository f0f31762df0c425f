"""For the tests of the Slicer modules: a model that the engine has trained, scans in the scene, and waiting."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import shared_data

from alhvr.phantom.sample import SEED, unpack_model
from alhvr.phantom.study import make_phantom

ATRIUM_RUN = {
    "plan": {"dimensions": 2, "patch_size": [48, 64], "target_spacing_mm": [3, 3, 3], "batch_size": 8, "width": 8},
    "training": {"iterations": 120, "validations": 3, "learning_rate": 0.05, "precision": "fp32"},
}
"""Half a minute of training that finds the left atrium, if roughly."""
ATRIUM_CASES = 5
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def train_atrium(folder: pathlib.Path) -> pathlib.Path:
    """A model folder, trained by the engine on a few real scans; skips aloud without them or PyTorch."""
    pytest.importorskip("torch", reason="training needs PyTorch")
    scans = atrium_scans()[:ATRIUM_CASES]
    for kind in ("images", "labels"):
        (folder / "cases" / kind).mkdir(parents=True)
        for scan in scans:
            shutil.copy(scan.parents[1] / kind / scan.name, folder / "cases" / kind)
    (folder / "cases" / "labels.json").write_text(json.dumps({"1": "left atrium"}))
    (folder / "config.json").write_text(json.dumps(ATRIUM_RUN))
    alhvr("train", "--labeled", folder / "cases", "--out", folder / "run", "--config", folder / "config.json")
    return folder / "run" / "model"


def atrium_scans() -> list[pathlib.Path]:
    """The real scans of the left atrium; the first few are those that train_atrium learns from."""
    return sorted(shared_data("left-atrium", "images").glob("*.nii.gz"))


def alhvr(*arguments: object) -> str:
    """Run the command as a user does; its output."""
    command = [sys.executable, "-m", "alhvr", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(model: pathlib.Path, name: str) -> pathlib.Path:
    """Put a model among those of the user."""
    from ALHVRLib import paths

    target = paths.models_folder() / name
    shutil.copytree(model, target)
    return target


def install_sample_model(name: str = "sample") -> pathlib.Path:
    """Put the small model that ships with the engine among those of the user."""
    from ALHVRLib import paths

    return unpack_model(paths.models_folder() / name).folder


def generated_scan(number: int = 0) -> Any:
    """A generated scan as a volume of the scene, where it lies in the patient."""
    import slicer

    scan = make_phantom(SEED, number).scan
    lps_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    return slicer.util.addVolumeFromArray(scan.array.astype(np.int16), lps_to_ras @ scan.geometry.affine_lps, "CT")


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> float:
    """Let Qt work until something is the case; the seconds that it took. Fails when it never is."""
    import slicer

    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        slicer.app.processEvents()
        time.sleep(0.01)
    return time.monotonic() - began
