"""The sample: scans that open anywhere, the true labels of one, a model that segments them; whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_cases import Listener

from alhvr.bundle.model import read_model
from alhvr.checking.context import RunContext
from alhvr.checking.findings import Severity
from alhvr.checking.run import Folders, check
from alhvr.config import RunConfig, from_dict
from alhvr.core.errors import Cancelled, UserError
from alhvr.data.reading import probe, read_label, read_scan
from alhvr.evaluation.report import evaluate_folders
from alhvr.formats.project import read_project
from alhvr.inference.run import SegmentRequest, segment
from alhvr.phantom import sample as shipped
from alhvr.phantom import sample as study
from alhvr.phantom.sample import LABELED, SCANS, SEED, SampleStudy, make_sample
from alhvr.phantom.study import LABEL_NAMES, make_phantom

SCORES = json.loads((Path(study.__file__).parents[2] / "benchmarks/results/sample_model.json").read_text())


class Told(Listener):
    """Remembers artifacts and progress, too."""

    def __init__(self) -> None:
        super().__init__()
        self.artifacts: list[tuple[str, str]] = []
        self.steps: list[tuple[int, int]] = []

    def artifact(self, kind: str, path: str) -> None:
        self.artifacts.append((kind, path))

    def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
        self.steps.append((done, total))


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def sample(told: Told, tmp_path_factory: pytest.TempPathFactory) -> SampleStudy:
    return make_sample(tmp_path_factory.mktemp("sample") / "Probe ö", told)


def test_every_file_is_told_and_there_and_nothing_else_is(sample: SampleStudy, told: Told) -> None:
    assert told.artifacts == [*(("scan", str(path)) for path in sample.scans), ("labels", str(sample.labels)),
                              ("model", str(sample.model))]
    assert all(Path(path).exists() for _, path in told.artifacts)
    assert sorted(path.name for path in sample.model.parent.iterdir()) == ["images", "labels", "model"]
    assert [path.name for path in sample.model.parent.parent.iterdir()] == ["Probe ö"]


def test_progress_counts_to_its_total(sample: SampleStudy, told: Told) -> None:
    assert told.steps == [(done, len(SCANS) + 1) for done in range(1, len(SCANS) + 2)]


def test_the_scans_are_ct_that_no_training_of_the_model_saw(sample: SampleStudy) -> None:
    assert [path.name for path in sample.scans] == [f"{name}.nii.gz" for name in SCANS]
    assert SCORES["scan_seed"] != SEED
    for path, number in zip(sample.scans, SCANS.values(), strict=True):
        scan, expected = read_scan(path), make_phantom(SEED, number).scan
        np.testing.assert_array_equal(scan.array, expected.array)
        assert scan.geometry.difference(expected.geometry, tolerance_mm=1e-3) == ""


def test_the_true_labels_lie_on_their_scan_with_names(sample: SampleStudy) -> None:
    truth = read_label(sample.labels)
    assert sample.labels.name == f"{LABELED}.seg.nrrd" and set(np.unique(truth.array)) == {0, *LABEL_NAMES}
    assert truth.geometry.difference(probe(sample.scans[0]).geometry, tolerance_mm=1e-3) == ""
    np.testing.assert_array_equal(truth.array, make_phantom(SEED, SCANS[LABELED]).label)


def test_the_model_finds_the_large_organs_of_the_labelled_scan(sample: SampleStudy, tmp_path: Path) -> None:
    segment(SegmentRequest(sample.model, sample.scans[:1], tmp_path, regions=True), Told())
    report = evaluate_folders(tmp_path, sample.labels.parent)
    found = {name: report.statistic(name, "dice").mean for name in report.structures}
    assert found["liver"] > 0.9 and min(found["kidneys"], found["spleen"]) > 0.75


def test_the_model_is_the_one_that_was_scored(sample: SampleStudy) -> None:
    about = read_model(sample.model).description
    assert about.network.width == about.plan.width == SCORES["width"]
    assert about.training["seed"] == SCORES["training_seed"] and about.labels.names == tuple(LABEL_NAMES.values())
    assert SCORES["zip_bytes"] == shipped.ZIP.stat().st_size <= 1.5e6
    assert SCORES["test"]["liver"]["dice"]["mean"] > 0.9


def test_a_folder_that_holds_something_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"already holds something\. Choose another --out folder, or empty it first\."):
        make_sample(tmp_path, Told())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled_even_if_somebody_stands_in_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(study, "SCANS", {LABELED: 0})
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    made = make_sample(Path(), Told())
    assert made.scans[0].exists() and [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_cancelling_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    class Impatient(study.StopRequest):
        def __call__(self) -> bool:
            return True

    monkeypatch.setattr(study, "StopRequest", Impatient)
    with pytest.raises(Cancelled):
        make_sample(tmp_path / "out", Told())
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^The sample cannot be written to .*file/out: Not a directory"):
        make_sample(tmp_path / "file" / "out", Told())


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut short"])
def test_an_installation_without_a_whole_model_says_so(tmp_path: Path, monkeypatch, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "model.zip").write_bytes(content)
    monkeypatch.setattr(shipped, "ZIP", tmp_path / "model.zip")
    with pytest.raises(UserError, match=r"model\.zip is missing or damaged\. Install alhvr again\."):
        make_sample(tmp_path / "out", Told())
    assert not (tmp_path / "out").exists()


def test_the_study_is_a_project_whose_check_finds_nothing_that_stops_training(tmp_path: Path,
                                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in {"STUDY_LABELED": 1, "STUDY_HELD_OUT": 1}.items():
        monkeypatch.setattr(shipped, name, number)
    folder = shipped.make_study(tmp_path / "study", Told(), archive=1)
    project = read_project(folder)
    assert project.archive_folders == (folder / "archive",) and (project.name, project.minutes) == (
        "Sample: abdominal CT", shipped.STUDY_MINUTES)
    from_dict(RunConfig, project.settings)
    found = check(Folders(project.cases_folder, project.archive_folders[0]), RunContext(Listener()))
    assert found.count(Severity.FAULT) == 0 and set(found.labels.names) == set(LABEL_NAMES.values())
