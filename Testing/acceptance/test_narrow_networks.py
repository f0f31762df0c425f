"""Networks narrower than the paper's, on the whole path: trained, segmented with each backend, fine-tuned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command import Finished, alhvr
from tiny_runs import make_scan, short_run, write_scan, write_study

from alhvr.bundle.model import read_model
from alhvr.data.reading import read_label


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("narrow"))


def trained(study: Path, out: Path, width: int | None, *options: object) -> Finished:
    """Two steps; ``width`` goes into the settings file."""
    arguments = [str(part) for part in short_run(study, out, "--iterations", 2, *options)]
    config = Path(arguments[arguments.index("--config") + 1])
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"plan": values.get("plan", {}) | {"width": width}}))
    return alhvr(*arguments)


@pytest.fixture(scope="module")
def model(study: Path) -> Path:
    done = trained(study, study / "run", 4)
    assert done.code == 0, done
    assert "U-Net of 4 instead of 16 channels" in done.err
    return study / "run" / "model"


def test_the_model_says_how_wide_it_is_and_is_as_small_as_that(model: Path) -> None:
    about = read_model(model)
    assert about.description.network.width == about.description.plan.width == 4
    sizes = [path.stat().st_size for path in about.graph_files().values()]
    assert len(sizes) == 4 and sum(sizes) < 1.1e6 and about.file("models/model.pt").stat().st_size < 1.1e6


def test_every_backend_segments_alike(model: Path, tmp_path: Path) -> None:
    scan, found = write_scan(tmp_path / "one.nii.gz", make_scan(1)[0]), []
    for backend in ("onnxruntime", "torch"):
        done = alhvr("segment", "--model", model, scan, "--out", tmp_path / backend, "--backend", backend, "--regions")
        assert done.code == 0, done
        found.append(read_label(tmp_path / backend / "one.seg.nrrd").array)
    assert np.mean(found[0] != found[1]) < 1e-3


def test_fine_tuning_keeps_the_width_and_refuses_another(study: Path, model: Path, tmp_path: Path) -> None:
    done = trained(study, tmp_path / "tuned", None, "--from", model)
    assert done.code == 0, done
    assert read_model(tmp_path / "tuned" / "model").description.network.width == 4
    trained(study, tmp_path / "wide", 16, "--from", model).refused("width 16 differs from the model's 4")
