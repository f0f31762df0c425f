"""The light install: segmenting, scoring and describing run where nothing else is installed, and load little."""

from __future__ import annotations

import json
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import numpy as np
import pytest
from command import Finished, alhvr
from dicom_files import write_series
from light_install import make_light_python, run_light
from tiny_runs import OBLIQUE, make_scan, short_run, write_scan, write_study

from alhvr.data.reading import probe, read_label

TRAIN = ("torch", "monai", "scipy", "psutil", "filelock")
SEGMENTING = {"alhvr", "numpy", "SimpleITK", "onnxruntime"}
"""All that segmenting a NIfTI scan may load."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def model(study: Path) -> Path:
    """A model as ``alhvr train`` leaves it, after two steps."""
    done = alhvr(*short_run(study, study / "run", "--iterations", 2, "--progress", "json", validations=1))
    assert done.code == 0, done
    return study / "run" / "model"


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the light install only."""
    return make_light_python(tmp_path_factory.mktemp("light") / "venv")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_scan(tmp_path / "one.nii.gz", make_scan(1)[0])


def light_alhvr(light: Path, *arguments: object) -> Finished:
    return run_light(light, "-m", "alhvr", *arguments)


@pytest.mark.parametrize("name", [*TRAIN, "matplotlib", "onnx", "openvino"])
def test_the_light_install_has_nothing_for_training(light: Path, name: str) -> None:
    assert f"No module named '{name}'" in run_light(light, "-c", f"import {name}").err


def test_an_archive_is_ranked(light: Path, model: Path, study: Path, tmp_path: Path) -> None:
    done = light_alhvr(light, "rank", study / "archive", "--model", model, "--known", study / "labeled", "--out",
                       tmp_path / "ranking.json", "--progress", "json")
    assert done.code == 0, done
    assert len(json.loads((tmp_path / "ranking.json").read_text())["scans"]) == 3


def test_a_scan_is_segmented_as_in_the_full_install(light, model, scan, tmp_path: Path) -> None:
    done = light_alhvr(light, "segment", "--model", model, scan, "--out", tmp_path / "light", "--regions",
                       "--progress", "json")
    assert done.code == 0, done
    assert done.events[-1]["event"] == "finished" and not done.texts("warning")
    full = alhvr("segment", "--model", model, scan, "--out", tmp_path / "full", "--backend", "onnxruntime")
    assert full.code == 0, full
    ours, theirs = (read_label(tmp_path / folder / "one.seg.nrrd") for folder in ("light", "full"))
    assert ours.geometry.difference(probe(scan).geometry, tolerance_mm=1e-4) == ""
    assert np.array_equal(ours.array, theirs.array)


def test_a_person_gets_the_result_too(light: Path, model: Path, scan: Path, tmp_path: Path) -> None:
    done = light_alhvr(light, "segment", "--model", model, scan, "--out", tmp_path / "out", "--format", "nii.gz")
    assert done.code == 0 and (tmp_path / "out" / "one.nii.gz").exists(), done


def test_a_dicom_series_becomes_a_dicom_segmentation(light: Path, model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "series", make_scan(1)[0].astype(np.int16), OBLIQUE)
    done = light_alhvr(light, "segment", "--model", model, tmp_path / "series", "--out", tmp_path / "out",
                       "--dicom-seg")
    assert done.code == 0 and (tmp_path / "out" / "series.seg.dcm").exists(), done


def test_predictions_are_scored_in_millimetres(light: Path, study: Path, tmp_path: Path) -> None:
    labels = study / "labeled" / "labels"
    done = light_alhvr(light, "evaluate", "--predictions", labels, "--reference", labels, "--out", tmp_path / "s.json")
    assert done.code == 0 and '"dice": 1.0' in (tmp_path / "s.json").read_text(), done


def test_a_model_is_described(light: Path, model: Path) -> None:
    done = light_alhvr(light, "describe", model)
    assert done.code == 0 and "liver" in done.out


def test_data_is_checked_without_a_forecast(light: Path, study: Path, tmp_path: Path) -> None:
    done = light_alhvr(light, "check", "--labeled", study / "labeled", "--out", tmp_path / "check.json")
    assert done.code == 0 and (tmp_path / "check.html").exists(), done
    assert "There is no forecast" in done.err and "pip install 'alhvr[train]'" in done.err


@pytest.mark.parametrize(("command", "names"), [("train", TRAIN), ("demo", (*TRAIN, "matplotlib"))])
def test_what_needs_more_says_in_one_line_what_to_install(light: Path, command: str, names: tuple[str, ...],
                                                          tmp_path: Path) -> None:
    done = light_alhvr(light, command, "--out", tmp_path / "out")
    done.refused(f"alhvr {command} needs packages that are not installed: {', '.join(names)}. ",
                 "pip install 'alhvr[train]'")
    assert not (tmp_path / "out").exists()


def test_the_sample_needs_nothing_more_than_scipy(light: Path, tmp_path: Path) -> None:
    light_alhvr(light, "sample", "--out", tmp_path / "none").refused(
        "alhvr sample needs a package that is not installed: scipy. Install it: pip install scipy.")
    assert not (tmp_path / "none").exists()
    site = tmp_path / "site"
    site.mkdir()
    for name in {file.parts[0] for file in distribution("scipy").files} - {"..", "__pycache__"}:
        (site / name).symlink_to(distribution("scipy").locate_file(name))
    program = f"import sys; sys.path.append({str(site)!r}); import alhvr.cli; sys.exit(alhvr.cli.main(sys.argv[1:]))"
    done = run_light(light, "-c", program, "sample", "--out", tmp_path / "out", "--progress", "json")
    assert done.code == 0, done
    kinds = [event["kind"] for event in done.events if event["event"] == "artifact"]
    assert kinds == ["scan"] * 3 + ["labels", "model"] and done.events[-1]["event"] == "finished"


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_backend_that_is_not_there_is_refused(light, model, scan, tmp_path: Path, backend: str) -> None:
    done = light_alhvr(light, "segment", "--model", model, scan, "--out", tmp_path / "out", "--backend", backend)
    done.refused("is not installed", "pip install")


def test_segmenting_loads_no_package_that_it_does_not_need(model: Path, scan: Path, tmp_path: Path) -> None:
    arguments = ["segment", "--model", model, scan, "--out", tmp_path / "out", "--backend", "onnxruntime",
                 "--progress", "json"]
    program = (f"import sys, alhvr.cli\ncode = alhvr.cli.main({[str(a) for a in arguments]})\n"
               "print(code, *{name.split('.')[0] for name in sys.modules}, file=sys.stderr)")
    code, *loaded = run_light(Path(sys.executable), "-c", program).err.split()
    installed = {name for name in packages_distributions() if not name.startswith("_")}
    assert code == "0" and set(loaded) & installed == SEGMENTING


def test_help_and_mistakes_load_no_package_at_all() -> None:
    program = ("import json, sys, alhvr.cli\nalhvr.cli.main(['segment', 'x'])\n"
               "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))")
    loaded = json.loads(run_light(Path(sys.executable), "-c", program).out)
    assert set(loaded) & set(packages_distributions()) - {"_distutils_hack"} == {"alhvr"}
