"""Labels with gaps, through the command: slices that are not annotated, and a structure missing in most cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command import Finished, alhvr
from tiny_runs import make_scan, short_run, write_scan, write_study

from alhvr.bundle.model import read_model
from alhvr.data.reading import read_label

SPLEEN = 3
NOBODY = 9
"""Label value of the slices that are not annotated."""


def partial_study(folder: Path) -> Path:
    """Three labelled cases and a validation case; each has a slice without annotation, two have no spleen."""
    study = write_study(folder, labeled=4)
    for index in range(4):
        image, label = make_scan(index)
        label[index % 4] = NOBODY
        if index in (0, 1):
            label[label == SPLEEN] = 0
        write_scan(study / "labeled" / "labels" / f"case{index}.nii.gz", label)
    declared = {f"case{index}": {"not_annotated": ["Spleen"]} for index in (0, 1)}
    (study / "labeled" / "cases.json").write_text(json.dumps({"cases": declared}))
    for kind in ("images", "labels"):
        (study / "validation" / kind).mkdir(parents=True)
        name = f"{kind}/case3.nii.gz"
        (study / "labeled" / name).rename(study / "validation" / name)
    (study / "validation" / "labels.json").write_text((study / "labeled" / "labels.json").read_text())
    return study


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    study = partial_study(tmp_path_factory.mktemp("study"))
    run = study / "run"
    options = ["--validation", study / "validation", "--not-annotated", NOBODY, "--iterations", 60]
    done = alhvr(*short_run(study, run, *options, "--progress", "json"))
    assert done.code == 0, done.err
    return run, done


def test_the_end_says_that_only_what_is_annotated_was_scored(learnt) -> None:
    told = learnt[1].texts("note")
    assert "Of 1 validation cases only a part is annotated, and only that is scored." in told


def test_a_structure_missing_in_most_cases_is_learnt_from_the_others(learnt, tmp_path: Path) -> None:
    image, label = make_scan(700)
    write_scan(tmp_path / "new.nii.gz", image)
    done = alhvr("segment", tmp_path / "new.nii.gz", "--model", learnt[0] / "model", "--out", tmp_path / "out")
    assert done.code == 0
    found = read_label(tmp_path / "out" / "new.seg.nrrd").array
    dice = 2 * np.sum((found == SPLEEN) & (label == SPLEEN)) / (np.sum(found == SPLEEN) + np.sum(label == SPLEEN))
    assert dice > 0.7


def test_the_value_of_what_nobody_annotated_is_no_structure_of_the_model(learnt) -> None:
    about = read_model(learnt[0] / "model").description
    assert about.labels.values == (1, SPLEEN)
    assert about.training["settings"]["data"]["not_annotated"] == NOBODY
    assert about.training["validation_annotated_in_part"] == 1


def test_a_run_resumed_knows_what_nobody_annotated(learnt) -> None:
    cases = json.loads((learnt[0] / "run.json").read_text())["labeled"]
    assert [case["not_annotated"] for case in cases] == [[SPLEEN], [SPLEEN], []]


def test_the_value_of_a_named_structure_cannot_be_declared_not_annotated(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    done = alhvr(*short_run(study, tmp_path / "run", "--not-annotated", SPLEEN, "--iterations", 10))
    assert done.code == 2 and "Value 3 is spleen, and the value for voxels that are not annotated" in done.err
